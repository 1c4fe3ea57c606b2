/* SPDX-License-Identifier: Apache-2.0 */
/* Decides whether a call belongs to the server, and packs its arguments into a request. */
#include "shim/calls/call.h"

#include <stdlib.h>

#include "shim/calls/blob.h"
#include "shim/calls/handle.h"
#include "shim/calls/join.h"
#include "shim/calls/sent.h"
#include "shim/faissx.h"
#include "shim/real.h"
#include "shim/remote_table.h"
#include "shim/settings.h"
#include "shim/values/values.h"

/* --- where a call belongs --- */

enum place { HERE, THERE, NOWHERE };

static enum place place(const struct fx_call *c)
{
    int here = 0, there = 0;
    for (int i = 0; i < c->fn->nparams; i++) {
        if (c->fn->params[i].kind != FX_HANDLE || !c->v[i].p)
            continue;
        /* Not a handle but a pointer into an array of structures that the shim has lent, which is
         * the same as that of the real library. */
        if (c->fn->params[i].cls == FX_CLASS_ClusteringIterationStats)
            continue;
        if (fx_obj_is_ours(c->v[i].p))
            there++;
        else
            here++;
    }
    if (here && there) {
        fx_fail(FAISSX_E_HANDLE, "%s: one object is remote and another local", c->fn->name);
        return NOWHERE;
    }
    if (here && !fx_real_if_loaded()) {
        fx_fail(FAISSX_E_HANDLE, "%s: no function returned this handle", c->fn->name);
        return NOWHERE;
    }
    return here || (!there && !fx_remote_configured()) ? HERE : THERE;
}

static void call_here(struct fx_call *c)
{
    const struct fx_library *lib = fx_real();
    if (lib && fx_library_has(lib, c->op)) {
        fx_invoke(&lib->api, c->op, c->v);
        return;
    }
    int code = fx_abi_code(fx_fail_missing(c->op));
    if (c->fn->ret.kind == FX_ERR)
        c->v[c->fn->nparams].i = code;
}

/* --- handles --- */

static int hold(struct fx_call *c, int i)
{
    const struct fx_param *p = &c->fn->params[i];
    if (!c->v[i].p)
        return 0;
    struct fx_obj *o = fx_obj_get(c->v[i].p);
    c->obj[i] = o;
    if (!o)
        return fx_fail(FAISSX_E_HANDLE, "%s: %s was freed before", c->fn->name, p->name);
    if (fx_root(fx_obj_class(o)) != fx_root(p->cls))
        return fx_fail(FAISSX_E_HANDLE, "%s: %s is a Faiss%s, not a Faiss%s", c->fn->name, p->name,
                       fx_classes[fx_obj_class(o)].name, fx_classes[p->cls].name);
    if (!fx_obj_current(o) && c->fn->flags & FX_FREE)
        return -1; /* not an error: its session has freed it */
    if (fx_object_ready(o, p->name, c->fn->name, 0) != 0)
        return -1;
    if (!c->first)
        c->first = o;
    return 0;
}

/* --- answers that need no server --- */

/* Returns 1 when the result is set. */
static int answer_here(struct fx_call *c)
{
    union fx_val *ret = &c->v[c->fn->nparams];
    uint32_t flags = c->fn->flags;
    if (flags & (FX_PROCESS | FX_UNSIZED)) {
        int code = fx_abi_code(
            fx_fail(FAISSX_E_UNSUPPORTED, "%s %s", c->fn->name,
                    flags & FX_PROCESS
                        ? "works on something of the calling process, which a server cannot reach"
                        : "has an array whose size the C API does not tell, so it cannot be sent"));
        if (c->fn->ret.kind == FX_ERR)
            ret->i = code;
        return 1;
    }
    if (flags & FX_FREE) {
        /* The parent of a fork frees what it has made. */
        struct fx_obj *o = c->obj[0];
        if (!c->v[0].p)
            return 1;
        if (o && fx_obj_inherited(o)) {
            fx_obj_end(o);
            return 1;
        }
    }
    if (c->waits && !(flags & FX_D)) /* the index becomes one of another class */
        return 0;
    if (flags & FX_CAST) {
        int yes = c->v[0].p ? fx_obj_cast(c->obj[0], c->fn->ret.cls) : 0;
        if (yes >= 0) {
            ret->p = yes ? c->v[0].p : NULL;
            return 1;
        }
    }
    return (flags & (FX_FIXED | FX_D)) && c->first && c->fn->ret.kind != FX_ERR &&
           fx_obj_fixed(c->first, c->op, ret);
}

