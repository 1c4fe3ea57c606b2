/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/search/far.h"

#include <stdlib.h>

#include "server/engine/guard/check_args.h"
#include "server/engine/guard/room.h"

enum {
    LEAST = 1024, /* least k to search with: below it, FAISS chooses its method by k */
    PART = 48,    /* queries: parts of a multiple of this give the same bits (split.c) */
    RESULT = 12,  /* bytes of one result: a label and a distance */
    HELD = 3,     /* copies of a result that FAISS and the engine hold at a time */
    SHARE = 2     /* a part may take 1/SHARE of the remaining memory */
};

/* --- k --- */

/* Copies n rows of k2 elements into rows of k elements, and fills each with its last element,
 * which is what FAISS returns where there is no neighbour. */
static void spread(void *to, const void *from, size_t size, size_t n, size_t k2, size_t k)
{
    for (size_t i = 0; i < n; i++) {
        char *row = (char *)to + i * k * size;
        const char *got = (const char *)from + i * k2 * size;
        memcpy(row, got, k2 * size);
        for (size_t j = k2; j < k; j++)
            memcpy(row + j * size, got + (k2 - 1) * size, size);
    }
}

int fxe_far_search(struct fxe_req *r)
{
    int is_search = r->fn->act == FX_ACT_search || r->fn->act == FX_ACT_params;
    if (!is_search || scalar(r, "k") <= FXE_FAR || rows(r) <= 0)
        return 0;
    int binary = fx_root(r->obj[0]->cls) == FX_CLASS_IndexBinary;
    int64_t ntotal =
        binary ? fxe_api()->IndexBinary_ntotal(r->v[0].p) : fxe_api()->Index_ntotal(r->v[0].p);
    size_t n = (size_t)rows(r), k = (size_t)scalar(r, "k");
    size_t k2 = ntotal + 1 < LEAST ? LEAST : (size_t)ntotal + 1;
    int dis = param(r, "distances"), ids = param(r, "labels"), kth = param(r, "k");
    if (k2 > k / 2 || !r->v[ids].p || (dis >= 0 && !r->v[dis].p))
        return 0;
    float *dis2 = fxe_room_realloc(NULL, n * k2 * sizeof *dis2); /* or int32_t */
    idx_t *ids2 = fxe_room_realloc(NULL, n * k2 * sizeof *ids2);
    union fx_val v[FX_PARAMS_MAX + 1];
    if (!dis2 || !ids2) {
        free(dis2);
        free(ids2);
        fxe_fail(r, "limit", "%s: the server is out of memory", r->fn->name);
        return 1;
    }
    memset(dis2, 0, n * k2 * sizeof *dis2);
    memset(ids2, 0xff, n * k2 * sizeof *ids2);
    memcpy(v, r->v, sizeof v);
    v[kth].i = (int64_t)k2;
    v[ids].p = ids2;
    if (dis >= 0)
        v[dis].p = dis2;
    fx_invoke(fxe_api(), r->op, v);
    r->v[r->fn->nparams] = v[r->fn->nparams];
    if (v[r->fn->nparams].i == 0) {
        spread(r->v[ids].p, ids2, sizeof *ids2, n, k2, k);
        if (dis >= 0)
            spread(r->v[dis].p, dis2, sizeof *dis2, n, k2, k);
    }
    free(dis2);
    free(ids2);
    return 1;
}

/* --- range searches --- */

static size_t element_size(const struct fxe_req *r, int binary)
{
    return binary ? (size_t)fxe_api()->IndexBinary_d(r->v[0].p) / 8
                  : (size_t)fxe_api()->Index_d(r->v[0].p) * sizeof(float);
}

/* Makes room for `more` results after the first `have`. */
static int more_room(struct fxe_found *f, size_t have, size_t more)
{
    idx_t *labels = realloc(f->labels, (have + more + 1) * sizeof *labels);
    if (labels)
        f->labels = labels;
    float *distances = realloc(f->distances, (have + more + 1) * sizeof *distances);
    if (distances)
        f->distances = distances;
    return labels && distances ? 0 : -1;
}

