/* SPDX-License-Identifier: Apache-2.0 */
/* Functions without an index: distances, parameters of the process, values, clustering. */
#include <float.h>
#include <stdio.h>
#include <string.h>

#include "life.h"

enum { D = 16, NX = 12, NY = 9 };

static void distances(void)
{
    float *x = floats(NX * D, 1), *y = floats(NY * D, 2), *out = ROOM(float, NX *NY);
    DO(fvec_L2sqr_ny, out, x, y, D, NY);
    SHOW("L2sqr_ny", out, NY);
    DO(fvec_inner_products_ny, out, x, y, D, NY);
    SHOW("inner_products_ny", out, NY);
    GET(fvec_norm_L2sqr, x, D);
    DO(fvec_norms_L2, out, x, D, NX);
    SHOW("norms_L2", out, NX);
    DO(fvec_norms_L2sqr, out, x, D, NX);
    SHOW("norms_L2sqr", out, NX);
    DO(fvec_renorm_L2, D, NX, x);
    SHOW("renorm_L2", x, NX * D);
    out = ROOM(float, NX *NY);
    DO(pairwise_L2sqr_with_defaults, D, NX, x, NY, y, out);
    SHOW("pairwise", out, NX * NY);
    out = ROOM(float, NX *NY);
    DO(pairwise_L2sqr, D, NX, x, NY, y, out, -1, -1, -1);
    SHOW("pairwise", out, NX * NY);
    /* Strides: vectors of some of the dimensions, and results in wider rows. */
    out = ROOM(float, NX * 20);
    DO(pairwise_L2sqr, D - 3, NX, x, NY, y, out, D, D, 20);
    SHOW("pairwise", out, NX * 20);
}

static void process(void)
{
    struct subject s = {.d = D, .step = 1};
    int threshold = (int)GET(get_distance_compute_blas_threshold);
    int query = (int)GET(get_distance_compute_blas_query_bs);
    int database = (int)GET(get_distance_compute_blas_database_bs);
    int reservoir = (int)GET(get_distance_compute_min_k_reservoir);
    if (RC(index_factory, &s.index, D, "Flat", METRIC_L2) != 0)
        return;
    RC(Index_add, s.index, NB, floats(NB * D, 2));
    DO(set_distance_compute_blas_threshold, 3);
    DO(set_distance_compute_blas_query_bs, 5);
    DO(set_distance_compute_blas_database_bs, 64);
    DO(set_distance_compute_min_k_reservoir, 4);
    GET(get_distance_compute_blas_threshold);
    GET(get_distance_compute_blas_query_bs);
    GET(get_distance_compute_blas_database_bs);
    GET(get_distance_compute_min_k_reservoir);
    search(&s, 7, 5);
    search(&s, 25, 5);
    DO(set_distance_compute_blas_threshold, threshold);
    DO(set_distance_compute_blas_query_bs, query);
    DO(set_distance_compute_blas_database_bs, database);
    DO(set_distance_compute_min_k_reservoir, reservoir);
    search(&s, 7, 5);
    DO(Index_free, s.index);
    if (HAVE(get_version))
        say("%s", api.get_version());
}

static void ivf_stats(void)
{
    struct subject s = {.d = D, .step = 1};
    FaissIndexIVFStats mine = {1, 2, 3, 4, 5, 6};
    DO(IndexIVFStats_reset, &mine);
    show("reset", &mine, 3 * sizeof(size_t));
    if (!HAVE(get_indexIVF_stats) || RC(index_factory, &s.index, D, "IVF8,Flat", METRIC_L2) != 0)
        return;
    RC(Index_train, s.index, NT, floats(NT * D, 1));
    RC(Index_add, s.index, NB, floats(NB * D, 2));
    FaissIndexIVFStats *stats = api.get_indexIVF_stats();
    DO(IndexIVFStats_reset, stats);
    for (int i = 0; i < 2; i++) {
        stats = api.get_indexIVF_stats();
        number("nq", (double)stats->nq);
        number("nlist", (double)stats->nlist);
        number("ndis", (double)stats->ndis);
        number("nheap_updates", (double)stats->nheap_updates);
        if (i == 0)
            search(&s, 7, 5);
    }
    mine = (FaissIndexIVFStats){1, 2, 3, 4, 5, 6};
    DO(IndexIVFStats_reset, &mine);
    show("reset", &mine, sizeof mine);
    DO(Index_free, s.index);
}

