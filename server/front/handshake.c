/* SPDX-License-Identifier: Apache-2.0 */
#include "server/front/handshake.h"

#include <errno.h>
#include <string.h>

#include "proto/zmtp.h"
#include "server/front/secure.h"
#include "server/log.h"

/* Sends the part of a greeting from byte `from` on, and READY if that is to follow at once. */
static int greet(const struct fxs_guest *g, enum fx_zmtp_mechanism mechanism, size_t from,
                 bool ready)
{
    uint8_t hello[FX_ZMTP_GREETING + FX_ZMTP_READY_MAX];
    size_t n = FX_ZMTP_GREETING;
    fx_zmtp_greeting(hello, mechanism, 1);
    if (ready)
        n += fx_zmtp_ready(hello + FX_ZMTP_GREETING, "ROUTER", 0);
    return fxs_guest_send(g, hello + from, n - from);
}

/* Greeting and READY together: this saves one round trip for a client that waits for each step, and
 * a new socket has room for both.  If CURVE is offered, the client chooses: then only what is
 * before the mechanism.  A failed send is not an error here: the client may have disconnected
 * already. */
void fxs_handshake_begin(const struct fxs_front *f, const struct fxs_guest *g)
{
    uint8_t hello[FX_ZMTP_GREETING];
    fx_zmtp_greeting(hello, FX_ZMTP_NULL, 1);
    if ((f->secure ? fxs_guest_send(g, hello, FX_ZMTP_VERSION) : greet(g, FX_ZMTP_NULL, 0, true)) !=
        0)
        fxs_log(FXS_DEBUG, "front", "event=cannot-greet why=\"%s\"", strerror(errno));
}

void fxs_handshake_refuse(struct fxs_front *f, struct fxs_guest *g, const char *why)
{
    uint8_t error[FX_ZMTP_ERROR_MAX];
    size_t n = fx_zmtp_error(error, why);
    if (g->record.curve) { /* nothing is sent in the clear from now on */
        fxs_guest_close(f, g, why);
        return;
    }
    fxs_guest_count(f, g);
    fxs_log(FXS_DEBUG, "front", "event=refused peer=\"%s\" why=\"%s\"", g->record.peer, why);
    if (fxs_guest_send(g, error, n) == 0)
        fxs_guest_drain(f, g);
    else
        fxs_guest_close(f, g, why);
}

bool fxs_handshake_metadata(struct fxs_front *f, struct fxs_guest *g, const uint8_t *p, size_t n)
{
    char type[FX_ZMTP_TYPE_MAX + 1];
    const char *wrong = NULL;
    if (fx_zmtp_socket_type(p, n, type) != 0)
        wrong = "READY has no valid Socket-Type";
    else if (strcmp(type, "REQ") != 0 && strcmp(type, "DEALER") != 0 && strcmp(type, "ROUTER") != 0)
        wrong = "the socket type must be REQ or DEALER";
    if (wrong)
        fxs_handshake_refuse(f, g, wrong);
    return !wrong;
}

bool fxs_handshake_curve(struct fxs_front *f, struct fxs_guest *g, const struct fx_zmtp_head *h)
{
    uint8_t *body = g->record.bytes + h->len;
    size_t n = h->size;
    const char *why = "the handshake could not be answered";
    int rc;
    if (g->state == FXS_GUEST_HELLO) {
        rc = fxs_secure_hello(f->secure, g, body, n, &why);
        g->state = FXS_GUEST_INITIATE;
    } else {
        const uint8_t *metadata = fxs_secure_initiate(f->secure, g, body, &n, &why);
        rc = metadata ? 0 : -1;
        if (metadata && !fxs_handshake_metadata(f, g, metadata, n))
            return false;
        if (metadata)
            rc = fxs_secure_ready(g);
        g->state = FXS_GUEST_MESSAGE;
    }
    if (rc != 0) {
        fxs_handshake_refuse(f, g, why);
        return false;
    }
    /* Not fxs_guest_consume(): nothing has been opened yet. */
    g->record.size -= (uint32_t)(h->len + h->size);
    memmove(g->record.bytes, g->record.bytes + h->len + h->size, g->record.size);
    return true;
}

bool fxs_handshake_greeting(struct fxs_front *f, struct fxs_guest *g)
{
    const char *why;
    int allowed = f->secure ? FX_ZMTP_NULL | FX_ZMTP_CURVE : FX_ZMTP_NULL;
    int rc = fx_zmtp_check_greeting(g->record.bytes, g->record.size, allowed, &why);
    if (rc == 0)
        return false;
    bool curve = rc == FX_ZMTP_CURVE;
    if (rc == FX_ZMTP_NULL && g->tcp && f->options->require_encryption) {
        why = "this server requires encryption: the client has to use CURVE";
        rc = -1; /* and it gets no READY, which it would answer with its key */
    }
    /* A client that says bye without CURVE does not wait for the greeting. */
    if (f->secure &&
        greet(g, curve ? FX_ZMTP_CURVE : FX_ZMTP_NULL, FX_ZMTP_VERSION, rc == FX_ZMTP_NULL) != 0 &&
        curve) {
        fxs_guest_close(f, g, "the greeting could not be sent");
        return false;
    }
    if (rc < 0) {
        fxs_handshake_refuse(f, g, why);
        return false;
    }
    fxs_guest_consume(g, FX_ZMTP_GREETING);
    g->state = curve ? FXS_GUEST_HELLO : FXS_GUEST_READY;
    return true;
}
