/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as bytes, to be made again:
 *
 *     struct head, size of each array (uint64), header (msgpack), then the arrays
 *
 * all little-endian; the header and each array begin at a multiple of ALIGN.  The header is a map
 * of `operation`, `args` and perhaps `calls`, as in a message, but names uploads as further arrays.
 * Handles in it are those of the session that made the call, and mean nothing later: such a call
 * names one index, the one whose record it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/guard/catch.h"
#include "server/engine/guard/facts.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/upload.h"
#include "server/engine/run/answers.h"

enum { VERSION = 1, ALIGN = 64 };
static const char padding[ALIGN];
/* The operations of records of faiss_Index_add or faiss_Index_add_with_ids, or their like, that do
 * more than the function. */
static const struct {
    const char *name;
    bool trains, replaces, ids;
} adds[] = {{"index_replace", false, true, true},
            {"index_train_and_add", true, false, false},
            {"index_train_and_add_with_ids", true, false, true},
            {"index_train_and_replace", true, true, true}};
enum { ADDS = sizeof adds / sizeof *adds };

static const char *operation_of(const struct fxe_req *r)
{
    bool ids = r->op == FX_OP_Index_add_with_ids || r->op == FX_OP_IndexBinary_add_with_ids;
    for (int i = 0; i < ADDS; i++)
        if (r->trains == adds[i].trains && r->replaces == adds[i].replaces && ids == adds[i].ids)
            return adds[i].name;
    return r->fn->name;
}

struct head {
    char magic[4];
    uint32_t version, header_size, narrays;
};

