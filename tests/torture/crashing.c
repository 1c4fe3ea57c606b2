/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libfaiss_c that is the real one, but for faiss_Index_add and faiss_Index_search: they do
 * something else when the first number of a vector is a certain one.
 *
 *     ALWAYS      an add ends the process, every time
 *     FIRST       an add ends the process if nothing has been searched in it yet: so the vector can
 *                 be added once, and not again after a restart
 *     ENDLESS     an add or a search does not end
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "faiss_c_compat.h"

enum { ALWAYS = 1234567, FIRST = 7654321, ENDLESS = 1111111 };

static int searched;

static void look(float first)
{
    if (first == ALWAYS || (first == FIRST && !searched))
        abort();
    while (first == ENDLESS)
        pause();
}

int faiss_Index_search(const FaissIndex *index, idx_t n, const float *x, idx_t k, float *distances,
                       idx_t *labels)
{
    __typeof__(&faiss_Index_search) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "faiss_Index_search");
    searched = 1;
    if (n > 0 && x[0] == ENDLESS)
        look(x[0]);
    return real(index, n, x, k, distances, labels);
}

int faiss_Index_add(FaissIndex *index, idx_t n, const float *x)
{
    __typeof__(&faiss_Index_add) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "faiss_Index_add");
    for (idx_t i = 0; i < n; i++)
        look(x[i * faiss_Index_d(index)]);
    return real(index, n, x);
}
