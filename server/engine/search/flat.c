/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/search/flat.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/engine.h"
#include "server/engine/search/flat_kernel.h"
#include "server/log.h"

enum { TILE_BYTES = 96 << 10, MAX_D = 4096, MAX_K = 100 };

/* --- the k best of one query --- */

/* Is a worse than b?  FAISS's heaps order by distance, then by id: for L2 the larger id is worse,
 * for inner product the smaller. */
static inline int worse(int ip, float a, idx_t ia, float b, idx_t ib)
{
    if (a != b)
        return ip ? a < b : a > b;
    return ip ? ia < ib : ia > ib;
}

/* Replaces the worst result, the root of the binary heap, with (v, id). */
static void replace_worst(int ip, size_t k, float *dis, idx_t *ids, float v, idx_t id)
{
    size_t i = 0;
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= k)
            break;
        if (c + 1 < k && worse(ip, dis[c + 1], ids[c + 1], dis[c], ids[c]))
            c++;
        if (worse(ip, v, id, dis[c], ids[c]))
            break;
        dis[i] = dis[c];
        ids[i] = ids[c];
        i = c;
    }
    dis[i] = v;
    ids[i] = id;
}

/* Turns the heap into a list, best first; empty places come last. */
static void sort_results(int ip, size_t k, float *dis, idx_t *ids)
{
    for (size_t n = k; n > 1; n--) {
        float v = dis[n - 1];
        idx_t id = ids[n - 1];
        dis[n - 1] = dis[0];
        ids[n - 1] = ids[0];
        replace_worst(ip, n - 1, dis, ids, v, id);
    }
}

void fxe_flat_offer(struct fxe_flat_group *g, int q, float dis, idx_t id)
{
    replace_worst(g->ip, g->k, g->dis[q], g->ids[q], dis, id);
    g->worst[q] = g->dis[q][0];
}

/* --- one search with one kernel --- */

/* Returns the floats of one packed group, rounded up so that the next one is aligned. */
static size_t packed_floats(const struct fxe_flat_kernel *kernel, size_t d)
{
    return ((size_t)kernel->width * (d + 1) + 15) / 16 * 16;
}

/* Allocates memory for nq packed queries; the caller frees it. */
static float *new_packed(const struct fxe_flat_kernel *kernel, size_t d, int nq)
{
    size_t groups = (size_t)((nq + kernel->width - 1) / kernel->width);
    return aligned_alloc(64, groups * packed_floats(kernel, d) * sizeof(float));
}

static void search_flat(const struct fxe_flat_kernel *kernel, int ip, size_t d, const float *y,
                        size_t n, size_t k, struct fxe_flat_query *q, int nq, float *packed)
{
    struct fxe_flat_group groups[FXE_FLAT_MAX / FXE_FLAT_NARROW];
    int width = kernel->width, ngroups = (nq + width - 1) / width;
    size_t tile = TILE_BYTES / (d * sizeof(float));
    if (tile < 16)
        tile = 16;
    for (int g = 0; g < ngroups; g++) {
        struct fxe_flat_group *gr = &groups[g];
        const float *x[FXE_FLAT_GROUP];
        gr->n = nq - g * width < width ? nq - g * width : width;
        gr->ip = ip;
        gr->k = k;
        gr->packed = packed + (size_t)g * packed_floats(kernel, d);
        for (int i = 0; i < width; i++) {
            /* A group that is not full is padded with its last query.  No distance is better than
             * such a place's `worst`, not even one that is infinite. */
            struct fxe_flat_query *one = &q[g * width + (i < gr->n ? i : gr->n - 1)];
            x[i] = one->x;
            gr->dis[i] = one->distances;
            gr->ids[i] = one->labels;
            gr->worst[i] = i < gr->n ? (ip ? -FLT_MAX : FLT_MAX) : (ip ? INFINITY : -INFINITY);
        }
        for (int i = 0; i < gr->n; i++)
            for (size_t j = 0; j < k; j++) {
                gr->dis[i][j] = ip ? -FLT_MAX : FLT_MAX;
                gr->ids[i][j] = -1;
            }
        kernel->pack(x, d, gr->packed);
    }
    for (size_t at = 0; at < n; at += tile) {
        size_t m = n - at < tile ? n - at : tile;
        for (int g = 0; g < ngroups; g++)
            kernel->scan(&groups[g], d, y + at * d, m, (idx_t)at);
    }
    for (int i = 0; i < nq; i++)
        sort_results(ip, k, q[i].distances, q[i].labels);
}

/* --- choosing a kernel that agrees with the library --- */

enum { TRY_N = 1500, TRY_Q = 11, TRY_K = 10 };

struct trial {
    float *y, *x, *dis, *want_dis;
    idx_t *ids, *want_ids;
};

static int agrees(const struct fxe_flat_kernel *kernel, int ip, size_t d, struct trial *t)
{
    struct fxe_flat_query q[TRY_Q];
    float *packed = new_packed(kernel, d, TRY_Q);
    if (!packed)
        return 0;
    for (int i = 0; i < TRY_Q; i++)
        q[i] =
            (struct fxe_flat_query){t->x + (size_t)i * d, t->dis + i * TRY_K, t->ids + i * TRY_K};
    search_flat(kernel, ip, d, t->y, TRY_N, TRY_K, q, TRY_Q, packed);
    free(packed);
    return memcmp(t->dis, t->want_dis, TRY_Q * TRY_K * sizeof *t->dis) == 0 &&
           memcmp(t->ids, t->want_ids, TRY_Q * TRY_K * sizeof *t->ids) == 0;
}

