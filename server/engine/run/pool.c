/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/pool.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "server/engine/run/exchange.h"
#include "server/engine/run/ready.h"
#include "server/engine/run/under_way.h"
#include "server/engine/run/watch.h"
#include "server/engine/run/wide.h"
#include "server/engine/search/coalesce.h"
#include "server/engine/search/share.h"
#include "server/log.h"

enum {
    STREAK = 64,        /* a worker asks epoll again after this many requests of one client, */
    STREAK_NS = 500000, /* or after this time */
    LOOK_NS = 50000,    /* how long to busy-wait for a client's next request */
    GIVE_UP = 32,       /* requests without a busy-wait after one in vain */
    SLICE_NS = 100000
};

/* Connections whose requests this worker has answered, and has not read from since. */
static _Thread_local struct {
    bool worker;
    bool alone; /* all other workers were idle, and nothing was ready, after the last of them */
    struct fxe_conn *conn[FXE_FLAT_MAX];
    int n;
    int streak;     /* requests taken since it last asked epoll */
    int64_t looked; /* when it last asked epoll, ns */
    int in_vain;    /* requests to take before it busy-waits again */
} answered;

void fxe_pool_answered(struct fxe_conn *c)
{
    fxe_lock();
    fxe_under_way_end(c);
    answered.alone = fxe_watch_idle() == fxe_engine.options.threads - 1 && fxe_ready_is_empty();
    fxe_unlock();
    pthread_mutex_lock(&c->lock);
    c->phase = FXE_IDLE;
    pthread_mutex_unlock(&c->lock);
    if (answered.worker && answered.n < FXE_FLAT_MAX)
        answered.conn[answered.n++] = c;
    else
        fxe_exchange_leave(c, false);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Looks for the next requests of the connections in `answered`.  A client often sends its next
 * request within microseconds.  Reading it here avoids waking another worker, and busy-waiting for
 * it keeps the core awake: waking a sleeping core costs 50 us in a virtual machine.  Busy-waits
 * only if there is nothing else to do (`alone`) and it has not been in vain lately.  Asks epoll at
 * least every STREAK_NS: otherwise two busy clients could keep all others waiting. */
static void look_again(bool alone)
{
    struct fxe_conn *conn[FXE_FLAT_MAX];
    int n = answered.n;
    bool looked = false;
    memcpy(conn, answered.conn, (size_t)n * sizeof *conn);
    answered.n = 0;
    if (n == 1 && ++answered.streak < STREAK && now_ns() - answered.looked < STREAK_NS) {
        int rc = fxe_exchange_read(conn[0]);
        if (rc == 0 && alone && answered.in_vain == 0) {
            for (int64_t end = now_ns() + LOOK_NS; rc == 0 && now_ns() < end;) {
                sched_yield(); /* the client may be on this core */
                rc = fxe_exchange_read(conn[0]);
            }
            answered.in_vain = rc == 0 ? GIVE_UP : 0;
        } else if (answered.in_vain) {
            answered.in_vain--;
        }
        if (rc != 0) {
            fxe_conn_unref(conn[0]);
            return;
        }
        looked = true;
    }
    for (int i = 0; i < n; i++)
        fxe_exchange_leave(conn[i], looked);
}

void fxe_pool_let_go(void)
{
    while (answered.n)
        fxe_exchange_leave(answered.conn[--answered.n], false);
}

/* --- the threads --- */

static void set_omp(int threads)
{
    if (fxe_engine.omp_set_num_threads)
        fxe_engine.omp_set_num_threads(threads);
}

/* Handles what epoll reports, and a connection whose next request has come with the one before.
 * `wait`: waits until there is something. */
static void look_everywhere(bool wait)
{
    struct fxe_conn *unread = fxe_watch_events(wait);
    if (unread)
        fxe_exchange_unread(unread);
}

void fxe_pool_look(void)
{
    look_everywhere(false);
    fxe_lock();
    if (!fxe_ready_is_empty())
        fxe_watch_wake();
    fxe_unlock();
}

static void run_batch(struct fxe_req **batch, int n)
{
    if (n > 1)
        fxe_coalesce_run(batch, n);
    else
        fxe_req_run(batch[0]);
    look_again(answered.alone);
}

/* Asks the kernel for short time slices, which it schedules sooner.  Otherwise, while another
 * engine keeps all cores busy, a query would wait until that engine's slice is over.  Kernels
 * before 6.12 ignore this. */
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
    answered.worker = true;
    for (;;) {
        struct fxe_req *batch[FXE_FLAT_MAX];
        fxe_lock();
        int n = fxe_ready_take(batch, fxe_watch_idle());
        bool more = n && !fxe_ready_is_empty();
        struct fxe_share *other = n ? NULL : fxe_share_take();
        fxe_unlock();
        if (more)
            fxe_watch_wake(); /* a system call, so without the lock */
        if (n) {
            run_batch(batch, n);
        } else if (other) {
            fxe_share_help(other);
            look_everywhere(false);
        } else {
            look_everywhere(true);
            answered.streak = 0;
            answered.looked = now_ns();
        }
        while (answered.n) /* also requests that failed before they ran */
            look_again(false);
    }
    return NULL;
}

static void start_worker(void)
{
    pthread_t t;
    int rc = pthread_create(&t, NULL, worker, NULL);
    if (rc != 0) {
        fxs_log(FXS_ERROR, "engine", "event=no-thread errno=%d", rc);
        _exit(1);
    }
    pthread_detach(t);
}

void fxe_pool_start(void)
{
    if (fxe_watch_start() != 0) {
        fxs_log(FXS_ERROR, "engine", "event=no-epoll errno=%d", errno);
        _exit(1);
    }
    fxe_wide_start();
    for (int i = 0; i < fxe_engine.options.threads; i++)
        start_worker();
}
