/* SPDX-License-Identifier: Apache-2.0 */
/* A request without a client, which does nothing but get the lock of an index for a thread that
 * waits. */
#include <stdlib.h>

#include "server/engine/keep/keep.h"
#include "server/engine/run/ready.h"

struct hold {
    struct fxe_req r; /* first */
    pthread_cond_t has;
    bool locked;
};

static int tell(struct fxe_req *r)
{
    struct hold *h = (struct hold *)r;
    fxe_lock();
    h->locked = true;
    pthread_cond_signal(&h->has);
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
    if (!h)
        return NULL;
    h->r.operation = &hold_operation;
    pthread_cond_init(&h->has, NULL);
    return h;
}

static void free_hold(struct hold *h)
{
    pthread_cond_destroy(&h->has);
    free(h);
}

/* The caller holds engine.lock. */
static void take(struct hold *h, struct fxe_obj *o, bool write)
{
    fxe_obj_hold(o);
    h->r.held[h->r.nheld++] = o;
    fxe_needs_add(&h->r.needs, o, write);
    h->locked = fxe_needs_take(&h->r, &h->r.needs, false);
    while (!h->locked)
        pthread_cond_wait(&h->has, &fxe_engine.lock);
}

struct fxe_req *fxe_hold(struct fxe_kept *k, bool write)
{
    struct hold *h = new_hold();
    if (!h)
        return NULL;
    fxe_lock();
    bool gone = k->gone;
    if (!gone)
        take(h, k->obj, write);
    fxe_unlock();
    if (!gone)
        return &h->r;
    free_hold(h);
    return NULL;
}

struct fxe_req *fxe_hold_object(struct fxe_obj *o)
{
    struct hold *h = new_hold();
    if (!h)
        return NULL;
    fxe_lock();
    take(h, o, false);
    fxe_unlock();
    return &h->r;
}

void fxe_hold_raise(struct fxe_req *r)
{
    struct hold *h = (struct hold *)r;
    fxe_lock();
    h->locked = fxe_needs_raise(r, &r->needs);
    while (!h->locked)
        pthread_cond_wait(&h->has, &fxe_engine.lock);
    fxe_unlock();
}

void fxe_hold_end(struct fxe_req *r)
{
    struct hold *h = (struct hold *)r;
    struct fxe_obj *doomed = NULL;
    fxe_lock();
    fxe_needs_give(&r->needs);
    fxe_obj_let_go(r->held[0], &doomed);
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
    free_hold(h);
}
