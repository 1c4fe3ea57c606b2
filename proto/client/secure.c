/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the client's connection under CURVE. */
#include <stdlib.h>
#include <string.h>

#include "proto/client/inside.h"

enum { OUT = FX_PIECE + (64 << 10) /* bytes to seal at a time: a piece of an upload, whole */ };

struct fx_secure *fx_secure_new(const struct fx_curve *keys)
{
    struct fx_secure *s = aligned_alloc(_Alignof(struct fx_secure), sizeof *s);
    if (s) {
        memset(s, 0, sizeof *s);
        s->keys = *keys;
    }
    return s;
}

static void drop_whole(struct fx_secure *s)
{
    free(s->whole);
    s->whole = NULL;
}

void fx_secure_free(struct fx_secure *s)
{
    if (!s)
        return;
    drop_whole(s);
    fx_curve_message_end(&s->out);
    explicit_bzero(s, sizeof *s);
    free(s);
}

/* --- sending --- */

int fx_secure_send(struct fx_conn *c, const struct fx_frame *frames, int n, int fd,
                   int64_t deadline)
{
    struct fx_curve_message *m = &c->secure->out;
    int rc = fx_curve_message(m, frames, n, c->secure->small, sizeof c->secure->small, OUT);
    if (rc != 0)
        return fx_conn_fail(c, "out of memory for a message to the server");
    while ((rc = fx_curve_message_next(&c->secure->keys, m)) == 1) {
        struct iovec iov = {m->buf, m->to};
        if ((rc = fx_conn_put(c, &iov, 1, fd, deadline)) != 0)
            break;
        fd = -1;
    }
    fx_curve_message_end(m);
    return rc == 0 ? 0 : fx_conn_fail(c, "this connection has sent too many messages");
}

int fx_secure_send_command(struct fx_conn *c, const uint8_t *body, size_t n, int64_t deadline)
{
    uint8_t frame[FX_ZMTP_HEAD_MAX + FX_CURVE_BEGIN + FX_ZMTP_PONG_MAX];
    struct iovec iov = {frame, fx_curve_seal(&c->secure->keys, frame, FX_CURVE_COMMAND, body, n)};
    if (iov.iov_len == 0)
        return fx_conn_fail(c, "this connection has sent too many messages");
    return fx_conn_put(c, &iov, 1, -1, deadline);
}

/* --- receiving --- */

/* The frame's data has all been taken: is it genuine? */
static int finish(struct fx_conn *c)
{
    const char *why;
    c->secure->open = 0;
    if (fx_curve_opened(&c->secure->frame, &why) != 0)
        return fx_conn_fail(c, "protocol error: the server sent %s", why);
    return 0;
}

/* Begins the next frame, whose head is h.  A small one is opened in the buffer at once; of a large
 * one all but the flags is opened when it is read. */
static int begin(struct fx_conn *c, const struct fx_zmtp_head *h, int *flags, int64_t deadline)
{
    struct fx_secure *s = c->secure;
    const char *why;
    if (h->size < FX_CURVE_BEGIN || h->flags & FX_ZMTP_MORE)
        return fx_conn_fail(c, "protocol error: the server sent a frame without CURVE's MESSAGE");
    size_t size = h->size - FX_CURVE_BEGIN;
    int small = h->size <= sizeof c->buf - FX_ZMTP_HEAD_MAX;
    int r = fx_conn_need(c, h->len + (small ? h->size : (size_t)FX_CURVE_BEGIN), deadline);
    if (r != 0)
        return r;
    uint8_t *p = c->buf + c->pos + h->len;
    if (fx_curve_open(&s->keys, &s->frame, p, flags, &why) != 0)
        return fx_conn_fail(c, "protocol error: the server sent %s", why);
    c->pos += h->len + FX_CURVE_BEGIN;
    s->open = 1;
    c->left = size;
    if (!small && *flags & FX_CURVE_COMMAND)
        return fx_conn_fail(c, "protocol error: the server sent a command of %zu bytes", size);
    if (!small)
        return 0;
    fx_curve_open_more(&s->frame, p + FX_CURVE_BEGIN, size);
    return finish(c);
}

int fx_secure_frame(struct fx_conn *c, size_t *size, int *more, int64_t deadline)
{
    struct fx_zmtp_head h;
    int r, flags;
    drop_whole(c->secure);
    for (;;) {
        if ((r = fx_conn_peek(c, &h, deadline)) != 0 || (r = begin(c, &h, &flags, deadline)) != 0)
            return r;
        if (!(flags & FX_CURVE_COMMAND)) {
            *size = c->left;
            *more = flags & FX_CURVE_MORE;
            return 0;
        }
        const uint8_t *body = c->buf + c->pos;
        size_t n = c->left;
        c->pos += n;
        c->left = 0;
        if (fx_conn_command(c, body, n, deadline) != 0)
            return -1;
    }
}

static void open_part(struct fx_conn *c, uint8_t *part, size_t n, int dropped)
{
    if (dropped)
        fx_curve_open_skip(&c->secure->frame, part, n);
    else
        fx_curve_open_more(&c->secure->frame, part, n);
}

/* Reads all that is left of an open frame, which is a large one. */
static int read_open(struct fx_conn *c, uint8_t *to, size_t n, int64_t deadline)
{
    if (fx_conn_take(c, to, n, open_part, deadline) == 0 && finish(c) == 0)
        return 0;
    if (to) /* what was not found genuine is not left in the program's memory */
        memset(to, 0, n);
    return -1;
}

int fx_secure_read(struct fx_conn *c, uint8_t *to, size_t n, int64_t deadline)
{
    struct fx_secure *s = c->secure;
    if (n == 0)
        return 0;
    if (s->open && n < c->left) {
        /* No part of a frame is given out before all of it has been found genuine. */
        size_t all = c->left;
        s->at = 0;
        s->whole = malloc(all);
        if (!s->whole)
            return fx_conn_fail(c, "out of memory for %zu bytes from the server", all);
        if (read_open(c, s->whole, all, deadline) != 0)
            return -1;
        c->left = all;
    }
    if (s->open)
        return read_open(c, to, n, deadline);
    if (!s->whole)
        return fx_conn_take(c, to, n, NULL, deadline); /* from the buffer */
    if (to)
        memcpy(to, s->whole + s->at, n);
    s->at += n;
    c->left -= n;
    return 0;
}
