/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wide work: calls that are worth several cores (train, add, searches for many queries).
 *
 * Each such call has a lane, a thread with OpenMP threads of its own, so that a short one does
 * not wait for a long one; the kernel shares the cores among them.  Lanes are made when they are
 * needed, up to FXE_WIDE_MAX and while there is memory for their stacks, and stay.
 */
#ifndef FXE_WIDE_H
#define FXE_WIDE_H

#include "server/engine/run/request.h"

enum { FXE_WIDE_MAX = 8 };

/* Before the sandbox. */
void fxe_wide_init(void);
/* The first lane. */
void fxe_wide_start(void);

/* OpenMP threads of the calling thread: 1 where it is not a lane. */
int fxe_wide_width(void);

/* What the calling thread does until its next request, it does alone: without OpenMP threads. */
void fxe_wide_alone(void);

/* The request has its locks: run it soon.  engine.lock is held. */
void fxe_wide_run(struct fxe_req *r);

#endif
