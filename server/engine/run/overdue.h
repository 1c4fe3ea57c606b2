/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that take too long.
 *
 * FAISS cannot be interrupted.  When a call has taken --call-limit, its caller gets an error and
 * its connection is free for the next request; the call goes on, and keeps the objects that it
 * uses, until it ends by itself.  An engine with such a call, or with one whose client is gone
 * for good, is replaced as soon as nothing else would be lost by it: when it has no session and
 * no named index any more.
 */
#ifndef FXE_OVERDUE_H
#define FXE_OVERDUE_H

#include <stdbool.h>

#include "server/engine/run/request.h"

/* The housekeeper's part, without a lock.  Returns whether there are calls whose callers do not
 * wait any more. */
bool fxe_overdue_tick(void);

/* With engine.lock: the request ends.  Returns whether its caller has had its answer. */
bool fxe_overdue_ended(struct fxe_req *r);

#endif
