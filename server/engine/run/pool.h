/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workers of an engine.
 *
 * There is a fixed number of them, each with one OpenMP thread; work that is worth more has threads
 * of its own (wide.h).  All idle workers wait in one epoll for all connections (watch.h).  The one
 * that the kernel wakes reads a request (exchange.h) and runs it, so a short call goes from thread
 * to thread only where two have to overlap.
 *
 * The caller of these functions holds no lock.
 */
#ifndef FXE_POOL_H
#define FXE_POOL_H

#include <stdbool.h>

#include "server/engine/run/conn.h"

/* Starts the workers, or ends the process and says why in the log. */
void fxe_pool_start(void);

/* The reply to the connection's request has left, and the connection may send the next request.
 * Takes the request's reference. */
void fxe_pool_answered(struct fxe_conn *c);

/* Handles what has happened to connections: the housekeeper does this while all workers compute. */
void fxe_pool_look(void);

#endif
