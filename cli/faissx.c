/* SPDX-License-Identifier: Apache-2.0 */
/* faissx: run programs remotely, and look at a server. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *what;
} commands[] = {
    {"run", cli_run, "run a program that uses FAISS, with its indexes on a server"},
    {"list", cli_list, "names of the published indexes of this tenant"},
    {"rm", cli_rm, "unpublish indexes"},
    {"stats", cli_stats, "counters of this tenant on a server"},
    {"health", cli_health, "is the server there, and since when"},
};

static void usage(FILE *f)
{
    fputs("usage: faissx COMMAND [OPTION]...\n\n", f);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].what);
    fputs("\nfaissx COMMAND --help tells more; faissx --version.\n", f);
}

int main(int argc, char **argv)
{
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage(stdout);
        return 0;
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        puts("faissx " FAISSX_VERSION);
        return 0;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    if (argc >= 2)
        fprintf(stderr, "faissx: unknown command '%s'\n", argv[1]);
    usage(stderr);
    return 2;
}
