/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the program ends, the server is told, so that it keeps nothing for it until the lease is
 * over: a program that is started again would hold its index twice.
 *
 * In a destructor of the library, which runs after the program's own functions for atexit(): those
 * may still save an index.  Other threads may be in the middle of calls.  So nothing here waits,
 * for them or for the server, and a message goes only over a connection that nobody uses.  No
 * memory is allocated: exit() may have been called where malloc() was interrupted.
 *
 * Nothing is said by a process that was forked from the one that said hello, nor by that one when
 * it has forked: the session is both's, and lives as long as a connection of either.  After
 * _exit(), exec or the death by a signal nobody could: the lease is for them.
 */
#include <string.h>

#include "proto/client/conn.h"
#include "shim/shim.h"

enum { ROOM = 2048 };

struct text {
    size_t size;
    char data[ROOM];
};

static int append(void *ctx, const char *data, size_t n)
{
    struct text *t = ctx;
    if (n > sizeof t->data - t->size)
        return -1;
    memcpy(t->data + t->size, data, n);
    t->size += n;
    return 0;
}

/* With the key: the connection may be a new one. */
static int pack(struct text *t, const struct fx_farewell *f)
{
    msgpack_packer pk;
    t->size = 0;
    if ((f->key && strlen(f->key) > ROOM / 4) || (f->tenant && strlen(f->tenant) > ROOM / 4))
        return -1;
    msgpack_packer_init(&pk, t, append);
    msgpack_pack_map(&pk, 3u + !!f->key + !!f->tenant);
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, "bye");
    fx_pack_str(&pk, "request_id");
    msgpack_pack_uint64(&pk, 0);
    fx_pack_str(&pk, "session");
    fx_pack_bin(&pk, f->token, sizeof f->token);
    if (f->key) {
        fx_pack_str(&pk, "api_key");
        fx_pack_str(&pk, f->key);
    }
    if (f->tenant) {
        fx_pack_str(&pk, "tenant_id");
        fx_pack_str(&pk, f->tenant);
    }
    return 0;
}

__attribute__((destructor)) static void bye(void)
{
    struct fx_farewell f;
    struct text t;
    if (fx_session_farewell(&f) != 0)
        return;
    if (pack(&t, &f) == 0) {
        struct fx_frame frame = {t.data, t.size};
        struct fx_conn *c = f.spare ? f.spare : fx_threads_take(f.epoch);
        if (c)
            fx_conn_send(c, &frame, 1, 0);
        else if (f.endpoint)
            fx_conn_post(f.endpoint, &frame, 1);
    }
    fx_session_farewell_done();
}
