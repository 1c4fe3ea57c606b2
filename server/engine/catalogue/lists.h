/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vectors in inverted lists, in the order of their ids.
 *
 * FAISS reconstructs vectors of inverted lists only if their ids are less than the number of
 * vectors, and says nothing of ids that are not there: it leaves what was in the caller's memory.
 * But after vectors have been removed, and where a client gives ids of its own, ids may be any.  So
 * they are looked up first; where FAISS cannot reconstruct, the codes are taken from what it writes
 * to a file, and decoded.
 *
 * Used by the thread that runs a request, with the index locked.
 */
#ifndef FXE_CATALOGUE_LISTS_H
#define FXE_CATALOGUE_LISTS_H

#include "server/engine/run/request.h"

struct fxe_listed {
    idx_t id;
    size_t at; /* place of the vector, counted through the lists */
};

struct fxe_lists {
    FaissIndexIVF *ivf;       /* NULL: the index has none */
    size_t n;                 /* vectors in them; those that are not finite are in none */
    bool plain;               /* the ids are 0 to n - 1, and by_id is NULL */
    struct fxe_listed *by_id; /* malloc, sorted; one id may be there several times */
};

/* Does the index have inverted lists, and the ids in them, itself or behind transforms? */
bool fxe_has_lists(const struct fxe_obj *o);

/* Reads the ids.  Returns 0, or -1 with the reply set; free them with fxe_lists_free. */
int fxe_lists_open(struct fxe_req *r, const struct fxe_obj *o, struct fxe_lists *l);
void fxe_lists_free(struct fxe_lists *l);

/* The id of a vector, counted in the order of ids. */
idx_t fxe_lists_id(const struct fxe_lists *l, size_t i);
/* Its number in that order, or -1; of several, the last one. */
int64_t fxe_lists_find(const struct fxe_lists *l, idx_t id);

/* Writes m vectors of these numbers to x, as FAISS reconstructs them.  Returns 0, or -1 with the
 * reply set. */
int fxe_lists_read(struct fxe_req *r, struct fxe_obj *o, const struct fxe_lists *l,
                   const int64_t *numbers, size_t m, float *x);

#endif
