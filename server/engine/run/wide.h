/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wide work: calls that are worth several cores (train, add, searches for many queries).
 *
 * Each such call runs in a lane, a thread with OpenMP threads of its own, so a short call does not
 * wait for a long one; the kernel divides the cores among them.  Lanes are started when they are
 * needed, up to FXE_WIDE_MAX and while there is memory for their stacks, and never end.
 */
#ifndef FXE_WIDE_H
#define FXE_WIDE_H

#include "server/engine/run/request.h"

enum { FXE_WIDE_MAX = 8 };

/* Called before the sandbox: opens what tells how much memory is used. */
void fxe_wide_init(void);
/* Starts the first lane, or ends the process. */
void fxe_wide_start(void);

/* Returns how many OpenMP threads the calling thread has: 1 if it is not a lane. */
int fxe_wide_width(void);

/* What the calling thread does until its next request, it does alone: without OpenMP threads. */
void fxe_wide_alone(void);

/* Queues a request that has its locks.  The caller holds engine.lock. */
void fxe_wide_run(struct fxe_req *r);

#endif
