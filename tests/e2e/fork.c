/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork() before and after the first use, with one thread and with several; parent and child both
 * continue.  Each process prints a line for each result.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

enum { D = 8, N = 100 };

static float *x;
static atomic_int stop;

static void line(const char *who, const char *what, long long value)
{
    printf("%s: %s %lld\n", who, what, value);
    fflush(stdout);
}

static FaissIndex *make(int n)
{
    FaissIndex *index = NULL;
    MUST(faiss_index_factory(&index, D, "Flat", METRIC_L2));
    MUST(faiss_Index_add(index, n, x));
    return index;
}

static long long nearest(FaissIndex *index, int i)
{
    float distance = 0;
    idx_t label = -1;
    MUST(faiss_Index_search(index, 1, x + i * D, 1, &distance, &label));
    return label;
}

/* Creates, searches and frees an index, in a process that may have used the library before. */
static void alone(const char *who, int n)
{
    FaissIndex *index = make(n);
    line(who, "made", faiss_Index_ntotal(index));
    line(who, "found", nearest(index, n - 1));
    faiss_Index_free(index);
}

static void wait_child(const char *who)
{
    int status = -1;
    wait(&status);
    line(who, "its child ended with", status);
}

static void *busy(void *arg)
{
    FaissIndex *index = make(N);
    while (!stop)
        if (nearest(index, 3) != 3)
            line("thread", "found something wrong", 0);
    faiss_Index_free(index);
    return arg;
}

static void *adds(void *arg)
{
    while (!stop)
        MUST(faiss_Index_add(arg, 1, x));
    return NULL;
}

/* The children use the index that another thread of their parent adds to. */
static void beside_adds(int rounds)
{
    FaissIndex *index = make(30);
    pthread_t t;
    int bad = 0, status;
    stop = 0;
    pthread_create(&t, NULL, adds, index);
    for (int i = 0; i < 5 * rounds; i++) {
        if (fork() == 0) {
            alarm(30);
            _exit(nearest(index, 7) == 7 && nearest(index, 8) == 8 ? 0 : 3);
        }
        wait(&status);
        bad += status != 0;
    }
    stop = 1;
    pthread_join(t, NULL);
    line("parent that adds", "children that did not end well", bad);
    faiss_Index_free(index);
}

int main(void)
{
    pthread_t t;
    fflush(stdout);
    x = random_vectors(N, D, 1);

    if (fork() == 0) {
        alone("child before use", 10);
        _exit(0);
    }
    alone("parent", 20);
    wait_child("parent");

    FaissIndex *index = make(30), *freed = make(5);
    if (fork() == 0) {
        /* The child may use the parent's objects; freeing them has no effect. */
        line("child after use", "sees", faiss_Index_ntotal(index));
        line("child after use", "found", nearest(index, 7));
        faiss_Index_free(freed);
        faiss_Index_free(index);
        alone("child after use", 40);
        if (fork() == 0) {
            alone("grandchild", 50);
            exit(0);
        }
        wait_child("child after use");
        exit(0);
    }
    for (int i = 0; i < 50; i++)
        if (nearest(index, i % 30) != i % 30)
            line("parent", "found something wrong for", i);
    wait_child("parent");
    line("parent", "still has", faiss_Index_ntotal(index));
    line("parent", "and", faiss_Index_ntotal(freed));

    /* In the child of a threaded process, a sanitizer's allocator may stay locked for ever. */
    int rounds = getenv("FORK_WITHOUT_THREADS") ? 0 : 10;
    pthread_create(&t, NULL, busy, NULL);
    for (int i = 0; i < rounds; i++) {
        if (fork() == 0) {
            FaissIndex *mine = make(60);
            int ok = nearest(mine, 59) == 59 && nearest(index, 7) == 7;
            faiss_Index_free(mine);
            _exit(ok ? 0 : 3);
        }
        if (nearest(index, 8) != 8)
            line("parent", "found something wrong beside", i);
        wait_child("parent with threads");
    }
    stop = 1;
    pthread_join(t, NULL);
    beside_adds(rounds);
    line("parent", "still has", faiss_Index_ntotal(index));
    faiss_Index_free(index);
    faiss_Index_free(freed);
    free(x);
    return 0;
}
