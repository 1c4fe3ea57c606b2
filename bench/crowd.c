/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant that keeps the server as busy as it can, with threads that search, add and train.  A
 * user of FAISS like client.c, and a worker (see bench.h).
 *
 *     crowd FILE SEARCHERS ADDERS TRAINERS SECONDS
 *
 * A turn lasts SECONDS, plus the time until the calls in progress have returned.
 */
#include <pthread.h>

#include "bench.h"
#include "faiss_c_compat.h"

enum {
    D = 128,
    K = 10,
    VECTORS = 20480, /* vectors of a training: 40 for each list */
    ADD = 1000,      /* vectors of one add */
    FULL = 100000    /* an index with this many is freed and replaced */
};

struct thread {
    pthread_t id;
    void (*call)(struct thread *);
    size_t number, done;
    FaissIndex *index; /* for an adder */
};

static float *vectors;
static FaissIndex *searched;
static pthread_barrier_t barrier; /* passed at the beginning and the end of each turn */
static int64_t end;
static int over;

static void check(int status, const char *what)
{
    if (status != 0)
        die("%s: %s", what, faiss_get_last_error());
}

static void search(struct thread *t)
{
    float distances[K];
    idx_t labels[K];
    size_t which = (t->number * 64 + t->done) % VECTORS;
    check(faiss_Index_search(searched, 1, vectors + which * D, K, distances, labels), "search");
}

static void add(struct thread *t)
{
    if (t->index && faiss_Index_ntotal(t->index) >= FULL) {
        faiss_Index_free(t->index);
        t->index = NULL;
    }
    if (!t->index)
        check(faiss_index_factory(&t->index, D, "Flat", METRIC_L2), "index_factory");
    check(faiss_Index_add(t->index, ADD, vectors), "add");
}

static void train(struct thread *t)
{
    FaissIndex *index = NULL;
    (void)t;
    check(faiss_index_factory(&index, D, "IVF512,Flat", METRIC_L2), "index_factory");
    check(faiss_Index_train(index, VECTORS, vectors), "train");
    faiss_Index_free(index);
}

static void *run(void *arg)
{
    struct thread *t = arg;
    for (;;) {
        pthread_barrier_wait(&barrier);
        if (over)
            break;
        for (t->done = 0; now_ns() < end; t->done++)
            t->call(t);
        pthread_barrier_wait(&barrier);
    }
    faiss_Index_free(t->index);
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*call)(struct thread *);
    } kinds[] = {{"searches", search}, {"adds", add}, {"trainings", train}};
    enum { KINDS = 3 };
    size_t n = 0, count[KINDS];
    if (argc != 6)
        die("crowd FILE SEARCHERS ADDERS TRAINERS SECONDS");
    for (int i = 0; i < KINDS; i++)
        n += count[i] = strtoul(argv[2 + i], NULL, 10);
    struct thread *threads = calloc(n, sizeof(*threads));
    die_if(!threads, "memory");
    vectors = clustered(VECTORS, D, 3);
    check(faiss_read_index_fname(argv[1], 0, &searched), argv[1]);
    pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
    for (size_t i = 0, kind = 0, last = count[0]; i < n; i++) {
        while (i == last)
            last += count[++kind];
        threads[i] = (struct thread){.call = kinds[kind].call, .number = i};
        die_if(pthread_create(&threads[i].id, NULL, run, &threads[i]) != 0, "pthread_create");
    }
    while (turn()) {
        int64_t begin = now_ns();
        end = begin + (int64_t)(atof(argv[5]) * 1e9);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        report("seconds", (double)(now_ns() - begin) / 1e9);
        for (size_t i = 0, kind = 0; kind < KINDS; kind++) {
            size_t done = 0;
            for (size_t last = i + count[kind]; i < last; i++)
                done += threads[i].done;
            report(kinds[kind].name, (double)done);
        }
    }
    over = 1;
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i].id, NULL);
    faiss_Index_free(searched);
    free(threads);
    free(vectors);
    return 0;
}
