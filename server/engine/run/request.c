/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/request.h"

#include <stdlib.h>
#include <string.h>

#include "server/engine/call/files.h"
#include "server/engine/call/known.h"
#include "server/engine/call/special.h"
#include "server/engine/catalogue/catalogue.h"
#include "server/engine/dialect/dialect.h"
#include "server/engine/guard/room.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/again.h"
#include "server/engine/objects/blob.h"
#include "server/engine/objects/download.h"
#include "server/engine/objects/named.h"
#include "server/engine/objects/session.h"
#include "server/engine/objects/shared.h"
#include "server/engine/objects/upload.h"
#include "server/engine/run/answers.h"
#include "server/engine/run/exchange.h"
#include "server/engine/run/overdue.h"
#include "server/engine/run/pool.h"
#include "server/engine/run/stats.h"
#include "server/engine/training/training.h"

enum { PRINTED_MAX = 32 << 10 }; /* bytes of FAISS's output that a reply's header can hold */

static const struct fxe_operation call_operation = {"", 1, fxe_call_prepare, fxe_call_run, NULL};

static const struct fxe_operation *const operations[] = {
    &fxe_upload_operation,   &fxe_download_operation,  &fxe_release_operation,
    &fxe_save_operation,     &fxe_load_operation,      &fxe_load_stream_operation,
    &fxe_feed_operation,     &fxe_stats_operation,     &fxe_hello_operation,
    &fxe_attach_operation,   &fxe_bye_operation,       &fxe_ping_operation,
    &fxe_health_operation,   &fxe_publish_operation,   &fxe_open_operation,
    &fxe_list_operation,     &fxe_unpublish_operation, &fxe_load_known_operation,
    &fxe_remember_operation,
};

static const struct fxe_operation *find_operation(struct fxe_req *r, const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (strlen(operations[i]->name) == len && memcmp(operations[i]->name, name, len) == 0)
            return operations[i];
    const struct fxe_operation *of_catalogue = fxe_catalogue_find(r, name, len);
    if (of_catalogue)
        return of_catalogue;
    r->op = fx_op_by_name(name, len);
    if (!r->op || fx_fns[r->op].flags & FX_CUSTOM) {
        const struct fxe_operation *special = fxe_special(r->op);
        r->op = 0; /* special, unknown, or of a value object, which exists in the client only */
        return special;
    }
    r->fn = &fx_fns[r->op];
    return &call_operation;
}

struct fxe_req *fxe_req_new(struct fxe_msg *m, struct fxe_conn *conn)
{
    return conn->dialect ? fxd_req_new(m, conn) : fxe_req_of(m, conn);
}

struct fxe_req *fxe_req_of(struct fxe_msg *m, struct fxe_conn *conn)
{
    struct fxe_req *r = calloc(1, sizeof *r);
    const char *why, *name;
    size_t len;
    if (!r) {
        fxe_msg_free(m);
        return NULL;
    }
    r->msg = m;
    r->conn = conn;
    fxe_conn_ref(conn);
    msgpack_sbuffer_init(&r->extra);
    msgpack_sbuffer_init(&r->reply);
    int rc =
        m->nframes ? fx_header_read(&r->header, m->frames[0].data, m->frames[0].size, &why) : -1;
    if (rc == 0) /* first: an error, too, should carry the request_id */
        fx_header_uint(&r->header, "request_id", &r->request_id);
    if (m->kind)
        fxe_fail(r, m->kind, "%s", m->why);
    else if (rc != 0)
        fxe_fail(r, rc == -2 ? "limit" : "protocol", "%s", why);
    else if (!fx_header_str(&r->header, "operation", &name, &len))
        fxe_fail(r, "protocol", "the header has no operation");
    else if (!(r->operation = find_operation(r, name, len)))
        fxe_fail(r, "unsupported", "unknown operation '%.*s'", (int)(len > 100 ? 100 : len), name);
    r->token = fx_header_get(&r->header, "session"); /* here, because engine.lock is not held */
    if (r->operation == &call_operation)
        r->args = fx_header_get(&r->header, "args");
    return r;
}

