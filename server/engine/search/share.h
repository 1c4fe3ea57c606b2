/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle workers help with a call of several queries.
 *
 * A call of few queries runs on a worker, which has one OpenMP thread.  If other workers have
 * nothing to do, they take some of its queries, one at a time.  The worker that has the call goes
 * on meanwhile: if a helper takes long to wake up, nothing is lost.  Between two queries a helper
 * looks for requests, which come first.
 *
 * Only indexes and calls for which FAISS does not use BLAS are shared (Flat, IVFFlat with a Flat
 * quantizer, fewer than 20 queries), so each query has the same result alone.
 */
#ifndef FXE_SHARE_H
#define FXE_SHARE_H

#include "server/engine/run/request.h"

struct fxe_share;

/* Returns 1 if it made the search: the result is in v[].  Returns 0 if the request is not such a
 * search, or a query failed. */
int fxe_share_search(struct fxe_req *r);

/* Returns a search that wants help, for fxe_share_help, or NULL.  The caller holds engine.lock. */
struct fxe_share *fxe_share_take(void);
/* Searches for one of its queries.  The caller holds no lock. */
void fxe_share_help(struct fxe_share *s);

#endif
