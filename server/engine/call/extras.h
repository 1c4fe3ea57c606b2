/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of forks of FAISS that the server's library lacks, and whose exact result
 * other functions that it has can give.
 */
#ifndef FXE_EXTRAS_H
#define FXE_EXTRAS_H

struct fxe_req;

/* Can the result of operation `op` be had so? */
int fxe_extra_has(int op);

/* Have it: 1 and the result in v[], or the reply set; 0 if `op` is none of these. */
int fxe_extra_call(struct fxe_req *r);

#endif
