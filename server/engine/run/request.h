/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of a client, from the connection to the reply.
 *
 *     fxe_req_new       decode the header, find the session and the operation
 *     op->prepare       look up objects; engine.lock is held; decides the lane
 *     lock.c            wait for them
 *     fxe_req_run       do it; engine.lock is not held
 *     fxe_req_finish    ends every request, whatever became of it: commit, reply, release
 *     fxe_req_sent      the reply has left, or never will
 *
 * A request is handled by one thread at a time; from fxe_req_finish on also by the one that sends
 * the rest of its reply (shares).
 */
#ifndef FXE_REQUEST_H
#define FXE_REQUEST_H

#include "proto/zmtp.h"
#include "server/engine/call/printed.h"
#include "server/engine/call/values.h"
#include "server/engine/run/conn.h"
#include "server/engine/run/lock.h"
#include "server/engine/run/reply.h"

enum fxe_lane { FXE_SMALL, FXE_WIDE };

/* What an operation that is no function of the C API does. */
struct fxe_operation {
    const char *name;
    int needs_session;
    int (*prepare)(struct fxe_req *r); /* may be NULL; -1: failed, the reply is set */
    void (*run)(struct fxe_req *r);
    int (*start)(struct fxe_req *r); /* instead of run: 1 when another thread finishes it */
};

struct fxe_blob;

/* An array of the reply: memory that is freed, or given to a blob, after it was sent. */
struct fxe_out {
    void *data;
    size_t size;
};

/* What a range search found, where that is not in FAISS's object: far.c. */
struct fxe_found {
    size_t *lims, n; /* n + 1 limits; NULL: there is none */
    idx_t *labels;
    float *distances;
};

struct fxe_req {
    struct fxe_req *next;
    struct fxe_msg *msg;
    struct fxe_conn *conn; /* where the reply goes */
    struct fx_header header;
    uint64_t request_id;
    const struct fxe_operation *operation;
    struct fxe_session *session;
    enum fxe_lane lane;
    int64_t began_ms;
    int ending;   /* it will be answered now; engine.lock */
    int given_up; /* its caller has had an answer: overdue.h; engine.lock */

    /* a function of the C API */
    int op;
    const struct fx_fn *fn;
    const msgpack_object *args;
    union fx_val v[FX_PARAMS_MAX + 1];
    struct fxe_obj *obj[FX_PARAMS_MAX];
    uint64_t elems[FX_PARAMS_MAX];
    void *lent[FX_PARAMS_MAX]; /* FX_LENT, FX_COUNT, FX_OUT_HANDLE: what FAISS writes */
    struct fx_buffer memory[FX_PARAMS_MAX * 2]; /* freed with the request */
    int nmemory;
    struct fxe_obj *held[FX_OBJECTS_MAX];
    int nheld;
    struct fxe_needs needs;
    struct fxe_values values;
    struct fxe_found found;

    struct fxe_printed printed; /* during the call, if the client wants to see it */

    /* the reply */
    int failed;
    int made; /* what failed came after the call had been made */
    int code;
    const char *kind;
    char *message;
    msgpack_sbuffer extra; /* keys and values after status and request_id */
    uint32_t nextra;
    struct fxe_out out[FX_FRAMES_MAX];
    int nout;
    struct fxe_blob *piece_of; /* out[0] is part of that download, and not freed */
    msgpack_sbuffer reply;     /* its header */
    struct fx_zmtp_message wire;
    size_t unsent;
    int shares; /* 2 from when it is finished; atomic */
};

/* Takes the message.  NULL when memory is out. */
struct fxe_req *fxe_req_new(struct fxe_msg *m, struct fxe_conn *conn);

/* With engine.lock: find the objects.  -1: failed, finish it. */
int fxe_req_prepare(struct fxe_req *r);
/* Do it, and finish it. */
void fxe_req_run(struct fxe_req *r);
void fxe_req_finish(struct fxe_req *r);
void fxe_req_sent(struct fxe_req *r);

/* Memory that lives as long as the request. */
void *fxe_req_alloc(struct fxe_req *r, size_t size);

/* The object named by `id`, held; -1 and the reply set.  engine.lock is held. */
int fxe_req_object(struct fxe_req *r, uint64_t id, const char *what, struct fxe_obj **o);

/* Payload frame i (0 is the first): NULL and the reply set when there is none, or no memory
 * to map it. */
struct fx_buffer *fxe_req_frame(struct fxe_req *r, uint64_t i, const char *what);

/* The bytes that an argument names: a frame, or an upload, which is used up. */
int fxe_req_bytes(struct fxe_req *r, const msgpack_object *o, const char *what, const void **data,
                  size_t *size);

/* [id, d, metric] of a new object, for `out`. */
void fxe_pack_handle(msgpack_packer *pk, const struct fxe_obj *o);

/* call.c */
int fxe_call_prepare(struct fxe_req *r);
void fxe_call_run(struct fxe_req *r);
/* Put the arguments into v[], and room for results into the reply. */
int fxe_call_arguments(struct fxe_req *r);
/* Make the call, without any check; the argument is the request. */
void fxe_call_faiss(void *r);
/* A function that the size of an array depends on (see fx_size), of the loaded library. */
int fxe_call_ask(void *ctx, int op, union fx_val *v);
static inline const msgpack_object *fxe_call_arg(const struct fxe_req *r, int i)
{
    return &r->args->via.array.ptr[i];
}

/* call_results.c */

/* Put what FAISS returned into the reply; -1: memory is out, or the reply is set. */
int fxe_call_results(struct fxe_req *r);
/* The object that the call is about, or NULL. */
struct fxe_obj *fxe_call_first(const struct fxe_req *r);

#endif
