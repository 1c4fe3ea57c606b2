/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle workers wait in one epoll, for all connections and for the event that wakes a worker.  The
 * kernel wakes one worker for each event.
 *
 * epoll reports a connection once, and then has to be re-armed (EPOLLONESHOT), so one thread at a
 * time handles a connection.
 */
#ifndef FXE_WATCH_H
#define FXE_WATCH_H

#include <stdbool.h>

#include "server/engine/run/conn.h"

/* Called once, before there are workers.  Returns 0, or -1 and errno. */
int fxe_watch_start(void);

/* Makes epoll report `events` of the connection, once; the caller holds conn.lock.  Returns whether
 * this took the caller's reference: if the connection is armed already, epoll has a reference, and
 * only the events change.  If epoll fails, the connection is marked dead. */
bool fxe_watch_conn(struct fxe_conn *c, uint32_t events);

/* Makes some worker look at a connection whose next request has been read together with the one
 * before: epoll does not report that.  The caller holds conn.lock and engine.lock.  Returns whether
 * this took the caller's reference: if the connection is in the list already, the list has one. */
bool fxe_watch_unread(struct fxe_conn *c);

/* Wakes an idle worker, if there is one.  Needs no lock; the number of idle workers does not change
 * while the caller holds engine.lock. */
void fxe_watch_wake(void);

/* Returns how many workers wait in epoll. */
int fxe_watch_idle(void);

/* Handles what epoll reports; if `wait`, waits until there is something.  Returns a connection from
 * fxe_watch_unread, with its reference, or NULL.  The caller holds no lock. */
struct fxe_conn *fxe_watch_events(bool wait);

#endif
