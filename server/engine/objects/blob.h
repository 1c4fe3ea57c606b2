/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large arrays that are being transferred: uploads that are not complete or not used yet, and
 * results that were not fetched yet.  They belong to a session.
 */
#ifndef FXE_BLOB_H
#define FXE_BLOB_H

#include "server/engine/engine.h"

struct fxe_operation;

/* Makes `data` available for download, and takes it (allocated by malloc).  Returns its id, or 0 if
 * memory is out or `s` is NULL.  The caller does not hold engine.lock. */
uint64_t fxe_blob_put(struct fxe_session *s, void *data, size_t size);

/* Takes a complete upload out of the session; the caller frees it.  Returns -1 if there is none
 * with that id, or bytes are missing.  The caller does not hold engine.lock. */
int fxe_blob_take(struct fxe_session *s, uint64_t id, struct fx_buffer *out);

/* The reply with a piece of it has left.  The caller does not hold engine.lock. */
void fxe_blob_done(struct fxe_blob *b);

/* Frees all of a session.  The caller holds engine.lock. */
void fxe_blobs_free(struct fxe_session *s);

extern const struct fxe_operation fxe_upload_operation, fxe_download_operation,
    fxe_release_operation;

#endif