/* Finds the session if the request names one.  The caller holds engine.lock. */
static int find_session(struct fxe_req *r)
{
    const msgpack_object *t = r->token;
    if (!t)
        return 0;
    if ((t->type == MSGPACK_OBJECT_STR || t->type == MSGPACK_OBJECT_BIN) &&
        t->via.str.size == FX_TOKEN_SIZE)
        r->session = fxe_session_find((const uint8_t *)t->via.str.ptr);
    if (r->session && r->session->ended)
        r->session = NULL;
    if (!r->session)
        return fxe_fail(r, "session",
                        "unknown session: it has ended, or its engine was restarted; its objects "
                        "are gone");
    r->session->busy++;
    fxe_session_bind(r->session, r->conn);
    return 0;
}

int fxe_req_prepare(struct fxe_req *r)
{
    if (r->failed || find_session(r) != 0)
        return -1;
    if (r->operation->needs_session && !r->session)
        return fxe_fail(r, "session", "%s needs a session: send hello first", fxe_req_name(r));
    return fxe_req_prepare_again(r);
}

int fxe_req_prepare_again(struct fxe_req *r)
{
    struct fxs_caller caller;
    if (fxe_answers_caller(r, &caller)) {
        enum fxe_known known = r->failed ? FXE_REFUSED : fxe_answers_find(r, &caller);
        if (known != FXE_NEW)
            return known == FXE_WAITING ? 1 : -1;
        if (fxe_answers_begin(r, &caller) != 0)
            return -1;
    }
    return r->operation->prepare ? r->operation->prepare(r) : 0;
}

/* Returns true if the client wants to see what FAISS prints. */
static bool is_verbose(const struct fxe_req *r)
{
    const msgpack_object *o = fx_header_get(&r->header, "verbose");
    return o && o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean;
}

/* What is on disk has to be carried out, even if nobody waits for it any more. */
static bool is_useless(const struct fxe_req *r)
{
    return __atomic_load_n(&r->given_up, __ATOMIC_RELAXED) && r->keep != FXE_KEEP_RECORDED;
}

/* Has FAISS freed an object of the request while that waited?  Then the reply is set. */
static bool has_ended(struct fxe_req *r)
{
    if (fxe_is_hold(r) || (r->fn && r->fn->flags & FX_FREE))
        return false;
    for (int i = 0; i < r->nheld; i++)
        if (r->held[i]->ended) {
            fxe_fail(r, "handle",
                     "%s: an object was a part of another one, and has ended because that is "
                     "another object of FAISS now",
                     fxe_req_name(r));
            return true;
        }
    return false;
}

void fxe_req_run(struct fxe_req *r)
{
    if (r->keep == FXE_KEEP_RECORD) {
        fxe_change_record(r);
        return;
    }
    bool ended = has_ended(r);
    if (!ended && fxe_keep_waits(r))
        return;
    if (ended || r->keep == FXE_KEEP_REFUSED) {
        /* the reply is set */
    } else if (is_useless(r)) {
        fxe_fail(r, "timeout", "the caller has had its timeout error already");
    } else if (fxe_keep_load(r) != 0) {
        /* the reply is set */
    } else if (r->keep == FXE_KEEP_READ) {
        fxe_change_record(r);
        return;
    } else if (fxe_keep_asked(r) != FXE_ASKED_NEW || fxe_shared_own(r) != 0 ||
               (r->fn && fxe_call_resolve(r) != 0)) {
        /* the reply is set */
    } else if (r->operation->start && !(r->operation->run && is_verbose(r))) {
        if (r->operation->start(r))
            return;
    } else if (is_verbose(r)) {
        r->printed.limit = PRINTED_MAX;
        fxe_printed_begin(FXE_PRINTED_ALL, &r->printed);
        r->operation->run(r);
        fxe_printed_end(FXE_PRINTED_ALL);
    } else {
        r->operation->run(r);
    }
    fxe_req_finish(r);
}

void fxe_req_clear(struct fxe_req *r)
{
    for (int i = 0; i < r->nmemory; i++)
        fx_buffer_free(&r->memory[i]);
    if (r->piece_of)
        fxe_blob_done(r->piece_of);
    for (int i = r->piece_of ? 1 : 0; i < r->nout; i++)
        free(r->out[i].data);
    free(r->found.lims);
    free(r->found.labels);
    free(r->found.distances);
    msgpack_sbuffer_destroy(&r->extra);
    msgpack_sbuffer_destroy(&r->reply);
    fx_header_free(&r->header);
    fxe_msg_free(r->msg);
    free(r->message);
    free(r->printed.text);
    fxd_ask_free(r->ask);
    fxe_change_free(r->change);
}