static size_t padded(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* --- make --- */

struct making {
    struct fxe_req *r;
    msgpack_packer pk;
};

/* The upload becomes one more frame of the message. */
static int pack_upload(struct making *m, uint64_t id)
{
    struct fxe_msg *msg = m->r->msg;
    if (msg->nframes == FX_FRAMES_MAX)
        return fxe_fail(m->r, "limit", "too many uploads in one call");
    if (fxe_upload_take(m->r->session, id, &msg->frames[msg->nframes]) != 0)
        return fxe_fail(m->r, "argument", "%s: an upload is unknown or incomplete", m->r->fn->name);
    msgpack_pack_int(&m->pk, msg->nframes++ - 1);
    return 0;
}

static int pack(struct making *m, const msgpack_object *o)
{
    if (fxe_names_upload(o))
        return pack_upload(m, o->via.array.ptr[1].via.u64);
    if (o->type != MSGPACK_OBJECT_ARRAY)
        return msgpack_pack_object(&m->pk, *o);
    msgpack_pack_array(&m->pk, o->via.array.size);
    for (uint32_t i = 0; i < o->via.array.size; i++)
        if (pack(m, &o->via.array.ptr[i]) != 0)
            return -1;
    return 0;
}

static int pack_header(struct making *m, msgpack_sbuffer *b)
{
    const msgpack_object *calls = fx_header_get(&m->r->header, "calls");
    msgpack_packer_init(&m->pk, b, msgpack_sbuffer_write);
    msgpack_pack_map(&m->pk, 2 + (calls != NULL) + m->r->remaps);
    fx_pack_str(&m->pk, "operation");
    fx_pack_str(&m->pk, operation_of(m->r));
    fx_pack_str(&m->pk, "args");
    if (pack(m, m->r->args) != 0)
        return -1;
    if (calls) {
        fx_pack_str(&m->pk, "calls");
        msgpack_pack_object(&m->pk, *calls);
    }
    if (m->r->remaps) {
        fx_pack_str(&m->pk, "remaps");
        msgpack_pack_true(&m->pk);
    }
    return 0;
}

static int lay_out(struct fxe_req *r, struct fxe_record *rec, const msgpack_sbuffer *header)
{
    const struct fxe_msg *msg = r->msg;
    struct head h = {"FXRC", VERSION, (uint32_t)header->size, (uint32_t)msg->nframes - 1};
    size_t at = padded(sizeof h + h.narrays * sizeof(uint64_t)), size = at + padded(header->size);
    char *head = calloc(1, size);
    const char *why;
    if (!head)
        return fxe_fail(r, "limit", "the server is out of memory");
    rec->head = head;
    memcpy(head, &h, sizeof h);
    memcpy(head + at, header->data, header->size);
    rec->parts[rec->nparts++] = (struct iovec){head, size};
    for (uint32_t i = 0; i < h.narrays; i++) {
        const struct fx_buffer *f = &msg->frames[i + 1];
        uint64_t bytes = f->size;
        memcpy(head + sizeof h + i * sizeof bytes, &bytes, sizeof bytes);
        if (bytes && !f->data)
            return fxe_fail(r, "limit", "the server has no memory for an array of %zu bytes",
                            f->size);
        rec->parts[rec->nparts++] = (struct iovec){f->data, f->size};
        rec->parts[rec->nparts++] =
            (struct iovec){(void *)(uintptr_t)padding, padded(f->size) - f->size};
    }
    if (fx_header_read(&rec->header, head + at, header->size, &why) != 0)
        return fxe_fail(r, "protocol", "%s: %s", r->fn->name, why);
    r->args = fx_header_get(&rec->header, "args");
    return 0;
}

int fxe_record_make(struct fxe_req *r, struct fxe_record *rec)
{
    struct making m = {.r = r};
    msgpack_sbuffer header;
    msgpack_sbuffer_init(&header);
    int rc = pack_header(&m, &header);
    if (rc == 0)
        rc = lay_out(r, rec, &header);
    msgpack_sbuffer_destroy(&header);
    return rc;
}

void fxe_record_free(struct fxe_record *rec)
{
    fx_header_free(&rec->header);
    free(rec->head);
    rec->head = NULL;
}

/* --- run --- */

/* Finds the parts of a record: the header, and the arrays as frames of a message.  Returns -1 if
 * they do not fit. */
static int take_apart(const char *data, size_t size, struct fxe_msg *msg, struct fx_buffer *header)
{
    struct head h;
    if (size < sizeof h)
        return -1;
    memcpy(&h, data, sizeof h);
    if (memcmp(h.magic, "FXRC", 4) != 0 || h.version != VERSION || h.narrays >= FX_FRAMES_MAX)
        return -1;
    size_t at = padded(sizeof h + h.narrays * sizeof(uint64_t));
    if (at > size || h.header_size > size - at)
        return -1;
    *header = (struct fx_buffer){(void *)(uintptr_t)(data + at), h.header_size, 0};
    at += padded(h.header_size);
    msg->nframes = (int)h.narrays + 1;
    for (uint32_t i = 0; i < h.narrays; i++) {
        uint64_t n;
        memcpy(&n, data + sizeof h + i * sizeof n, sizeof n);
        if (at > size || n > size - at)
            return -1;
        msg->frames[i + 1] = (struct fx_buffer){(void *)(uintptr_t)(data + at), n, 0};
        at += padded(n);
    }
    return 0;
}

static int find_call(struct fxe_req *r, const struct fx_buffer *header, const struct fxe_obj *o,
                     char *why, size_t len)
{
    const char *name, *text;
    size_t n;
    if (fx_header_read(&r->header, header->data, header->size, &text) != 0) {
        snprintf(why, len, "the record's header cannot be read: %s", text);
        return -1;
    }
    r->args = fx_header_get(&r->header, "args");
    if (fx_header_str(&r->header, "operation", &name, &n))
        r->op = fx_op_by_name(name, n);
    for (int i = 0; i < ADDS; i++) {
        if (!fx_header_is(&r->header, "operation", adds[i].name))
            continue;
        r->trains = adds[i].trains;
        r->replaces = adds[i].replaces;
        if (adds[i].ids)
            r->op = fxe_is_binary(o) ? FX_OP_IndexBinary_add_with_ids : FX_OP_Index_add_with_ids;
        else
            r->op = fxe_is_binary(o) ? FX_OP_IndexBinary_add : FX_OP_Index_add;
    }
    const msgpack_object *remaps = fx_header_get(&r->header, "remaps");
    r->remaps = r->op == FX_OP_Index_remove_ids && remaps &&
                remaps->type == MSGPACK_OBJECT_BOOLEAN && remaps->via.boolean;
    r->fn = r->op ? &fx_fns[r->op] : NULL;
    if (!r->fn || !r->args || r->args->type != MSGPACK_OBJECT_ARRAY ||
        r->args->via.array.size != r->fn->nparams) {
        snprintf(why, len, "the record is of a function that this server does not have");
        return -1;
    }
    return 0;
}

/* Sets the handles of the call: `o`, and for a ParameterSpace one that lives as long as the call,
 * because setting parameters does not depend on what is in it. */
static int set_handles(struct fxe_req *r, struct fxe_obj *o, FaissParameterSpace **space)
{
    for (int i = 0; i < r->fn->nparams; i++) {
        const struct fx_param *p = &r->fn->params[i];
        if (p->kind != FX_HANDLE || fx_classes[p->cls].value ||
            fxe_call_arg(r, i)->type == MSGPACK_OBJECT_NIL)
            continue;
        if (p->cls == FX_CLASS_ParameterSpace) {
            if (fxe_api()->ParameterSpace_new(space) != 0)
                return -1;
            r->v[i].p = *space;
        } else {
            r->obj[i] = o;
            r->v[i].p = o->ptr;
        }
    }
    return 0;
}

/* Could the same call succeed another time, with more memory or another library?  Of FAISS's errors
 * only its own exceptions are about the call; std::bad_alloc is one of the others. */
static bool may_succeed_later(const struct fxe_req *r)
{
    if (!r->kind)
        return r->code != FAISS_EXCEPT;
    return strcmp(r->kind, "limit") == 0 || strcmp(r->kind, "missing") == 0;
}

/* Makes the reply that the caller gets if it asks again. */
static void pack_answer(struct fxe_req *r, const struct fxs_record *rec, struct fxe_outcome *end)
{
    struct fx_frame frames[FX_FRAMES_MAX];
    if (!rec->caller.number || rec->answered)
        return;
    r->request_id = rec->caller.number;
    int n = fxe_reply_pack(r, frames);
    end->answer = fxe_answer_pack(frames, n, &end->answer_size);
}

int fxe_record_run(const struct fxs_record *rec, struct fxe_obj *o, struct fxe_outcome *end)
{
    struct fxe_msg msg = {0};
    struct fxe_req r = {.msg = &msg};
    struct fx_buffer header;
    FaissParameterSpace *space = NULL;
    int rc = -1;
    msgpack_sbuffer_init(&r.extra);
    msgpack_sbuffer_init(&r.reply);
    *end = (struct fxe_outcome){.temporary = true}; /* until the call is known and made */
    if (take_apart(rec->data, rec->size, &msg, &header) != 0) {
        snprintf(end->why, sizeof end->why, "the record's parts do not fit");
    } else if (find_call(&r, &header, o, end->why, sizeof end->why) == 0) {
        if (set_handles(&r, o, &space) != 0)
            fxe_fail_faiss(&r, -1);
        else if (fxe_call_resolve(&r) == 0)
            fxe_call_run(&r);
        rc = r.failed ? -1 : 0;
        end->temporary = r.failed && may_succeed_later(&r);
        if (rc != 0)
            snprintf(end->why, sizeof end->why, "%s: %s", r.fn->name, r.message ? r.message : "");
        pack_answer(&r, rec, end);
    }
    if (space)
        fxe_api()->ParameterSpace_free(space);
    fxe_values_free(&r.values);
    r.msg = NULL; /* not of the heap */
    fxe_req_clear(&r);
    return rc;
}
