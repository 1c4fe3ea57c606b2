/* SPDX-License-Identifier: Apache-2.0 */
/* Calls a function of the C API as the table describes it: decodes the arguments, makes the
 * call, and puts the results into the reply. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/call/extras.h"
#include "server/engine/call/joined.h"
#include "server/engine/catalogue/catalogue.h"
#include "server/engine/guard/catch.h"
#include "server/engine/guard/check.h"
#include "server/engine/guard/guard.h"
#include "server/engine/guard/room.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/shared.h"
#include "server/engine/run/request.h"
#include "server/engine/search/far.h"
#include "server/engine/search/share.h"
#include "server/engine/search/split.h"
#include "server/engine/training/training.h"

enum { WIDE_BATCH = 64, LARGE = 1 << 24 };

static int wrong_type(struct fxe_req *r, int i)
{
    return fxe_fail(r, "protocol", "%s: argument %s has the wrong type", r->fn->name,
                    r->fn->params[i].name);
}

/* --- prepare: the caller holds engine.lock --- */

/* Must the handle be an object of its own, because of what may be done to a part of it, or to what
 * it becomes a part of, later? */
static bool owns(const struct fxe_req *r, const struct fx_param *p, const struct fxe_obj *o)
{
    return fxe_is_shared(o) && (p->kept || r->fn->flags & (FX_BORROW | FX_OWN));
}

