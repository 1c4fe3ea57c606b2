/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reply to a request: an error, or keys of the header and arrays.
 *
 * Called by the thread that handles the request.  No lock is needed; engine.lock may be held,
 * except for fxe_reply_send.
 */
#ifndef FXE_REPLY_H
#define FXE_REPLY_H

#include <msgpack.h>
#include <stddef.h>

struct fxe_req;

/* Makes the reply an error of the server; `kind` is one of those in proto/wire.md.  Returns -1. */
int fxe_fail(struct fxe_req *r, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Makes the reply an error of FAISS: a FaissErrorCode, and the text of faiss_get_last_error or
 * `text`. */
void fxe_fail_faiss(struct fxe_req *r, int code);
void fxe_fail_text(struct fxe_req *r, int code, const char *text);
/* Returns 0 if the loaded library has operation `op`; otherwise makes the reply an error and
 * returns -1. */
int fxe_require(struct fxe_req *r, int op);

/* Adds a key to the reply's header; the caller packs the value next. */
msgpack_packer fxe_reply_key(struct fxe_req *r, const char *key);
/* Adds an array of `size` bytes to the reply.  Takes `data`, allocated by malloc.  Returns 0, or -1
 * and the reply is an error. */
int fxe_reply_array(struct fxe_req *r, void *data, size_t size);
/* Adds a copy of `data`, or an empty array if `data` is NULL.  Returns the same. */
int fxe_reply_copy(struct fxe_req *r, const void *data, size_t size);

/* The only array of the reply is this download of `size` bytes.  Returns the same. */
int fxe_reply_download(struct fxe_req *r, uint64_t id, size_t size);

struct fx_frame;

/* Packs the reply's header, if that was not done before.  Returns the number of frames, which point
 * into the request.  The caller holds no lock. */
int fxe_reply_pack(struct fxe_req *r, struct fx_frame *frames);

/* Sends the reply, as fxe_exchange_reply does.  The caller holds no lock. */
int fxe_reply_send(struct fxe_req *r);

#endif
