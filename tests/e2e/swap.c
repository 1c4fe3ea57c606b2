/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses an index by its name while it is trained in the background: threads search all the time, one
 * adds and removes.
 *
 *     swap PATH LEAST       PATH: faissx://NAME, an index with ids that is searched exactly; LEAST:
 *                           so many vectors are added at least, and more until it has been trained
 *
 * Every vector that was acknowledged before a search began must be found by it, with its id; every
 * one whose removal was acknowledged must not.  Prints how many searches there were before and
 * after the training, and how many vectors there are in the end.
 */
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "client.h"

enum { D = 32, BATCH = 100, MOST = 200000, SEARCHERS = 3, AFTER = 50, ID = 7, REMOVE_EACH = 5 };

static const char *path;
static int added, removed; /* batches that were acknowledged; atomic */
static int removing;       /* the batch whose removal is under way, plus 1 */
static int trained, done;
static int before, after, wrong;

static FaissIndex *open_index(void)
{
    FaissIndex *index = NULL;
    MUST(faiss_read_index_fname(path, 0, &index));
    return index;
}

static void vector_of(int64_t i, float *x)
{
    uint32_t s = (uint32_t)i * 2654435761u + 12345;
    for (int j = 0; j < D; j++) {
        s = s * 1664525u + 1013904223u;
        x[j] = (float)(s >> 8) / (1 << 24);
    }
}

static int get(const int *n)
{
    return __atomic_load_n(n, __ATOMIC_SEQ_CST);
}

static void set(int *n, int value)
{
    __atomic_store_n(n, value, __ATOMIC_SEQ_CST);
}

/* Batches 0, REMOVE_EACH, 2 * REMOVE_EACH ... are removed, in this order. */
static int is_removed(int batch, int n)
{
    return batch % REMOVE_EACH == 0 && batch / REMOVE_EACH < n;
}

static void *searcher(void *arg)
{
    FaissIndex *index = open_index();
    uint32_t s = (uint32_t)(uintptr_t)arg * 7919 + 1;
    while (!get(&done)) {
        float x[D], distance;
        idx_t label;
        int have = get(&added), was_removed = get(&removed), was_trained = get(&trained);
        s = s * 1664525u + 1013904223u;
        if (!have)
            continue;
        int64_t i = (int64_t)((uint64_t)(s >> 4) % ((uint64_t)have * BATCH));
        int batch = (int)(i / BATCH);
        vector_of(i, x);
        if (faiss_Index_search(index, 1, x, 1, &distance, &label) != 0) {
            if (__atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST) < 10)
                fprintf(stderr, "search failed: %s\n", faiss_get_last_error());
            continue;
        }
        bool found = label == ID * i;
        bool must_not = is_removed(batch, was_removed),
             may_not = is_removed(batch, get(&removed)) || get(&removing) == batch + 1;
        if (((found && must_not) || (!found && !may_not)) &&
            __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST) < 10)
            fprintf(stderr, "vector %lld: found %lld, removed %d, trained %d\n", (long long)i,
                    (long long)label, must_not, was_trained);
        __atomic_add_fetch(was_trained ? &after : &before, 1, __ATOMIC_SEQ_CST);
    }
    faiss_Index_free(index);
    return NULL;
}

static void add_batch(FaissIndex *index, int batch)
{
    float x[BATCH * D];
    idx_t ids[BATCH];
    for (int i = 0; i < BATCH; i++) {
        ids[i] = ID * ((int64_t)batch * BATCH + i);
        vector_of((int64_t)batch * BATCH + i, x + i * D);
    }
    MUST(faiss_Index_add_with_ids(index, BATCH, x, ids));
    set(&added, batch + 1);
}

static void remove_batch(FaissIndex *index, int n)
{
    FaissIDSelectorRange *range = NULL;
    size_t count = 0;
    int64_t first = (int64_t)n * REMOVE_EACH * BATCH;
    MUST(faiss_IDSelectorRange_new(&range, ID * first, ID * (first + BATCH)));
    set(&removing, n * REMOVE_EACH + 1);
    MUST(faiss_Index_remove_ids(index, (FaissIDSelector *)range, &count));
    set(&removed, n + 1);
    set(&removing, 0);
    faiss_IDSelector_free((FaissIDSelector *)range);
    if (count != BATCH) {
        fprintf(stderr, "%zu of %d were removed\n", count, BATCH);
        __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
    }
}

int main(int argc, char **argv)
{
    pthread_t threads[SEARCHERS];
    if (argc != 3)
        return 2;
    path = argv[1];
    int least = atoi(argv[2]) / BATCH, rest = AFTER;
    FaissIndex *index = open_index();
    for (int i = 0; i < SEARCHERS; i++)
        if (pthread_create(&threads[i], NULL, searcher, (void *)(uintptr_t)(i + 1)) != 0)
            abort();
    for (int batch = 0; batch * BATCH < MOST && rest; batch++) {
        add_batch(index, batch);
        if (batch % (2 * REMOVE_EACH) == 2 * REMOVE_EACH - 1)
            remove_batch(index, batch / (2 * REMOVE_EACH));
        if (!get(&trained))
            set(&trained, faiss_Index_is_trained(index) != 0);
        else if (batch >= least)
            rest--;
        usleep(500);
    }
    set(&done, 1);
    for (int i = 0; i < SEARCHERS; i++)
        pthread_join(threads[i], NULL);
    long long want = (long long)(get(&added) - get(&removed)) * BATCH,
              have = (long long)faiss_Index_ntotal(index);
    printf("before %d after %d wrong %d trained %d vectors %s\n", before, after, wrong, trained,
           want == have ? "all" : "not all");
    faiss_Index_free(index);
    return wrong || !trained || !before || !after || want != have;
}
