/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin/admin.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/bar.h"
#include "proto/wrong_word.h"

static const struct fxa_command *const commands[] = {&fxa_backup, &fxa_restore, &fxa_verify,
                                                     &fxa_repair, &fxa_export,  &fxa_import_faissx};
enum { COUNT = sizeof commands / sizeof *commands };

static const struct {
    const char *name, *value, *help;
    char letter;
} options[] = {
    {"tenant", "NAME", "only this tenant", 't'},
    {"dry-run", NULL, "say what would be done, and change nothing", 'd'},
    {"keep", "N", "then remove all but the newest N backups of the target", 'k'},
    {"time", "TIME", "as of then: 2026-01-31T23:59 (local time), with seconds, with Z: UTC", 'T'},
    {"json", NULL, "print the result as JSON", 'j'},
    {"help", NULL, "print this text and exit", 'h'},
};
enum { OPTIONS = sizeof options / sizeof *options };

static bool has(const struct fxa_command *c, int i)
{
    return strchr("jh", options[i].letter) || strchr(c->options, options[i].letter);
}

void fxa_help(void)
{
    for (size_t i = 0; i < COUNT; i++)
        printf("  %-13s %s\n", commands[i]->name, commands[i]->summary);
}

static void usage(FILE *f, const struct fxa_command *c)
{
    fprintf(f, "Usage: faissx-server %s [OPTION]... %s\n", c->name, c->operands);
}

static void help(const struct fxa_command *c)
{
    char left[32];
    usage(stdout, c);
    printf("\n%s\nOptions:\n", c->help);
    for (int i = 0; i < OPTIONS; i++) {
        if (!has(c, i))
            continue;
        snprintf(left, sizeof left, "--%s%s%s", options[i].name, options[i].value ? " " : "",
                 options[i].value ? options[i].value : "");
        printf("  %-15s %s\n", left, options[i].help);
    }
}

static int wrong(const struct fxa_command *c, const char *what, const char *given)
{
    fprintf(stderr, "faissx-server %s: %s '%s'\n", c->name, what, given);
    usage(stderr, c);
    fprintf(stderr, "Try: faissx-server %s --help\n", c->name);
    return FXA_USAGE;
}

int fxa_fail(struct fxa *a, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fx_bar_end();
    fprintf(stderr, "faissx-server %s: %s\n", a->command->name, text);
    if (a->out && !json_object_get(a->out, "error")) /* the first has caused the others */
        json_object_set_new(a->out, "error", json_string(text));
    return FXA_WRONG;
}

void fxa_say(const struct fxa *a, const char *format, ...)
{
    va_list args;
    if (a->json)
        return;
    fx_bar_end();
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* Returns FXA_OK, another status, or -1: help was printed. */
static int parse(struct fxa *a, int argc, char **argv)
{
    struct option list[OPTIONS + 1] = {{0}};
    char *end;
    long number;
    int n = 0, c, before;
    for (int i = 0; i < OPTIONS; i++)
        if (has(a->command, i))
            list[n++] =
                (struct option){options[i].name, options[i].value ? required_argument : no_argument,
                                NULL, options[i].letter};
    opterr = 0;
    optind = 1;
    while (before = optind, (c = getopt_long(argc, argv, ":h", list, NULL)) != -1) {
        switch (c) {
        case 't':
            a->tenant = optarg;
            break;
        case 'd':
            a->dry_run = 1;
            break;
        case 'k':
            number = strtol(optarg, &end, 10);
            if (end == optarg || *end || number < 1 || number > 1000000)
                return wrong(a->command, "--keep needs a number from 1 to 1000000, not", optarg);
            a->keep = (int)number;
            break;
        case 'T':
            if (fxa_time_of(optarg, &a->time_ms) != 0)
                return wrong(a->command, "--time needs a time such as 2026-01-31T23:59:59Z, not",
                             optarg);
            break;
        case 'j':
            a->json = 1;
            break;
        case 'h':
            help(a->command);
            return -1;
        case ':':
            return wrong(a->command, "a value is missing after", fx_wrong_word(argv, before));
        default:
            return wrong(a->command, "unknown or ambiguous option", fx_wrong_word(argv, before));
        }
    }
    if (argc - optind < a->command->n)
        return wrong(a->command, "missing operand; expected", a->command->operands);
    if (argc - optind > a->command->n)
        return wrong(a->command, "unexpected operand", argv[optind + a->command->n]);
    return FXA_OK;
}

/* Returns `status`, or FXA_WRONG if what was printed cannot be written. */
static int written(const struct fxa *a, int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "faissx-server %s: cannot write to stdout\n", a->command->name);
    return FXA_WRONG;
}

int fxa_main(int argc, char **argv)
{
    for (size_t i = 0; i < COUNT; i++) {
        struct fxa a = {.command = commands[i]};
        if (strcmp(argv[0], commands[i]->name) != 0)
            continue;
        int status = parse(&a, argc, argv);
        if (status < 0)
            return written(&a, FXA_OK);
        if (status != FXA_OK)
            return status;
        if (a.json)
            a.out = json_object();
        fxs_store_moved = fx_bar_add;
        if (commands[i] != &fxa_export)
            umask(077); /* backups and stores are the owner's */
        status = a.command->run(&a, argv + optind);
        fx_bar_end();
        if (a.out) {
            json_object_set_new(a.out, "ok", json_boolean(status == FXA_OK));
            json_dumpf(a.out, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
            putchar('\n');
            json_decref(a.out);
        }
        return written(&a, status);
    }
    return -1;
}
