/* SPDX-License-Identifier: Apache-2.0 */
#include "wide.h"

#include "log.h"
#include "session.h"

enum { WIDE_MAX = 64 };

/* Guarded by engine.lock. */
static struct {
    pthread_cond_t cond;
    struct fxe_req *first, *last;
    int waiting;       /* requests */
    int threads, idle; /* of the lane */
} wide = {.cond = PTHREAD_COND_INITIALIZER};

static struct fxe_req *take(void)
{
    struct fxe_req *r = wide.first;
    wide.first = r->next;
    wide.waiting--;
    return r;
}

/* OpenMP threads for one of `active` calls. */
static int share(const struct fxe_session *s, int active)
{
    int width = fxe_session_width(s), most = 2 * fxe_engine.cores / active;
    return width < most ? width : most > 1 ? most : 1;
}

static void *lane(void *arg)
{
    int width = 0;
    (void)arg;
    fxe_lock();
    for (;;) {
        wide.idle++;
        while (!wide.first)
            pthread_cond_wait(&wide.cond, &fxe_engine.lock);
        wide.idle--;
        struct fxe_req *r = take();
        int wanted = share(r->session, wide.threads - wide.idle);
        fxe_unlock();
        if (width != wanted && fxe_engine.omp_set_num_threads)
            fxe_engine.omp_set_num_threads(width = wanted);
        if (fxe_conn_is_gone(r->conn)) {
            fxe_fail(r, "gone", "the client has gone");
            fxe_req_finish(r);
        } else {
            fxe_req_run(r);
        }
        fxe_lock();
    }
    return NULL;
}

void fxe_wide_run(struct fxe_req *r)
{
    pthread_t t;
    r->next = NULL;
    if (wide.first)
        wide.last->next = r;
    else
        wide.first = r;
    wide.last = r;
    wide.waiting++;
    pthread_cond_signal(&wide.cond);
    if (wide.waiting <= wide.idle || wide.threads == WIDE_MAX)
        return;
    int rc = pthread_create(&t, NULL, lane, NULL);
    if (rc == 0) {
        pthread_detach(t);
        wide.threads++;
    } else { /* the calls wait for those that there are */
        fxs_log(wide.threads ? FXS_WARN : FXS_ERROR, "engine", "event=no-thread errno=%d", rc);
    }
}
