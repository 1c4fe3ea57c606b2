/* SPDX-License-Identifier: Apache-2.0 */
/* Big-endian numbers, as ZMTP, CURVE and msgpack write them, at any address. */
#ifndef FX_BYTES_H
#define FX_BYTES_H

#include <stdint.h>

/* Returns the number in the n bytes (at most 8) at p. */
static inline uint64_t fx_get_be(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static inline void fx_put_be64(uint8_t *to, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)(v >> (56 - 8 * i));
}

#endif
