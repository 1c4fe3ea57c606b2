/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server of files_test.c, which runs in one thread.  It has one index, whose bytes it makes up.
 * The test controls it with `server`, which it sets between calls.
 */
#ifndef FX_FILE_SERVER_H
#define FX_FILE_SERVER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "faiss_c_compat.h"
#include "proto/wire.h"

/* LARGE has more pieces than are requested at once, so some are requested after others have
 * arrived. */
enum { SMALL = 1000, LARGE = 5 * FX_PIECE + 77 };

/* How the server answers, and what it has received. */
static struct {
    size_t save_size;       /* of the index that is saved */
    uint64_t fail_download; /* fail at this offset, unless 0 */
    int refuse_save, lose_session, released, streams;
    const char *needs; /* of a stream: the size of each read, as one byte */
    char got[LARGE];
    size_t ngot;
    char cls[32];
    int64_t flags;
} server;

static char pattern(size_t at)
{
    return (char)(at % 251 + at / 4099);
}

static void fill(char *buf, size_t offset, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf[i] = pattern(offset + i);
}

struct message {
    zmq_msg_t frame[8]; /* identity, delimiter, header, payload */
    int n;
};

static int receive(void *socket, struct message *m)
{
    int more = 1;
    for (m->n = 0; more && m->n < 8; m->n++) {
        zmq_msg_init(&m->frame[m->n]);
        if (zmq_msg_recv(&m->frame[m->n], socket, 0) < 0)
            return -1;
        more = zmq_msg_more(&m->frame[m->n]);
    }
    return m->n >= 3 ? 0 : -1;
}

static void answer(void *socket, struct message *m, msgpack_sbuffer *reply, const void *payload,
                   size_t size)
{
    zmq_send(socket, zmq_msg_data(&m->frame[0]), zmq_msg_size(&m->frame[0]), ZMQ_SNDMORE);
    zmq_send(socket, "", 0, ZMQ_SNDMORE);
    zmq_send(socket, reply->data, reply->size, payload ? ZMQ_SNDMORE : 0);
    if (payload)
        zmq_send(socket, payload, size, 0);
    msgpack_sbuffer_clear(reply);
    for (int i = 0; i < m->n; i++)
        zmq_msg_close(&m->frame[i]);
}

struct reply {
    msgpack_sbuffer buf;
    msgpack_packer pk;
};

static void begin(struct reply *r, const struct fx_header *h, const char *status, uint32_t keys)
{
    uint64_t id = 0;
    fx_header_uint(h, "request_id", &id);
    msgpack_packer_init(&r->pk, &r->buf, msgpack_sbuffer_write);
    msgpack_pack_map(&r->pk, 2 + keys);
    fx_pack_str(&r->pk, "status");
    fx_pack_str(&r->pk, status);
    fx_pack_str(&r->pk, "request_id");
    msgpack_pack_uint64(&r->pk, id);
}

static void error(struct reply *r, const struct fx_header *h, const char *kind, int code,
                  const char *text)
{
    begin(r, h, "error", 3);
    fx_pack_str(&r->pk, "kind");
    fx_pack_str(&r->pk, kind);
    fx_pack_str(&r->pk, "code");
    msgpack_pack_int(&r->pk, code);
    fx_pack_str(&r->pk, "message");
    fx_pack_str(&r->pk, text);
}

static void out(struct reply *r, const struct fx_header *h)
{
    static uint64_t id = 100;
    begin(r, h, "ok", 1);
    fx_pack_str(&r->pk, "out");
    msgpack_pack_array(&r->pk, 1);
    msgpack_pack_array(&r->pk, 3);
    msgpack_pack_uint64(&r->pk, ++id);
    msgpack_pack_int(&r->pk, 24);
    msgpack_pack_int(&r->pk, METRIC_L2);
}

static void keep(const void *data, size_t offset, size_t size)
{
    if (offset + size <= sizeof server.got) {
        memcpy(server.got + offset, data, size);
        server.ngot = offset + size > server.ngot ? offset + size : server.ngot;
    }
}

static void say_what_is_wanted(const struct fx_header *h)
{
    const char *s;
    size_t n = 0;
    fx_header_str(h, "class", &s, &n);
    snprintf(server.cls, sizeof server.cls, "%.*s", (int)n, s);
    fx_header_int(h, "flags", &server.flags);
}

