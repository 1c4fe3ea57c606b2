/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests that are under way (read, and not answered), by their connections; and the
 * housekeeper's ticks, which go on for as long as there are any.
 *
 * The caller holds engine.lock, except where a function says otherwise.
 */
#ifndef FXE_UNDER_WAY_H
#define FXE_UNDER_WAY_H

#include <stdbool.h>

#include "server/engine/run/conn.h"

/* The connection's request `r` begins; wakes the housekeeper if it does not tick. */
void fxe_under_way_begin(struct fxe_conn *c, struct fxe_req *r);
/* The connection's request has been answered. */
void fxe_under_way_end(struct fxe_conn *c);

int fxe_under_way_count(void);
/* The connections that have a request under way, through next_busy. */
struct fxe_conn *fxe_under_way_first(void);

/* New requests are to be refused from now on. */
void fxe_under_way_stop(void);
bool fxe_under_way_is_stopping(void);

/* One tick of the housekeeper.  `given_up`: there are calls that go on without a caller.  Returns
 * false when nothing has been under way for some time: fxe_under_way_begin starts the next tick. */
bool fxe_under_way_tick(bool given_up);

/* Has epoll report what clients of long requests send meanwhile, and their end.  The caller holds
 * no lock. */
void fxe_under_way_watch_long(void);

#endif
