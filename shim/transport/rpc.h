/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its reply, on the calling thread's connection.
 *
 *     struct fx_rpc r;
 *     if (fx_rpc_begin(&r, "operation", 1) != 0)       1 more key will be packed
 *         return failure;                               (the error is set)
 *     fx_pack_str(&r.pk, "args"); ...
 *     if (fx_rpc_send(&r) == 0 && fx_rpc_recv(&r) == 0)
 *         ... r.reply, then fx_rpc_frame for each payload frame ...
 *     fx_rpc_end(&r);
 *
 * Several requests may be sent before their replies are received: set r.oldest, and see in
 * r.answered which one a reply is for.
 */
#ifndef FX_RPC_H
#define FX_RPC_H

#include "proto/client/conn.h"
#include "shim/shim.h"
#include "shim/values/values.h"

/* What is known of a request that failed. */
enum fx_outcome {
    FX_NOT_MADE,   /* the server never had all of it, or refused it */
    FX_MAYBE_MADE, /* sent, and not answered */
    FX_MADE,       /* done, but its results did not arrive */
    FX_TOLD        /* the server's own words say it */
};

struct fx_rpc {
    struct fx_thread *self;
    struct fx_conn *conn;
    const char *operation;
    int64_t deadline;
    uint64_t id;         /* of the newest request */
    uint64_t oldest;     /* of the oldest that a reply may still come for */
    uint64_t answered;   /* of the request that the reply is for */
    unsigned generation; /* of the session it is part of */
    int fd;              /* of a memfd, to be sent with the request; or -1 */
    msgpack_packer pk;   /* of the header */
    struct fx_payload payload;
    struct fx_header reply;
    char *reply_buf;
    int more;    /* frames of the reply that were not read yet */
    size_t left; /* bytes of the current frame, unread */
    int code;    /* of an error reply; -4 when there was none */
    int lost;    /* the server does not know the session */
    enum fx_outcome outcome;
    int begun; /* and not ended */
};

/* Connect if need be, and begin a header with `keys` keys besides operation,
 * request_id and session. */
int fx_rpc_begin(struct fx_rpc *r, const char *operation, uint32_t keys);
/* The same with another request on r's connection, after fx_rpc_begin. */
void fx_rpc_again(struct fx_rpc *r, const char *operation, uint32_t keys);

int fx_rpc_send(struct fx_rpc *r);

/* Wait for the reply to a request from `oldest` to `id`.  Error replies set this thread's error. */
int fx_rpc_recv(struct fx_rpc *r);

/* A request that would change something has failed: add to the error's text whether it did, unless
 * that goes without saying. */
void fx_rpc_tell_outcome(const struct fx_rpc *r);

/* Begin the next payload frame: its size; 1 when there is none, -1 on failure. */
int fx_rpc_frame(struct fx_rpc *r, size_t *size);
int fx_rpc_read(struct fx_rpc *r, void *buf, size_t n);

/* Frame number `frame` may be empty and stand for a blob, to be downloaded after
 * fx_rpc_end: its id and, in *size, its bytes; else 0. */
uint64_t fx_rpc_big(const struct fx_rpc *r, int frame, size_t *size);

/* Drop what is left of the reply. */
void fx_rpc_end(struct fx_rpc *r);

/* The reply made no sense: sets the error and closes the connection. */
int fx_rpc_nonsense(struct fx_rpc *r, const char *what);

/* --- objects of the server --- */

/* What a reply says of an object, [id, d, metric] or an id: its handle.  NULL when it
 * names none, or (with the error set) when memory is out.  call.c */
void *fx_take_handle(const msgpack_object *o, int cls, struct fx_obj *lender, const char *function);

/* The `cls` behind `handle`, to be named in a request, held until fx_obj_release; or
 * NULL with the error set in the name of `function`.  custom.c */
struct fx_obj *fx_server_object(const void *handle, int cls, const char *function);

/* --- large arrays, blob.c --- */

/* Send an array in pieces.  Returns the id to name in a request, 0 on failure. */
uint64_t fx_upload(const void *data, size_t size);

/* Where bytes come from or go to, for files and callbacks: at most n bytes, returns
 * how many, 0 at the end, or -1 with the error set. */
typedef int64_t (*fx_source_fn)(void *ctx, void *buf, size_t n);
typedef int (*fx_sink_fn)(void *ctx, const void *buf, size_t n);

/* Fetch all of a blob that a reply named, into memory or into a sink; it is gone from
 * the server after that.  Return 0 or -1. */
int fx_download(uint64_t id, void *data, size_t size);
int fx_download_to(uint64_t id, size_t size, fx_sink_fn sink, void *ctx);

#endif
