/* SPDX-License-Identifier: Apache-2.0 */
/* faissx: runs programs with their indexes on a server, and reports on a server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const struct cli_command *const commands[] = {
    &cli_run, &cli_list, &cli_rm, &cli_export, &cli_import, &cli_stats, &cli_health, &cli_keygen};

static void usage(FILE *f)
{
    fputs("Usage: faissx COMMAND [OPTION]...\n"
          "       faissx --help | --version\n\n",
          f);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(f, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nfaissx COMMAND --help describes a command and its options.\n", f);
}

/* At exit, also after a command's --help.  A full disk is often noticed only now. */
static void check_stdout(void)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("faissx: cannot write to stdout\n", stderr);
        _exit(CLI_FAILED);
    }
}

int main(int argc, char **argv)
{
    atexit(check_stdout);
    const char *name = argc > 1 ? argv[1] : NULL;
    if (name &&
        (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)) {
        usage(stdout);
        return CLI_OK;
    }
    if (name && strcmp(name, "--version") == 0) {
        puts("faissx " FAISSX_VERSION);
        return CLI_OK;
    }
    for (size_t i = 0; name && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i]->name) == 0) {
            struct cli_server server;
            int first = cli_options(commands[i], argc - 1, argv + 1, &server);
            return commands[i]->run(&server, argv + 1 + first);
        }
    if (name)
        fprintf(stderr, "faissx: unknown command '%s'\n", name);
    else
        fputs("faissx: missing command\n", stderr);
    usage(stderr);
    return CLI_USAGE;
}
