/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads search one Flat index at once; then one thread searches for many queries, which an
 * engine splits among its cores, and for several, with which idle workers help.  Prints checksums
 * of the bits of all results for each metric, dimension and k.  Half of the vectors are copies of
 * others and half of the queries are vectors of the index, so that there are ties.
 *
 *   coalesce THREADS [FILE]        also write the results to FILE
 *   coalesce wide                  find vectors with more threads than queries for each
 *   coalesce ranges                only range searches
 *   coalesce compare FILE FILE     check that two files are equal except for rounding
 */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faiss_c_compat.h"

enum { NB = 20000, EACH = 12, MAX_THREADS = 64, MAX_K = 120, MANY = 151 };

static struct {
    FaissIndex *index;
    const float *xb;
    size_t n; /* vectors in the index */
    int d, k;
} job;

/* The results of one search. */
struct found {
    int k;
    float dis[MAX_K];
    idx_t ids[MAX_K];
};

static FILE *results;

static uint64_t sum_of(const void *data, size_t n, uint64_t h)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

struct thread {
    pthread_t id;
    uint64_t number, sum;
    struct found found[EACH];
};

static void *search(void *arg)
{
    struct thread *t = arg;
    float x[256];
    t->sum = 0xcbf29ce484222325u;
    for (uint64_t i = 0; i < EACH; i++) {
        struct found *f = &t->found[i];
        f->k = job.k - (job.k > 1 && t->number % 3 == 0); /* not all use the same k */
        memcpy(x, job.xb + (t->number * 977 + i * 131) % job.n * (size_t)job.d,
               (size_t)job.d * sizeof *x);
        if (i % 2)
            x[i] += 0.125f;
        if ((t->number + i) % 7 == 0) /* finds nothing */
            x[i] = i % 3 ? NAN : INFINITY;
        if (faiss_Index_search(job.index, 1, x, f->k, f->dis, f->ids) != 0) {
            fprintf(stderr, "%s\n", faiss_get_last_error());
            exit(1);
        }
        t->sum = sum_of(f->dis, (size_t)f->k * sizeof *f->dis, t->sum);
        t->sum = sum_of(f->ids, (size_t)f->k * sizeof *f->ids, t->sum);
    }
    return NULL;
}

static uint64_t search_many(idx_t queries)
{
    size_t n = (size_t)queries * (size_t)job.k;
    float *dis = malloc(n * sizeof *dis);
    idx_t *ids = malloc(n * sizeof *ids);
    if (!dis || !ids || faiss_Index_search(job.index, queries, job.xb, job.k, dis, ids) != 0) {
        fprintf(stderr, "%s\n", faiss_get_last_error());
        exit(1);
    }
    uint64_t sum = sum_of(dis, n * sizeof *dis, sum_of(ids, n * sizeof *ids, 0));
    free(dis);
    free(ids);
    return sum;
}

/* Calls of so few queries that FAISS does not use BLAS: idle workers of an engine help. */
static uint64_t search_several(void)
{
    uint64_t sum = 0;
    for (idx_t n = 2; n < 20; n++) {
        uint64_t one = search_many(n);
        sum = sum_of(&one, sizeof one, sum);
    }
    return sum;
}

static float *random_vectors(size_t n, int d)
{
    uint32_t s = 1;
    float *xb = malloc(n * (size_t)d * sizeof *xb);
    for (size_t i = 0; xb && i < n * (size_t)d; i++) {
        s = s * 1664525u + 1013904223u;
        xb[i] = (float)(s >> 16) / 65536;
    }
    return xb;
}

/* All lists are searched, so that the result does not depend on the training. */
static void run_ivf(void)
{
    enum { D = 32, NLIST = 16 };
    float *xb = random_vectors(NB, D);
    if (!xb || faiss_index_factory(&job.index, D, "IVF16,Flat", METRIC_L2) != 0 ||
        faiss_Index_train(job.index, NB, xb) != 0 || faiss_Index_add(job.index, NB, xb) != 0) {
        fprintf(stderr, "%s\n", faiss_get_last_error());
        exit(1);
    }
    faiss_IndexIVF_set_nprobe(faiss_IndexIVF_cast(job.index), NLIST);
    job.xb = xb;
    job.n = NB;
    job.d = D;
    job.k = 10;
    printf("IVF16,Flat %016llx\n", (unsigned long long)search_several());
    faiss_Index_free(job.index);
    free(xb);
}

