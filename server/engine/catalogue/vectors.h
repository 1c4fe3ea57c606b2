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
};

/* Reads the vectors at positions `from` to `from` + n - 1, as FAISS reconstructs them; those of
 * inverted lists are in the order of their ids.  Returns 0, or -1 with the reply set.  Free them
 * with fxe_vectors_free in both cases. */
int fxe_vectors_read(struct fxe_req *r, struct fxe_obj *o, int64_t from, int64_t n,
                     struct fxe_vectors *v);
/* Reads the vectors alone that have the ids `from` to `from` + n - 1 in inverted lists, all of
 * which are less than the number of vectors.  An id that is not there has zeros. */
int fxe_vectors_by_id(struct fxe_req *r, struct fxe_obj *o, int64_t from, int64_t n,
                      struct fxe_vectors *v);
void fxe_vectors_free(struct fxe_vectors *v);

/* The same of the vectors with these n ids, all of which must be there. */
int fxe_vectors_of(struct fxe_req *r, struct fxe_obj *o, const idx_t *ids, size_t n,
                   struct fxe_vectors *v);

/* Writes the vectors that a search has found, each to its row of x.  A row whose label is -1 stays
 * as it is.  Returns 0, or -1 with the reply set. */
int fxe_vectors_found(struct fxe_req *r, struct fxe_obj *o, const idx_t *labels, size_t n,
                      float *x);

/* Allocates memory for n vectors, and sets *size to its bytes.  Returns NULL with the reply set if
 * there is too little. */
float *fxe_vectors_new(struct fxe_req *r, const struct fxe_obj *o, size_t n, size_t *size);

/* Writes the ids of all n vectors.  Returns 0, or -1 with the reply set. */
int fxe_ids_of(struct fxe_req *r, const struct fxe_obj *o, idx_t *ids, size_t n);

/* FAISS's IDMap in the object, or NULL. */
FaissIndexIDMap *fxe_id_map_of(const struct fxe_obj *o);

#endif
