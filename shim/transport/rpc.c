/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/transport/rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/faissx.h"
#include "shim/settings.h"
#include "shim/transport/refusal.h"
#include "shim/transport/repeat.h"
#include "shim/transport/session.h"

/* An engine answers PING at once, whatever it computes.  So if nothing comes for two of these, the
 * server or the network is dead: it is not a long training. */
enum { PING_MS = 10000 };

void fx_rpc_header(struct fx_rpc *r, uint32_t keys)
{
    const struct fx_channel *ch = &r->self->channel;
    uint64_t oldest = r->self->outer.id;
    int acknowledges_less = oldest && oldest < r->id;
    r->generation = ch->generation;
    msgpack_sbuffer_clear(&r->self->header);
    msgpack_packer_init(&r->pk, &r->self->header, msgpack_sbuffer_write);
    r->payload.n = r->payload.nuploads = 0;
    r->fd = -1;
    int verbose = fx_settings_verbose();
    msgpack_pack_map(&r->pk, 4 + keys + !!verbose + !!r->repeats + (unsigned)acknowledges_less);
    if (verbose) {
        fx_pack_str(&r->pk, "verbose");
        msgpack_pack_true(&r->pk);
    }
    fx_pack_str(&r->pk, "operation");
    fx_pack_str(&r->pk, r->operation);
    fx_pack_str(&r->pk, "request_id");
    msgpack_pack_uint64(&r->pk, r->id);
    fx_pack_str(&r->pk, "session");
    fx_pack_bin(&r->pk, ch->token, sizeof ch->token);
    fx_pack_str(&r->pk, "caller");
    fx_pack_bin(&r->pk, fx_thread_caller(r->self), FX_CALLER_SIZE);
    if (acknowledges_less) {
        fx_pack_str(&r->pk, "oldest");
        msgpack_pack_uint64(&r->pk, oldest);
    }
    if (r->repeats) {
        fx_pack_str(&r->pk, "again");
        r->again_at = r->self->header.size;
        msgpack_pack_false(&r->pk);
    }
}

int fx_rpc_open(struct fx_rpc *r, const char *operation, int most)
{
    memset(r, 0, offsetof(struct fx_rpc, payload));
    r->payload.n = r->payload.nuploads = 0;
    r->operation = operation;
    r->self = fx_self();
    if (!r->self || fx_thread_engage(r->self, &r->cancel) != 0)
        return -1;
    r->begun = 1;
    r->failures = r->self->failures;
    r->most = most;
    r->deadline = fx_now_ms() + fx_settings_timeout_ms();
    if (r->self->outer.deadline && r->self->outer.deadline < r->deadline)
        r->deadline = r->self->outer.deadline;
    r->id = r->oldest = ++r->self->last_request;
    r->conn = fx_session_conn(r->self, r->deadline);
    if (!r->conn && fx_session_was_connected()) {
        r->trouble = FX_BROKEN;
        fx_rpc_recover(r);
    }
    if (r->conn) {
        fx_rpc_overcome(r);
        return 0;
    }
    fx_rpc_end(r);
    return -1;
}

void fx_rpc_overcome(const struct fx_rpc *r)
{
    r->self->failures = r->failures;
}

int fx_rpc_begin(struct fx_rpc *r, const char *operation, uint32_t keys)
{
    if (fx_rpc_open(r, operation, fx_settings_retries()) != 0)
        return -1;
    fx_rpc_header(r, keys);
    return 0;
}

void fx_rpc_again(struct fx_rpc *r, const char *operation, uint32_t keys)
{
    r->operation = operation;
    r->id = r->oldest = ++r->self->last_request;
    fx_rpc_header(r, keys);
}

/* Close the connection and set the error: `error`, or why the engine died. */
static int broken(struct fx_rpc *r, int error, const char *what)
{
    char text[512]; /* a copy, since `what` may belong to the connection */
    /* A program that closes its descriptors while a call waits is told so: it may be about to exec.
     */
    int closed_here = !fx_conn_is_ours(r->conn);
    snprintf(text, sizeof text, "%s", what);
    if (fx_session_is_own(&r->self->channel))
        fx_conn_shut(r->conn); /* a child that was forked before still has the descriptor */
    fx_conn_close(r->conn);
    r->self->channel.conn = r->conn = NULL;
    if (error == FAISSX_E_CONNECT && fx_now_ms() >= r->deadline)
        error = FAISSX_E_TIMEOUT;
    r->trouble = error == FAISSX_E_CONNECT && !closed_here ? FX_BROKEN : FX_FINAL;
    if (error == FAISSX_E_CONNECT)
        fx_event_broken(r->self, text);
    if (error != FAISSX_E_CONNECT || closed_here || (r->repeats && r->most > 0) ||
        fx_session_explain(r->operation, r->deadline) != 0)
        fx_fail(error, "%s", text);
    return -1;
}

