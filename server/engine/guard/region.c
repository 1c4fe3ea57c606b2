/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/region.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

#include "server/engine/guard/catch.h"

typedef void parallel_fn(void (*)(void *), void *, unsigned, unsigned);

/* What the C++ ABI keeps for each thread. */
struct globals {
    void *caught;
    unsigned uncaught; /* exceptions: so many have been thrown and not caught yet */
};

static struct {
    parallel_fn *parallel;
    struct globals *(*globals)(void);
    void *(*begin_catch)(void *);
    void (*end_catch)(void);
} runtime;

struct region {
    void (*f)(void *);
    void *arg;
    void *exception; /* the first, or NULL */
};

void fxe_find_symbol(void *dl, const char *name, void *at)
{
    void *sym = dlsym(dl, name);
    memcpy(at, &sym, sizeof sym);
}

void fxe_region_init(void *dl)
{
    fxe_find_symbol(dl, "__cxa_get_globals", &runtime.globals);
    fxe_find_symbol(dl, "__cxa_begin_catch", &runtime.begin_catch);
    fxe_find_symbol(dl, "__cxa_end_catch", &runtime.end_catch);
    fxe_find_symbol(dl, "GOMP_parallel", &runtime.parallel);
}

static void run_in_region(void *arg)
{
    struct region *r = arg;
    void *exception = NULL, *none = NULL;
    if (!fxe_guard(r->f, r->arg, &exception))
        return;
    if (__atomic_compare_exchange_n(&r->exception, &none, exception, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        runtime.globals()->uncaught--; /* it goes to another thread */
    } else {
        runtime.begin_catch(exception);
        runtime.end_catch();
    }
}

__attribute__((visibility("default"))) void GOMP_parallel(void (*f)(void *), void *arg,
                                                          unsigned threads, unsigned flags);

void GOMP_parallel(void (*f)(void *), void *arg, unsigned threads, unsigned flags)
{
    struct region r = {f, arg, NULL};
    if (!runtime.parallel) {
        f(arg); /* as in a region of one thread */
        return;
    }
    if (!runtime.globals || !runtime.begin_catch || !runtime.end_catch) { /* no C++ */
        runtime.parallel(f, arg, threads, flags);
        return;
    }
    runtime.parallel(run_in_region, &r, threads, flags);
    if (!r.exception)
        return;
    runtime.globals()->uncaught++;
    _Unwind_RaiseException(r.exception);
    abort(); /* nothing catches it */
}
