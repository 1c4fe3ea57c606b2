/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of an index that FAISS has read: the reply, and whether it is shared (shared.h). */
#ifndef FXE_LOADED_H
#define FXE_LOADED_H

#include "server/engine/objects/shared.h"

struct fxe_req;

/* Replies with the handle of an object that the request has made.  NULL: memory is out. */
void fxe_reply_object(struct fxe_req *r, struct fxe_obj *o);
/* Replies with a handle of `ptr`, which FAISS has read. */
void fxe_reply_new(struct fxe_req *r, int cls, void *ptr);
/* The same; or with a handle of what others have read from the same bytes, and `ptr` is freed. */
void fxe_reply_shared(struct fxe_req *r, const struct fxe_reading *reading, void *ptr);

/* `d` has the bytes, and is freed; NULL: they are not to be shared.  Returns whether they are, and
 * then *reading says what they are. */
bool fxe_loaded_describe(struct fx_digest *d, int cls, int flags, struct fxe_reading *reading);

/* The request has ended: others that wait for what it was to load wait no longer. */
void fxe_loaded(struct fxe_req *r);

#endif
