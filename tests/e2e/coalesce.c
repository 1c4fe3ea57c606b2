/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads search one Flat index at once; prints a checksum of every result's bits for
 * each metric, dimension and k.  Half of the vectors are copies of others and half of the
 * queries are vectors of the index, so that there are ties.
 *
 *   coalesce THREADS
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faiss_c_compat.h"

enum { NB = 20000, EACH = 12, MAX_THREADS = 64, MAX_K = 120 };

static struct {
    FaissIndex *index;
    const float *xb;
    int d, k;
} job;

static uint64_t sum_of(const void *data, size_t n, uint64_t h)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static void *search(void *arg)
{
    uint64_t *sum = arg;
    uint64_t me = *sum;
    float x[256], dis[MAX_K];
    idx_t ids[MAX_K];
    *sum = 0xcbf29ce484222325u;
    for (uint64_t i = 0; i < EACH; i++) {
        memcpy(x, job.xb + (me * 977 + i * 131) % NB * (size_t)job.d, (size_t)job.d * sizeof *x);
        if (i % 2)
            x[i] += 0.125f;
        if (faiss_Index_search(job.index, 1, x, job.k, dis, ids) != 0) {
            fprintf(stderr, "%s\n", faiss_get_last_error());
            exit(1);
        }
        *sum = sum_of(dis, (size_t)job.k * sizeof *dis, *sum);
        *sum = sum_of(ids, (size_t)job.k * sizeof *ids, *sum);
    }
    return NULL;
}

static void run(int d, FaissMetricType metric, int k, int nthreads)
{
    pthread_t threads[MAX_THREADS];
    uint64_t sums[MAX_THREADS], all = 0;
    uint32_t s = 1;
    float *xb = malloc((size_t)NB * (size_t)d * sizeof *xb);
    for (size_t i = 0; xb && i < (size_t)NB * (size_t)d; i++) {
        s = s * 1664525u + 1013904223u;
        xb[i] = (float)(s >> 16) / 65536;
    }
    for (size_t i = 1; xb && i < NB; i += 2)
        memcpy(xb + i * (size_t)d, xb + i / 7 * (size_t)d, (size_t)d * sizeof *xb);
    if (!xb || faiss_index_factory(&job.index, d, "Flat", metric) != 0 ||
        faiss_Index_add(job.index, NB, xb) != 0) {
        fprintf(stderr, "%s\n", faiss_get_last_error());
        exit(1);
    }
    job.xb = xb;
    job.d = d;
    job.k = k;
    for (int i = 0; i < nthreads; i++) {
        sums[i] = (uint64_t)i;
        pthread_create(&threads[i], NULL, search, &sums[i]);
    }
    for (int i = 0; i < nthreads; i++) {
        pthread_join(threads[i], NULL);
        all = sum_of(&sums[i], sizeof sums[i], all);
    }
    printf("d=%d metric=%d k=%d %016llx\n", d, (int)metric, k, (unsigned long long)all);
    faiss_Index_free(job.index);
    free(xb);
}

int main(int argc, char **argv)
{
    static const int dims[] = {8, 32, 64, 136};
    static const int ks[] = {1, 10, 99, MAX_K};
    int threads = argc > 1 ? atoi(argv[1]) : 8;
    for (size_t i = 0; i < 4; i++)
        for (int metric = 0; metric < 2; metric++)
            run(dims[i], metric ? METRIC_L2 : METRIC_INNER_PRODUCT, ks[(i + (size_t)metric) % 4],
                threads > MAX_THREADS ? MAX_THREADS : threads);
    run(20, METRIC_L2, 10, threads); /* not a multiple of 8: FAISS does each */
    return 0;
}
