/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "front_state.h"
#include "log.h"

/* Send [route][empty][frames].  Takes all of them.  Never waits: a reply that cannot
 * be queued is dropped, and the client's deadline does the rest. */
static bool send_to(struct fxs_front *f, zmq_msg_t *route, zmq_msg_t *frames, int n)
{
    zmq_msg_t empty;
    bool sent = false;
    if (zmq_msg_send(route, f->router, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        fxs_log(FXS_DEBUG, "front", "reply dropped reason=\"%s\"", zmq_strerror(errno));
        goto out;
    }
    /* From here on nothing can fail but for a bug: the message is as good as queued. */
    zmq_msg_init(&empty);
    sent = zmq_msg_send(&empty, f->router, ZMQ_SNDMORE) >= 0;
    for (int i = 0; i < n && sent; i++)
        sent = zmq_msg_send(&frames[i], f->router, i + 1 < n ? ZMQ_SNDMORE : 0) >= 0;
out:
    f->dropped += !sent;
    zmq_msg_close(route); /* no effect on what has been sent */
    zmq_msg_init(route);
    for (int i = 0; i < n; i++)
        zmq_msg_close(&frames[i]);
    return sent;
}

static void send_header(struct fxs_front *f, struct fxs_caller *to, msgpack_sbuffer *buf)
{
    zmq_msg_t frame;
    if (zmq_msg_init_size(&frame, buf->size) == 0) {
        memcpy(zmq_msg_data(&frame), buf->data, buf->size);
        send_to(f, to->route, &frame, 1);
    } else {
        f->dropped++;
    }
    msgpack_sbuffer_destroy(buf);
}

/* Begin a header of 1 + `more` keys, and the request_id if there is one. */
static void begin(msgpack_sbuffer *buf, msgpack_packer *pk, const struct fxs_caller *to,
                  const char *status, unsigned more)
{
    msgpack_sbuffer_init(buf);
    msgpack_packer_init(pk, buf, msgpack_sbuffer_write);
    msgpack_pack_map(pk, 1 + to->has_id + more);
    fx_pack_str(pk, "status");
    fx_pack_str(pk, status);
    if (to->has_id) {
        fx_pack_str(pk, "request_id");
        msgpack_pack_uint64(pk, to->id);
    }
}

void fxs_front_error(struct fxs_front *f, struct fxs_caller *to, const char *kind,
                     const char *format, ...)
{
    char text[1024] = "faissx: ";
    msgpack_sbuffer buf;
    msgpack_packer pk;
    va_list args;
    va_start(args, format);
    vsnprintf(text + 8, sizeof(text) - 8, format, args);
    va_end(args);
    fxs_log(FXS_DEBUG, "front", "refused kind=%s message=\"%s\"", kind, text);
    begin(&buf, &pk, to, "error", 3);
    fx_pack_str(&pk, "code");
    msgpack_pack_int(&pk, -4);
    fx_pack_str(&pk, "kind");
    fx_pack_str(&pk, kind);
    fx_pack_str(&pk, "message");
    fx_pack_str(&pk, text);
    send_header(f, to, &buf);
}

void fxs_front_ok(struct fxs_front *f, struct fxs_caller *to)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    begin(&buf, &pk, to, "ok", 0);
    send_header(f, to, &buf);
}

void fxs_front_health(struct fxs_front *f, struct fxs_caller *to)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    begin(&buf, &pk, to, "ok", 7);
    fx_pack_str(&pk, "version");
    fx_pack_str(&pk, FAISSX_VERSION);
    fx_pack_str(&pk, "uptime");
    msgpack_pack_double(&pk, (double)(f->now - f->started) / 1000);
    fx_pack_str(&pk, "engines");
    msgpack_pack_uint64(&pk, fxs_engines_running(&f->engines));
    fx_pack_str(&pk, "sessions");
    msgpack_pack_uint64(&pk, fxs_sessions_count(&f->sessions));
    fx_pack_str(&pk, "requests");
    msgpack_pack_uint64(&pk, f->requests);
    fx_pack_str(&pk, "pending");
    msgpack_pack_uint64(&pk, f->pendings.count);
    fx_pack_str(&pk, "dropped");
    msgpack_pack_uint64(&pk, f->dropped);
    send_header(f, to, &buf);
}

