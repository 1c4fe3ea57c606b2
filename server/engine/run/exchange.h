/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests come in from connections, and replies go out to them: what a thread does with a
 * connection that epoll has reported, that the front has handed over, or whose request is done.
 *
 * The caller holds no lock.
 */
#ifndef FXE_EXCHANGE_H
#define FXE_EXCHANGE_H

#include <stdbool.h>

#include "server/engine/run/conn.h"

/* Serves a connection from the front.  Takes the reference. */
void fxe_exchange_start(struct fxe_conn *c);

/* Reads one request of a connection that is not under way, and lets it run when it has its locks.
 * Returns 1 if there was a request, 0 if none is complete, -1 if the connection has ended. */
int fxe_exchange_read(struct fxe_conn *c);

/* Lets some worker look for the connection's next request.  `looked`: the bytes that have been
 * read from its socket are known not to be a whole request.  Takes the reference. */
void fxe_exchange_leave(struct fxe_conn *c, bool looked);

/* Reads a request that came with the one before it, if all of it is there.  Takes the
 * reference. */
void fxe_exchange_unread(struct fxe_conn *c);

/* Sends r's reply.  Returns 1 if all of it has left; 0 if it has not left yet: fxe_req_sent(r) is
 * then called when it has; -1 if the connection is broken.  Unless 0, the caller calls
 * fxe_req_sent. */
int fxe_exchange_reply(struct fxe_req *r, const struct fx_frame *frames, int n);

#endif
