/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of requests that have their locks and wait for a worker.  Workers take single requests
 * or batches from it: searches that one pass over an index can answer together.
 *
 * The caller of every function here holds engine.lock.
 */
#ifndef FXE_READY_H
#define FXE_READY_H

#include <stdbool.h>

#include "server/engine/run/request.h"
#include "server/engine/search/flat.h"

/* Queues a request that has its locks, or passes it to a wide lane.  The caller wakes a worker. */
void fxe_ready_add(struct fxe_req *r);

/* Called when a group that the request waits for is free.  Queues the request and wakes a worker if
 * it gets all its locks; otherwise it waits for another group that it lacks. */
void fxe_ready_retry(struct fxe_req *r);

/* Takes the oldest request, and those that can run with it in one batch, but leaves their share to
 * the `idle` other workers.  Returns the number of requests in `batch`, 0 if the queue is empty. */
int fxe_ready_take(struct fxe_req *batch[FXE_FLAT_MAX], int idle);

bool fxe_ready_is_empty(void);

#endif
