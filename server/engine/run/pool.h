/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workers of an engine, and the connections that they wait for.
 *
 * A fixed number of workers, each with one OpenMP thread; work that is worth more has threads of
 * its own, see wide.h.  All idle workers wait in epoll for connections; the one that the
 * kernel wakes reads a request and runs it, so a small call is handed from thread to thread only
 * where two must overlap.
 */
#ifndef FXE_POOL_H
#define FXE_POOL_H

#include <stdbool.h>

#include "server/engine/run/conn.h"
#include "server/engine/run/request.h"

void fxe_pool_start(void);
/* New requests are refused from now on. */
void fxe_pool_stop(void);
/* Is nothing under way? */
bool fxe_pool_is_quiet(void);

/* A connection from the front.  Takes the reference. */
void fxe_pool_add(struct fxe_conn *c);

/* Send r's reply.  Returns 0 when it has not left yet: fxe_req_sent(r) is called when it has;
 * else the caller has to. */
int fxe_pool_reply(struct fxe_req *r, const struct fx_frame *frames, int n);
/* The request's reply has left, and its connection may send the next one.  Takes the request's
 * reference. */
void fxe_pool_answered(struct fxe_conn *c);
/* Connections of which a request is under way, through next_busy; with engine.lock. */
struct fxe_conn *fxe_pool_busy(void);
/* Requests read and not answered; with engine.lock. */
int fxe_pool_under_way(void);
/* The request has its locks now (lock.c calls this, engine.lock held). */
void fxe_pool_ready(struct fxe_req *r);

/* The housekeeper's part: read what has come while all workers compute, and watch connections
 * whose request takes long.  Returns false when nothing is under way any more. */
bool fxe_pool_tick(void);

#endif
