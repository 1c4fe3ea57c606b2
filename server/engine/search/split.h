/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many queries for a Flat index, shared among the cores.
 *
 * FAISS leaves the parallel part of such a search to BLAS, whose threads an engine does not
 * use (see engine.c); here each OpenMP thread of the wide lane has FAISS search for some of
 * the queries, as FAISS itself does for inverted files.
 *
 * What a query finds must not depend on its company.  Whether the loaded library's BLAS
 * gives the same bits then is tried once for each dimension and metric.
 */
#ifndef FXE_SPLIT_H
#define FXE_SPLIT_H

#include "server/engine/run/request.h"

/* Look for the OpenMP runtime of the loaded library. */
void fxe_split_init(void *dl);

/* Do it, when the request is such a search and nothing speaks against it.  Returns 0 when it
 * has not been done. */
int fxe_split_search(struct fxe_req *r);

/* Have libgomp make the OpenMP threads of this thread. */
void fxe_split_warm_up(void);

#endif
