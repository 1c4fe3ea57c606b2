/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/real.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "shim/error.h"
#include "shim/faissx.h"

static struct {
    pthread_mutex_t lock;
    int tried;
    int loaded; /* atomic */
    struct fx_library lib;
    char why[4096]; /* it could not be loaded */
} real = {.lock = PTHREAD_MUTEX_INITIALIZER};

const struct fx_library *fx_real_if_loaded(void)
{
    return __atomic_load_n(&real.loaded, __ATOMIC_ACQUIRE) ? &real.lib : NULL;
}

const struct fx_library *fx_real(void)
{
    char path[4096];
    pthread_mutex_lock(&real.lock);
    if (!real.tried) {
        real.tried = 1;
        if (fx_library_find(NULL, path, sizeof path, real.why, sizeof real.why) == 0 &&
            fx_library_load(&real.lib, path, real.why, sizeof real.why) == 0)
            __atomic_store_n(&real.loaded, 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&real.lock);
    return fx_real_if_loaded();
}

void fx_real_after_fork(void)
{
    pthread_mutex_init(&real.lock, NULL);
    real.tried = fx_real_if_loaded() != NULL;
}

int fx_fail_missing(int op)
{
    char text[8192];
    const struct fx_library *lib = fx_real_if_loaded();
    if (lib)
        fx_library_missing(lib, op, text, sizeof text);
    else
        snprintf(text, sizeof text, "faissx: %s: %s", fx_fns[op].name, real.why);
    fx_set_error(FAISSX_E_MISSING, FAISS_EXCEPT, text, strlen(text));
    return -1;
}
