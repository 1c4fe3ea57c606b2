/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libfaiss_c that is the real one, but for faiss_Index_add: it ends the process, or fails, when
 * the first number of a vector is a certain one.
 *
 *     ALWAYS      ends it every time
 *     FIRST       ends it if nothing has been searched in this process yet: so it can be added
 * once, and not again after a restart MEMORY      fails then, as if memory was out REFUSED fails
 * then with an exception of FAISS's own
 */
#include <dlfcn.h>
#include <stdlib.h>

#include "faiss_c_compat.h"

enum { ALWAYS = 1234567, FIRST = 7654321, MEMORY = 7654322, REFUSED = 7654323 };

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
        if (first == MEMORY && !searched)
            return STD_EXCEPT;
        if (first == REFUSED && !searched)
            return FAISS_EXCEPT;
    }
    return real(index, n, x);
}