static void parameters(void)
{
    FaissParameterSpace *space = NULL;
    FaissParameterRange *range = NULL;
    FaissIndex *x = NULL;
    char name[64];
    double *values = NULL;
    size_t n = 7;
    RC(index_factory, &x, D, "IVF8,Flat", METRIC_L2);
    if (RC(ParameterSpace_new, &space) != 0)
        return;
    GET(ParameterSpace_n_combinations, space);
    memset(name, 'x', sizeof name);
    if (RC(ParameterSpace_combination_name, space, 0, name, sizeof name) == 0)
        say("name '%.63s'", name);
    RC(ParameterSpace_set_index_parameters_cno, space, x, 0);
    fflush(stdout);
    DO(ParameterSpace_display, space);
    RC(ParameterSpace_add_range, space, "nprobe", &range);
    say("range %s", ASK(ParameterRange_name, range));
    DO(ParameterRange_values, range, &values, &n);
    number("values", (double)n);
    GET(ParameterSpace_n_combinations, space);
    RC(ParameterSpace_add_range, space, "a name that is longer than a small string holds", &range);
    say("range %s", ASK(ParameterRange_name, range));
    fflush(stdout);
    DO(ParameterSpace_display, space);
    DO(ParameterSpace_free, space);
    DO(Index_free, x);
}

static void partial_results(void)
{
    FaissRangeSearchResult *r = NULL;
    FaissRangeSearchPartialResult *p = NULL;
    size_t *lims = NULL;
    idx_t *ids = NULL;
    float *dis = NULL;
    if (RC(RangeSearchResult_new_with, &r, 3, 1) != 0)
        return;
    GET(RangeSearchResult_nq, r);
    GET(RangeSearchResult_buffer_size, r);
    RC(RangeSearchPartialResult_new, &p, r);
    same("res", ASK(RangeSearchPartialResult_res, p), r);
    /* Not the results of queries: for them FAISS's C API returns the address of a local variable.
     */
    for (idx_t q = 0; q < 3; q++)
        RC(RangeSearchPartialResult_new_result, p, q, NULL);
    RC(RangeSearchPartialResult_set_lims, p);
    DO(RangeSearchResult_lims, r, &lims);
    SHOW("lims", lims, 3);
    RC(RangeSearchPartialResult_finalize, p); /* FAISS also frees it */
    DO(RangeSearchResult_lims, r, &lims);
    DO(RangeSearchResult_labels, r, &ids, &dis);
    SHOW("lims", lims, 4);
    SHOW("labels", ids, lims[3]);
    SHOW("distances", dis, lims[3]);
    DO(RangeSearchResult_free, r);
    if (RC(RangeSearchResult_new, &r, 2) != 0)
        return;
    DO(RangeSearchResult_lims, r, &lims);
    lims[0] = 2;
    lims[1] = 3;
    RC(RangeSearchResult_do_allocation, r);
    SHOW("lims", lims, 3);
    DO(RangeSearchResult_labels, r, &ids, &dis);
    say("labels: %d", ids != NULL && dis != NULL);
    DO(RangeSearchResult_free, r);
}

static void buffer_list(void)
{
    FaissBufferList *b = NULL;
    idx_t ids[9];
    float dis[9];
    if (RC(BufferList_new, &b, 4) != 0)
        return;
    GET(BufferList_buffer_size, b);
    GET(BufferList_wp, b);
    for (int i = 0; i < 10; i++)
        RC(BufferList_add, b, 100 + i, (float)i / 4);
    GET(BufferList_wp, b);
    if (RC(BufferList_copy_range, b, 1, 9, ids, dis) == 0) {
        SHOW("ids", ids, 9);
        SHOW("distances", dis, 9);
    }
    RC(BufferList_append_buffer, b);
    GET(BufferList_wp, b);
    DO(BufferList_free, b);
}

static void selectors(void)
{
    FaissIDSelectorRange *range = NULL;
    FaissIDSelectorBatch *batch = NULL;
    FaissIDSelectorBitmap *bitmap = NULL;
    uint8_t *map = bits(9, 3);
    if (RC(IDSelectorRange_new, &range, -5, 12) == 0) {
        GET(IDSelectorRange_imin, range);
        GET(IDSelectorRange_imax, range);
        DO(IDSelectorRange_free, range);
    }
    if (RC(IDSelectorBatch_new, &batch, 20, numbers(20, -3, 1000003)) == 0) {
        GET(IDSelectorBatch_nbits, batch);
        GET(IDSelectorBatch_mask, batch);
        for (idx_t id = -4; id < 3000010; id += 1000003)
            GET(IDSelector_is_member, (FaissIDSelector *)batch, id);
        GET(IDSelector_is_member, (FaissIDSelector *)batch, 1000000);
        DO(IDSelector_free, (FaissIDSelector *)batch);
    }
    if (RC(IDSelectorBitmap_new, &bitmap, 9, map) == 0) {
        GET(IDSelectorBitmap_n, bitmap);
        same("bitmap", ASK(IDSelectorBitmap_bitmap, bitmap), map);
        for (idx_t id = -1; id < 75; id++)
            GET(IDSelector_is_member, (FaissIDSelector *)bitmap, id);
        DO(IDSelectorBitmap_free, bitmap);
    }
}

