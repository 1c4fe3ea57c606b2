/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "front_state.h"
#include "log.h"

/* One message of a client. */
struct request {
    zmq_msg_t route;
    zmq_msg_t frames[FX_FRAMES_MAX]; /* header first */
    int nframes;
    int total; /* frames that came, more than nframes if there were too many */
    size_t bytes;
    bool delimited; /* the empty frame was there */
    struct fx_header header;
    struct fxs_caller from;
    const char *operation;
    size_t operation_len;
};

/* Read all frames of a message: libzmq delivers them together or not at all. */
static bool read_message(struct fxs_front *f, struct request *r)
{
    zmq_msg_t frame;
    zmq_msg_init(&r->route);
    if (zmq_msg_recv(&r->route, f->router, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&r->route);
        return false;
    }
    bool first = true, more = zmq_msg_more(&r->route);
    r->nframes = r->total = 0;
    r->bytes = 0;
    r->delimited = false;
    while (more) {
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, f->router, 0) < 0) {
            zmq_msg_close(&frame);
            break;
        }
        more = zmq_msg_more(&frame);
        size_t size = zmq_msg_size(&frame);
        if (first && size == 0) {
            r->delimited = true;
            zmq_msg_close(&frame);
        } else if (r->total++ < FX_FRAMES_MAX) {
            r->bytes += size;
            zmq_msg_init(&r->frames[r->nframes]);
            zmq_msg_move(&r->frames[r->nframes++], &frame);
        } else {
            zmq_msg_close(&frame);
        }
        first = false;
    }
    return true;
}

static void free_message(struct request *r)
{
    fx_header_free(&r->header);
    for (int i = 0; i < r->nframes; i++)
        zmq_msg_close(&r->frames[i]);
    zmq_msg_close(&r->route);
}

/* Framing and limits.  Returns false after it has answered. */
static bool check_frames(struct fxs_front *f, struct request *r)
{
    const char *why;
    size_t size = r->nframes ? zmq_msg_size(&r->frames[0]) : 0;
    /* First of all, since every answer names the request_id if it can be had. */
    int bad =
        !r->nframes ? -1 : fx_header_read(&r->header, zmq_msg_data(&r->frames[0]), size, &why);
    if (!bad)
        r->from.has_id = fx_header_uint(&r->header, "request_id", &r->from.id);

    if (!r->nframes)
        fxs_front_error(f, &r->from, "protocol", "the message has no header");
    else if (!r->delimited)
        fxs_front_error(f, &r->from, "protocol", "the message does not begin with an empty frame");
    else if (size > FX_HEADER_MAX)
        fxs_front_error(f, &r->from, "limit", "the header has %zu bytes, more than %d", size,
                        FX_HEADER_MAX);
    else if (bad)
        fxs_front_error(f, &r->from, "protocol", "%s", why);
    else if (r->total > FX_FRAMES_MAX)
        fxs_front_error(f, &r->from, "limit", "the message has %d frames, more than %d", r->total,
                        FX_FRAMES_MAX);
    else
        goto sizes;
    return false;
sizes:
    for (int i = 1; i < r->nframes; i++)
        if (zmq_msg_size(&r->frames[i]) > FX_FRAME_MAX) {
            fxs_front_error(f, &r->from, "limit", "frame %d has %zu bytes, more than %d", i,
                            zmq_msg_size(&r->frames[i]), FX_FRAME_MAX);
            return false;
        }
    if (!fx_header_str(&r->header, "operation", &r->operation, &r->operation_len)) {
        fxs_front_error(f, &r->from, "protocol", "the header has no operation");
        return false;
    }
    return true;
}

/* Pass the request to an engine.  `token` may be NULL. */
static bool forward(struct fxs_front *f, struct request *r, struct fxs_engine *e,
                    struct fxs_session *s, bool hello)
{
    struct fx_link_head head = {.kind = FX_LINK_REQUEST, .nframes = (uint16_t)r->nframes};
    char why[512];
    if (e->held + r->bytes > f->options->pending_max && e->pending) {
        fxs_front_error(f, &r->from, "limit",
                        "%zu MiB of requests of tenant '%s' wait for an answer already, and the "
                        "limit is %zu",
                        e->held >> 20, e->tenant, f->options->pending_max >> 20);
        return false;
    }
    if (fxs_engine_need(&f->engines, e, f->now, why, sizeof(why)) != 0) {
        fxs_front_error(f, &r->from, "engine", "%s", why);
        return false;
    }
    struct fxs_pending *p = fxs_pending_new(&f->pendings, e);
    if (!p) {
        fxs_front_error(f, &r->from, "limit", "too many requests wait for an answer");
        return false;
    }
    zmq_msg_move(&p->route, &r->route);
    p->has_id = r->from.has_id;
    p->id = r->from.id;
    p->hello = hello;
    p->bytes = r->bytes;
    snprintf(p->operation, sizeof(p->operation), "%.*s", (int)r->operation_len, r->operation);
    memset(p->token, 0, sizeof(p->token));
    if (s) {
        memcpy(p->token, s->token, sizeof(p->token));
        s->inflight++;
    }
    e->pending++;
    e->held += r->bytes;
    head.ticket = p->ticket;
    memcpy(head.token, p->token, sizeof(head.token));
    fxs_engine_send(&f->engines, e, &head, r->frames);
    return true;
}

