/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/calls/array.h"

#include "shim/calls/blob.h"
#include "shim/faissx.h"

int fx_upload_pack(msgpack_packer *pk, struct fx_payload *p, const void *data, size_t size,
                   int file)
{
    if (p->nuploads == FX_FRAMES_MAX)
        return fx_fail(FAISSX_E_LIMIT, "a call has more than %d large arrays", FX_FRAMES_MAX);
    uint64_t id = fx_upload(data, size, file);
    if (!id)
        return -1;
    p->uploads[p->nuploads++] = id;
    msgpack_pack_array(pk, 2);
    fx_pack_str(pk, "upload");
    msgpack_pack_uint64(pk, id);
    return 0;
}

int fx_array_pack(msgpack_packer *pk, struct fx_payload *p, const void *data, size_t size)
{
    if (size > FX_PIECE || p->n == FX_FRAMES_MAX - 1)
        return fx_upload_pack(pk, p, data, size, -1);
    msgpack_pack_uint32(pk, (uint32_t)p->n);
    p->frames[p->n++] = (struct fx_frame){data, size};
    return 0;
}

int fx_array_next(struct fx_rpc *r, struct fx_array_in *a)
{
    *a = (struct fx_array_in){0};
    int rc = fx_rpc_frame(r, &a->size);
    if (rc == 1)
        return fx_rpc_malformed(r, "the reply lacks an array");
    if (rc == 0)
        a->blob = fx_rpc_blob(r, &a->size);
    return rc;
}

int fx_array_read(struct fx_rpc *r, const struct fx_array_in *a, void *to,
                  struct fx_arrays_later *later)
{
    if (!a->blob)
        return fx_rpc_read(r, to, a->size);
    if (later->n == FX_FRAMES_MAX)
        return fx_rpc_malformed(r, "the reply has too many arrays");
    later->of[later->n].blob = a->blob;
    later->of[later->n].to = to;
    later->of[later->n++].size = a->size;
    return 0;
}

int fx_arrays_fetch(const struct fx_arrays_later *later)
{
    for (int i = 0; i < later->n; i++)
        if (fx_download(later->of[i].blob, later->of[i].to, later->of[i].size) != 0)
            return -1;
    return 0;
}
