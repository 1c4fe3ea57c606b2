/* SPDX-License-Identifier: Apache-2.0 */
/* The specialised actions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/chain.h"
#include "server/engine/dialect/ask.h"

enum { SET = 1 };

static void optimized(struct fxd_ask *a, const char *what)
{
    fxd_ok(a, 4);
    fxd_put_message(a, "Applied 1 optimizations to index %s", a->name);
    fxd_put_text(a, "index_type", a->facts.type);
    msgpack_packer pk = fxd_put(a, "optimizations");
    msgpack_pack_array(&pk, 1);
    fx_pack_str(&pk, what);
    fxd_put_int(a, "optimization_level", a->at);
}

static void optimize_index(struct fxd_ask *a, struct fxe_req *done)
{
    static const int64_t parts[] = {10, 5, 2}, most[] = {10, 50, 100};
    char text[60];
    a->absent = "not found";
    if (!done) {
        if (fxd_index(a) == 0 && fxd_get_int(a, "optimization_level", 1, &a->at) == 0) {
            if (a->at < 1 || a->at > 3)
                fxd_error(a, NULL, "optimization_level must be 1, 2 or 3");
            else
                fxd_begin_named(a, "index_info");
        }
        return;
    }
    if (a->state != SET)
        fxd_facts_of(done->obj[0], &a->facts);
    snprintf(text, sizeof text, "set_nprobe_%lld", (long long)a->n);
    const char *type = a->facts.type;
    if (a->state == SET || !a->facts.ivf || a->facts.binary) {
        optimized(a, a->state == SET             ? text
                     : strstr(type, "HNSW")      ? "hnsw_no_optimization"
                     : strstr(type, "IndexFlat") ? "flat_index_no_optimization"
                                                 : "no_optimization");
        return;
    }
    const FaissIndexIVF *ivf =
        fxe_api()->IndexIVF_cast ? fxe_api()->IndexIVF_cast(done->obj[0]->ptr) : NULL;
    int64_t nlist = ivf ? (int64_t)fxe_api()->IndexIVF_nlist(ivf) : 100;
    a->n = nlist / parts[a->at - 1];
    if (a->n < 1)
        a->n = 1;
    if (a->n > most[a->at - 1])
        a->n = most[a->at - 1];
    if (!a->facts.trained) {
        fxd_error(a, NULL, "Index %s is not trained yet", a->name);
        return;
    }
    a->state = SET;
    fxd_begin_named(a, "index_set_parameter");
    fxd_str(a, "parameter", "nprobe");
    fxd_int(a, "value", a->n);
}

/* --- clustering --- */

static void clustered(struct fxd_ask *a, const struct fxe_req *done)
{
    size_t n = (size_t)a->n, k = (size_t)a->k, d = (size_t)a->total;
    const float *centroids = fxd_out(a, done, 0, k * d, sizeof *centroids),
                *distances = fxd_out(a, done, 2, n, sizeof *distances);
    const int64_t *assigned = fxd_out(a, done, 1, n, sizeof *assigned);
    int64_t *sizes = calloc(k + 1, sizeof *sizes);
    double sum = 0;
    if (!a->replied && !sizes)
        fxd_error(a, NULL, "The server is out of memory");
    if (a->replied || fxd_reserve(a, (double)k * (14 + 5 * (double)d) + 9 * (double)n) != 0) {
        free(sizes);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        sum += distances[i];
        if (assigned[i] >= 0 && assigned[i] < a->k)
            sizes[assigned[i]]++;
    }
    fxd_ok(a, 6);
    msgpack_packer pk = fxd_put(a, "centroids");
    msgpack_pack_array(&pk, k);
    for (size_t i = 0; i < k; i++)
        fxd_floats(a, centroids + i * d, d);
    fxd_put(a, "assignments");
    fxd_ids(a, assigned, n);
    fxd_put(a, "cluster_sizes");
    fxd_ids(a, sizes, k);
    fxd_put_int(a, "n_clusters", a->k);
    fxd_put_int(a, "dimension", a->total);
    pk = fxd_put(a, "obj");
    msgpack_pack_double(&pk, sum);
    free(sizes);
}

static void compute_clustering(struct fxd_ask *a, struct fxe_req *done)
{
    static const char *const known[] = {"vectors", "n_clusters", "metric_type", "niter", NULL};
    int64_t rounds;
    if (done && done->failed) {
        fxd_failed(a, done, NULL, "Error computing clustering: ");
    } else if (done) {
        clustered(a, done);
    } else if (fxd_only_has(a, "compute_clustering", known) &&
               fxd_get_int(a, "n_clusters", 0, &a->k) == 0 &&
               fxd_get_int(a, "niter", 25, &rounds) == 0) {
        struct fx_rows *rows = fxd_rows_of(a, FXD_VECTORS, "Error computing clustering");
        if (!rows)
            return;
        a->n = (int64_t)rows->n;
        a->total = (int64_t)rows->d;
        if (a->k > a->n) {
            fxd_error(a, NULL, "Number of vectors (%lld) must be >= number of clusters (%lld)",
                      (long long)a->n, (long long)a->k);
            return;
        }
        a->tolerant = true;
        fxd_begin(a, "index_cluster");
        fxd_int(a, "k", a->k);
        fxd_int(a, "d", a->total);
        fxd_int(a, "rounds", rounds);
        fxd_give_rows(a, rows, false);
    }
}