/* A function of conn.h has failed within a message, with `rc`. */
static int cut_off(struct fx_rpc *r, int rc)
{
    if (rc == FX_CONN_LATE)
        return broken(r, FAISSX_E_TIMEOUT,
                      "the server began to answer, but its reply was not complete when "
                      "FAISSX_TIMEOUT was over");
    return broken(r, FAISSX_E_CONNECT, fx_conn_error(r->conn));
}

void fx_rpc_tell_outcome(const struct fx_rpc *r)
{
    static const char *const said[] = {
        [FX_NOT_MADE] = "; the change was not made",
        [FX_MAYBE_MADE] = "; the change may have been made",
        [FX_MADE] = "; the change was made, but its results are lost",
        [FX_TOLD] = "",
    };
    switch (fx_error_kind()) {
    case FAISSX_E_CONNECT:
    case FAISSX_E_TIMEOUT:
    case FAISSX_E_LIMIT:
    case FAISSX_E_PROTOCOL:
    case FAISSX_E_MEMORY:
        fx_error_append(said[r->outcome]);
        break;
    default: /* of others only what would not be expected: FAISS's own error changes nothing, but a
              * server that was restarted may refuse the key, and may have made the change before */
        if ((r->outcome == FX_MAYBE_MADE || r->outcome == FX_MADE) &&
            !strstr(fx_last_error(), "the change "))
            fx_error_append(said[r->outcome]);
        break;
    }
}

int fx_rpc_malformed(struct fx_rpc *r, const char *what)
{
    char text[256];
    snprintf(text, sizeof text, "%s: %s", r->operation, what);
    return broken(r, FAISSX_E_PROTOCOL, text);
}

int fx_rpc_send(struct fx_rpc *r)
{
    struct fx_frame frames[FX_FRAMES_MAX + 1];
    const msgpack_sbuffer *h = &r->self->header;
    r->trouble = FX_FINAL;
    r->conn = r->self->channel.conn; /* an upload since fx_rpc_begin may have made a new one, */
    if (r->conn && r->self->channel.generation != r->generation) { /* in another session */
        r->trouble = FX_SESSION_LOST;
        return fx_fail(FAISSX_E_SESSION, "%s: the session was lost", r->operation);
    }
    if (!r->conn) {
        r->trouble = FX_BROKEN;
        return fx_fail(FAISSX_E_CONNECT, "%s: the connection broke", r->operation);
    }
    if (h->size > FX_HEADER_MAX)
        return fx_fail(FAISSX_E_LIMIT,
                       "%s: the request's header would have %zu bytes; at most %d are allowed",
                       r->operation, h->size, FX_HEADER_MAX);
    frames[0] = (struct fx_frame){h->data, h->size};
    memcpy(frames + 1, r->payload.frames, (size_t)r->payload.n * sizeof *frames);
    /* If this fails, the server does not have all of the message, and drops it. */
    if (fx_conn_send_fd(r->conn, frames, r->payload.n + 1, r->fd, r->deadline) != 0)
        return broken(r, FAISSX_E_CONNECT, fx_conn_error(r->conn));
    r->self->channel.owed++;
    r->doubt = r->outcome == FX_MAYBE_MADE;
    r->outcome = FX_MAYBE_MADE;
    return 0;
}

static int took_too_long(struct fx_rpc *r)
{
    char text[128];
    snprintf(text, sizeof text, "the server did not answer within FAISSX_TIMEOUT, %g seconds",
             (double)fx_settings_timeout_ms() / 1000);
    return broken(r, FAISSX_E_TIMEOUT, text);
}

/* Wait for the first frame of a message. */
static int wait_message(struct fx_rpc *r, size_t *size, int *more)
{
    uint64_t heard = UINT64_MAX;
    for (;;) {
        int64_t now = fx_now_ms(), until = now + PING_MS;
        if (now >= r->deadline)
            return took_too_long(r);
        if (until > r->deadline)
            until = r->deadline;
        int rc = fx_conn_frame(r->conn, size, more, until);
        if (rc == 0)
            return 0;
        if (rc != FX_CONN_LATE)
            return broken(r, FAISSX_E_CONNECT, fx_conn_error(r->conn));
        if (fx_now_ms() >= r->deadline)
            continue;
        if (r->self->channel.near) /* the kernel closes the socket of an engine that dies */
            continue;
        uint64_t now_heard = fx_conn_heard(r->conn);
        int silent = heard == now_heard; /* since the last PING */
        heard = now_heard;
        if (silent || fx_conn_ping(r->conn, r->deadline) != 0)
            return broken(r, r->repeats && r->most > 0 ? FAISSX_E_CONNECT : FAISSX_E_TIMEOUT,
                          "the server is silent: it does not even answer PING");
    }
}

static int skip_rest(struct fx_rpc *r)
{
    if (r->conn && r->left && fx_conn_skip(r->conn, r->left, r->deadline) != 0)
        return broken(r, FAISSX_E_CONNECT, fx_conn_error(r->conn));
    r->left = 0;
    while (r->conn && r->more) {
        size_t size;
        int rc = fx_conn_frame(r->conn, &size, &r->more, r->deadline);
        if (rc != 0 || (rc = fx_conn_skip(r->conn, size, r->deadline)) != 0)
            return cut_off(r, rc);
    }
    return 0;
}

