/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workers of an engine.
 *
 * There is a fixed number of workers, each with one OpenMP thread; calls that are worth several
 * cores have threads of their own (wide.h).  All idle workers wait in one epoll for all connections
 * (watch.h).  The one that the kernel wakes reads a request (exchange.h) and runs it, so a short
 * call usually stays on one thread.
 *
 * The caller of every function here holds no lock.
 */
#ifndef FXE_POOL_H
#define FXE_POOL_H

#include <stdbool.h>

#include "server/engine/run/conn.h"

/* Starts the workers, or logs why it cannot and ends the process. */
void fxe_pool_start(void);

/* Called when the reply to the connection's request has been sent: makes the connection idle, and
 * has some worker look for its next request.  Takes the request's reference. */
void fxe_pool_answered(struct fxe_conn *c);

/* This thread goes on with something long: other workers look for the next requests of connections
 * that it has answered. */
void fxe_pool_let_go(void);

/* Handles events of connections without waiting: for the housekeeper, while all workers compute. */
void fxe_pool_look(void);

#endif
