/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about vectors that no index keeps: clustering them, and what an index's transform makes
 * of them. */
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/chain.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/part.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/guard.h"
#include "server/engine/guard/room.h"
#include "server/engine/keep/keep.h"
#include "server/engine/training/training.h"

enum { MOST_D = 1 << 20, MOST_ROUNDS = 10000, COPIES = 3, LITTLE = 64 << 20 };

/* --- cluster --- */

struct clustering {
    int64_t n, d, k, rounds;
    const void *x;
    struct fxe_obj clusters, index; /* FAISS's; the index has the centroids */
};

static int prepare_cluster(struct fxe_req *r)
{
    r->lane = FXE_WIDE;
    return 0;
}

static int read_clustering(struct fxe_req *r, struct clustering *c)
{
    static const int64_t usual = 25;
    msgpack_object x;
    size_t size;
    if (fxe_key_int(r, "n", 1, INT32_MAX, NULL, &c->n) != 0 ||
        fxe_key_int(r, "d", 1, MOST_D, NULL, &c->d) != 0 ||
        fxe_key_int(r, "k", 1, INT32_MAX, NULL, &c->k) != 0 ||
        fxe_key_int(r, "rounds", 1, MOST_ROUNDS, &usual, &c->rounds) != 0 ||
        fxe_key_array(r, "x", 0, c->n, (size_t)c->d * sizeof(float), "vectors of float32", &x) !=
            0 ||
        fxe_req_bytes(r, &x, "x", &c->x, &size) != 0)
        return -1;
    if (size != (size_t)c->n * (size_t)c->d * sizeof(float))
        return fxe_fail(r, "argument", "%s: x has %zu bytes, expected %lld * %lld float32",
                        r->operation->name, size, (long long)c->n, (long long)c->d);
    if (c->k > c->n)
        return fxe_fail(r, "argument", "%s: k is %lld, but there are only %lld vectors",
                        r->operation->name, (long long)c->k, (long long)c->n);
    if (fxe_room_for(COPIES * size + LITTLE) < COPIES * size + LITTLE)
        return fxe_fail(r, "limit", "%s: the server has no memory to cluster %zu bytes of vectors",
                        r->operation->name, size);
    return 0;
}

static int begin_clustering(struct fxe_req *r, struct clustering *c)
{
    FaissClusteringParameters params;
    FaissClustering *clusters = NULL;
    if (fxe_require(r, FX_OP_Clustering_new_with_params) != 0 ||
        fxe_require(r, FX_OP_Clustering_centroids) != 0)
        return -1;
    fxe_api()->ClusteringParameters_init(&params);
    params.niter = (int)c->rounds;
    int rc = fxe_api()->Clustering_new_with_params(&clusters, (int)c->d, (int)c->k, &params);
    if (rc != 0) {
        fxe_fail_faiss(r, rc);
        return -1;
    }
    c->clusters = (struct fxe_obj){.cls = FX_CLASS_Clustering, .ptr = clusters};
    c->index =
        (struct fxe_obj){.cls = FX_CLASS_Index,
                         .ptr = fxe_training_make(r, FX_CLASS_Index, c->d, METRIC_L2, "Flat")};
    return c->index.ptr ? 0 : -1;
}

static int train(struct fxe_req *r, struct clustering *c, size_t bytes)
{
    struct fxe_part p;
    msgpack_object *a = fxe_part_begin(&p, r, FX_OP_Clustering_train);
    p.r.obj[0] = &c->clusters;
    p.r.obj[3] = &c->index;
    a[1] = fxe_int(c->n);
    a[2] = fxe_part_array(&p, c->x, bytes);
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    return rc;
}

/* The centroid of each vector, and its distance. */
static int assign(struct fxe_req *r, struct clustering *c, size_t bytes)
{
    struct fxe_part p;
    msgpack_object *a = fxe_part_begin(&p, r, FX_OP_Index_search);
    p.r.obj[0] = &c->index;
    a[1] = fxe_int(c->n);
    a[2] = fxe_part_array(&p, c->x, bytes);
    a[3] = fxe_int(1);
    a[4] = a[5] = fxe_true();
    int rc = fxe_part_call(&p);
    if (rc == 0)
        rc = fxe_part_give(&p, 1) != 0 || fxe_part_give(&p, 0) != 0 ? -1 : 0;
    fxe_part_end(&p);
    return rc;
}

