/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/client/conn.h"

struct cli_session {
    const struct cli_server *server;
    struct fx_conn *conn;
    uint64_t id;
    unsigned char token[16];
    int has_token;
    msgpack_sbuffer request;
    char *header, *payload;
    size_t payload_size, payload_room;
    struct fx_header reply;
    char error[1024];
};

const char *cli_error(const struct cli_session *c)
{
    return c->error;
}

const struct fx_header *cli_reply(const struct cli_session *c)
{
    return &c->reply;
}

const void *cli_payload(const struct cli_session *c, size_t *size)
{
    *size = c->payload_size;
    return c->payload;
}

msgpack_packer cli_begin(struct cli_session *c, const char *operation, uint32_t n)
{
    msgpack_packer pk;
    const struct cli_server *s = c->server;
    msgpack_sbuffer_clear(&c->request);
    msgpack_packer_init(&pk, &c->request, msgpack_sbuffer_write);
    int hello = !c->has_token;
    msgpack_pack_map(&pk, 2 + n + (uint32_t)(hello ? !!s->key + !!s->tenant : 1));
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, operation);
    fx_pack_str(&pk, "request_id");
    msgpack_pack_uint64(&pk, ++c->id);
    if (!hello) {
        fx_pack_str(&pk, "session");
        fx_pack_bin(&pk, c->token, sizeof c->token);
    }
    if (hello && s->key) {
        fx_pack_str(&pk, "api_key");
        fx_pack_str(&pk, s->key);
    }
    if (hello && s->tenant) {
        fx_pack_str(&pk, "tenant_id");
        fx_pack_str(&pk, s->tenant);
    }
    return pk;
}

static int broken(struct cli_session *c, const char *why)
{
    const char *e = fx_conn_error(c->conn);
    snprintf(c->error, sizeof c->error, "%s: %s", c->server->server, e && *e ? e : why);
    return -1;
}

/* The frames of a reply: a delimiter, the header, the payload. */
static int receive(struct cli_session *c, size_t *header_size, int64_t deadline)
{
    size_t size;
    int more = 1;
    *header_size = c->payload_size = 0;
    for (int i = 0; more; i++) {
        char *to = NULL;
        if (fx_conn_frame(c->conn, &size, &more, deadline) != 0)
            return -1;
        if (i == 1 && size <= FX_HEADER_MAX) {
            to = c->header = malloc(size + 1);
            *header_size = size;
        } else if (i == 2) {
            if (size > c->payload_room || !c->payload) {
                free(c->payload);
                c->payload = malloc(size + 1);
                c->payload_room = c->payload ? size : 0;
            }
            to = c->payload;
            c->payload_size = size;
        }
        if (to ? fx_conn_read(c->conn, to, size, deadline) != 0
               : fx_conn_skip(c->conn, size, deadline) != 0)
            return -1;
        if (!to && (i == 1 || i == 2))
            return -1;
    }
    return 0;
}

int cli_call(struct cli_session *c, const void *data, size_t size)
{
    struct fx_frame frames[] = {{c->request.data, c->request.size}, {data, size}};
    int64_t deadline = fx_now_ms() + CLI_CALL_MS;
    const char *why, *text;
    size_t n;
    fx_header_free(&c->reply);
    memset(&c->reply, 0, sizeof c->reply);
    free(c->header);
    c->header = NULL;
    if (fx_conn_send(c->conn, frames, data ? 2 : 1, deadline) != 0 || receive(c, &n, deadline) != 0)
        return broken(c, "no answer");
    if (fx_header_read(&c->reply, c->header, n, &why) != 0)
        return broken(c, why);
    if (fx_header_is(&c->reply, "status", "ok"))
        return 0;
    snprintf(c->error, sizeof c->error, "the server refused");
    if (fx_header_str(&c->reply, "message", &text, &n))
        snprintf(c->error, sizeof c->error, "%.*s", (int)n, text);
    return 1;
}

struct cli_session *cli_session_open(const struct cli_server *s)
{
    const char *token;
    size_t n;
    struct cli_session *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->server = s;
    msgpack_sbuffer_init(&c->request);
    c->conn = cli_connect(s, fx_now_ms() + CLI_CONNECT_MS);
    if (!c->conn) {
        cli_session_close(c);
        return NULL;
    }
    msgpack_packer pk = cli_begin(c, "hello", 1);
    fx_pack_str(&pk, "protocol");
    msgpack_pack_int(&pk, FX_PROTOCOL);
    if (cli_call(c, NULL, 0) != 0) {
        fprintf(stderr, "faissx: %s\n", c->error);
    } else if (!fx_header_str(&c->reply, "session", &token, &n) || n != sizeof c->token) {
        fprintf(stderr, "faissx: %s sent a malformed reply\n", s->server);
    } else {
        memcpy(c->token, token, n);
        c->has_token = 1;
        return c;
    }
    cli_session_close(c);
    return NULL;
}

void cli_session_close(struct cli_session *c)
{
    if (!c)
        return;
    if (c->has_token && c->conn) {
        cli_begin(c, "bye", 0);
        cli_call(c, NULL, 0);
    }
    fx_conn_close(c->conn);
    fx_header_free(&c->reply);
    msgpack_sbuffer_destroy(&c->request);
    free(c->header);
    free(c->payload);
    free(c);
}
