/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches that FAISS would do with far more memory than their results need.
 *
 * For k neighbours FAISS works with k places for each query, however few vectors there are;
 * places beyond those get the label -1.  And what a range search finds it holds several
 * times before it returns it.
 */
#ifndef FXE_FAR_H
#define FXE_FAR_H

struct fxe_req;

enum { FXE_FAR = 1 << 16 }; /* k beyond which it is looked at */

/* A search for far more neighbours than there are vectors: 1 when it was made, and the
 * result is in v[]; 0 when the call is none. */
int fxe_far_search(struct fxe_req *r);

/* A range search whose results may be too many to be held several times: 1 when it was made,
 * a part of the queries at a time. */
int fxe_far_range(struct fxe_req *r);

#endif