/* --- clustering --- */

static void clustering_of(FaissClustering *c, FaissIndex *index, int k)
{
    float *centroids = NULL;
    FaissClusteringIterationStats *stats = NULL;
    size_t n = 0;
    GET(Clustering_d, c);
    GET(Clustering_k, c);
    GET(Clustering_niter, c);
    GET(Clustering_nredo, c);
    GET(Clustering_verbose, c);
    GET(Clustering_spherical, c);
    GET(Clustering_int_centroids, c);
    GET(Clustering_update_index, c);
    GET(Clustering_frozen_centroids, c);
    GET(Clustering_min_points_per_centroid, c);
    GET(Clustering_max_points_per_centroid, c);
    GET(Clustering_seed, c);
    GET(Clustering_decode_block_size, c);
    RC(Clustering_train, c, k - 1, floats((size_t)k * D, 1), index); /* too few points */
    if (RC(Clustering_train, c, NT, floats(NT * D, 1), index) != 0)
        return;
    DO(Clustering_centroids, c, &centroids, &n);
    SHOW("centroids", centroids, n);
    GET(Index_ntotal, index);
    DO(Clustering_iteration_stats, c, &stats, &n);
    number("iterations", (double)n);
    /* A structure of 40 bytes, opaque in C. */
    for (size_t i = 0; i < n; i++) {
        stats = (FaissClusteringIterationStats *)((char *)stats + (i ? 40 : 0));
        GET(ClusteringIterationStats_obj, stats);
        GET(ClusteringIterationStats_nsplit, stats);
        GET(ClusteringIterationStats_imbalance_factor, stats);
    }
    say("times: %d", n && ASK(ClusteringIterationStats_time, stats) >= 0 &&
                         ASK(ClusteringIterationStats_time_search, stats) >= 0);
}

/* The parameters as programs built with the headers before v1.7.2 define them. */
struct short_params {
    int niter, nredo, verbose, spherical, update_index, frozen_centroids;
    int min_points_per_centroid, max_points_per_centroid, seed;
};

static void with_params(FaissIndex *index)
{
    FaissClustering *c = NULL;
    union {
        FaissClusteringParameters now;
        struct short_params old;
    } p;
    memset(&p, 0x5a, sizeof p);
    DO(ClusteringParameters_init, &p.now);
    if (api.Clustering_decode_block_size) {
        show("parameters", &p, 40);
        number("decode_block_size", (double)p.now.decode_block_size);
        p.now.spherical = 1;
        p.now.seed = 99;
    } else {
        show("parameters", &p, sizeof p);
        p.old.spherical = 1;
        p.old.seed = 99;
    }
    p.now.niter = 4;
    p.now.nredo = 2;
    if (RC(Clustering_new_with_params, &c, D, 7, &p.now) == 0) {
        clustering_of(c, index, 7);
        DO(Clustering_free, c);
    }
}

static void clustering(void)
{
    FaissClustering *c = NULL;
    FaissIndex *index = NULL;
    float *centroids = ROOM(float, 8 * D), error = -1;
    RC(IndexFlatL2_new_with, &index, D);
    if (RC(Clustering_new, &c, D, 12) == 0) {
        clustering_of(c, index, 12);
        DO(Clustering_free, c);
    }
    with_params(index);
    DO(Index_free, index);
    if (RC(kmeans_clustering, D, NT, 8, floats(NT * D, 1), centroids, &error) == 0) {
        SHOW("centroids", centroids, 8 * D);
        number("error", error);
    }
    if (RC(kmeans_clustering, D, NT, 8, floats(NT * D, 1), centroids, NULL) == 0)
        SHOW("centroids", centroids, 8 * D);
    RC(kmeans_clustering, D, 3, 8, floats(NT * D, 1), centroids, &error);
}

const struct life function_lives[] = {
    {"distances", distances},
    {"process", process},
    {"ivf stats", ivf_stats},
    {"parameters", parameters},
    {"partial results", partial_results},
    {"buffer list", buffer_list},
    {"selectors", selectors},
    {"clustering", clustering},
    {0},
};
