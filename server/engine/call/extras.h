/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of FAISS forks that the server's library lacks, emulated exactly with functions that
 * it has.
 */
#ifndef FXE_EXTRAS_H
#define FXE_EXTRAS_H

struct fxe_req;

/* Can operation `op` be emulated with this library? */
int fxe_extra_has(int op);

/* Returns 1 if it made the call: the result is in v[], or the reply is set.  Returns 0 if the
 * library's own function must be called. */
int fxe_extra_call(struct fxe_req *r);

#endif
