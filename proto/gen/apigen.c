/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apigen: turns faiss.api into C and documentation.
 *
 *   apigen TABLE TYPES WHAT >FILE
 *
 * WHAT is header, map, api.h, api.c, stubs, entry, names, remote, handlers, python or matrix.
 */
#include <stdlib.h>
#include <string.h>

#include "apigen.h"

static const struct {
    const char *name;
    void (*emit)(const struct table *, FILE *);
} outputs[] = {
    {"map", emit_map},       {"api.h", emit_api_h},       {"api.c", emit_api_c},
    {"stubs", emit_stubs},   {"entry", emit_entry},       {"remote", emit_remote},
    {"names", emit_names},   {"handlers", emit_handlers}, {"matrix", emit_matrix},
    {"python", emit_python},
};

int main(int argc, char **argv)
{
    static struct table t;
    if (argc != 4) {
        fputs("usage: apigen TABLE TYPES "
              "header|map|api.h|api.c|stubs|entry|names|remote|handlers|python|matrix\n",
              stderr);
        return 2;
    }
    parse(argv[1], &t);
    if (strcmp(argv[3], "header") == 0) {
        emit_header(&t, argv[2], stdout);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        if (strcmp(argv[3], outputs[i].name) == 0) {
            outputs[i].emit(&t, stdout);
            return fflush(stdout) == 0 ? 0 : 1;
        }
    fprintf(stderr, "apigen: unknown output '%s'\n", argv[3]);
    return 2;
}
