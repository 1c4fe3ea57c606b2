/* SPDX-License-Identifier: Apache-2.0 */
/* The reply to a remote call, into the caller's memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/calls/call.h"

/* A frame that comes later, in pieces. */
struct later {
    uint64_t id;
    void *to;
    size_t size;
};

struct incoming {
    int frame; /* number of the next one */
    int nlater;
    struct later later[FX_PARAMS_MAX + 1]; /* and what the function returns */
};

/* How large is the next array of the reply? */
static int next_size(struct call *c, struct incoming *in, size_t *size, uint64_t *blob)
{
    int rc = fx_rpc_frame(&c->rpc, size);
    if (rc == 1)
        return fx_rpc_nonsense(&c->rpc, "the reply lacks an array");
    if (rc != 0)
        return -1;
    *blob = fx_rpc_big(&c->rpc, in->frame++, size);
    return 0;
}

static int take_bytes(struct call *c, struct incoming *in, void *to, size_t size, uint64_t blob)
{
    if (!blob)
        return fx_rpc_read(&c->rpc, to, size);
    in->later[in->nlater++] = (struct later){blob, to, size};
    return 0;
}

static int take_array(struct call *c, struct incoming *in, int i)
{
    size_t size, want;
    uint64_t blob = 0;
    fx_bytes(c->elems[i], (enum fx_elem)c->fn->params[i].elem, &want);
    if (next_size(c, in, &size, &blob) != 0)
        return -1;
    if (size != want)
        return fx_rpc_nonsense(&c->rpc, "an array of the reply has another size than the caller's");
    return take_bytes(c, in, c->v[i].p, size, blob);
}

static int take_lent(struct call *c, struct incoming *in, int i)
{
    const struct fx_param *p = &c->fn->params[i];
    size_t size;
    uint64_t blob = 0;
    if (next_size(c, in, &size, &blob) != 0)
        return -1;
    void *mem = c->first ? fx_obj_lend(c->first, c->op, i, size) : NULL;
    if (!mem)
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", c->fn->name);
    if (take_bytes(c, in, mem, size, blob) != 0)
        return -1;
    if (c->v[i].p)
        *(void **)c->v[i].p = size ? mem : NULL;
    if (c->v[p->count].p)
        *(size_t *)c->v[p->count].p = size / fx_elem_size((enum fx_elem)p->elem);
    return 0;
}

/* The array that the caller will free(). */
static int take_return(struct call *c, struct incoming *in)
{
    size_t size;
    uint64_t blob = 0;
    if (next_size(c, in, &size, &blob) != 0)
        return -1;
    void *mem = malloc(size ? size : 1);
    if (!mem)
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", c->fn->name);
    c->v[c->fn->nparams].p = mem;
    return take_bytes(c, in, mem, size, blob);
}

/* Text that FAISS prints goes to this process's stdout. */
static int take_text(struct call *c, struct incoming *in)
{
    size_t size;
    uint64_t blob = 0;
    if (next_size(c, in, &size, &blob) != 0)
        return -1;
    char *text = malloc(size + 1);
    if (!text)
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", c->fn->name);
    int rc =
        blob ? fx_rpc_nonsense(&c->rpc, "the text is too long") : fx_rpc_read(&c->rpc, text, size);
    if (rc == 0)
        fwrite(text, 1, size, stdout);
    free(text);
    return rc;
}

void *fx_take_handle(const msgpack_object *o, int cls, struct fx_obj *lender, const char *function)
{
    const msgpack_object *e = o;
    if (o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size > 0)
        e = o->via.array.ptr;
    if (e->type != MSGPACK_OBJECT_POSITIVE_INTEGER || e->via.u64 == 0)
        return NULL;
    void *h = fx_obj_new(cls, e->via.u64, NULL, lender);
    if (!h) {
        fx_fail(FAISSX_E_MEMORY, "%s: no room for another handle", function);
        return NULL;
    }
    if (e != o && o->via.array.size >= 3) {
        struct fx_obj *obj = fx_obj_get(h);
        int binary = fx_root(cls) == FX_CLASS_IndexBinary;
        fx_obj_set_fixed(obj, binary ? FX_OP_IndexBinary_d : FX_OP_Index_d,
                         (union fx_val){.i = e[1].via.i64});
        fx_obj_set_fixed(obj, binary ? FX_OP_IndexBinary_metric_type : FX_OP_Index_metric_type,
                         (union fx_val){.i = e[2].via.i64});
        fx_obj_release(obj);
    }
    return h;
}

