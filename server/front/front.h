/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front: the process that clients talk to.  It checks framing, keys and sessions,
 * and passes frames between clients and engines; it never decodes arguments, touches
 * no file and loads no FAISS.
 *
 *     listen.c          the ROUTER socket and its endpoints
 *     front.c           the event loop, signals, shutdown
 *     front_request.c   client to engine
 *     front_reply.c     engine, or the front itself, to client
 *     link_front.c      the socketpair to an engine
 *     engines.c         the engine processes
 *     session.c, pending.c, auth.c
 *
 * One thread, and nothing in it waits but epoll_wait; libzmq has its own I/O thread.
 */
#ifndef FX_FRONT_H
#define FX_FRONT_H

#include "options.h"

/* Serve until SIGTERM or SIGINT.  Returns the exit status of the process. */
int fxs_front_run(const struct fxs_options *options);

#endif
