/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/overdue.h"

#include <stdlib.h>
#include <unistd.h>

#include "server/engine/keep/keep.h"
#include "server/engine/objects/named.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/under_way.h"
#include "server/engine/training/training.h"
#include "server/log.h"

enum {
    BATCH = 16,
    GRACE_MS = 2000 /* a younger request may be the first of a new client */
};

static int given_up; /* calls that still run and whose callers have had an error; engine.lock */

bool fxe_overdue_ended(struct fxe_req *r)
{
    if (r->conn->running == r)
        r->conn->running = NULL;
    given_up -= r->given_up;
    return r->given_up;
}

bool fxe_overdue_runs(void)
{
    return given_up > 0;
}

/* Returns a request that carries the error to r's caller, so that r gets no reply of its own; NULL
 * if memory is out, and the next tick tries again.  The caller holds engine.lock. */
static struct fxe_req *stand_in(struct fxe_req *r)
{
    struct fxe_req *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    msgpack_sbuffer_init(&s->extra);
    msgpack_sbuffer_init(&s->reply);
    s->conn = r->conn;
    s->request_id = r->request_id;
    fxe_conn_ref(s->conn);
    fxe_fail(s, "timeout",
             "%s took longer than the server's --call-limit of %d seconds; it still runs, and may "
             "yet change what it was called for",
             fxe_req_name(r), fxe_engine.options.call_limit);
    r->given_up = 1;
    r->conn->running = NULL;
    given_up++;
    return s;
}

static void give_up(int64_t now)
{
    struct fxe_req *some[BATCH];
    int n = 0;
    fxe_lock();
    for (struct fxe_conn *c = fxe_under_way_first(); c && n < BATCH; c = c->next_busy) {
        struct fxe_req *r = c->running;
        if (r && r->operation &&
            now - r->began_ms > (int64_t)fxe_engine.options.call_limit * 1000 &&
            (some[n] = stand_in(r)))
            n++;
    }
    fxe_unlock();
    for (int i = 0; i < n; i++) {
        fxs_log(FXS_WARN, "engine", "event=call-limit peer=\"%s\" message=\"%s\"",
                some[i]->conn->peer, some[i]->message ? some[i]->message : "");
        fxe_req_finish(some[i]);
    }
}

/* Returns true if this process has nothing to lose but calls that no client waits for.  The caller
 * holds engine.lock. */
static bool is_expendable(int64_t now)
{
    int runaways = given_up;
    bool named = fxe_keep_store() != NULL;
    if ((fxe_named_count() && !named) || fxe_trainer_works())
        return false;
    for (struct fxe_conn *c = fxe_under_way_first(); c; c = c->next_busy) {
        if (!c->running || now - c->began_ms < GRACE_MS || !fxe_conn_is_gone(c))
            return false;
        runaways++;
    }
    return runaways > 0 && !fxe_sessions_lose() && (!named || fxe_keep_is_saved());
}

bool fxe_overdue_tick(void)
{
    int64_t now = fxe_now_ms();
    if (fxe_engine.options.call_limit)
        give_up(now);
    fxe_lock();
    bool some = given_up > 0;
    if (is_expendable(now)) { /* with the lock, so that nobody is told of another change */
        fxs_log(FXS_WARN, "engine",
                "event=replaced why=\"a call does not end, and nothing else would be lost\"");
        _exit(0);
    }
    fxe_unlock();
    return some;
}
