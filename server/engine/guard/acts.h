/* SPDX-License-Identifier: Apache-2.0 */
/* Acts on an index, and the circumstances that decide whether FAISS survives them.  The rows of
 * refusals.h are written in these terms, which the engine (guard.c) shares with the programs that
 * make that table (tests/crash). */
#ifndef FXE_ACTS_H
#define FXE_ACTS_H

#include "proto/table.h"

/* In the order of enum fx_act, but counted from 0. */
#define FXE_ACTS FX_ACTS

enum fxe_act {
#define X(name) FXE_ACT_##name,
    FXE_ACTS(X)
#undef X
        FXE_NACTS,
    FXE_ACT_none = -1
};

/* Circumstances: one bit each. */
enum {
    FXE_EMPTY = 1,      /* the index has no vectors */
    FXE_UNTRAINED = 2,  /* the index is not trained */
    FXE_NOTHING = 4,    /* n = 0 */
    FXE_ONE = 8,        /* training only, n = 1 */
    FXE_FEW = 16,       /* training only, n < 39: FAISS wants 39 vectors for each centroid */
    FXE_BATCH = 32,     /* searches only, n >= 20: FAISS uses BLAS */
    FXE_K0 = 64,        /* k = 0 */
    FXE_MANY = 128,     /* k > ntotal > 0 */
    FXE_ODD = 256,      /* a number is not finite, or beyond 1e15 */
    FXE_SELECTOR = 512, /* the search parameters have a selector */
    FXE_OF_IVF = 1024,  /* the parameters are SearchParametersIVF */
    FXE_OF_HNSW = 2048, /* the parameters are SearchParametersHNSW */
    FXE_CIRCUMSTANCES = 4096
};

#endif
