/* SPDX-License-Identifier: Apache-2.0 */
/* The act and the circumstances (acts.h) of a request, as far as they can be known before FAISS is
 * called.  The arguments must be in place. */
#ifndef FXE_FACTS_H
#define FXE_FACTS_H

#include <stdbool.h>

#include "server/engine/guard/acts.h"
#include "server/engine/run/request.h"

/* Returns FXE_ACT_none for functions that need no guard. */
enum fxe_act fxe_act_of(int op);

/* Returns the first index among the arguments, or NULL.  For an alias (a second handle), returns
 * the object that it stands for. */
struct fxe_obj *fxe_index_of(const struct fxe_req *r);

/* Returns the IVF index that the object is, or has behind IDMaps and transforms, or NULL.  Sets
 * `transformed` to whether there is a transform in front of it. */
FaissIndexIVF *fxe_ivf_of(const struct fxe_obj *o, bool *transformed);

/* Returns all circumstances except FXE_ODD.  fxe_has_odd finds that one, and has to look at every
 * number: whether one is not finite, or so large that distances may not be, or, if `sums`, sums of
 * squares over all vectors. */
unsigned fxe_circumstances(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act);
int fxe_has_odd(const struct fxe_req *r, bool sums);

/* Returns how many vectors a first trial needs; -1: all; -2: no trial, because it would take long
 * or copy much. */
int64_t fxe_trial_size(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act);

/* Returns whether there may be too little memory for the call.  FAISS allocates in OpenMP regions,
 * where a failure ends the process. */
int fxe_is_tight(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act);

/* Returns whether there may be too little memory for inverted lists that the act makes grow.  FAISS
 * keeps them in vectors, and lets them grow in an OpenMP region. */
int fxe_may_outgrow(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act,
                    const char *shape);

/* fxe_has_parts: whether the index is shards or replicas. */
int fxe_has_parts(const struct fxe_obj *o);
int fxe_is_gpu(const struct fxe_obj *o);
int fxe_is_binary(const struct fxe_obj *o);
int64_t fxe_ntotal_of(const struct fxe_obj *o);

#endif