static void need(struct reply *r, const struct fx_header *h)
{
    begin(r, h, "ok", 2);
    fx_pack_str(&r->pk, "stream");
    msgpack_pack_int(&r->pk, 9);
    fx_pack_str(&r->pk, "need");
    msgpack_pack_int(&r->pk, *server.needs);
}

static void serve(void *socket, struct message *m, struct reply *r)
{
    struct fx_header h = {0};
    const char *why;
    uint64_t offset = 0, size = 0;
    char *payload = NULL;
    const void *sent = m->n > 3 ? zmq_msg_data(&m->frame[3]) : NULL;
    size_t nsent = m->n > 3 ? zmq_msg_size(&m->frame[3]) : 0;
    if (fx_header_read(&h, zmq_msg_data(&m->frame[2]), zmq_msg_size(&m->frame[2]), &why) != 0)
        return;
    fx_header_uint(&h, "offset", &offset);
    fx_header_uint(&h, "size", &size);
    if (fx_header_is(&h, "operation", "hello")) {
        begin(r, &h, "ok", 2);
        fx_pack_str(&r->pk, "session");
        fx_pack_bin(&r->pk, "0123456789abcdef", FX_TOKEN_SIZE);
        fx_pack_str(&r->pk, "faiss_version");
        fx_pack_str(&r->pk, "1.2.3");
        server.lose_session = 0;
    } else if (server.lose_session) {
        error(r, &h, "session", -4, "faissx: no such session");
    } else if (fx_header_is(&h, "operation", "save") && server.refuse_save) {
        error(r, &h, "faiss", -2, "FAISS cannot write this");
    } else if (fx_header_is(&h, "operation", "save")) {
        fx_header_int(&h, "flags", &server.flags);
        size = server.save_size <= FX_PIECE ? server.save_size : 0;
        payload = malloc(size + 1);
        fill(payload, 0, size);
        begin(r, &h, "ok", size ? 0 : 1);
        if (!size) {
            fx_pack_str(&r->pk, "big");
            msgpack_pack_array(&r->pk, 1);
            msgpack_pack_array(&r->pk, 3);
            fx_pack_str(&r->pk, "download");
            msgpack_pack_int(&r->pk, 5);
            msgpack_pack_uint64(&r->pk, server.save_size);
        }
    } else if (fx_header_is(&h, "operation", "download") && server.fail_download &&
               offset >= server.fail_download) {
        error(r, &h, "engine", -4, "faissx: the engine died");
    } else if (fx_header_is(&h, "operation", "download")) {
        payload = malloc(size);
        fill(payload, offset, size);
        begin(r, &h, "ok", 0);
    } else if (fx_header_is(&h, "operation", "upload")) {
        keep(sent, offset, nsent);
        begin(r, &h, "ok", 0);
    } else if (fx_header_is(&h, "operation", "load")) {
        say_what_is_wanted(&h);
        if (m->n > 3)
            keep(sent, 0, nsent);
        out(r, &h);
    } else if (fx_header_is(&h, "operation", "load_stream")) {
        server.streams++;
        say_what_is_wanted(&h);
        need(r, &h);
    } else if (fx_header_is(&h, "operation", "feed")) {
        keep(sent, server.ngot, nsent);
        if (nsent != (size_t)*server.needs)
            error(r, &h, "faiss", -2, "read error");
        else if (*++server.needs)
            need(r, &h);
        else
            out(r, &h);
    } else {
        server.released += fx_header_is(&h, "operation", "release");
        begin(r, &h, "ok", fx_header_is(&h, "operation", "faiss_Index_ntotal"));
        if (fx_header_is(&h, "operation", "faiss_Index_ntotal")) {
            fx_pack_str(&r->pk, "ret");
            msgpack_pack_int(&r->pk, 42);
        }
    }
    answer(socket, m, &r->buf, payload, size);
    fx_header_free(&h);
    free(payload);
}

static void *run_server(void *socket)
{
    struct message m;
    struct reply r;
    msgpack_sbuffer_init(&r.buf);
    while (receive(socket, &m) == 0)
        serve(socket, &m, &r);
    msgpack_sbuffer_destroy(&r.buf);
    zmq_close(socket);
    return NULL;
}

#endif
