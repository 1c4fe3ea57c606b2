/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of flat.c compare a block of vectors with a group of queries.  They keep no state. */
#ifndef FXE_FLAT_KERNEL_H
#define FXE_FLAT_KERNEL_H

#include <stddef.h>

#include "faiss_c_compat.h"

enum { FXE_FLAT_GROUP = 16, FXE_FLAT_NARROW = 8 }; /* the widths of kernels, in queries */

struct fxe_flat_group {
    int n;  /* number of queries, at most the kernel's width */
    int ip; /* 1: inner product, 0: L2 */
    size_t k;
    float *packed;                            /* the queries as the kernel's pack() arranged them */
    _Alignas(64) float worst[FXE_FLAT_GROUP]; /* of each query's k best so far */
    float *dis[FXE_FLAT_GROUP];               /* the heap of each query: k distances, k ids */
    idx_t *ids[FXE_FLAT_GROUP];
};

struct fxe_flat_kernel {
    const char *name;
    int width; /* queries in a group, FXE_FLAT_NARROW to FXE_FLAT_GROUP */
    int (*usable)(size_t d, int metric);
    /* Arranges `width` queries in `packed`: at most width * (d + 1) floats, aligned to 64 bytes. */
    void (*pack)(const float *const *x, size_t d, float *packed);
    /* Compares the m vectors at y with the group's queries; the first one has the id `first`. */
    void (*scan)(struct fxe_flat_group *g, size_t d, const float *y, size_t m, idx_t first);
};

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))

/* Does this processor have the instructions of these kernels, and is d a multiple of 8? */
int fxe_flat_avx2(size_t d, int metric);
int fxe_flat_avx512(size_t d, int metric);
#endif

/* Puts vector `id` into the heap of query q; `dis` must be better than the query's worst. */
void fxe_flat_offer(struct fxe_flat_group *g, int q, float dis, idx_t id);

/* Kernels that may give the library's bits; fastest first, NULL last. */
extern const struct fxe_flat_kernel *const fxe_flat_kernels[];
/* Kernels that use norms and inner products, as FAISS with BLAS does; their last bits differ.
 * Fastest first, NULL last. */
extern const struct fxe_flat_kernel *const fxe_flat_fast_kernels[];

#endif
