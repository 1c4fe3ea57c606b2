/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading indexes in FAISS's own format. */
#ifndef FXE_FILES_H
#define FXE_FILES_H

#include "server/engine/engine.h"

struct fxe_operation;

/* Reads an index of class cls (FX_CLASS_Index or FX_CLASS_IndexBinary) from memory.  Returns
 * FAISS's error code. */
int fxe_load_bytes(int cls, const void *data, size_t size, void **ptr);

/* Makes the session's loads that wait for bytes fail.  The caller holds engine.lock. */
void fxe_streams_abort(struct fxe_session *s);

extern const struct fxe_operation fxe_save_operation, fxe_load_operation, fxe_load_stream_operation,
    fxe_feed_operation;

#endif
