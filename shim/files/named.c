/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/files/named.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/calls/handle.h"
#include "shim/calls/join.h"
#include "shim/faissx.h"
#include "shim/transport/repeat.h"

static const char scheme[] = "faissx://";

const char *fx_named(const char *fname, char *buf, size_t len)
{
    const char *map = secure_getenv("FAISSX_PATH_MAP");
    size_t n = sizeof scheme - 1;
    if (strncmp(fname, scheme, n) == 0)
        return fname + n;
    while (map && *map) {
        size_t entry = strcspn(map, ",");
        const char *eq = memchr(map, '=', entry);
        size_t from = eq ? (size_t)(eq - map) : 0;
        if (eq && from && strncmp(fname, map, from) == 0 && strncmp(eq + 1, scheme, n) == 0) {
            int to = (int)(map + entry - (eq + 1 + n));
            /* One that does not fit is too long for the server, which says so. */
            snprintf(buf, len, "%.*s%s", to, eq + 1 + n, fname + from);
            return buf;
        }
        map += entry + (map[entry] == ',');
    }
    return NULL;
}

int fx_named_check_map(char *why, size_t len)
{
    const char *map = secure_getenv("FAISSX_PATH_MAP");
    while (map && *map) {
        size_t entry = strcspn(map, ",");
        const char *eq = memchr(map, '=', entry);
        if (entry && (!eq || eq == map || strncmp(eq + 1, scheme, sizeof scheme - 1) != 0)) {
            snprintf(why, len, "FAISSX_PATH_MAP is '%.*s', but must be PREFIX=%sPREFIX,...",
                     entry > 100 ? 100 : (int)entry, map, scheme);
            return -1;
        }
        map += entry + (map[entry] == ',');
    }
    return 0;
}

/* --- publish --- */

struct publish {
    struct fx_obj *o;
    const char *name, *function;
};

static int index_ready(void *ctx, int running)
{
    const struct publish *p = ctx;
    return fx_object_ready(p->o, "the index", p->function, running);
}

static int pack_publish(struct fx_rpc *r, void *ctx)
{
    const struct publish *p = ctx;
    fx_pack_str(&r->pk, "handle");
    msgpack_pack_uint64(&r->pk, fx_obj_id(p->o));
    fx_pack_str(&r->pk, "name");
    fx_pack_str(&r->pk, p->name);
    return 0;
}

int fx_named_write(const void *index, int cls, const char *name, const char *function)
{
    struct fx_rpc r;
    struct publish p = {fx_server_object(index, cls, function), name, function};
    struct fx_request q = {.operation = "publish",
                           .keys = 2,
                           .ready = index_ready,
                           .pack = pack_publish,
                           .ctx = &p,
                           .changes = 1};
    if (!p.o)
        return -1;
    fx_join_never();
    int rc = fx_rpc_call(&r, &q);
    fx_obj_release(p.o);
    return rc;
}

/* --- open --- */

struct opening {
    const char *name, *function;
    int cls;
    void **p_out;
    struct fx_obj *again; /* or NULL: it gets a new handle */
};

static int pack_open(struct fx_rpc *r, void *ctx)
{
    const struct opening *o = ctx;
    fx_pack_str(&r->pk, "name");
    fx_pack_str(&r->pk, o->name);
    fx_pack_str(&r->pk, "class");
    fx_pack_str(&r->pk, fx_classes[o->cls].name);
    return 0;
}

static void note_waits(struct fx_obj *o, const struct fx_header *reply)
{
    const msgpack_object *waits = fx_header_get(reply, "waits");
    fx_obj_set_waits(o, waits && waits->type == MSGPACK_OBJECT_BOOLEAN && waits->via.boolean);
}

static int take_opened(struct fx_rpc *r, void *ctx)
{
    const struct opening *o = ctx;
    if (fx_take_out_handle(r, o->cls, o->p_out, o->function) != 0)
        return -1;
    struct fx_obj *obj = fx_obj_get(*o->p_out);
    note_waits(obj, &r->reply);
    fx_obj_release(obj);
    return fx_obj_set_origin(*o->p_out, o->function, o->name) == 0
               ? 0
               : fx_fail(FAISSX_E_MEMORY, "%s: out of memory", o->function);
}

int fx_named_read(const char *name, int cls, void **p_out, const char *function)
{
    struct fx_rpc r;
    struct opening o = {.name = name, .function = function, .cls = cls, .p_out = p_out};
    struct fx_request q = {
        .operation = "open", .keys = 2, .pack = pack_open, .take = take_opened, .ctx = &o};
    fx_join_never();
    return fx_rpc_call(&r, &q);
}

/* Programs have arrays whose sizes follow from what they know of the index: so it must not differ.
 */
static int is_like_before(const struct fx_obj *o, const msgpack_object *e)
{
    int binary = fx_root(fx_obj_class(o)) == FX_CLASS_IndexBinary;
    union fx_val d, metric;
    int64_t now_d = e[1].via.i64, now_metric = e[2].via.i64;
    if (!fx_obj_fixed(o, binary ? FX_OP_IndexBinary_d : FX_OP_Index_d, &d) ||
        !fx_obj_fixed(o, binary ? FX_OP_IndexBinary_metric_type : FX_OP_Index_metric_type, &metric))
        return 0;
    if (d.i == now_d && metric.i == now_metric)
        return 0;
    return fx_fail(
        FAISSX_E_HANDLE,
        "the index of this name now has d = %lld and metric type %lld; it had d = %lld and "
        "metric type %lld when this process opened it",
        (long long)now_d, (long long)now_metric, (long long)d.i, (long long)metric.i);
}

static int take_opened_again(struct fx_rpc *r, void *ctx)
{
    const struct opening *o = ctx;
    const msgpack_object *e = fx_header_get(&r->reply, "out");
    if (!e || e->type != MSGPACK_OBJECT_ARRAY || e->via.array.size != 1 ||
        (e = e->via.array.ptr)->type != MSGPACK_OBJECT_ARRAY || e->via.array.size < 3 ||
        e->via.array.ptr->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return fx_rpc_malformed(r, "the reply lacks a handle");
    if (is_like_before(o->again, e->via.array.ptr) != 0)
        return -1;
    note_waits(o->again, &r->reply);
    fx_obj_renew(o->again, e->via.array.ptr->via.u64, r->generation);
    return 0;
}

int fx_named_reopen(struct fx_obj *o)
{
    struct fx_rpc r;
    struct opening opening = {.name = fx_obj_name(o), .cls = fx_root(fx_obj_class(o)), .again = o};
    struct fx_request q = {.operation = "open",
                           .keys = 2,
                           .pack = pack_open,
                           .take = take_opened_again,
                           .ctx = &opening};
    return fx_rpc_call(&r, &q);
}
