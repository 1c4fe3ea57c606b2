/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large arrays, which do not travel in the request or reply that they belong to.
 *
 * An upload is sent before the request that names it; a download is fetched after the reply that
 * names it.  An engine on this host gets an upload as a memfd, which is copied once and passes
 * through no socket.  Otherwise arrays travel in pieces, of which several are under way at a time,
 * so that neither side waits for the other and nobody between them has to hold the whole.
 *
 * The session owns uploads until a request uses them, and downloads until they are released.  These
 * functions work on the calling thread's connection.  If it breaks, they reconnect (repeat.h) and
 * go on after the last piece that has arrived.
 */
#ifndef FX_BLOB_H
#define FX_BLOB_H

#include <stddef.h>
#include <stdint.h>

/* Send an array, also while another request's header is being packed.  Returns the id by which the
 * request names it, or 0 with the error set.  `file`: the data maps this file from its beginning,
 * and it may be cut short meanwhile; or -1. */
uint64_t fx_upload(const void *data, size_t size, int file);

/* The call that the arrays were sent for has failed: have the server free those that it has not
 * used; at once, or before the next upload if there is no connection now. */
struct fx_payload;
void fx_uploads_drop(struct fx_payload *p);

/* Where bytes go: writes all n, or returns -1 with the error set. */
typedef int (*fx_sink_fn)(void *ctx, const void *buf, size_t n);

/* Fetch all of a blob that a reply named, into memory or into a sink, and have the server free it.
 * Not while another call of the thread is under way. */
int fx_download(uint64_t id, void *data, size_t size);
int fx_download_to(uint64_t id, size_t size, fx_sink_fn sink, void *ctx);

/* Have the server free a blob that is not wanted. */
void fx_blob_release(uint64_t id);
/* The same for a call that failed.  If there is no connection now, fx_blobs_release_left has the
 * server free it later. */
void fx_blob_drop(uint64_t id);
void fx_blobs_release_left(void);

#endif
