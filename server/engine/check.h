/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments that would crash FAISS rather than make it say no. */
#ifndef FXE_CHECK_H
#define FXE_CHECK_H

struct fxe_req;

/* All arguments are in place: -1 and the reply set if FAISS must not see them. */
int fxe_check(struct fxe_req *r);

#endif
