/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections straight from clients of this host to the engine, without the front between
 * them: two hand-overs between threads less in each direction.
 *
 * The engine listens on a socket of its own in the abstract namespace, whose name a
 * client learns with hello.  What is spoken there is ZMTP 3.0 like everywhere else (any
 * libzmq DEALER could connect), but every request must carry the token of a session that
 * the front has opened: keys are the front's business.
 *
 * Threads: fxe_conn_read is for the one thread that epoll gave the connection to;
 * fxe_conn_send is for any.
 */
#ifndef FXE_DIRECT_H
#define FXE_DIRECT_H

#include "link.h"

/* What epoll's data.ptr points to. */
struct fxe_source {
    enum { FXE_LINK, FXE_LISTENER, FXE_WAKE, FXE_CONN } kind;
    int fd;
    struct fxe_source *next;
};

struct fxe_conn;

/* Listen; the endpoint (ipc://@name) is the engine's until the process ends.  Returns the
 * descriptor, or -1: then there are no direct connections. */
int fxe_direct_listen(char *endpoint, size_t len);

/* Take one waiting connection; NULL when there is none.  One reference is the caller's. */
struct fxe_conn *fxe_conn_accept(int listener);
struct fxe_source *fxe_conn_source(struct fxe_conn *c);

void fxe_conn_ref(struct fxe_conn *c);
void fxe_conn_unref(struct fxe_conn *c); /* the last one closes it */

/* Read what is there: 1 and a request (free with fx_link_msg_free), 0 when more bytes
 * must come first, -1 when the connection is of no more use. */
int fxe_conn_read(struct fxe_conn *c, struct fx_link_msg *m);

/* Are bytes of the next request here already, of which epoll knows nothing? */
int fxe_conn_has_more(const struct fxe_conn *c);

/* Send one message; waits at most some seconds for a client that does not read. */
int fxe_conn_send(struct fxe_conn *c, const struct fx_frame *frames, int n);

#endif
