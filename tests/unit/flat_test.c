/* SPDX-License-Identifier: Apache-2.0 */
/* Compares each kernel of flat.c that this processor can run with distances computed plainly, and
 * searches for several queries with searches for one. */
#include "server/engine/search/flat.h"
#include "server/engine/search/flat_kernel.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/engine/engine.h"

enum { M = 100, MAX_D = 256 };

static float x[FXE_FLAT_GROUP][MAX_D], y[M * MAX_D];

static void fill(void)
{
    uint32_t s = 7;
    float *all[] = {&x[0][0], y};
    size_t n[] = {sizeof x / sizeof(float), sizeof y / sizeof(float)};
    for (int a = 0; a < 2; a++)
        for (size_t i = 0; i < n[a]; i++) {
            s = s * 1664525u + 1013904223u;
            all[a][i] = (float)(s >> 8) / (1 << 23) - 1;
        }
}

static float distance(const float *a, const float *b, size_t d, int ip)
{
    double sum = 0;
    for (size_t c = 0; c < d; c++)
        sum += ip ? (double)a[c] * (double)b[c] : pow((double)a[c] - (double)b[c], 2);
    return (float)sum;
}

/* With room for all m results, each vector's id comes with its distance. */
static void check(const struct fxe_flat_kernel *kernel, size_t d, size_t m, int n, int ip)
{
    static float dis[FXE_FLAT_GROUP][M];
    static idx_t ids[FXE_FLAT_GROUP][M];
    struct fxe_flat_group g = {.n = n, .ip = ip, .k = m};
    const float *queries[FXE_FLAT_GROUP];
    g.packed = aligned_alloc(64, (FXE_FLAT_GROUP * (d + 1) + 15) / 16 * 16 * sizeof(float));
    assert_non_null(g.packed);
    for (int q = 0; q < kernel->width; q++) {
        queries[q] = x[q < n ? q : n - 1];
        g.dis[q] = dis[q];
        g.ids[q] = ids[q];
        /* There are only n queries: no vector may enter the results of others. */
        g.worst[q] = (q < n) != ip ? FLT_MAX : -FLT_MAX;
        for (size_t i = 0; i < m; i++) {
            dis[q][i] = ip ? -FLT_MAX : FLT_MAX;
            ids[q][i] = -1;
        }
    }
    kernel->pack(queries, d, g.packed);
    kernel->scan(&g, d, y, m, 1000);
    for (int q = 0; q < n; q++)
        for (size_t i = 0; i < m; i++) {
            assert_in_range(ids[q][i], 1000, 1000 + m - 1);
            float want = distance(x[q], y + (size_t)(ids[q][i] - 1000) * d, d, ip);
            if (!(fabsf(dis[q][i] - want) < 1e-3f))
                fail_msg("%s, d %zu, query %d: %g instead of %g", kernel->name, d, q,
                         (double)dis[q][i], (double)want);
            for (size_t j = 0; j < i; j++)
                assert_int_not_equal(ids[q][i], ids[q][j]);
        }
    for (int q = n; q < kernel->width; q++)
        assert_int_equal(ids[q][0], -1);
    free(g.packed);
}

/* Skipped, not passed, if the processor can run none of them. */
static void check_all(const struct fxe_flat_kernel *const *kernels)
{
    static const size_t dims[] = {8, 40, 128, 256}, blocks[] = {1, 5, 12, 13, 100};
    int tried = 0;
    for (; *kernels; kernels++)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 5; j++)
                for (int ip = 0; ip < 2; ip++)
                    if ((*kernels)->usable(dims[i], ip ? METRIC_INNER_PRODUCT : METRIC_L2)) {
                        check(*kernels, dims[i], blocks[j], (*kernels)->width, ip);
                        check(*kernels, dims[i], blocks[j], 1, ip);
                        check(*kernels, dims[i], blocks[j], 5, ip);
                        tried++;
                    }
    if (!tried)
        skip();
}

static void exact_kernels(void **state)
{
    (void)state;
    check_all(fxe_flat_kernels);
}

static void fast_kernels(void **state)
{
    (void)state;
    check_all(fxe_flat_fast_kernels);
}

/* --- what stands for FAISS while a kernel is chosen: its order of sums, and of equal results ---
 */

struct index {
    int ip;
    size_t d, n;
    const float *y;
};

