/* SPDX-License-Identifier: Apache-2.0 */
/* An exception that threads of an OpenMP region throw reaches the caller of the region, once, and
 * later regions have all their threads again. */
#include "server/engine/guard/region.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/api.h"
#include "server/engine/guard/catch.h"

enum { THREADS = 4 };

void GOMP_parallel(void (*f)(void *), void *arg, unsigned threads, unsigned flags);

static struct {
    int *(*allocate)(size_t);
    void (*throw)(void *, void *, void (*)(void *));
    void *type_of_int;
    int (*thread_num)(void);
} cxx;

static void find_symbol(void *dl, const char *name, void *at)
{
    void *sym = dlsym(dl, name);
    assert_non_null(sym);
    memcpy(at, &sym, sizeof sym);
}

struct work {
    int entered;  /* threads */
    int throwing; /* threads with a number less than this throw, */
    int from;     /* and not less than this */
};

static void loop(void *arg)
{
    struct work *w = arg;
    int me = cxx.thread_num();
    __atomic_fetch_add(&w->entered, 1, __ATOMIC_RELAXED);
    if (me < w->from || me >= w->throwing)
        return;
    int *e = cxx.allocate(sizeof *e);
    *e = 42;
    cxx.throw(e, cxx.type_of_int, NULL);
}

static void region(void *arg)
{
    GOMP_parallel(loop, arg, THREADS, 0);
}

/* Runs a region in which threads from...throwing - 1 throw.  Returns what the caller catches. */
static int run(int from, int throwing)
{
    char text[64];
    struct work w = {0, throwing, from};
    int code = fxe_catch(region, &w, text, sizeof text);
    assert_int_equal(w.entered, THREADS);
    return code;
}

static void no_exception(void **state)
{
    (void)state;
    assert_int_equal(run(0, 0), 0);
}

static void exceptions_are_caught(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(run(0, THREADS), UNKNOWN_EXCEPT); /* all threads */
        assert_int_equal(run(0, 1), UNKNOWN_EXCEPT);       /* the calling thread */
        assert_int_equal(run(1, THREADS), UNKNOWN_EXCEPT); /* the others */
        assert_int_equal(run(0, 0), 0);
    }
}

struct exceptions { /* of a thread, in the C++ runtime */
    void *caught;
    unsigned uncaught;
};

static void exceptions_are_counted(void **state)
{
    (void)state;
    struct exceptions *(*globals)(void);
    void *dl = dlopen(NULL, RTLD_NOW);
    find_symbol(dl, "__cxa_get_globals", &globals);
    assert_int_equal(run(1, THREADS), UNKNOWN_EXCEPT);
    assert_int_equal(globals()->uncaught, 0);
    assert_null(globals()->caught);
    dlclose(dl);
}

static int load(void **state)
{
    (void)state;
    static void *libraries[2]; /* stay open */
    libraries[0] = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_GLOBAL);
    libraries[1] = dlopen("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL);
    if (!libraries[0] || !libraries[1])
        return -1;
    void *dl = dlopen(NULL, RTLD_NOW);
    find_symbol(dl, "__cxa_allocate_exception", &cxx.allocate);
    find_symbol(dl, "__cxa_throw", &cxx.throw);
    find_symbol(dl, "_ZTIi", &cxx.type_of_int);
    find_symbol(dl, "omp_get_thread_num", &cxx.thread_num);
    fxe_catch_init(dl);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_exception),
        cmocka_unit_test(exceptions_are_caught),
        cmocka_unit_test(exceptions_are_counted),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
