/* SPDX-License-Identifier: Apache-2.0 */
/* One request to a server, over a connection of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "proto/client/conn.h"
#include "proto/curve_keys.h"

static void pack(msgpack_sbuffer *b, const struct cli_server *s, const char *operation,
                 const char *name, uint64_t from)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, b, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 3u + !!name + !!s->key + !!s->tenant);
    fx_pack_str(&pk, "from");
    msgpack_pack_uint64(&pk, from);
    if (name) {
        fx_pack_str(&pk, "name");
        fx_pack_str(&pk, name);
    }
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, operation);
    fx_pack_str(&pk, "request_id");
    msgpack_pack_int(&pk, 1);
    if (s->key) {
        fx_pack_str(&pk, "api_key");
        fx_pack_str(&pk, s->key);
    }
    if (s->tenant) {
        fx_pack_str(&pk, "tenant_id");
        fx_pack_str(&pk, s->tenant);
    }
}

/* Reads a reply and returns its header, the frame after the delimiter, which the caller frees; or
 * NULL. */
static char *receive(struct fx_conn *c, size_t *len, int64_t deadline)
{
    char *buf = NULL;
    size_t size;
    int more = 1;
    for (int i = 0; more; i++) {
        if (fx_conn_frame(c, &size, &more, deadline) != 0)
            break;
        if (i != 1) {
            if (fx_conn_skip(c, size, deadline) != 0)
                break;
            continue;
        }
        buf = size <= FX_HEADER_MAX ? malloc(size + 1) : NULL;
        *len = size;
        if (!buf || fx_conn_read(c, buf, size, deadline) != 0)
            break;
    }
    if (more) {
        free(buf);
        buf = NULL;
    }
    return buf;
}

struct fx_conn *cli_connect(const struct cli_server *s, int64_t deadline)
{
    struct fx_curve_keys keys;
    char err[512];
    struct fx_conn *c = NULL;
    int curve = fx_curve_keys_configure(&keys, s->curve_server, s->curve_file, err, sizeof err);
    if (curve >= 0)
        c = fx_conn_open(s->server, curve ? &keys : NULL, deadline, err, sizeof err);
    fx_curve_forget(&keys, sizeof keys);
    if (!c)
        fprintf(stderr, "faissx: %s\n", err);
    return c;
}

int cli_ask(const struct cli_server *s, const char *operation, const char *name, uint64_t from,
            struct fx_header *reply, char **buf)
{
    const char *why, *text;
    size_t len = 0;
    int64_t deadline = fx_now_ms() + CLI_CONNECT_MS;
    struct fx_conn *c = cli_connect(s, deadline);
    *buf = NULL;
    memset(reply, 0, sizeof *reply);
    if (!c)
        return -1;
    msgpack_sbuffer b;
    msgpack_sbuffer_init(&b);
    pack(&b, s, operation, name, from);
    struct fx_frame frame = {b.data, b.size};
    /* A change of a name may have to wait for an index that is being published, and would be made
     * even if nobody waited for the reply. */
    if (name)
        deadline = fx_now_ms() + CLI_CALL_MS;
    if (fx_conn_send(c, &frame, 1, deadline) != 0 || !(*buf = receive(c, &len, deadline))) {
        const char *e = fx_conn_error(c);
        const char *late = name ? "no answer within an hour" : "no answer within 5 seconds";
        fprintf(stderr, "faissx: %s: %s\n", s->server, e && *e ? e : late);
        goto fail;
    }
    if (fx_header_read(reply, *buf, len, &why) != 0) {
        fprintf(stderr, "faissx: %s sent a malformed reply: %s\n", s->server, why);
        goto fail;
    }
    if (!fx_header_is(reply, "status", "ok")) {
        if (fx_header_str(reply, "message", &text, &len))
            fprintf(stderr, "%.*s\n", (int)len, text);
        goto fail;
    }
    msgpack_sbuffer_destroy(&b);
    fx_conn_close(c);
    return 0;
fail:
    msgpack_sbuffer_destroy(&b);
    fx_conn_close(c);
    fx_header_free(reply);
    free(*buf);
    *buf = NULL;
    return -1;
}
