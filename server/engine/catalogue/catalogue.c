/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/catalogue/catalogue.h"

#include <string.h>

#include "server/engine/catalogue/keys.h"
#include "server/engine/guard/facts.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/named.h"
#include "server/engine/training/training.h"

const struct fxe_operation *fxe_catalogue_find(struct fxe_req *r, const char *name, size_t len)
{
    static const struct fxe_index_operation *const tables[] = {
        fxe_index_calls,   fxe_index_searches, fxe_index_names,
        fxe_index_vectors, fxe_index_facts,    fxe_index_copies,
        fxe_index_wraps,   fxe_index_clusters, fxe_index_reclusters};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct fxe_index_operation *op = tables[t]; op->base.name; op++) {
            if (strlen(op->base.name) != len || memcmp(op->base.name, name, len) != 0)
                continue;
            r->op = op->fop;
            r->fn = op->fop ? &fx_fns[op->fop] : NULL;
            return &op->base;
        }
    return NULL;
}

bool fxe_catalogue_changes(const struct fxe_operation *op)
{
    for (const struct fxe_index_operation *o = fxe_index_names; o->base.name; o++)
        if (&o->base == op)
            return o->changes;
    if (fxe_training_is(op))
        return true;
    return op == &fxe_index_wraps[0].base;
}

bool fxe_catalogue_only_reads(const struct fxe_operation *op)
{
    static const char *const names[] = {"index_info", "index_stats", "index_get_parameter",
                                        "index_export", "index_get_vectors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(op->name, names[i]) == 0)
            return true;
    return false;
}

int64_t fxe_index_d(const struct fxe_obj *o)
{
    if (o->ptr)
        return fxe_is_binary(o) ? fxe_api()->IndexBinary_d(o->ptr) : fxe_api()->Index_d(o->ptr);
    return o->kept && o->kept->note.d > 0 ? o->kept->note.d : 0;
}

struct fxe_obj *fxe_index_of_key(struct fxe_req *r, const char *key)
{
    const char *name;
    size_t len;
    struct fxe_obj *o = NULL;
    if (fxe_key_name(r, key, &name, &len) != 0)
        return NULL;
    struct fxe_obj *named = fxe_named_find(name, len);
    if (!named)
        fxe_fail(r, "handle", "%s: %s is '%.*s', but no index has this name", r->operation->name,
                 key, (int)len, name);
    else
        fxe_req_object(r, named->id, r->operation->name, &o);
    return o;
}

int fxe_index_lock(struct fxe_req *r, const char *key, int i, bool write)
{
    r->obj[i] = fxe_index_of_key(r, key);
    return r->obj[i] ? fxe_needs_add(&r->needs, r->obj[i], write) : -1;
}

msgpack_object *fxe_index_call(struct fxe_req *r, const struct fxe_obj *o, int fop, int bop)
{
    r->op = fxe_is_binary(o) ? bop : fop;
    if (!r->op) {
        r->op = fop;
        fxe_fail(r, "unsupported", "%s: FAISS's C API does not have this for a binary index",
                 r->operation->name);
        return NULL;
    }
    r->fn = &fx_fns[r->op];
    msgpack_object *list = fxe_req_alloc(r, (size_t)(r->fn->nparams + 1) * sizeof *list);
    if (!list)
        return NULL;
    list[0] = fxe_array(list + 1, r->fn->nparams);
    for (int i = 1; i <= r->fn->nparams; i++)
        list[i] = (msgpack_object){.type = MSGPACK_OBJECT_NIL};
    r->args = list;
    list[1] = fxe_int((int64_t)o->id);
    return list + 1;
}
