/* SPDX-License-Identifier: Apache-2.0 */
/* A request without a client, which does nothing but get the lock of an index for a thread that
 * waits. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/engine/keep/keep.h"
#include "server/engine/run/ready.h"

struct hold {
    struct fxe_req r; /* first */
    bool locked;
};

/* Of all holds: few threads wait for one. */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER; /* engine.lock */
static bool stopping;                                     /* engine.lock */

static int tell(struct fxe_req *r)
{
    struct hold *h = (struct hold *)r;
    fxe_lock();
    h->locked = true;
    pthread_cond_broadcast(&changed);
    fxe_unlock();
    return 1;
}

static const struct fxe_operation hold_operation = {"hold", 0, NULL, NULL, tell};

bool fxe_is_hold(const struct fxe_req *r)
{
    return r->operation == &hold_operation;
}

static struct hold *new_hold(void)
{
    struct hold *h = calloc(1, sizeof *h);
    if (h)
        h->r.operation = &hold_operation;
    return h;
}

/* Asks for the lock, and takes it if it is free.  The caller holds engine.lock. */
static void ask(struct hold *h, struct fxe_obj *o)
{
    fxe_obj_hold(o);
    h->r.held[h->r.nheld++] = o;
    fxe_needs_add(&h->r.needs, o, false);
    h->locked = fxe_needs_take(&h->r, &h->r.needs, false);
}

/* Waits until that time at most.  The caller holds engine.lock. */
static void wait_until(const struct hold *h, const struct timespec *until)
{
    int rc = 0;
    while (!h->locked && !stopping && rc == 0)
        rc = pthread_cond_timedwait(&changed, &fxe_engine.lock, until);
}

struct fxe_req *fxe_hold(struct fxe_kept *k, int seconds)
{
    struct hold *h = new_hold();
    struct timespec until;
    if (!h)
        return NULL;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    fxe_lock();
    bool left = k->gone;
    if (!left) {
        ask(h, k->obj);
        wait_until(h, &until);
        left = !h->locked && !stopping && fxe_needs_leave(&h->r, &h->r.needs);
        while (!h->locked && !stopping && !left) /* it has the lock, and is about to be run */
            pthread_cond_wait(&changed, &fxe_engine.lock);
    }
    bool locked = h->locked;
    fxe_unlock();
    if (left)
        fxe_hold_end(&h->r);
    return locked ? &h->r : NULL; /* when the process is about to end, it stays where it is */
}

struct fxe_req *fxe_hold_object(struct fxe_obj *o)
{
    struct hold *h = new_hold();
    if (!h)
        return NULL;
    fxe_lock();
    ask(h, o);
    while (!h->locked)
        pthread_cond_wait(&changed, &fxe_engine.lock);
    fxe_unlock();
    return &h->r;
}

struct fxe_req *fxe_hold_from(struct fxe_req *r)
{
    struct hold *h = new_hold();
    if (!h)
        return NULL;
    fxe_lock();
    h->locked = true;
    h->r.needs = r->needs;
    r->needs.n = 0;
    memcpy(h->r.held, r->held, (size_t)r->nheld * sizeof *r->held);
    h->r.nheld = r->nheld;
    r->nheld = 0;
    fxe_unlock();
    return &h->r;
}

bool fxe_hold_raise(struct fxe_req *r)
{
    struct hold *h = (struct hold *)r;
    fxe_lock();
    h->locked = fxe_needs_raise(r, &r->needs);
    while (!h->locked && !stopping)
        pthread_cond_wait(&changed, &fxe_engine.lock);
    bool locked = h->locked;
    fxe_unlock();
    return locked;
}

void fxe_holds_stop(void)
{
    fxe_lock();
    stopping = true;
    pthread_cond_broadcast(&changed);
    fxe_unlock();
}

void fxe_hold_end(struct fxe_req *r)
{
    struct fxe_obj *doomed = NULL;
    fxe_lock();
    fxe_needs_give(&r->needs);
    for (int i = 0; i < r->nheld; i++)
        fxe_obj_let_go(r->held[i], &doomed);
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
    free(r->message);
    free(r);
}
