/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libfaiss_c that is the real one, but for faiss_Index_add: it ends the process when the first
 * number of a vector is a certain one.
 *
 *     ALWAYS      every time
 *     FIRST       if nothing has been searched in this process yet: so it can be added once, and
 *                 not again after a restart
 */
#include <dlfcn.h>
#include <stdlib.h>

#include "faiss_c_compat.h"

enum { ALWAYS = 1234567, FIRST = 7654321 };

static int searched;

int faiss_Index_search(const FaissIndex *index, idx_t n, const float *x, idx_t k, float *distances,
                       idx_t *labels)
{
    __typeof__(&faiss_Index_search) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "faiss_Index_search");
    searched = 1;
    return real(index, n, x, k, distances, labels);
}

int faiss_Index_add(FaissIndex *index, idx_t n, const float *x)
{
    __typeof__(&faiss_Index_add) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "faiss_Index_add");
    for (idx_t i = 0; i < n; i++) {
        float first = x[i * faiss_Index_d(index)];
        if (first == ALWAYS || (first == FIRST && !searched))
            abort();
    }
    return real(index, n, x);
}
