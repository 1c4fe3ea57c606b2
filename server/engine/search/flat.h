/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exhaustive search for several queries at once, with the bits that FAISS returns for each
 * of them alone.
 *
 * FAISS searches a Flat index for one query by one pass over all vectors, which is bound
 * by memory.  Here a block of vectors that fits the cache is compared with every query in
 * turn, and a vector in registers with several.  Each distance is summed in the order in
 * which FAISS sums it (eight partial sums, fused multiply-add, then pairwise), and ties are
 * broken as in FAISS's heaps; whether that is so for the library that is loaded is not
 * assumed but tried (fxe_flat_search, below).
 *
 * Any thread; no state but what was found out about the library.
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
 * Search the n vectors of d floats at `y` for the k nearest of each of nq queries, by L2 or
 * inner product.  Returns 0, or -1 when nothing is known here that gives the loaded
 * library's own bits for this d and metric: then FAISS must be asked.
 *
 * With `fast`, distances are computed from norms and inner products where there is a kernel
 * for that, as FAISS does for larger batches: more quickly, with other last bits.
 *
 * The first call for each d and metric tries every way of computing against FAISS's own
 * search on small data with many ties, and remembers the fastest that agrees.
 */
int fxe_flat_search(int fast, int metric, size_t d, const float *y, size_t n, size_t k,
                    struct fxe_flat_query *q, int nq);

#endif
