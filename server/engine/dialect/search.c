/* SPDX-License-Identifier: Apache-2.0 */
/* The actions that search. */
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/dialect/ask.h"

/* Reads index, query vectors and k.  Returns the vectors, or NULL with the reply set. */
static struct fx_rows *queries_of(struct fxd_ask *a, const char *error)
{
    if (fxd_index(a) != 0)
        return NULL;
    struct fx_rows *rows = fxd_rows_of(a, FXD_QUERIES, error);
    if (rows && (rows->n == 0 || (int64_t)rows->d != a->facts.d)) {
        fxd_error(a, NULL, "Query dimension mismatch: expected %lld, got %zu",
                  (long long)a->facts.d, rows->n ? rows->d : 0);
        return NULL;
    }
    if (rows)
        a->n = (int64_t)rows->n;
    return rows;
}

static int read_k(struct fxd_ask *a)
{
    if (fxd_get_int(a, "k", 10, &a->k) != 0)
        return -1;
    int most = fxe_engine.options.faissx.k;
    if (a->k < 1 || a->k > most)
        return fxd_error(a, NULL, "k=%lld out of range (1-%d)", (long long)a->k, most);
    return 0;
}

/* The parameters of this search only.  Those that the index does not have are ignored, as the
 * original does.  FAISS's C API can give efSearch to a search since FAISS 1.14. */
static void give_params(struct fxd_ask *a)
{
    static const char *const probes[] = {"nprobe", NULL}, *const efs[] = {"efSearch", "ef_search",
                                                                          "ef", NULL};
    const msgpack_object *o = fxd_get(a, "params");
    const char *type = a->facts.inner[0] ? a->facts.inner : a->facts.type;
    bool hnsw = strstr(type, "HNSW") && fxe_api()->SearchParametersHNSW_new;
    if (!o || o->type != MSGPACK_OBJECT_MAP || (!a->facts.ivf && !hnsw))
        return;
    for (uint32_t i = 0; i < o->via.map.size; i++) {
        const msgpack_object_kv *kv = &o->via.map.ptr[i];
        if (kv->val.type != MSGPACK_OBJECT_POSITIVE_INTEGER || kv->val.via.u64 == 0 ||
            kv->val.via.u64 > INT32_MAX || !fxd_one_of(&kv->key, a->facts.ivf ? probes : efs))
            continue;
        msgpack_packer pk = fxd_key(a, "params");
        msgpack_pack_map(&pk, 1);
        fx_pack_str(&pk, a->facts.ivf ? "nprobe" : "efSearch");
        msgpack_pack_uint64(&pk, kv->val.via.u64);
        return;
    }
}

/* --- replies --- */

/* Where there is no neighbour, FAISS leaves what its search began with, or nothing at all. */
static void mend(struct fxd_ask *a, float *distances, int64_t *labels)
{
    float worst = a->facts.metric == METRIC_INNER_PRODUCT ? -FLT_MAX : FLT_MAX;
    for (int64_t i = 0; i < a->n * a->k; i++) {
        if (a->facts.ntotal == 0)
            labels[i] = -1;
        if (labels[i] == -1)
            distances[i] = worst;
    }
}

static void put_row(struct fxd_ask *a, const char *key, const void *row, bool floats, size_t n)
{
    fxd_put(a, key);
    if (floats)
        fxd_floats(a, row, n);
    else
        fxd_ids(a, row, n);
}

static void put_hamming(struct fxd_ask *a, const int32_t *row, const int64_t *labels, size_t n)
{
    msgpack_packer pk = fxd_put(a, "distances");
    msgpack_pack_array(&pk, n);
    for (size_t i = 0; i < n; i++)
        msgpack_pack_int32(&pk, labels[i] == -1 ? INT32_MAX : row[i]);
}

static void put_vectors(struct fxd_ask *a, const float *x, const int64_t *labels, size_t k)
{
    size_t d = (size_t)a->facts.d;
    float *zeros = calloc(d + 1, sizeof *zeros);
    msgpack_packer pk = fxd_put(a, "vectors");
    msgpack_pack_array(&pk, k);
    for (size_t i = 0; i < k; i++) {
        const float *row = labels[i] == -1 ? zeros : x + i * d;
        fxd_floats(a, row ? row : x, row ? d : 0);
    }
    free(zeros);
}

