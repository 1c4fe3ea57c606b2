/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that refuse arguments which would crash FAISS, and replacements for calls in which FAISS
 * would end the process.  Arguments that FAISS itself refuses are left to FAISS, so that the error
 * text is FAISS's.
 *
 * Sources: docs/crashes.md.
 */
#ifndef FXE_CHECK_H
#define FXE_CHECK_H

struct fxe_req;

/* Call when scalars and objects are in place, and arrays are not yet.  Returns 0, or -1 with the
 * reply set if FAISS must not get these arguments. */
int fxe_check_scalars(struct fxe_req *r);

/* The same, for when all arguments are in place. */
int fxe_check_arrays(struct fxe_req *r);

/* Makes the call in another way if the function needs that.  Returns 1 if the call was made (the
 * result is in v[]) or refused (the reply is set), 0 if the caller must make it. */
int fxe_call_otherwise(struct fxe_req *r);

/* Call after a reset: the ids from before it must not be looked up any more. */
void fxe_forget_ids(const struct fxe_req *r);

#endif
