/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections whose request is under way (read, and not answered yet), and the housekeeper's
 * ticks, which go on while there are any.
 *
 * The caller holds engine.lock, except where a function says otherwise.
 */
#ifndef FXE_UNDER_WAY_H
#define FXE_UNDER_WAY_H

#include <stdbool.h>

#include "server/engine/run/conn.h"

/* The connection's request `r` begins.  Wakes the housekeeper if it is not ticking. */
void fxe_under_way_begin(struct fxe_conn *c, struct fxe_req *r);
/* The connection's request has been answered. */
void fxe_under_way_end(struct fxe_conn *c);

int fxe_under_way_count(void);
/* Requests that have begun, ever. */
uint64_t fxe_under_way_begun(void);
/* Returns the first of the connections that have a request under way, or NULL; the others follow
 * through next_busy. */
struct fxe_conn *fxe_under_way_first(void);

/* From now on new requests are refused. */
void fxe_under_way_stop(void);
bool fxe_under_way_is_stopping(void);

/* One tick of the housekeeper.  `given_up`: calls still run whose callers have had an error.
 * Returns false if nothing has been under way for QUIET_TICKS: the housekeeper stops ticking until
 * fxe_under_way_begin wakes it. */
bool fxe_under_way_tick(bool given_up);

/* The engine stops: ends the connections of clients that do not read their replies.  The caller
 * holds no lock. */
void fxe_under_way_drop_unread(void);

/* Makes epoll watch the connections of long requests, for commands and for their end.  The caller
 * holds no lock. */
void fxe_under_way_watch_long(void);

#endif
