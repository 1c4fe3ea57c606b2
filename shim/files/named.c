/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/files/named.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/calls/handle.h"
#include "shim/calls/join.h"
#include "shim/transport/rpc.h"

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
            if (snprintf(buf, len, "%.*s%s", to, eq + 1 + n, fname + from) < (int)len)
                return buf;
        }
        map += entry + (map[entry] == ',');
    }
    return NULL;
}

int fx_named_write(const void *index, int cls, const char *name, const char *function)
{
    struct fx_rpc r;
    struct fx_obj *o = fx_server_object(index, cls, function);
    int rc = -1;
    if (!o)
        return -1;
    fx_join_never();
    if (fx_rpc_begin(&r, "publish", 2) == 0) {
        fx_pack_str(&r.pk, "handle");
        msgpack_pack_uint64(&r.pk, fx_obj_id(o));
        fx_pack_str(&r.pk, "name");
        fx_pack_str(&r.pk, name);
        rc = fx_rpc_send(&r) == 0 ? fx_rpc_recv(&r) : -1;
        fx_rpc_end(&r);
    }
    if (rc != 0)
        fx_rpc_tell_outcome(&r);
    fx_obj_release(o);
    return rc;
}

int fx_named_read(const char *name, int cls, void **p_out, const char *function)
{
    struct fx_rpc r;
    fx_join_never();
    if (fx_rpc_begin(&r, "open", 2) != 0)
        return -1;
    fx_pack_str(&r.pk, "name");
    fx_pack_str(&r.pk, name);
    fx_pack_str(&r.pk, "class");
    fx_pack_str(&r.pk, fx_classes[cls].name);
    int rc = fx_rpc_send(&r) == 0 ? fx_rpc_recv(&r) : -1;
    if (rc == 0)
        rc = fx_take_out_handle(&r, cls, p_out, function);
    fx_rpc_end(&r);
    return rc;
}