/* IndexIVFPQ of the client reads these. */
static void put_top_level(struct fxd_ask *a, const float *distances, const int64_t *labels)
{
    size_t k = (size_t)a->k;
    msgpack_packer pk = fxd_put(a, "distances");
    msgpack_pack_array(&pk, (size_t)a->n);
    for (int64_t i = 0; i < a->n; i++)
        fxd_floats(a, distances + i * a->k, k);
    pk = fxd_put(a, "indices");
    msgpack_pack_array(&pk, (size_t)a->n);
    for (int64_t i = 0; i < a->n; i++)
        fxd_ids(a, labels + i * a->k, k);
}

static void search_reply(struct fxd_ask *a, void *distances, int64_t *labels, const float *vectors)
{
    size_t k = (size_t)a->k;
    bool binary = a->facts.binary, twice = strcmp(a->facts.type, "IndexIVFPQ") == 0;
    if (!binary)
        mend(a, distances, labels);
    fxd_ok(a, 3 + binary + 2 * twice);
    msgpack_packer pk = fxd_put(a, "results");
    msgpack_pack_array(&pk, (size_t)a->n);
    for (int64_t i = 0; i < a->n; i++) {
        const int64_t *row = labels + i * a->k;
        msgpack_pack_map(&pk, 2 + (vectors != NULL));
        if (binary)
            put_hamming(a, (int32_t *)distances + i * a->k, row, k);
        else
            put_row(a, "distances", (float *)distances + i * a->k, true, k);
        put_row(a, "indices", row, false, k);
        if (vectors)
            put_vectors(a, vectors + i * a->k * a->facts.d, row, k);
    }
    fxd_put_int(a, "num_queries", a->n);
    fxd_put_int(a, "k", a->k);
    if (binary)
        fxd_put_bool(a, "is_binary", true);
    if (twice)
        put_top_level(a, distances, labels);
}

/* In an empty index: some releases of FAISS would leave a label undefined, and an IDMap would look
 * it up. */
static void empty_reply(struct fxd_ask *a, bool vectors)
{
    size_t n = (size_t)a->n * (size_t)a->k, d = vectors ? (size_t)a->facts.d : 0;
    float *distances = calloc(n, sizeof *distances), *zeros = calloc(n * d + 1, sizeof *zeros);
    int64_t *labels = malloc(n * sizeof *labels);
    if (distances && labels && zeros) {
        memset(labels, 0xff, n * sizeof *labels);
        search_reply(a, distances, labels, vectors ? zeros : NULL);
    } else {
        fxd_error(a, NULL, "The server has no memory for %zu results", n);
    }
    free(distances);
    free(labels);
    free(zeros);
}

/* --- actions --- */

enum { SEARCHING = 1 };

/* Each result takes a distance and a label, which are there twice for an IVFPQ. */
static int make_room(struct fxd_ask *a, bool vectors)
{
    double each = 2 * (5 + 9) + (vectors ? 5 + 5.0 * (double)a->facts.d : 0);
    return fxd_reserve(a, (double)a->n * (60 + (double)a->k * each));
}

static void search_with(struct fxd_ask *a, struct fxe_req *done, const char *operation)
{
    if (done && done->failed) {
        fxd_failed(a, done, NULL, "Error searching index: ");
        return;
    }
    if (a->state == SEARCHING) {
        size_t n = (size_t)a->n * (size_t)a->k;
        fxd_facts_of(done->obj[0], &a->facts);
        void *distances = fxd_out(a, done, 0, n, 4), *labels = fxd_out(a, done, 1, n, 8),
             *found = done->nout > 2 ? fxd_out(a, done, 2, n, 4 * (size_t)a->facts.d) : NULL;
        if (!a->replied)
            search_reply(a, distances, labels, found);
        return;
    }
    a->tolerant = true;
    if (!done && read_k(a) != 0)
        return;
    struct fx_rows *rows = queries_of(a, "Error searching index");
    bool vectors = strcmp(operation, "index_search") != 0;
    if (!rows || (!done && make_room(a, vectors) != 0))
        return;
    if (done)
        fxd_facts_of(done->obj[0], &a->facts);
    /* That it has no vectors, or is not trained, is only told with its lock. */
    if (!done &&
        (fxd_look(a->name, &a->facts) == 1 || !fxd_is_ready(&a->facts) || !a->facts.ntotal)) {
        fxd_begin_named(a, "index_info");
        return;
    }
    if (!fxd_is_ready(&a->facts)) {
        fxd_error(a, "NOT_TRAINED", "Index is not ready: Index requires training before use");
        return;
    }
    if (a->facts.ntotal == 0) {
        empty_reply(a, vectors);
        return;
    }
    a->state = SEARCHING;
    fxd_begin_named(a, operation);
    fxd_int(a, "k", a->k);
    fxd_give_rows(a, rows, a->facts.binary);
    give_params(a);
}

