/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large arrays on their way: uploads that are not complete or not used yet, and results
 * that were not fetched yet.  They belong to a session.
 */
#ifndef FXE_BLOB_H
#define FXE_BLOB_H

#include "server/engine/engine.h"

struct fxe_operation;

/* Make `data` (malloc'd, the blob's from now on) ready for download.  Returns its id, or
 * 0 when memory is out.  engine.lock is not held. */
uint64_t fxe_blob_put(struct fxe_session *s, void *data, size_t size);

/* Take a complete upload out, to be freed by the caller.  Returns -1 when there is none of
 * that id, or bytes are missing.  engine.lock is not held. */
int fxe_blob_take(struct fxe_session *s, uint64_t id, struct fx_buffer *out);

/* The reply with a piece of it was sent.  engine.lock is not held. */
void fxe_blob_done(struct fxe_blob *b);

void fxe_blobs_free(struct fxe_session *s); /* with engine.lock */

extern const struct fxe_operation fxe_upload_operation, fxe_download_operation,
    fxe_release_operation;

#endif
