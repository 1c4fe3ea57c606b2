/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/search/coalesce.h"

#include <stdlib.h>
#include <string.h>

#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"
#include "server/engine/run/stats.h"
#include "server/engine/search/far.h"
#include "server/engine/search/flat.h"
#include "server/engine/search/split.h"

/* Parameter numbers of the functions flagged `queries`. */
enum { INDEX, N, X, K, DISTANCES, LABELS, RESULT };

int fxe_is_flat(struct fxe_obj *o)
{
    int known = __atomic_load_n(&o->flat, __ATOMIC_RELAXED);
    if (!known) {
        FaissMetricType metric = fxe_api()->Index_metric_type(o->ptr);
        int yes = fxe_is_plain_flat(o->ptr) && fxe_api()->IndexFlat1D_cast &&
                  !fxe_api()->IndexFlat1D_cast(o->ptr) &&
                  (metric == METRIC_L2 || metric == METRIC_INNER_PRODUCT);
        known = yes ? 1 : 2;
        __atomic_store_n(&o->flat, known, __ATOMIC_RELAXED);
    }
    return known == 1;
}

static uint64_t arg(const struct fxe_req *r, int i)
{
    const msgpack_object *a = &r->args->via.array.ptr[i];
    return a->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? a->via.u64 : 0;
}

int fxe_may_coalesce(struct fxe_req *r)
{
    if (!r->fn || !(r->fn->flags & FX_QUERIES) || fxe_engine.options.coalesce == FXS_COALESCE_OFF ||
        arg(r, N) != 1 || arg(r, K) > FXE_FAR || !r->obj[INDEX]->ptr)
        return 0;
    return fxe_engine.options.coalesce == FXS_COALESCE_FAST || fxe_is_flat(r->obj[INDEX]);
}

int fxe_same_batch(const struct fxe_req *r, const struct fxe_req *other)
{
    return other->op == r->op && other->obj[INDEX]->ptr == r->obj[INDEX]->ptr &&
           arg(other, N) == 1 && arg(other, K) == arg(r, K);
}

/* Searches with flat.c.  Returns -1 if that is not possible. */
static int flat(struct fxe_req **b, int n)
{
    FaissIndex *index = b[0]->obj[INDEX]->ptr;
    struct fxe_flat_query q[FXE_FLAT_MAX];
    size_t d = (size_t)fxe_api()->Index_d(index), floats = 0;
    float *xb = NULL;
    if (!fxe_is_flat(b[0]->obj[INDEX]) || !fxe_api()->IndexFlat_xb ||
        fxe_uses_blas(1, index) || /* with a low threshold: other bits */
        (fxe_api()->get_distance_compute_min_k_reservoir &&
         (int64_t)b[0]->v[K].i >= fxe_api()->get_distance_compute_min_k_reservoir()))
        return -1; /* FAISS then uses a reservoir, which breaks ties differently from a heap */
    fxe_api()->IndexFlat_xb(index, &xb, &floats);
    if (!xb || floats / d != (size_t)fxe_api()->Index_ntotal(index))
        return -1;
    for (int i = 0; i < n; i++)
        q[i] = (struct fxe_flat_query){b[i]->v[X].p, b[i]->v[DISTANCES].p, b[i]->v[LABELS].p};
    /* In a mapped file floats begin anywhere, which the fast kernels do not expect. */
    return fxe_flat_search(
        fxe_engine.options.coalesce == FXS_COALESCE_FAST && (uintptr_t)xb % sizeof *xb == 0,
        (int)fxe_api()->Index_metric_type(index), d, xb, floats / d, (size_t)b[0]->v[K].i, q, n);
}

