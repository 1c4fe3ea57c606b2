/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that a client sends ahead of the call that they are for. */
#ifndef FXE_UPLOAD_H
#define FXE_UPLOAD_H

#include "server/engine/engine.h"

struct fx_buffer;
struct fxe_blob;
struct fxe_conn;
struct fxe_operation;
struct fxe_place;

/* A piece of an upload is received where FAISS will read it: returns its place, and in *to where
 * the `n` bytes of the payload frame go that follows this header.  Returns NULL if they have to be
 * received elsewhere: they are not a piece that an upload lacks, or the first one of a large
 * upload, for which memory is made later.  The caller holds c's lock, and not engine.lock. */
struct fxe_place *fxe_place_find(struct fxe_conn *c, const struct fx_buffer *header, size_t n,
                                 void **to);
/* Ends the place: its connection need not exist any longer.  Unless its `upload` request has been
 * run, the upload still lacks the piece.  The caller does not hold engine.lock. */
void fxe_place_end(struct fxe_place *p);
/* The same, and frees it. */
void fxe_place_free(struct fxe_place *p);

/* Takes a complete upload out of the session; the caller frees it.  Returns -1 if there is none
 * with that id, or it is incomplete.  The caller does not hold engine.lock. */
int fxe_upload_take(struct fxe_session *s, uint64_t id, struct fx_buffer *out);

/* A blob is removed from its session.  The caller holds engine.lock. */
void fxe_upload_leaves(const struct fxe_blob *b);

extern const struct fxe_operation fxe_upload_operation;

#endif