bool fxs_front_probe(struct fxs_front *f, const void *route, size_t size)
{
    static const char probe[] = "\x81\xa6status\xa5probe";
    if (zmq_send(f->router, route, size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return errno != EHOSTUNREACH; /* EAGAIN: it is there, with a full queue */
    zmq_send(f->router, "", 0, ZMQ_SNDMORE);
    zmq_send(f->router, probe, sizeof(probe) - 1, 0);
    return true;
}

/* A hello that the engine refused made no session. */
static void hello_reply(struct fxs_front *f, const struct fxs_pending *p, zmq_msg_t *header)
{
    struct fx_header h = {0};
    const char *why;
    bool ok = fx_header_read(&h, zmq_msg_data(header), zmq_msg_size(header), &why) == 0 &&
              fx_header_is(&h, "status", "ok");
    fx_header_free(&h);
    struct fxs_session *s = ok ? NULL : fxs_session_find(&f->sessions, p->token);
    if (s)
        fxs_session_free(&f->sessions, s);
}

/* The request is over: forget it. */
static void done(struct fxs_front *f, struct fxs_pending *p)
{
    struct fxs_session *s = fxs_session_find(&f->sessions, p->token);
    if (s) {
        s->inflight--;
        s->used = f->now;
    }
    p->engine->pending--;
    p->engine->held -= p->bytes;
    fxs_pending_done(&f->pendings, p);
}

void fxs_front_reply(struct fxs_front *f, struct fxs_engine *e, struct fxs_link_msg *m)
{
    struct fxs_pending *p = fxs_pending_find(&f->pendings, m->head.ticket);
    /* An engine that a hostile file has taken over must not answer for another. */
    if (!p || p->engine != e || m->head.kind != FX_LINK_REPLY || m->head.nframes == 0) {
        fxs_log(FXS_WARN, "front", "senseless reply tenant=%s ticket=%llx", e->tenant,
                (unsigned long long)m->head.ticket);
        fxs_link_msg_close(m);
        return;
    }
    e->answered = true;
    if (m->lost) {
        struct fxs_caller to = {&p->route, p->has_id, p->id};
        fxs_front_error(f, &to, "limit",
                        "the reply of %s is lost: the server has too many open descriptors",
                        p->operation);
        fxs_link_msg_close(m);
    } else {
        if (p->hello)
            hello_reply(f, p, &m->frames[0]);
        send_to(f, &p->route, m->frames, m->head.nframes);
    }
    done(f, p);
}

void fxs_front_bury(struct fxs_front *f, struct fxs_engine *e)
{
    uint32_t cursor = 0;
    struct fxs_pending *p;
    while ((p = fxs_pending_next(&f->pendings, e, &cursor))) {
        struct fxs_caller to = {&p->route, p->has_id, p->id};
        if (f->stopping)
            fxs_front_error(f, &to, "shutdown", "the server stopped before %s was finished",
                            p->operation);
        else
            fxs_front_error(f, &to, "engine",
                            "the engine of tenant '%s' died (%s) while running %s; its objects "
                            "are gone",
                            e->tenant, e->death, p->operation);
        struct fxs_session *s = p->hello ? fxs_session_find(&f->sessions, p->token) : NULL;
        if (s) /* its client never learned of it */
            fxs_session_free(&f->sessions, s);
        done(f, p);
    }
}

void fxs_front_end_session(struct fxs_front *f, struct fxs_session *s)
{
    struct fx_link_head head = {.kind = FX_LINK_END_SESSION};
    fxs_log(FXS_DEBUG, "front", "session ended tenant=%s", s->engine->tenant);
    if (s->engine->state != FXS_RUNNING)
        return; /* its objects went with the process */
    memcpy(head.token, s->token, sizeof(head.token));
    fxs_engine_send(&f->engines, s->engine, &head, NULL);
}
