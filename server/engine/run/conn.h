/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's connection in an engine.  It speaks ZMTP from the first message on; the front has done
 * the handshake and checked the key.  secure.c has what is different under CURVE.
 *
 * A connection has at most one request under way.  What the client sends meanwhile stays in the
 * socket, except for commands: PING is answered.  If the socket does not accept a whole reply at
 * once, or it has more than FXE_CONN_TURN bytes, the rest waits without occupying a thread, and
 * nothing more is read until it has been sent. So a connection uses memory for what has arrived of
 * one request, or for what has not been sent of one reply.
 *
 * Reference counted.  conn.lock guards all members except those that engine.lock guards (see
 * below).  A thread that needs both locks takes conn.lock first.
 */
#ifndef FXE_CONN_H
#define FXE_CONN_H

#include <pthread.h>
#include <stdbool.h>

#include "proto/memfd.h"
#include "proto/wire.h"
#include "server/event.h"
#include "server/handover.h"

enum {
    FXE_CONN_IN = 16 << 10,                  /* bytes of conn.in */
    FXE_CONN_TURN = FX_PIECE + FX_HEADER_MAX /* bytes of a reply that are sent in one go */
};

struct fxe_place;
struct fxe_req;
struct fxe_secure;
struct fxe_session;

/* A request as received.  Owns its frames. */
struct fxe_msg {
    int nframes; /* header first */
    int seen;    /* frames that have begun, including dropped ones */
    struct fx_buffer frames[FX_FRAMES_MAX];
    struct fxe_place
        *place;       /* of frame 1 in its upload (objects/upload.h), or NULL: it is its own */
    size_t kept;      /* bytes counted by fxe_kept_add */
    const char *kind; /* the kind of error if the request was refused while it was read, or NULL */
    char why[200];
};

void fxe_msg_free(struct fxe_msg *m);

struct fxe_conn {
    struct fxs_event source; /* first: epoll's pointer is both */
    int refs;                /* atomic */
    pthread_mutex_t lock;
    enum fxe_phase {
        FXE_IDLE,    /* the next request is being read, or waited for */
        FXE_BUSY,    /* a request is under way */
        FXE_FLUSHING /* its reply is being sent */
    } phase;
    bool watched; /* added to epoll */
    bool armed;   /* epoll will report it once, and owns a reference; if false, an event is late */
    bool dead;    /* broken or closed: must not be used any more */
    bool gone;    /* the client has closed it; atomic */
    bool tcp;     /* it is no Unix socket */
    bool near;    /* the client has connected over TCP from this host */
    bool dialect; /* it speaks the dialect of FAISSx's Python client (dialect/dialect.h) */
    int key;      /* number of the client's API key */
    struct fxe_secure *secure; /* under CURVE (secure.h); else NULL */
    char peer[FXS_PEER_MAX + 1];

    /* engine.lock */
    struct fxe_session *session;
    struct fxe_conn *prev, *next; /* in the session */
    struct fxe_conn *prev_busy, *next_busy;
    struct fxe_req *running; /* the request under way; NULL: none, or given up (overdue.h), or it
                              * is freed with its reply, which somebody else may send */
    int64_t began_ms;        /* that one */
    struct fxe_conn *next_unread;
    bool unread;         /* in the list of fxe_watch_unread */
    unsigned busy_since; /* the tick when the request began; 0: not busy, or watched already */

    bool owes; /* in the list of peers.c; atomic */
    struct fxe_conn *prev_owing, *next_owing;

    /* reading */
    uint8_t *in; /* bytes received and not yet consumed: in[at..have); NULL while idle */
    size_t at, have;
    bool drained;                /* the last recvmsg emptied the socket */
    uint64_t received, consumed; /* total bytes */
    struct fxe_msg *msg;         /* being read, or NULL */
    bool in_body;
    int flags;
    char *body;              /* where the frame's next byte goes; NULL: it is dropped */
    size_t left, room;       /* bytes of the frame still to come; bytes allocated for it */
    size_t advanced;         /* bytes taken with fxe_ahead_take for this frame */
    int fd;                  /* of a memfd, or -1 */
    uint64_t fd_end;         /* `received` just after fd arrived */
    size_t discard;          /* the connection is refused: bytes to drop before it is closed */
    struct fxe_req *sending; /* the request whose reply is being sent */

    char *own_key; /* of the dialect: the API key of the first message, or NULL */
    size_t own_key_size;
};

/* Returns a connection that the front has handed over, with one reference, or NULL if memory is
 * out.  Takes fd, and closes it on failure. */
struct fxe_conn *fxe_conn_new(int fd, const struct fxs_handover *h);
void fxe_conn_ref(struct fxe_conn *c);
bool fxe_conn_try_ref(struct fxe_conn *c); /* fails if the last reference has been given up */
void fxe_conn_unref(struct fxe_conn *c);   /* closes the connection with its last reference */
/* Shuts the connection down and marks it dead.  The caller holds neither lock. */
void fxe_conn_kill(struct fxe_conn *c);

/* --- the caller holds conn.lock --- */

/* Reads the next request.  Returns 1 and the request, which the caller frees; 0 if it is not
 * complete yet; -1 if the connection has ended. */
int fxe_conn_read(struct fxe_conn *c, struct fxe_msg **m);
/* Answers commands while a request is under way.  Returns 1 if a message is waiting, 0 if not, -1
 * if the connection has ended. */
int fxe_conn_commands(struct fxe_conn *c);
/* Returns true if bytes of the next request have already been read from the socket: epoll does not
 * report those. */
static inline bool fxe_conn_has_more(const struct fxe_conn *c)
{
    return c->have > c->at;
}
/* Frees the receive buffer if it is empty. */
void fxe_conn_rest(struct fxe_conn *c);

/* Sends r's reply.  Returns 1 if all of it has been sent; 0 if fxe_conn_flush has to send the rest,
 * and r must not change until then; -1 if the connection is broken. */
int fxe_conn_send(struct fxe_conn *c, struct fxe_req *r, const struct fx_frame *frames, int n);
/* Sends more of the reply.  Returns the same. */
int fxe_conn_flush(struct fxe_conn *c);

/* Returns true if the peer has closed the connection.  Reads nothing; any thread, no lock. */
bool fxe_conn_is_gone(const struct fxe_conn *c);

#endif
