/* SPDX-License-Identifier: Apache-2.0 */
/* Compares each kernel of flat.c that this processor can run with distances computed plainly. */
#include "server/engine/search/flat_kernel.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(exact_kernels),
                                       cmocka_unit_test(fast_kernels)};
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
