/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with an index, as far as it matters for how FAISS bears it: the terms of
 * refusals.h, for the engine (guard.c) and for the program that finds them (tests/crash). */
#ifndef FXE_ACTS_H
#define FXE_ACTS_H

#include "proto/table.h"

/* As enum fx_act, but from 0. */
#define FXE_ACTS FX_ACTS

enum fxe_act {
#define X(name) FXE_ACT_##name,
    FXE_ACTS(X)
#undef X
        FXE_NACTS,
    FXE_ACT_none = -1
};

/* Circumstances, a bit each. */
enum {
    FXE_EMPTY = 1,      /* the index has no vectors */
    FXE_UNTRAINED = 2,  /* and is not trained */
    FXE_NOTHING = 4,    /* n = 0 */
    FXE_ONE = 8,        /* n = 1: training only */
    FXE_FEW = 16,       /* n < 39, FAISS's least for a centroid: training only */
    FXE_BATCH = 32,     /* n >= 20, where FAISS uses BLAS: searches only */
    FXE_K0 = 64,        /* k = 0 */
    FXE_MANY = 128,     /* k > ntotal > 0 */
    FXE_ODD = 256,      /* numbers that are not finite, or beyond 1e15 */
    FXE_SELECTOR = 512, /* in the search parameters */
    FXE_OF_IVF = 1024,  /* SearchParametersIVF */
    FXE_OF_HNSW = 2048, /* SearchParametersHNSW */
    FXE_CIRCUMSTANCES = 4096
};

#endif
