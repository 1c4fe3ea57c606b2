/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of a client, from the connection to the reply.
 *
 *     fxe_req_new       decodes the header and finds the operation
 *     fxe_req_prepare   finds the session and the objects, and chooses the lane
 *     keep/change.c     records it first, if it changes an index that is kept on disk
 *     lock.c            queues the request until it has its locks
 *     fxe_req_run       runs it
 *     fxe_req_finish    ends every request, also one that failed: commits, replies, releases
 *     fxe_req_sent      ends its exchange: the reply has been sent, or never will be
 *
 * One thread at a time handles a request; from fxe_req_finish on also the one that sends the rest
 * of its reply (see `shares`).
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

/* How an operation is carried out. */
struct fxe_operation {
    const char *name;
    int needs_session;
    int (*prepare)(struct fxe_req *r); /* or NULL; -1: failed, the reply is set; engine.lock */
    void (*run)(struct fxe_req *r);
    int (*start)(struct fxe_req *r); /* if set, instead of run; 1: another thread finishes r */
};

struct fxd_ask;
struct fxe_blob;
struct fxe_answer;
struct fxe_change;

/* How a request changes an index that is kept on disk; see keep/keep.h. */
enum fxe_keep {
    FXE_KEEP_BY_STATE, /* or it changes none */
    FXE_KEEP_RECORD,   /* is to be recorded, without its locks */
    FXE_KEEP_READ,     /* the same, when it has locked the index and read it into memory */
    FXE_KEEP_RECORDED, /* is on disk, and has to be carried out */
    FXE_KEEP_ASKED,    /* was recorded by an engine before this one: only its answer is wanted */
    FXE_KEEP_REFUSED   /* could not be recorded; the reply is set */
};

/* An array of the reply, allocated by malloc.  Freed with the request, unless a blob takes it. */
struct fxe_out {
    void *data;
    size_t size;
};

/* The results of a range search that far.c makes: they are not in an object of FAISS. */
struct fxe_found {
    size_t *lims, n; /* n + 1 limits; NULL: no such results */
    idx_t *labels;
    float *distances;
};

struct fxe_req {
    struct fxe_req *next;
    bool batches; /* it may be run together with others of its kind (ready.h); engine.lock */
    struct fxe_msg *msg;
    struct fxe_conn *conn; /* where the reply goes */
    struct fx_header header;
    uint64_t request_id;
    const struct fxe_operation *operation;
    const msgpack_object *token; /* names the session, or NULL */
    struct fxe_session *session;
    enum fxe_lane lane;
    int64_t began_ms;
    int given_up;              /* its caller has had an error already (overdue.h); engine.lock */
    struct fxe_answer *answer; /* it is to be kept (answers.h); engine.lock */
    int repeated; /* the reply is that of an earlier request, complete in `reply` and `out` */

    /* a function of the C API */
    int op;
    const struct fx_fn *fn;
    const msgpack_object *args;
    union fx_val v[FX_PARAMS_MAX + 1];
    struct fxe_obj *obj[FX_PARAMS_MAX];
    uint64_t elems[FX_PARAMS_MAX];
    void *lent[FX_PARAMS_MAX]; /* FX_LENT, FX_COUNT, FX_OUT_HANDLE: FAISS writes these */
    struct fx_buffer memory[FX_PARAMS_MAX * 2]; /* freed with the request */
    int nmemory;
    bool unread;       /* FAISS will not look at the array that the client has not sent, */
    bool wanted;       /* or it would: the client is asked for it */
    uint64_t download; /* what the reply to `save` is kept as; or 0 */
    uint64_t upload;   /* the largest upload among them, */
    int uploaded;      /* which is memory[uploaded]; upload is 0: none */
    bool kept;         /* the session may ask for that one again */
    struct fxe_obj *held[FX_OBJECTS_MAX];
    int nheld;
    struct fxe_needs needs;
    struct fxe_values values;
    struct fxe_found found;
    int64_t nprobe, own_nprobe; /* for this call only, or 0; the index's (catalogue/search.c) */
    struct fxd_ask *ask; /* the message of the dialect that it is for (dialect/ask.h), or NULL */
    bool trains;         /* an index that is not trained is trained first (catalogue/), */
    bool trained;        /* and has been */
    bool replaces;       /* vectors with these ids are removed first (catalogue/replace.c) */
    bool uneven;  /* an IDMap may have more vectors than the index in it: they are removed now */
    bool halfway; /* if it fails now, an index is left that is neither the old nor the new one */
    bool remaps;  /* what is removed leaves no gap in an IDMap (catalogue/removal.h) */

    enum fxe_keep keep;
    int kept_param;            /* of a request that is recorded: the index that it changes */
    struct fxe_change *change; /* or NULL */
    struct fxe_obj *unproven;  /* the call, if it succeeds, is proof (guard/doubt.h); or NULL */
    struct fxe_obj *fresh[2];  /* objects that the request has made */
    int nfresh;

    struct fxe_printed printed; /* FAISS's output during the call, if the client asked for it */

