/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads index files, and changes what it has read.  Executes commands, one per line, from its
 * arguments or else from its standard input, and answers each with a line: the command and its
 * result.  I is the number of an index, 0 to 9; numbers from 5 on are binary indexes.
 *
 *     make PATH N DESCRIPTION   writes an index of N vectors; DESCRIPTION may be `binary`
 *     read I PATH               by its name
 *     flags I FLAGS PATH        the same, with io_flags
 *     stream I PATH             from a FILE, and prints where it stands then
 *     search I                  a checksum of the results
 *     add I N, drop I N, reset I
 *     nprobe I N                of an IVF index, through a cast
 *     part I N                  of the IVF index in an IndexPreTransform, which is borrowed
 *     inside I                  puts it into an IndexIDMap, and adds a vector to that
 *     own I N                   sets own_fields of an IVF index
 *     write I PATH, free I
 *     both I J                  adds to I and J at the same time, from two threads
 *     written                   prints how many bytes the process has written to files
 *     abort                     ends without saying bye
 */
#include <pthread.h>
#include <signal.h>

#include "client.h"

enum { D = 16, INDEXES = 10, BINARY = 5, QUERIES = 10, K = 5 };

/* 1.7.1 does not have these. */
#pragma weak faiss_IndexBinary_add
#pragma weak faiss_IndexBinary_free
#pragma weak faiss_IndexBinary_search
#pragma weak faiss_read_index_binary
#pragma weak faiss_read_index_binary_fname
#pragma weak faiss_write_index_binary_fname

static void *indexes[INDEXES];
static int binary[INDEXES]; /* is it a binary index? */

static void result(int rc)
{
    if (rc)
        printf("%d %s\n", rc, last_error());
    else
        printf("ok\n");
}

static uint8_t *random_codes(size_t n, uint32_t seed)
{
    float *x = random_vectors(n, D / 8, seed);
    uint8_t *codes = malloc(n * D / 8);
    if (!codes)
        abort();
    for (size_t i = 0; i < n * D / 8; i++)
        codes[i] = (uint8_t)(x[i] * 255);
    free(x);
    return codes;
}

/* FAISS's format of an IndexBinaryFlat: the C API of most releases cannot make one. */
static int make_binary(const char *path, size_t n)
{
    uint8_t *codes = random_codes(n, 1), trained = 1;
    int32_t d = D, code_size = D / 8, metric = METRIC_L2;
    int64_t ntotal = (int64_t)n;
    uint64_t bytes = n * D / 8;
    FILE *f = fopen(path, "wb");
    if (!f || fwrite("IBxF", 4, 1, f) != 1 || fwrite(&d, sizeof d, 1, f) != 1 ||
        fwrite(&code_size, sizeof code_size, 1, f) != 1 ||
        fwrite(&ntotal, sizeof ntotal, 1, f) != 1 || fwrite(&trained, 1, 1, f) != 1 ||
        fwrite(&metric, sizeof metric, 1, f) != 1 || fwrite(&bytes, sizeof bytes, 1, f) != 1 ||
        fwrite(codes, bytes, 1, f) != 1 || fclose(f) != 0)
        abort();
    free(codes);
    return 0;
}

static int make(const char *path, size_t n, const char *description)
{
    FaissIndex *index = NULL;
    if (strcmp(description, "binary") == 0)
        return make_binary(path, n);
    float *x = random_vectors(n, D, 1);
    int rc = faiss_index_factory(&index, D, description, METRIC_L2);
    if (!rc)
        rc = faiss_Index_train(index, 5000, x);
    if (!rc)
        rc = faiss_Index_add(index, (idx_t)n, x);
    if (!rc)
        rc = faiss_write_index_fname(index, path);
    faiss_Index_free(index);
    free(x);
    return rc;
}

static int read_it(int i, const char *path, int flags)
{
    return !binary[i]
               ? faiss_read_index_fname(path, flags, (FaissIndex **)&indexes[i])
               : faiss_read_index_binary_fname(path, flags, (FaissIndexBinary **)&indexes[i]);
}

static void stream(int i, const char *path)
{
    FILE *f = fopen(path, "rb");
    int rc = !f           ? -1
             : !binary[i] ? faiss_read_index(f, 0, (FaissIndex **)&indexes[i])
                          : faiss_read_index_binary(f, 0, (FaissIndexBinary **)&indexes[i]);
    if (rc)
        result(rc);
    else
        printf("ok at %ld\n", ftell(f));
    if (f)
        fclose(f);
}

static void search(int i)
{
    float distances[QUERIES * K];
    int32_t bits[QUERIES * K];
    idx_t labels[QUERIES * K];
    int rc;
    if (!binary[i]) {
        float *x = random_vectors(QUERIES, D, 7);
        rc = faiss_Index_search(indexes[i], QUERIES, x, K, distances, labels);
        free(x);
    } else {
        uint8_t *x = random_codes(QUERIES, 7);
        rc = faiss_IndexBinary_search(indexes[i], QUERIES, x, K, bits, labels);
        free(x);
    }
    if (rc)
        result(rc);
    else
        printf("found %llx\n",
               (unsigned long long)(checksum(!binary[i] ? (void *)distances : (void *)bits,
                                             sizeof bits) ^
                                    checksum(labels, sizeof labels)));
}

