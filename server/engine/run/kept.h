/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the memory of this tenant's unanswered requests and unsent replies, in bytes.  Any thread;
 * no lock.
 */
#ifndef FXE_KEPT_H
#define FXE_KEPT_H

#include <stdbool.h>
#include <stddef.h>

void fxe_kept_add(size_t n);
void fxe_kept_sub(size_t n);
/* Returns true if `n` bytes more would exceed --max-pending.  Always false for a request whose
 * `own` bytes are the only ones counted: a single request may exceed the limit. */
bool fxe_kept_is_full(size_t n, size_t own);

/* Counts memory that is allocated before its bytes have arrived, because a client announced them.
 * Takes `n` bytes and returns true, or returns false if all connections together would have too
 * many. */
bool fxe_ahead_take(size_t n);
void fxe_ahead_give(size_t n);

#endif
