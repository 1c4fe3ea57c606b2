/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading indexes in FAISS's own format. */
#ifndef FXE_FILES_H
#define FXE_FILES_H

#include "server/engine/call/source.h"
#include "server/engine/engine.h"

struct fxe_operation;

/* Reads an index of class cls (FX_CLASS_Index or FX_CLASS_IndexBinary) from memory.  Returns
 * FAISS's error code. */
int fxe_load_bytes(int cls, const void *data, size_t size, void **ptr);

/* Reads an index of class cls through `read`, with these io_flags.  Returns the same. */
int fxe_load_through(int cls, int flags, fxe_read_fn read, void *ctx, void **ptr);

/* Reads an index from a file that FAISS maps where it can.  Takes the descriptor.  Returns the
 * same.
 */
int fxe_load_mapped(int cls, int fd, void **ptr);

/* What a request to load an index asks for.  fxe_asked_class returns -1 with the reply set if it
 * names no class that can be loaded. */
int fxe_asked_class(struct fxe_req *r);
int fxe_io_flags(struct fxe_req *r);
/* The same for reading, without those that map the file: the engine does not have it. */
int fxe_read_flags(struct fxe_req *r);

/* Makes the session's load that waits for bytes with that id, if there is one, or all of them,
 * fail. The caller holds engine.lock. */
void fxe_stream_abort(struct fxe_session *session, uint64_t id);
void fxe_streams_abort(struct fxe_session *s);

extern const struct fxe_operation fxe_save_operation, fxe_load_operation, fxe_load_stream_operation,
    fxe_feed_operation;

#endif
