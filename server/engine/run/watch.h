/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What idle workers wait for: one epoll for all connections and for the event that wakes a
 * worker.  The kernel wakes one worker for each event.
 *
 * epoll reports a connection once, and then has to be asked again (EPOLLONESHOT), so one thread
 * handles a connection at a time.
 */
#ifndef FXE_WATCH_H
#define FXE_WATCH_H

#include <stdbool.h>

#include "server/engine/run/conn.h"

/* Called once, before there are workers.  Returns 0, or -1 and errno. */
int fxe_watch_start(void);

/* Lets epoll report `events` of the connection, once; the caller holds conn.lock.  Returns whether
 * this took the caller's reference: a connection that is watched already has one, and only what it
 * is watched for changes.  If it cannot be watched, it is marked dead. */
bool fxe_watch_conn(struct fxe_conn *c, uint32_t events);

/* The next request of the connection has been read together with the one before, and epoll does
 * not know of it: lets some worker look.  The caller holds conn.lock and engine.lock.  Returns
 * whether this took the caller's reference: a connection that is in the list already has one. */
bool fxe_watch_unread(struct fxe_conn *c);

/* Wakes an idle worker, if there is one; the caller holds engine.lock. */
void fxe_watch_wake(void);

/* How many workers wait in epoll; the caller holds engine.lock. */
int fxe_watch_idle(void);

/* Handles what epoll has, and with `wait` waits until it has something; the caller holds no lock.
 * Returns a connection given to fxe_watch_unread, with its reference, or NULL. */
struct fxe_conn *fxe_watch_events(bool wait);

#endif
