/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/search/flat_kernel.h"

#include <string.h>

#include "server/engine/engine.h"

/* --- distances computed by FAISS, block by block --- */

static int any_usable(size_t d, int metric)
{
    const struct fx_api *api = &fxe_engine.lib.api;
    (void)d;
    return metric == METRIC_L2 ? api->fvec_L2sqr_ny != NULL : api->fvec_inner_products_ny != NULL;
}

static void any_pack(const float *const *x, size_t d, float *packed)
{
    for (int i = 0; i < FXE_FLAT_NARROW; i++)
        memcpy(packed + (size_t)i * d, x[i], d * sizeof(float));
}

static void any_scan(struct fxe_flat_group *g, size_t d, const float *y, size_t m, idx_t first)
{
    enum { STEP = 256 };
    const struct fx_api *api = &fxe_engine.lib.api;
    float dis[STEP];
    for (size_t at = 0; at < m; at += STEP) {
        size_t n = m - at < STEP ? m - at : STEP;
        for (int q = 0; q < g->n; q++) {
            const float *x = g->packed + (size_t)q * d;
            if (g->ip)
                api->fvec_inner_products_ny(dis, x, y + at * d, d, n);
            else
                api->fvec_L2sqr_ny(dis, x, y + at * d, d, n);
            for (size_t j = 0; j < n; j++)
                if (g->ip ? dis[j] > g->worst[q] : dis[j] < g->worst[q])
                    fxe_flat_offer(g, q, dis[j], first + (idx_t)(at + j));
        }
    }
}

static const struct fxe_flat_kernel any = {"library", FXE_FLAT_NARROW, any_usable, any_pack,
                                           any_scan};

#if defined(__x86_64__)
#include <immintrin.h>

/* Sums each of four registers pairwise: the same bits as two horizontal additions of each. */
AVX2 static inline __m128 sum4(__m128 a, __m128 b, __m128 c, __m128 d)
{
    return _mm_hadd_ps(_mm_hadd_ps(a, b), _mm_hadd_ps(c, d));
}

AVX2 static inline __m128 halves(__m256 v)
{
    return _mm_add_ps(_mm256_extractf128_ps(v, 1), _mm256_castps256_ps128(v));
}

/* Offers vector `id` to the queries for which it is better than their worst result. */
AVX2 static inline void offer(struct fxe_flat_group *g, __m256 dis, idx_t id)
{
    __m256 worst = _mm256_load_ps(g->worst);
    __m256 better =
        g->ip ? _mm256_cmp_ps(dis, worst, _CMP_GT_OQ) : _mm256_cmp_ps(dis, worst, _CMP_LT_OQ);
    unsigned mask = (unsigned)_mm256_movemask_ps(better);
    if (__builtin_expect(mask, 0)) {
        _Alignas(32) float v[FXE_FLAT_NARROW];
        _mm256_store_ps(v, dis);
        for (; mask; mask &= mask - 1)
            fxe_flat_offer(g, __builtin_ctz(mask), v[__builtin_ctz(mask)], id);
    }
}

/* --- AVX2: two vectors at a time against four queries --- */

