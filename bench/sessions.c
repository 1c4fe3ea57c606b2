/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle sessions, each with its own connection, as clients have.  A worker (see bench.h): it keeps
 * them until it is told to end, and reports the memory that each takes in all processes of the
 * server.
 *
 *     sessions ENDPOINT COUNT SERVER_PID
 *
 * Each has made one call, so the memory includes what the server keeps for a used connection.
 */
#include "hello.h"
#include "proto/client/conn.h"
#include "usage.h"

enum { SETTLE_MS = 1000 };

static void ask(struct fx_conn *c, const msgpack_sbuffer *buf, uint8_t *token, int other_host)
{
    struct fx_frame frame = {buf->data, buf->size};
    char reply[4096];
    int64_t deadline = fx_now_ms() + 60000;
    size_t n = 0;
    int more = 1;
    if (fx_conn_send(c, &frame, 1, deadline) != 0)
        die("%s", fx_conn_error(c));
    while (more)
        if (fx_conn_frame(c, &n, &more, deadline) != 0 || n > sizeof(reply) ||
            fx_conn_read(c, reply, n, deadline) != 0)
            die("%s", fx_conn_error(c));
    read_reply(reply, n, token, other_host);
}

/* Opens a session and makes one small request. */
static struct fx_conn *begin(const char *endpoint, msgpack_sbuffer *buf)
{
    char err[512];
    uint8_t token[FX_TOKEN_SIZE];
    msgpack_packer pk;
    struct fx_conn *c = fx_conn_open(endpoint, NULL, fx_now_ms() + 60000, err, sizeof(err));
    if (!c)
        die("%s", err);
    pack_hello(buf);
    ask(c, buf, token, !is_loopback(endpoint));
    pack_operation(&pk, buf, 2, "list", 1);
    pack_session(&pk, token);
    fx_pack_str(&pk, "from");
    msgpack_pack_int(&pk, 0);
    ask(c, buf, NULL, 0);
    return c;
}

static double server_memory(void)
{
    sleep_until(now_ns() + SETTLE_MS * INT64_C(1000000));
    return memory(server_pid) + of_children(server_pid, memory);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        die("sessions ENDPOINT COUNT SERVER_PID");
    size_t count = strtoul(argv[2], NULL, 10);
    struct fx_conn **all = need((count + 1) * sizeof(struct fx_conn *));
    msgpack_sbuffer buf;
    need_files(count + 1);
    server_pid = atoi(argv[3]);
    msgpack_sbuffer_init(&buf);
    all[count] = begin(argv[1], &buf); /* starts the engine */
    double before = server_memory();
    for (size_t i = 0; i < count; i++)
        all[i] = begin(argv[1], &buf);
    double each = (server_memory() - before) / (double)count;
    while (turn())
        report("memory_each", each);
    for (size_t i = 0; i <= count; i++) {
        if (fx_conn_is_dead(all[i]))
            die("the server has closed the connection of session %zu", i);
        fx_conn_close(all[i]);
    }
    free(all);
    msgpack_sbuffer_destroy(&buf);
    return 0;
}
