/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user of FAISS that passes large arrays more than once, as upload.t asks:
 *
 *     upload flat      train a Flat index
 *     upload odd       train a Flat index of a metric that FAISS does not know
 *     upload same      train an index, and add the same vectors
 *     upload other     add other vectors
 *     upload little    add vectors of which one number is another one
 *     upload copy      add a copy of the vectors
 *     upload queries   search for the same queries three times
 *     upload batches   five different batches, in the same memory
 *
 * Prints what the index then has, and whether it is what was added.
 */
#include "client.h"

enum {
    D = 16,
    N = 400000,
    NQ = 100000,
    SOME = 2000,
    ODD = 5 * 4096 + 77 /* number in no page of a sample */
};

static void check(int rc, const char *what)
{
    if (rc) {
        printf("%s: %d %s\n", what, rc, last_error());
        exit(1);
    }
}

static FaissIndex *index_of(const char *description)
{
    FaissIndex *index = NULL;
    check(faiss_index_factory(&index, D, description, METRIC_L2), "factory");
    return index;
}

static int differ(const FaissIndex *index, idx_t at, const float *x)
{
    static float have[SOME * D];
    check(faiss_Index_reconstruct_n(index, at, SOME, have), "reconstruct_n");
    return memcmp(have, x, sizeof have) != 0;
}

/* Are the first and the last of the vectors from number `first` those of x? */
static void compare(FaissIndex *index, idx_t first, const float *x)
{
    FaissIndexIVF *ivf = faiss_IndexIVF_cast(index);
    if (ivf)
        check(faiss_IndexIVF_make_direct_map(ivf, 1), "direct map");
    int wrong = differ(index, first, x) || differ(index, first + N - SOME, x + (N - SOME) * D);
    printf("%lld vectors, %s\n", (long long)faiss_Index_ntotal(index),
           wrong ? "others than were added" : "as added");
}

static void train_and_add(const char *what, float *x)
{
    FaissIndex *index = index_of("IVF4,Flat");
    float *y = x;
    check(faiss_Index_train(index, N, x), "train");
    if (strcmp(what, "other") == 0)
        y = random_vectors(N, D, 2);
    if (strcmp(what, "copy") == 0)
        y = memcpy(malloc(N * D * sizeof *y), x, N * D * sizeof *y);
    if (strcmp(what, "little") == 0)
        x[ODD] += 1;
    check(faiss_Index_add(index, N, y), "add");
    compare(index, 0, y);
    faiss_Index_free(index);
    if (y != x)
        free(y);
}

static void flat(const float *x)
{
    FaissIndex *index = index_of("Flat");
    check(faiss_Index_train(index, N, x), "train");
    printf("%d\n", faiss_Index_is_trained(index));
    faiss_Index_free(index);
}

/* What is known of FAISS's classes does not tell what it does here. */
static void odd(const float *x)
{
    FaissIndexFlat *index = NULL;
    check(faiss_IndexFlat_new_with(&index, D, -5), "new_with");
    check(faiss_Index_train(index, N, x), "train");
    printf("%d\n", faiss_Index_is_trained(index));
    faiss_Index_free(index);
}

static void queries(const float *x)
{
    FaissIndex *index = index_of("Flat");
    float *distances = malloc(NQ * sizeof *distances);
    idx_t *labels = malloc(NQ * sizeof *labels);
    check(faiss_Index_add(index, 10, x), "add");
    for (int i = 0; i < 3; i++) {
        double sum = 0;
        check(faiss_Index_search(index, NQ, x + D, 1, distances, labels), "search");
        for (size_t k = 0; k < NQ; k++)
            sum += distances[k] + (double)labels[k];
        printf("%g\n", sum);
    }
    free(labels);
    free(distances);
    faiss_Index_free(index);
}

static void batches(float *x)
{
    FaissIndex *index = index_of("Flat");
    for (int i = 0; i < 5; i++) {
        for (size_t k = 0; k < (size_t)N * D; k += 7)
            x[k] += 1;
        check(faiss_Index_add(index, N, x), "add");
        compare(index, (idx_t)i * N, x);
    }
    faiss_Index_free(index);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "same";
    float *x = random_vectors(N, D, 1);
    if (strcmp(what, "flat") == 0)
        flat(x);
    else if (strcmp(what, "odd") == 0)
        odd(x);
    else if (strcmp(what, "queries") == 0)
        queries(x);
    else if (strcmp(what, "batches") == 0)
        batches(x);
    else
        train_and_add(what, x);
    free(x);
    return 0;
}
