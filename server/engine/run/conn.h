/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's connection in an engine: ZMTP, from the first message on; the front has done the
 * handshake and checked the key.
 *
 * At most one request of a connection is under way.  What the client sends meanwhile stays in the
 * socket, except for commands: PING is answered.  If the socket does not take a reply at once, the
 * rest waits without occupying a thread, and nothing more is read until it has left.  So a
 * connection costs what has arrived of one request, or what has not left of one reply.
 *
 * Reference counted.  conn.lock guards all members except those that engine.lock guards (see
 * below).  A thread that needs both takes conn.lock first.
 */
#ifndef FXE_CONN_H
#define FXE_CONN_H

#include <pthread.h>
#include <stdbool.h>

#include "proto/memfd.h"
#include "proto/wire.h"
#include "server/event.h"
#include "server/handover.h"

enum { FXE_CONN_IN = 16 << 10 }; /* bytes of conn.in */

struct fxe_req;
struct fxe_session;

/* A request as it came.  Owns its frames. */
struct fxe_msg {
    int nframes; /* header first */
    int seen;    /* frames that have begun, with those that are dropped */
    struct fx_buffer frames[FX_FRAMES_MAX];
    size_t kept;      /* bytes counted by fxe_kept_add */
    const char *kind; /* not NULL: refused while it was read, a kind of error */
    char why[200];
};

void fxe_msg_free(struct fxe_msg *m);

struct fxe_conn {
    struct fxs_event source; /* first: epoll's pointer is both */
    int refs;                /* atomic */
    pthread_mutex_t lock;
    enum fxe_phase {
        FXE_IDLE,    /* the next request is read */
        FXE_BUSY,    /* one is under way */
        FXE_FLUSHING /* its reply leaves */
    } phase;
    bool watched; /* added to epoll */
    bool armed;   /* epoll will report it once, and holds a reference; an event without is late */
    bool dead;    /* broken or closed: must not be used any more */
    bool gone;    /* the client has closed it; atomic */
    bool near;    /* the client came by TCP from this host */
    int key;      /* number of its API key */
    char peer[FXS_PEER_MAX + 1];

    /* engine.lock */
    struct fxe_session *session;
    struct fxe_conn *prev, *next; /* in the session */
    struct fxe_conn *prev_busy, *next_busy;
    struct fxe_req *running; /* the request that is under way; NULL: none, or given up */
    struct fxe_conn *next_unread;
    bool unread;         /* in the pool's list of that name */
    unsigned busy_since; /* the housekeeper's tick; 0: not busy, or watched */

    /* reading */
    uint8_t *in; /* what was received and not used: in[at..have); NULL while idle */
    size_t at, have;
    bool drained;                /* the last recv left nothing in the socket */
    uint64_t received, consumed; /* bytes, in all */
    struct fxe_msg *msg;         /* being read, or NULL */
    bool in_body;
    int flags;
    char *body;              /* where the frame's next byte goes; NULL: nowhere */
    size_t left, room;       /* bytes of the frame to come; that there is memory for */
    size_t advanced;         /* counted in the memory that is ahead of what has arrived */
    int fd;                  /* of a memfd, or -1 */
    uint64_t fd_end;         /* the byte behind those that it came with */
    size_t discard;          /* refused: so many bytes more are read and dropped */
    struct fxe_req *sending; /* whose reply has not left */
};

/* A connection that the front has handed over, with one reference.  Takes fd, and closes it if it
 * returns NULL: memory is out. */
struct fxe_conn *fxe_conn_new(int fd, const struct fxs_handover *h);
void fxe_conn_ref(struct fxe_conn *c);
void fxe_conn_unref(struct fxe_conn *c); /* the last one closes it */
/* Shuts it down: it must not be used any more.  The caller holds neither lock. */
void fxe_conn_kill(struct fxe_conn *c);

/* --- the caller holds conn.lock --- */

/* Reads the next request.  Returns 1 and the request, which is the caller's; 0 if more bytes have
 * to come first; -1 if the connection has ended. */
int fxe_conn_read(struct fxe_conn *c, struct fxe_msg **m);
/* Answers commands while a request is under way.  Returns 1 if a message waits, 0 if not, -1 if the
 * connection has ended. */
int fxe_conn_commands(struct fxe_conn *c);
/* Have bytes of the next request been read from the socket already?  epoll does not report them. */
static inline bool fxe_conn_has_more(const struct fxe_conn *c)
{
    return c->have > c->at;
}
/* Frees the buffer if there is nothing in it. */
void fxe_conn_rest(struct fxe_conn *c);

/* Sends r's reply.  Returns 1 if all of it has left; 0 if the rest follows, and r must not change
 * until then; -1 if the connection is broken. */
int fxe_conn_send(struct fxe_conn *c, struct fxe_req *r, const struct fx_frame *frames, int n);
/* Sends more of it.  Returns the same. */
int fxe_conn_flush(struct fxe_conn *c);

/* Has the peer closed the connection?  Looks without reading; any thread, no lock. */
bool fxe_conn_is_gone(const struct fxe_conn *c);

#endif
