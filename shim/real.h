/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real libfaiss_c in this process.
 *
 * It is searched for and loaded once, when it is first needed, and stays.  Any thread may call
 * these functions; what they return may be read without a lock.
 */
#ifndef FX_REAL_H
#define FX_REAL_H

#include "proto/library.h"

/* The library, loaded now if need be; NULL when it cannot be loaded (fx_fail_missing says why). */
const struct fx_library *fx_real(void);

/* NULL when it was not loaded so far. */
const struct fx_library *fx_real_if_loaded(void);

/* In the child of a fork, which may have happened while another thread was loading it. */
void fx_real_after_fork(void);

/* Set the error: the real library lacks function `op`, or there is no library.  Returns -1. */
int fx_fail_missing(int op);

#endif
