/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/loaded.h"

#include "server/engine/run/request.h"

void fxe_reply_object(struct fxe_req *r, struct fxe_obj *o)
{
    if (!o) {
        fxe_fail(r, "limit", "the server has no memory for another object");
        return;
    }
    fxe_req_made(r, o);
    msgpack_packer pk = fxe_reply_key(r, "out");
    msgpack_pack_array(&pk, 1);
    fxe_pack_handle(&pk, o);
}

void fxe_reply_new(struct fxe_req *r, int cls, void *ptr)
{
    fxe_lock();
    struct fxe_obj *o = fxe_obj_add(r->session, cls, ptr, NULL, 1);
    fxe_unlock();
    fxe_reply_object(r, o);
}

void fxe_reply_shared(struct fxe_req *r, const struct fxe_reading *reading, void *ptr)
{
    void *unused;
    fxe_lock();
    struct fxe_obj *o = fxe_shared_add(r->session, reading, ptr, &unused);
    fxe_unlock();
    if (unused)
        fxe_obj_free_faiss(reading->cls, unused);
    fxe_reply_object(r, o);
}

bool fxe_loaded_describe(struct fx_digest *d, int cls, int flags, struct fxe_reading *reading)
{
    *reading = (struct fxe_reading){.cls = cls, .flags = flags};
    return fx_digest_end(d, &reading->content) == 0 && reading->content.size >= FX_CONTENT_MIN;
}

void fxe_loaded(struct fxe_req *r)
{
    fxe_lock();
    fxe_shared_unclaim(r->session, r->failed);
    fxe_unlock();
}