static int arg_object(struct fxe_req *r, int i, const msgpack_object *a, int cls,
                      struct fxe_obj **o)
{
    const struct fx_param *p = &r->fn->params[i];
    *o = NULL;
    if (a->type == MSGPACK_OBJECT_NIL) {
        if (p->nullable)
            return 0;
        return fxe_fail(r, "argument", "%s: %s is NULL", r->fn->name, p->name);
    }
    if (a->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return wrong_type(r, i);
    if (fxe_req_object(r, a->via.u64, p->name, o) != 0)
        return -1;
    int known = (*o)->ptr || fx_root((*o)->cls) != fx_root(cls); /* else see fxe_call_resolve */
    if (known && !fxe_obj_is(*o, cls))
        return fxe_fail(r, "handle", "%s: %s is a Faiss%s, not a Faiss%s", r->fn->name, p->name,
                        fx_classes[(*o)->cls].name, fx_classes[cls].name);
    if (fxe_needs_add(&r->needs, *o,
                      p->changed || p->kept || fx_classes[(*o)->cls].single || owns(r, p, *o)) != 0)
        return fxe_fail(r, "limit", "%s: the call uses too many objects", r->fn->name);
    return 0;
}

static int arg_handles(struct fxe_req *r, int i)
{
    const msgpack_object *a = fxe_call_arg(r, i);
    if (a->type != MSGPACK_OBJECT_ARRAY)
        return wrong_type(r, i);
    void **list = fxe_req_alloc(r, a->via.array.size * sizeof *list);
    if (!list)
        return -1;
    for (uint32_t k = 0; k < a->via.array.size; k++) {
        struct fxe_obj *o;
        if (arg_object(r, i, &a->via.array.ptr[k], r->fn->params[i].cls, &o) != 0)
            return -1;
        list[k] = o; /* fxe_call_resolve replaces it by FAISS's object */
    }
    r->v[i].p = list;
    r->elems[i] = a->via.array.size;
    return 0;
}

/* A call is wide if it has enough vectors for FAISS to divide among threads, or if its function
 * takes long and has no number of vectors. */
static enum fxe_lane lane_of(const struct fxe_req *r)
{
    int wide = r->fn->flags & FX_WIDE;
    if (wide && r->fn->rows >= 0) {
        const msgpack_object *n = fxe_call_arg(r, r->fn->rows);
        wide = n->type == MSGPACK_OBJECT_POSITIVE_INTEGER && n->via.u64 >= WIDE_BATCH;
    }
    return wide && !fxe_is_joined(r) ? FXE_WIDE : FXE_SMALL;
}

/* The client has not sent the vectors of a train, because FAISS may not look at them: that is so if
 * the index is Flat, whose train does nothing.  It is asked for them if the call is to be recorded.
 */
static int arg_unsent(struct fxe_req *r)
{
    const msgpack_object *a = fxe_call_arg(r, 2);
    if (a->type != MSGPACK_OBJECT_ARRAY || a->via.array.size != 2 ||
        a->via.array.ptr[0].type != MSGPACK_OBJECT_STR || a->via.array.ptr[0].via.str.size != 6 ||
        memcmp(a->via.array.ptr[0].via.str.ptr, "unsent", 6) != 0)
        return 0;
    struct fxe_obj *o = r->obj[0];
    r->unread =
        o && o->ptr && !fxe_kept_of(o) && !fxe_training_of(o) && fxe_obj_is(o, FX_CLASS_IndexFlat);
    r->wanted = !r->unread;
    return r->unread ? 0
                     : fxe_fail(r, "unsent", "%s: FAISS reads %s, which was not sent", r->fn->name,
                                r->fn->params[2].name);
}

int fxe_call_prepare(struct fxe_req *r)
{
    if (!r->args || r->args->type != MSGPACK_OBJECT_ARRAY ||
        r->args->via.array.size != r->fn->nparams)
        return fxe_fail(r, "protocol", "%s takes %d arguments", r->fn->name, r->fn->nparams);
    if (r->fn->flags & (FX_PROCESS | FX_UNSIZED))
        return fxe_fail(r, "unsupported", "%s does not work remotely", r->fn->name);
    if (!fxe_extra_has(r->op) && fxe_require(r, r->op) != 0)
        return -1;
    for (int i = 0; i < r->fn->nparams; i++) {
        const struct fx_param *p = &r->fn->params[i];
        if (p->kind == FX_HANDLES && arg_handles(r, i) != 0)
            return -1;
        if (p->kind != FX_HANDLE || fx_classes[p->cls].value)
            continue;
        if (arg_object(r, i, fxe_call_arg(r, i), p->cls, &r->obj[i]) != 0)
            return -1;
    }
    if (r->op == FX_OP_Index_train && arg_unsent(r) != 0)
        return -1;
    if (r->fn->flags & FX_FREE)
        r->needs.n = 0; /* takes no locks: an object in use is freed after its last use */
    r->lane = r->unread ? FXE_SMALL : lane_of(r);
    for (int i = 0; i < r->needs.n; i++)
        if (r->needs.need[i].write && fxe_is_shared(r->needs.need[i].obj))
            r->lane = FXE_WIDE; /* it is copied first */
    return fxe_training_prepare(r);
}

/* --- run --- */

static int check_class(struct fxe_req *r, int i, struct fxe_obj *o)
{
    int cls = r->fn->params[i].cls;
    if (fx_is_a(o->cls, cls) || r->fn->flags & FX_FREE)
        return 0;
    fxe_lock();
    int is = fxe_obj_is(o, cls);
    fxe_unlock();
    if (is)
        return 0;
    return fxe_fail(r, "handle", "%s: %s is a Faiss%s, not a Faiss%s", r->fn->name,
                    r->fn->params[i].name, fx_classes[o->cls].name, fx_classes[cls].name);
}

int fxe_call_resolve(struct fxe_req *r)
{
    for (int i = 0; i < r->fn->nparams; i++) {
        if (r->obj[i]) {
            r->v[i].p = r->obj[i]->ptr;
            if (check_class(r, i, r->obj[i]) != 0)
                return -1;
        }
        void **list = r->fn->params[i].kind == FX_HANDLES ? r->v[i].p : NULL;
        for (uint64_t k = 0; list && k < r->elems[i]; k++) {
            struct fxe_obj *o = list[k];
            list[k] = o ? o->ptr : NULL;
            if (o && check_class(r, i, o) != 0)
                return -1;
        }
    }
    return 0;
}

/* Can the parameter's C type have the value?  Checks see all 64 bits, but FAISS only its own. */
static bool is_in_range(const struct fx_param *p, const msgpack_object *a)
{
    uint64_t most = UINT64_MAX >> (65 - 8 * fx_elem_size((enum fx_elem)p->elem));
    if (a->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return p->kind == FX_INT && a->via.i64 >= -(int64_t)most - 1;
    return a->via.u64 <= (p->kind == FX_INT ? most : 2 * most + 1);
}

static int arg_scalar(struct fxe_req *r, int i)
{
    const msgpack_object *a = fxe_call_arg(r, i);
    const struct fx_param *p = &r->fn->params[i];
    switch (p->kind) {
    case FX_INT:
    case FX_UINT:
        if (a->type != MSGPACK_OBJECT_POSITIVE_INTEGER &&
            a->type != MSGPACK_OBJECT_NEGATIVE_INTEGER)
            return wrong_type(r, i);
        if (!is_in_range(p, a))
            return fxe_fail(r, "argument", "%s: %s is out of range", r->fn->name, p->name);
        r->v[i].i = a->via.i64;
        return 0;
    case FX_REAL:
        if (a->type == MSGPACK_OBJECT_FLOAT64 || a->type == MSGPACK_OBJECT_FLOAT32)
            r->v[i].f = a->via.f64;
        else if (a->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
            r->v[i].f = (double)a->via.u64;
        else if (a->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
            r->v[i].f = (double)a->via.i64;
        else
            return wrong_type(r, i);
        return 0;
    case FX_STRING:
        if (a->type == MSGPACK_OBJECT_NIL)
            return fxe_fail(r, "argument", "%s: %s is NULL", r->fn->name, p->name);
        if (a->type != MSGPACK_OBJECT_STR || memchr(a->via.str.ptr, '\0', a->via.str.size))
            return wrong_type(r, i);
        r->v[i].p = fxe_req_alloc(r, a->via.str.size + 1u);
        if (!r->v[i].p)
            return -1;
        memcpy(r->v[i].p, a->via.str.ptr, a->via.str.size);
        ((char *)r->v[i].p)[a->via.str.size] = '\0';
        return 0;
    case FX_HANDLE:
        return fx_classes[p->cls].value ? fxe_value_build(r, a, p->cls, &r->v[i].p) : 0;
    case FX_OUT_HANDLE:
    case FX_LENT:
    case FX_COUNT:
        r->v[i].p =
            a->type == MSGPACK_OBJECT_NIL && p->kind == FX_OUT_HANDLE && !(r->fn->flags & FX_BORROW)
                ? NULL
                : (void *)&r->lent[i];
        if (!r->v[i].p)
            return fxe_fail(r, "argument", "%s: %s is NULL", r->fn->name, p->name);
        return 0;
    default:
        return 0;
    }
}

int fxe_call_ask(void *ctx, int op, union fx_val *v)
{
    struct fxe_req *r = ctx;
    if (!fx_library_has(&fxe_engine.lib, op))
        return fxe_fail(r, "missing", "%s needs %s, which the server's FAISS lacks", r->fn->name,
                        fx_fns[op].name);
    fx_invoke(fxe_api(), op, v);
    return 0;
}

/* Computes the elements and the bytes of array i. */
static int array_size(struct fxe_req *r, int i, size_t *bytes)
{
    const struct fx_param *p = &r->fn->params[i];
    if (fx_size(r->fn, p->size, r->v, fxe_call_ask, r, &r->elems[i]) == 0 &&
        fx_bytes(r->elems[i], (enum fx_elem)p->elem, bytes) == 0)
        return 0;
    return r->failed ? -1
                     : fxe_fail(r, "argument", "%s: the size of %s does not fit in memory",
                                r->fn->name, p->name);
}

static int arg_array(struct fxe_req *r, int i)
{
    const struct fx_param *p = &r->fn->params[i];
    const msgpack_object *a = fxe_call_arg(r, i);
    const void *data;
    size_t want, size;
    if (array_size(r, i, &want) != 0)
        return -1;
    if (a->type == MSGPACK_OBJECT_NIL) {
        if (want && !p->nullable)
            return fxe_fail(r, "argument", "%s: %s is NULL", r->fn->name, p->name);
        r->elems[i] = 0;
        return 0;
    }
    if (p->dir == FX_OUT) {
        r->v[i].p = want < LARGE || want <= fxe_room_for(want)
                        ? fxe_room_realloc(NULL, want ? want : 1)
                        : NULL;
        if (!r->v[i].p)
            return fxe_fail(r, "limit", "%s: the server has no memory for %zu bytes of %s",
                            r->fn->name, want, p->name);
        /* Some searches of empty indexes do not write their results: do not send the client
         * whatever the server's memory held before. */
        memset(r->v[i].p, p->elem == FX_I64 ? 0xff : 0, want);
        return fxe_reply_array(r, r->v[i].p, want);
    }
    if (fxe_req_bytes(r, a, p->name, &data, &size) != 0)
        return -1;
    if (size != want)
        return fxe_fail(r, "argument", "%s: %s has %zu bytes, expected %zu", r->fn->name, p->name,
                        size, want);
    r->v[i].p = (void *)(uintptr_t)data;
    if (p->dir == FX_INOUT) {
        void *copy = fxe_room_realloc(NULL, want ? want : 1);
        if (!copy)
            return fxe_fail(r, "limit", "%s: the server is out of memory", r->fn->name);
        memcpy(copy, data, want);
        r->v[i].p = copy;
        return fxe_reply_array(r, copy, want);
    }
    return 0;
}

int fxe_call_arguments(struct fxe_req *r)
{
    for (int i = 0; i < r->fn->nparams; i++)
        if (r->fn->params[i].kind != FX_ARRAY && arg_scalar(r, i) != 0)
            return -1;
    if (fxe_check_scalars(r) != 0)
        return -1;
    for (int i = 0; i < r->fn->nparams; i++)
        if (r->fn->params[i].kind == FX_ARRAY && arg_array(r, i) != 0)
            return -1;
    /* A removal may be made of other calls. */
    return fxe_check_arrays(r) || (!r->remaps && fxe_guard_call(r)) ? -1 : 0;
}

void fxe_call_faiss(void *arg)
{
    struct fxe_req *r = arg;
    if (!fxe_call_otherwise(r) && !fxe_extra_call(r) && !fxe_joined_call(r) && !fxe_far_search(r) &&
        !fxe_far_range(r) && !fxe_split_search(r) && !fxe_share_search(r))
        fx_invoke(fxe_api(), r->op, r->v);
}

/* Makes the call.  A C++ exception becomes the error that FAISS's C API would have returned. */
static void invoke_faiss(struct fxe_req *r)
{
    char text[2048];
    if (r->nprobe && fxe_nprobe_begin(r) != 0)
        return;
    int code = fxe_catch(fxe_call_faiss, r, text, sizeof text);
    if (code != 0)
        fxe_fail_text(r, code, text);
    else
        fxe_guard_called(r);
    if (r->nprobe)
        fxe_nprobe_end(r);
}

/* For functions that print: their output is their result. */
static void invoke_printing(struct fxe_req *r)
{
    struct fxe_printed p = {0};
    fxe_printed_begin(FXE_PRINTED_RESULT, &p);
    invoke_faiss(r);
    fxe_printed_end(FXE_PRINTED_RESULT);
    if (p.lost && !r->failed)
        fxe_fail(r, "limit", "%s: the server has no memory for what it prints", r->fn->name);
    if (r->failed)
        free(p.text);
    else
        fxe_reply_array(r, p.text, p.size);
}

/* --- functions about ownership, answered by the object table --- */

static int own_call(struct fxe_req *r)
{
    struct fxe_obj *o = r->obj[0], *doomed = NULL;
    if (r->fn->flags & FX_FREE) {
        fxe_lock();
        if (fxe_obj_is_shared(o)) /* published: it belongs to the tenant */
            fxe_obj_disown(o, r->session, &doomed);
        else
            fxe_obj_release(o, &doomed);
        fxe_unlock();
        fxe_obj_destroy_list(doomed);
        return 1;
    }
    if (r->fn->flags & FX_OWN) {
        if (arg_scalar(r, 1) != 0)
            return 1;
        fxe_lock();
        o = fxe_obj_target(o);
        /* FAISS would free what it has got since it ceased to own its parts, and so would the table
         * of objects. */
        bool twice = o->inherent && !o->owns && o->nkeeps && r->v[1].i;
        if (!twice)
            o->owns = r->v[1].i != 0;
        fxe_unlock();
        if (twice)
            fxe_fail(
                r, "argument",
                "%s: the index has got a part since it ceased to own its parts, and cannot own "
                "them again",
                r->fn->name);
        else if (o->inherent)
            fx_invoke(fxe_api(), r->op, r->v);
        return 1;
    }
    if (r->fn->flags & FX_OWNED && !o->inherent) {
        msgpack_packer pk = fxe_reply_key(r, "ret");
        msgpack_pack_int(&pk, fxe_obj_target(o)->owns);
        return 1;
    }
    return 0;
}

static int may_keep(struct fxe_req *r)
{
    struct fxe_obj *whole = fxe_call_first(r);
    int creates = 0, keeps = 0, rc = 0;
    for (int i = 0; i < r->fn->nparams; i++) {
        creates |= r->fn->params[i].kind == FX_OUT_HANDLE;
        keeps |= r->fn->params[i].kept == FX_KEPT;
    }
    if (creates || !keeps)
        return 0;
    fxe_lock();
    for (int i = 0; i < r->fn->nparams; i++) {
        if (r->fn->params[i].kept != FX_KEPT || !r->obj[i])
            continue;
        if (fxe_obj_within(whole, r->obj[i]))
            rc = fxe_fail(r, "argument",
                          "%s: %s already contains the object that it would become a part of",
                          r->fn->name, r->fn->params[i].name);
        else if (!fxe_obj_may_keep(whole, r->obj[i]))
            rc = fxe_fail(r, "argument",
                          "%s: %s is used by another object too, and would be freed twice",
                          r->fn->name, r->fn->params[i].name);
    }
    fxe_unlock();
    return rc;
}

/* What stands in for an index until it has its training is trained itself. */
static void untrained_yet(struct fxe_req *r)
{
    if ((r->op == FX_OP_Index_is_trained || r->op == FX_OP_IndexBinary_is_trained) &&
        fxe_training_of(r->obj[0]))
        r->v[r->fn->nparams].i = 0;
}

/* A train whose vectors were not sent, because FAISS would not look at them: neither does the
 * guard.
 */
static int make_unread(struct fxe_req *r)
{
    const msgpack_object *claimed = &fxe_call_arg(r, 2)->via.array.ptr[1];
    size_t want;
    for (int i = 0; i < r->fn->nparams; i++)
        if (r->fn->params[i].kind != FX_ARRAY && arg_scalar(r, i) != 0)
            return -1;
    if (fxe_check_scalars(r) != 0 || array_size(r, 2, &want) != 0)
        return -1;
    if (claimed->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return wrong_type(r, 2);
    if (claimed->via.u64 != want)
        return fxe_fail(r, "argument", "%s: %s has %llu bytes, expected %zu", r->fn->name,
                        r->fn->params[2].name, (unsigned long long)claimed->via.u64, want);
    r->elems[2] = 0;
    r->v[r->fn->nparams].i = 0;
    r->unchanged = true;
    return 0;
}

int fxe_call_make(struct fxe_req *r)
{
    if (r->unread)
        return make_unread(r);
    if (r->trains && fxe_train_first(r) != 0)
        return -1;
    if (fxe_call_arguments(r) != 0 || may_keep(r) != 0)
        return -1;
    int first = r->replaces ? fxe_replace_first(r) : r->remaps ? fxe_remove_first(r) : 0;
    if (first != 0) {
        r->v[r->fn->nparams].i = 0;
        return first > 0 ? 0 : -1;
    }
    if (r->remaps && fxe_guard_call(r) != 0)
        return -1;
    if (fxe_training_is_over(r)) {
        r->v[r->fn->nparams].i = 0;
        r->unchanged = true;
        return 0;
    }
    if (r->fn->flags & FX_PRINTS)
        invoke_printing(r);
    else
        invoke_faiss(r);
    untrained_yet(r);
    int rc = !r->failed && r->fn->ret.kind == FX_ERR ? (int)r->v[r->fn->nparams].i : 0;
    if (rc != 0)
        fxe_fail_faiss(r, rc);
    if (!r->failed && r->fn->act == FX_ACT_reset)
        fxe_forget_ids(r);
    return r->failed ? -1 : 0;
}

void fxe_call_run(struct fxe_req *r)
{
    if (own_call(r) || fxe_call_make(r) != 0)
        return;
    if (fxe_call_results(r) != 0 && !r->failed)
        fxe_fail(r, "limit", "%s: the server is out of memory", r->fn->name);
    r->made = r->failed;
}