static void *take_handle(struct call *c, const msgpack_object *o, int cls)
{
    struct fx_obj *lender = c->fn->flags & FX_BORROW ? c->first : NULL;
    return fx_take_handle(o, cls, lender, c->fn->name);
}

static int take_out_handles(struct call *c)
{
    const msgpack_object *out = fx_header_get(&c->rpc.reply, "out");
    uint32_t k = 0;
    for (int i = 0; i < c->fn->nparams; i++) {
        const struct fx_param *p = &c->fn->params[i];
        if (p->kind != FX_OUT_HANDLE || !c->v[i].p)
            continue;
        if (!out || out->type != MSGPACK_OBJECT_ARRAY || k >= out->via.array.size)
            return fx_rpc_nonsense(&c->rpc, "the reply lacks a handle");
        const msgpack_object *o = &out->via.array.ptr[k++];
        if (o->type == MSGPACK_OBJECT_NIL)
            continue;
        void *h = take_handle(c, o, p->cls);
        if (!h)
            return -1;
        *(void **)c->v[i].p = h;
    }
    return 0;
}

static int take_return_value(struct call *c)
{
    const msgpack_object *o = fx_header_get(&c->rpc.reply, "ret");
    union fx_val *ret = &c->v[c->fn->nparams];
    if (c->fn->ret.kind == FX_VOID || c->fn->ret.kind == FX_ERR || c->fn->ret.kind == FX_ARRAY)
        return 0;
    if (!o)
        return fx_rpc_nonsense(&c->rpc, "the reply lacks a result");
    switch (c->fn->ret.kind) {
    case FX_REAL:
        ret->f = o->type == MSGPACK_OBJECT_FLOAT64 ? o->via.f64 : 0;
        break;
    case FX_STRING:
        if (o->type != MSGPACK_OBJECT_STR || !c->first)
            break;
        ret->p = fx_obj_lend(c->first, c->op, -1, o->via.str.size + 1u);
        if (ret->p) {
            memcpy(ret->p, o->via.str.ptr, o->via.str.size);
            ((char *)ret->p)[o->via.str.size] = '\0';
        }
        break;
    case FX_HANDLE:
        if (c->fn->flags & FX_CAST) {
            int yes = o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 != 0;
            fx_obj_set_cast(c->obj[0], c->fn->ret.cls, yes);
            ret->p = yes ? c->v[0].p : NULL;
        } else if (o->type != MSGPACK_OBJECT_NIL) {
            ret->p = take_handle(c, o, c->fn->ret.cls);
        }
        break;
    default:
        ret->i = o->via.i64;
    }
    return 0;
}

int fx_call_reply(struct call *c)
{
    struct incoming in = {0};
    if (fx_rpc_recv(&c->rpc) != 0)
        return -1;
    if (c->fn->flags & FX_RENEW && c->first)
        fx_obj_end_borrowed(c->first, c->fn->makes);
    if (take_return_value(c) != 0 || take_out_handles(c) != 0)
        return -1;
    for (int i = 0; i < c->fn->nparams; i++) {
        const struct fx_param *p = &c->fn->params[i];
        if (p->kind == FX_ARRAY && c->v[i].p && p->dir != FX_IN && take_array(c, &in, i) != 0)
            return -1;
        if (p->kind == FX_LENT && take_lent(c, &in, i) != 0)
            return -1;
        if (p->kind == FX_HANDLE && p->cls == FX_CLASS_RangeSearchResult && c->v[i].p &&
            fx_result_take(&c->rpc, c->v[i].p, c->fn->name) != 0)
            return -1;
    }
    if (c->fn->ret.kind == FX_ARRAY && take_return(c, &in) != 0)
        return -1;
    if (c->fn->flags & FX_PRINTS && take_text(c, &in) != 0)
        return -1;
    fx_rpc_end(&c->rpc);
    for (int i = 0; i < in.nlater; i++)
        if (fx_download(in.later[i].id, in.later[i].to, in.later[i].size) != 0)
            return -1;
    return 0;
}
