/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/wide.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/engine/guard/blas.h"
#include "server/engine/objects/again.h"
#include "server/engine/objects/session.h"
#include "server/engine/search/split.h"
#include "server/log.h"

enum {
    STACK = 4 << 20, /* bytes for a lane; OMP_STACKSIZE is the same, see engine.c */
    ROOM_TO_SPARE = 64 << 20,
    WIDTHS = 0xffff, /* a lane's width is at most this */
    NICE = 5         /* a call that needs one core should not wait for one that uses all */
};

/* engine.lock guards all but statm. */
static struct {
    int statm; /* /proc/self/statm, opened before the sandbox */
    pthread_cond_t cond;
    struct fxe_req *first, *last;
    int waiting; /* requests */
    int lanes, idle;
} wide = {.statm = -1, .cond = PTHREAD_COND_INITIALIZER};

/* Returns 1 if there is memory for this many more threads: libgomp ends the process if it cannot
 * create one. */
static int has_room(int threads)
{
    char text[128];
    unsigned long pages = 0;
    struct rlimit limit;
    ssize_t n = pread(wide.statm, text, sizeof text - 1, 0);
    if (n <= 0 || getrlimit(RLIMIT_DATA, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return 1;
    text[n] = '\0';
    sscanf(text, "%*u %*u %*u %*u %*u %lu", &pages);
    size_t data = pages * (size_t)sysconf(_SC_PAGESIZE);
    return data + (size_t)threads * STACK + fxe_blas_buffer() + ROOM_TO_SPARE <= limit.rlim_cur;
}

static int reserve(int threads)
{
    fxe_lock();
    int may = has_room(threads);
    if (may)
        fxe_blas_reserve(threads);
    fxe_unlock();
    return may;
}

/* Returns 1, and reserves BLAS buffers, if there is memory for this many more threads. */
static int may_have(int threads)
{
    return reserve(threads) || (fxe_again_drop_all() && reserve(threads));
}

static _Thread_local int width_now = 1;

int fxe_wide_width(void)
{
    return width_now;
}

void fxe_wide_set_width(int width)
{
    width_now = width;
    if (fxe_engine.omp_set_num_threads)
        fxe_engine.omp_set_num_threads(width);
}

void fxe_wide_alone(struct fxe_req *r)
{
    r->alone = true;
    if (width_now > 1)
        fxe_wide_set_width(1);
}

/* Returns the number of OpenMP threads for the nth lane, from 1: the first two have a thread for
 * each core, and the nth has 2 * cores / n, so that many lanes do not flood the cores. */
static int width_of(int n)
{
    int share = 2 * fxe_engine.cores / n;
    return share > fxe_engine.cores ? fxe_engine.cores : share > 1 ? share : 1;
}

int fxe_wide_threads(void)
{
    int n = fxe_engine.cores;
    while (n > 1 && !has_room(n))
        n /= 2;
    fxe_blas_reserve(n);
    return n;
}

/* Waits for a request and takes it.  The caller holds engine.lock. */
static struct fxe_req *take_request(void)
{
    wide.idle++;
    while (!wide.first)
        pthread_cond_wait(&wide.cond, &fxe_engine.lock);
    wide.idle--;
    struct fxe_req *r = wide.first;
    wide.first = r->next;
    wide.waiting--;
    return r;
}

/* A lane creates its threads at once and keeps them: later there may be no memory for them.  Those
 * that there is no memory for now are created when there is. */
static void *run_lane(void *arg)
{
    int most = (int)(intptr_t)arg & WIDTHS, own = (int)(intptr_t)arg / (WIDTHS + 1);
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    fxe_wide_set_width(most);
    fxe_split_warm_up();
    for (;;) {
        fxe_lock();
        struct fxe_req *r = take_request();
        fxe_unlock();
        int asked = fxe_session_width(r->session), width = asked ? asked : own;
        if (width > most && !may_have(width - most))
            width = most; /* use those that there are */
        most = width > most ? width : most;
        fxe_wide_set_width(width);
        if (r->keep != FXE_KEEP_RECORDED && fxe_conn_is_gone(r->conn)) {
            fxe_fail(r, "gone", "the client has closed the connection");
            fxe_req_finish(r);
        } else {
            fxe_req_run(r);
        }
    }
    return NULL;
}

static void add_lane(void)
{
    pthread_t t;
    pthread_attr_t attr;
    int own = width_of(wide.lanes + 1), width = own;
    while (width > 1 && !has_room(width))
        width /= 2;
    if (wide.lanes && !has_room(width))
        return;
    fxe_blas_reserve(width);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = pthread_create(&t, &attr, run_lane, (void *)(intptr_t)(own * (WIDTHS + 1) + width));
    pthread_attr_destroy(&attr);
    if (rc == 0)
        wide.lanes++;
    else
        fxs_log(FXS_WARN, "engine", "event=no-thread errno=%d", rc);
}

void fxe_wide_init(void)
{
    wide.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

void fxe_wide_start(void)
{
    fxe_lock();
    add_lane();
    fxe_unlock();
    if (!wide.lanes)
        _exit(1);
}

bool fxe_wide_is_free(void)
{
    return wide.idle > wide.waiting;
}

void fxe_wide_run(struct fxe_req *r)
{
    r->next = NULL;
    if (wide.first)
        wide.last->next = r;
    else
        wide.first = r;
    wide.last = r;
    wide.waiting++;
    pthread_cond_signal(&wide.cond);
    if (wide.waiting > wide.idle && wide.lanes < FXE_WIDE_MAX)
        add_lane();
}
