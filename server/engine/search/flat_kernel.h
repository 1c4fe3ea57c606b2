/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of flat.c: one block of vectors against a group of queries.  Nothing here keeps
 * state. */
#ifndef FXE_FLAT_KERNEL_H
#define FXE_FLAT_KERNEL_H

#include <stddef.h>

#include "faiss_c_compat.h"

enum { FXE_FLAT_GROUP = 16, FXE_FLAT_NARROW = 8 }; /* widths of kernels */

struct fxe_flat_group {
    int n;  /* queries, at most the kernel's width */
    int ip; /* inner product, else L2 */
    size_t k;
    float *packed;                            /* the queries, as the kernel wants them */
    _Alignas(64) float worst[FXE_FLAT_GROUP]; /* of the k best so far */
    float *dis[FXE_FLAT_GROUP];               /* their heaps */
    idx_t *ids[FXE_FLAT_GROUP];
};

struct fxe_flat_kernel {
    const char *name;
    int width; /* queries of a group, FXE_FLAT_NARROW to FXE_FLAT_GROUP */
    int (*usable)(size_t d, int metric);
    /* Arrange `width` queries in at most width * (d + 1) floats, aligned to 64 bytes. */
    void (*pack)(const float *const *x, size_t d, float *packed);
    /* Compare m vectors at y, the first of which has the number `first`. */
    void (*scan)(struct fxe_flat_group *g, size_t d, const float *y, size_t m, idx_t first);
};

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))

/* Has this processor what the functions of these kernels are compiled for? */
int fxe_flat_avx2(size_t d, int metric);
int fxe_flat_avx512(size_t d, int metric);
#endif

/* A distance better than the worst of query q. */
void fxe_flat_offer(struct fxe_flat_group *g, int q, float dis, idx_t id);

/* With the library's bits, perhaps; fastest first, NULL last. */
extern const struct fxe_flat_kernel *const fxe_flat_kernels[];
/* By norms and inner products, as with BLAS, whose last bits differ; the same order. */
extern const struct fxe_flat_kernel *const fxe_flat_fast_kernels[];

#endif