void fxd_search(struct fxd_ask *a, struct fxe_req *done)
{
    search_with(a, done, "index_search");
}

static void search_and_reconstruct(struct fxd_ask *a, struct fxe_req *done)
{
    search_with(a, done, "index_search_and_reconstruct");
}

static void range_reply(struct fxd_ask *a, const struct fxe_req *done)
{
    const size_t *lims = done->out[0].data;
    const int64_t *labels = done->out[1].data;
    const float *distances = done->out[2].data;
    size_t n = (size_t)a->n;
    if (!fxd_out(a, done, 0, n + 1, sizeof *lims) ||
        !fxd_out(a, done, 1, lims[n], sizeof *labels) ||
        !fxd_out(a, done, 2, lims[n], sizeof *distances) ||
        fxd_reserve(a, (double)n * 90 + (double)lims[n] * 2 * (5 + 9)) != 0)
        return;
    fxd_ok(a, 6);
    msgpack_packer pk = fxd_put(a, "results");
    msgpack_pack_array(&pk, n);
    for (size_t i = 0; i < n; i++) {
        size_t count = lims[i + 1] - lims[i];
        msgpack_pack_map(&pk, 5);
        fxd_put_int(a, "query_index", (int64_t)i);
        fxd_put_int(a, "num_results", (int64_t)count);
        fxd_put_int(a, "count", (int64_t)count);
        put_row(a, "distances", distances + lims[i], true, count);
        put_row(a, "indices", labels + lims[i], false, count);
    }
    fxd_put_int(a, "num_queries", a->n);
    pk = fxd_put(a, "radius");
    msgpack_pack_double(&pk, a->radius);
    put_row(a, "lims", lims, false, n + 1);
    put_row(a, "distances", distances, true, lims[n]);
    put_row(a, "indices", labels, false, lims[n]);
}

static void range_search(struct fxd_ask *a, struct fxe_req *done)
{
    if (done && done->failed) {
        fxd_failed(a, done, NULL, "Error in range_search: ");
        return;
    }
    if (done) {
        range_reply(a, done);
        return;
    }
    const msgpack_object *o = fxd_get(a, "radius");
    struct fx_rows *rows = queries_of(a, "Error in range_search");
    if (!rows)
        return;
    if (o && (o->type == MSGPACK_OBJECT_FLOAT32 || o->type == MSGPACK_OBJECT_FLOAT64))
        a->radius = o->via.f64;
    else if (o && fxd_get_int(a, "radius", 0, &a->k) == 0)
        a->radius = (double)a->k;
    else if (o)
        return;
    if ((double)a->n * 90 > fxd_reply_max()) {
        fxd_error(a, NULL, "Response too large");
        return;
    }
    a->tolerant = true;
    fxd_begin_named(a, "index_range_search");
    msgpack_packer pk = fxd_key(a, "radius");
    msgpack_pack_double(&pk, a->radius);
    fxd_give_rows(a, rows, a->facts.binary);
}

static void hybrid_search(struct fxd_ask *a, struct fxe_req *done)
{
    static const char *const known[] = {
        "index_id", "query_vectors", "vector_weight", "metadata_filter", "k", "params", NULL};
    const msgpack_object *filter = fxd_get(a, "metadata_filter");
    if (!done && !fxd_only_has(a, "hybrid_search", known))
        return;
    if (filter && filter->type != MSGPACK_OBJECT_NIL)
        fxd_error(a, NULL,
                  "Metadata filtering is not yet implemented. Use hybrid_search without "
                  "metadata_filter for pure vector similarity search.");
    else
        fxd_search(a, done);
}

const struct fxd_entry fxd_searches[] = {{"search", fxd_search},
                                         {"search_and_reconstruct", search_and_reconstruct},
                                         {"range_search", range_search},
                                         {"hybrid_search", hybrid_search},
                                         {NULL, NULL}};
