/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large arrays in transfer: uploads that are incomplete or not used yet, and results that the
 * client has not fetched yet.  They belong to a session.
 */
#ifndef FXE_BLOB_H
#define FXE_BLOB_H

#include "server/engine/engine.h"

struct fx_buffer;
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

/* Returns a new id for what `release` ends: a download, or a load from a stream. */
uint64_t fxe_blob_id(void);

/* Makes `data` available for download and takes ownership of it (allocated with malloc).  Returns
 * its id; or 0, without taking `data`, if memory is out or `s` is NULL.  The caller does not hold
 * engine.lock. */
uint64_t fxe_blob_put(struct fxe_session *s, void *data, size_t size);

/* The answer that names this download is dropped.  If no request has named it, its client does not
 * know of it, and it is freed.  The caller holds engine.lock. */
void fxe_blob_forget(const uint8_t token[FX_TOKEN_SIZE], uint64_t id);

/* Takes a complete upload out of the session; the caller frees it.  Returns -1 if there is none
 * with that id, or it is incomplete.  The caller does not hold engine.lock. */
int fxe_blob_take(struct fxe_session *s, uint64_t id, struct fx_buffer *out);

/* A request no longer uses the blob.  The caller does not hold engine.lock. */
void fxe_blob_done(struct fxe_blob *b);

/* The session ends: the housekeeper frees its blobs, by fxe_blobs_free_left().  The caller of the
 * first function holds engine.lock, of the second it does not: much memory takes long to free. */
void fxe_blobs_leave(struct fxe_session *s);
void fxe_blobs_free_left(void);

extern const struct fxe_operation fxe_upload_operation, fxe_download_operation,
    fxe_release_operation;

#endif
