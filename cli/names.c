/* SPDX-License-Identifier: Apache-2.0 */
/* faissx list, faissx rm: published indexes. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "proto/bar.h"

/* What `list` says of an index; a number that it does not know is -1. */
struct detail {
    char name[256], cls[32];
    int64_t d, metric, ntotal, bytes, unsaved, time;
};

static int64_t number(const msgpack_object *list, uint32_t i)
{
    if (!list || i >= list->via.array.size)
        return -1;
    const msgpack_object *o = &list->via.array.ptr[i];
    return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? (int64_t)o->via.u64 : -1;
}

static void text(char *to, size_t size, const msgpack_object *o)
{
    snprintf(to, size, "%.*s", o->type == MSGPACK_OBJECT_STR ? (int)o->via.str.size : 0,
             o->type == MSGPACK_OBJECT_STR ? o->via.str.ptr : "");
}

static void read_detail(struct detail *to, const msgpack_object *name, const msgpack_object *list,
                        uint32_t i)
{
    const msgpack_object *o = NULL;
    if (list && list->type == MSGPACK_OBJECT_ARRAY && i < list->via.array.size)
        o = &list->via.array.ptr[i];
    if (o && o->type != MSGPACK_OBJECT_ARRAY)
        o = NULL;
    text(to->name, sizeof to->name, name);
    to->cls[0] = '\0';
    if (o && o->via.array.size)
        text(to->cls, sizeof to->cls, o->via.array.ptr);
    to->d = number(o, 1);
    to->metric = number(o, 2);
    to->ntotal = number(o, 3);
    to->bytes = number(o, 4);
    to->unsaved = number(o, 5);
    to->time = number(o, 6);
}

static void print_row(const struct detail *x)
{
    char ntotal[32] = "-", d[32] = "-", bytes[32] = "-", unsaved[32] = "-", when[32] = "-";
    if (x->ntotal >= 0)
        snprintf(ntotal, sizeof ntotal, "%" PRId64, x->ntotal);
    if (x->d >= 0)
        snprintf(d, sizeof d, "%" PRId64, x->d);
    if (x->bytes >= 0)
        fx_bar_size((uint64_t)x->bytes, bytes);
    if (x->unsaved >= 0)
        fx_bar_size((uint64_t)x->unsaved, unsaved);
    if (x->time > 0) {
        time_t t = (time_t)(x->time / 1000);
        struct tm tm;
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
    }
    printf("%-12s %6s %12s %12s %12s  %-19s  %s\n", x->cls, d, ntotal, bytes, unsaved, when,
           x->name);
}

static json_t *known(int64_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}

static void add_json(json_t *list, const struct detail *x)
{
    json_t *o = json_object();
    json_t *name = json_string(x->name);
    json_object_set_new(o, "name", name ? name : json_null()); /* not UTF-8 */
    json_object_set_new(o, "class", json_string(x->cls));
    json_object_set_new(o, "d", known(x->d));
    json_object_set_new(o, "metric", known(x->metric));
    json_object_set_new(o, "ntotal", known(x->ntotal));
    json_object_set_new(o, "bytes", known(x->bytes));
    json_object_set_new(o, "unsaved_bytes", known(x->unsaved));
    json_object_set_new(o, "snapshot_ms", known(x->time));
    json_array_append_new(list, o);
}

static int list(const struct cli_server *s, char **operands)
{
    uint64_t total = 0, seen = 0;
    int table = !s->json && (s->table || isatty(STDOUT_FILENO));
    json_t *all = s->json ? json_array() : NULL;
    int status = CLI_OK;
    (void)operands;
    if (table)
        printf("%-12s %6s %12s %12s %12s  %-19s  %s\n", "CLASS", "D", "NTOTAL", "SNAPSHOT",
               "UNSAVED", "SNAPSHOT TAKEN", "NAME");
    do {
        struct fx_header h;
        char *buf;
        if (cli_ask(s, "list", NULL, seen, &h, &buf) != 0) {
            status = CLI_FAILED;
            break;
        }
        const msgpack_object *names = fx_header_get(&h, "names");
        uint32_t n = names && names->type == MSGPACK_OBJECT_ARRAY ? names->via.array.size : 0;
        fx_header_uint(&h, "total", &total);
        for (uint32_t i = 0; i < n; i++) {
            struct detail x;
            read_detail(&x, &names->via.array.ptr[i], fx_header_get(&h, "details"), i);
            if (s->json)
                add_json(all, &x);
            else if (table)
                print_row(&x);
            else
                printf("%s\n", x.name);
        }
        fx_header_free(&h);
        free(buf);
        if (n == 0)
            break;
        seen += n;
    } while (seen < total);
    if (all && status == CLI_OK) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(all);
    return status;
}

const struct cli_command cli_list = {
    "list",
    "",
    0,
    0,
    "print the names of the tenant's published indexes",
    "Prints the tenant's published indexes: on a terminal a table, otherwise their names, one per\n"
    "line.  The table has the class, dimension and number of vectors, and, if the server keeps\n"
    "indexes on disk, the size of the newest snapshot, how many bytes of changes are not in it,\n"
    "and when it was taken; - stands for what is not known.  A program publishes an index by\n"
    "writing it to faissx://NAME and opens it by reading from there.\n",
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