/* Random vectors, every second one a copy of another, for ties of all kinds. */
static void fill_trial(struct trial *t, size_t d)
{
    uint32_t s = 12345;
    for (size_t i = 0; i < TRY_N * d; i++) {
        s = s * 1664525u + 1013904223u;
        t->y[i] = (float)(s >> 8) / (1 << 22) - 2;
    }
    for (size_t i = 1; i < TRY_N; i += 2) {
        s = s * 1664525u + 1013904223u;
        memcpy(t->y + i * d, t->y + (s % TRY_N) * d, d * sizeof(float));
    }
    for (size_t i = 0; i < TRY_Q * d; i++)
        t->x[i] = t->y[(i * 7) % (TRY_N * d)] + (i % 3 ? 0.25f : 0);
}

static int ask_faiss(int metric, size_t d, struct trial *t)
{
    const struct fx_api *api = &fxe_engine.lib.api;
    FaissIndexFlat *index = NULL;
    if (!api->IndexFlat_new_with ||
        api->IndexFlat_new_with(&index, (idx_t)d, (FaissMetricType)metric) != 0)
        return -1;
    int rc = api->Index_add(index, TRY_N, t->y);
    for (int i = 0; i < TRY_Q && rc == 0; i++)
        rc = api->Index_search(index, 1, t->x + (size_t)i * d, TRY_K, t->want_dis + i * TRY_K,
                               t->want_ids + i * TRY_K);
    api->Index_free(index);
    return rc;
}

static const struct fxe_flat_kernel *choose(int metric, size_t d)
{
    const struct fxe_flat_kernel *found = NULL;
    size_t n = TRY_Q * TRY_K;
    struct trial t = {
        malloc(TRY_N * d * sizeof(float)), malloc(TRY_Q * d * sizeof(float)),
        malloc(n * sizeof(float)),         malloc(n * sizeof(float)),
        malloc(n * sizeof(idx_t)),         malloc(n * sizeof(idx_t)),
    };
    if (t.y && t.x && t.dis && t.want_dis && t.ids && t.want_ids) {
        fill_trial(&t, d);
        if (ask_faiss(metric, d, &t) == 0)
            for (int i = 0; !found && fxe_flat_kernels[i]; i++)
                if (fxe_flat_kernels[i]->usable(d, metric) &&
                    agrees(fxe_flat_kernels[i], metric == METRIC_INNER_PRODUCT, d, &t))
                    found = fxe_flat_kernels[i];
    }
    free(t.y);
    free(t.x);
    free(t.dis);
    free(t.want_dis);
    free(t.ids);
    free(t.want_ids);
    return found;
}

/* FAISS then uses a reservoir in the trial, which breaks ties differently from a heap. */
static int has_reservoir(void)
{
    const struct fx_api *api = &fxe_engine.lib.api;
    return api->get_distance_compute_min_k_reservoir &&
           api->get_distance_compute_min_k_reservoir() <= TRY_K;
}

static const struct fxe_flat_kernel *kernel_for(int metric, size_t d)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const struct fxe_flat_kernel none;
    static const struct fxe_flat_kernel *known[2][MAX_D / 8 + 1]; /* NULL: not chosen yet */
    const struct fxe_flat_kernel **at = &known[metric == METRIC_INNER_PRODUCT][d / 8];
    const struct fxe_flat_kernel *kernel = __atomic_load_n(at, __ATOMIC_ACQUIRE);
    if (!kernel && has_reservoir())
        return NULL;
    if (!kernel) {
        pthread_mutex_lock(&lock);
        kernel = *at;
        if (!kernel) {
            kernel = choose(metric, d);
            fxs_log(FXS_DEBUG, "engine", "event=flat-kernel metric=%d d=%zu kernel=%s", metric, d,
                    kernel ? kernel->name : "none");
            __atomic_store_n(at, kernel ? kernel : &none, __ATOMIC_RELEASE);
        }
        pthread_mutex_unlock(&lock);
    }
    return kernel == &none ? NULL : kernel;
}

static const struct fxe_flat_kernel *fast_kernel(int metric, size_t d)
{
    for (int i = 0; fxe_flat_fast_kernels[i]; i++)
        if (fxe_flat_fast_kernels[i]->usable(d, metric))
            return fxe_flat_fast_kernels[i];
    return NULL;
}

int fxe_flat_search(int fast, int metric, size_t d, const float *y, size_t n, size_t k,
                    struct fxe_flat_query *q, int nq)
{
    if (d == 0 || d % 8 || d > MAX_D || k == 0 || k >= MAX_K || nq < 1 || nq > FXE_FLAT_MAX ||
        (metric != METRIC_L2 && metric != METRIC_INNER_PRODUCT))
        return -1;
    const struct fxe_flat_kernel *kernel = fast ? fast_kernel(metric, d) : NULL;
    if (!kernel)
        kernel = kernel_for(metric, d);
    float *packed = kernel ? new_packed(kernel, d, nq) : NULL;
    if (!packed)
        return -1;
    search_flat(kernel, metric == METRIC_INNER_PRODUCT, d, y, n, k, q, nq, packed);
    free(packed);
    return 0;
}
