/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/known.h"

#include <string.h>

#include "server/engine/call/files.h"
#include "server/engine/call/loaded.h"
#include "server/engine/run/request.h"

/* Returns 1 if the request has `key`, 0 if not, or -1 with the reply set if it has another size. */
static int get_name(struct fxe_req *r, const char *key, size_t size, uint8_t *name)
{
    const char *bytes;
    size_t len;
    if (!fx_header_get(&r->header, key))
        return 0;
    if (!fx_header_str(&r->header, key, &bytes, &len) || len != size)
        return fxe_fail(r, "protocol", "%s: %s must have %zu bytes", r->operation->name, key, size);
    memcpy(name, bytes, len);
    return 1;
}

static bool is_true(const struct fxe_req *r, const char *key)
{
    const msgpack_object *o = fx_header_get(&r->header, key);
    return o && o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean;
}

static void run_load_known(struct fxe_req *r)
{
    struct fxe_claim claim = {.cls = fxe_asked_class(r), .flags = fxe_read_flags(r)};
    int wait, has = claim.cls < 0 ? -1 : get_name(r, "file", FX_FILE_SIZE, claim.name);
    if (has == 0)
        has = get_name(r, "hash", FX_HASH_SIZE, claim.name);
    if (has == 0)
        fxe_fail(r, "protocol", "load_known without 'file' or 'hash'");
    if (has <= 0)
        return;
    claim.whole = is_true(r, "whole");
    fxe_lock();
    struct fxe_obj *o = fxe_shared_claim(r->session, &claim, &wait);
    fxe_unlock();
    if (o) {
        fxe_reply_object(r, o);
    } else if (wait) {
        msgpack_packer pk = fxe_reply_key(r, "wait");
        msgpack_pack_int(&pk, wait);
    }
}

const struct fxe_operation fxe_load_known_operation = {"load_known", 1, NULL, run_load_known, NULL};

static void run_remember(struct fxe_req *r)
{
    uint8_t file[FX_FILE_SIZE];
    uint64_t id;
    int has = get_name(r, "file", sizeof file, file);
    if (has < 0)
        return;
    if (!fx_header_uint(&r->header, "handle", &id)) {
        fxe_fail(r, "protocol", "remember without 'handle'");
        return;
    }
    fxe_lock();
    const struct fxe_obj *o = fxe_obj_find(r->session, id);
    if (o && has)
        fxe_shared_remember(o, file);
    fxe_shared_unclaim(r->session, true);
    fxe_unlock();
}

const struct fxe_operation fxe_remember_operation = {"remember", 1, NULL, run_remember, NULL};
