/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to a published index, with and without a data directory.  A worker (see bench.h).
 *
 *     durable write FILE BATCH [N]    no FAISS: N times, write the bytes of BATCH vectors to FILE
 *                                     and call fdatasync
 *     durable add NAME BATCH [N]      N calls that add BATCH vectors to the index faissx://NAME,
 *                                     which is made if it does not exist, or, if NAME is "-", to
 *                                     an index without a name
 *     durable many NAME THREADS SECONDS
 *                                     threads that each add one vector per call
 *     durable fill NAME VECTORS KEY   no turns: publishes an index with so many vectors
 *     durable first NAME FILE         no turns: the time of the first search in faissx://NAME, or
 *                                     of reading FILE and a search if NAME is "-"
 *
 * Vectors have 128 dimensions.
 */
#include <fcntl.h>
#include <pthread.h>

#include "bench.h"
#include "faiss_c_compat.h"

enum { D = 128, FILL = 50000 };

static void check(int status, const char *what)
{
    if (status != 0)
        die("%s: %s", what, faiss_get_last_error());
}

static FaissIndex *open_index(const char *name)
{
    char path[256];
    FaissIndex *index = NULL;
    snprintf(path, sizeof path, "faissx://%s", name);
    int nameless = strcmp(name, "-") == 0;
    if (!nameless && faiss_read_index_fname(path, 0, &index) == 0)
        return index;
    check(faiss_index_factory(&index, D, "Flat", METRIC_L2), "index_factory");
    if (!nameless)
        check(faiss_write_index_fname(index, path), path);
    return index;
}

static void report_rate(int64_t ns, size_t bytes)
{
    report("mb_per_second", (double)bytes * 1e3 / (double)ns);
}

static void write_turns(const char *path, size_t batch, int n)
{
    float *x = clustered(batch, D, 1);
    size_t bytes = batch * D * sizeof *x;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    die_if(fd < 0, path);
    while (turn()) {
        int64_t start = now_ns();
        for (int i = 0; i < n; i++) {
            die_if(write(fd, x, bytes) != (ssize_t)bytes, "write");
            die_if(fdatasync(fd) != 0, "fdatasync");
        }
        report_rate(now_ns() - start, bytes * (size_t)n);
    }
    free(x);
}

static void add_turns(const char *name, size_t batch, int n)
{
    float *x = clustered(batch, D, 1);
    int64_t *ns = need((size_t)n * sizeof *ns);
    FaissIndex *index = open_index(name);
    while (turn()) {
        int64_t start = now_ns(), last = start;
        for (int i = 0; i < n; i++) {
            check(faiss_Index_add(index, (idx_t)batch, x), "add");
            int64_t now = now_ns();
            ns[i] = now - last;
            last = now;
        }
        report_rate(last - start, batch * D * sizeof *x * (size_t)n);
        report_times("", ns, (size_t)n);
    }
    free(ns);
    free(x);
}

struct adder {
    pthread_t thread;
    FaissIndex *index;
    int64_t end;
    size_t n;
};

static void *add_until(void *arg)
{
    struct adder *a = arg;
    float *x = clustered(1, D, 1);
    for (; now_ns() < a->end; a->n++)
        check(faiss_Index_add(a->index, 1, x), "add");
    free(x);
    return NULL;
}

static void many_turns(const char *name, int threads, double seconds)
{
    struct adder *all = need((size_t)threads * sizeof *all);
    FaissIndex *index = open_index(name);
    while (turn()) {
        int64_t start = now_ns();
        size_t n = 0;
        for (int i = 0; i < threads; i++) {
            all[i] = (struct adder){.index = index, .end = start + (int64_t)(seconds * 1e9)};
            die_if(pthread_create(&all[i].thread, NULL, add_until, &all[i]) != 0, "thread");
        }
        for (int i = 0; i < threads; i++) {
            pthread_join(all[i].thread, NULL);
            n += all[i].n;
        }
        report("adds", (double)n);
        report("per_second", (double)n * 1e9 / (double)(now_ns() - start));
    }
    free(all);
}

static void fill(const char *name, size_t vectors, const char *key)
{
    char path[256];
    FaissIndex *index = NULL;
    snprintf(path, sizeof path, "faissx://%s", name);
    check(faiss_index_factory(&index, D, key, METRIC_L2), key);
    for (size_t at = 0; at < vectors; at += FILL) {
        size_t n = vectors - at < FILL ? vectors - at : FILL;
        float *x = clustered(n, D, at + 1);
        if (at == 0)
            check(faiss_Index_train(index, (idx_t)n, x), "train");
        check(faiss_Index_add(index, (idx_t)n, x), "add");
        free(x);
    }
    check(faiss_write_index_fname(index, path), path);
}

static void first(const char *name, const char *file)
{
    char path[256];
    FaissIndex *index = NULL;
    float x[D] = {0}, distance;
    idx_t label;
    snprintf(path, sizeof path, "faissx://%s", name);
    int64_t start = now_ns();
    check(faiss_read_index_fname(strcmp(name, "-") == 0 ? file : path, 0, &index), path);
    check(faiss_Index_search(index, 1, x, 1, &distance, &label), "search");
    report("seconds", (double)(now_ns() - start) / 1e9);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (argc < 4)
        die("see the beginning of bench/durable.c");
    size_t number = strtoul(argv[3], NULL, 10);
    int n = argc > 4 ? atoi(argv[4]) : 100;
    if (strcmp(what, "write") == 0)
        write_turns(argv[2], number, n);
    else if (strcmp(what, "add") == 0)
        add_turns(argv[2], number, n);
    else if (strcmp(what, "many") == 0)
        many_turns(argv[2], (int)number, argc > 4 ? atof(argv[4]) : 1);
    else if (strcmp(what, "fill") == 0)
        fill(argv[2], number, argc > 4 ? argv[4] : "Flat");
    else if (strcmp(what, "first") == 0)
        first(argv[2], argv[3]);
    else
        die("no such measurement: %s", what);
    return 0;
}
