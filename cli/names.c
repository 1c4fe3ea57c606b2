/* SPDX-License-Identifier: Apache-2.0 */
/* faissx list, faissx rm: published indexes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

static int list(const struct cli_server *s, char **operands)
{
    uint64_t total = 0, seen = 0;
    (void)operands;
    do {
        struct fx_header h;
        char *buf;
        if (cli_ask(s, "list", NULL, seen, &h, &buf) != 0)
            return CLI_FAILED;
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
    return CLI_OK;
}

const struct cli_command cli_list = {
    "list",
    "",
    0,
    0,
    "print the names of the tenant's published indexes",
    "Prints the names of the tenant's published indexes, one per line.  A program publishes\n"
    "an index by writing it to faissx://NAME and opens it by reading from there.\n",
    list};

static int rm(const struct cli_server *s, char **operands)
{
    int status = CLI_OK;
    for (; *operands; operands++) {
        struct fx_header h;
        char *buf;
        if (cli_ask(s, "unpublish", *operands, 0, &h, &buf) != 0) {
            status = CLI_FAILED;
            continue;
        }
        fx_header_free(&h);
        free(buf);
    }
    return status;
}

const struct cli_command cli_rm = {
    "rm",
    "NAME...",
    1,
    -1,
    "unpublish indexes",
    "Unpublishes indexes.  NAME is a name as `faissx list` prints it.  The server frees an\n"
    "index when no program has it open any more.\n",
    rm};
