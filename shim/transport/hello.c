/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/transport/hello.h"

#include <string.h>

#include "proto/api.h"
#include "shim/error.h"
#include "shim/faissx.h"
#include "shim/transport/refusal.h"

static void pack_text(msgpack_packer *pk, const char *key, const char *value)
{
    fx_pack_str(pk, key);
    fx_pack_str(pk, value);
}

static void begin_request(msgpack_packer *pk, const char *operation, uint32_t keys,
                          const struct fx_credentials *who)
{
    msgpack_pack_map(pk, 2 + keys + !!who->key + !!who->tenant);
    pack_text(pk, "operation", operation);
    fx_pack_str(pk, "request_id");
    msgpack_pack_uint64(pk, 0);
    if (who->key)
        pack_text(pk, "api_key", who->key);
    if (who->tenant)
        pack_text(pk, "tenant_id", who->tenant);
}

static void copy_text(const struct fx_header *h, const char *key, char *to, size_t len)
{
    const char *s;
    size_t n;
    to[0] = '\0';
    if (fx_header_str(h, key, &s, &n) && n < len) {
        memcpy(to, s, n);
        to[n] = '\0';
    }
}

/* Read one whole message; its header goes to buf. */
static int read_message(struct fx_conn *c, char *buf, size_t len, size_t *got, int64_t deadline)
{
    size_t size;
    int more = 1;
    *got = 0;
    for (int i = 0; more; i++) {
        if (fx_conn_frame(c, &size, &more, deadline) != 0)
            return -1;
        if (i == 1 && size <= len) {
            *got = size;
            if (fx_conn_read(c, buf, size, deadline) != 0)
                return -1;
        } else if (fx_conn_skip(c, size, deadline) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_status(const struct fx_header *h, struct fx_welcome *w)
{
    if (fx_header_is(h, "status", "ok"))
        return 0;
    copy_text(h, "previous", w->previous, sizeof w->previous);
    copy_text(h, "tenant", w->tenant, sizeof w->tenant);
    return fx_refusal(h, FAISSX_E_PROTOCOL);
}

/* Send the request and read its reply into *h, whose strings are in `reply`. */
static int exchange(struct fx_conn *c, const struct fx_credentials *who,
                    const msgpack_sbuffer *request, char reply[4096], struct fx_header *h,
                    int64_t deadline)
{
    struct fx_frame frame = {request->data, request->size};
    const char *why;
    size_t n = 0;
    if (fx_conn_send(c, &frame, 1, deadline) != 0 ||
        read_message(c, reply, 4096, &n, deadline) != 0) {
        const char *text = fx_conn_error(c);
        return fx_fail(FAISSX_E_CONNECT, "%s: %s", who->server,
                       *text ? text : "no answer to hello within the time allowed");
    }
    if (fx_header_read(h, reply, n, &why) != 0)
        return fx_fail(FAISSX_E_PROTOCOL, "%s answered with a header that cannot be read: %s",
                       who->server, why);
    return 0;
}

/* What both hello and attach answer. */
static void read_engine(const struct fx_header *h, struct fx_welcome *w)
{
    w->instance = w->durable = w->again = 0;
    fx_header_uint(h, "again", &w->again);
    fx_header_uint(h, "instance", &w->instance);
    fx_header_uint(h, "durable", &w->durable);
    copy_text(h, "near", w->near, sizeof w->near);
}

static int read_welcome(const struct fx_header *h, const struct fx_credentials *who,
                        struct fx_welcome *w)
{
    const char *s;
    size_t n;
    if (!fx_header_str(h, "session", &s, &n) || n != FX_TOKEN_SIZE)
        return fx_fail(FAISSX_E_PROTOCOL, "%s answered hello without a session", who->server);
    memcpy(w->token, s, n);
    copy_text(h, "faiss_version", w->version, sizeof w->version);
    read_engine(h, w);
    return 0;
}

int fx_hello(struct fx_conn *c, const struct fx_credentials *who, struct fx_welcome *w,
             int64_t deadline)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    struct fx_header h = {0};
    char reply[4096];
    msgpack_sbuffer_init(&buf);
    msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
    begin_request(&pk, "hello", 3, who);
    fx_pack_str(&pk, "protocol");
    msgpack_pack_int(&pk, FX_PROTOCOL);
    pack_text(&pk, "table", FX_TABLE_HASH);
    pack_text(&pk, "version", FAISSX_VERSION);
    int rc = exchange(c, who, &buf, reply, &h, deadline);
    if (rc == 0)
        rc = check_status(&h, w);
    if (rc == 0)
        rc = read_welcome(&h, who, w);
    fx_header_free(&h);
    msgpack_sbuffer_destroy(&buf);
    return rc;
}

int fx_attach(struct fx_conn *c, const struct fx_credentials *who, struct fx_welcome *w,
              int64_t deadline)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    struct fx_header h = {0};
    char reply[4096];
    msgpack_sbuffer_init(&buf);
    msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
    begin_request(&pk, "attach", 1, who);
    fx_pack_str(&pk, "session");
    fx_pack_bin(&pk, w->token, sizeof w->token);
    int rc = exchange(c, who, &buf, reply, &h, deadline);
    if (rc == 0)
        rc = check_status(&h, w);
    if (rc == 0)
        read_engine(&h, w);
    fx_header_free(&h);
    msgpack_sbuffer_destroy(&buf);
    return rc;
}
