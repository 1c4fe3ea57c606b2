/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libfaiss_c that is the real one, but for faiss_Index_add: it ends the process, fails, or takes
 * long, when the first number of a vector is one of these.  "Later" is in a process in which
 * nothing has been searched yet: so it can be added once, and not again after a restart.
 *
 *     ALWAYS      ends the process every time
 *     FIRST       ends it later
 *     ENDLESS     does not end, nor does a search for such a vector
 *     MEMORY      fails later, as if memory was out
 *     REFUSED     fails later with an exception of FAISS's own
 *     HALFWAY     once, and not later: adds the vectors, and fails.  Reading the next index takes
 *                 SECONDS
 *     SLOW        takes SECONDS every time, as does a search for such a vector
 *
 * faiss_Index_add_with_ids fails once, when such vectors are added to inverted lists themselves:
 *
 *     MOVED
 *
 * An index of SLOW_TO_FREE vectors takes ten seconds to be freed, and one of SLOW_TO_WRITE vectors
 * takes ten seconds to be written.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "faiss_c_compat.h"

enum {
    ALWAYS = 1234567,
    FIRST = 7654321,
    ENDLESS = 1111111,
    MEMORY = 7654322,
    REFUSED = 7654323,
    HALFWAY = 7654324,
    SLOW = 7654325,
    MOVED = 7654326,
    SECONDS = 3,
    SLOW_TO_WRITE = 4321,
    SLOW_TO_FREE = 4322
};

static int searched, halfway, slow, moved;

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
    if (n > 0 && x[0] == SLOW)
        sleep(SECONDS);
    return real(index, n, x, k, distances, labels);
}

int faiss_read_index(FILE *f, int flags, FaissIndex **index)
{
    __typeof__(&faiss_read_index) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "faiss_read_index");
    int rc = real(f, flags, index);
    if (slow)
        sleep(SECONDS);
    slow = 0;
    return rc;
}

int faiss_Index_add(FaissIndex *index, idx_t n, const float *x)
{
    __typeof__(&faiss_Index_add) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "faiss_Index_add");
    for (idx_t i = 0; i < n; i++) {
        float first = x[i * faiss_Index_d(index)];
        look(first);
        if (first == MEMORY && !searched)
            return STD_EXCEPT;
        if (first == REFUSED && !searched)
            return FAISS_EXCEPT;
        if (first == HALFWAY && searched && !halfway) {
            halfway = slow = 1;
            real(index, n, x);
            return STD_EXCEPT;
        }
        if (first == SLOW)
            sleep(SECONDS);
    }
    return real(index, n, x);
}

int faiss_Index_add_with_ids(FaissIndex *index, idx_t n, const float *x, const idx_t *ids)
{
    __typeof__(&faiss_Index_add_with_ids) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "faiss_Index_add_with_ids");
    for (idx_t i = 0; i < n && !moved && faiss_IndexIVF_cast(index); i++)
        if (x[i * faiss_Index_d(index)] == MOVED) {
            moved = 1;
            return STD_EXCEPT;
        }
    return real(index, n, x, ids);
}

int faiss_write_index(const FaissIndex *index, FILE *f)
{
    __typeof__(&faiss_write_index) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "faiss_write_index");
    if (faiss_Index_ntotal(index) == SLOW_TO_WRITE)
        sleep(10);
    return real(index, f);
}

void faiss_Index_free(FaissIndex *index)
{
    __typeof__(&faiss_Index_free) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "faiss_Index_free");
    if (index && faiss_Index_ntotal(index) == SLOW_TO_FREE)
        sleep(10);
    real(index);
}
