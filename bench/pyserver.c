/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work on the Python FAISSx server, or on ours, in its own wire format: one msgpack map in one
 * frame of a REQ socket, with vectors as lists of numbers.  A worker (see bench.h).  The time for
 * making requests and reading replies is not counted.
 *
 *     pyserver ENDPOINT
 */
#include <msgpack.h>
#include <zmq.h>

#include "bench.h"

enum { D = 128, VECTORS = 10000, SEARCHES = 5, RECONSTRUCTS = 20 };

static void *server;
static msgpack_sbuffer buf;
static msgpack_packer pk;

static void pack(const char *s)
{
    msgpack_pack_str(&pk, strlen(s));
    msgpack_pack_str_body(&pk, s, strlen(s));
}

/* Begins a request with n keys. */
static void begin(const char *action, const char *index, size_t keys)
{
    msgpack_sbuffer_clear(&buf);
    msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, keys);
    pack("action");
    pack(action);
    pack("index_id");
    pack(index);
}

static void pack_vectors(const char *key, const float *x, size_t n)
{
    pack(key);
    msgpack_pack_array(&pk, n);
    for (size_t i = 0; i < n; i++) {
        msgpack_pack_array(&pk, D);
        for (size_t j = 0; j < D; j++) /* doubles, as Python sends them */
            msgpack_pack_double(&pk, (double)x[i * D + j]);
    }
}

/* Sends the request.  Returns the microseconds until the reply arrives. */
static double ask(void)
{
    zmq_msg_t m;
    msgpack_unpacked reply;
    int good = 0;
    zmq_msg_init(&m);
    int64_t start = now_ns();
    die_if(zmq_send(server, buf.data, buf.size, 0) < 0, "send");
    die_if(zmq_msg_recv(&m, server, 0) < 0, "no reply");
    int64_t end = now_ns();
    msgpack_unpacked_init(&reply);
    if (msgpack_unpack_next(&reply, zmq_msg_data(&m), zmq_msg_size(&m), NULL) ==
            MSGPACK_UNPACK_SUCCESS &&
        reply.data.type == MSGPACK_OBJECT_MAP) {
        const msgpack_object_map *map = &reply.data.via.map;
        for (uint32_t i = 0; i < map->size; i++)
            good |= map->ptr[i].key.type == MSGPACK_OBJECT_STR &&
                    map->ptr[i].key.via.str.size == 7 &&
                    memcmp(map->ptr[i].key.via.str.ptr, "success", 7) == 0 &&
                    map->ptr[i].val.type == MSGPACK_OBJECT_BOOLEAN && map->ptr[i].val.via.boolean;
    }
    if (!good)
        die("the server says no: %.*s", (int)zmq_msg_size(&m), (char *)zmq_msg_data(&m));
    msgpack_unpacked_destroy(&reply);
    zmq_msg_close(&m);
    return (double)(end - start) / 1e3;
}

static void create(const char *index)
{
    begin("create_index", index, 4);
    pack("dimension");
    msgpack_pack_int(&pk, D);
    pack("index_type");
    pack("L2");
    ask();
}

static double add(const char *index, const float *x)
{
    begin("add_vectors", index, 3);
    pack_vectors("vectors", x, VECTORS);
    return ask();
}

static double search(const char *index, const float *x, size_t nq)
{
    begin("search", index, 4);
    pack("k");
    msgpack_pack_int(&pk, 10);
    pack_vectors("query_vectors", x, nq);
    return ask();
}

static double reconstruct(const char *index, int id)
{
    begin("reconstruct", index, 3);
    pack("idx"); /* which the Python server reads */
    msgpack_pack_int(&pk, id);
    return ask();
}

int main(int argc, char **argv)
{
    if (argc != 2)
        die("pyserver ENDPOINT");
    int patience = 60000, linger = 0, serial = 0;
    void *ctx = zmq_ctx_new();
    server = zmq_socket(ctx, ZMQ_REQ);
    zmq_setsockopt(server, ZMQ_RCVTIMEO, &patience, sizeof(patience));
    zmq_setsockopt(server, ZMQ_LINGER, &linger, sizeof(linger));
    die_if(zmq_connect(server, argv[1]), argv[1]);
    msgpack_sbuffer_init(&buf);
    float *x = clustered(VECTORS, D, 1), *queries = clustered(1000, D, 2);
    create("bench");
    add("bench", x);
    while (turn()) {
        char name[32];
        int64_t one[SEARCHES], hundred[SEARCHES], vector[RECONSTRUCTS];
        for (size_t i = 0; i < SEARCHES; i++) {
            one[i] = (int64_t)(search("bench", queries + i * D, 1) * 1e3);
            hundred[i] = (int64_t)(search("bench", queries + i * D, 100) * 1e3);
        }
        for (int i = 0; i < RECONSTRUCTS; i++)
            vector[i] = (int64_t)(reconstruct("bench", i) * 1e3);
        report_times("search_", one, SEARCHES);
        report_times("reconstruct_", vector, RECONSTRUCTS);
        report_times("search100_", hundred, SEARCHES);
        snprintf(name, sizeof(name), "add%d", serial++);
        create(name);
        report("add_seconds", add(name, x) / 1e6);
    }
    msgpack_sbuffer_destroy(&buf);
    zmq_close(server);
    zmq_ctx_term(ctx);
    free(queries);
    free(x);
    return 0;
}
