/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front: the process that clients connect to.  It reads a connection's handshake and first
 * message, checks the API key, and hands the connection to the engine of the key's tenant.  It does
 * not see later requests of that connection, it reads no arrays or index files, and it does not
 * load FAISS.
 *
 *     listen.c    the sockets
 *     guest.c     connections that have not yet shown a valid key
 *     answer.c    replies that the front sends itself
 *     engines.c   the engine processes
 *     budget.c    the memory that the engines share
 *     auth.c      keys and tenants
 *     front.c     the event loop, signals, shutdown
 *
 * It has one thread, which waits only in epoll_wait.
 */
#ifndef FXS_FRONT_H
#define FXS_FRONT_H

#include "server/options.h"

/* Serves until SIGTERM, SIGINT or SIGHUP (unless that is ignored at start).  Returns the exit
 * status of the process. */
int fxs_front_run(const struct fxs_options *options);

#endif