enum { FOR_EACH_CENTROID = 10 }; /* vectors to train with, at least; as in the original */

/* Returns the share of the vectors to train with, or -1 with the reply set. */
static double sample_ratio(struct fxd_ask *a)
{
    const msgpack_object *v = fxd_get(a, "sample_ratio");
    double ratio = 0.5;
    if (v && v->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        ratio = (double)v->via.u64;
    else if (v && (v->type == MSGPACK_OBJECT_FLOAT64 || v->type == MSGPACK_OBJECT_FLOAT32))
        ratio = v->via.f64;
    else if (v && v->type != MSGPACK_OBJECT_NIL)
        ratio = -1;
    if (!(ratio >= 0 && ratio <= 1)) {
        fxd_error(a, NULL, "Error reclustering index: sample_ratio must be a number from 0 to 1");
        return -1;
    }
    return ratio;
}

static void begin_recluster(struct fxd_ask *a, const struct fxe_req *done)
{
    fxd_facts_of(done->obj[0], &a->facts);
    double ratio = sample_ratio(a);
    if (ratio < 0)
        return;
    const FaissIndexIVF *ivf = !a->facts.ivf || a->facts.binary || !fxe_api()->IndexIVF_cast
                                   ? NULL
                                   : fxe_api()->IndexIVF_cast(done->obj[0]->ptr);
    int64_t most = a->facts.ntotal;
    if (!ivf) {
        fxd_error(a, NULL, "Reclustering only supported for IVF indices, not %s", a->facts.type);
        return;
    }
    if (most == 0) {
        fxd_error(a, NULL, "Index is empty, cannot recluster");
        return;
    }
    a->n = (int64_t)fxe_api()->IndexIVF_nlist(ivf);
    if (a->k == 0)
        a->k = a->n;
    if (a->k < 1 || a->k > most) {
        fxd_error(a, NULL, "Number of vectors (%lld) must be >= number of clusters (%lld)",
                  (long long)most, (long long)a->k);
        return;
    }
    int64_t want = (int64_t)((double)most * ratio);
    if (want / FOR_EACH_CENTROID < a->k)
        want = a->k * FOR_EACH_CENTROID;
    a->state = SET;
    a->tolerant = true;
    fxd_begin_named(a, "index_recluster");
    fxd_int(a, "nlist", a->k);
    fxd_int(a, "sample", want < most ? want : most);
}

static void recluster_index(struct fxd_ask *a, struct fxe_req *done)
{
    static const char *const known[] = {"index_id", "n_clusters", "sample_ratio", NULL};
    a->absent = "not found";
    if (!done) {
        const msgpack_object *k = fxd_get(a, "n_clusters");
        bool as_now = !k || k->type == MSGPACK_OBJECT_NIL;
        if (fxd_only_has(a, "recluster_index", known) && fxd_index(a) == 0 &&
            (as_now || fxd_get_int(a, "n_clusters", 0, &a->k) == 0)) {
            if (!as_now && a->k == 0)
                a->k = -1;
            fxd_begin_named(a, "index_info");
        }
    } else if (a->state != SET) {
        begin_recluster(a, done);
    } else if (done->failed) {
        fxd_failed(a, done, NULL, "Error reclustering index: ");
    } else {
        fxd_facts_of(done->obj[0], &a->facts);
        fxd_ok(a, 4);
        fxd_put_message(a, "Index %s reclustered with %lld clusters", a->name, (long long)a->k);
        fxd_put_int(a, "previous_nlist", a->n);
        fxd_put_int(a, "new_nlist", a->k);
        fxd_put_int(a, "ntotal", a->facts.ntotal);
    }
}

/* --- transforms --- */

/* Begins with what is known of the index.  Returns true if it is behind a transform. */
static bool is_transform(struct fxd_ask *a, struct fxe_req *done)
{
    a->absent = "not found";
    if (!done) {
        if (fxd_index(a) == 0)
            fxd_begin_named(a, "index_info");
        return false;
    }
    if (a->state != SET)
        fxd_facts_of(done->obj[0], &a->facts);
    if (strcmp(a->facts.type, "IndexPreTransform") == 0)
        return true;
    fxd_error(a, "NOT_TRANSFORM_INDEX", "Index %s is not an IndexPreTransform", a->name);
    return false;
}

static void apply_transform(struct fxd_ask *a, struct fxe_req *done)
{
    if (!is_transform(a, done))
        return;
    if (a->state == SET && done->failed) {
        fxd_failed(a, done, NULL, "Error applying transformation: ");
        return;
    }
    if (a->state == SET) {
        size_t d = a->n ? done->out[0].size / sizeof(float) / (size_t)a->n : 0;
        const float *x = fxd_out(a, done, 0, (size_t)a->n * d, sizeof *x);
        if (!x || fxd_reserve(a, (double)a->n * (5 + 5 * (double)d)) != 0)
            return;
        fxd_ok(a, 5);
        fxd_put_text(a, "index_id", a->name);
        fxd_put_int(a, "input_vectors", a->n);
        fxd_put_int(a, "input_dimension", a->facts.d);
        fxd_put_int(a, "output_dimension", (int64_t)d);
        msgpack_packer pk = fxd_put(a, "transformed_vectors");
        msgpack_pack_array(&pk, (size_t)a->n);
        for (int64_t i = 0; i < a->n; i++)
            fxd_floats(a, x + (size_t)i * d, d);
        return;
    }
    struct fx_rows *rows = fxd_rows_of(a, FXD_VECTORS, "Error applying transformation");
    if (!rows || fxd_check_d(a, rows) != 0)
        return;
    a->n = (int64_t)rows->n;
    a->state = SET;
    a->tolerant = true;
    fxd_begin_named(a, "index_transform");
    fxd_give_rows(a, rows, false);
}

static void pack_truth(msgpack_packer *pk, bool v)
{
    if (v)
        msgpack_pack_true(pk);
    else
        msgpack_pack_false(pk);
}

static void put_part(msgpack_packer *pk, const struct fxe_chain_part *t)
{
    bool pca = strcmp(t->type, "PCAMatrix") == 0,
         norm = strcmp(t->type, "NormalizationTransform") == 0;
    msgpack_pack_map(pk, 4 + pca + norm);
    fx_pack_str(pk, "type");
    fx_pack_str(pk, t->type);
    fx_pack_str(pk, "is_trained");
    pack_truth(pk, t->trained);
    fx_pack_str(pk, "input_dim");
    msgpack_pack_int(pk, t->d_in);
    fx_pack_str(pk, "output_dim");
    msgpack_pack_int(pk, t->d_out);
    if (pca) {
        fx_pack_str(pk, "do_whitening");
        pack_truth(pk, t->power == -0.5f);
    }
    if (norm) {
        fx_pack_str(pk, "dimension");
        msgpack_pack_int(pk, t->d_in);
    }
}

/* The type and whether it is trained; of one that waits, what it is until then. */
static void put_base(struct fxd_ask *a, const FaissIndex *base, int64_t d)
{
    char type[sizeof a->facts.type] = "";
    const char *name;
    size_t len;
    if (base) {
        fxe_index_type(base, &name, &len);
        snprintf(type, sizeof type, "%.*s", (int)len, name);
    }
    msgpack_packer pk = fxd_put(a, "base_index");
    msgpack_pack_map(&pk, 2 + (base != NULL));
    if (base) {
        fx_pack_str(&pk, "type");
        fx_pack_str(&pk, type);
    }
    fx_pack_str(&pk, "dimension");
    msgpack_pack_int64(&pk, d);
    fx_pack_str(&pk, "is_trained");
    pack_truth(&pk, base && fxe_api()->Index_is_trained(base));
}

static void transform_info(struct fxd_ask *a, struct fxe_obj *o, const struct fxe_chain *c)
{
    FaissIndexPreTransform *whole = a->facts.waits || !fxe_api()->IndexPreTransform_cast
                                        ? NULL
                                        : fxe_api()->IndexPreTransform_cast(o->ptr);
    int64_t d = fxe_chain_d_out(c);
    fxd_ok(a, 8);
    fxd_put_text(a, "index_id", a->name);
    fxd_put_text(a, "type", a->facts.type);
    fxd_put_int(a, "input_dimension", a->facts.d);
    fxd_put_int(a, "output_dimension", d);
    fxd_put_int(a, "chain_size", c->t.n);
    fxd_put_bool(a, "is_trained", a->facts.trained);
    msgpack_packer pk = fxd_put(a, "transforms");
    msgpack_pack_array(&pk, (size_t)c->t.n);
    for (int i = 0; i < c->t.n; i++)
        put_part(&pk, &c->t.part[i]);
    put_base(a, whole ? fxe_api()->IndexPreTransform_index(whole) : NULL, d);
}

static void get_transform_info(struct fxd_ask *a, struct fxe_req *done)
{
    static const struct fxe_operation operation = {"get_transform_info", 0, NULL, NULL, NULL};
    if (!is_transform(a, done))
        return;
    struct fxe_req r = {.operation = &operation, .session = done->session};
    struct fxe_chain chain;
    msgpack_sbuffer_init(&r.extra);
    msgpack_sbuffer_init(&r.reply);
    if (fxe_chain_read(&r, done->obj[0], &chain) == 0)
        transform_info(a, done->obj[0], &chain);
    else
        fxd_failed(a, &r, NULL, "Error getting transform info: ");
    fxe_chain_free(&chain);
    fxe_req_clear(&r);
}

const struct fxd_entry fxd_special[] = {
    {"optimize_index", optimize_index},         {"compute_clustering", compute_clustering},
    {"recluster_index", recluster_index},       {"apply_transform", apply_transform},
    {"get_transform_info", get_transform_info}, {NULL, NULL}};
