/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of an engine.
 *
 * A fixed number of workers, each with one OpenMP thread, and one wide lane that uses all
 * cores, for work that is worth them.  All idle workers wait in epoll for the link and
 * for direct connections; the one that the kernel wakes reads a request and runs it, so a
 * small call is handed from thread to thread only where two must overlap.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "coalesce.h"
#include "direct.h"
#include "flat.h"
#include "log.h"
#include "request.h"

/* A batch of fewer costs more than each search alone (flat.c computes eight at once). */
enum { EVENTS = 64, SMALLEST_BATCH = 3, STREAK = 64, LOOK_NS = 50000, GIVE_UP = 32 };

struct queue {
    struct fxe_req *first, *last;
    int n;
};

static struct {
    pthread_cond_t wide_cond;
    pthread_cond_t done_cond;  /* nothing is under way */
    struct queue ready, wide;  /* ready: have their locks */
    int idle;                  /* workers in epoll_wait */
    int under_way;             /* requests read and not finished */
    struct fxe_source *unread; /* connections that have been read further than answered */
    int stopping;
    int epoll;
    struct fxe_source link, listener, wake;
} pool = {.wide_cond = PTHREAD_COND_INITIALIZER, .done_cond = PTHREAD_COND_INITIALIZER};

static void push(struct queue *q, struct fxe_req *r)
{
    r->next = NULL;
    if (q->first)
        q->last->next = r;
    else
        q->first = r;
    q->last = r;
    q->n++;
}

static struct fxe_req *pop(struct queue *q)
{
    struct fxe_req *r = q->first;
    if (r) {
        q->first = r->next;
        q->n--;
    }
    return r;
}

/* Work is waiting, and perhaps a worker too. */
static void wake_one(void)
{
    static const uint64_t one = 1;
    if (pool.idle && write(pool.wake.fd, &one, sizeof one) < 0 && errno != EAGAIN)
        fxs_log(FXS_ERROR, "engine", "event=cannot-wake errno=%d", errno);
}

void fxe_pool_ready(struct fxe_req *r)
{
    if (!fxe_needs_take(r, &r->needs, 1))
        return;
    if (r->lane == FXE_WIDE) {
        push(&pool.wide, r);
        pthread_cond_signal(&pool.wide_cond);
    } else {
        push(&pool.ready, r);
        wake_one();
    }
}

/* Run or finish it; engine.lock is not held before, and is after. */
static void run(struct fxe_req *r, int prepared)
{
    if (prepared)
        fxe_req_run(r);
    else
        fxe_req_finish(r);
    fxe_lock();
    if (--pool.under_way == 0 && pool.stopping)
        pthread_cond_signal(&pool.done_cond);
}

static void run_batch(struct fxe_req **batch, int n)
{
    fxe_coalesce_run(batch, n);
    fxe_lock();
    pool.under_way -= n;
    if (pool.under_way == 0 && pool.stopping)
        pthread_cond_signal(&pool.done_cond);
}

/* The front is gone: nobody could read an answer. */
static void link_ended(void)
{
    if (errno != EPIPE && errno != ECONNRESET && errno != ENOENT)
        fxs_log(FXS_ERROR, "engine", "event=link-broken errno=%d", errno);
    _exit(0);
}

static void end_session(const uint8_t *token)
{
    struct fxe_obj *doomed = NULL;
    fxe_lock();
    struct fxe_session *s = fxe_session_get(token, 0);
    if (s)
        fxe_session_end(s, &doomed);
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
}

/* A request has been read: what can run now goes to the ready queue. */
static void take_request(struct fx_link_msg *m, struct fxe_conn *conn)
{
    struct fxe_req *r = fxe_req_new(m, conn);
    if (!r)
        return;
    fxe_lock();
    pool.under_way++;
    if (pool.stopping && conn) /* the front sends nothing any more; clients may */
        fxe_fail(r, "shutdown", "the server is stopping");
    if (fxe_req_prepare(r) != 0) {
        fxe_unlock();
        run(r, 0);
    } else if (fxe_needs_take(r, &r->needs, 0)) {
        if (r->lane == FXE_WIDE) {
            push(&pool.wide, r);
            pthread_cond_signal(&pool.wide_cond);
        } else {
            push(&pool.ready, r);
        }
    } /* else it comes back through fxe_pool_ready */
    fxe_unlock();
}

