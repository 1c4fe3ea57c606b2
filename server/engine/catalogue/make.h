/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that make an index.  Each returns 0, or -1 with the reply set. */
#ifndef FXE_CATALOGUE_MAKE_H
#define FXE_CATALOGUE_MAKE_H

#include "server/engine/run/request.h"
#include "server/note.h"

/* For prepare: there is a name in `key`, which the request gives or takes. */
int fxe_prepare_new(struct fxe_req *r, const char *key);
/* No index has it at present.  (Not for prepare: if the request was carried out before, the index
 * is there.)  The caller does not hold engine.lock. */
int fxe_name_is_free(struct fxe_req *r, const char *key);

/* FAISS's new index `ptr`, which is taken in both cases, becomes the tenant's with that name, and
 * is on disk if indexes are kept.  `plan`: what it waits for (training/training.h), or NULL.  The
 * reply must be complete, but for an error. */
int fxe_publish_new(struct fxe_req *r, const char *key, int cls, void *ptr, bool odd,
                    const struct fxs_plan *plan);

/* Returns a copy of the index, which is locked, that is in no table; or NULL with the reply set. */
void *fxe_copy_of(struct fxe_req *r, struct fxe_obj *o);

/* index_split: copies.c */
int fxe_prepare_split(struct fxe_req *r);
void fxe_run_split(struct fxe_req *r);

#endif
