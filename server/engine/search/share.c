/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/search/share.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <utlist.h>

#include "server/engine/guard/catch.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/stats.h"
#include "server/engine/run/watch.h"
#include "server/engine/run/wide.h"
#include "server/engine/search/coalesce.h"
#include "server/engine/search/split.h"

enum {
    LEAST = 4,         /* queries */
    BLAS_FROM = 20,    /* queries, before FAISS v1.14, with its own threshold */
    WORTH_NS = 100000, /* what is left has to take so long: waking a core takes half of it */
    LOOK_NS = 50000,
    LONG_NS = 2000000 /* a search that takes longer leaves a worker for what comes meanwhile */
};

/* Parameter numbers of faiss_Index_search. */
enum { INDEX, N, X, K, DISTANCES, LABELS, RESULT };

struct fxe_share { /* on the stack of the worker that has the call */
    const struct fxe_req *r;
    size_t d;
    int64_t next; /* the next query that nobody has taken; engine.lock */
    int helpers;  /* atomic, changed with engine.lock */
    int failed;   /* atomic */
    struct fxe_share *before, *after;
};

static struct {
    struct fxe_share *open; /* have queries to be taken; engine.lock */
    pthread_cond_t helped;
} share = {.helped = PTHREAD_COND_INITIALIZER};

static void note_time(struct fxe_obj *o, int64_t ns)
{
    __atomic_store_n(&o->query_ns, ns < INT32_MAX ? (int)ns : INT32_MAX, __ATOMIC_RELAXED);
}

static void search(struct fxe_share *s, int64_t from, int64_t n)
{
    const union fx_val *v = s->r->v;
    size_t at = (size_t)from, k = (size_t)v[K].i;
    if (fxe_api()->Index_search(v[INDEX].p, n, (const float *)v[X].p + at * s->d, v[K].i,
                                (float *)v[DISTANCES].p + at * k,
                                (idx_t *)v[LABELS].p + at * k) != 0)
        __atomic_store_n(&s->failed, 1, __ATOMIC_RELAXED);
}

/* Takes a query.  Returns -1 if there is none left.  The caller holds engine.lock. */
static int64_t take_query(struct fxe_share *s)
{
    if (s->next == s->r->v[N].i)
        return -1;
    if (s->next + 1 == s->r->v[N].i)
        DL_DELETE2(share.open, s, before, after);
    return s->next++;
}

struct fxe_share *fxe_share_take(void)
{
    struct fxe_share *s = share.open;
    if (s && fxe_watch_idle() == 0 &&
        __atomic_load_n(&s->r->obj[INDEX]->query_ns, __ATOMIC_RELAXED) > LONG_NS)
        return NULL;
    if (s)
        __atomic_add_fetch(&s->helpers, 1, __ATOMIC_RELAXED);
    return s;
}

void fxe_share_help(struct fxe_share *s)
{
    fxe_lock();
    int64_t query = take_query(s);
    bool more = share.open != NULL;
    fxe_unlock();
    if (more)
        fxe_watch_wake();
    if (query >= 0) {
        search(s, query, 1);
        fxe_stats_helped();
    }
    fxe_lock();
    if (__atomic_sub_fetch(&s->helpers, 1, __ATOMIC_RELAXED) == 0)
        pthread_cond_broadcast(&share.helped);
    fxe_unlock();
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Waits until no helper is at work.  The last one is nearly done: look for a while before sleeping,
 * because waking up takes as long. */
static void wait_for_helpers(struct fxe_share *s)
{
    for (int64_t end = now_ns() + LOOK_NS; now_ns() < end;) {
        if (__atomic_load_n(&s->helpers, __ATOMIC_RELAXED) == 0)
            break;
        sched_yield();
    }
    fxe_lock();
    while (s->helpers)
        pthread_cond_wait(&share.helped, &fxe_engine.lock);
    fxe_unlock();
}

static void search_with_helpers(struct fxe_share *s)
{
    int64_t start = now_ns(), own = 0;
    fxe_lock();
    DL_APPEND2(share.open, s, before, after);
    fxe_unlock();
    fxe_watch_wake();
    for (;; own++) {
        fxe_lock();
        int64_t query = take_query(s);
        fxe_unlock();
        if (query < 0)
            break;
        search(s, query, 1);
    }
    if (own)
        note_time(s->r->obj[INDEX], (now_ns() - start) / own);
    wait_for_helpers(s);
}

static bool has_flat_quantizer(FaissIndex *index)
{
    const struct fx_api *api = fxe_api();
    if (!api->IndexIVFFlat_cast || !api->IndexIVF_quantizer)
        return false;
    FaissIndexIVF *ivf = api->IndexIVFFlat_cast(index);
    return ivf && fxe_is_plain_flat(api->IndexIVF_quantizer(ivf));
}

/* Is each query's result the same alone?  Many classes make tables or transform vectors for all
 * queries together with BLAS, even if they are few. */
static bool is_separable(struct fxe_obj *o)
{
    int known = __atomic_load_n(&o->separable, __ATOMIC_RELAXED);
    if (!known) {
        known = fxe_is_flat(o) || has_flat_quantizer(o->ptr) ? 1 : 2;
        __atomic_store_n(&o->separable, known, __ATOMIC_RELAXED);
    }
    return known == 1;
}

static bool may_share(const struct fxe_req *r)
{
    const union fx_val *v = r->v;
    return r->op == FX_OP_Index_search && r->lane == FXE_SMALL && !r->alone &&
           fxe_wide_width() == 1 && v[N].i >= LEAST && v[N].i < BLAS_FROM && v[K].i > 0 && v[X].p &&
           v[DISTANCES].p && v[LABELS].p && fxe_watch_idle() && fxe_has_classes() &&
           is_separable(r->obj[INDEX]) && !fxe_uses_blas((size_t)v[N].i, r->v[INDEX].p) &&
           fxe_session_width(r->session) != 1 &&
           fxe_engine.cores > 1; /* 1 also in the child of a trial, which has no other thread */
}

int fxe_share_search(struct fxe_req *r)
{
    if (!may_share(r))
        return 0;
    struct fxe_share s = {.r = r, .d = (size_t)fxe_api()->Index_d(r->v[INDEX].p)};
    int64_t n = r->v[N].i, ns = __atomic_load_n(&r->obj[INDEX]->query_ns, __ATOMIC_RELAXED);
    if (ns * (n - 1) >= WORTH_NS) {
        search_with_helpers(&s);
    } else {
        int64_t start = now_ns();
        search(&s, 0, n);
        note_time(r->obj[INDEX], (now_ns() - start) / n);
    }
    r->v[RESULT].i = 0;
    return !s.failed; /* if failed, the caller searches again, to get the error */
}