static void read_link(void)
{
    struct fx_link_msg m;
    if (fx_link_recv(&fxe_engine.link, &m) != 0)
        link_ended();
    if (m.head.kind == FX_LINK_REQUEST) {
        take_request(&m, NULL);
        return;
    }
    if (m.head.kind == FX_LINK_END_SESSION)
        end_session(m.head.token);
    if (m.head.kind == FX_LINK_STOP) {
        fxe_lock();
        pool.stopping = 1;
        if (pool.under_way == 0)
            pthread_cond_signal(&pool.done_cond);
        fxe_unlock();
    }
    fx_link_msg_free(&m);
}

/* Let epoll report it again: to one worker, once. */
static void watch(struct fxe_source *s, int op)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = s};
    if (epoll_ctl(pool.epoll, op, s->fd, &e) != 0)
        fxs_log(FXS_ERROR, "engine", "event=epoll errno=%d", errno);
}

static void accept_all(void)
{
    struct fxe_conn *c;
    while ((c = fxe_conn_accept(pool.listener.fd)))
        watch(fxe_conn_source(c), EPOLL_CTL_ADD);
}

/* Read one request of a direct connection.  The connection is not watched again until it
 * is answered: a client sends no other before, and the worker that has just answered looks
 * for the next one itself, which spares waking another worker for it. */
static int read_conn(struct fxe_conn *c)
{
    struct fx_link_msg m;
    int rc = fxe_conn_read(c, &m);
    if (rc == 1)
        take_request(&m, c); /* with the connection */
    else if (rc < 0)
        fxe_conn_unref(c);
    return rc;
}

/* Connections whose requests this worker has answered and not looked at since. */
static _Thread_local struct {
    int worker;
    struct fxe_conn *conn[FXE_FLAT_MAX];
    int n;
    int streak;  /* requests taken without a look at epoll */
    int in_vain; /* requests before it waits for another one again */
} answered;

/* Let some worker look for the next request.  The kernel does not know of one that has been
 * read together with the one before. */
static void leave(struct fxe_conn *c)
{
    struct fxe_source *s = fxe_conn_source(c);
    if (!fxe_conn_has_more(c)) {
        watch(s, EPOLL_CTL_MOD);
        return;
    }
    fxe_lock();
    LL_APPEND(pool.unread, s);
    wake_one();
    fxe_unlock();
}

