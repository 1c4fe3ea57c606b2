/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/transport/repeat.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shim/faissx.h"
#include "shim/settings.h"
#include "shim/transport/session.h"

enum { FIRST_MS = 20, LONGEST_MS = 2000, BRIEF = 2 };

/* --- reconnecting --- */

/* Before reconnection `n`, which is 1 for the first. */
static void wait_before(struct fx_rpc *r, int n)
{
    int64_t most = n > 7 ? LONGEST_MS : (int64_t)FIRST_MS << (n - 1);
    int64_t until = fx_now_ms() + (int64_t)fx_thread_random(r->self, (uint64_t)most + 1);
    if (until > r->deadline)
        until = r->deadline;
    for (int64_t now; (now = fx_now_ms()) < until;) {
        struct timespec t = {(until - now) / 1000, (until - now) % 1000 * 1000000};
        nanosleep(&t, NULL);
    }
}

/* May the error that a connection could not be had for be over later? */
static int may_pass(void)
{
    switch (fx_error_kind()) {
    case FAISSX_E_CONNECT: /* also a server that is stopping */
    case FAISSX_E_TIMEOUT:
    case FAISSX_E_ENGINE: /* it cannot be started at present */
        return 1;
    default:
        return 0;
    }
}

/* The error that reconnecting followed, and in its text the last one. */
static void tell_both(struct fx_rpc *r)
{
    struct fx_error last;
    if (!r->first.text)
        return;
    fx_error_save(&last);
    fx_error_restore(&r->first);
    r->first = (struct fx_error){0};
    if (last.text && r->tries > 0) {
        static const char prefix[] = "faissx: ";
        size_t n = sizeof prefix - 1;
        fx_error_append("; and then: ");
        fx_error_append(strncmp(last.text, prefix, n) == 0 ? last.text + n : last.text);
    }
    free(last.text);
}

static int reconnect(struct fx_rpc *r)
{
    while (r->tries < r->most && fx_now_ms() < r->deadline) {
        wait_before(r, ++r->tries);
        if (fx_now_ms() >= r->deadline)
            break;
        r->conn = fx_session_conn(r->self, r->deadline);
        if (r->conn)
            return 0;
        if (!may_pass())
            return -1;
    }
    tell_both(r);
    return -1;
}

int fx_rpc_recover(struct fx_rpc *r)
{
    enum fx_trouble trouble = r->trouble;
    r->trouble = FX_FINAL;
    if (trouble == FX_FINAL)
        return -1;
    r->left = 0;
    r->more = 0;
    if (trouble == FX_SESSION_LOST) { /* a connection is there, or as easily had as ever */
        if (r->renewals++ > r->most)
            return -1;
        r->conn = fx_session_conn(r->self, r->deadline);
        if (r->conn)
            return 0;
        if (!may_pass())
            return -1;
    } else if (r->self->channel.conn) { /* of a server that is stopping */
        fx_conn_close(r->self->channel.conn);
        r->self->channel.conn = NULL;
        fx_event_broken(r->self, "the server is stopping");
    } else if (!r->first.text && r->outcome != FX_NOT_MADE) {
        fx_error_save(&r->first);
    }
    r->conn = NULL;
    return reconnect(r);
}

/* --- a call --- */

/* Objects, then header and payload, for the session that the connection is in. */
static int prepare(struct fx_rpc *r, const struct fx_request *q)
{
    struct fx_thread *self = r->self;
    unsigned before = r->generation;
    int again = r->outcome != FX_NOT_MADE;
    if (q->ready && q->ready(q->ctx, again) != 0)
        return -1;
    if (!self->channel.conn) {
        r->trouble = FX_BROKEN;
        return fx_fail(FAISSX_E_CONNECT, "%s: the connection broke", q->operation);
    }
    if (again && q->changes && !fx_session_remembers(before)) {
        char why[FX_WHY_SIZE];
        int died = fx_session_why(before, why, sizeof why);
        return fx_fail(died ? FAISSX_E_ENGINE : FAISSX_E_SESSION,
                       "%s: %s; the change %s made, but the engine that had it is gone",
                       q->operation, why, r->outcome == FX_MADE ? "was" : "may have been");
    }
    fx_rpc_header(r, q->keys);
    if (q->pack(r, q->ctx) == 0)
        return 0;
    if (fx_error_kind() == FAISSX_E_SESSION && fx_session_generation() != r->generation)
        r->trouble = FX_SESSION_LOST; /* while an array was uploaded */
    return -1;
}

/* Has the server taken, or may it have, the arrays that the packed request names? */
static int has_used_uploads(const struct fx_rpc *r, const struct fx_request *q)
{
    return q->drop && r->outcome != FX_NOT_MADE && r->payload.nuploads;
}

/* Can the header that was packed be sent again as it is? */
static int is_packed(const struct fx_rpc *r, const struct fx_request *q)
{
    return r->generation == r->self->channel.generation && !has_used_uploads(r, q);
}

static int prepare_within(struct fx_rpc *r, const struct fx_request *q)
{
    struct fx_outer before = r->self->outer;
    r->self->outer = (struct fx_outer){before.id ? before.id : r->id, r->deadline};
    if (r->generation == r->self->channel.generation && has_used_uploads(r, q))
        q->drop(&r->payload);
    int rc = prepare(r, q);
    r->self->outer = before;
    return rc;
}

/* A header that was packed before is sent as it is, but for this. */
static void mark_repeated(struct fx_rpc *r)
{
    static const char msgpack_true = (char)0xc3;
    if (r->tries + r->renewals > 0)
        r->self->header.data[r->again_at] = msgpack_true;
}

static int exchange(struct fx_rpc *r, const struct fx_request *q)
{
    mark_repeated(r);
    if (fx_rpc_send(r) != 0 || fx_rpc_recv(r) != 0)
        return -1;
    return q->take ? q->take(r, q->ctx) : 0;
}

int fx_rpc_call(struct fx_rpc *r, const struct fx_request *q)
{
    int most = fx_settings_retries();
    int packed = 0, rc = fx_rpc_open(r, q->operation, q->brief && most > BRIEF ? BRIEF : most);
    if (rc != 0) {
        if (q->changes)
            fx_rpc_tell_outcome(r);
        return -1;
    }
    r->repeats = 1;
    do {
        r->trouble = FX_FINAL;
        rc = packed && is_packed(r, q) ? 0 : prepare_within(r, q);
        packed = rc == 0;
        if (rc == 0)
            rc = exchange(r, q);
    } while (rc != 0 && fx_rpc_recover(r) == 0);
    fx_rpc_end(r);
    if (rc == 0)
        fx_rpc_overcome(r);
    if (rc != 0 && q->changes)
        fx_rpc_tell_outcome(r);
    return rc;
}
