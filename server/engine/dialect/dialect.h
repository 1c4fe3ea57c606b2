/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dialect of FAISSx's Python client (docs/faissx-clients.md).
 *
 * A message of a dialect connection is one frame with one msgpack map.  It is translated to one or
 * several requests of the catalogue, one after the other, which take the way of any other request;
 * when the last one has ended, its results become the reply, one map again.  Locks, batches,
 * durability, guards and limits are the catalogue's.
 *
 * These functions are what the machinery of requests calls.
 */
#ifndef FXE_DIALECT_H
#define FXE_DIALECT_H

#include "server/engine/run/request.h"

struct fxd_ask;

/* As fxe_req_new, for a dialect connection. */
struct fxe_req *fxd_req_new(struct fxe_msg *m, struct fxe_conn *c);

/* A request has ended, and its caller waits for an answer.  Returns the request that follows it, to
 * be prepared; or NULL, and the reply is complete.  The locks of `r` are still held; the caller
 * does not hold engine.lock. */
struct fxe_req *fxd_next(struct fxe_req *r);

/* Returns the reply of the last request of a message; or of one that stands in for it, which has
 * failed. */
struct fx_frame fxd_reply(struct fxe_req *r);

void fxd_ask_free(struct fxd_ask *a);

#endif
