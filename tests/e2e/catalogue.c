/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user of the C API that shares an index with clients of the catalogue, and keeps what it sees as
 * files, to be compared.
 *
 *     catalogue numbers N D SEED FILE      N vectors of D float32
 *     catalogue ids N FIRST FILE           N int64: FIRST, FIRST + 1, ...
 *     catalogue build PATH DESCRIPTION     make an index of dimension 16 as the test does: trained
 *                                          with 400 vectors, with 300 vectors; ids from 1000 if it
 *                                          has ids
 *     catalogue add PATH N SEED            add N vectors
 *     catalogue total PATH                 print how many there are
 *     catalogue trained PATH               print whether it is trained
 *     catalogue train PATH N               train it with N vectors
 *     catalogue parameters PATH TEXT       set parameters of a FaissParameterSpace
 *     catalogue remove PATH ID             remove a vector as FAISS does
 *     catalogue cast PATH                  cast it to an IndexFlat, train it, and use what the cast
 *                                          gave
 *     catalogue search PATH N K NPROBE OUT N queries; OUT.1 are the distances, OUT.2 the labels;
 *                                          NPROBE 0: as the index is
 *     catalogue range PATH N RADIUS OUT    OUT.1 are the limits, OUT.2 the labels, OUT.3 distances
 *     catalogue vector PATH ID OUT         OUT.1 is the vector
 *     catalogue example PATH               what docs/examples/client.py does and prints, but for
 * PATH
 *
 * PATH is a file or faissx://NAME.
 */
#include "client.h"

enum { D = 16, TRAINED = 400, ADDED = 300, FIRST_ID = 1000 };

static void write_file(const char *path, const char *end, const void *data, size_t size)
{
    char name[4096];
    snprintf(name, sizeof name, "%s%s", path, end);
    FILE *f = fopen(name, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) {
        perror(name);
        exit(1);
    }
}

static FaissIndex *open_index(const char *path)
{
    FaissIndex *index = NULL;
    MUST(faiss_read_index_fname(path, 0, &index));
    return index;
}

static int64_t *count(size_t n, int64_t first)
{
    int64_t *ids = malloc(n * sizeof *ids + 1);
    if (!ids)
        abort();
    for (size_t i = 0; i < n; i++)
        ids[i] = first + (int64_t)i;
    return ids;
}

static void build(const char *path, const char *description)
{
    FaissIndex *index = NULL;
    float *learn = random_vectors(TRAINED, D, 3), *x = random_vectors(ADDED, D, 1);
    int64_t *ids = count(ADDED, FIRST_ID);
    MUST(faiss_index_factory(&index, D, description, METRIC_L2));
    if (!faiss_Index_is_trained(index))
        MUST(faiss_Index_train(index, TRAINED, learn));
    if (strncmp(description, "IDMap", 5) == 0)
        MUST(faiss_Index_add_with_ids(index, ADDED, x, ids));
    else
        MUST(faiss_Index_add(index, ADDED, x));
    MUST(faiss_write_index_fname(index, path));
    faiss_Index_free(index);
    free(learn);
    free(x);
    free(ids);
}

static void search(FaissIndex *index, size_t n, size_t k, int nprobe, const char *out)
{
    float *x = random_vectors(n, (size_t)faiss_Index_d(index), 7),
          *dis = malloc(n * k * sizeof *dis);
    int64_t *ids = malloc(n * k * sizeof *ids);
    FaissParameterSpace *space = NULL;
    if (!dis || !ids)
        abort();
    MUST(faiss_ParameterSpace_new(&space));
    if (nprobe)
        MUST(faiss_ParameterSpace_set_index_parameter(space, index, "nprobe", nprobe));
    MUST(faiss_Index_search(index, (idx_t)n, x, (idx_t)k, dis, ids));
    write_file(out, ".1", dis, n * k * sizeof *dis);
    write_file(out, ".2", ids, n * k * sizeof *ids);
    faiss_ParameterSpace_free(space);
    free(x);
    free(dis);
    free(ids);
}

static void range(FaissIndex *index, size_t n, float radius, const char *out)
{
    float *x = random_vectors(n, (size_t)faiss_Index_d(index), 7), *dis = NULL;
    size_t *limits = NULL;
    int64_t *ids = NULL;
    FaissRangeSearchResult *result = NULL;
    MUST(faiss_RangeSearchResult_new(&result, (idx_t)n));
    MUST(faiss_Index_range_search(index, (idx_t)n, x, radius, result));
    faiss_RangeSearchResult_lims(result, &limits);
    faiss_RangeSearchResult_labels(result, &ids, &dis);
    write_file(out, ".1", limits, (n + 1) * sizeof *limits);
    write_file(out, ".2", ids, limits[n] * sizeof *ids);
    write_file(out, ".3", dis, limits[n] * sizeof *dis);
    faiss_RangeSearchResult_free(result);
    free(x);
}