/* --- request --- */

/* What a size depends on is asked through the remote functions themselves, which remember what
 * does not change. */
static int ask_object(void *ctx, int op, union fx_val *v)
{
    unsigned before = fx_error_count();
    (void)ctx;
    fx_invoke(&fx_remote_table, op, v);
    return fx_error_count() == before ? 0 : -1;
}

static int array_sizes(struct fx_call *c)
{
    for (int i = 0; i < c->fn->nparams; i++) {
        const struct fx_param *p = &c->fn->params[i];
        size_t bytes;
        if (!p->size || !c->v[i].p)
            continue;
        unsigned before = fx_error_count();
        if (fx_size(c->fn, p->size, c->v, ask_object, NULL, &c->elems[i]) != 0 ||
            fx_bytes(c->elems[i], (enum fx_elem)p->elem, &bytes) != 0) {
            if (fx_error_count() == before)
                fx_fail(FAISSX_E_ARGUMENT, "%s: the size of %s does not fit in memory", c->fn->name,
                        p->name);
            return -1;
        }
    }
    return 0;
}

static int pack_array(struct fx_call *c, int i)
{
    const struct fx_param *p = &c->fn->params[i];
    size_t bytes = 0;
    fx_bytes(c->elems[i], (enum fx_elem)p->elem, &bytes);
    if (!c->v[i].p) {
        msgpack_pack_nil(&c->rpc.pk);
    } else if (p->dir == FX_OUT) {
        msgpack_pack_true(&c->rpc.pk);
    } else if (c->unsent && c->rpc.self->channel.again) { /* it may be another engine now */
        msgpack_pack_array(&c->rpc.pk, 2);
        fx_pack_str(&c->rpc.pk, "unsent");
        msgpack_pack_uint64(&c->rpc.pk, bytes);
    } else {
        return fx_array_pack(&c->rpc.pk, &c->rpc.payload, c->v[i].p, bytes);
    }
    return 0;
}

static int pack_handles(struct fx_call *c, int i)
{
    void *const *h = c->v[i].p;
    if (c->elems[i] > FX_OBJECTS_MAX)
        return fx_fail(FAISSX_E_LIMIT, "%s: %s has %llu handles; at most %d are allowed",
                       c->fn->name, c->fn->params[i].name, (unsigned long long)c->elems[i],
                       FX_OBJECTS_MAX);
    msgpack_pack_array(&c->rpc.pk, h ? c->elems[i] : 0);
    for (uint64_t k = 0; h && k < c->elems[i]; k++) {
        struct fx_obj *o = h[k] ? fx_obj_get(h[k]) : NULL;
        if (h[k] && (!o || fx_root(fx_obj_class(o)) != fx_root(c->fn->params[i].cls))) {
            fx_obj_release(o);
            return fx_fail(FAISSX_E_HANDLE, "%s: entry %d of %s is not a Faiss%s of the server",
                           c->fn->name, (int)k, c->fn->params[i].name,
                           fx_classes[c->fn->params[i].cls].name);
        }
        if (o)
            msgpack_pack_uint64(&c->rpc.pk, fx_obj_id(o));
        else
            msgpack_pack_nil(&c->rpc.pk);
        fx_obj_release(o);
    }
    return 0;
}

