/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/legacy.h"

#include <stdlib.h>
#include <string.h>

#include "shim/error.h"
#include "shim/faissx.h"

struct old_parameters {
    int niter, nredo, verbose, spherical, update_index, frozen_centroids;
    int min_points_per_centroid, max_points_per_centroid, seed;
};

struct old_stats {
    size_t nq, nlist, ndis;
};

_Static_assert(sizeof(struct old_parameters) == 36, "as FAISS had it");
_Static_assert(sizeof(struct old_stats) == 24, "as FAISS had it");

/* The functions that the wrappers call.  They change when the remote table is installed after the
 * local one; all are atomic. */
static struct {
    void (*parameters_init)(FaissClusteringParameters *);
    int (*clustering_new)(FaissClustering **, int, int, const FaissClusteringParameters *);
    FaissIndexIVFStats *(*get_stats)(void);
    void (*stats_reset)(FaissIndexIVFStats *);
} next;

static void parameters_init(FaissClusteringParameters *params)
{
    FaissClusteringParameters now;
    memset(&now, 0, sizeof now);
    if (!params) {
        fx_fail(FAISSX_E_ARGUMENT, "faiss_ClusteringParameters_init: params is NULL");
        return;
    }
    __atomic_load_n(&next.parameters_init, __ATOMIC_RELAXED)(&now);
    struct old_parameters old = {.niter = now.niter,
                                 .nredo = now.nredo,
                                 .verbose = now.verbose,
                                 .spherical = now.spherical,
                                 .update_index = now.update_index,
                                 .frozen_centroids = now.frozen_centroids,
                                 .min_points_per_centroid = now.min_points_per_centroid,
                                 .max_points_per_centroid = now.max_points_per_centroid,
                                 .seed = now.seed};
    memcpy(params, &old, sizeof old);
}

static int clustering_new(FaissClustering **p_clustering, int d, int k,
                          const FaissClusteringParameters *cp)
{
    FaissClusteringParameters now;
    struct old_parameters old;
    if (!cp)
        return fx_abi_code(
            fx_fail(FAISSX_E_ARGUMENT, "faiss_Clustering_new_with_params: cp is NULL"));
    memcpy(&old, cp, sizeof old);
    memset(&now, 0, sizeof now);
    /* Defaults for the fields that the program's structure lacks. */
    __atomic_load_n(&next.parameters_init, __ATOMIC_RELAXED)(&now);
    now.niter = old.niter;
    now.nredo = old.nredo;
    now.verbose = old.verbose;
    now.spherical = old.spherical;
    now.update_index = old.update_index;
    now.frozen_centroids = old.frozen_centroids;
    now.min_points_per_centroid = old.min_points_per_centroid;
    now.max_points_per_centroid = old.max_points_per_centroid;
    now.seed = old.seed;
    return __atomic_load_n(&next.clustering_new, __ATOMIC_RELAXED)(p_clustering, d, k, &now);
}

static FaissIndexIVFStats *of_faiss; /* atomic */

static FaissIndexIVFStats *get_stats(void)
{
    FaissIndexIVFStats *stats = __atomic_load_n(&next.get_stats, __ATOMIC_RELAXED)();
    __atomic_store_n(&of_faiss, stats, __ATOMIC_RELAXED);
    return stats;
}

/* A structure of the program's has the old size.  The one that faiss_get_indexIVF_stats() returns
 * is FAISS's, of which the program knows the first fields. */
static void stats_reset(FaissIndexIVFStats *stats)
{
    if (!stats || stats == __atomic_load_n(&of_faiss, __ATOMIC_RELAXED))
        __atomic_load_n(&next.stats_reset, __ATOMIC_RELAXED)(stats);
    else
        memset(stats, 0, sizeof(struct old_stats));
}

void fx_legacy(struct fx_api *table, int short_params)
{
    const char *abi = secure_getenv("FAISSX_ABI");
    if (!abi || strcmp(abi, "legacy") != 0)
        return;
    if (!short_params) {
        __atomic_store_n(&next.parameters_init, table->ClusteringParameters_init, __ATOMIC_RELAXED);
        __atomic_store_n(&next.clustering_new, table->Clustering_new_with_params, __ATOMIC_RELAXED);
        table->ClusteringParameters_init = parameters_init;
        table->Clustering_new_with_params = clustering_new;
    }
    __atomic_store_n(&next.get_stats, table->get_indexIVF_stats, __ATOMIC_RELAXED);
    __atomic_store_n(&next.stats_reset, table->IndexIVFStats_reset, __ATOMIC_RELAXED);
    table->get_indexIVF_stats = get_stats;
    table->IndexIVFStats_reset = stats_reset;
    table->IndexIVFStats_init = stats_reset;
}
