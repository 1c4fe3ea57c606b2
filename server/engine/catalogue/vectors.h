/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors that an index has, with their ids, for requests that copy them.  The index is locked,
 * for reading at least. */
#ifndef FXE_CATALOGUE_VECTORS_H
#define FXE_CATALOGUE_VECTORS_H

#include "server/engine/run/request.h"

struct fxe_vectors {
    int64_t n;
    idx_t *ids;    /* malloc */
    void *vectors; /* malloc: n * bytes */
    size_t bytes;  /* of all vectors */
    bool own_ids;  /* the ids are not the positions */
};

/* Reads the vectors at positions `from` to `from` + n - 1, as FAISS reconstructs them.  Returns 0,
 * or -1 with the reply set.  Free them with fxe_vectors_free in both cases. */
int fxe_vectors_read(struct fxe_req *r, struct fxe_obj *o, int64_t from, int64_t n,
                     struct fxe_vectors *v);
void fxe_vectors_free(struct fxe_vectors *v);

/* Writes the ids of all n vectors.  Returns 0, or -1 with the reply set. */
int fxe_ids_of(struct fxe_req *r, const struct fxe_obj *o, idx_t *ids, size_t n);

/* FAISS's IDMap in the object, or NULL. */
FaissIndexIDMap *fxe_id_map_of(const struct fxe_obj *o);

#endif
