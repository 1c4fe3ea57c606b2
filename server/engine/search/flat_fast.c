/* SPDX-License-Identifier: Apache-2.0 */
/*
 * |x - y|^2 = |x|^2 + |y|^2 - 2 x.y: half the arithmetic of the exact kernels.
 *
 * Each query of a group has its own lane, so no register has to be summed horizontally.  Several
 * vectors are compared at a time; the inner products of one with all queries take one register
 * (AVX-512) or two (AVX2).
 */
#include <string.h>

#include "server/engine/search/flat_kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* Packs component c of all queries, then c + 1, and so on; the squared norms follow. */
static void pack_query(const float *const *x, size_t d, float *packed)
{
    float *norms = packed + FXE_FLAT_GROUP * d;
    memset(norms, 0, FXE_FLAT_GROUP * sizeof *norms);
    for (size_t c = 0; c < d; c++)
        for (int i = 0; i < FXE_FLAT_GROUP; i++, packed++) {
            *packed = x[i][c];
            norms[i] += x[i][c] * x[i][c];
        }
}

AVX2 static inline float norm(const float *y, size_t d)
{
    __m256 s = _mm256_setzero_ps();
    for (size_t c = 0; c < d; c += 8) {
        __m256 v = _mm256_loadu_ps(y + c);
        s = _mm256_fmadd_ps(v, v, s);
    }
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    h = _mm_hadd_ps(h, h);
    return _mm_cvtss_f32(_mm_hadd_ps(h, h));
}

static inline void offer(struct fxe_flat_group *g, unsigned better, const float *dis, int first,
                         idx_t id)
{
    for (; better; better &= better - 1)
        fxe_flat_offer(g, first + __builtin_ctz(better), dis[__builtin_ctz(better)], id);
}

/* --- AVX-512: 16 queries in a register, 12 vectors --- */

enum { BLOCK512 = 12 };

AVX512 static inline void offer512(struct fxe_flat_group *g, __m512 dis, idx_t id)
{
    __m512 worst = _mm512_load_ps(g->worst);
    __mmask16 better = g->ip ? _mm512_cmp_ps_mask(dis, worst, _CMP_GT_OQ)
                             : _mm512_cmp_ps_mask(dis, worst, _CMP_LT_OQ);
    if (__builtin_expect(better, 0)) {
        _Alignas(64) float v[FXE_FLAT_GROUP];
        _mm512_store_ps(v, dis);
        offer(g, better, v, 0, id);
    }
}

/* Every caller passes a constant n, so the sums stay in registers. */
AVX512 static inline __attribute__((always_inline)) void
block512(struct fxe_flat_group *g, size_t d, const float *y, idx_t id, int n)
{
    __m512 s[BLOCK512], norms = _mm512_load_ps(g->packed + FXE_FLAT_GROUP * d);
    const float *x = g->packed;
#pragma GCC unroll 12
    for (int v = 0; v < n; v++)
        s[v] = _mm512_setzero_ps();
    for (size_t c = 0; c < d; c++, x += FXE_FLAT_GROUP) {
        __m512 q = _mm512_load_ps(x);
#pragma GCC unroll 12
        for (int v = 0; v < n; v++)
            s[v] = _mm512_fmadd_ps(_mm512_set1_ps(y[(size_t)v * d + c]), q, s[v]);
    }
#pragma GCC unroll 12
    for (int v = 0; v < n; v++) {
        if (!g->ip) {
            __m512 sum = _mm512_add_ps(norms, _mm512_set1_ps(norm(y + (size_t)v * d, d)));
            s[v] = _mm512_fnmadd_ps(_mm512_set1_ps(2), s[v], sum);
            s[v] = _mm512_max_ps(s[v], _mm512_setzero_ps());
        }
        offer512(g, s[v], id + v);
    }
}

AVX512 static void avx512_scan(struct fxe_flat_group *g, size_t d, const float *y, size_t m,
                               idx_t first)
{
    size_t j = 0;
    for (; j + BLOCK512 <= m; j += BLOCK512)
        block512(g, d, y + j * d, first + (idx_t)j, BLOCK512);
    for (; j < m; j++)
        block512(g, d, y + j * d, first + (idx_t)j, 1);
}

static const struct fxe_flat_kernel avx512 = {"fast avx512", FXE_FLAT_GROUP, fxe_flat_avx512,
                                              pack_query, avx512_scan};

/* --- AVX2: 16 queries in two registers, 6 vectors --- */

enum { BLOCK2 = 6 };

AVX2 static inline void offer2(struct fxe_flat_group *g, __m256 dis, int half, idx_t id)
{
    __m256 worst = _mm256_load_ps(g->worst + 8 * half);
    __m256 better =
        g->ip ? _mm256_cmp_ps(dis, worst, _CMP_GT_OQ) : _mm256_cmp_ps(dis, worst, _CMP_LT_OQ);
    unsigned mask = (unsigned)_mm256_movemask_ps(better);
    if (__builtin_expect(mask, 0)) {
        _Alignas(32) float v[8];
        _mm256_store_ps(v, dis);
        offer(g, mask, v, 8 * half, id);
    }
}

AVX2 static inline __attribute__((always_inline)) void block2(struct fxe_flat_group *g, size_t d,
                                                              const float *y, idx_t id, int n)
{
    __m256 s[BLOCK2][2];
    const float *x = g->packed, *norms = x + FXE_FLAT_GROUP * d;
#pragma GCC unroll 6
    for (int v = 0; v < n; v++)
        s[v][0] = s[v][1] = _mm256_setzero_ps();
    for (size_t c = 0; c < d; c++, x += FXE_FLAT_GROUP) {
        __m256 q0 = _mm256_load_ps(x), q1 = _mm256_load_ps(x + 8);
#pragma GCC unroll 6
        for (int v = 0; v < n; v++) {
            __m256 one = _mm256_broadcast_ss(&y[(size_t)v * d + c]);
            s[v][0] = _mm256_fmadd_ps(one, q0, s[v][0]);
            s[v][1] = _mm256_fmadd_ps(one, q1, s[v][1]);
        }
    }
#pragma GCC unroll 6
    for (int v = 0; v < n; v++) {
        __m256 own = _mm256_set1_ps(g->ip ? 0 : norm(y + (size_t)v * d, d));
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            if (!g->ip) {
                __m256 sum = _mm256_add_ps(_mm256_load_ps(norms + 8 * half), own);
                s[v][half] = _mm256_fnmadd_ps(_mm256_set1_ps(2), s[v][half], sum);
                s[v][half] = _mm256_max_ps(s[v][half], _mm256_setzero_ps());
            }
            offer2(g, s[v][half], half, id + v);
        }
    }
}

AVX2 static void avx2_scan(struct fxe_flat_group *g, size_t d, const float *y, size_t m,
                           idx_t first)
{
    size_t j = 0;
    for (; j + BLOCK2 <= m; j += BLOCK2)
        block2(g, d, y + j * d, first + (idx_t)j, BLOCK2);
    for (; j < m; j++)
        block2(g, d, y + j * d, first + (idx_t)j, 1);
}

static const struct fxe_flat_kernel avx2 = {"fast avx2", FXE_FLAT_GROUP, fxe_flat_avx2, pack_query,
                                            avx2_scan};

const struct fxe_flat_kernel *const fxe_flat_fast_kernels[] = {&avx512, &avx2, NULL};

#else

const struct fxe_flat_kernel *const fxe_flat_fast_kernels[] = {NULL};

#endif
