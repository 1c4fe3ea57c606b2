/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/search/split.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/guard/check_args.h"
#include "server/engine/run/wide.h"
#include "server/engine/search/coalesce.h"

enum {
    /* All parts but the last are multiples of this many queries.  FAISS uses BLAS from 20 queries
     * on; BLAS computes 2 to 24 at a time, and the remainder in other ways. */
    PART = 48,
    WORTH = 1 << 22, /* least multiplications of a part */
    MAX_D = 4096,
    TRY_N = 1100, /* vectors: more than one of FAISS's blocks */
    TRY_K = 10,
    TRY_MAX = 1 << 20, /* floats of queries */
    LEAST_STEP = 8
};

/* GCC's OpenMP runtime has these, and so has LLVM's, for code compiled by GCC. */
static struct {
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
    int (*thread_num)(void), (*num_threads)(void);
} omp;

void fxe_split_init(void *dl)
{
    void *f[] = {dlsym(dl, "GOMP_parallel"), dlsym(dl, "omp_get_thread_num"),
                 dlsym(dl, "omp_get_num_threads")};
    if (!f[0] || !f[1] || !f[2])
        return;
    memcpy(&omp.parallel, &f[0], sizeof f[0]);
    memcpy(&omp.thread_num, &f[1], sizeof f[1]);
    memcpy(&omp.num_threads, &f[2], sizeof f[2]);
}

bool fxe_uses_blas(size_t n, FaissIndex *index)
{
    enum { THRESHOLD = 20 };
    static int by_size; /* 1: no; 2: yes */
    const struct fx_api *api = fxe_api();
    if (!__atomic_load_n(&by_size, __ATOMIC_RELAXED))
        __atomic_store_n(&by_size, 1 + since(14), __ATOMIC_RELAXED);
    if (by_size == 2)
        n *= (size_t)api->Index_d(index);
    return n >= (size_t)(api->get_distance_compute_blas_threshold
                             ? api->get_distance_compute_blas_threshold()
                             : THRESHOLD);
}

static void nothing(void *arg)
{
    (void)arg;
}

void fxe_split_warm_up(void)
{
    if (omp.parallel)
        omp.parallel(nothing, NULL, 0, 0);
}

struct split_search {
    FaissIndex *index;
    size_t n, d, k;
    const float *x;
    float *distances;
    idx_t *labels;
    size_t parts;
    int failed; /* atomic */
};

static void search_part(struct split_search *s, size_t from, size_t to)
{
    if (fxe_engine.lib.api.Index_search(s->index, (idx_t)(to - from), s->x + from * s->d,
                                        (idx_t)s->k, s->distances + from * s->k,
                                        s->labels + from * s->k) != 0)
        __atomic_store_n(&s->failed, 1, __ATOMIC_RELAXED);
}

/* Returns the first query of part p. */
static size_t cut(const struct split_search *s, size_t p)
{
    return p == s->parts ? s->n : s->n * p / s->parts / PART * PART;
}

static void search_parts(void *arg)
{
    struct split_search *s = arg;
    size_t step = (size_t)omp.num_threads();
    /* FAISS v1.15 divides the vectors among omp_get_max_threads() threads if the queries are fewer,
     * and relies on getting them; but here it gets one, and would leave out all other shares. */
    fxe_engine.omp_set_num_threads(1);
    for (size_t p = (size_t)omp.thread_num(); p < s->parts; p += step)
        search_part(s, cut(s, p), cut(s, p + 1));
}

/* --- do parts give the same bits? --- */

/* Searches for the queries whole and in two parts, cut at some multiples of `step`. */
static int same(struct split_search *whole, size_t least, size_t step)
{
    size_t size = whole->n * whole->k;
    struct split_search parts = *whole;
    parts.distances = malloc(size * sizeof *parts.distances);
    parts.labels = malloc(size * sizeof *parts.labels);
    int rc = parts.distances && parts.labels;
    if (rc)
        search_part(whole, 0, whole->n);
    for (size_t at = least; rc && at <= least + PART; at += step) {
        search_part(&parts, 0, at);
        search_part(&parts, at, whole->n);
        rc = !whole->failed && !parts.failed &&
             memcmp(parts.distances, whole->distances, size * sizeof *parts.distances) == 0 &&
             memcmp(parts.labels, whole->labels, size * sizeof *parts.labels) == 0;
    }
    free(parts.distances);
    free(parts.labels);
    return rc;
}

static int try_queries(FaissIndex *index, size_t d, size_t k, size_t least, size_t step)
{
    size_t n = 2 * (least + PART) - 1, size = (TRY_N + n) * d;
    float *y = malloc(size * sizeof *y), *distances = malloc(n * k * sizeof *distances);
    idx_t *labels = malloc(n * k * sizeof *labels);
    uint32_t seed = 1;
    int rc = 0;
    for (size_t i = 0; y && i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        y[i] = (float)(seed >> 8) / (1 << 23) - 1;
    }
    if (y && distances && labels && fxe_engine.lib.api.Index_add(index, TRY_N, y) == 0) {
        struct split_search whole = {.index = index,
                                     .n = n,
                                     .d = d,
                                     .k = k,
                                     .x = y + TRY_N * d,
                                     .distances = distances,
                                     .labels = labels};
        rc = same(&whole, least, step);
    }
    free(y);
    free(distances);
    free(labels);
    return rc;
}

