/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that do nothing, each with a connection of its own as its client would have.
 * A worker (see bench.h): it keeps them until it is told to end.
 *
 *     sessions ENDPOINT COUNT
 */
#include "api.h"
#include "bench.h"
#include "conn.h"

/* Asks for a lease, so that the server watches the connection. */
static void pack_hello(msgpack_sbuffer *buf)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, buf, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 6);
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, "hello");
    fx_pack_str(&pk, "request_id");
    msgpack_pack_uint64(&pk, 0);
    fx_pack_str(&pk, "protocol");
    msgpack_pack_int(&pk, FX_PROTOCOL);
    fx_pack_str(&pk, "table");
    fx_pack_str(&pk, FX_TABLE_HASH);
    fx_pack_str(&pk, "version");
    fx_pack_str(&pk, FAISSX_VERSION);
    fx_pack_str(&pk, "lease");
    msgpack_pack_true(&pk);
}

static void say(struct fx_conn *c, const struct fx_frame *hello)
{
    struct fx_header h = {0};
    char reply[4096];
    const char *why = "too long";
    int64_t deadline = fx_now_ms() + 60000;
    size_t n = 0;
    int more = 1;
    if (fx_conn_send(c, hello, 1, deadline) != 0)
        die("%s", fx_conn_error(c));
    for (int i = 0; more; i++)
        if (fx_conn_frame(c, &n, &more, deadline) != 0 || n > sizeof(reply) ||
            fx_conn_read(c, reply, n, deadline) != 0)
            die("%s", fx_conn_error(c));
    if (fx_header_read(&h, reply, n, &why) != 0)
        die("hello was answered by nonsense: %s", why);
    if (!fx_header_is(&h, "status", "ok"))
        die("hello was refused");
    fx_header_free(&h);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        die("sessions ENDPOINT COUNT");
    size_t count = strtoul(argv[2], NULL, 10);
    struct fx_conn **all = need(count * sizeof(struct fx_conn *));
    char err[512];
    msgpack_sbuffer buf;
    msgpack_sbuffer_init(&buf);
    pack_hello(&buf);
    struct fx_frame hello = {buf.data, buf.size};
    for (size_t i = 0; i < count; i++) {
        all[i] = fx_conn_open(argv[1], fx_now_ms() + 60000, err, sizeof(err));
        if (!all[i])
            die("%s", err);
        say(all[i], &hello);
    }
    while (turn())
        ;
    for (size_t i = 0; i < count; i++)
        fx_conn_close(all[i]);
    free(all);
    msgpack_sbuffer_destroy(&buf);
    return 0;
}
