/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front's end of a link: never blocks.  Frames are zmq messages on both ways, so
 * that what comes from a client goes to the socket, and what comes from an engine goes
 * to libzmq, without a copy in between (but for memfds of requests).
 *
 * What cannot be sent at once waits in a queue; a queued message's memfds are made
 * when its turn comes, so that a stopped engine costs memory, not descriptors.
 *
 * Owned by the front's only thread.  libzmq unmaps large replies in its own threads.
 */
#ifndef FX_LINK_FRONT_H
#define FX_LINK_FRONT_H

#include <stdbool.h>
#include <zmq.h>

#include "link.h"

/* A message; the frames are initialised zmq messages, head.nframes of them. */
struct fxs_link_msg {
    struct fx_link_head head;
    zmq_msg_t frames[FX_FRAMES_MAX];
    bool lost; /* received without its memfds: this process is out of descriptors */
};

struct fxs_link {
    int fd;
    struct fxs_outgoing *first, **last; /* waiting to be sent */
    struct fxs_incoming *in;            /* half received */
};

/* Take over the descriptor.  Returns 0, or -1 without memory. */
int fxs_link_init(struct fxs_link *l, int fd);
/* Close, and drop what waits. */
void fxs_link_close(struct fxs_link *l);

enum fxs_sent {
    FXS_SENT = 0,      /* everything is on its way */
    FXS_SENT_POLL = 1, /* something waits for POLLOUT: call fxs_link_flush then */
    FXS_SENT_LATER = 2 /* something waits for descriptors or memory: flush in a while */
};

/* Send or queue a message.  Takes the frames (they are empty messages afterwards); the
 * caller fills kind, nframes, ticket and token of the head.  Returns an fxs_sent, or
 * -1 and errno when the engine is gone. */
int fxs_link_send(struct fxs_link *l, struct fx_link_head *head, zmq_msg_t *frames);
int fxs_link_flush(struct fxs_link *l);

/* Receive what is there.  Returns 1 and a message (free it with fxs_link_msg_close
 * unless libzmq took all frames), 0 when there is not a whole one yet, or -1 and errno:
 * ECONNRESET, the engine is gone; EPROTO, it sent nonsense; other: out of memory. */
int fxs_link_recv(struct fxs_link *l, struct fxs_link_msg *m);
void fxs_link_msg_close(struct fxs_link_msg *m);

#endif