static int add(int i, size_t n)
{
    int rc;
    if (!binary[i]) {
        float *x = random_vectors(n, D, 7);
        rc = faiss_Index_add(indexes[i], (idx_t)n, x);
        free(x);
    } else {
        uint8_t *x = random_codes(n, 7);
        rc = faiss_IndexBinary_add(indexes[i], (idx_t)n, x);
        free(x);
    }
    return rc;
}

static int drop(int i, int n)
{
    FaissIDSelectorRange *sel = NULL;
    size_t removed = 0;
    int rc = faiss_IDSelectorRange_new(&sel, 0, n);
    if (!rc)
        rc = faiss_Index_remove_ids(indexes[i], (FaissIDSelector *)sel, &removed);
    faiss_IDSelector_free((FaissIDSelector *)sel);
    return rc;
}

static int inside(int i)
{
    FaissIndexIDMap *map = NULL;
    float *x = random_vectors(1, D, 7);
    idx_t id = 77;
    MUST(faiss_Index_reset(indexes[i]));
    int rc = faiss_IndexIDMap_new(&map, indexes[i]);
    if (!rc)
        rc = faiss_Index_add_with_ids((FaissIndex *)map, 1, x, &id);
    faiss_Index_free((FaissIndex *)map);
    free(x);
    return rc;
}

static void *add_one(void *number)
{
    return add((int)(intptr_t)number, 3) ? number : NULL;
}

static int both(int i, int j)
{
    pthread_t t;
    void *failed = NULL;
    if (pthread_create(&t, NULL, add_one, (void *)(intptr_t)i))
        abort();
    int rc = add_one((void *)(intptr_t)j) != NULL;
    pthread_join(t, &failed);
    return rc || failed ? -1 : 0;
}

/* Runs one command, given its first word, its number and the rest of its text. */
static void run(const char *what, int i, const char *rest)
{
    int n = atoi(rest);
    if (strcmp(what, "read") == 0) {
        result(read_it(i, rest, 0));
    } else if (strcmp(what, "flags") == 0) {
        result(read_it(i, strchr(rest, ' ') + 1, n));
    } else if (strcmp(what, "stream") == 0) {
        stream(i, rest);
    } else if (strcmp(what, "search") == 0) {
        search(i);
    } else if (strcmp(what, "add") == 0) {
        result(add(i, (size_t)n));
    } else if (strcmp(what, "drop") == 0) {
        result(drop(i, n));
    } else if (strcmp(what, "reset") == 0) {
        result(faiss_Index_reset(indexes[i]));
    } else if (strcmp(what, "nprobe") == 0) {
        faiss_IndexIVF_set_nprobe(faiss_IndexIVF_cast(indexes[i]), (size_t)n);
        result(0);
    } else if (strcmp(what, "part") == 0) {
        FaissIndex *part = faiss_IndexPreTransform_index(faiss_IndexPreTransform_cast(indexes[i]));
        faiss_IndexIVF_set_nprobe(faiss_IndexIVF_cast(part), (size_t)n);
        result(0);
    } else if (strcmp(what, "inside") == 0) {
        result(inside(i));
    } else if (strcmp(what, "own") == 0) {
        faiss_IndexIVF_set_own_fields(faiss_IndexIVF_cast(indexes[i]), n);
        result(0);
    } else if (strcmp(what, "both") == 0) {
        result(both(i, n % INDEXES));
    } else if (strcmp(what, "write") == 0) {
        result(!binary[i] ? faiss_write_index_fname(indexes[i], rest)
                          : faiss_write_index_binary_fname(indexes[i], rest));
    } else if (strcmp(what, "free") == 0) {
        if (!binary[i])
            faiss_Index_free(indexes[i]);
        else if (faiss_IndexBinary_free)
            faiss_IndexBinary_free(indexes[i]);
        result(0);
    } else {
        printf("no such command\n");
    }
}

static void print_written(void)
{
    char line[100];
    unsigned long long bytes = 0;
    FILE *f = fopen("/proc/self/io", "r");
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "wchar: %llu", &bytes);
    if (f)
        fclose(f);
    printf("%llu\n", bytes);
}

static void command(const char *line)
{
    char what[16] = "", path[256] = "", rest[256] = "";
    size_t n = 0;
    int i = 0;
    printf("%s: ", line);
    sscanf(line, "%15s", what);
    if (strcmp(what, "make") == 0) {
        sscanf(line, "%*s %255s %zu %255s", path, &n, rest);
        result(make(path, n, rest));
    } else if (strcmp(what, "written") == 0) {
        print_written();
    } else if (strcmp(what, "abort") == 0) {
        raise(SIGKILL);
    } else {
        sscanf(line, "%*s %d %255[^\n]", &i, rest);
        run(what, i >= 0 && i < INDEXES ? i : 0, rest);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[512];
    for (int i = BINARY; i < INDEXES; i++)
        binary[i] = 1;
    for (int i = 1; i < argc; i++)
        command(argv[i]);
    while (argc == 1 && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        command(line);
    }
    return 0;
}
