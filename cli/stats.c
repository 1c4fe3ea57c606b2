/* SPDX-License-Identifier: Apache-2.0 */
/* faissx stats, faissx health: what a server tells of itself, a line for each value. */
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

static int show(int argc, char **argv, const char *operation, const char *help)
{
    struct cli_server s;
    struct fx_header h;
    char *buf;
    int first = cli_options(argc, argv, &s, help);
    if (first < 0)
        return 2;
    if (first < argc) {
        fprintf(stderr, "faissx %s: unexpected '%s'\n", operation, argv[first]);
        return 2;
    }
    if (cli_ask(&s, operation, NULL, 0, &h, &buf) != 0)
        return 1;
    for (uint32_t i = 0; i < h.map->size; i++) {
        const msgpack_object *k = &h.map->ptr[i].key;
        if (k->type == MSGPACK_OBJECT_STR &&
            !(k->via.str.size == 10 && memcmp(k->via.str.ptr, "request_id", 10) == 0))
            print("", k, &h.map->ptr[i].val);
    }
    fx_header_free(&h);
    free(buf);
    return 0;
}

int cli_stats(int argc, char **argv)
{
    return show(argc, argv, "stats",
                "usage: faissx stats [OPTION]...\n\n"
                "Counters of the engine of this tenant: requests, errors, live objects, the\n"
                "FAISS it runs, and how often each function was called.\n\n" CLI_OPTIONS);
}

int cli_health(int argc, char **argv)
{
    return show(argc, argv, "health",
                "usage: faissx health [OPTION]...\n\n"
                "Is the server there?  Prints its version and uptime in seconds; exit status 1\n"
                "when it does not answer.\n\n" CLI_OPTIONS);
}
