/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing vectors by their ids.
 *
 * An IDMap has the id of each vector at the vector's position, which it takes to be the vector's id
 * in the index inside.  When vectors are removed, FAISS's IDMap closes the gaps, and expects the
 * index inside to do so, too.  Inverted lists do not: they keep their ids, and what is added next
 * gets some of those again.  So the catalogue does not use the IDMap's own function for them:
 *
 *     removal.c  the last vectors get the positions of those that are removed
 *     replace.c  a new vector gets the position of the old one
 *
 * Then the positions are 0 to ntotal - 1 again, in the map and in the lists.
 *
 * Used by the thread that runs a request, with the index locked for writing.
 */
#ifndef FXE_CATALOGUE_REMOVAL_H
#define FXE_CATALOGUE_REMOVAL_H

#include "server/engine/catalogue/lists.h"

/* An IDMap, and some of its vectors. */
struct fxe_some {
    struct fxe_obj *o, inner; /* the IDMap, and what is in it */
    FaissIndexIDMap *map;
    idx_t *ids; /* FAISS's, of all n positions */
    size_t n;
    idx_t *at; /* malloc: m positions, ascending */
    size_t m;
    float *moved; /* malloc: vectors that get another position */
};

/* Returns false if the object is not an IDMap.  Free it with fxe_some_free in any case. */
bool fxe_some_of(struct fxe_some *s, struct fxe_obj *o);
void fxe_some_free(struct fxe_some *s);

/* The functions below return 0, or -1 with the reply set. */

/* Are the ids in the lists the positions in the map? */
int fxe_some_check(struct fxe_req *r, const struct fxe_some *s, const struct fxe_lists *l);
/* Removes the vectors at s->at.  It has been checked. */
int fxe_some_remove(struct fxe_req *r, struct fxe_some *s, const struct fxe_lists *l);

/* FAISS's functions. */
int fxe_remove_batch(struct fxe_req *r, struct fxe_obj *o, const idx_t *ids, size_t n);
int fxe_add_some(struct fxe_req *r, struct fxe_obj *o, const float *x, const idx_t *ids, size_t n);

#endif
