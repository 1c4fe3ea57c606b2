/* SPDX-License-Identifier: Apache-2.0 */
/* Puts what FAISS returned into the reply to a call. */
#include <stdlib.h>
#include <string.h>

#include "server/engine/guard/description.h"
#include "server/engine/guard/room.h"
#include "server/engine/run/request.h"

struct fxe_obj *fxe_call_first(const struct fxe_req *r)
{
    for (int i = 0; i < r->fn->nparams; i++)
        if (r->obj[i])
            return r->obj[i];
    return NULL;
}

/* Returns the handle of an object that FAISS returned, or NULL with the reply set. */
static struct fxe_obj *new_object(struct fxe_req *r, void *ptr, int cls)
{
    struct fxe_obj *lender = r->fn->flags & FX_BORROW ? fxe_call_first(r) : NULL;
    int inherent = !(r->fn->flags & FX_NEW);
    fxe_lock();
    struct fxe_obj *o = fxe_obj_add(r->session, cls, ptr, lender, inherent);
    fxe_unlock();
    if (!o) {
        fxe_fail(r, "limit", "%s: the server has no memory for another object", r->fn->name);
        return NULL;
    }
    if (r->fn->flags & FX_FACTORY)
        o->odd = fxe_is_odd_description(r->v[2].p);
    else if (r->fn->act == FX_ACT_clone)
        o->odd = r->obj[0]->odd;
    if (r->fn->flags & FX_HOLLOW)
        o->hollow = 1;
    fxe_req_made(r, o);
    return o;
}

static int out_handles(struct fxe_req *r, struct fxe_obj **made)
{
    int n = 0;
    for (int i = 0; i < r->fn->nparams; i++)
        n += r->fn->params[i].kind == FX_OUT_HANDLE &&
             fxe_call_arg(r, i)->type != MSGPACK_OBJECT_NIL;
    if (n == 0)
        return 0;
    msgpack_packer pk = fxe_reply_key(r, "out");
    msgpack_pack_array(&pk, (size_t)n);
    for (int i = 0; i < r->fn->nparams; i++) {
        if (r->fn->params[i].kind != FX_OUT_HANDLE ||
            fxe_call_arg(r, i)->type == MSGPACK_OBJECT_NIL)
            continue;
        if (!r->lent[i]) {
            msgpack_pack_nil(&pk);
            continue;
        }
        *made = new_object(r, r->lent[i], r->fn->params[i].cls);
        if (!*made)
            return -1;
        fxe_pack_handle(&pk, *made);
    }
    return 0;
}

static int lent_array(struct fxe_req *r, int i)
{
    const struct fx_param *p = &r->fn->params[i];
    size_t count = (size_t)(uintptr_t)r->lent[p->count], size;
    if (!r->lent[i])
        count = 0;
    if (fx_bytes(count, (enum fx_elem)p->elem, &size) != 0)
        return fxe_fail(r, "limit", "%s: FAISS returned %zu elements, too many to send",
                        r->fn->name, count);
    void *copy = fxe_room_realloc(NULL, size ? size : 1);
    if (!copy)
        return fxe_fail(r, "limit", "%s: the server has no memory for %zu bytes", r->fn->name,
                        size);
    memcpy(copy, r->lent[i] ? r->lent[i] : copy, size);
    return fxe_reply_array(r, copy, size);
}

static int return_value(struct fxe_req *r)
{
    union fx_val ret = r->v[r->fn->nparams];
    msgpack_packer pk;
    struct fxe_obj *o;
    switch (r->fn->ret.kind) {
    case FX_VOID:
    case FX_ERR:
    case FX_ARRAY:
        return 0;
    case FX_HANDLE:
        o = NULL;
        if (ret.p && !(r->fn->flags & FX_CAST) && !(o = new_object(r, ret.p, r->fn->ret.cls)))
            return -1;
        pk = fxe_reply_key(r, "ret");
        if (!ret.p)
            msgpack_pack_nil(&pk);
        else if (o)
            fxe_pack_handle(&pk, o);
        else
            msgpack_pack_uint64(&pk, r->obj[0]->id);
        return 0;
    case FX_REAL:
        pk = fxe_reply_key(r, "ret");
        msgpack_pack_double(&pk, ret.f);
        return 0;
    case FX_STRING:
        pk = fxe_reply_key(r, "ret");
        if (ret.p)
            fx_pack_str(&pk, ret.p);
        else
            msgpack_pack_nil(&pk);
        return 0;
    case FX_UINT:
        pk = fxe_reply_key(r, "ret");
        msgpack_pack_uint64(&pk, (uint64_t)ret.i);
        return 0;
    default:
        pk = fxe_reply_key(r, "ret");
        msgpack_pack_int64(&pk, ret.i);
        return 0;
    }
}

static bool keeps_any(const struct fx_fn *fn)
{
    for (int i = 0; i < fn->nparams; i++)
        if (fn->params[i].kept)
            return true;
    return false;
}

/* Notes which objects `whole` uses from now on, and which it does not use any more. */
static int keep_parts(struct fxe_req *r, struct fxe_obj *whole, struct fxe_obj **doomed)
{
    int rc = 0;
    fxe_lock();
    for (int i = 0; i < r->fn->nparams && rc == 0; i++) {
        const struct fx_param *p = &r->fn->params[i];
        if (p->kept == FX_KEPT && r->obj[i] && whole)
            rc = fxe_obj_keep(whole, r->obj[i]);
        if (p->kept == FX_DROPPED && r->obj[i])
            fxe_obj_drop(fxe_call_first(r), r->obj[i], doomed);
    }
    fxe_unlock();
    return rc;
}

/* Frames are in the order of the parameters.  arg_array() added the arrays that FAISS fills before
 * the call; appending lent arrays keeps the order, because no function has both kinds. */
int fxe_call_results(struct fxe_req *r)
{
    struct fxe_obj *made = NULL, *doomed = NULL, *first = fxe_call_first(r);
    const struct fx_fn *fn = r->fn;
    int rc = 0;
    if (fn->flags & FX_RENEW && first) {
        fxe_lock();
        fxe_obj_end_borrowed(first, fn->makes, &doomed);
        fxe_unlock();
    }
    if (return_value(r) != 0 || out_handles(r, &made) != 0)
        return -1;
    for (int i = 0; i < fn->nparams && rc == 0; i++) {
        if (fn->params[i].kind == FX_LENT)
            rc = lent_array(r, i);
        if (fn->params[i].kind == FX_HANDLE && fn->params[i].cls == FX_CLASS_RangeSearchResult &&
            r->v[i].p)
            rc = fxe_result_reply(r, r->v[i].p);
    }
    if (rc == 0 && fn->ret.kind == FX_ARRAY) {
        size_t bytes = 0;
        uint64_t elems = 0;
        rc = fx_size(fn, fn->ret.size, r->v, fxe_call_ask, r, &elems) ||
             fx_bytes(elems, (enum fx_elem)fn->ret.elem, &bytes);
        if (rc == 0)
            rc = fxe_reply_copy(r, r->v[fn->nparams].p, bytes);
        fxe_engine.delete_array(r->v[fn->nparams].p);
    }
    if (rc == 0 && keeps_any(fn))
        rc = keep_parts(r, made ? made : first, &doomed);
    fxe_obj_destroy_list(doomed);
    return rc;
}
