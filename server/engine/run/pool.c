/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/pool.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "server/engine/guard/blas.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/house.h"
#include "server/engine/run/overdue.h"
#include "server/engine/run/wide.h"
#include "server/engine/search/coalesce.h"
#include "server/engine/search/flat.h"
#include "server/log.h"

enum {
    EVENTS = 64,
    SMALLEST_BATCH = 3, /* a batch of fewer costs more than each search alone */
    STREAK = 64,        /* requests that a worker takes without a look at epoll, */
    STREAK_NS = 500000, /* for so long */
    LOOK_NS = 50000,
    GIVE_UP = 32,
    SLICE_NS = 100000,
    LONG_TICKS = 4,  /* a request that takes longer has its connection watched */
    QUIET_TICKS = 40 /* without a request, until the housekeeper stops ticking */
};

struct queue {
    struct fxe_req *first, *last;
    int n;
};

static struct {
    struct queue ready;      /* they have their locks */
    int idle;                /* workers in epoll_wait */
    int under_way;           /* requests read and not finished */
    struct fxe_conn *busy;   /* connections of which a request is under way */
    struct fxe_conn *unread; /* connections that have been read further than answered */
    unsigned tick;           /* of the housekeeper */
    int ticking, quiet;
    int stopping;
    int epoll;
    struct fxs_event wake;
} pool = {.tick = 1};

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

/* It has its locks.  With engine.lock. */
static void queue_up(struct fxe_req *r)
{
    if (r->lane == FXE_WIDE)
        fxe_wide_run(r);
    else
        push(&pool.ready, r);
}

void fxe_pool_ready(struct fxe_req *r)
{
    if (!fxe_needs_take(r, &r->needs, 1))
        return;
    queue_up(r);
    if (r->lane != FXE_WIDE)
        wake_one();
}

/* --- connections --- */

/* Let epoll report it, once; with conn.lock.  Returns whether that took the caller's reference:
 * if it is watched already, only for what changes. */
static int arm(struct fxe_conn *c, uint32_t events)
{
    int took = !c->armed;
    /* Added with its first reference only: an end is reported without being asked for. */
    int op = c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    c->armed = c->watched = 1;
    if (fxs_event_watch(pool.epoll, &c->source, op, events | EPOLLONESHOT) == 0)
        return took;
    fxs_log(FXS_ERROR, "engine", "event=epoll errno=%d", errno);
    if (took)
        c->armed = 0;
    c->dead = 1;
    shutdown(c->source.fd, SHUT_RDWR);
    return 0;
}

/* It has ended, or cannot be waited for any more. */
static void lost(struct fxe_conn *c)
{
    fxe_conn_kill(c);
    fxe_lock();
    fxe_session_unbind(c);
    fxe_unlock();
}

/* A request has been read: what can run now goes to the ready queue. */
static void take_request(struct fxe_msg *m, struct fxe_conn *c)
{
    struct fxe_req *r = fxe_req_new(m, c);
    if (!r) {
        lost(c);
        return;
    }
    fxe_lock();
    pool.under_way++;
    r->began_ms = fxe_now_ms();
    c->running = r;
    c->busy_since = pool.tick;
    DL_APPEND2(pool.busy, c, prev_busy, next_busy);
    if (!pool.ticking) {
        pool.ticking = 1;
        fxe_house_wake();
    }
    if (pool.stopping)
        fxe_fail(r, "shutdown", "the server is stopping");
    int failed = fxe_req_prepare(r) != 0;
    if (!failed && fxe_needs_take(r, &r->needs, 0))
        queue_up(r);
    /* else it comes back through fxe_pool_ready */
    fxe_unlock();
    if (failed)
        fxe_req_finish(r);
}

/* Read one request of a connection that is the caller's: 1 when there was one, 0, or -1 when the
 * connection has ended. */
static int read_conn(struct fxe_conn *c)
{
    struct fxe_msg *m = NULL;
    pthread_mutex_lock(&c->lock);
    int rc = c->dead ? -1 : c->phase != FXE_IDLE ? 0 : fxe_conn_read(c, &m);
    if (rc == 1)
        c->phase = FXE_BUSY;
    pthread_mutex_unlock(&c->lock);
    if (rc == 1)
        take_request(m, c);
    else if (rc < 0)
        lost(c);
    return rc;
}

/* Let some worker look for the next request.  The kernel does not know of one that has been
 * read together with the one before: unless `looked`, when what has been read is known to be no
 * whole request.  Takes the reference. */
static void leave(struct fxe_conn *c, int looked)
{
    int took = 0;
    pthread_mutex_lock(&c->lock);
    if (!c->dead && c->phase == FXE_IDLE && !looked && fxe_conn_has_more(c)) {
        fxe_lock();
        if (!c->unread) { /* it may be there still, if epoll reported it meanwhile */
            LL_APPEND2(pool.unread, c, next_unread);
            c->unread = took = 1;
        }
        wake_one();
        fxe_unlock();
    } else if (!c->dead && c->phase == FXE_IDLE) {
        fxe_conn_rest(c);
        took = arm(c, EPOLLIN);
    }
    int dead = c->dead;
    pthread_mutex_unlock(&c->lock);
    if (dead)
        lost(c);
    if (!took)
        fxe_conn_unref(c);
}