    /* the reply */
    int failed;
    int made;       /* the call was made; what failed came after it */
    bool unchanged; /* the call had nothing to do */
    bool alone;     /* one thread makes the call (wide.h) */
    int code;
    const char *kind;
    char *message;
    msgpack_sbuffer extra; /* keys and values after status and request_id */
    uint32_t nextra;
    struct fxe_out out[FX_FRAMES_MAX];
    int nout;
    struct fxe_blob *piece_of; /* or NULL; out[0] is part of that download, and is not freed */
    msgpack_sbuffer reply;     /* its header */
    struct fx_zmtp_message wire;
    size_t unsent;
    int shares; /* 2 from fxe_req_finish on; atomic */
};

/* Returns a request, which may have failed already, or NULL if memory is out.  Takes the message in
 * both cases; the request has its own reference to the connection. */
struct fxe_req *fxe_req_new(struct fxe_msg *m, struct fxe_conn *conn);
/* The same, of a message that has the form of wire.md whatever the connection speaks. */
struct fxe_req *fxe_req_of(struct fxe_msg *m, struct fxe_conn *conn);

/* Finds the session and the objects.  Returns 0; -1 if the reply is set, and the caller calls
 * fxe_req_finish; or 1 if the same request is under way already, and r ends with it.  The caller
 * holds engine.lock. */
int fxe_req_prepare(struct fxe_req *r);
/* Prepares a request that has waited for another one, which was not begun.  Returns the same. */
int fxe_req_prepare_again(struct fxe_req *r);
/* Runs the request and finishes it.  The caller holds no lock. */
void fxe_req_run(struct fxe_req *r);
/* Replies, and releases all that the request holds.  The caller holds no lock and must not use r
 * afterwards. */
void fxe_req_finish(struct fxe_req *r);
/* Frees what the request owns, but not itself. */
void fxe_req_clear(struct fxe_req *r);
/* The reply has been sent, or never will be: the connection may have its next request. */
void fxe_req_sent(struct fxe_req *r);

/* What the request is called in an error: a function of the C API, or an operation. */
const char *fxe_req_name(const struct fxe_req *r);

/* Returns `size` bytes, freed with the request, or NULL and the reply is set. */
void *fxe_req_alloc(struct fxe_req *r, size_t size);

/* Finds the object `id` and holds it until the request ends.  `what` names it in an error, after
 * the function if the request calls one.  Returns 0, or -1 and the reply is set.  The caller holds
 * engine.lock. */
int fxe_req_object(struct fxe_req *r, uint64_t id, const char *what, struct fxe_obj **o);

/* The request has made this object. */
static inline void fxe_req_made(struct fxe_req *r, struct fxe_obj *o)
{
    if (r->nfresh < (int)(sizeof r->fresh / sizeof *r->fresh))
        r->fresh[r->nfresh++] = o;
}

/* Returns payload frame i (0 is the first), which the request owns; or NULL and the reply is set if
 * there is no such frame, or if it could not be mapped. */
struct fx_buffer *fxe_req_frame(struct fxe_req *r, uint64_t i, const char *what);

/* Is it ["upload", id]? */
bool fxe_names_upload(const msgpack_object *o);

/* Finds the `*size` bytes that argument `o` names: a frame, or an upload, which the request takes.
 * They live as long as the request.  Returns 0, or -1 and the reply is set. */
int fxe_req_bytes(struct fxe_req *r, const msgpack_object *o, const char *what, const void **data,
                  size_t *size);

/* Packs the handle of a new object: [id, d, metric] of an index, the id of any other object.  The
 * caller does not hold engine.lock. */
void fxe_pack_handle(msgpack_packer *pk, const struct fxe_obj *o);

/* call.c */
int fxe_call_prepare(struct fxe_req *r);
/* With its locks, before it is run: looks up FAISS's objects, and checks those that were on disk
 * only when the request was prepared.  Returns 0, or -1 with the reply set. */
int fxe_call_resolve(struct fxe_req *r);
void fxe_call_run(struct fxe_req *r);
/* The same without the results, which are left in v[], lent[] and out[].  Returns 0, or -1 with the
 * reply set. */
int fxe_call_make(struct fxe_req *r);
/* Puts the arguments into v[], and memory for the results into the reply. */
int fxe_call_arguments(struct fxe_req *r);
/* Makes the call, without any check; the argument is the request. */
void fxe_call_faiss(void *r);
/* Calls a function of the loaded library that the size of an array depends on (see fx_size). */
int fxe_call_ask(void *ctx, int op, union fx_val *v);
static inline const msgpack_object *fxe_call_arg(const struct fxe_req *r, int i)
{
    return &r->args->via.array.ptr[i];
}

/* call_results.c */

/* Puts what FAISS returned into the reply.  Returns 0, or -1 if memory is out or the reply is an
 * error. */
int fxe_call_results(struct fxe_req *r);
/* Returns the object that the call is about, or NULL. */
struct fxe_obj *fxe_call_first(const struct fxe_req *r);

#endif
