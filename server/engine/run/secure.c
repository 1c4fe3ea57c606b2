/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/secure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server/log.h"

enum { OUT = 64 << 10 /* bytes of a reply to seal at a time */ };

struct fxe_secure {
    struct fx_curve keys;
    struct fx_curve_frame frame; /* the frame that is being read */
    struct fx_curve_message out;
    size_t clear;     /* bytes of the receive buffer that the front has opened: whole frames */
    bool begun, open; /* the frame's head has been read; its data is not known to be genuine */
    struct fx_zmtp_head at; /* then: of the frame */
};

struct fxe_secure *fxe_secure_new(const struct fxs_handover *h)
{
    struct fxe_secure *s = aligned_alloc(_Alignof(struct fxe_secure), sizeof *s);
    if (s) {
        memset(s, 0, sizeof *s);
        s->keys = h->keys;
        s->clear = h->clear;
    }
    return s;
}

void fxe_secure_free(struct fxe_secure *s)
{
    if (!s)
        return;
    fx_curve_message_end(&s->out);
    explicit_bzero(s, sizeof *s);
    free(s);
}

static int wrong(const struct fxe_conn *c, const char *why)
{
    fxs_log(FXS_WARN, "engine", "event=closed peer=\"%s\" mechanism=CURVE why=\"it sent %s\"",
            c->peer, why);
    return -1;
}

/* --- reading --- */

int fxe_secure_head(struct fxe_conn *c, struct fx_zmtp_head *h)
{
    struct fxe_secure *s = c->secure;
    const uint8_t *p = c->in + c->at;
    size_t have = c->have - c->at;
    const char *why;
    int flags;
    if (s->begun) {
        *h = s->at;
        return 1;
    }
    int rc = fx_zmtp_head(p, have, h);
    if (s->clear || rc == 0)
        return rc;
    if (rc < 0 || h->size < FX_CURVE_BEGIN || h->flags & FX_ZMTP_MORE)
        return wrong(c, "a frame without CURVE's MESSAGE");
    if (have < h->len + FX_CURVE_BEGIN)
        return 0;
    if (fx_curve_open(&s->keys, &s->frame, p + h->len, &flags, &why) != 0)
        return wrong(c, why);
    h->flags = (flags & FX_CURVE_MORE ? FX_ZMTP_MORE : 0) |
               (flags & FX_CURVE_COMMAND ? FX_ZMTP_COMMAND : 0);
    h->len += FX_CURVE_BEGIN;
    h->size -= FX_CURVE_BEGIN;
    s->at = *h;
    s->begun = s->open = true;
    return 1;
}

int fxe_secure_open_command(struct fxe_conn *c, const struct fx_zmtp_head *h)
{
    if (c->secure->open)
        fx_curve_open_more(&c->secure->frame, c->in + c->at + h->len, h->size);
    return fxe_secure_body_done(c) == 1 ? 0 : -1;
}

void fxe_secure_used(struct fxe_conn *c, size_t n)
{
    struct fxe_secure *s = c->secure;
    s->clear = n < s->clear ? s->clear - n : 0;
    s->begun = false;
}

void fxe_secure_body(struct fxe_conn *c, char *data, size_t n)
{
    if (c->secure->open)
        fx_curve_open_more(&c->secure->frame, (uint8_t *)data, n);
}

int fxe_secure_body_done(struct fxe_conn *c)
{
    const char *why;
    if (!c->secure->open)
        return 1; /* the front has opened it */
    c->secure->open = false;
    return fx_curve_opened(&c->secure->frame, &why) == 0 ? 1 : wrong(c, why);
}

/* --- sending --- */

size_t fxe_secure_command(struct fxe_conn *c, uint8_t *frame, size_t n)
{
    uint8_t body[FX_ZMTP_PONG_MAX];
    memcpy(body, frame + 2, n - 2);
    return fx_curve_seal(&c->secure->keys, frame, FX_CURVE_COMMAND, body, n - 2);
}

int fxe_secure_send(struct fxe_conn *c, const struct fx_frame *frames, int n)
{
    return fx_curve_message(&c->secure->out, frames, n, NULL, 0, OUT) == 0 ? 1 : -1;
}

int fxe_secure_flush(struct fxe_conn *c)
{
    struct fx_curve_message *m = &c->secure->out;
    for (size_t turn = 0; turn < FXE_CONN_TURN;) {
        int rc = m->from < m->to ? 1 : fx_curve_message_next(&c->secure->keys, m);
        if (rc <= 0)
            return rc < 0 ? -1 : 1;
        ssize_t sent =
            send(c->source.fd, m->buf + m->from, m->to - m->from, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EINTR)
            return errno == EAGAIN ? 0 : -1;
        m->from += sent < 0 ? 0 : (size_t)sent;
        turn += sent < 0 ? 0 : (size_t)sent;
    }
    return 0;
}

size_t fxe_secure_left(const struct fxe_conn *c)
{
    return fx_curve_message_left(&c->secure->out);
}

void fxe_secure_sent(struct fxe_conn *c)
{
    fx_curve_message_end(&c->secure->out);
}
