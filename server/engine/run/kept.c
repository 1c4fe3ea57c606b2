/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/kept.h"

#include "server/engine/engine.h"

enum { AHEAD_MAX = 32 << 20 }; /* bytes */

static size_t kept, ahead; /* atomic */

void fxe_kept_add(size_t n)
{
    __atomic_add_fetch(&kept, n, __ATOMIC_RELAXED);
}

void fxe_kept_sub(size_t n)
{
    __atomic_sub_fetch(&kept, n, __ATOMIC_RELAXED);
}

bool fxe_kept_is_full(size_t n, size_t own)
{
    size_t now = __atomic_load_n(&kept, __ATOMIC_RELAXED);
    return now > own && now + n > fxe_engine.max_pending;
}

bool fxe_ahead_take(size_t n)
{
    if (__atomic_add_fetch(&ahead, n, __ATOMIC_RELAXED) <= AHEAD_MAX)
        return true;
    fxe_ahead_give(n);
    return false;
}

void fxe_ahead_give(size_t n)
{
    __atomic_sub_fetch(&ahead, n, __ATOMIC_RELAXED);
}