static int pack_arg(struct fx_call *c, int i)
{
    const struct fx_param *p = &c->fn->params[i];
    msgpack_packer *pk = &c->rpc.pk;
    switch (p->kind) {
    case FX_INT:
        msgpack_pack_int64(pk, c->v[i].i);
        return 0;
    case FX_UINT:
        msgpack_pack_uint64(pk, (uint64_t)c->v[i].i);
        return 0;
    case FX_REAL:
        msgpack_pack_double(pk, c->v[i].f);
        return 0;
    case FX_STRING:
        if (c->v[i].p)
            fx_pack_str(pk, c->v[i].p);
        else
            msgpack_pack_nil(pk);
        return 0;
    case FX_HANDLE:
        if (fx_classes[p->cls].value)
            return fx_value_pack(pk, &c->rpc.payload, c->v[i].p, p->cls, c->fn->name);
        if (c->obj[i])
            msgpack_pack_uint64(pk, fx_obj_id(c->obj[i]));
        else
            msgpack_pack_nil(pk);
        return 0;
    case FX_HANDLES:
        return pack_handles(c, i);
    case FX_ARRAY:
        return pack_array(c, i);
    default: /* FX_OUT_HANDLE, FX_LENT, FX_COUNT: is it wanted? */
        if (c->v[i].p)
            msgpack_pack_true(pk);
        else
            msgpack_pack_nil(pk);
        return 0;
    }
}

static int pack_args(struct fx_rpc *r, void *ctx)
{
    struct fx_call *c = ctx;
    fx_pack_str(&r->pk, "args");
    msgpack_pack_array(&r->pk, c->fn->nparams);
    for (int i = 0; i < c->fn->nparams; i++)
        if (pack_arg(c, i) != 0)
            return -1;
    return 0;
}

static int handles_ready(const struct fx_call *c, int i, int running)
{
    void *const *h = c->v[i].p;
    int rc = 0;
    for (uint64_t k = 0; h && k < c->elems[i] && k < FX_OBJECTS_MAX && rc == 0; k++) {
        struct fx_obj *o = h[k] ? fx_obj_get(h[k]) : NULL;
        if (o)
            rc = fx_object_ready(o, c->fn->params[i].name, c->fn->name, running);
        fx_obj_release(o);
    }
    return rc;
}

static int objects_ready(void *ctx, int running)
{
    const struct fx_call *c = ctx;
    int rc = 0;
    for (int i = 0; i < c->fn->nparams && rc == 0; i++) {
        struct fx_obj *o = c->obj[i];
        if (c->fn->params[i].kind == FX_HANDLES)
            rc = handles_ready(c, i, running);
        else if (o && !fx_obj_current(o) && c->fn->flags & FX_FREE)
            rc = -1; /* its session has freed it */
        else if (o)
            rc = fx_object_ready(o, c->fn->params[i].name, c->fn->name, running);
    }
    return rc;
}

/* Reads the reply, from its beginning also if it was read in part before. */
static int take_reply(struct fx_rpc *r, void *ctx)
{
    struct fx_call *c = ctx;
    union fx_val *ret = &c->v[c->fn->nparams];
    uint64_t kept;
    if (fx_header_uint(&r->reply, "kept", &kept))
        fx_sent_kept(kept);
    fx_range_result_finish(&c->result, -1);
    if (c->fn->ret.kind == FX_ARRAY) {
        free(ret->p);
        ret->p = NULL;
    }
    return fx_call_reply(c);
}

/* --- the call --- */

/* Does a call that succeeded tell that the index it is about waits no longer? */
static int has_its_training(const struct fx_call *c)
{
    switch (c->op) {
    case FX_OP_Index_train:
    case FX_OP_IndexBinary_train:
        return 1;
    case FX_OP_Index_is_trained:
    case FX_OP_IndexBinary_is_trained:
        return c->v[c->fn->nparams].i != 0;
    default:
        return 0;
    }
}

