/* SPDX-License-Identifier: Apache-2.0 */
/* The options of all commands, each described once. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "proto/wrong_word.h"

static const struct {
    const char *name;
    char letter;       /* what getopt_long() returns; a short option if there is no value */
    const char *value; /* its name in the help; NULL: the option has none */
    const char *environment;
    const char *help;
    const struct cli_command *only; /* NULL: all commands have it */
} table[] = {
    {"server", 's', "ADDRESS", "FAISSX_SERVER",
     "tcp://HOST:PORT or ipc://PATH; default: " FX_DEFAULT_SERVER, NULL},
    {"api-key", 'k', "KEY", "FAISSX_API_KEY", "the API key, if the server requires one", NULL},
    {"tenant", 't', "NAME", "FAISSX_TENANT_ID", "the key's tenant; need not be given", NULL},
    {"curve-server-key", 'S', "KEY", "FAISSX_CURVE_SERVER_KEY",
     "encrypt: the server's public CURVE key", NULL},
    {"curve-key-file", 'K', "FILE", "FAISSX_CURVE_KEY_FILE",
     "the file of the own secret CURVE key, if the server has to know who this is", NULL},
    {"curve", 'c', NULL, NULL, "make a pair of CURVE keys", &cli_keygen},
    {"verbose", 'v', NULL, NULL,
     "report on stderr what is redirected, and what FAISS prints on the server", &cli_run},
    {"long", 'l', NULL, NULL, "print a table, also if the output is not a terminal", &cli_list},
    {"json", 'j', NULL, NULL, "print JSON", &cli_list},
    {"help", 'h', NULL, NULL, "print this text and exit", NULL},
};

enum { COUNT = sizeof table / sizeof *table };

static _Noreturn void print_help(const struct cli_command *command)
{
    printf("Usage: faissx %s [OPTION]...%s%s\n\n%s\nOptions:\n", command->name,
           *command->operands ? " " : "", command->operands, command->help);
    for (int i = 0; i < COUNT; i++) {
        char left[40];
        if (table[i].only && table[i].only != command)
            continue;
        if (table[i].value)
            snprintf(left, sizeof left, "--%s %s", table[i].name, table[i].value);
        else
            snprintf(left, sizeof left, "-%c, --%s", table[i].letter, table[i].name);
        printf("  %-18s %s\n", left, table[i].help);
        if (table[i].environment)
            printf("  %-18s (environment: %s)\n", "", table[i].environment);
    }
    exit(CLI_OK);
}

static _Noreturn void wrong(const struct cli_command *command, const char *what, const char *given)
{
    fprintf(stderr, "faissx %s: %s '%s'\nUsage: faissx %s [OPTION]...%s%s\nTry: faissx %s --help\n",
            command->name, what, given, command->name, *command->operands ? " " : "",
            command->operands, command->name);
    exit(CLI_USAGE);
}

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

int cli_options(const struct cli_command *command, int argc, char **argv, struct cli_server *s)
{
    struct option options[COUNT + 1] = {{0}};
    int n = 0, c, at = 0, before;
    for (int i = 0; i < COUNT; i++)
        if (!table[i].only || table[i].only == command)
            options[n++] =
                (struct option){table[i].name, table[i].value ? required_argument : no_argument,
                                NULL, table[i].letter};
    *s = (struct cli_server){from_environment("FAISSX_SERVER", FX_DEFAULT_SERVER),
                             from_environment("FAISSX_API_KEY", NULL),
                             from_environment("FAISSX_TENANT_ID", NULL),
                             .curve_server = from_environment("FAISSX_CURVE_SERVER_KEY", NULL),
                             .curve_file = from_environment("FAISSX_CURVE_KEY_FILE", NULL)};
    opterr = 0;
    const char *letters = command == &cli_run      ? "+:hv"
                          : command == &cli_list   ? "+:hlj"
                          : command == &cli_keygen ? "+:hc"
                                                   : "+:h";
    while (before = optind, (c = getopt_long(argc, argv, letters, options, &at)) != -1) {
        /* The variable of a script may be unset.  Going on without the value would run the program
         * with a FAISS of its own, without the key, or without encryption. */
        if (optarg && !*optarg) {
            char name[40];
            snprintf(name, sizeof name, "--%s", options[at].name);
            wrong(command, "a value is missing after", name);
        }
        switch (c) {
        case 's':
            s->server = optarg;
            break;
        case 'k':
            s->key = optarg;
            break;
        case 't':
            s->tenant = optarg;
            break;
        case 'S':
            s->curve_server = optarg;
            break;
        case 'K':
            s->curve_file = optarg;
            break;
        case 'c':
            s->curve = 1;
            break;
        case 'v':
            s->verbose = 1;
            break;
        case 'l':
            s->table = 1;
            break;
        case 'j':
            s->json = 1;
            break;
        case 'h':
            print_help(command);
        case ':':
            wrong(command, "a value is missing after", fx_wrong_word(argv, before));
        default:
            wrong(command, "unknown or ambiguous option", fx_wrong_word(argv, before));
        }
    }
    if (argc - optind < command->min)
        wrong(command, "missing operand", command->operands);
    if (command->max >= 0 && argc - optind > command->max)
        wrong(command, "unexpected operand", argv[optind + command->max]);
    return optind;
}
