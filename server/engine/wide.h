/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wide work: calls that are worth several cores (train, add, searches for many queries).
 *
 * Each such call has a thread of its own, up to WIDE_MAX at a time, so that a short one never
 * waits for a long one; the cores are shared by the kernel.  The more calls there are, the fewer
 * OpenMP threads each gets, so that all together never have more than twice the cores.
 */
#ifndef FXE_WIDE_H
#define FXE_WIDE_H

#include "request.h"

/* The request has its locks: run it soon.  engine.lock is held. */
void fxe_wide_run(struct fxe_req *r);

#endif
