/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splits a search of a Flat index with many queries among the cores.
 *
 * FAISS relies on BLAS for parallelism in such a search, but an engine runs BLAS with one thread
 * (see engine.c).  So each OpenMP thread of the wide lane calls FAISS for some of the queries, as
 * FAISS itself does for inverted files.
 *
 * A query's result must not depend on how the queries are split.  Whether that holds for the loaded
 * library's BLAS is tested once for each dimension and metric.
 */
#ifndef FXE_SPLIT_H
#define FXE_SPLIT_H

#include "server/engine/run/request.h"

/* Finds the OpenMP runtime of the loaded library. */
void fxe_split_init(void *dl);

/* Returns 1 if it made the search: the result is in v[].  Returns 0 if the request is not such a
 * search, splitting it is not worth it or could change the result, or a part failed. */
int fxe_split_search(struct fxe_req *r);

/* Returns whether FAISS searches a Flat index with BLAS for n queries at once.  Its threshold is a
 * number of queries; from v1.14 on, of queries times dimensions. */
bool fxe_uses_blas(size_t n, FaissIndex *index);

/* Starts the OpenMP threads of the calling thread. */
void fxe_split_warm_up(void);

#endif