/* The index is a flat one until it is trained. */
static void cast_and_train(FaissIndex *index)
{
    float *x = random_vectors(TRAINED, D, 3), *stored = NULL, distance;
    size_t size = 0;
    idx_t label;
    FaissIndexFlat *flat = faiss_IndexFlat_cast(index);
    printf("%s", flat ? "flat" : "not flat");
    if (flat)
        faiss_IndexFlat_xb(flat, &stored, &size);
    printf(" %zu", size);
    MUST(faiss_Index_train(index, TRAINED, x));
    size = 0;
    if (flat)
        faiss_IndexFlat_xb(flat, &stored, &size);
    printf(", then %s %zu", faiss_IndexFlat_cast(index) ? "flat" : "not flat", size);
    MUST(faiss_Index_search(index, 1, x, 1, &distance, &label));
    printf(", %lld\n", (long long)faiss_Index_ntotal(index));
    free(x);
}

static void vector(FaissIndex *index, int64_t id, const char *out)
{
    size_t size = (size_t)faiss_Index_d(index) * sizeof(float);
    float *x = malloc(size);
    if (!x)
        abort();
    MUST(faiss_Index_reconstruct(index, id, x));
    write_file(out, ".1", x, size);
    free(x);
}

static void example(void)
{
    enum { DIM = 8, ROWS = 1000, QUERIES = 3, K = 4 };
    FaissIndex *index = NULL;
    float *x = random_vectors(ROWS, DIM, 1), dis[QUERIES * K];
    int64_t *ids = count(ROWS, 5000), labels[QUERIES * K];
    for (int64_t i = 0; i < ROWS * DIM; i++)
        x[i] = (float)((double)(i * i % 8009) / 8009);
    MUST(faiss_index_factory(&index, DIM, "IDMap2,Flat", METRIC_L2));
    MUST(faiss_Index_add_with_ids(index, ROWS, x, ids));
    MUST(faiss_Index_search(index, QUERIES, x, K, dis, labels));
    for (int q = 0; q < QUERIES; q++) {
        printf("%d", q);
        for (int k = 0; k < K; k++)
            printf(" %lld:%.6f", (long long)labels[q * K + k], dis[q * K + k]);
        puts("");
    }
    faiss_Index_free(index);
    free(x);
    free(ids);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    size_t n = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    if (strcmp(what, "numbers") == 0 && argc == 6) {
        size_t count = strtoull(argv[2], NULL, 10);
        float *x = random_vectors(count, n, (uint32_t)atoi(argv[4]));
        write_file(argv[5], "", x, count * n * sizeof *x);
        free(x);
        return 0;
    }
    if (strcmp(what, "ids") == 0 && argc == 5) {
        size_t all = strtoull(argv[2], NULL, 10);
        int64_t *ids = count(all, (int64_t)n);
        write_file(argv[4], "", ids, all * sizeof *ids);
        free(ids);
        return 0;
    }
    if (strcmp(what, "build") == 0 && argc == 4) {
        build(argv[2], argv[3]);
        return 0;
    }
    if (strcmp(what, "example") == 0) {
        example();
        return 0;
    }
    FaissIndex *index = argc > 2 ? open_index(argv[2]) : NULL;
    if (strcmp(what, "add") == 0 && argc == 5) {
        float *x = random_vectors(n, (size_t)faiss_Index_d(index), (uint32_t)atoi(argv[4]));
        MUST(faiss_Index_add(index, (idx_t)n, x));
        free(x);
    } else if (strcmp(what, "total") == 0 && argc == 3) {
        printf("%lld\n", (long long)faiss_Index_ntotal(index));
    } else if (strcmp(what, "trained") == 0 && argc == 3) {
        printf("%d\n", faiss_Index_is_trained(index));
    } else if (strcmp(what, "cast") == 0 && argc == 3) {
        cast_and_train(index);
    } else if (strcmp(what, "train") == 0 && argc == 4) {
        float *x = random_vectors(n, (size_t)faiss_Index_d(index), 3);
        MUST(faiss_Index_train(index, (idx_t)n, x));
        free(x);
    } else if (strcmp(what, "parameters") == 0 && argc == 4) {
        FaissParameterSpace *space;
        MUST(faiss_ParameterSpace_new(&space));
        MUST(faiss_ParameterSpace_set_index_parameters(space, index, argv[3]));
        faiss_ParameterSpace_free(space);
    } else if (strcmp(what, "search") == 0 && argc == 7) {
        search(index, n, strtoull(argv[4], NULL, 10), atoi(argv[5]), argv[6]);
    } else if (strcmp(what, "range") == 0 && argc == 6) {
        range(index, n, strtof(argv[4], NULL), argv[5]);
    } else if (strcmp(what, "remove") == 0 && argc == 4) {
        FaissIDSelectorBatch *selector = NULL;
        idx_t id = (idx_t)n;
        size_t removed = 0;
        MUST(faiss_IDSelectorBatch_new(&selector, 1, &id));
        MUST(faiss_Index_remove_ids(index, (FaissIDSelector *)selector, &removed));
        faiss_IDSelector_free((FaissIDSelector *)selector);
        printf("%zu\n", removed);
    } else if (strcmp(what, "vector") == 0 && argc == 5) {
        vector(index, (int64_t)n, argv[4]);
    } else {
        return 2;
    }
    faiss_Index_free(index);
    return 0;
}