/* What a call that succeeded means for what the client remembers. */
static void update_objects(struct fx_call *c)
{
    const struct fx_fn *fn = c->fn;
    if (fn->flags & FX_FREE && c->obj[0])
        fx_obj_end(c->obj[0]);
    if (fn->flags & FX_RESIZE && c->first)
        fx_obj_forget(c->first);
    if ((fn->flags & FX_D || (fn->flags & FX_FIXED && !c->waits)) && c->first &&
        fn->ret.kind != FX_ERR)
        fx_obj_set_fixed(c->first, c->op, c->v[fn->nparams]);
    if (c->waits && has_its_training(c))
        fx_obj_set_waits(c->first, 0);
}

/* Does the call change an object of the server? */
static int changes(const struct fx_call *c)
{
    for (int i = 0; i < c->fn->nparams; i++)
        if (c->obj[i] && c->fn->params[i].changed)
            return 1;
    return 0;
}

/* Does the server make the call again if it is asked again? */
static int only_reads(const struct fx_call *c)
{
    for (int i = 0; i < c->fn->nparams; i++)
        if (c->fn->params[i].kind == FX_OUT_HANDLE)
            return 0;
    return !changes(c);
}

/* Train of a Flat index does nothing.  Only the server knows whether the index is one. */
static int may_be_unread(const struct fx_call *c, const struct fx_thread *self)
{
    return c->op == FX_OP_Index_train && c->v[2].p && c->elems[2] > FX_PIECE / sizeof(float) &&
           self->channel.again && !self->channel.near;
}

/* Makes the call, first without its vectors if they may not be needed: only the server's asking for
 * them means that they are.  Both together have the time of one call. */
static int request(struct fx_call *c, const struct fx_request *q)
{
    struct fx_error before;
    struct fx_thread *self = fx_self();
    if (!self || !may_be_unread(c, self))
        return fx_rpc_call(&c->rpc, q);
    struct fx_outer outer = self->outer;
    unsigned failures = self->failures;
    fx_error_save(&before);
    c->unsent = 1;
    int rc = fx_rpc_call(&c->rpc, q);
    c->unsent = 0;
    if (rc != 0 && !c->rpc.wanted) {
        free(before.text);
        return rc;
    }
    fx_error_restore(&before);
    if (rc == 0)
        return 0;
    self->failures = failures;
    self->outer.deadline = c->rpc.deadline;
    rc = fx_rpc_call(&c->rpc, q);
    self->outer = outer;
    return rc;
}

static int run_call(struct fx_call *c)
{
    union fx_val *ret = &c->v[c->fn->nparams];
    struct fx_request q = {.operation = c->fn->name,
                           .keys = 1,
                           .ready = objects_ready,
                           .pack = pack_args,
                           .take = take_reply,
                           .ctx = c,
                           .drop = only_reads(c) ? fx_uploads_drop : NULL,
                           .changes = changes(c),
                           .brief = (c->fn->flags & FX_FREE) != 0};
    if (array_sizes(c) != 0) {
        if (q.changes)
            fx_rpc_tell_outcome(&c->rpc);
        return -1;
    }
    int rc = request(c, &q);
    rc = fx_call_finish(c, rc);
    if (rc != 0)
        fx_uploads_drop(&c->rpc.payload);
    if (rc != 0 && c->fn->ret.kind == FX_ARRAY) {
        free(ret->p);
        ret->p = NULL;
    }
    return rc;
}

/* Freeing cannot fail in FAISS, and programs clean up before they ask what went wrong.  So it
 * leaves the last error alone, also when the object was lost with its engine. */
static void run_free(struct fx_call *c)
{
    struct fx_error before;
    fx_error_save(&before);
    run_call(c);
    fx_error_restore(&before);
}

/* --- adds that were kept, join.h --- */