/* Searches from many threads.  Returns a checksum of all results. */
static uint64_t search_from_threads(int nthreads)
{
    static struct thread threads[MAX_THREADS];
    uint64_t all = 0;
    for (int i = 0; i < nthreads; i++) {
        memset(&threads[i], 0, sizeof threads[i]);
        threads[i].number = (uint64_t)i;
        pthread_create(&threads[i].id, NULL, search, &threads[i]);
    }
    for (int i = 0; i < nthreads; i++) {
        pthread_join(threads[i].id, NULL);
        all = sum_of(&threads[i].sum, sizeof threads[i].sum, all);
        if (results)
            fwrite(threads[i].found, sizeof threads[i].found, 1, results);
    }
    return all;
}

static void run(int d, FaissMetricType metric, int k, int nthreads)
{
    float *xb = random_vectors(NB, d);
    for (size_t i = 1; xb && i < NB; i += 2)
        memcpy(xb + i * (size_t)d, xb + i / 7 * (size_t)d, (size_t)d * sizeof *xb);
    if (!xb || faiss_index_factory(&job.index, d, "Flat", metric) != 0 ||
        faiss_Index_add(job.index, NB, xb) != 0) {
        fprintf(stderr, "%s\n", faiss_get_last_error());
        exit(1);
    }
    job.xb = xb;
    job.n = NB;
    job.d = d;
    job.k = k;
    printf("d=%d metric=%d k=%d %016llx %016llx", d, (int)metric, k,
           (unsigned long long)search_from_threads(nthreads),
           (unsigned long long)search_many(MANY));
    printf(" %016llx\n", (unsigned long long)search_several());
    faiss_Index_free(job.index);
    free(xb);
}

/* This class is derived from IndexFlat, but keeps the vectors of a batch of 512 in another order.
 */
static void run_panorama(int nthreads)
{
    enum { D = 64, N = 32 * 512 };
    float *xb = random_vectors(NB, D);
    if (!xb || faiss_index_factory(&job.index, D, "FlatL2Panorama4", METRIC_L2) != 0) {
        printf("no FlatL2Panorama4\n");
        free(xb);
        return;
    }
    if (faiss_Index_add(job.index, N, xb) != 0) {
        fprintf(stderr, "%s\n", faiss_get_last_error());
        exit(1);
    }
    job.xb = xb;
    job.n = N;
    job.d = D;
    job.k = 10;
    printf("FlatL2Panorama4 %016llx\n", (unsigned long long)search_from_threads(nthreads));
    faiss_Index_free(job.index);
    free(xb);
}

static void change_setting(const char *name, int value)
{
    void (*set)(int) = NULL;
    *(void **)&set = dlsym(RTLD_DEFAULT, name); /* not all releases have it */
    if (set)
        set(value);
}

/* FAISS uses BLAS for the whole, but perhaps not for a part. */
static void run_large(int d, FaissMetricType metric, idx_t queries)
{
    float *xb = random_vectors(NB, d);
    if (!xb || faiss_index_factory(&job.index, d, "Flat", metric) != 0 ||
        faiss_Index_add(job.index, NB / 4, xb) != 0) {
        fprintf(stderr, "%s\n", faiss_get_last_error());
        exit(1);
    }
    job.xb = xb;
    job.d = d;
    job.k = 10;
    printf("d=%d metric=%d n=%d %016llx\n", d, (int)metric, (int)queries,
           (unsigned long long)search_many(queries));
    faiss_Index_free(job.index);
    free(xb);
}

/* Many threads, so that there are fewer queries for each than threads: each vector finds itself. */
static void run_wide(void)
{
    enum { D = 64, N = 70000, NQ = 100, THREADS = 64 };
    static float dis[NQ];
    static idx_t ids[NQ];
    int found = 0;
    __typeof__(&faiss_set_omp_threads) set = NULL;
    *(void **)&set = dlsym(RTLD_DEFAULT, "faiss_set_omp_threads"); /* only forks of FAISS have it */
    float *xb = random_vectors(N, D);
    if (set)
        set(THREADS);
    if (!xb || faiss_index_factory(&job.index, D, "Flat", METRIC_L2) != 0 ||
        faiss_Index_add(job.index, N, xb) != 0 ||
        faiss_Index_search(job.index, NQ, xb + (size_t)(N - NQ) * D, 1, dis, ids) != 0) {
        fprintf(stderr, "%s\n", faiss_get_last_error());
        exit(1);
    }
    for (int i = 0; i < NQ; i++)
        found += ids[i] == N - NQ + i;
    printf("%d of %d found\n", found, NQ);
    faiss_Index_free(job.index);
    free(xb);
}

