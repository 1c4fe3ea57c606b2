/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/joined.h"

#include <stdio.h>

/* Parameters of faiss_Index_add, and of faiss_Index_add_with_ids. */
enum { INDEX, N, X, IDS };

int fxe_is_joined(const struct fxe_req *r)
{
    return (r->op == FX_OP_Index_add || r->op == FX_OP_Index_add_with_ids) &&
           fx_header_get(&r->header, "calls") != NULL;
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
               : fxe_fail(r, "protocol", "%s: the number of calls does not fit %lld vectors",
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
    FaissIndex *index = r->v[INDEX].p;
    const float *x = r->v[X].p;
    const idx_t *ids = r->op == FX_OP_Index_add ? NULL : r->v[IDS].p;
    size_t d = (size_t)api->Index_d(index);
    uint32_t ncalls = calls->via.array.size;
    for (uint32_t i = 0; i < ncalls; i++) {
        idx_t n = (idx_t)calls->via.array.ptr[i].via.u64;
        int rc = ids ? api->Index_add_with_ids(index, n, x, ids) : api->Index_add(index, n, x);
        if (rc != 0) {
            char text[4096];
            snprintf(text, sizeof text, "%s, call %u of %u that were joined: %s", r->fn->name,
                     i + 1, ncalls, api->get_last_error());
            fxe_fail_text(r, rc, text);
            break;
        }
        x += (size_t)n * d;
        ids = ids ? ids + n : NULL;
    }
    return 1;
}
