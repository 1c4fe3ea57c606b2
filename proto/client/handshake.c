/* SPDX-License-Identifier: Apache-2.0 */
/* The client's handshake, with the mechanism NULL or CURVE. */
#include <string.h>

#include "proto/client/inside.h"
#include "proto/curve_shake.h"

static int check_greeting(struct fx_conn *c, int mechanism, int64_t deadline)
{
    const char *why;
    int r;
    for (size_t n = 1; (r = fx_conn_need(c, n, deadline)) == 0; n = c->end - c->pos + 1) {
        int ok = fx_zmtp_check_greeting(c->buf + c->pos, c->end - c->pos, mechanism, &why);
        if (ok < 0)
            return fx_conn_fail(c, "%s", why);
        if (ok) {
            c->pos += FX_ZMTP_GREETING;
            return 0;
        }
    }
    return r;
}

/* Check READY's metadata: the peer must be a socket type that answers. */
static int check_ready(struct fx_conn *c, const uint8_t *p, size_t n)
{
    char type[FX_ZMTP_TYPE_MAX + 1];
    if (fx_zmtp_socket_type(p, n, type) != 0)
        return fx_conn_fail(c, "protocol error: the peer sent a bad READY");
    if (strcmp(type, "ROUTER") != 0 && strcmp(type, "REP") != 0)
        return fx_conn_fail(c, "the peer is not a ZeroMQ ROUTER or REP socket");
    return 0;
}

/* Wait for a command of the handshake, and consume it.  ERROR ends the connection; others that may
 * come at any time are handled.  Returns its body, which is valid until the buffer is used again.
 */
static int next_command(struct fx_conn *c, const char *name, uint8_t **body, size_t *n,
                        int64_t deadline)
{
    struct fx_zmtp_head h;
    int r;
    while ((r = fx_conn_peek(c, &h, deadline)) == 0) {
        uint8_t *p = c->buf + c->pos + h.len;
        if (!(h.flags & FX_ZMTP_COMMAND))
            return fx_conn_fail(c, "protocol error: the peer sent a message before READY");
        c->pos += h.len + h.size;
        *n = h.size;
        if (fx_zmtp_command(p, n, name)) {
            *body = p;
            *n = h.size;
            return 0;
        }
        if (fx_now_ms() >= deadline) /* a peer that sends other commands for ever */
            return fx_conn_fail(c, "the peer did not finish the handshake in time");
        if ((r = fx_conn_command(c, p, h.size, deadline)) != 0)
            return r;
    }
    return r;
}

static int shake_null(struct fx_conn *c, int64_t deadline)
{
    /* Send greeting and READY together to save a round trip: READY does not depend on the peer. */
    uint8_t hello[FX_ZMTP_GREETING + FX_ZMTP_READY_MAX], *body;
    fx_zmtp_greeting(hello, FX_ZMTP_NULL, 0);
    size_t n = FX_ZMTP_GREETING + fx_zmtp_ready(hello + FX_ZMTP_GREETING, "DEALER", 1);
    struct iovec iov = {hello, n};
    int r = fx_conn_put(c, &iov, 1, -1, deadline);
    if (r == 0)
        r = check_greeting(c, FX_ZMTP_NULL, deadline);
    if (r == 0)
        r = next_command(c, "READY", &body, &n, deadline);
    return r ? r : check_ready(c, body + 6, n - 6);
}

static int put_command(struct fx_conn *c, uint8_t *frame, size_t head, size_t n, int64_t deadline)
{
    struct iovec iov = {frame, head + n};
    return fx_conn_put(c, &iov, 1, -1, deadline);
}

/* HELLO to INITIATE; keys.in and keys.out are not known yet. */
static int begin_curve(struct fx_conn *c, struct fx_curve_shake *s, const struct fx_curve_keys *k,
                       int64_t deadline)
{
    uint8_t to[FX_ZMTP_GREETING + 2 + FX_CURVE_HELLO], *body;
    uint8_t initiate[FX_ZMTP_HEAD_MAX + FX_CURVE_INITIATE + FX_ZMTP_READY_MAX];
    uint8_t metadata[FX_ZMTP_READY_MAX];
    const char *why;
    size_t n;
    int r;
    /* Greeting and HELLO together, for the same reason.  A server that does not offer CURVE learns
     * nothing from HELLO, and gets nothing more. */
    fx_zmtp_greeting(to, FX_ZMTP_CURVE, 0);
    size_t head =
        FX_ZMTP_GREETING + fx_zmtp_put_head(to + FX_ZMTP_GREETING, FX_ZMTP_COMMAND, FX_CURVE_HELLO);
    if (fx_curve_put_hello(s, k, to + head, &why) != 0)
        return fx_conn_fail(c, "%s", why);
    if ((r = put_command(c, to, head, FX_CURVE_HELLO, deadline)) != 0 ||
        (r = check_greeting(c, FX_ZMTP_CURVE, deadline)) != 0 ||
        (r = next_command(c, "WELCOME", &body, &n, deadline)) != 0)
        return r;
    if (fx_curve_take_welcome(s, body, n, &why) != 0)
        return fx_conn_fail(c, "%s", why);
    n = fx_zmtp_metadata(metadata, "DEALER", 1);
    head = fx_zmtp_put_head(initiate, FX_ZMTP_COMMAND, FX_CURVE_INITIATE + n);
    if (fx_curve_put_initiate(s, k, initiate + head, metadata, n, &why) != 0)
        return fx_conn_fail(c, "%s", why);
    return put_command(c, initiate, head, FX_CURVE_INITIATE + n, deadline);
}

static int shake_curve(struct fx_conn *c, const struct fx_curve_keys *k, int64_t deadline)
{
    struct fx_curve_shake s;
    struct fx_curve keys = {0};
    const uint8_t *metadata;
    const char *why;
    uint8_t *body;
    size_t n;
    int r = begin_curve(c, &s, k, deadline);
    if (r == 0)
        r = next_command(c, "READY", &body, &n, deadline);
    if (r == 0 && !(metadata = fx_curve_take_ready(&s, body, &n, &keys, &why)))
        r = fx_conn_fail(c, "%s", why);
    if (r == 0)
        r = check_ready(c, metadata, n);
    if (r == 0 && !(c->secure = fx_secure_new(&keys)))
        r = fx_conn_fail(c, "out of memory");
    fx_curve_forget(&s, sizeof s);
    fx_curve_forget(&keys, sizeof keys);
    return r;
}

int fx_conn_handshake(struct fx_conn *c, const struct fx_curve_keys *keys, int64_t deadline)
{
    int r = keys ? shake_curve(c, keys, deadline) : shake_null(c, deadline);
    return r == FX_CONN_LATE ? fx_conn_fail(c, "timed out waiting for a ZeroMQ handshake") : r;
}
