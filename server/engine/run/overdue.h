/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that take too long.
 *
 * FAISS cannot be interrupted.  When a call has taken longer than --call-limit, its caller gets an
 * error and its connection is free for the next request, but the call continues, and keeps the
 * objects that it uses locked until it ends.  An engine with such a call, or with one whose client
 * has disconnected, exits as soon as nothing else would be lost: when it has no named index and no
 * session, but for those that are kept on disk with all that they have, and all their changes are
 * there: with --durability snapshot it writes them first.  The front starts another when a client
 * needs it.
 */
#ifndef FXE_OVERDUE_H
#define FXE_OVERDUE_H

#include <stdbool.h>

#include "server/engine/run/request.h"

/* Called at each tick of the housekeeper, which holds no lock.  Returns true if calls still run
 * whose callers have had an error. */
bool fxe_overdue_tick(void);

/* Called when the request ends.  Returns true if its caller has had an error already, and must not
 * get a reply.  The caller holds engine.lock. */
bool fxe_overdue_ended(struct fxe_req *r);

/* Do calls still run whose callers have had an error?  The caller holds engine.lock. */
bool fxe_overdue_runs(void);

#endif