int fxe_flat_avx2(size_t d, int metric)
{
    (void)metric;
    return d % 8 == 0 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

enum { QUERIES = 4, VECTORS = 2 };

/* Every caller passes constants for `ip` and `nv`, and the loops are unrolled, so the sums stay in
 * the 16 registers. */
AVX2 static inline __attribute__((always_inline)) void few(const float *x, size_t d, const float *y,
                                                           int ip, int nv, __m128 *dis)
{
    __m256 s[VECTORS][QUERIES];
#pragma GCC unroll 2
    for (int v = 0; v < nv; v++)
#pragma GCC unroll 4
        for (int q = 0; q < QUERIES; q++)
            s[v][q] = _mm256_setzero_ps();
    for (size_t c = 0; c < d; c += 8) {
        __m256 one[VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            one[v] = _mm256_loadu_ps(y + (size_t)v * d + c);
#pragma GCC unroll 4
        for (int q = 0; q < QUERIES; q++) {
            __m256 t = _mm256_loadu_ps(x + (size_t)q * d + c);
#pragma GCC unroll 2
            for (int v = 0; v < nv; v++) {
                __m256 diff = ip ? t : _mm256_sub_ps(t, one[v]);
                s[v][q] = _mm256_fmadd_ps(diff, ip ? one[v] : diff, s[v][q]);
            }
        }
    }
#pragma GCC unroll 2
    for (int v = 0; v < nv; v++)
        dis[v] = sum4(halves(s[v][0]), halves(s[v][1]), halves(s[v][2]), halves(s[v][3]));
}

AVX2 static inline __attribute__((always_inline)) void
avx2_vectors(struct fxe_flat_group *g, size_t d, const float *y, idx_t id, int ip, int nv)
{
    __m128 lo[VECTORS] = {0}, hi[VECTORS];
    few(g->packed, d, y, ip, nv, lo);
    if (g->n > QUERIES)
        few(g->packed + QUERIES * d, d, y, ip, nv, hi);
    else
        memcpy(hi, lo, sizeof hi);
#pragma GCC unroll 2
    for (int v = 0; v < nv; v++)
        offer(g, _mm256_set_m128(hi[v], lo[v]), id + v);
}

AVX2 static inline __attribute__((always_inline)) void
avx2_any(struct fxe_flat_group *g, size_t d, const float *y, size_t m, idx_t first, int ip)
{
    size_t j = 0;
    for (; j + VECTORS <= m; j += VECTORS)
        avx2_vectors(g, d, y + j * d, first + (idx_t)j, ip, VECTORS);
    if (j < m)
        avx2_vectors(g, d, y + j * d, first + (idx_t)j, ip, 1);
}

AVX2 static void avx2_scan(struct fxe_flat_group *g, size_t d, const float *y, size_t m,
                           idx_t first)
{
    if (g->ip)
        avx2_any(g, d, y, m, first, 1);
    else
        avx2_any(g, d, y, m, first, 0);
}

static const struct fxe_flat_kernel avx2 = {"avx2", FXE_FLAT_NARROW, fxe_flat_avx2, any_pack,
                                            avx2_scan};

/* --- AVX-512: two queries in a register, each half summed in AVX2's order --- */

int fxe_flat_avx512(size_t d, int metric)
{
    (void)metric;
    return d % 8 == 0 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

/* Packs components 0..7 of query 0, of query 1, ... of query 7, then components 8..15, etc. */
static void avx512_pack(const float *const *x, size_t d, float *packed)
{
    for (size_t c = 0; c < d; c += 8)
        for (int i = 0; i < FXE_FLAT_NARROW; i++, packed += 8)
            memcpy(packed, x[i] + c, 8 * sizeof(float));
}

AVX512 static inline __m256 eight(const float *x, size_t d, const float *y, int ip)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t c = 0; c < d; c += 8, x += 64) {
        __m512 v = _mm512_broadcast_f32x8(_mm256_loadu_ps(y + c));
        __m512 q0 = _mm512_load_ps(x), q1 = _mm512_load_ps(x + 16);
        __m512 q2 = _mm512_load_ps(x + 32), q3 = _mm512_load_ps(x + 48);
        if (ip) {
            s0 = _mm512_fmadd_ps(q0, v, s0);
            s1 = _mm512_fmadd_ps(q1, v, s1);
            s2 = _mm512_fmadd_ps(q2, v, s2);
            s3 = _mm512_fmadd_ps(q3, v, s3);
        } else {
            q0 = _mm512_sub_ps(q0, v);
            q1 = _mm512_sub_ps(q1, v);
            q2 = _mm512_sub_ps(q2, v);
            q3 = _mm512_sub_ps(q3, v);
            s0 = _mm512_fmadd_ps(q0, q0, s0);
            s1 = _mm512_fmadd_ps(q1, q1, s1);
            s2 = _mm512_fmadd_ps(q2, q2, s2);
            s3 = _mm512_fmadd_ps(q3, q3, s3);
        }
    }
#define LOW(s) halves(_mm512_castps512_ps256(s))
#define HIGH(s) halves(_mm512_extractf32x8_ps(s, 1))
    return _mm256_set_m128(sum4(LOW(s2), HIGH(s2), LOW(s3), HIGH(s3)),
                           sum4(LOW(s0), HIGH(s0), LOW(s1), HIGH(s1)));
}

AVX512 static void avx512_scan(struct fxe_flat_group *g, size_t d, const float *y, size_t m,
                               idx_t first)
{
    const float *x = g->packed;
    if (g->ip)
        for (size_t j = 0; j < m; j++, y += d)
            offer(g, eight(x, d, y, 1), first + (idx_t)j);
    else
        for (size_t j = 0; j < m; j++, y += d)
            offer(g, eight(x, d, y, 0), first + (idx_t)j);
}

static const struct fxe_flat_kernel avx512 = {"avx512", FXE_FLAT_NARROW, fxe_flat_avx512,
                                              avx512_pack, avx512_scan};

const struct fxe_flat_kernel *const fxe_flat_kernels[] = {&avx512, &avx2, &any, NULL};

#else

const struct fxe_flat_kernel *const fxe_flat_kernels[] = {&any, NULL};

#endif
