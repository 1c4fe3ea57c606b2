/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of flat.c: one block of vectors against a group of queries.  Nothing here keeps
 * state. */
#ifndef FXE_FLAT_KERNEL_H
#define FXE_FLAT_KERNEL_H

#include <stddef.h>

#include "faiss_c_compat.h"

enum { FXE_FLAT_GROUP = 8 };

struct fxe_flat_group {
    int n;  /* queries, at most FXE_FLAT_GROUP */
    int ip; /* inner product, else L2 */
    size_t k;
    float *packed;                            /* the queries, as the kernel wants them */
    _Alignas(32) float worst[FXE_FLAT_GROUP]; /* of the k best so far */
    float *dis[FXE_FLAT_GROUP];               /* their heaps */
    idx_t *ids[FXE_FLAT_GROUP];
};

struct fxe_flat_kernel {
    const char *name;
    int (*usable)(size_t d, int metric);
    void (*pack)(const float *const x[FXE_FLAT_GROUP], size_t d, float *packed);
    /* Compare m vectors at y, the first of which has the number `first`. */
    void (*scan)(struct fxe_flat_group *g, size_t d, const float *y, size_t m, idx_t first);
};

/* A distance better than the worst of query q. */
void fxe_flat_offer(struct fxe_flat_group *g, int q, float dis, idx_t id);

extern const struct fxe_flat_kernel *const fxe_flat_kernels[]; /* fastest first, NULL last */

#endif
