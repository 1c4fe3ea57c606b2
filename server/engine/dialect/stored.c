/* SPDX-License-Identifier: Apache-2.0 */
/* The actions that read, remove and replace the vectors that an index has. */
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/vectors.h"
#include "server/engine/dialect/ask.h"

/* --- read --- */

/* Returns the position of an id in a locked IDMap, or -1. */
static int64_t place_of(const struct fxe_obj *o, int64_t id)
{
    FaissIndexIDMap *map = fxe_id_map_of(o);
    idx_t *ids = NULL;
    size_t n = 0;
    if (map)
        fxe_api()->IndexIDMap_id_map(map, &ids, &n);
    for (size_t i = n; i > 0; i--) /* the last of several, as IDMap2 does */
        if (ids[i - 1] == id)
            return (int64_t)i - 1;
    return -1;
}

/* Returns the vectors that the request has read, or NULL with the reply set. */
static const float *rows_of(struct fxd_ask *a, struct fxe_req *done)
{
    return fxd_out(a, done, 1, (size_t)a->n, (size_t)a->facts.d * sizeof(float));
}

static void put_rows(struct fxd_ask *a, const char *key, const float *x, size_t n)
{
    msgpack_packer pk = fxd_put(a, key);
    size_t d = (size_t)a->facts.d;
    msgpack_pack_array(&pk, n);
    for (size_t i = 0; i < n; i++)
        fxd_floats(a, x + i * d, d);
}

/* The reply: vector `i` of those that the request has read, which are one. */
static void put_vector(struct fxd_ask *a, struct fxe_req *done, int i)
{
    fxd_facts_of(done->obj[0], &a->facts);
    const float *x = fxd_out(a, done, i, 1, (size_t)a->facts.d * sizeof *x);
    if (!x)
        return;
    fxd_ok(a, 1);
    fxd_put(a, "vector");
    fxd_floats(a, x, (size_t)a->facts.d);
}

enum { FOUND = FXD_LOOKING + 1, BY_PLACE, REPLACING };

static void no_vector(struct fxd_ask *a)
{
    if (a->facts.ivf && !a->facts.idmap) /* such ids may be any */
        fxd_error(a, NULL, "Vector with ID %lld not found", (long long)a->at);
    else
        fxd_error(a, NULL, "Vector index %lld out of range (0-%lld)", (long long)a->at,
                  (long long)a->facts.ntotal - 1);
}

static void give_id(struct fxd_ask *a)
{
    int64_t *id = malloc(sizeof *id);
    if (id)
        *id = a->at;
    fxd_frame(a, "ids", id, sizeof *id);
}

static void begin_reconstruct(struct fxd_ask *a)
{
    if (a->facts.binary) {
        fxd_error(a, NULL, "Error reconstructing vector: the index is binary");
    } else if (a->facts.idmap || a->facts.ivf) {
        a->state = FOUND;
        fxd_begin_named(a, "index_get_vectors");
        fxd_int(a, "n", 1);
        give_id(a);
    } else if (a->at < 0 || a->at >= a->facts.ntotal) {
        no_vector(a);
    } else {
        a->state = BY_PLACE;
        fxd_begin_named(a, "index_reconstruct");
        fxd_int(a, "id", a->at);
    }
}

static void reconstruct(struct fxd_ask *a, struct fxe_req *done)
{
    a->tolerant = true;
    if (done && done->failed && a->state == FOUND && done->kind &&
        strcmp(done->kind, "argument") == 0) {
        no_vector(a);
    } else if (done && done->failed) {
        fxd_failed(a, done, NULL, "Error reconstructing vector: ");
    } else if (a->state == FOUND || a->state == BY_PLACE) {
        put_vector(a, done, a->state == FOUND);
    } else if (done) {
        fxd_facts_of(done->obj[0], &a->facts);
        begin_reconstruct(a);
    } else if (fxd_index(a) == 0 &&
               fxd_get_int(a, fxd_get(a, "id") ? "id" : "idx", 0, &a->at) == 0 &&
               !fxd_must_look(a)) {
        begin_reconstruct(a);
    }
}

static void begin_read(struct fxd_ask *a)
{
    if (a->facts.binary) {
        fxd_error(a, NULL, "Error reconstructing vectors: the index is binary");
        return;
    }
    if (fxd_reserve(a, (double)a->n * (5 + 5 * (double)a->facts.d)) != 0)
        return;
    a->state = FOUND;
    fxd_begin_named(a, "index_get_vectors");
    fxd_int(a, "from", a->at);
    fxd_int(a, "n", a->n);
}

