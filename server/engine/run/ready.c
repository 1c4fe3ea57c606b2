/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/ready.h"

#include "server/engine/run/lock.h"
#include "server/engine/run/watch.h"
#include "server/engine/run/wide.h"
#include "server/engine/search/coalesce.h"

enum { SMALLEST_BATCH = 3 /* a smaller batch costs more than separate searches */ };

struct queue {
    struct fxe_req *first, *last;
    int n, batching; /* batching: those that may be run together with others */
};

static struct queue ready; /* engine.lock */

static void push(struct queue *q, struct fxe_req *r)
{
    r->next = NULL;
    if (q->first)
        q->last->next = r;
    else
        q->first = r;
    q->last = r;
    q->n++;
    q->batching += r->batches;
}

static struct fxe_req *pop(struct queue *q)
{
    struct fxe_req *r = q->first;
    if (r) {
        q->first = r->next;
        q->n--;
        q->batching -= r->batches;
    }
    return r;
}

bool fxe_ready_is_empty(void)
{
    return ready.n == 0;
}

void fxe_ready_add(struct fxe_req *r)
{
    if (r->lane == FXE_WIDE && r->keep != FXE_KEEP_RECORD) { /* recording is short */
        fxe_wide_run(r);
        return;
    }
    /* Asked here, where the request is in the processor's cache: the thread that takes it may be on
     * another core, and holds engine.lock meanwhile. */
    r->batches = fxe_may_coalesce(r);
    push(&ready, r);
}

void fxe_ready_retry(struct fxe_req *r)
{
    if (!fxe_needs_take(r, &r->needs, true))
        return;
    fxe_ready_add(r);
    if (r->lane != FXE_WIDE)
        fxe_watch_wake();
}

int fxe_ready_take(struct fxe_req *batch[FXE_FLAT_MAX], int idle)
{
    struct fxe_req *r = pop(&ready);
    int same = 1, n = 1;
    batch[0] = r;
    if (!r)
        return 0;
    if (!r->batches || ready.batching < SMALLEST_BATCH - 1)
        return 1;
    for (struct fxe_req *o = ready.first; o; o = o->next)
        same += o->batches && fxe_same_batch(r, o);
    int share = (same + idle) / (idle + 1);
    if (share > FXE_FLAT_MAX)
        share = FXE_FLAT_MAX;
    if (share < SMALLEST_BATCH)
        return 1;
    struct queue rest = {0};
    for (struct fxe_req *o = pop(&ready), *next; o; o = next) {
        next = pop(&ready);
        if (n < share && o->batches && fxe_same_batch(r, o))
            batch[n++] = o;
        else
            push(&rest, o);
    }
    ready = rest;
    return n;
}
