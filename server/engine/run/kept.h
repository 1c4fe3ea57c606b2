/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of this tenant's requests that are not answered and of its replies that have not left,
 * in bytes.  Any thread; no lock.
 */
#ifndef FXE_KEPT_H
#define FXE_KEPT_H

#include <stdbool.h>
#include <stddef.h>

void fxe_kept_add(size_t n);
void fxe_kept_sub(size_t n);
/* Would `n` more exceed --max-pending?  Never for a request whose `own` bytes are all there are. */
bool fxe_kept_is_full(size_t n, size_t own);

/* Memory that is allocated before the bytes for it have arrived, because a client announced them:
 * takes `n` bytes and returns true, unless all connections together would have too many. */
bool fxe_ahead_take(size_t n);
void fxe_ahead_give(size_t n);

#endif