int fxe_pool_reply(struct fxe_req *r, const struct fx_frame *frames, int n)
{
    struct fxe_conn *c = r->conn;
    pthread_mutex_lock(&c->lock);
    int rc = fxe_conn_send(c, r, frames, n);
    if (rc == 0) {
        c->phase = FXE_FLUSHING;
        fxe_conn_ref(c);
        if (!arm(c, EPOLLOUT))
            fxe_conn_unref(c); /* r has another reference */
        if (c->dead)
            rc = fxe_conn_flush(c);
    }
    pthread_mutex_unlock(&c->lock);
    if (rc < 0)
        lost(c);
    return rc;
}

/* While a request is under way, its connection is watched for commands and for its end. */
static int while_busy(struct fxe_conn *c)
{
    int rc = fxe_conn_commands(c);
    if (rc < 0 || fxe_conn_is_gone(c)) {
        __atomic_store_n(&c->gone, 1, __ATOMIC_RELAXED);
        fxe_lock();
        fxe_session_unbind(c); /* the lease begins, whatever the call still does */
        fxe_unlock();
        return 0;
    }
    return arm(c, rc == 0 ? EPOLLIN | EPOLLRDHUP : EPOLLRDHUP);
}

/* Something happened to a connection.  What was asked for can have been changed after epoll had
 * reported it to this worker, and then be reported to another one as well: the first to come
 * gets the reference. */
static void on_conn(void *ctx, struct fxs_event *s, uint32_t events)
{
    struct fxe_conn *c = (struct fxe_conn *)s;
    struct fxe_req *sent = NULL;
    struct fxe_msg *m = NULL;
    int rc = 0, took = 0;
    (void)ctx;
    (void)events; /* it is looked at what is there now */
    pthread_mutex_lock(&c->lock);
    if (!c->armed) {
        pthread_mutex_unlock(&c->lock);
        return;
    }
    c->armed = 0;
    switch (c->phase) {
    case FXE_FLUSHING:
        sent = c->sending;
        rc = sent ? fxe_conn_flush(c) : -1;
        if (rc == 0 && (took = arm(c, EPOLLOUT)))
            sent = NULL;
        else if (rc == 0)
            rc = fxe_conn_flush(c); /* it cannot be waited for: -1 */
        break;
    case FXE_BUSY:
        took = c->dead ? 0 : while_busy(c);
        break;
    case FXE_IDLE:
        rc = c->dead ? -1 : fxe_conn_read(c, &m);
        if (rc == 1)
            c->phase = FXE_BUSY;
        else if (rc == 0 && !(took = arm(c, EPOLLIN)))
            rc = -1;
        break;
    }
    pthread_mutex_unlock(&c->lock);
    if (rc < 0)
        lost(c);
    if (m)
        take_request(m, c);
    if (sent)
        fxe_req_sent(sent);
    if (!took)
        fxe_conn_unref(c);
}

void fxe_pool_add(struct fxe_conn *c)
{
    c->source.event = on_conn;
    if (read_conn(c) == 0)
        leave(c, 1);
    else
        fxe_conn_unref(c);
    fxe_lock();
    if (pool.ready.n)
        wake_one();
    fxe_unlock();
}

/* --- after an answer --- */

/* Connections whose requests this worker has answered and not looked at since. */
static _Thread_local struct {
    int worker;
    struct fxe_conn *conn[FXE_FLAT_MAX];
    int n;
    int streak;     /* requests taken without a look at epoll */
    int64_t looked; /* when it last looked there, ns */
    int in_vain;    /* requests before it waits for another one again */
} answered;

void fxe_pool_answered(struct fxe_conn *c)
{
    fxe_lock();
    DL_DELETE2(pool.busy, c, prev_busy, next_busy);
    c->running = NULL;
    pool.under_way--;
    fxe_unlock();
    pthread_mutex_lock(&c->lock);
    c->phase = FXE_IDLE;
    pthread_mutex_unlock(&c->lock);
    if (answered.worker && answered.n < FXE_FLAT_MAX)
        answered.conn[answered.n++] = c;
    else
        leave(c, 0);
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
    int n = answered.n, looked = 0;
    memcpy(conn, answered.conn, (size_t)n * sizeof(*conn));
    answered.n = 0;
    if (n == 1 && ++answered.streak < STREAK && now_ns() - answered.looked < STREAK_NS) {
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
        if (rc != 0) {
            fxe_conn_unref(conn[0]);
            return;
        }
        looked = 1;
    }
    for (int i = 0; i < n; i++)
        leave(conn[i], looked);
}

/* --- the threads --- */

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

/* Take what epoll has, and a connection that was read too far.  `wait`: until there is
 * something. */
