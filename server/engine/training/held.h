/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors of a holder (training.h), which is locked, in the order in which they were added. */
#ifndef FXE_TRAINING_HELD_H
#define FXE_TRAINING_HELD_H

#include "server/engine/run/request.h"

struct fxe_held {
    int64_t n;
    size_t each; /* bytes of a vector */
    char *x;     /* malloc */
    idx_t *ids;  /* malloc; NULL: positions */
};

/* Copies the vectors from position `from` on.  Returns 0, or -1 with the reply set; free them with
 * fxe_held_free in both cases. */
int fxe_held_read(struct fxe_req *r, struct fxe_obj *o, int64_t from, struct fxe_held *h);
void fxe_held_free(struct fxe_held *h);

/* How many vectors it has.  In inverted lists FAISS counts vectors that are in no list, because
 * they are not finite, or huge: ntotal may be more. */
int64_t fxe_held_count(const struct fxe_obj *o);

/* Bytes of all its vectors, at most. */
size_t fxe_held_bytes(const struct fxe_obj *o);

/* Vectors that are not finite are in no list, but FAISS has counted them, and ids that it gives
 * begin with their number: has `next` count as many as `o`, if FAISS takes such vectors.  The
 * caller has locked o for reading. */
void fxe_held_count_lost(struct fxe_req *r, const struct fxe_obj *o, struct fxe_obj *next);

#endif
