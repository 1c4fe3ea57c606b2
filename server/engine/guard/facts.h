/* SPDX-License-Identifier: Apache-2.0 */
/* What a request does with an index, and in which circumstances (acts.h): what can be known
 * before FAISS is called.  The arguments are in place. */
#ifndef FXE_FACTS_H
#define FXE_FACTS_H

#include "server/engine/guard/acts.h"
#include "server/engine/run/request.h"

/* FXE_ACT_none for functions that need no guard. */
enum fxe_act fxe_act_of(int op);

/* The first index among the arguments, or NULL. */
struct fxe_obj *fxe_index_of(const struct fxe_req *r);

/* All but FXE_ODD, for which every number has to be looked at. */
unsigned fxe_circumstances(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act);
int fxe_has_odd(const struct fxe_req *r);

/* How many vectors are enough for a first trial: -1 all, -2 no trial, for it would take long or
 * copy much. */
int64_t fxe_trial_size(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act);

/* Is little memory left for what the call works with?  FAISS allocates in OpenMP regions, where
 * it cannot fail. */
int fxe_is_tight(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act);

int fxe_is_binary(const struct fxe_obj *o);
int64_t fxe_ntotal_of(const struct fxe_obj *o);

#endif
