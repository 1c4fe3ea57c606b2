/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front: the process that clients connect to.  It reads a connection's handshake and first
 * message, checks the API key, and hands the connection to the engine of the key's tenant.  It
 * never sees a request of a connection that it has handed over, reads no array, touches no index
 * file and loads no FAISS.
 *
 *     listen.c    the sockets
 *     guest.c     connections that have not yet shown a valid key
 *     answer.c    what the front answers itself
 *     engines.c   the engine processes
 *     budget.c    the memory that they share
 *     auth.c      keys and tenants
 *     front.c     the event loop, signals, shutdown
 *
 * One thread, and nothing in it waits but epoll_wait.
 */
#ifndef FXS_FRONT_H
#define FXS_FRONT_H

#include "server/options.h"

/* Serve until SIGTERM or SIGINT.  Returns the exit status of the process. */
int fxs_front_run(const struct fxs_options *options);

#endif
