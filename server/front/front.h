/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front: the process that clients connect to.  It reads a connection's handshake and first
 * message, checks the API key, and hands the connection to the engine of the key's tenant.  It
 * does not see the requests of a connection that it has handed over, and it does not read arrays or
 * index files or load FAISS.
 *
 *     listen.c    the sockets
 *     guest.c     connections that have not yet shown a valid key
 *     answer.c    what the front answers itself
 *     engines.c   the engine processes
 *     budget.c    the memory that they share
 *     auth.c      keys and tenants
 *     front.c     the event loop, signals, shutdown
 *
 * There is one thread, which waits in epoll_wait only.
 */
#ifndef FXS_FRONT_H
#define FXS_FRONT_H

#include "server/options.h"

/* Serve until SIGTERM or SIGINT.  Returns the exit status of the process. */
int fxs_front_run(const struct fxs_options *options);

#endif
