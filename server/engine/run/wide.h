/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wide work: calls that are worth several cores (train, add, searches for many queries).
 *
 * Each such call runs in a lane, a thread with OpenMP threads of its own, so a short call does not
 * wait for a long one; the kernel divides the cores among them.  Lanes are started when needed, up
 * to FXE_WIDE_MAX and while there is memory for their stacks, and never end.
 */
#ifndef FXE_WIDE_H
#define FXE_WIDE_H

#include "server/engine/run/request.h"

enum { FXE_WIDE_MAX = 8 };

/* Opens /proc/self/statm, to see later how much memory is used.  Called before the sandbox starts.
 */
void fxe_wide_init(void);
/* Starts the first lane, or ends the process. */
void fxe_wide_start(void);

/* Returns how many OpenMP threads the calling thread has: 1 if it is not a lane. */
int fxe_wide_width(void);

/* For a thread that is not a lane: returns how many OpenMP threads there is memory for, at most one
 * for each core, and reserves it.  The caller holds engine.lock. */
int fxe_wide_threads(void);
/* The calling thread has so many from now on. */
void fxe_wide_set_width(int width);

/* Makes the calling thread run the request alone, without other OpenMP threads. */
void fxe_wide_alone(struct fxe_req *r);

/* Would a request be run at once?  The caller holds engine.lock. */
bool fxe_wide_is_free(void);

/* Queues a request that has its locks for a lane.  The caller holds engine.lock. */
void fxe_wide_run(struct fxe_req *r);

#endif
