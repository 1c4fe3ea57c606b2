/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link between the front and one engine: messages over a stream socketpair.
 *
 * A message is a head, the file descriptors that go with it, and its frames one
 * after the other.  A frame of FX_LINK_BIG bytes or more is not in the stream: it
 * travels in a memfd, passed along with the head, in the order of the frames.
 *
 * The front never blocks on a link; an engine may.  Sending is for any thread that
 * holds the link's lock (fx_link_send takes it); receiving is for one thread at a time.
 */
#ifndef FX_LINK_H
#define FX_LINK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

enum { FX_LINK_BIG = 1 << 20 };

enum fx_link_kind {
    FX_LINK_REQUEST = 1, /* front to engine: frames of a client's request, header first */
    FX_LINK_REPLY,       /* engine to front: frames of the reply */
    FX_LINK_END_SESSION, /* front to engine: free what `token` owns; no reply */
    FX_LINK_STOP         /* front to engine: finish what is in flight, then exit */
};

struct fx_link_head {
    uint32_t magic;
    uint16_t kind;
    uint16_t nframes;
    uint64_t ticket;              /* the front's name for a request; comes back in the reply */
    uint8_t token[FX_TOKEN_SIZE]; /* session; all zero for a request without one */
    uint64_t size[FX_FRAMES_MAX];
};

/* Memory with an owner. */
struct fx_buffer {
    void *data;
    size_t size;
    int mapped; /* munmap rather than free */
};

void fx_buffer_free(struct fx_buffer *b); /* and forget it */

/* A message in memory.  A received one owns its frames: free with fx_link_msg_free. */
struct fx_link_msg {
    struct fx_link_head head;
    struct fx_buffer frames[FX_FRAMES_MAX];
};

struct fx_link {
    int fd;
    pthread_mutex_t send_lock;
};

void fx_link_init(struct fx_link *l, int fd);

/* Engine side.  Block until the whole message is sent or received.  Return 0, or -1
 * with errno (EPIPE or ECONNRESET: the other side is gone; EPROTO: it sent nonsense). */
int fx_link_send(struct fx_link *l, struct fx_link_head *head, const struct fx_frame *frames);
int fx_link_recv(struct fx_link *l, struct fx_link_msg *m);
/* As fx_link_recv, but returns 1 at once when nothing is there to be read. */
int fx_link_try_recv(struct fx_link *l, struct fx_link_msg *m);

void fx_link_msg_free(struct fx_link_msg *m);

#endif
