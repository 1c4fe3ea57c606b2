/* SPDX-License-Identifier: Apache-2.0 */
/* The dialect's names of index types.  No state; any thread. */
#ifndef FXD_TYPES_H
#define FXD_TYPES_H

#include <stdbool.h>

enum fxd_kind {
    FXD_FLAT,
    FXD_HNSW,
    FXD_IVF,
    FXD_IVFPQ,
    FXD_IVFSQ,
    FXD_PQ,
    FXD_SQ,
    FXD_LSH,
    FXD_TRANSFORM,
    FXD_BINARY
};

struct fxd_type {
    enum fxd_kind kind;
    char description[160]; /* for FAISS's factory */
    bool ip;
    int nlist, m, bits, q; /* q: FAISS's number of a scalar quantizer's type */
};

/* Reads the name of a type.  Returns 0, or -1 if there is none of this name. */
int fxd_type_read(const char *name, struct fxd_type *t);

#endif
