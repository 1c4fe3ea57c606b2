/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/exchange.h"

#include "server/engine/keep/keep.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/peers.h"
#include "server/engine/run/ready.h"
#include "server/engine/run/under_way.h"
#include "server/engine/run/watch.h"

/* The connection has ended, or epoll cannot watch it. */
static void lost(struct fxe_conn *c)
{
    fxe_conn_kill(c);
    fxe_lock();
    fxe_session_unbind(c);
    fxe_unlock();
}

/* Queues a request for which fxe_req_prepare has returned rc, or ends it.  The caller holds
 * engine.lock, which is released. */
static void queue_request(struct fxe_req *r, int rc)
{
    if (rc == 0 && (fxe_keep_prepare(r) || fxe_needs_take(r, &r->needs, false)))
        fxe_ready_add(r);
    /* If it did not get its locks, fxe_ready_retry queues it later. */
    fxe_unlock();
    if (rc < 0)
        fxe_req_finish(r);
}

/* Prepares a request that has been read, and queues it if it gets all its locks now. */
static void begin_request(struct fxe_msg *m, struct fxe_conn *c)
{
    struct fxe_req *r = fxe_req_new(m, c);
    if (!r) {
        lost(c);
        return;
    }
    r->began_ms = fxe_now_ms();
    fxe_lock();
    fxe_under_way_begin(c, r);
    if (fxe_under_way_is_stopping())
        fxe_fail(r, "shutdown", "the server is stopping");
    int rc = fxe_req_prepare(r);
    queue_request(r, rc);
}

void fxe_exchange_again(struct fxe_req *r)
{
    fxe_lock();
    int rc = fxe_req_prepare_again(r);
    queue_request(r, rc);
    fxe_lock();
    if (!fxe_ready_is_empty())
        fxe_watch_wake();
    fxe_unlock();
}

int fxe_exchange_read(struct fxe_conn *c)
{
    struct fxe_msg *m = NULL;
    pthread_mutex_lock(&c->lock);
    int rc = c->dead ? -1 : c->phase != FXE_IDLE ? 0 : fxe_conn_read(c, &m);
    if (rc == 1)
        c->phase = FXE_BUSY;
    pthread_mutex_unlock(&c->lock);
    if (rc == 1)
        begin_request(m, c);
    else if (rc < 0)
        lost(c);
    return rc;
}

void fxe_exchange_leave(struct fxe_conn *c, bool looked)
{
    bool took = false;
    pthread_mutex_lock(&c->lock);
    if (!c->dead && c->phase == FXE_IDLE && !looked && fxe_conn_has_more(c)) {
        fxe_lock();
        took = fxe_watch_unread(c);
        fxe_unlock();
    } else if (!c->dead && c->phase == FXE_IDLE) {
        fxe_conn_rest(c);
        took = fxe_watch_conn(c, EPOLLIN);
    }
    bool dead = c->dead;
    pthread_mutex_unlock(&c->lock);
    if (dead)
        lost(c);
    if (!took)
        fxe_conn_unref(c);
}

void fxe_exchange_unread(struct fxe_conn *c)
{
    if (fxe_exchange_read(c) == 0)
        fxe_exchange_leave(c, true);
    else
        fxe_conn_unref(c);
}

int fxe_exchange_reply(struct fxe_req *r, const struct fx_frame *frames, int n)
{
    struct fxe_conn *c = r->conn;
    pthread_mutex_lock(&c->lock);
    int rc = fxe_conn_send(c, r, frames, n);
    if (rc == 0) {
        c->phase = FXE_FLUSHING;
        fxe_conn_ref(c);
        if (!fxe_watch_conn(c, EPOLLOUT))
            fxe_conn_unref(c); /* not the last one: r has another */
        if (c->dead)
            rc = fxe_conn_flush(c);
    }
    fxe_peer_owes(c);
    pthread_mutex_unlock(&c->lock);
    if (rc < 0)
        lost(c);
    return rc;
}

/* While a request is under way: answers commands, and looks for the connection's end.  Returns
 * whether epoll took the caller's reference.  The caller holds conn.lock. */
static bool while_busy(struct fxe_conn *c)
{
    int rc = fxe_conn_commands(c);
    if (rc < 0 || fxe_conn_is_gone(c)) {
        __atomic_store_n(&c->gone, true, __ATOMIC_RELAXED);
        fxe_lock();
        fxe_session_unbind(c); /* the lease begins, even while the call still runs */
        fxe_unlock();
        return false;
    }
    return fxe_watch_conn(c, rc == 0 ? EPOLLIN | EPOLLRDHUP : EPOLLRDHUP);
}

/* Handles an event of a connection.  If another thread re-arms the connection after epoll has
 * reported it to this worker, a second worker may get an event, too: the first one to lock the
 * connection takes the reference, and the other does nothing. */
static void on_conn(void *ctx, struct fxs_event *s, uint32_t events)
{
    struct fxe_conn *c = (struct fxe_conn *)s;
    struct fxe_req *sent = NULL;
    struct fxe_msg *m = NULL;
    bool took = false;
    int rc = 0;
    (void)ctx;
    (void)events; /* they may be out of date: c->phase says what to do */
    pthread_mutex_lock(&c->lock);
    if (!c->armed) {
        pthread_mutex_unlock(&c->lock);
        return;
    }
    c->armed = false;
    switch (c->phase) {
    case FXE_FLUSHING:
        sent = c->sending;
        rc = sent ? fxe_conn_flush(c) : -1;
        fxe_peer_owes(c);
        if (rc == 0 && (took = fxe_watch_conn(c, EPOLLOUT)))
            sent = NULL;
        else if (rc == 0)
            rc = fxe_conn_flush(c); /* epoll cannot watch it and it is dead now: -1 */
        break;
    case FXE_BUSY:
        took = c->dead ? false : while_busy(c);
        break;
    case FXE_IDLE:
        rc = c->dead ? -1 : fxe_conn_read(c, &m);
        if (rc == 1)
            c->phase = FXE_BUSY;
        else if (rc == 0 && !(took = fxe_watch_conn(c, EPOLLIN)))
            rc = -1;
        break;
    }
    pthread_mutex_unlock(&c->lock);
    if (rc < 0)
        lost(c);
    if (m)
        begin_request(m, c);
    if (sent)
        fxe_req_sent(sent);
    if (!took)
        fxe_conn_unref(c);
}

void fxe_exchange_start(struct fxe_conn *c)
{
    c->source.handler = on_conn;
    fxe_exchange_unread(c);
    fxe_lock();
    if (!fxe_ready_is_empty())
        fxe_watch_wake();
    fxe_unlock();
}