static void reconstruct_n(struct fxd_ask *a, struct fxe_req *done)
{
    if (!done) {
        if (fxd_index(a) == 0 && fxd_get_int(a, "start_idx", 0, &a->at) == 0 &&
            fxd_get_int(a, "num_vectors", 10, &a->n) == 0)
            fxd_begin_named(a, "index_info");
        return;
    }
    fxd_facts_of(done->obj[0], &a->facts);
    if (a->state == FOUND) {
        const float *x = rows_of(a, done);
        if (!x)
            return;
        fxd_ok(a, 3);
        put_rows(a, "vectors", x, (size_t)a->n);
        fxd_put_int(a, "start_idx", a->at);
        fxd_put_int(a, "num_vectors", a->n);
    } else if (a->at < 0) {
        fxd_error(a, NULL, "Starting index cannot be negative");
    } else if (a->n <= 0) {
        fxd_error(a, NULL, "Number of vectors must be positive");
    } else if (a->at > a->facts.ntotal || a->n > a->facts.ntotal - a->at) {
        fxd_error(a, NULL, "Range %lld:%llu exceeds index size %lld", (long long)a->at,
                  (unsigned long long)a->at + (unsigned long long)a->n, (long long)a->facts.ntotal);
    } else {
        begin_read(a);
    }
}

static void get_vectors(struct fxd_ask *a, struct fxe_req *done)
{
    if (!done) {
        if (fxd_index(a) == 0 && fxd_get_int(a, "start_idx", 0, &a->at) == 0 &&
            fxd_get_int(a, "limit", INT64_MAX, &a->n) == 0)
            fxd_begin_named(a, "index_info");
        return;
    }
    fxd_facts_of(done->obj[0], &a->facts);
    if (a->state == FOUND || a->facts.ntotal == 0) {
        const float *x = NULL;
        if (a->state != FOUND)
            a->n = 0;
        else if (!(x = rows_of(a, done)))
            return;
        fxd_ok(a, 4);
        put_rows(a, "vectors", x, (size_t)a->n);
        fxd_put_int(a, "count", a->n);
        fxd_put_int(a, "start_idx", a->at);
        fxd_put_int(a, "ntotal", a->facts.ntotal);
    } else if (a->at < 0 || a->at >= a->facts.ntotal) {
        fxd_error(a, NULL, "Invalid start_idx: %lld, should be between 0 and %lld",
                  (long long)a->at, (long long)a->facts.ntotal - 1);
    } else if (a->n < 0) {
        fxd_error(a, NULL, "limit must not be negative");
    } else {
        if (a->n > a->facts.ntotal - a->at)
            a->n = a->facts.ntotal - a->at;
        begin_read(a);
    }
}

/* --- remove and replace --- */

static void remove_ids(struct fxd_ask *a, struct fxe_req *done)
{
    uint64_t count = 0;
    if (done) {
        fxd_facts_of(done->obj[0], &a->facts);
        if (done->nout && done->out[0].size == sizeof count)
            memcpy(&count, done->out[0].data, sizeof count);
        fxd_ok(a, 4);
        fxd_put_message(a, "Removed %llu vectors from index %s", (unsigned long long)count,
                        a->name);
        fxd_put_int(a, "count", (int64_t)count);
        fxd_put_int(a, "total", a->facts.ntotal);
        fxd_put_int(a, "ntotal", a->facts.ntotal);
    } else if (fxd_index(a) != 0) {
        return;
    } else if (!a->map.ids) {
        fxd_error(a, NULL, "Error removing vectors: %s",
                  a->map.has_ids ? a->map.ids_why : "ids are missing");
    } else {
        size_t n = a->map.nids;
        fxd_begin_named(a, "index_remove");
        fxd_int(a, "n", (int64_t)n);
        fxd_frame(a, "ids", fxd_take_ids(a), n * sizeof(int64_t));
    }
}

static void replace_vector(struct fxd_ask *a, struct fxe_req *done)
{
    if (a->state == REPLACING) {
        fxd_ok(a, 2);
        fxd_put_text(a, "index_id", a->name);
        fxd_put_int(a, "id", a->at);
        return;
    }
    if (!done) {
        if (fxd_index(a) == 0 && fxd_get_int(a, "id", 0, &a->at) == 0)
            fxd_begin_named(a, "index_info");
        return;
    }
    fxd_facts_of(done->obj[0], &a->facts);
    struct fx_rows *rows = fxd_rows_of(a, FXD_VECTOR, "Error replacing vector");
    if (!rows || fxd_check_d(a, rows) != 0)
        return;
    if (!a->facts.idmap) {
        fxd_error(a, NULL, "Index %s is not an IDMap type", a->name);
    } else if (rows->n != 1 || place_of(done->obj[0], a->at) < 0) {
        fxd_error(a, NULL, "Vector with ID %lld not found", (long long)a->at);
    } else {
        a->state = REPLACING;
        fxd_begin_named(a, "index_replace");
        fxd_give_rows(a, rows, false);
        give_id(a);
    }
}

const struct fxd_entry fxd_stored[] = {
    {"reconstruct", reconstruct}, {"reconstruct_n", reconstruct_n},   {"get_vectors", get_vectors},
    {"remove_ids", remove_ids},   {"replace_vector", replace_vector}, {NULL, NULL}};
