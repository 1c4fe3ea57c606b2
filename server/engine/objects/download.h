/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that a client fetches in pieces: those that are complete, and those that are still being
 * made.  A request for bytes that are not there yet waits without a worker.
 *
 * The caller of every function here but fxe_download_forget does not hold engine.lock.
 */
#ifndef FXE_DOWNLOAD_H
#define FXE_DOWNLOAD_H

#include "server/engine/engine.h"

struct fxe_blob;
struct fxe_operation;
struct fxe_req;

/* Makes `data` available and takes ownership of it (allocated with malloc).  Returns its id; or 0,
 * without taking `data`, if memory is out or `s` is NULL. */
uint64_t fxe_download_put(struct fxe_session *s, void *data, size_t size);

/* The same for memory that the caller is about to fill.  Returns NULL, without taking `data`, if
 * memory is out; else the caller calls fxe_download_end. */
struct fxe_blob *fxe_download_begin(struct fxe_session *s, void *data, size_t size, uint64_t *id);
/* So many bytes are there now.  Returns false if nobody wants more of them: the client has released
 * the download, or its session has ended. */
bool fxe_download_grow(struct fxe_blob *b, size_t made);
/* The caller makes no more of it.  If bytes are missing, the error of `r` is the answer to those
 * who ask for them. */
void fxe_download_end(struct fxe_blob *b, const struct fxe_req *r);

/* The answer that names this download is dropped.  If no request has named it, its client does not
 * know of it, and it is freed.  The caller holds engine.lock. */
void fxe_download_forget(const uint8_t token[FX_TOKEN_SIZE], uint64_t id);

extern const struct fxe_operation fxe_download_operation;

#endif
