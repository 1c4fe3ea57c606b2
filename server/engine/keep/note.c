/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/keep/note.h"

#include "server/engine/guard/facts.h"

void fxe_note_take(struct fxe_note *n, const struct fxe_obj *o)
{
    const struct fx_api *api = fxe_api();
    int binary = fxe_is_binary(o);
    n->d = binary ? api->IndexBinary_d(o->ptr) : api->Index_d(o->ptr);
    n->metric = binary ? (int64_t)api->IndexBinary_metric_type(o->ptr)
                       : (int64_t)api->Index_metric_type(o->ptr);
    n->ntotal = fxe_ntotal_of(o);
    n->odd = o->odd;
}

void fxe_note_write(const struct fxe_note *n, msgpack_sbuffer *b)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, b, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 4);
    fx_pack_str(&pk, "d");
    msgpack_pack_int64(&pk, n->d);
    fx_pack_str(&pk, "metric");
    msgpack_pack_int64(&pk, n->metric);
    fx_pack_str(&pk, "ntotal");
    msgpack_pack_int64(&pk, n->ntotal);
    fx_pack_str(&pk, "odd");
    msgpack_pack_int64(&pk, n->odd);
}

void fxe_note_read(struct fxe_note *n, const void *data, size_t size)
{
    struct fx_header h = {0};
    const char *why;
    int64_t odd = 0;
    if (fx_header_read(&h, data, size, &why) == 0) {
        fx_header_int(&h, "d", &n->d);
        fx_header_int(&h, "metric", &n->metric);
        fx_header_int(&h, "ntotal", &n->ntotal);
        fx_header_int(&h, "odd", &odd);
        n->odd = (int)odd;
    }
    fx_header_free(&h);
}
