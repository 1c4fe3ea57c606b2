/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches for which FAISS would use far more memory than their results need.
 *
 * A k-nearest search allocates k places for each query, even if the index has far fewer vectors; it
 * gives the rest the label -1.  A range search holds several copies of its results.
 */
#ifndef FXE_FAR_H
#define FXE_FAR_H

struct fxe_req;

enum { FXE_FAR = 1 << 16 }; /* fxe_far_search handles a larger k only */

/* Searches with a smaller k if the call asks for far more neighbours than there are vectors.
 * Returns 1 if it did: the result is in v[], or the reply is set.  Returns 0 for other calls. */
int fxe_far_search(struct fxe_req *r);

/* Makes a range search in parts, a few queries at a time, if the copies of its results might not
 * fit in memory.  Returns 1 if it did: the result is in r->found, or the reply is set; else 0. */
int fxe_far_range(struct fxe_req *r);

#endif
