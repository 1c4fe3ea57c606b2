/* SPDX-License-Identifier: Apache-2.0 */
/* 64 threads use one index, and each its own indexes, all at once.  Every search must find what a
 * single thread finds.  Prints "ok", or what was wrong. */
#include <pthread.h>
#include <stdatomic.h>

#include "client.h"

enum { THREADS = 64, ROUNDS = 6, D = 16, N = 3000, NQ = 20, K = 8 };

static FaissIndex *shared;
static float *xb, *xq;
static uint64_t wanted[ROUNDS];
static atomic_int wrong;

static uint64_t search(FaissIndex *index, int round)
{
    float distances[NQ * K];
    idx_t labels[NQ * K];
    memset(distances, 0, sizeof distances);
    memset(labels, 0, sizeof labels);
    if (faiss_Index_search(index, NQ, xq + round * NQ * D, K, distances, labels) != 0) {
        printf("search: %s\n", last_error());
        wrong++;
    }
    return checksum(distances, sizeof distances) ^ checksum(labels, sizeof labels);
}

static void expect(int yes, const char *what, int thread, int round)
{
    if (!yes) {
        printf("thread %d, round %d: %s\n", thread, round, what);
        wrong++;
    }
}

static FaissIndex *make(int n)
{
    FaissIndex *index = NULL;
    MUST(faiss_index_factory(&index, D, "Flat", METRIC_L2));
    MUST(faiss_Index_add(index, n, xb));
    return index;
}

static void *work(void *arg)
{
    int me = (int)(intptr_t)arg;
    const char *error;
    for (int i = 0; i < ROUNDS; i++) {
        int round = (i + me) % ROUNDS;
        FaissIndex *mine = make(N), *bad = NULL;
        expect(search(shared, round) == wanted[round], "the shared index", me, round);
        expect(search(mine, round) == wanted[round], "its own index", me, round);
        /* Each thread has its own last error. */
        int d = 8 + me;
        char text[32];
        snprintf(text, sizeof text, "Nonsense%d", me);
        expect(faiss_index_factory(&bad, d, text, METRIC_L2) == -2, "no error", me, round);
        error = faiss_get_last_error();
        expect(error && strstr(error, text), "another's error", me, round);
        MUST(faiss_Index_add(mine, me, xb));
        expect(faiss_Index_ntotal(mine) == N + me, "the number of vectors", me, round);
        faiss_Index_free(mine);
    }
    return NULL;
}

/* One thread adds to the index whose vectors another counts: a call sees the effects of all earlier
 * calls. */
static FaissIndex *growing;
static atomic_int added;

static void *grow(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        MUST(faiss_Index_add(growing, 1, xb));
        added++;
    }
    return NULL;
}

static void *count(void *arg)
{
    (void)arg;
    while (added < 100) {
        int before = added;
        expect((int)faiss_Index_ntotal(growing) >= before, "an old number", -1, before);
    }
    return NULL;
}

int main(void)
{
    pthread_t t[THREADS];
    xb = random_vectors(N, D, 1);
    xq = random_vectors(NQ * ROUNDS, D, 2);
    shared = make(N);
    for (int i = 0; i < ROUNDS; i++)
        wanted[i] = search(shared, i);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, work, (void *)(intptr_t)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    faiss_Index_free(shared);
    MUST(faiss_index_factory(&growing, D, "Flat", METRIC_L2));
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, i ? count : grow, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    faiss_Index_free(growing);
    if (!wrong)
        say("ok");
    free(xb);
    free(xq);
    return wrong != 0;
}
