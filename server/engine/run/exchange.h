/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving requests and sending replies: what a thread does with a connection that epoll has
 * reported, that the front has handed over, or whose request is done.
 *
 * The caller of every function here holds no lock.
 */
#ifndef FXE_EXCHANGE_H
#define FXE_EXCHANGE_H

#include <stdbool.h>

#include "server/engine/run/conn.h"

/* Serves a connection from the front.  Takes the reference. */
void fxe_exchange_start(struct fxe_conn *c);

/* Reads one request if the connection has none under way; it runs as soon as it has its locks.
 * Returns 1 if there was a request, 0 if none is complete, -1 if the connection has ended. */
int fxe_exchange_read(struct fxe_conn *c);

/* Has some worker look for the connection's next request.  `looked`: the bytes that have been read
 * from its socket are known not to be a whole request.  Takes the reference. */
void fxe_exchange_leave(struct fxe_conn *c, bool looked);

/* Reads a request that came together with the one before it, if it is complete.  Takes the
 * reference. */
void fxe_exchange_unread(struct fxe_conn *c);

/* Begins a request that has waited for another one (answers.h), which was not begun. */
void fxe_exchange_again(struct fxe_req *r);

/* Sends r's reply.  Returns 1 if all of it has been sent, -1 if the connection is broken: in both
 * cases the caller calls fxe_req_sent(r).  Returns 0 if the rest is sent later: the thread that
 * sends it calls fxe_req_sent(r). */
int fxe_exchange_reply(struct fxe_req *r, const struct fx_frame *frames, int n);

#endif