/* Tries about the smallest parts for which FAISS uses BLAS: without it, it makes each search alone.
 */
static int try_metric(FaissMetricType metric, size_t d, size_t k, size_t step)
{
    const struct fx_api *api = &fxe_engine.lib.api;
    FaissIndexFlat *index = NULL;
    size_t least = PART;
    if (!api->IndexFlat_new_with || api->IndexFlat_new_with(&index, (idx_t)d, metric) != 0)
        return 0;
    while (least * d <= TRY_MAX && !fxe_uses_blas(least, index))
        least += PART;
    int rc = least * d <= TRY_MAX && try_queries(index, d, k, least, step);
    api->Index_free(index);
    return rc;
}

/* FAISS's settings for searches with BLAS. */
struct settings {
    int threshold, query_bs, database_bs;
};

static struct settings get_settings(void)
{
    const struct fx_api *api = fxe_api();
    struct settings s = {0, 4096, 0}; /* the older releases' block of queries */
    if (api->get_distance_compute_blas_threshold)
        s.threshold = api->get_distance_compute_blas_threshold();
    if (api->get_distance_compute_blas_query_bs)
        s.query_bs = api->get_distance_compute_blas_query_bs();
    if (api->get_distance_compute_blas_database_bs)
        s.database_bs = api->get_distance_compute_blas_database_bs();
    return s;
}

/* Returns what divides both the first queries of all parts, and those of the blocks that FAISS
 * gives to BLAS.  Dividing a search moves the blocks' ends. */
static size_t step_of(const struct split_search *s, size_t query_bs)
{
    size_t step = PART, rest = query_bs % PART;
    while (s->n > query_bs && rest) {
        size_t next = step % rest;
        step = rest;
        rest = next;
    }
    return step;
}

/* Does FAISS give BLAS a last block of few queries?  BLAS may compute it in another way. */
static bool ends_in_few(size_t n, size_t query_bs)
{
    return n > query_bs && n % query_bs != 0 && n % query_bs < PART;
}

static int may_be_split(const struct split_search *s)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char known[2][2][2][MAX_D + 1]; /* 1: yes, 2: no */
    static struct settings before;
    struct settings now = get_settings();
    FaissMetricType metric = fxe_api()->Index_metric_type(s->index);
    bool blas = fxe_uses_blas(s->n, s->index);
    size_t query_bs = now.query_bs > 0 ? (size_t)now.query_bs : 1, step = step_of(s, query_bs);
    for (size_t p = 0; p < s->parts; p++) {
        size_t n = cut(s, p + 1) - cut(s, p);
        if (fxe_uses_blas(n, s->index) != blas || (blas && ends_in_few(n, query_bs)))
            return 0;
    }
    if (!blas)
        return 1;
    if (step < LEAST_STEP || ends_in_few(s->n, query_bs))
        return 0;
    pthread_mutex_lock(&lock);
    if (memcmp(&before, &now, sizeof now) != 0)
        memset(known, 0, sizeof known);
    before = now;
    char *at = &known[metric == METRIC_INNER_PRODUCT][s->k == 1][step == PART][s->d];
    if (!*at)
        *at = try_metric(metric, s->d, s->k == 1 ? 1 : TRY_K, step) ? 1 : 2;
    int may = *at == 1;
    pthread_mutex_unlock(&lock);
    return may;
}

/* --- the search --- */

/* Parameter numbers of the functions flagged `queries`. */
enum { INDEX, N, X, K, DISTANCES, LABELS, RESULT };

int fxe_split_search(struct fxe_req *r)
{
    const struct fx_api *api = &fxe_engine.lib.api;
    int cores = fxe_wide_width();
    if (!omp.parallel || !fxe_engine.omp_set_num_threads || cores < 2 ||
        !(r->fn->flags & FX_QUERIES) || r->lane != FXE_WIDE || r->v[N].i < 2 * PART ||
        r->v[K].i < 1 || !fxe_is_flat(r->obj[INDEX]))
        return 0;
    if (since(14) && r->v[N].i < cores)
        return 0; /* FAISS may divide the vectors among the cores, which gives other bits */
    struct split_search s = {.index = r->v[INDEX].p,
                             .n = (size_t)r->v[N].i,
                             .d = (size_t)api->Index_d(r->v[INDEX].p),
                             .k = (size_t)r->v[K].i,
                             .x = r->v[X].p,
                             .distances = r->v[DISTANCES].p,
                             .labels = r->v[LABELS].p};
    s.parts = s.n / PART < (size_t)cores ? s.n / PART : (size_t)cores;
    if (s.d > MAX_D || !s.x || !s.distances || !s.labels ||
        s.n / s.parts * s.d * (size_t)api->Index_ntotal(s.index) < WORTH || !may_be_split(&s))
        return 0;
    omp.parallel(search_parts, &s, (unsigned)s.parts, 0);
    r->v[RESULT].i = 0;
    return !s.failed; /* if failed, the caller searches again, to get the error */
}