/* Searches for n queries of `size` bytes each, starting at `from`, and appends the results. */
static int part(struct fxe_req *r, struct fxe_found *f, size_t from, size_t n, size_t size)
{
    FaissRangeSearchResult *result = NULL;
    size_t *lims = NULL, have = f->lims[from];
    idx_t *labels = NULL;
    float *distances = NULL;
    union fx_val v[FX_PARAMS_MAX + 1];
    int rc = fxe_api()->RangeSearchResult_new(&result, (idx_t)n);
    if (rc != 0)
        return rc;
    memcpy(v, r->v, sizeof v);
    v[r->fn->rows].i = (int64_t)n;
    v[param(r, "x")].p = (char *)r->v[param(r, "x")].p + from * size;
    v[param(r, "result")].p = result;
    fx_invoke(fxe_api(), r->op, v);
    rc = (int)v[r->fn->nparams].i;
    if (rc == 0) {
        fxe_api()->RangeSearchResult_lims(result, &lims);
        fxe_api()->RangeSearchResult_labels(result, &labels, &distances);
        size_t got = lims[n];
        if (got > fxe_room_for(got * RESULT) / RESULT || more_room(f, have, got) != 0) {
            fxe_fail(r, "limit",
                     "%s: %zu results of the first %zu queries do not fit in the remaining "
                     "memory; search for fewer at a time, or within a smaller radius",
                     r->fn->name, have + got, from + n);
        } else {
            for (size_t i = 1; i <= n; i++)
                f->lims[from + i] = have + lims[i];
            memcpy(f->labels + have, labels, got * sizeof *labels);
            memcpy(f->distances + have, distances, got * sizeof *distances);
        }
    }
    fxe_api()->RangeSearchResult_free(result);
    return rc;
}

/* Returns how many of the `left` queries to search for next.  The last two parts are of similar
 * size: FAISS searches for a few queries without BLAS, and gets other bits. */
static size_t next_part(size_t left, size_t at_once)
{
    if (left <= at_once || left >= 2 * at_once || at_once < 2 * PART)
        return left < at_once ? left : at_once;
    size_t n = left / 2 / PART * PART;
    return left - n > at_once ? n + PART : n;
}

int fxe_far_range(struct fxe_req *r)
{
    if (r->fn->act != FX_ACT_range)
        return 0;
    int binary = fx_root(r->obj[0]->cls) == FX_CLASS_IndexBinary;
    size_t n = rows(r) > 0 ? (size_t)rows(r) : 0;
    int64_t ntotal =
        binary ? fxe_api()->IndexBinary_ntotal(r->v[0].p) : fxe_api()->Index_ntotal(r->v[0].p);
    size_t each = (size_t)(ntotal > 0 ? ntotal : 0) * RESULT * HELD;
    if (n == 0 || n * each < 1 << 26) /* small in any case */
        return 0;
    size_t room = fxe_room_for(n * each * SHARE) / SHARE, at_once = room / each;
    if (at_once >= n)
        return 0;
    at_once = at_once > PART ? at_once / PART * PART : at_once ? at_once : 1;
    struct fxe_found *f = &r->found;
    size_t size = element_size(r, binary);
    size_t nq = fxe_api()->RangeSearchResult_nq(r->v[param(r, "result")].p); /* at least n */
    int rc = 0;
    if (!(f->lims = calloc(nq + 1, sizeof *f->lims)) || more_room(f, 0, 0) != 0) {
        fxe_fail(r, "limit", "%s: the server is out of memory", r->fn->name);
        return 1;
    }
    for (size_t from = 0, next; from < n && rc == 0 && !r->failed; from += next) {
        next = next_part(n - from, at_once);
        rc = part(r, f, from, next, size);
    }
    for (size_t i = n; i < nq; i++)
        f->lims[i + 1] = f->lims[n];
    f->n = nq;
    r->v[r->fn->nparams].i = rc;
    return 1;
}
