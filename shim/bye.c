/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the server when the program ends, so that it frees the program's objects at once and not
 * when the lease ends: a program that is started again would otherwise hold its index twice.
 *
 * This runs in a destructor of the library, after the program's own atexit() functions, which may
 * still save an index.  Other threads may be in the middle of calls, so nothing here waits for them
 * or for the server, and the message is sent only over a connection that no thread is using.
 * Nothing allocates memory either: a signal handler may have called exit() inside malloc().
 *
 * Only the process that said hello sends this, and only if it has not forked: otherwise the session
 * is shared and lives as long as any connection to it.  Nothing can be sent after _exit(), exec or
 * a deadly signal; there the lease ends the session.
 */
#include <string.h>

#include "proto/client/conn.h"
#include "shim/thread.h"
#include "shim/transport/session.h"

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

/* With the key, since the connection may be a new one. */
static int pack_bye(struct text *t, const struct fx_farewell *f)
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
    if (pack_bye(&t, &f) == 0) {
        struct fx_frame frame = {t.data, t.size};
        struct fx_conn *c = f.spare ? f.spare : fx_threads_take(f.epoch);
        if (c)
            fx_conn_send(c, &frame, 1, 0);
        else if (f.endpoint)
            fx_conn_post(f.endpoint, &frame, 1);
    }
    fx_session_farewell_done();
}