static void free_request(struct fxe_req *r)
{
    fxe_req_clear(r);
    free(r);
}

/* The thread that finishes a request and the one that sends the last of its reply each own a share
 * of it; the last one to give up its share frees the request. */
static void give_up_share(struct fxe_req *r)
{
    if (__atomic_sub_fetch(&r->shares, 1, __ATOMIC_ACQ_REL) == 0)
        free_request(r);
}

/* Gives back what the request used: locks, objects, its place in the session. */
static void release_used(struct fxe_req *r)
{
    struct fxe_obj *doomed = NULL;
    fxe_lock();
    fxe_training_changed(r);
    fxe_needs_give(&r->needs);
    if (r->keep == FXE_KEEP_RECORDED)
        fxe_change_end(r);
    for (int i = 0; i < r->nheld; i++)
        fxe_obj_let_go(r->held[i], &doomed);
    if (r->session)
        fxe_session_leave(r->session, &doomed);
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
}

/* Returns true if the caller has had an answer already.  If not, no other thread answers it from
 * now on. */
static bool is_answered(struct fxe_req *r)
{
    if (!fxe_engine.options.call_limit)
        return false; /* nobody else answers it */
    fxe_lock();
    bool answered = fxe_overdue_ended(r);
    fxe_unlock();
    return answered;
}

static struct fxe_req *keep_answer(struct fxe_req *r)
{
    struct fx_frame frames[FX_FRAMES_MAX];
    int n = fxe_reply_pack(r, frames);
    if (r->change)
        fxe_change_answer(r, frames, n);
    return r->answer ? fxe_answers_end(r, frames, n) : NULL;
}

/* Ends the requests that have waited for the one that was just answered, or begins them. */
static void answer_waiting(struct fxe_req *r)
{
    while (r) {
        struct fxe_req *next = r->next;
        r->next = NULL;
        if (r->repeated)
            fxe_req_finish(r);
        else
            fxe_exchange_again(r);
        r = next;
    }
}

/* `next` takes the place of r: the exchange goes on. */
static void follow(struct fxe_req *r, struct fxe_req *next)
{
    fxe_lock();
    next->began_ms = r->began_ms;
    r->conn->running = next;
    fxe_unlock();
}

void fxe_req_finish(struct fxe_req *r)
{
    struct fxe_req *waiting = NULL;
    if (r->msg && r->msg->place) /* of a request that was not run */
        fxe_place_end(r->msg->place);
    fxe_values_free(&r->values);
    if (!r->repeated)
        fxe_stats_count(r);
    fxe_keep_commit(r); /* before the reply, and while the objects are locked */
    if (r->upload && r->fn && r->session &&
        !r->failed) /* before the reply: the client may ask for it at once */
        r->kept = fxe_again_put(r->session, r->upload, &r->memory[r->uploaded]);
    if (r->answer || r->change)
        waiting = keep_answer(r);
    r->shares = 2;
    bool answered = is_answered(r);
    struct fxe_req *next = !answered && r->ask ? fxd_next(r) : NULL;
    if (answered || next) {
        if (next)
            follow(r, next);
        release_used(r);
        fxe_conn_unref(r->conn);
        free_request(r);
    } else {
        int sent = fxe_reply_send(r);
        release_used(r);
        if (sent != 0) /* sent, or the connection is broken */
            fxe_req_sent(r);
        give_up_share(r);
    }
    if (waiting)
        answer_waiting(waiting);
    if (next && next->failed)
        fxe_req_finish(next);
    else if (next)
        fxe_exchange_again(next);
}

void fxe_req_sent(struct fxe_req *r)
{
    struct fxe_conn *c = r->conn;
    give_up_share(r);
    fxe_pool_answered(c);
}

/* An operation of the catalogue may be made by a function of the C API that clients do not call. */
const char *fxe_req_name(const struct fxe_req *r)
{
    if (r->operation && *r->operation->name)
        return r->operation->name;
    return r->fn ? r->fn->name : "";
}

