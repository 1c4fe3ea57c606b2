/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For programs that make calls that crash FAISS: each case is a call that has to
 * end, in an error or in a result, with the engine still alive.  What is not as it
 * should be is printed; so is a line for every case when the program has an argument -v.
 *
 * Functions are looked up when they are called, for the library that the program was
 * linked with may lack some, which then are skipped.
 */
#ifndef E2E_CASES_H
#define E2E_CASES_H

#include <dlfcn.h>

#include "client.h"

enum outcome { FAILS, WORKS, ENDS };

static int cases, skipped, bad, verbose;
static FaissIndex *canary; /* gone when the engine has died */
static char *sentinel;
static const char *about = ""; /* what the cases are about at present */

static inline void *symbol(const char *name)
{
    void *s = dlsym(RTLD_DEFAULT, name);
    if (!s) {
        printf("no %s\n", name);
        exit(1);
    }
    return s;
}

/* F(Index_add)(index, n, x) */
#define F(f) ((__typeof__(&faiss_##f))symbol("faiss_" #f))

static inline void new_canary(void)
{
    float x[4] = {1, 2, 3, 4};
    MUST(F(index_factory)(&canary, 4, "Flat", METRIC_L2));
    MUST(F(Index_add)(canary, 1, x));
}

/* Some functions return no code: whether they failed is told by the last error, so there
 * is a known one before. */
static inline void before(void)
{
    FaissIndex *none;
    F(index_factory)(&none, 4, "no such index", METRIC_L2);
    sentinel = strdup(last_error());
}

static inline void after(const char *what, enum outcome want, int rc)
{
    char *text = strdup(last_error());
    int failed = rc != 0 || strcmp(text, sentinel) != 0;
    int missing = failed && strstr(text, " is not in /") != NULL;
    const char *told = failed ? text : "ok";
    cases++;
    skipped += missing;
    const char *wrong = NULL;
    if (F(Index_ntotal)(canary) != 1) {
        wrong = "the engine died";
        new_canary();
    } else if (missing) {
        told = "skipped";
    } else if (want == FAILS && !failed) {
        wrong = "did not fail";
    } else if (want == WORKS && failed) {
        wrong = "failed";
    } else if (failed && !*text) {
        wrong = "failed without a text";
    }
    bad += wrong != NULL;
    if (wrong || verbose)
        printf("%s: %s %s: %d %s\n", wrong ? wrong : "as it should be", about, what, rc, told);
    fflush(stdout);
    free(sentinel);
    free(text);
}

/* A call that returns a code; one that returns something else, or nothing. */
#define CODE(want, call)         \
    do {                         \
        before();                \
        int rc_ = (call);        \
        after(#call, want, rc_); \
    } while (0)
#define CALL(want, call)       \
    do {                       \
        before();              \
        (void)(call);          \
        after(#call, want, 0); \
    } while (0)

/* An object for a case; NULL if the library cannot create it. */
static inline FaissIndex *make(int d, const char *description)
{
    FaissIndex *index = NULL;
    F(index_factory)(&index, d, description, METRIC_L2);
    return index;
}

static inline int begin_cases(int argc, char **argv)
{
    verbose = argc > 1 && strcmp(argv[argc - 1], "-v") == 0;
    faiss_Index_free(NULL); /* makes the linker keep the library */
    new_canary();
    return argc - verbose;
}

static inline int end_cases(void)
{
    F(Index_free)(canary);
    printf("%d cases, %d of them skipped, %d bad\n", cases, skipped, bad);
    return bad != 0;
}

#endif
