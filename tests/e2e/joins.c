/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many small adds, which the shim sends to a remote index together.
 *
 *   joins results         search among them, with several threads and a forked child; print
 *                         checksums
 *   joins named NAME      publish an index and add to it; run `joins look` in another process
 *   joins look NAME       print how many vectors it has
 *   joins memory          add until the server is out of memory; print which call fails, and how
 *                         many vectors there are
 *   joins memory totals   the same, also getting the number of vectors in between
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

enum { D = 16, N = 1200, K = 5, WIDE = 1024 };

static float *x;

static uint64_t found(FaissIndex *index)
{
    float distances[20 * K];
    idx_t labels[20 * K];
    MUST(faiss_Index_search(index, 20, x, K, distances, labels));
    return checksum(distances, sizeof distances) ^ checksum(labels, sizeof labels);
}

static void *look(void *index)
{
    printf(" %llx", (unsigned long long)found(index));
    return NULL;
}

static void check_child(FaissIndex *index, idx_t total)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(faiss_Index_ntotal(index) == total ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    printf(" child %d", status);
}

static void results_of(const char *type, int ids, int forks)
{
    FaissIndex *index;
    pthread_t thread;
    int total = 0, calls = 0;
    MUST(faiss_index_factory(&index, D, type, METRIC_L2));
    MUST(faiss_Index_train(index, N, x));
    printf("%s:", type);
    for (int n = 1; total + n <= N; n = n % 3 + 1) {
        idx_t id[] = {total * 7, total * 7 + 1, total * 7 + 2};
        if (ids)
            MUST(faiss_Index_add_with_ids(index, n, x + total * D, id));
        else
            MUST(faiss_Index_add(index, n, x + total * D));
        total += n;
        if (++calls % 250 == 0) {
            pthread_create(&thread, NULL, look, index);
            pthread_join(thread, NULL);
        }
        if (calls == 333 && forks) /* from here on each add is sent at once */
            check_child(index, total);
    }
    printf(" %llx total %lld of %d\n", (unsigned long long)found(index),
           (long long)faiss_Index_ntotal(index), total);
    faiss_Index_free(index);
}

/* A thread that fills its own index. */
static void *fill_one(void *arg)
{
    FaissIndex *own;
    (void)arg;
    MUST(faiss_index_factory(&own, D, "Flat", METRIC_L2));
    for (int i = 0; i < N; i++)
        MUST(faiss_Index_add(own, 1, x + i * D));
    if (faiss_Index_ntotal(own) != N)
        puts("vectors are missing");
    faiss_Index_free(own);
    return NULL;
}

static void results(void)
{
    pthread_t threads[4];
    x = random_vectors(N, D, 3);
    results_of("Flat", 0, 1);
    results_of("IVF8,Flat", 0, 0);
    results_of("HNSW8", 0, 0);
    results_of("PQ4x4", 0, 0);
    results_of("IDMap,Flat", 1, 0);
    results_of("IVF8,SQ8", 1, 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, fill_one, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void look_at(const char *name)
{
    FaissIndex *index;
    MUST(faiss_read_index_fname(name, 0, &index));
    printf("%lld seen\n", (long long)faiss_Index_ntotal(index));
    faiss_Index_free(index);
}

static void named(const char *program, const char *name)
{
    FaissIndex *index;
    char look[4096];
    x = random_vectors(N, D, 3);
    MUST(faiss_index_factory(&index, D, "Flat", METRIC_L2));
    MUST(faiss_write_index_fname(index, name));
    for (int i = 0; i < 50; i++)
        MUST(faiss_Index_add(index, 1, x + i * D));
    snprintf(look, sizeof look, "%s look %s", program, name);
    if (system(look) != 0)
        puts("`joins look` failed");
    faiss_Index_free(index);
}

/* How many vectors there must be after the error in `text`, if `ok` adds had succeeded before the
 * call that reported it. */
static long left_after(const char *text, long ok, int told_by_add)
{
    unsigned failed, joined;
    const char *at = strstr(text, ", call ");
    if (!at || sscanf(at, ", call %u of %u that were joined", &failed, &joined) != 2)
        return ok;
    return ok + told_by_add - (long)joined + (long)failed - 1;
}

static void memory(int totals)
{
    FaissIndex *index;
    float distances[K];
    idx_t labels[K];
    long ok = 0, want;
    int rc = 0;
    x = random_vectors(1, WIDE, 3);
    MUST(faiss_index_factory(&index, WIDE, "Flat", METRIC_L2));
    while (rc == 0 && ok < 1000000) {
        rc = faiss_Index_add(index, 1, x);
        ok += rc == 0;
        if (totals && rc == 0 && ok % 5 == 0 && faiss_Index_ntotal(index) != ok)
            break; /* ntotal has no error code; the next call must report the error */
    }
    if (totals) {
        printf("add %d, ", rc);
        rc = faiss_Index_search(index, 1, x, K, distances, labels);
        want = left_after(last_error(), ok, 0);
    } else {
        want = left_after(last_error(), ok, 1);
    }
    printf("error %d, %s, ", rc,
           strstr(last_error(), "that were joined") ? "joined" : last_error());
    printf("%s, ", faiss_Index_ntotal(index) == want ? "as many as were told" : "others");
    printf("search %d\n", faiss_Index_search(index, 1, x, K, distances, labels));
    faiss_Index_free(index);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "results") == 0)
        results();
    else if (argc > 2 && strcmp(argv[1], "named") == 0)
        named(argv[0], argv[2]);
    else if (argc > 2 && strcmp(argv[1], "look") == 0)
        look_at(argv[2]);
    else if (argc > 1 && strcmp(argv[1], "memory") == 0)
        memory(argc > 2);
    free(x);
    return 0;
}