void *fxe_req_alloc(struct fxe_req *r, size_t size)
{
    void *p = NULL;
    if (r->nmemory < (int)(sizeof r->memory / sizeof *r->memory))
        p = fxe_room_realloc(NULL, size ? size : 1);
    if (p)
        r->memory[r->nmemory++] = (struct fx_buffer){p, size, 0};
    else
        fxe_fail(r, "limit", "the server has no memory for %zu bytes", size);
    return p;
}

int fxe_req_object(struct fxe_req *r, uint64_t id, const char *what, struct fxe_obj **o)
{
    *o = fxe_obj_find(r->session, id);
    if (!*o)
        return fxe_fail(r, "handle",
                        "%s%s%s is not an object of this session: it was freed, or the engine was "
                        "restarted",
                        r->fn ? r->fn->name : "", r->fn ? ": " : "", what);
    if (r->nheld == FX_OBJECTS_MAX) {
        *o = NULL;
        return fxe_fail(r, "limit", "more than %d objects in one call", FX_OBJECTS_MAX);
    }
    fxe_obj_hold(*o);
    r->held[r->nheld++] = *o;
    return 0;
}

struct fx_buffer *fxe_req_frame(struct fxe_req *r, uint64_t i, const char *what)
{
    if (i >= r->msg->nframes - 1u) {
        fxe_fail(r, "protocol", "%s does not name a payload frame of the message", what);
        return NULL;
    }
    struct fx_buffer *b = &r->msg->frames[i + 1];
    if (!b->data) {
        fxe_fail(r, "limit", "the server has no memory for an array of %zu bytes", b->size);
        return NULL;
    }
    return b;
}

bool fxe_names_upload(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size == 2 &&
           o->via.array.ptr[0].type == MSGPACK_OBJECT_STR &&
           o->via.array.ptr[0].via.str.size == 6 &&
           memcmp(o->via.array.ptr[0].via.str.ptr, "upload", 6) == 0 &&
           o->via.array.ptr[1].type == MSGPACK_OBJECT_POSITIVE_INTEGER;
}

int fxe_req_bytes(struct fxe_req *r, const msgpack_object *o, const char *what, const void **data,
                  size_t *size)
{
    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        const struct fx_buffer *b = fxe_req_frame(r, o->via.u64, what);
        if (!b)
            return -1;
        *data = b->data; /* aligned for any type that FAISS reads */
        *size = b->size;
        return 0;
    }
    if (fxe_names_upload(o)) {
        if (r->nmemory == (int)(sizeof r->memory / sizeof *r->memory))
            return fxe_fail(r, "limit", "too many uploads in one call");
        struct fx_buffer *b = &r->memory[r->nmemory];
        uint64_t id = o->via.array.ptr[1].via.u64;
        if (fxe_upload_take(r->session, id, b) != 0)
            return fxe_fail(r, "argument", "the upload for %s is unknown or incomplete", what);
        if (!b->mapped && (!r->upload || b->size > r->memory[r->uploaded].size)) {
            r->upload = id;
            r->uploaded = r->nmemory;
        }
        r->nmemory++;
        *data = b->data;
        *size = b->size;
        return 0;
    }
    return fxe_fail(r, "protocol", "%s does not name a payload frame of the message", what);
}

void fxe_pack_handle(msgpack_packer *pk, const struct fxe_obj *o)
{
    const struct fx_api *api = &fxe_engine.lib.api;
    int root = fx_root(o->cls);
    if (root == FX_CLASS_Index || (root == FX_CLASS_IndexBinary && api->IndexBinary_d)) {
        int64_t d = 0, metric = 0;
        fxe_lock();
        const struct fxe_kept *k = fxe_kept_of(o);
        if (k && (k->note.d > 0 || !o->ptr)) {
            d = k->note.d;
            metric = k->note.metric;
        } else if (o->ptr) { /* it is not freed meanwhile: it is replaced first, with the lock */
            bool binary = root == FX_CLASS_IndexBinary;
            d = binary ? api->IndexBinary_d(o->ptr) : api->Index_d(o->ptr);
            metric = binary ? (int64_t)api->IndexBinary_metric_type(o->ptr)
                            : (int64_t)api->Index_metric_type(o->ptr);
        }
        fxe_unlock();
        msgpack_pack_array(pk, 3);
        msgpack_pack_uint64(pk, o->id);
        msgpack_pack_int64(pk, d);
        msgpack_pack_int64(pk, metric);
    } else {
        msgpack_pack_uint64(pk, o->id);
    }
}