static int new_index(FaissIndexFlat **p, idx_t d, FaissMetricType metric)
{
    struct index *index = calloc(1, sizeof *index);
    assert_non_null(index);
    index->d = (size_t)d;
    index->ip = metric == METRIC_INNER_PRODUCT;
    *p = (FaissIndexFlat *)index;
    return 0;
}

static int add(FaissIndex *p, idx_t n, const float *vectors)
{
    struct index *index = (struct index *)p;
    index->n = (size_t)n;
    index->y = vectors;
    return 0;
}

static float in_order(const float *a, const float *b, size_t d, int ip)
{
    float s[8] = {0};
    for (size_t c = 0; c < d; c++) {
        float t = ip ? a[c] : a[c] - b[c];
        s[c % 8] = fmaf(t, ip ? b[c] : t, s[c % 8]);
    }
    for (int i = 0; i < 4; i++)
        s[i] += s[i + 4];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Is result a worse than b? */
static bool is_worse(int ip, float a, idx_t ia, float b, idx_t ib)
{
    return a != b ? (ip ? a < b : a > b) : ip ? ia < ib : ia > ib;
}

/* The k results are sorted, best first; a vector enters if it is better than the last one. */
static int search(const FaissIndex *p, idx_t n, const float *q, idx_t k, float *dis, idx_t *ids)
{
    const struct index *index = (const struct index *)p;
    int ip = index->ip;
    assert_int_equal(n, 1);
    for (idx_t i = 0; i < k; i++) {
        dis[i] = ip ? -FLT_MAX : FLT_MAX;
        ids[i] = -1;
    }
    for (size_t j = 0; j < index->n; j++) {
        float v = in_order(q, index->y + j * index->d, index->d, ip);
        idx_t i = k - 1;
        if (!(ip ? v > dis[i] : v < dis[i]))
            continue;
        for (; i > 0 && is_worse(ip, dis[i - 1], ids[i - 1], v, (idx_t)j); i--) {
            dis[i] = dis[i - 1];
            ids[i] = ids[i - 1];
        }
        dis[i] = v;
        ids[i] = (idx_t)j;
    }
    return 0;
}

static void free_index(FaissIndex *p)
{
    free(p);
}

/* --- queries of different clients --- */

enum { D = 8, K = 5, MOST = 7 };

/* Each query of a search has the results that it has alone.  Places of a group that have no query
 * are filled with another one, whose results they must not enter. */
static void check_alone(int fast, int nq, int infinite)
{
    static float q[MOST][D], dis[MOST][K], want_dis[K];
    static idx_t ids[MOST][K], want[K];
    struct fxe_flat_query all[MOST];
    struct index index = {.ip = 1, .d = D, .n = M, .y = y};
    for (int i = 0; i < nq; i++) {
        memcpy(q[i], x[i], sizeof q[i]);
        if (i == infinite) {
            memset(q[i], 0, sizeof q[i]);
            q[i][0] = INFINITY;
        }
        all[i] = (struct fxe_flat_query){q[i], dis[i], ids[i]};
    }
    if (fxe_flat_search(fast, METRIC_INNER_PRODUCT, D, y, M, K, all, nq) != 0)
        skip();
    for (int i = 0; i < nq; i++) {
        search((const FaissIndex *)&index, 1, q[i], K, want_dis, want);
        for (int k = 0; k < K; k++) {
            if (!fast)
                assert_memory_equal(&dis[i][k], &want_dis[k], sizeof want_dis[k]);
            if (ids[i][k] != want[k])
                fail_msg("%s, %d queries, query %d, result %d: %lld instead of %lld",
                         fast ? "fast" : "exact", nq, i, k, (long long)ids[i][k],
                         (long long)want[k]);
        }
    }
}

static void queries_keep_apart(void **state)
{
    static const int numbers[] = {1, 3, 5, 7};
    struct fx_api *api = &fxe_engine.lib.api;
    (void)state;
    api->IndexFlat_new_with = new_index;
    api->Index_add = add;
    api->Index_search = search;
    api->Index_free = free_index;
    for (int fast = 0; fast < 2; fast++)
        for (int i = 0; i < 4; i++) {
            check_alone(fast, numbers[i], 0);
            check_alone(fast, numbers[i], numbers[i] - 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(exact_kernels),
                                       cmocka_unit_test(fast_kernels),
                                       cmocka_unit_test(queries_keep_apart)};
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
