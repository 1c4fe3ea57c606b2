/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/short_params.h"

#include <string.h>

#include "server/engine/run/request.h"

struct short_params {
    int niter, nredo, verbose, spherical, update_index, frozen_centroids;
    int min_points_per_centroid, max_points_per_centroid, seed;
};

_Static_assert(sizeof(struct short_params) == 36, "as FAISS had it");

static void init_with_defaults(FaissClusteringParameters *params)
{
    struct short_params old;
    memset(&old, 0, sizeof old);
    fxe_api()->ClusteringParameters_init((FaissClusteringParameters *)(void *)&old);
    *params = (FaissClusteringParameters){
        .niter = old.niter,
        .nredo = old.nredo,
        .verbose = old.verbose,
        .spherical = old.spherical,
        .update_index = old.update_index,
        .frozen_centroids = old.frozen_centroids,
        .min_points_per_centroid = old.min_points_per_centroid,
        .max_points_per_centroid = old.max_points_per_centroid,
        .seed = old.seed,
        .decode_block_size = 32768, /* the default of all later releases */
    };
}

static int new_with_params(struct fxe_req *r, const FaissClusteringParameters *now)
{
    struct short_params old = {
        now->niter,
        now->nredo,
        now->verbose,
        now->spherical,
        now->update_index,
        now->frozen_centroids,
        now->min_points_per_centroid,
        now->max_points_per_centroid,
        now->seed,
    };
    if (now->int_centroids)
        return fxe_fail(r, "argument",
                        "%s: int_centroids is %d, which came with FAISS 1.7.2; the "
                        "server's is %s",
                        r->fn->name, now->int_centroids, fxe_engine.lib.version);
    return fxe_api()->Clustering_new_with_params(r->v[0].p, (int)r->v[1].i, (int)r->v[2].i,
                                                 (const FaissClusteringParameters *)(void *)&old);
}

int fxe_short_params_call(struct fxe_req *r)
{
    if (fxe_api()->Clustering_decode_block_size) /* added together with the last field */
        return 0;
    if (r->op == FX_OP_ClusteringParameters_init)
        init_with_defaults(r->v[0].p);
    else if (r->op == FX_OP_Clustering_new_with_params)
        r->v[r->fn->nparams].i = new_with_params(r, r->v[3].p);
    else
        return 0;
    return 1;
}
