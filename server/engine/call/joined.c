/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/joined.h"

#include <stdio.h>

/* Parameter numbers of the functions flagged `join`; IDS is optional. */
enum { INDEX, N, X, IDS };

int fxe_is_joined(const struct fxe_req *r)
{
    return r->fn->flags & FX_JOIN && fx_header_get(&r->header, "calls") != NULL;
}

static int check(struct fxe_req *r, const msgpack_object *calls)
{
    uint64_t left = (uint64_t)r->v[N].i;
    int ok = calls->type == MSGPACK_OBJECT_ARRAY;
    for (uint32_t i = 0; ok && i < calls->via.array.size; i++) {
        const msgpack_object *n = &calls->via.array.ptr[i];
        ok = n->type == MSGPACK_OBJECT_POSITIVE_INTEGER && n->via.u64 <= left;
        left -= ok ? n->via.u64 : 0;
    }
    return ok && left == 0
               ? 0
               : fxe_fail(r, "protocol", "%s: the sizes in 'calls' do not add up to %lld vectors",
                          r->fn->name, (long long)r->v[N].i);
}

int fxe_joined_call(struct fxe_req *r)
{
    const struct fx_api *api = &fxe_engine.lib.api;
    const msgpack_object *calls = fx_header_get(&r->header, "calls");
    if (!fxe_is_joined(r))
        return 0;
    if (check(r, calls) != 0)
        return 1;
    int result = r->fn->nparams, with_ids = result > IDS;
    union fx_val v[IDS + 2] = {r->v[INDEX], r->v[N], r->v[X]};
    idx_t *ids = with_ids ? r->v[IDS].p : NULL;
    float *x = r->v[X].p;
    size_t d = (size_t)api->Index_d(r->v[INDEX].p);
    uint32_t ncalls = calls->via.array.size;
    for (uint32_t i = 0; i < ncalls; i++) {
        size_t n = calls->via.array.ptr[i].via.u64;
        v[N].i = (int64_t)n;
        v[X].p = x;
        if (with_ids)
            v[IDS].p = ids;
        fx_invoke(api, r->op, v);
        if (v[result].i != 0) {
            char text[4096];
            snprintf(text, sizeof text, "%s, call %u of %u that were joined: %s", r->fn->name,
                     i + 1, ncalls, api->get_last_error());
            fxe_fail_text(r, (int)v[result].i, text);
            break;
        }
        x += n * d;
        ids = ids ? ids + n : NULL;
    }
    return 1;
}
