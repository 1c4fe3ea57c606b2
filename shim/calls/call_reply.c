/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the reply to a remote call into the caller's memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/calls/call.h"
#include "shim/calls/handle.h"
#include "shim/faissx.h"

static int take_array(struct fx_call *c, int i)
{
    struct fx_array_in a;
    size_t want;
    fx_bytes(c->elems[i], (enum fx_elem)c->fn->params[i].elem, &want);
    if (fx_array_next(&c->rpc, &a) != 0)
        return -1;
    if (a.size != want)
        return fx_rpc_malformed(&c->rpc, "an array of the reply differs in size from the caller's");
    return fx_array_read(&c->rpc, &a, c->v[i].p, &c->later);
}

static int take_lent(struct fx_call *c, int i)
{
    const struct fx_param *p = &c->fn->params[i];
    struct fx_array_in a;
    if (fx_array_next(&c->rpc, &a) != 0)
        return -1;
    void *mem = c->first ? fx_obj_lend(c->first, c->op, i, a.size) : NULL;
    if (!mem)
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", c->fn->name);
    if (fx_array_read(&c->rpc, &a, mem, &c->later) != 0)
        return -1;
    if (c->v[i].p)
        *(void **)c->v[i].p = a.size ? mem : NULL;
    if (c->v[p->count].p)
        *(size_t *)c->v[p->count].p = a.size / fx_elem_size((enum fx_elem)p->elem);
    return 0;
}

/* An array that the program will free(). */
static int take_return_array(struct fx_call *c)
{
    struct fx_array_in a;
    if (fx_array_next(&c->rpc, &a) != 0)
        return -1;
    void *mem = malloc(a.size ? a.size : 1);
    if (!mem)
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", c->fn->name);
    c->v[c->fn->nparams].p = mem;
    return fx_array_read(&c->rpc, &a, mem, &c->later);
}

/* Text that FAISS prints goes to this process's stdout. */
static int take_text(struct fx_call *c)
{
    struct fx_array_in a;
    if (fx_array_next(&c->rpc, &a) != 0)
        return -1;
    if (a.blob)
        return fx_rpc_malformed(&c->rpc, "the text is too long");
    char *text = malloc(a.size + 1);
    if (!text)
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", c->fn->name);
    int rc = fx_rpc_read(&c->rpc, text, a.size);
    if (rc == 0)
        fwrite(text, 1, a.size, stdout);
    free(text);
    return rc;
}

static void *take_handle(struct fx_call *c, const msgpack_object *o, int cls)
{
    struct fx_obj *lender = c->fn->flags & FX_BORROW ? c->first : NULL;
    return fx_take_handle(o, cls, lender, c->fn->name);
}

static int take_out_handles(struct fx_call *c)
{
    const msgpack_object *out = fx_header_get(&c->rpc.reply, "out");
    uint32_t k = 0;
    for (int i = 0; i < c->fn->nparams; i++) {
        const struct fx_param *p = &c->fn->params[i];
        if (p->kind != FX_OUT_HANDLE || !c->v[i].p)
            continue;
        if (!out || out->type != MSGPACK_OBJECT_ARRAY || k >= out->via.array.size)
            return fx_rpc_malformed(&c->rpc, "the reply lacks a handle");
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

static int take_return_value(struct fx_call *c)
{
    const msgpack_object *o = fx_header_get(&c->rpc.reply, "ret");
    union fx_val *ret = &c->v[c->fn->nparams];
    if (c->fn->ret.kind == FX_VOID || c->fn->ret.kind == FX_ERR || c->fn->ret.kind == FX_ARRAY)
        return 0;
    if (!o)
        return fx_rpc_malformed(&c->rpc, "the reply lacks a result");
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
            if (!c->waits)
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

static int take_param(struct fx_call *c, int i)
{
    const struct fx_param *p = &c->fn->params[i];
    if (p->kind == FX_ARRAY && c->v[i].p && p->dir != FX_IN)
        return take_array(c, i);
    if (p->kind == FX_LENT)
        return take_lent(c, i);
    if (p->kind == FX_HANDLE && p->cls == FX_CLASS_RangeSearchResult && c->v[i].p)
        return fx_range_result_read(&c->rpc, c->v[i].p, c->fn->name, &c->result, &c->later);
    return 0;
}

int fx_call_reply(struct fx_call *c)
{
    c->later.n = 0;
    if (c->fn->flags & FX_RENEW && c->first)
        fx_obj_end_borrowed(c->first, c->fn->makes);
    if (take_return_value(c) != 0 || take_out_handles(c) != 0)
        return -1;
    for (int i = 0; i < c->fn->nparams; i++)
        if (take_param(c, i) != 0)
            return -1;
    if (c->fn->ret.kind == FX_ARRAY && take_return_array(c) != 0)
        return -1;
    return c->fn->flags & FX_PRINTS ? take_text(c) : 0;
}

int fx_call_finish(struct fx_call *c, int rc)
{
    if (rc == 0)
        rc = fx_arrays_fetch(&c->later);
    fx_range_result_finish(&c->result, rc);
    return rc;
}
