/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of a minimal client; see proto/wire.md. */
#ifndef FX_BENCH_HELLO_H
#define FX_BENCH_HELLO_H

#include <sys/resource.h>

#include "bench.h"
#include "proto/api.h"
#include "proto/wire.h"

static inline void pack_operation(msgpack_packer *pk, msgpack_sbuffer *buf, uint32_t keys,
                                  const char *operation, uint64_t id)
{
    msgpack_sbuffer_clear(buf);
    msgpack_packer_init(pk, buf, msgpack_sbuffer_write);
    msgpack_pack_map(pk, 2 + keys);
    fx_pack_str(pk, "operation");
    fx_pack_str(pk, operation);
    fx_pack_str(pk, "request_id");
    msgpack_pack_uint64(pk, id);
}

static inline void pack_hello(msgpack_sbuffer *buf)
{
    msgpack_packer pk;
    pack_operation(&pk, buf, 4, "hello", 0);
    fx_pack_str(&pk, "protocol");
    msgpack_pack_int(&pk, FX_PROTOCOL);
    fx_pack_str(&pk, "table");
    fx_pack_str(&pk, FX_TABLE_HASH);
    fx_pack_str(&pk, "version");
    fx_pack_str(&pk, FAISSX_VERSION);
    fx_pack_str(&pk, "lease");
    msgpack_pack_true(&pk);
}

static inline void pack_session(msgpack_packer *pk, const uint8_t *token)
{
    fx_pack_str(pk, "session");
    fx_pack_bin(pk, token, FX_TOKEN_SIZE);
}

/* Packs a first call, which creates a Flat index of 128 dimensions. */
static inline void pack_call(msgpack_sbuffer *buf, const uint8_t *token, uint64_t id)
{
    msgpack_packer pk;
    pack_operation(&pk, buf, 2, "faiss_IndexFlatL2_new_with", id);
    pack_session(&pk, token);
    fx_pack_str(&pk, "args");
    msgpack_pack_array(&pk, 2);
    msgpack_pack_true(&pk);
    msgpack_pack_int(&pk, 128);
}

static inline void pack_bye(msgpack_sbuffer *buf, const uint8_t *token, uint64_t id)
{
    msgpack_packer pk;
    pack_operation(&pk, buf, 1, "bye", id);
    pack_session(&pk, token);
}

/*
 * Reads the header of a reply, which must be "ok".  `token`, if not NULL, receives the session of a
 * hello.  The server must not offer a Unix socket to a client on another host: both hosts share a
 * file system here, so the client could connect to it and bypass the network.
 */
static inline void read_reply(const void *reply, size_t n, uint8_t *token, int other_host)
{
    struct fx_header h = {0};
    const char *s, *why = "?";
    size_t len;
    if (fx_header_read(&h, reply, n, &why) != 0)
        die("the server's reply makes no sense: %s", why);
    if (!fx_header_is(&h, "status", "ok")) {
        if (!fx_header_str(&h, "message", &s, &len))
            len = 0;
        die("the server refuses: %.*s", (int)len, len ? s : "");
    }
    if (token) {
        if (!fx_header_str(&h, "session", &s, &len) || len != FX_TOKEN_SIZE)
            die("the reply to hello has no session");
        memcpy(token, s, FX_TOKEN_SIZE);
        if (other_host && fx_header_str(&h, "local", &s, &len))
            die("the server takes a client of another host for one of its own: 'local' is %.*s",
                (int)len, s);
    }
    fx_header_free(&h);
}

static inline int is_loopback(const char *endpoint)
{
    return strncmp(endpoint, "tcp://127.", 10) == 0;
}

/* Allows n descriptors in addition to the usual ones. */
static inline void need_files(size_t n)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max < n + 20)
        die("%zu connections need as many files; the limit is %llu", n,
            (unsigned long long)files.rlim_max);
}

#endif
