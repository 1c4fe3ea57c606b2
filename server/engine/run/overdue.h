/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that take too long.
 *
 * FAISS cannot be interrupted.  When a call has taken longer than --call-limit, its caller gets an
 * error and its connection is free for the next request, but the call goes on, and keeps the
 * objects that it uses locked until it ends.  An engine with such a call, or with one whose client
 * has gone, ends itself as soon as nothing else would be lost: when it has no session and no named
 * index.  The front then starts another.
 */
#ifndef FXE_OVERDUE_H
#define FXE_OVERDUE_H

#include <stdbool.h>

#include "server/engine/run/request.h"

/* Called at each tick of the housekeeper, which holds no lock.  Returns true if there are calls
 * whose callers have had their error. */
bool fxe_overdue_tick(void);

/* The request ends; the caller holds engine.lock.  Returns true if its caller has had an error
 * already. */
bool fxe_overdue_ended(struct fxe_req *r);

#endif
