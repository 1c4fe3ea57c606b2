/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "life.h"

struct fx_api api;
const char *current = "life";

static unsigned char present[FX_NOPS], called[FX_NOPS], skipped[FX_NOPS];
static unsigned long calls;

int have(int op)
{
    if (present[op] && left_out(op))
        return 0;
    if (present[op]) {
        called[op] = 1;
        calls++;
        return 1;
    }
    if (!skipped[op])
        say("skipped: %s", fx_fns[op].name);
    skipped[op] = 1;
    return 0;
}

/* Load the functions of `library` that the file `names` lists.  These are the real library's: the
 * stand-in has all functions. */
static void load(const char *library, const char *names)
{
    fx_any_fn *slots = (fx_any_fn *)&api;
    char name[256];
    void *dl = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    FILE *f = fopen(names, "re");
    if (!dl || !f) {
        fprintf(stderr, "life: %s\n", dl ? names : dlerror());
        exit(2);
    }
    while (fscanf(f, "%255s", name) == 1) {
        int op = fx_op_by_name(name, strlen(name));
        void *sym = op ? dlsym(dl, name) : NULL;
        if (!sym)
            continue;
        memcpy(&slots[op - 1], &sym, sizeof sym);
        present[op] = 1;
    }
    fclose(f);
    if (!api.get_last_error || !api.Index_search) {
        fprintf(stderr, "life: %s has no functions of FAISS\n", library);
        exit(2);
    }
    called[FX_OP_get_last_error] = 1;
}

static int every; /* lead one life in so many */

static int wanted(const char *name, char **only, int n)
{
    static int seen;
    for (int i = 0; i < n; i++)
        if (strcmp(only[i], name) == 0)
            return 1;
    return n == 0 && seen++ % every == 0;
}

static void begin(const char *name)
{
    current = name;
    leave_begin();
}

static void end(void)
{
    clear_rooms();
    fflush(stdout);
}

static void run_type(void *i)
{
    begin(type_name(*(int *)i));
    type_run(*(int *)i);
    end();
}

static void run_life(void *life)
{
    begin(((const struct life *)life)->name);
    ((const struct life *)life)->run();
    end();
}

/* Run a life, or find out what has to be left out of it. */
static void lead(void (*run)(void *), const void *what, int asking)
{
    if (asking)
        leave_ask(run, (void *)what);
    else
        run((void *)what);
}

static int run_all(const struct life *table, char **only, int n, int asking)
{
    int ran = 0;
    for (; table->name; table++)
        if (wanted(table->name, only, n)) {
            lead(run_life, table, asking);
            ran++;
        }
    return ran;
}

/* Print which functions of the library no life calls. */
static void summary(int ran)
{
    int functions = 0, missing = 0;
    for (int op = 1; op < FX_NOPS; op++) {
        functions += called[op];
        missing += skipped[op];
        if (present[op] && !called[op])
            say("not called: %s", fx_fns[op].name);
    }
    say("%d lives, %lu calls of %d functions, %d functions skipped", ran, calls, functions,
        missing);
}

int main(int argc, char **argv)
{
    static const struct life *const tables[] = {made_lives, transform_lives, many_lives,
                                                binary_lives, function_lives};
    int asking = argc > 2 && strcmp(argv[1], "--ask") == 0;
    if (asking)
        leave_start(argv[2]);
    argc -= 2 * asking;
    argv += 2 * asking;
    if (argc < 3) {
        fprintf(stderr, "usage: life [--ask FILE] LIBRARY NAMES [LIFE...]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    load(argv[1], argv[2]);
    leave_load(getenv("LIFE_LEAVE_OUT"));
    every = getenv("LIFE_EVERY") ? atoi(getenv("LIFE_EVERY")) : 1;
    char **only = argv + 3;
    int n = argc - 3, ran = 0;
    for (int i = 0; type_name(i); i++) {
        if (!wanted(type_name(i), only, n))
            continue;
        lead(run_type, &i, asking);
        ran++;
    }
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        ran += run_all(tables[i], only, n, asking);
    current = "life";
    if (!asking)
        summary(ran);
    return 0;
}
