/* SPDX-License-Identifier: Apache-2.0 */
/* A program built with the structures of FAISS's headers before v1.7.2, with guard bytes after
 * each. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct parameters {
    int niter, nredo, verbose, spherical, update_index, frozen_centroids;
    int min_points_per_centroid, max_points_per_centroid, seed;
};

struct stats {
    size_t nq, nlist, ndis;
};

extern void faiss_ClusteringParameters_init(struct parameters *);
extern int faiss_Clustering_new_with_params(void **, int, int, const struct parameters *);
extern int faiss_Clustering_niter(const void *), faiss_Clustering_seed(const void *);
extern int faiss_Clustering_max_points_per_centroid(const void *);
extern int faiss_Clustering_update_index(const void *);
extern void faiss_Clustering_free(void *);
extern void faiss_IndexIVFStats_reset(struct stats *);

static int guarded(const unsigned char *guard, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (guard[i] != 0xa5)
            return 0;
    return 1;
}

int main(void)
{
    struct {
        struct parameters p;
        unsigned char guard[64];
    } a;
    struct {
        struct stats s;
        unsigned char guard[64];
    } b;
    void *clustering = NULL;
    memset(&a, 0xa5, sizeof a);
    memset(&b, 0xa5, sizeof b);
    faiss_ClusteringParameters_init(&a.p);
    printf("defaults %d %d %d %d %d %d %d %d %d\n", a.p.niter, a.p.nredo, a.p.verbose,
           a.p.spherical, a.p.update_index, a.p.frozen_centroids, a.p.min_points_per_centroid,
           a.p.max_points_per_centroid, a.p.seed);
    a.p.niter = 7;
    a.p.seed = 99;
    a.p.update_index = 1;
    a.p.max_points_per_centroid = 50;
    int rc = faiss_Clustering_new_with_params(&clustering, 4, 2, &a.p);
    printf("made %d: niter %d seed %d update %d max %d\n", rc, faiss_Clustering_niter(clustering),
           faiss_Clustering_seed(clustering), faiss_Clustering_update_index(clustering),
           faiss_Clustering_max_points_per_centroid(clustering));
    faiss_Clustering_free(clustering);
    faiss_IndexIVFStats_reset(&b.s);
    printf("stats %zu %zu %zu\n", b.s.nq, b.s.nlist, b.s.ndis);
    printf("guards %s\n", guarded(a.guard, sizeof a.guard) && guarded(b.guard, sizeof b.guard)
                              ? "whole"
                              : "broken");
    return 0;
}