/* Read one message's header.  Returns 1 when it answers another request. */
static int read_header(struct fx_rpc *r)
{
    size_t size;
    const char *why;
    uint64_t id;
    int rc;
    if (wait_message(r, &size, &r->more) != 0)
        return -1;
    if (size != 0 || !r->more)
        return fx_rpc_malformed(r, "the server's message has no delimiter");
    if ((rc = fx_conn_frame(r->conn, &size, &r->more, r->deadline)) != 0)
        return cut_off(r, rc);
    if (size > FX_HEADER_MAX)
        return fx_rpc_malformed(r, "the header of the server's message is larger than 64 KiB");
    char *buf = realloc(r->reply_buf, size ? size : 1);
    if (!buf)
        return broken(r, FAISSX_E_MEMORY, "out of memory");
    r->reply_buf = buf;
    if (fx_conn_read(r->conn, buf, size, r->deadline) != 0)
        return broken(r, FAISSX_E_CONNECT, fx_conn_error(r->conn));
    fx_header_free(&r->reply);
    if (fx_header_read(&r->reply, buf, size, &why) != 0)
        return fx_rpc_malformed(r, why);
    r->self->channel.owed--;
    if (fx_header_uint(&r->reply, "request_id", &id) && id >= r->oldest && id <= r->id) {
        r->answered = id;
        r->nframes = 0;
        return 0;
    }
    /* It answers a request that timed out. */
    return skip_rest(r) == 0 ? 1 : -1;
}

/* FAISSX_VERBOSE: what FAISS printed during the call. */
static void show_printed(const struct fx_rpc *r)
{
    const char *text;
    size_t n;
    if (fx_settings_verbose() && fx_header_str(&r->reply, "printed", &text, &n))
        fwrite(text, 1, n, stderr);
}

/* The last error is a refusal of a kind that comes before the server knows which request it is. */
static int may_be_about_this_sending_only(void)
{
    int kind = fx_error_kind();
    return kind == FAISSX_E_LIMIT || kind == FAISSX_E_CONNECT || kind == FAISSX_E_SESSION;
}

int fx_rpc_recv(struct fx_rpc *r)
{
    int rc;
    uint64_t made;
    while ((rc = read_header(r)) == 1)
        ;
    if (rc != 0)
        return -1;
    show_printed(r);
    if (fx_header_is(&r->reply, "status", "ok")) {
        r->outcome = FX_MADE;
        return 0;
    }
    fx_refusal(&r->reply, FAISSX_E_FAISS);
    r->wanted = fx_header_is(&r->reply, "kind", "unsent");
    if (fx_error_kind() == FAISSX_E_SESSION) {
        fx_session_lost(r->generation, r->deadline);
        r->trouble = FX_SESSION_LOST;
    } else if (fx_error_kind() == FAISSX_E_CONNECT) { /* the server is stopping */
        r->trouble = FX_BROKEN;
    }
    if (fx_header_uint(&r->reply, "made", &made) && made)
        r->outcome = FX_MADE;
    else if (fx_header_is(&r->reply, "kind", "timeout"))
        r->outcome = FX_TOLD;
    else if (!r->doubt || !may_be_about_this_sending_only())
        r->outcome = FX_NOT_MADE;
    return -1;
}

int fx_rpc_frame(struct fx_rpc *r, size_t *size)
{
    if (!r->more)
        return 1;
    int rc = fx_conn_frame(r->conn, size, &r->more, r->deadline);
    if (rc != 0)
        return cut_off(r, rc);
    r->left = *size;
    r->nframes++;
    return 0;
}

int fx_rpc_read(struct fx_rpc *r, void *buf, size_t n)
{
    if (n > r->left)
        return fx_rpc_malformed(r, "a frame of the reply is too short");
    if (fx_conn_read(r->conn, buf, n, r->deadline) != 0)
        return broken(r, FAISSX_E_CONNECT, fx_conn_error(r->conn));
    r->left -= n;
    return 0;
}

uint64_t fx_rpc_blob(const struct fx_rpc *r, size_t *size)
{
    const msgpack_object *o = fx_header_get(&r->reply, "big");
    int frame = r->nframes - 1;
    if (!o || o->type != MSGPACK_OBJECT_ARRAY || (uint32_t)frame >= o->via.array.size)
        return 0;
    o = &o->via.array.ptr[frame];
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 3 ||
        o->via.array.ptr[1].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
        o->via.array.ptr[2].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return 0;
    *size = (size_t)o->via.array.ptr[2].via.u64;
    return o->via.array.ptr[1].via.u64;
}

void fx_rpc_end(struct fx_rpc *r)
{
    if (!r->begun)
        return;
    if (r->conn && r->conn == r->self->channel.conn) /* an upload may have lost it */
        skip_rest(r);
    fx_header_free(&r->reply);
    free(r->reply_buf);
    r->reply_buf = NULL;
    free(r->first.text);
    r->first.text = NULL;
    fx_thread_disengage(r->self, r->cancel);
    r->begun = 0;
}
