/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codes in inverted lists.  FAISS's C API has no function for them, but a file of the index
 * ends with the lists:
 *
 *     "ilar", lists, bytes of a code, "full", lists, the size of each
 *                                     "sprs", 2 * n, number and size of each of the n lists that
 *                                             have vectors, if these are half of the lists or fewer
 *     then of each list that has vectors: its codes, its ids
 *
 * where all numbers have eight bytes.  FAISS writes such a file twice: first it is only measured,
 * then the codes that are wanted are copied.
 */
#ifndef FXE_CATALOGUE_CODES_H
#define FXE_CATALOGUE_CODES_H

#include "server/engine/run/request.h"

/* Writes the vectors at these m places, which are counted through the lists of `ivf` (the index
 * `o`, or what is behind its transforms), to x, as FAISS decodes them.  Returns 0; -1 with the
 * reply set; 1 if the codes of such an index cannot be had. */
int fxe_codes_read(struct fxe_req *r, struct fxe_obj *o, FaissIndexIVF *ivf, const size_t *places,
                   size_t m, float *x);

#endif
