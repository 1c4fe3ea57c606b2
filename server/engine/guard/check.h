/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments that would crash FAISS rather than make it say no, and functions that are
 * called in another way because FAISS's own way ends the process.  What FAISS refuses
 * itself is left to FAISS, so that the text is FAISS's.
 *
 * Sources: docs/crashes.md.
 */
#ifndef FXE_CHECK_H
#define FXE_CHECK_H

struct fxe_req;

/* Scalars and objects are in place, arrays are not: -1 and the reply set if FAISS must
 * not see them. */
int fxe_check_scalars(struct fxe_req *r);

/* All arguments are in place. */
int fxe_check_arrays(struct fxe_req *r);

/* Call the function in another way, if it needs one: 1 and the result in v[]. */
int fxe_call_otherwise(struct fxe_req *r);

#endif
