/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of an engine.
 *
 * A fixed number of workers, each with one OpenMP thread, and one wide lane that uses all
 * cores, for work that is worth them.  The workers take turns at reading the link: the one
 * that reads a request runs it as well, so a small call is handed from thread to thread
 * only where two must overlap.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "request.h"

struct queue {
    struct fxe_req *first, *last;
};

static struct {
    pthread_cond_t idle_cond; /* a worker may have something to do */
    pthread_cond_t wide_cond;
    pthread_cond_t done_cond; /* nothing is under way */
    struct queue ready, wide; /* ready: have their locks */
    int reading;              /* a worker reads the link */
    int idle;                 /* workers that wait */
    int under_way;            /* requests read and not finished */
    int stopping;
} pool = {PTHREAD_COND_INITIALIZER,
          PTHREAD_COND_INITIALIZER,
          PTHREAD_COND_INITIALIZER,
          {0},
          {0},
          0,
          0,
          0,
          0};

static void push(struct queue *q, struct fxe_req *r)
{
    r->next = NULL;
    if (q->first)
        q->last->next = r;
    else
        q->first = r;
    q->last = r;
}

static struct fxe_req *pop(struct queue *q)
{
    struct fxe_req *r = q->first;
    if (r)
        q->first = r->next;
    return r;
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
        pthread_cond_signal(&pool.idle_cond);
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

/* One message from the link.  engine.lock is held before and after. */
static void read_one(void)
{
    struct fx_link_msg m;
    fxe_unlock();
    if (fx_link_recv(&fxe_engine.link, &m) != 0)
        link_ended();
    struct fxe_req *r = m.head.kind == FX_LINK_REQUEST ? fxe_req_new(&m) : NULL;
    if (m.head.kind == FX_LINK_END_SESSION)
        end_session(m.head.token);
    fxe_lock();
    pool.reading = 0;
    if (m.head.kind == FX_LINK_STOP) {
        pool.stopping = 1;
        if (pool.under_way == 0)
            pthread_cond_signal(&pool.done_cond);
    }
    if (!r) {
        if (m.head.kind != FX_LINK_REQUEST)
            fx_link_msg_free(&m);
        return;
    }
    pool.under_way++;
    int prepared = fxe_req_prepare(r) == 0;
    if (prepared && !fxe_needs_take(r, &r->needs, 0))
        return; /* it comes back through fxe_pool_ready */
    if (prepared && r->lane == FXE_WIDE) {
        push(&pool.wide, r);
        pthread_cond_signal(&pool.wide_cond);
        return;
    }
    if (pool.idle)
        pthread_cond_signal(&pool.idle_cond); /* somebody else reads on */
    fxe_unlock();
    run(r, prepared);
}

static void set_omp(int threads)
{
    if (fxe_engine.omp_set_num_threads)
        fxe_engine.omp_set_num_threads(threads);
}

static void *worker(void *arg)
{
    (void)arg;
    set_omp(1);
    fxe_lock();
    for (;;) {
        struct fxe_req *r = pop(&pool.ready);
        if (r) {
            fxe_unlock();
            run(r, 1);
        } else if (!pool.reading) {
            pool.reading = 1;
            read_one();
        } else {
            pool.idle++;
            pthread_cond_wait(&pool.idle_cond, &fxe_engine.lock);
            pool.idle--;
        }
    }
    return NULL;
}

static void *wide_lane(void *arg)
{
    (void)arg;
    set_omp(fxe_engine.cores);
    fxe_lock();
    for (;;) {
        struct fxe_req *r = pop(&pool.wide);
        if (r) {
            fxe_unlock();
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

void fxe_pool_run(void)
{
    start(wide_lane);
    for (int i = 0; i < fxe_engine.threads; i++)
        start(worker);
    fxe_lock();
    while (!pool.stopping || pool.under_way)
        pthread_cond_wait(&pool.done_cond, &fxe_engine.lock);
    fxe_unlock();
}
