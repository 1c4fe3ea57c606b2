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

struct fxe_req *fxe_hold(struct fxe_kept *k, bool write)
{
    struct hold *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->r.operation = &hold_operation;
    pthread_cond_init(&h->has, NULL);
    fxe_lock();
    if (k->gone) {
        fxe_unlock();
        free(h);
        return NULL;
    }
    fxe_obj_hold(k->obj);
    h->r.held[h->r.nheld++] = k->obj;
    fxe_needs_add(&h->r.needs, k->obj, write);
    if (fxe_needs_take(&h->r, &h->r.needs, false)) {
        h->locked = true;
    } else {
        while (!h->locked)
            pthread_cond_wait(&h->has, &fxe_engine.lock);
    }
    fxe_unlock();
    return &h->r;
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
    pthread_cond_destroy(&h->has);
    free(h);
}
