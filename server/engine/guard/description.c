/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/description.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>

#include "server/engine/guard/catch.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/refusal.h"
#include "server/engine/guard/trial.h"

enum {
    LONGEST = 1024, /* characters */
    PARTS = 32,     /* nested, or separated by commas */
    DIGITS = 6,     /* of a number; a longer one may take much memory */
    STRINGS = 1 << 14
};

/* A description whose trial did not die. */
struct tried {
    UT_hash_handle hh;
    char text[];
};

static struct {
    pthread_mutex_t lock;
    struct tried *table;
} tried = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int was_tried(const char *key)
{
    struct tried *t;
    pthread_mutex_lock(&tried.lock);
    HASH_FIND(hh, tried.table, key, strlen(key), t);
    pthread_mutex_unlock(&tried.lock);
    return t != NULL;
}

static void remember(const char *key)
{
    size_t n = strlen(key);
    struct tried *t = calloc(1, sizeof *t + n + 1), *known = NULL;
    if (!t)
        return;
    memcpy(t->text, key, n);
    pthread_mutex_lock(&tried.lock);
    HASH_FIND(hh, tried.table, key, n, known);
    if (!known && HASH_COUNT(tried.table) < STRINGS) {
        HASH_ADD(hh, tried.table, text[0], n, t);
        t = NULL;
    }
    pthread_mutex_unlock(&tried.lock);
    free(t);
}

/* Returns whether the text before `at` ends with one of the words. */
static int follows(const char *text, const char *at, const char *const *words)
{
    for (; *words; words++) {
        size_t n = strlen(*words);
        if ((size_t)(at - text) >= n && memcmp(at - n, *words, n) == 0)
            return 1;
    }
    return 0;
}

static const char *const graphs[] = {"HNSW", "NSG", NULL};

/* Returns where `description` asks for a graph with fewer than two neighbours for each vector, or
 * NULL.  Adding to such a graph may end the process, never return, or work. */
static const char *graph_without_links(const char *description)
{
    for (const char *c = description; *c; c++)
        if ((*c == '0' || *c == '1') && !isdigit((unsigned char)c[1]) &&
            follows(description, c, graphs))
            return c;
    return NULL;
}

int fxe_is_odd_description(const char *description)
{
    static const char *const may_be_zero[] = {"SQ", "Pad", NULL};
    for (const char *c = description; *c;) {
        if (!isdigit((unsigned char)*c)) {
            c++;
            continue;
        }
        char *end;
        unsigned long value = strtoul(c, &end, 10);
        if ((value == 0 && !follows(description, c, may_be_zero)) ||
            (value < 2 && follows(description, c, graphs)))
            return 1;
        c = end;
    }
    return strchr(description, '-') != NULL; /* a negative number */
}

/* Returns whether making this index could end the process.  Of the descriptions that tests/crash
 * tries, no others did. */
static int is_doubtful(const char *description)
{
    int exact, digits = 0, most = 0;
    fxe_refusal_find(fxe_engine.lib.version, FXE_ACT_train, 0, "", &exact);
    for (const char *c = description; *c; c++) {
        digits = isdigit((unsigned char)*c) ? digits + 1 : 0;
        most = digits > most ? digits : most;
    }
    return !exact || most > DIGITS || strpbrk(description, "()") ||
           strstr(description, "Lattice") || fxe_is_odd_description(description);
}

static void make(void *r)
{
    fxe_call_faiss(r);
}

int fxe_check_description(struct fxe_req *r)
{
    const char *description = r->v[param(r, "description")].p;
    int metric = param(r, "metric"), parts = 1;
    char key[LONGEST + 64], why[FXE_WHY];
    size_t len = strlen(description);
    if (!fxe_has_classes())
        return 0;
    if (len > LONGEST)
        return fxe_fail(r, "limit",
                        "%s: the description has %zu characters; at most %d are allowed",
                        r->fn->name, len, LONGEST);
    for (const char *c = description; *c; c++)
        parts += *c == ',' || *c == '(';
    if (parts > PARTS)
        return fxe_fail(r, "limit", "%s: the description has %d parts; at most %d are allowed",
                        r->fn->name, parts, PARTS);
    const char *few = graph_without_links(description);
    if (few)
        return fxe_fail(
            r, "argument",
            "%s: '%s' asks for a graph with %c neighbours for each vector; it must have "
            "at least 2",
            r->fn->name, description, *few);
    if (!is_doubtful(description) && scalar(r, "d") > 0)
        return 0;
    snprintf(key, sizeof key, "%d %d %lld %s", r->op, metric < 0 ? 0 : (int)r->v[metric].i,
             (long long)scalar(r, "d"), description);
    if (was_tried(key))
        return 0;
    if (fxe_trial(make, r, 10, why, sizeof why) == FXE_TRIAL_DIED)
        return fxe_fail(r, "argument",
                        "%s: FAISS %s would end the engine; a trial in a copy of it ended with: %s",
                        r->fn->name, fxe_engine.lib.version, why);
    remember(key);
    return 0;
}