void fxe_pool_answered(struct fxe_conn *c)
{
    if (answered.worker && answered.n < FXE_FLAT_MAX)
        answered.conn[answered.n++] = c;
    else
        leave(c);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A client that asks again at once may have done so already, or will within microseconds.
 * Taking its request spares waking another worker for it; and looking for it a little while
 * spares a core that fell asleep, which costs a virtual machine 50 us.  Only while there is
 * nothing else to do, though, and where it is not in vain; and now and then epoll must be asked all
 * the same, or two busy clients could keep all others waiting. */
static void look_again(int alone)
{
    struct fxe_conn *conn[FXE_FLAT_MAX];
    int n = answered.n;
    memcpy(conn, answered.conn, (size_t)n * sizeof(*conn));
    answered.n = 0;
    if (n == 1 && ++answered.streak < STREAK) {
        int rc = read_conn(conn[0]);
        if (rc == 0 && alone && answered.in_vain == 0) {
            for (int64_t end = now_ns() + LOOK_NS; rc == 0 && now_ns() < end;) {
                sched_yield(); /* the client may be on this core */
                rc = read_conn(conn[0]);
            }
            answered.in_vain = rc == 0 ? GIVE_UP : 0;
        } else if (answered.in_vain) {
            answered.in_vain--;
        }
        if (rc != 0)
            return;
    } else {
        answered.streak = 0;
    }
    for (int i = 0; i < n; i++)
        leave(conn[i]);
}

static void handle(struct fxe_source *s)
{
    uint64_t n;
    switch (s->kind) {
    case FXE_LINK:
        read_link();
        watch(s, EPOLL_CTL_MOD);
        break;
    case FXE_LISTENER:
        accept_all();
        watch(s, EPOLL_CTL_MOD);
        break;
    case FXE_WAKE:
        if (read(s->fd, &n, sizeof n) < 0 && errno != EAGAIN)
            fxs_log(FXS_ERROR, "engine", "event=wake errno=%d", errno);
        watch(s, EPOLL_CTL_MOD);
        break;
    case FXE_CONN:
        if (read_conn((struct fxe_conn *)s) == 0) /* its first member */
            watch(s, EPOLL_CTL_MOD);
        break;
    }
}

static void set_omp(int threads)
{
    if (fxe_engine.omp_set_num_threads)
        fxe_engine.omp_set_num_threads(threads);
}

/* Out of the ready queue, what can be done together with `r`; idle workers get their share. */
static int gather(struct fxe_req *r, struct fxe_req **batch)
{
    int same = 1, n = 1;
    batch[0] = r;
    if (pool.ready.n < SMALLEST_BATCH - 1 || !fxe_may_coalesce(r))
        return 1;
    for (struct fxe_req *o = pool.ready.first; o; o = o->next)
        same += fxe_same_batch(r, o);
    int share = (same + pool.idle) / (pool.idle + 1);
    if (share > FXE_FLAT_MAX)
        share = FXE_FLAT_MAX;
    if (share < SMALLEST_BATCH)
        return 1;
    struct queue rest = {0};
    for (struct fxe_req *o = pop(&pool.ready), *next; o; o = next) {
        next = pop(&pool.ready);
        if (n < share && fxe_same_batch(r, o))
            batch[n++] = o;
        else
            push(&rest, o);
    }
    pool.ready = rest;
    return n;
}

static void *worker(void *arg)
{
    struct fxe_req *batch[FXE_FLAT_MAX];
    struct epoll_event events[EVENTS];
    (void)arg;
    set_omp(1);
    answered.worker = 1;
    fxe_lock();
    for (;;) {
        struct fxe_req *r = pop(&pool.ready);
        if (r) {
            int n_batch = gather(r, batch);
            if (pool.ready.n)
                wake_one();
            fxe_unlock();
            if (n_batch > 1)
                run_batch(batch, n_batch);
            else
                run(r, 1);
            int alone = pool.idle == fxe_engine.threads - 1 && !pool.ready.n;
            fxe_unlock();
            look_again(alone);
            while (answered.n) /* what it found failed at once, and was answered */
                look_again(0);
            fxe_lock();
            continue;
        }
        struct fxe_source *unread = pool.unread;
        if (unread)
            LL_DELETE(pool.unread, unread);
        pool.idle += !unread;
        fxe_unlock();
        int n = epoll_wait(pool.epoll, events, EVENTS, unread ? 0 : -1);
        fxe_lock();
        pool.idle -= !unread;
        fxe_unlock();
        for (int i = 0; i < n; i++)
            handle(events[i].data.ptr);
        if (unread)
            handle(unread);
        answered.streak = 0;
        while (answered.n) /* requests that failed at once */
            look_again(0);
        fxe_lock();
    }
    return NULL;
}

static void *wide_lane(void *arg)
{
    int width = 0;
    (void)arg;
    fxe_lock();
    for (;;) {
        struct fxe_req *r = pop(&pool.wide);
        if (r) {
            fxe_unlock();
            int wanted = __atomic_load_n(&fxe_engine.cores, __ATOMIC_RELAXED);
            if (width != wanted)
                set_omp(width = wanted);
            run(r, 1);
        } else {
            pthread_cond_wait(&pool.wide_cond, &fxe_engine.lock);
        }
    }
    return NULL;
}

static void start(void *(*body)(void *))
{
    pthread_t t;
    int rc = pthread_create(&t, NULL, body, NULL);
    if (rc != 0) {
        fxs_log(FXS_ERROR, "engine", "event=no-thread errno=%d", rc);
        _exit(1);
    }
    pthread_detach(t);
}

static void start_epoll(void)
{
    pool.epoll = epoll_create1(EPOLL_CLOEXEC);
    pool.wake = (struct fxe_source){.kind = FXE_WAKE, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    pool.link = (struct fxe_source){.kind = FXE_LINK, .fd = fxe_engine.link.fd};
    pool.listener = (struct fxe_source){
        .kind = FXE_LISTENER, .fd = fxe_direct_listen(fxe_engine.direct, sizeof fxe_engine.direct)};
    if (pool.epoll < 0 || pool.wake.fd < 0) {
        fxs_log(FXS_ERROR, "engine", "event=no-epoll errno=%d", errno);
        _exit(1);
    }
    watch(&pool.wake, EPOLL_CTL_ADD);
    watch(&pool.link, EPOLL_CTL_ADD);
    if (pool.listener.fd >= 0)
        watch(&pool.listener, EPOLL_CTL_ADD);
}

int fxe_pool_under_way(void)
{
    return pool.under_way;
}

void fxe_pool_run(void)
{
    start_epoll();
    start(wide_lane);
    for (int i = 0; i < fxe_engine.threads; i++)
        start(worker);
    fxe_lock();
    while (!pool.stopping || pool.under_way)
        pthread_cond_wait(&pool.done_cond, &fxe_engine.lock);
    fxe_unlock();
}