static void run_cluster(struct fxe_req *r)
{
    struct clustering c = {.n = 0};
    float *centroids = NULL;
    size_t count = 0, bytes;
    if (read_clustering(r, &c) != 0)
        return;
    bytes = (size_t)c.n * (size_t)c.d * sizeof(float);
    if (begin_clustering(r, &c) == 0 && train(r, &c, bytes) == 0) {
        fxe_api()->Clustering_centroids(c.clusters.ptr, &centroids, &count);
        if (fxe_reply_copy(r, centroids, count * sizeof *centroids) == 0)
            assign(r, &c, bytes);
    }
    fxe_obj_free_temporary(&c.index);
    if (c.clusters.ptr)
        fxe_api()->Clustering_free(c.clusters.ptr);
}

/* --- index_transform --- */

static int prepare_transform(struct fxe_req *r)
{
    r->lane = FXE_WIDE;
    return fxe_index_lock(r, "name", 0, false);
}

/* For what the largest of the transforms makes of the vectors, and for the transforms. */
static int check_room(struct fxe_req *r, const struct fxe_chain *c, uint64_t n)
{
    size_t need, of_chain;
    int most = c->t.d;
    for (int i = 0; i < c->t.n; i++)
        if (c->t.part[i].d_out > most)
            most = c->t.part[i].d_out;
    if (!__builtin_mul_overflow(n, COPIES * sizeof(float) * (size_t)most, &need) &&
        !__builtin_mul_overflow(c->size, (size_t)COPIES, &of_chain) &&
        !__builtin_add_overflow(need, of_chain, &need) && fxe_make_room_for(need))
        return 0;
    return fxe_fail(r, "limit",
                    "%s: the server has no memory for %d copies of %llu vectors of %d dimensions "
                    "and of %zu bytes of transforms",
                    r->operation->name, COPIES, (unsigned long long)n, most, c->size);
}

/* An index that stores vectors as they are has what the transforms before it make of them. */
static int transform(struct fxe_req *r, struct fxe_obj *made, msgpack_object n, msgpack_object x)
{
    struct fxe_part p;
    float *found = NULL;
    size_t count = 0, size;
    const void *data;
    if (fxe_req_bytes(r, &x, "x", &data, &size) != 0)
        return -1;
    msgpack_object *a = fxe_part_begin(&p, r, FX_OP_Index_add);
    p.r.obj[0] = made;
    a[1] = n;
    a[2] = fxe_part_array(&p, data, size);
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    if (rc != 0)
        return -1;
    FaissIndexPreTransform *whole = fxe_api()->IndexPreTransform_cast(made->ptr);
    fxe_api()->IndexFlat_xb(fxe_api()->IndexFlat_cast(fxe_api()->IndexPreTransform_index(whole)),
                            &found, &count);
    return fxe_reply_copy(r, found, count * sizeof *found);
}

static void run_transform(struct fxe_req *r)
{
    struct fxe_obj *o = r->obj[0], made = {.cls = FX_CLASS_Index};
    struct fxe_chain chain;
    msgpack_object n, x;
    if (fxe_training_of(o)) {
        fxe_fail(r, "argument", "%s: the index waits for its training", r->operation->name);
        return;
    }
    if (fxe_is_binary(o) || fxe_require(r, FX_OP_IndexPreTransform_cast) != 0 ||
        fxe_require(r, FX_OP_IndexPreTransform_index) != 0 ||
        fxe_require(r, FX_OP_IndexFlat_cast) != 0 || !fxe_api()->IndexPreTransform_cast(o->ptr)) {
        if (!r->failed)
            fxe_fail(r, "argument", "%s: the index has no transform", r->operation->name);
        return;
    }
    if (fxe_key_vectors(r, o, &n, &x) != 0)
        return;
    if (fxe_chain_read(r, o, &chain) == 0 && check_room(r, &chain, n.via.u64) == 0 &&
        (made.ptr = fxe_chain_over_flat(r, &chain)) != NULL)
        transform(r, &made, n, x);
    fxe_chain_free(&chain);
    fxe_obj_free_temporary(&made);
}

const struct fxe_index_operation fxe_index_clusters[] = {
    {{"index_cluster", 0, prepare_cluster, run_cluster, NULL}, 0, false},
    {{"index_transform", 0, prepare_transform, run_transform, NULL}, 0, false},
    {{NULL, 0, NULL, NULL, NULL}, 0, false}};