/* Range searches of which an engine with little memory makes parts.  One is left over. */
static void run_ranges(void)
{
    enum { D = 32, PART = 48, MOST = 21 };
    float *xb = random_vectors(NB, D), *distances;
    idx_t *labels;
    size_t *lims;
    if (!xb || faiss_index_factory(&job.index, D, "Flat", METRIC_L2) != 0 ||
        faiss_Index_add(job.index, NB, xb) != 0)
        exit(1);
    for (idx_t n = 2 * PART + 1; n <= MOST * PART + 1; n += PART) {
        FaissRangeSearchResult *result = NULL;
        if (faiss_RangeSearchResult_new(&result, n) != 0 ||
            faiss_Index_range_search(job.index, n, xb, 2, result) != 0) {
            fprintf(stderr, "%s\n", faiss_get_last_error());
            exit(1);
        }
        faiss_RangeSearchResult_lims(result, &lims);
        faiss_RangeSearchResult_labels(result, &labels, &distances);
        uint64_t sum = sum_of(lims, ((size_t)n + 1) * sizeof *lims, 0);
        printf("ranges n=%d %zu %016llx\n", (int)n, lims[n],
               (unsigned long long)sum_of(distances, lims[n] * sizeof *distances, sum));
        faiss_RangeSearchResult_free(result);
    }
    faiss_Index_free(job.index);
    free(xb);
}

static void run_all(int threads)
{
    static const int dims[] = {8, 32, 64, 136};
    static const int ks[] = {1, 10, 99, MAX_K};
    for (size_t i = 0; i < 4; i++)
        for (int metric = 0; metric < 2; metric++)
            run(dims[i], metric ? METRIC_L2 : METRIC_INNER_PRODUCT, ks[(i + (size_t)metric) % 4],
                threads);
    run(20, METRIC_L2, 10, threads); /* not a multiple of 8: FAISS runs each search */
    run_ivf();
    run_panorama(threads);
    run_large(128, METRIC_L2, 2000);
    run_large(512, METRIC_INNER_PRODUCT, 500);
    run_large(512, METRIC_L2, 1000);
    run_large(64, METRIC_L2, 10007); /* more than the 4096 that FAISS gives to BLAS at a time */
    run_large(64, METRIC_L2, 8193);  /* the last one is alone */
    change_setting("faiss_set_distance_compute_blas_query_bs", 33);
    run_large(128, METRIC_L2, 1981);
    run_large(512, METRIC_INNER_PRODUCT, 529);
    change_setting("faiss_set_distance_compute_blas_query_bs", 4096);
    change_setting("faiss_set_distance_compute_min_k_reservoir", 5);
    run(40, METRIC_L2, 4, threads); /* a dimension that no search has had */
    change_setting("faiss_set_distance_compute_min_k_reservoir", 100);
    run(40, METRIC_L2, 10, threads);
    change_setting("faiss_set_distance_compute_blas_threshold", 1);
    run(64, METRIC_L2, 10, threads);
    run(64, METRIC_INNER_PRODUCT, 10, threads);
}

/* Compares the results of two runs.  Distances are differences of norms of up to 140, hence the
 * tolerance.  Of vectors at nearly equal distances a different one may be found, but rarely. */
static int compare(FILE *a, FILE *b)
{
    struct found f, g;
    size_t n = 0, other = 0;
    while (fread(&f, sizeof f, 1, a) == 1) {
        if (fread(&g, sizeof g, 1, b) != 1 || f.k != g.k)
            return fprintf(stderr, "one has fewer results\n");
        for (int i = 0; i < f.k; i++, n++) {
            if (f.dis[i] != g.dis[i] && !(fabsf(f.dis[i] - g.dis[i]) < 2e-4f))
                return fprintf(stderr, "result %d of k %d: %g and %g\n", i, f.k, (double)f.dis[i],
                               (double)g.dis[i]);
            other += f.ids[i] != g.ids[i];
        }
    }
    printf("%zu results, %zu others\n", n, other);
    return n == 0 || other > n / 50;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "compare") == 0) {
        FILE *a = fopen(argv[2], "rb"), *b = fopen(argv[3], "rb");
        return !a || !b || compare(a, b);
    }
    if (argc == 2 && strcmp(argv[1], "ranges") == 0)
        return run_ranges(), 0;
    if (argc == 2 && strcmp(argv[1], "wide") == 0)
        return run_wide(), 0;
    int threads = argc > 1 ? atoi(argv[1]) : 8;
    if (argc > 2)
        results = fopen(argv[2], "wb");
    run_all(threads > MAX_THREADS ? MAX_THREADS : threads);
    if (results)
        fclose(results);
    return 0;
}