static void look_everywhere(int wait)
{
    struct epoll_event events[EVENTS];
    fxe_lock();
    struct fxe_conn *unread = pool.unread;
    if (unread) {
        LL_DELETE2(pool.unread, unread, next_unread);
        unread->unread = 0;
    }
    pool.idle += wait && !unread;
    fxe_unlock();
    int n = epoll_wait(pool.epoll, events, EVENTS, wait && !unread ? -1 : 0);
    fxe_lock();
    pool.idle -= wait && !unread;
    fxe_unlock();
    for (int i = 0; i < n; i++) {
        struct fxs_event *s = events[i].data.ptr;
        s->event(NULL, s, events[i].events);
    }
    if (unread) {
        if (read_conn(unread) == 0)
            leave(unread, 1);
        else
            fxe_conn_unref(unread);
    }
}

static void run(struct fxe_req *r)
{
    struct fxe_req *batch[FXE_FLAT_MAX];
    int n = gather(r, batch);
    if (pool.ready.n)
        wake_one();
    fxe_unlock();
    if (n > 1)
        fxe_coalesce_run(batch, n);
    else
        fxe_req_run(r);
    fxe_lock();
    int alone = pool.idle == fxe_engine.options.threads - 1 && !pool.ready.n;
    fxe_unlock();
    look_again(alone);
}

/* A short slice of processor time, ordered early: where another engine keeps all cores busy, a
 * query would wait for one until that engine's slice is over.  Kernels before 6.12 ignore it. */
static void ask_for_short_slices(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr = {.size = sizeof attr, .nice = getpriority(PRIO_PROCESS, 0), .runtime = SLICE_NS};
    syscall(SYS_sched_setattr, 0, &attr, 0);
}

static void *worker(void *arg)
{
    (void)arg;
    set_omp(1);
    ask_for_short_slices();
    answered.worker = 1;
    for (;;) {
        fxe_lock();
        struct fxe_req *r = pop(&pool.ready);
        if (r) {
            run(r); /* it gives the lock back */
        } else {
            fxe_unlock();
            look_everywhere(1);
            answered.streak = 0;
            answered.looked = now_ns();
        }
        while (answered.n) /* requests that failed at once, and were answered */
            look_again(0);
    }
    return NULL;
}

static void on_wake(void *ctx, struct fxs_event *s, uint32_t events)
{
    uint64_t n;
    (void)ctx;
    (void)events;
    if (read(s->fd, &n, sizeof n) < 0 && errno != EAGAIN)
        fxs_log(FXS_ERROR, "engine", "event=wake errno=%d", errno);
    fxs_event_watch(pool.epoll, s, EPOLL_CTL_MOD, EPOLLIN | EPOLLONESHOT);
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

void fxe_pool_start(void)
{
    pool.epoll = epoll_create1(EPOLL_CLOEXEC);
    pool.wake = (struct fxs_event){eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), on_wake};
    if (pool.epoll < 0 || pool.wake.fd < 0 ||
        fxs_event_watch(pool.epoll, &pool.wake, EPOLL_CTL_ADD, EPOLLIN | EPOLLONESHOT) != 0) {
        fxs_log(FXS_ERROR, "engine", "event=no-epoll errno=%d", errno);
        _exit(1);
    }
    fxe_blas_reserve(fxe_engine.options.threads);
    fxe_wide_start();
    for (int i = 0; i < fxe_engine.options.threads; i++)
        start(worker);
}

/* --- for the housekeeper --- */

void fxe_pool_stop(void)
{
    fxe_lock();
    pool.stopping = 1;
    fxe_unlock();
}

bool fxe_pool_is_quiet(void)
{
    fxe_lock();
    bool quiet = pool.under_way == 0;
    fxe_unlock();
    return quiet;
}

struct fxe_conn *fxe_pool_busy(void)
{
    return pool.busy;
}

int fxe_pool_under_way(void)
{
    return pool.under_way;
}

/* Watch connections whose requests take long. */
static void watch_busy(void)
{
    struct fxe_conn *c, *some[EVENTS];
    int n = 0;
    fxe_lock();
    for (c = pool.busy; c && n < EVENTS; c = c->next_busy) {
        if (!c->busy_since || pool.tick - c->busy_since < LONG_TICKS)
            continue;
        c->busy_since = 0;
        fxe_conn_ref(c);
        some[n++] = c;
    }
    fxe_unlock();
    for (int i = 0; i < n; i++) {
        c = some[i];
        pthread_mutex_lock(&c->lock);
        int took = c->phase == FXE_BUSY && !c->dead && arm(c, EPOLLIN | EPOLLRDHUP);
        pthread_mutex_unlock(&c->lock);
        if (!took)
            fxe_conn_unref(c);
    }
}

bool fxe_pool_tick(void)
{
    bool given_up = fxe_overdue_tick();
    fxe_lock();
    if (++pool.tick == 0)
        pool.tick = 1;
    int all_compute = pool.idle == 0;
    pool.quiet = pool.under_way || given_up ? 0 : pool.quiet + 1;
    bool go_on = pool.quiet < QUIET_TICKS;
    pool.ticking = go_on;
    if (!go_on)
        pool.quiet = 0;
    fxe_unlock();
    watch_busy();
    if (all_compute) {
        look_everywhere(0);
        fxe_lock();
        if (pool.ready.n)
            wake_one();
        fxe_unlock();
    }
    return go_on;
}