/* The string value of a key.  One of another type is none that could be right. */
static struct fxs_text text(const struct request *r, const char *key)
{
    struct fxs_text t = {NULL, 0};
    const msgpack_object *o = fx_header_get(&r->header, key);
    if (!o || o->type == MSGPACK_OBJECT_NIL)
        return t;
    if (!fx_header_str(&r->header, key, &t.data, &t.size))
        t = (struct fxs_text){"", SIZE_MAX};
    return t;
}

/* Whose request is it?  Returns the tenant's engine, or NULL after it has answered. */
static struct fxs_engine *authenticate(struct fxs_front *f, struct request *r)
{
    const char *tenant;
    const char *wrong =
        fxs_auth_check(f->options->auth, text(r, "api_key"), text(r, "tenant_id"), &tenant);
    if (wrong) {
        fxs_front_error(f, &r->from, "auth", "%s", wrong);
        return NULL;
    }
    struct fxs_engine *e = fxs_engine_of(&f->engines, tenant);
    if (!e)
        fxs_front_error(f, &r->from, "limit", "out of memory");
    return e;
}

static void hello(struct fxs_front *f, struct request *r)
{
    uint64_t protocol;
    struct fxs_engine *e;
    if (!fx_header_uint(&r->header, "protocol", &protocol)) {
        fxs_front_error(f, &r->from, "protocol", "hello does not say which protocol it speaks");
        return;
    }
    if (protocol != FX_PROTOCOL) {
        fxs_front_error(f, &r->from, "protocol",
                        "the client speaks protocol %llu, this server protocol %d",
                        (unsigned long long)protocol, FX_PROTOCOL);
        return;
    }
    if (!(e = authenticate(f, r)))
        return;
    const msgpack_object *o = fx_header_get(&r->header, "lease");
    bool lease = o && o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean;
    struct fxs_session *s = fxs_session_new(&f->sessions, e, lease, f->now);
    if (!s) {
        fxs_front_error(f, &r->from, "limit", "too many sessions");
        return;
    }
    fxs_session_touch(&f->sessions, s, zmq_msg_data(&r->route), zmq_msg_size(&r->route), f->now);
    if (!forward(f, r, e, s, true))
        fxs_session_free(&f->sessions, s);
}

/* An operation of a session. */
static void in_session(struct fxs_front *f, struct request *r)
{
    struct fxs_text token = text(r, "session");
    struct fxs_session *s = NULL;
    if (token.size == FX_TOKEN_SIZE)
        s = fxs_session_find(&f->sessions, token.data);
    if (!s) {
        fxs_front_error(f, &r->from, "session",
                        "unknown session: it has ended, or the server has restarted; its objects "
                        "are gone");
        return;
    }
    if (fx_header_is(&r->header, "operation", "bye")) {
        fxs_front_end_session(f, s);
        fxs_session_free(&f->sessions, s);
        fxs_front_ok(f, &r->from);
        return;
    }
    fxs_session_touch(&f->sessions, s, zmq_msg_data(&r->route), zmq_msg_size(&r->route), f->now);
    forward(f, r, s->engine, s, false);
}

static bool is(const struct request *r, const char *operation)
{
    return r->operation_len == strlen(operation) &&
           memcmp(r->operation, operation, r->operation_len) == 0;
}

static void handle(struct fxs_front *f, struct request *r)
{
    struct fxs_engine *e;
    if (!check_frames(f, r))
        return;
    fxs_log(FXS_DEBUG, "front", "request operation=%.*s bytes=%zu",
            (int)(r->operation_len < 64 ? r->operation_len : 64), r->operation, r->bytes);
    if (is(r, "health"))
        fxs_front_health(f, &r->from);
    else if (is(r, "ping"))
        fxs_front_ok(f, &r->from);
    else if (f->stopping)
        fxs_front_error(f, &r->from, "shutdown", "the server is stopping");
    else if (is(r, "hello"))
        hello(f, r);
    else if (fx_header_get(&r->header, "session") || is(r, "bye"))
        in_session(f, r);
    else if ((e = authenticate(f, r)))
        forward(f, r, e, NULL, false);
}

bool fxs_front_request(struct fxs_front *f)
{
    struct request r;
    if (!read_message(f, &r))
        return false;
    f->requests++;
    memset(&r.header, 0, sizeof(r.header));
    r.from = (struct fxs_caller){.route = &r.route};
    handle(f, &r);
    free_message(&r);
    return true;
}
