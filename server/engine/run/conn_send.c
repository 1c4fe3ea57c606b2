/* SPDX-License-Identifier: Apache-2.0 */
/* Sending replies.  No thread waits for a client that does not read. */
#include <errno.h>
#include <sys/socket.h>

#include "server/engine/run/conn.h"
#include "server/engine/run/kept.h"
#include "server/engine/run/request.h"
#include "server/engine/run/secure.h"

/* Copies what comes next, at most `most` bytes.  Returns the number of parts. */
static int next_bytes(const struct fx_zmtp_message *m, struct iovec *part, size_t most)
{
    int n = 0;
    for (; n < m->niov && most; n++) {
        part[n] = m->iov[n];
        if (part[n].iov_len > most)
            part[n].iov_len = most;
        most -= part[n].iov_len;
    }
    return n;
}

/* Sends as much of r's reply as the socket accepts, up to FXE_CONN_TURN bytes: then it is the turn
 * of other connections, however fast this client reads.  Returns 1 if all of it has been sent, 0 if
 * not, -1 if the connection is broken. */
static int send_some(struct fxe_conn *c, struct fxe_req *r)
{
    struct fx_zmtp_message *m = &r->wire;
    struct iovec part[2 * FX_FRAMES_MAX];
    size_t turn = FXE_CONN_TURN;
    if (c->secure)
        return fxe_secure_flush(c);
    while (m->niov && turn) {
        struct msghdr msg = {.msg_iov = part, .msg_iovlen = (size_t)next_bytes(m, part, turn)};
        ssize_t sent = sendmsg(c->source.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? 0 : -1;
        m->niov = fx_iov_advance(m->iov, m->niov, (size_t)sent);
        turn -= (size_t)sent;
    }
    return m->niov ? 0 : 1;
}

/* The reply has been sent (rc is 1), or never will be (-1).  Returns rc. */
static int sent_all(struct fxe_conn *c, struct fxe_req *r, int rc)
{
    fxe_kept_sub(r->unsent);
    r->unsent = 0;
    c->sending = NULL;
    if (c->secure)
        fxe_secure_sent(c);
    if (rc == 1 && c->discard)
        shutdown(c->source.fd, SHUT_WR); /* nothing follows the error */
    return rc;
}

int fxe_conn_send(struct fxe_conn *c, struct fxe_req *r, const struct fx_frame *frames, int n)
{
    if (c->dead)
        return -1;
    int rc = 1;
    if (c->secure)
        rc = fxe_secure_send(c, frames, n);
    else
        fx_zmtp_message(&r->wire, frames, n);
    if (rc > 0)
        rc = send_some(c, r);
    if (rc != 0)
        return sent_all(c, r, rc);
    if (c->secure)
        r->unsent = fxe_secure_left(c);
    for (int i = 0; !c->secure && i < r->wire.niov; i++)
        r->unsent += r->wire.iov[i].iov_len;
    fxe_kept_add(r->unsent);
    c->sending = r;
    return 0;
}

int fxe_conn_flush(struct fxe_conn *c)
{
    struct fxe_req *r = c->sending;
    int rc = c->dead ? -1 : send_some(c, r);
    return rc == 0 ? 0 : sent_all(c, r, rc);
}
