/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/calls/handle.h"

#include <stdlib.h>

#include "shim/error.h"
#include "shim/faissx.h"
#include "shim/files/named.h"
#include "shim/transport/rpc.h"
#include "shim/transport/session.h"
#include "shim/values/values.h"

struct fx_obj *fx_server_object(const void *handle, int cls, const char *function)
{
    struct fx_obj *o;
    fx_value_get(handle, cls, function, &o); /* it has no value, but the same checks apply */
    return o;
}

/* --- objects of a session that is gone --- */

static int gone(const struct fx_obj *o, const char *what, const char *function, int running)
{
    char why[FX_WHY_SIZE];
    const char *cls = fx_classes[fx_obj_class(o)].name, *by = fx_obj_made_by(o);
    int died = fx_session_why(fx_obj_generation(o), why, sizeof why);
    if (running)
        return fx_fail(died ? FAISSX_E_ENGINE : FAISSX_E_SESSION,
                       "%s while running %s; its objects are gone: %s was the %s made by %s", why,
                       function, what, cls, by ? by : "another function");
    return fx_fail(FAISSX_E_SESSION, "%s: %s is gone: %s; it was the %s made by %s", function, what,
                   why, cls, by ? by : "another function");
}

int fx_object_ready(struct fx_obj *o, const char *what, const char *function, int running)
{
    if (fx_obj_current(o))
        return 0;
    if (!fx_obj_name(o))
        return gone(o, what, function, running);
    char why[FX_WHY_SIZE];
    fx_session_why(fx_obj_generation(o), why, sizeof why);
    if (fx_named_reopen(o) == 0)
        return 0;
    if (fx_error_kind() == FAISSX_E_HANDLE || fx_error_kind() == FAISSX_E_ARGUMENT) {
        struct fx_error e;
        fx_error_save(&e);
        fx_fail(FAISSX_E_SESSION, "%s: %s is gone: %s; it was opened by the name '%s': %s",
                function, what, why, fx_obj_name(o), e.text ? e.text : "");
        free(e.text);
    }
    return -1;
}

/* A new object's reply brings what programs ask for next. */
static void remember_index(void *handle, int cls, const msgpack_object *d,
                           const msgpack_object *metric)
{
    struct fx_obj *o = fx_obj_get(handle);
    int binary = fx_root(cls) == FX_CLASS_IndexBinary;
    fx_obj_set_fixed(o, binary ? FX_OP_IndexBinary_d : FX_OP_Index_d,
                     (union fx_val){.i = d->via.i64});
    fx_obj_set_fixed(o, binary ? FX_OP_IndexBinary_metric_type : FX_OP_Index_metric_type,
                     (union fx_val){.i = metric->via.i64});
    fx_obj_release(o);
}

void *fx_take_handle(const msgpack_object *o, int cls, struct fx_obj *lender, const char *function)
{
    const msgpack_object *e = o;
    if (o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size > 0)
        e = o->via.array.ptr;
    if (e->type != MSGPACK_OBJECT_POSITIVE_INTEGER || e->via.u64 == 0)
        return NULL;
    void *h = fx_obj_new(cls, e->via.u64, NULL, lender);
    if (!h)
        fx_fail(FAISSX_E_MEMORY, "%s: no room for another handle", function);
    if (h)
        fx_obj_set_origin(h, function, NULL);
    if (h && e != o && o->via.array.size >= 3)
        remember_index(h, cls, &e[1], &e[2]);
    return h;
}

int fx_take_out_handle(struct fx_rpc *r, int cls, void **p_out, const char *function)
{
    const msgpack_object *out = fx_header_get(&r->reply, "out");
    unsigned before = fx_error_count();
    void *h = NULL;
    if (out && out->type == MSGPACK_OBJECT_ARRAY && out->via.array.size == 1)
        h = fx_take_handle(out->via.array.ptr, cls, NULL, function);
    if (h) {
        *p_out = h;
        return 0;
    }
    return fx_error_count() == before ? fx_rpc_malformed(r, "the reply lacks a handle") : -1;
}
