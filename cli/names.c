/* SPDX-License-Identifier: Apache-2.0 */
/* faissx list, faissx rm: indexes that were published under a name. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

int cli_list(int argc, char **argv)
{
    static const char help[] =
        "usage: faissx list [OPTION]...\n\n"
        "The names of this tenant's published indexes, one a line.  A program publishes an\n"
        "index by writing it to faissx://NAME, and opens it by reading from there.\n\n" CLI_OPTIONS;
    struct cli_server s;
    uint64_t total = 0, seen = 0;
    int first = cli_options(argc, argv, &s, help);
    if (first < 0 || first < argc) {
        fputs(help, stderr);
        return 2;
    }
    do {
        struct fx_header h;
        char *buf;
        if (cli_ask(&s, "list", NULL, seen, &h, &buf) != 0)
            return 1;
        const msgpack_object *names = fx_header_get(&h, "names");
        uint32_t n = names && names->type == MSGPACK_OBJECT_ARRAY ? names->via.array.size : 0;
        fx_header_uint(&h, "total", &total);
        for (uint32_t i = 0; i < n; i++)
            if (names->via.array.ptr[i].type == MSGPACK_OBJECT_STR)
                printf("%.*s\n", (int)names->via.array.ptr[i].via.str.size,
                       names->via.array.ptr[i].via.str.ptr);
        fx_header_free(&h);
        free(buf);
        if (n == 0)
            break;
        seen += n;
    } while (seen < total);
    return 0;
}

int cli_rm(int argc, char **argv)
{
    static const char help[] =
        "usage: faissx rm [OPTION]... NAME...\n\n"
        "Unpublish indexes.  Each is freed when no program has it open any more.\n\n" CLI_OPTIONS;
    struct cli_server s;
    int first = cli_options(argc, argv, &s, help), failed = 0;
    if (first < 0 || first == argc) {
        fputs(help, stderr);
        return 2;
    }
    for (int i = first; i < argc; i++) {
        struct fx_header h;
        char *buf;
        if (cli_ask(&s, "unpublish", argv[i], 0, &h, &buf) == 0) {
            fx_header_free(&h);
            free(buf);
        } else {
            failed = 1;
        }
    }
    return failed;
}
