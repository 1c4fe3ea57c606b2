/* SPDX-License-Identifier: Apache-2.0 */
/* faissx stats, faissx health: what a server reports about itself, one value per line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void print(const char *prefix, const msgpack_object *key, const msgpack_object *val)
{
    int n = (int)key->via.str.size;
    const char *k = key->via.str.ptr;
    switch (val->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        printf("%s%.*s %" PRIu64 "\n", prefix, n, k, val->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        printf("%s%.*s %" PRId64 "\n", prefix, n, k, val->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        printf("%s%.*s %.3f\n", prefix, n, k, val->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        printf("%s%.*s %.*s\n", prefix, n, k, (int)val->via.str.size, val->via.str.ptr);
        break;
    case MSGPACK_OBJECT_MAP:
        for (uint32_t i = 0; i < val->via.map.size; i++)
            if (val->via.map.ptr[i].key.type == MSGPACK_OBJECT_STR)
                print("operation ", &val->via.map.ptr[i].key, &val->via.map.ptr[i].val);
        break;
    default:
        break;
    }
}

static int show(const struct cli_server *s, const char *operation)
{
    struct fx_header h;
    char *buf;
    if (cli_ask(s, operation, NULL, 0, &h, &buf) != 0)
        return CLI_FAILED;
    for (uint32_t i = 0; i < h.map->size; i++) {
        const msgpack_object *k = &h.map->ptr[i].key;
        if (k->type == MSGPACK_OBJECT_STR &&
            !(k->via.str.size == 10 && memcmp(k->via.str.ptr, "request_id", 10) == 0))
            print("", k, &h.map->ptr[i].val);
    }
    fx_header_free(&h);
    free(buf);
    return CLI_OK;
}

static int stats(const struct cli_server *s, char **operands)
{
    (void)operands;
    return show(s, "stats");
}

const struct cli_command cli_stats = {
    "stats",
    "",
    0,
    0,
    "print the counters of the tenant's engine",
    "Prints the counters of the tenant's engine, one per line:\n\n"
    "  requests, errors             since the engine started\n"
    "  batches, batched_searches    searches done together: how often, and how many\n"
    "  helped_queries               of calls of several, those that an idle worker searched for\n"
    "  objects, sessions, pending   at present; pending: requests being worked on or waiting\n"
    "  shared, shared_handles       indexes that programs have read from the same file\n"
    "  known, copies                of these, read without being sent; copied to be changed\n"
    "  records, commits             with --data-dir: changes recorded, and transactions\n"
    "  log_bytes, snapshot_bytes    on disk: changes that no snapshot has yet; snapshots\n"
    "  set_aside                    changes that are left out, see `faissx-server verify`\n"
    "  disk_full                    1: the last write to the disk found no space\n"
    "  operation FUNCTION           how often each function was called\n\n"
    "An engine that is not running is started.\n",
    stats};

static int health(const struct cli_server *s, char **operands)
{
    (void)operands;
    return show(s, "health");
}

const struct cli_command cli_health = {
    "health",
    "",
    0,
    0,
    "check that the server answers",
    "Checks that the server answers, and prints its version and its uptime in seconds.  If\n"
    "the server has API keys and one is given, the tenant's engine answers, and is started\n"
    "if it is not running.  Otherwise the front answers, and adds the number of its engines\n"
    "and connections.  The exit status is 1 if there is no answer within 5 seconds.\n",
    health};