/* Send them before any other call.  If one of them has failed, this call is not made: a function
 * that returns a code reports the error; any other sets it, and it stays to be reported. */
static int send_joined_adds(const struct fx_call *c)
{
    struct fx_error before;
    if (fx_join_is_add(c->op))
        return 0; /* it may join them */
    if (!(c->fn->flags & FX_FREE))
        return fx_join_settle(c->fn->ret.kind == FX_ERR);
    fx_error_save(&before);
    fx_join_settle(0);
    fx_error_restore(&before);
    return 0;
}

/* Make an add, or keep it to be joined with others. */
static int add_or_join(struct fx_call *c)
{
    int kept = fx_join_add(c->obj[0], c->op, c->v);
    if (kept < 0 || (!kept && fx_join_settle(1) != 0))
        return -1;
    return kept ? 1 : 0;
}

static int hold_all(struct fx_call *c)
{
    for (int i = 0; i < c->fn->nparams; i++)
        if (c->fn->params[i].kind == FX_HANDLE && hold(c, i) != 0) {
            /* Freeing an object of a session that is gone is not an error. */
            if (c->fn->flags & FX_FREE && c->obj[i] && !fx_obj_current(c->obj[i]))
                fx_obj_end(c->obj[i]);
            return -1;
        }
    c->waits = c->first && fx_obj_waits(c->first);
    return 0;
}

/* Returns 1 when the call was answered without the server: the result is set. */
static int run_remote(struct fx_call *c)
{
    int rc = hold_all(c);
    if (rc == 0 && fx_join_is_add(c->op) && c->obj[0])
        rc = add_or_join(c);
    if (rc == 0)
        rc = answer_here(c);
    if (rc != 0)
        return rc;
    if (c->fn->flags & FX_FREE)
        run_free(c);
    else if (run_call(c) != 0)
        return -1;
    update_objects(c);
    for (int i = 0; i < c->fn->nparams; i++)
        if (c->obj[i])
            fx_join_note(c->obj[i], c->op);
    return 0;
}

/* Did a call that was not made on the server fail?  `before`: how many errors there were. */
static int has_failed(const struct fx_call *c, unsigned before)
{
    if (c->fn->ret.kind == FX_ERR)
        return c->v[c->fn->nparams].i != OK;
    return fx_error_count() != before;
}

/* Returns whether the call failed. */
static int make_call(struct fx_call *c)
{
    union fx_val *ret = &c->v[c->fn->nparams];
    unsigned before = fx_error_count();
    enum place where = place(c);
    int rc = -1;
    if (where == HERE) {
        call_here(c);
        return has_failed(c, before);
    }
    if (where == THERE)
        rc = send_joined_adds(c);
    if (rc == 0 && c->fn->flags & FX_CUSTOM) {
        fx_invoke(&fx_custom_table, c->op, c->v);
        return has_failed(c, before);
    }
    if (rc == 0)
        rc = run_remote(c);
    if (rc < 0)
        *ret = (union fx_val){.i = c->fn->ret.kind == FX_ERR ? fx_abi_code(rc) : 0};
    for (int i = 0; i < c->fn->nparams; i++)
        fx_obj_release(c->obj[i]);
    return rc < 0 || (rc > 0 && has_failed(c, before));
}

union fx_val fx_remote_call(int op, union fx_val *v)
{
    struct fx_call c = {.op = op, .fn = &fx_fns[op], .v = v};
    union fx_val *ret = &v[c.fn->nparams];
    *ret = (union fx_val){.i = 0};
    /* All its requests, also those after the reply, have the time of one. */
    struct fx_thread *self = fx_self();
    int64_t before = self ? self->outer.deadline : 0;
    if (self && !before)
        self->outer.deadline = fx_now_ms() + fx_settings_timeout_ms();
    int failed = make_call(&c);
    if (self)
        self->outer.deadline = before;
    if (!(c.fn->flags & FX_FREE))
        fx_error_note_call(failed);
    return *ret;
}
