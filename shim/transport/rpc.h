/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its reply, on the calling thread's connection.
 *
 * Most calls are made with fx_rpc_call(), in repeat.h, which also reconnects and asks again.  What
 * is here are its steps, for calls that consist of several requests:
 *
 *     struct fx_rpc r;
 *     if (fx_rpc_begin(&r, "operation", 1) != 0)       one more key will be packed
 *         return -1;
 *     fx_pack_str(&r.pk, "args"); ...
 *     if (fx_rpc_send(&r) == 0 && fx_rpc_recv(&r) == 0)
 *         ... r.reply, then fx_rpc_frame() for each payload frame ...
 *     fx_rpc_end(&r);
 *
 * The function that has begun a call ends it, and no other: functions that it calls read the reply
 * and leave the rest to it.  Several requests may be sent before their replies are received: set
 * r.oldest, and see in r.answered which one a reply is for.
 *
 * A struct fx_rpc belongs to one thread.  All functions return 0, or -1 with the error set.
 */
#ifndef FX_RPC_H
#define FX_RPC_H

#include "proto/client/conn.h"
#include "proto/wire.h"
#include "shim/thread.h"

/* What is known about a request that failed. */
enum fx_outcome {
    FX_NOT_MADE,   /* the server never had all of it, or refused it */
    FX_MAYBE_MADE, /* it was sent, and there was no answer */
    FX_MADE,       /* it was done, but its results did not arrive */
    FX_TOLD        /* the server's text says so itself */
};

/* The payload frames of a request. */
struct fx_payload {
    int n;
    struct fx_frame frames[FX_FRAMES_MAX]; /* whose memory is the caller's */
    int nuploads;
    uint64_t uploads[FX_FRAMES_MAX]; /* arrays that were sent before, see shim/calls/blob.h */
};

/* What has to be done before a request that failed can be made again. */
enum fx_trouble {
    FX_FINAL,  /* nothing helps */
    FX_BROKEN, /* the connection broke, or the server cannot be reached at present: reconnect */
    FX_SESSION_LOST /* begin it in a new session */
};

struct fx_rpc {
    struct fx_thread *self;
    struct fx_conn *conn; /* the thread's; NULL when it broke */
    const char *operation;
    int64_t deadline;
    uint64_t id;         /* of the newest request */
    uint64_t oldest;     /* of the oldest request that a reply may still come for */
    uint64_t answered;   /* of the request that the reply is for */
    unsigned generation; /* of the session, see session.h */
    int fd;              /* a memfd to be sent with the request, or -1 */
    msgpack_packer pk;   /* of the header */
    struct fx_header reply;
    char *reply_buf;
    int nframes; /* frames of the reply's payload that were begun */
    int more;    /* there are others */
    size_t left; /* unread bytes of the current frame */
    enum fx_outcome outcome;
    enum fx_trouble trouble;
    int repeats;           /* the caller repeats the request: see repeat.h */
    size_t again_at;       /* where in the header it says whether it was sent before */
    int doubt;             /* it was sent before, and there was no answer */
    int wanted;            /* the server asks for an array that was left out */
    int tries, renewals;   /* reconnections, and new sessions, so far */
    int most;              /* reconnections that are allowed */
    struct fx_error first; /* the error that the first reconnection followed, or no text */
    int begun;             /* and not ended */
    int cancel;            /* see fx_thread_engage */
    unsigned failures;     /* of the thread (fx_error_count) before it */
    struct fx_payload payload;
};

/* Find this thread's connection, or connect, and begin a header with `keys` keys besides operation,
 * request_id and session. */
int fx_rpc_begin(struct fx_rpc *r, const char *operation, uint32_t keys);

/* The same in two steps: the connection, with at most `most` attempts if it has broken, and the
 * header, which may be begun again. */
int fx_rpc_open(struct fx_rpc *r, const char *operation, int most);
void fx_rpc_header(struct fx_rpc *r, uint32_t keys);

/* It has succeeded in the end: what failed on the way does not count. */
void fx_rpc_overcome(const struct fx_rpc *r);

/* Begin another request in the same call. */
void fx_rpc_again(struct fx_rpc *r, const char *operation, uint32_t keys);

int fx_rpc_send(struct fx_rpc *r);

/* Wait for the reply to one of the requests from `oldest` to `id`.  An error reply is a failure. */
int fx_rpc_recv(struct fx_rpc *r);

/* Begin the next payload frame of the reply.  Returns 1 when there is none. */
int fx_rpc_frame(struct fx_rpc *r, size_t *size);
int fx_rpc_read(struct fx_rpc *r, void *buf, size_t n);

/* If the frame that was begun last is empty and stands for a blob, which is to be downloaded when
 * the call has ended: the blob's id and, in *size, its bytes.  Else 0. */
uint64_t fx_rpc_blob(const struct fx_rpc *r, size_t *size);

/* Drop what is left of the reply, and free it. */
void fx_rpc_end(struct fx_rpc *r);

/* The reply breaks the protocol: set the error and close the connection.  Returns -1. */
int fx_rpc_malformed(struct fx_rpc *r, const char *what);

/* After a request that changes something has failed: append to the error's text whether the change
 * was made, unless the text says so. */
void fx_rpc_tell_outcome(const struct fx_rpc *r);

#endif
