/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exhaustive search for several queries at once, with the same bits that FAISS returns for each
 * query alone.
 *
 * FAISS makes one pass over all vectors of a Flat index for each query, and memory bandwidth limits
 * it.  Here every query is compared with a block of vectors while that is in the cache, and several
 * queries with a vector while that is in registers.  Distances are summed in FAISS's order (eight
 * partial sums, fused multiply-add, then pairwise), and ties are broken as in FAISS's heaps.
 * fxe_flat_search tests whether that gives the loaded library's results.
 *
 * Any thread may call this.  The only state is which kernel agrees with the library.
 */
#ifndef FXE_FLAT_H
#define FXE_FLAT_H

#include <stddef.h>

#include "faiss_c_compat.h"

enum { FXE_FLAT_MAX = 64 }; /* queries in one search */

struct fxe_flat_query {
    const float *x;   /* d floats */
    float *distances; /* k, out */
    idx_t *labels;    /* k, out */
};

/*
 * Finds the k nearest of the n vectors at `y` (n * d floats) for each of nq queries, by L2 or inner
 * product.  Returns 0; or -1 if no kernel gives the loaded library's bits for this d and metric, k
 * is too large, or memory is out: the caller must then use FAISS.
 *
 * With `fast`, it computes distances from norms and inner products if there is a kernel for that,
 * as FAISS does for larger batches.  This is faster, but the last bits differ.
 *
 * The first call for a d and metric compares the kernels, fastest first, with FAISS's own search of
 * a small set with many ties, and remembers the first that agrees.
 */
int fxe_flat_search(int fast, int metric, size_t d, const float *y, size_t n, size_t k,
                    struct fxe_flat_query *q, int nq);

#endif
