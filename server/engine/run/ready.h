/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of requests that have their locks and wait for a worker, and the batches that workers
 * take out of it: searches for which one pass over the index is enough.
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

/* A group that the request waits for is free: queues the request and wakes a worker if it now
 * gets all its locks; otherwise the request waits for the next group that it lacks. */
void fxe_ready_retry(struct fxe_req *r);

/* Takes the oldest request, and with it those that can run in one batch.  `idle` workers are left
 * their share.  Returns the number of requests in `batch`, 0 if the queue is empty. */
int fxe_ready_take(struct fxe_req *batch[FXE_FLAT_MAX], int idle);

bool fxe_ready_is_empty(void);

#endif
