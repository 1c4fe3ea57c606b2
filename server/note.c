/* SPDX-License-Identifier: Apache-2.0 */
#include "server/note.h"

#include "proto/api.h"
#include "proto/wire.h"

void fxs_note_write(const struct fxs_note *n, msgpack_sbuffer *b)
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

void fxs_note_read(struct fxs_note *n, const void *data, size_t size)
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