/* Makes one FAISS call for all n requests.  Returns 0, FAISS's error code, or -1: out of memory. */
static int merged(struct fxe_req **b, int n)
{
    FaissIndex *index = b[0]->obj[INDEX]->ptr;
    size_t d = (size_t)fxe_api()->Index_d(index), k = (size_t)b[0]->v[K].i;
    float *x = malloc((size_t)n * d * sizeof *x), *dis = malloc((size_t)n * k * sizeof *dis);
    idx_t *ids = malloc((size_t)n * k * sizeof *ids);
    int rc = -1;
    if (x && dis && ids) {
        memset(ids, 0xff, (size_t)n * k * sizeof *ids); /* FAISS need not write them */
        memset(dis, 0, (size_t)n * k * sizeof *dis);
        for (int i = 0; i < n; i++)
            memcpy(x + (size_t)i * d, b[i]->v[X].p, d * sizeof *x);
        union fx_val v[RESULT + 1] = {[INDEX].p = index, [N].i = n,           [X].p = x,
                                      [K] = b[0]->v[K],  [DISTANCES].p = dis, [LABELS].p = ids};
        fx_invoke(fxe_api(), b[0]->op, v);
        rc = (int)v[RESULT].i;
        for (int i = 0; i < n && rc == 0; i++) {
            memcpy(b[i]->v[DISTANCES].p, dis + (size_t)i * k, k * sizeof *dis);
            memcpy(b[i]->v[LABELS].p, ids + (size_t)i * k, k * sizeof *ids);
        }
    }
    free(x);
    free(dis);
    free(ids);
    return rc;
}

static void alone(struct fxe_req *r)
{
    if (!fxe_far_search(r))
        fx_invoke(fxe_api(), r->op, r->v);
    if (r->v[RESULT].i != 0 && !r->failed)
        fxe_fail_faiss(r, (int)r->v[RESULT].i);
}

/* Where FAISS 1.7.3 searches for one neighbour and finds none (of a query that is not a number, or
 * in an index that is empty again), it says so in another way than for several. */
static void search_again(struct fxe_req **b, int n)
{
    for (int i = 0; i < n; i++)
        if (b[i]->v[K].i == 1 && *(const idx_t *)b[i]->v[LABELS].p < 0)
            alone(b[i]);
}

/* FAISS computes distances in another way for this many queries, and its guards (guard/) know of
 * indexes that do not survive that. */
enum { SAFE_BATCH = 19 };

static void merged_in_parts(struct fxe_req **b, int n)
{
    struct fxe_obj *o = b[0]->obj[INDEX];
    /* For many queries FAISS leaves the results of an empty Flat index as they were. */
    int most = fxe_is_flat(o) && fxe_ntotal_of(o) > 0 ? n : SAFE_BATCH, part;
    for (int i = 0; i < n; i += part) {
        part = n - i < most ? n - i : most;
        /* If it fails, each is run alone, so that each caller gets its own error. */
        if (merged(b + i, part) != 0)
            for (int j = i; j < i + part; j++)
                alone(b[j]);
    }
}

/* What is faster gives other results, not only other bits, for queries that are not finite, or so
 * large that distances are not.  Puts those at the end; returns how many others there are. */
static int ordinary_first(struct fxe_req **b, int n)
{
    int m = 0;
    for (int i = 0; i < n; i++)
        if (!fxe_has_odd(b[i], false)) {
            struct fxe_req *r = b[i];
            b[i] = b[m];
            b[m++] = r;
        }
    return m;
}

void fxe_coalesce_run(struct fxe_req **batch, int n)
{
    bool fast = fxe_engine.options.coalesce == FXS_COALESCE_FAST;
    struct fxe_req *good[FXE_FLAT_MAX];
    int ngood = 0;
    for (int i = 0; i < n; i++)
        if (fxe_call_resolve(batch[i]) == 0 && fxe_call_arguments(batch[i]) == 0)
            good[ngood++] = batch[i];
    int together = ngood && fast ? ordinary_first(good, ngood) : ngood;
    if (together && flat(good, together) == 0)
        search_again(good, together);
    else if (together && fast)
        merged_in_parts(good, together);
    else
        together = 0;
    for (int i = together; i < ngood; i++)
        alone(good[i]);
    fxe_stats_batch(together);
    for (int i = 0; i < n; i++)
        fxe_req_finish(batch[i]);
}
