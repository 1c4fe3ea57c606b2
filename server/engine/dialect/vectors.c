/* SPDX-License-Identifier: Apache-2.0 */
/* The actions that add, train, replace, remove and read vectors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/vectors.h"
#include "server/engine/dialect/ask.h"
#include "server/engine/dialect/links.h"

static int check_d(struct fxd_ask *a, const struct fx_rows *rows)
{
    if (rows->n == 0 || (int64_t)rows->d != a->facts.d)
        return fxd_error(a, NULL, "Vector dimension mismatch: expected %lld, got %zu",
                         (long long)a->facts.d, rows->n ? rows->d : 0);
    return 0;
}

/* --- add --- */

static void add_failed(struct fxd_ask *a, const struct fxe_req *done)
{
    const char *text = done->message ? done->message : "";
    bool few = strstr(text, "Number of training points") || strstr(text, "training point") ||
               strstr(text, "nx >= k");
    fxd_failed(a, done, few ? "NOT_TRAINED" : NULL, "Error adding vectors: ");
}

static void add_reply(struct fxd_ask *a, const struct fxe_req *done, const char *with)
{
    fxd_facts_of(done->obj[0], &a->facts);
    fxd_links_drop(a->name);
    fxd_ok(a, 4);
    fxd_put_message(a, "Added %lld vectors%s to index %s", (long long)a->n, with, a->name);
    fxd_put_int(a, "ntotal", a->facts.ntotal);
    fxd_put_int(a, "total", a->facts.ntotal);
    fxd_put_int(a, "count", a->n);
}

/* Of several vectors with one id the last one stays.  Returns how many there are then. */
struct numbered {
    int64_t id;
    size_t at;
};

static int by_id(const void *x, const void *y)
{
    const struct numbered *a = x, *b = y;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static int by_place(const void *x, const void *y)
{
    const struct numbered *a = x, *b = y;
    return a->at < b->at ? -1 : a->at > b->at;
}

static size_t keep_last(struct fx_rows *rows, int64_t *ids)
{
    size_t n = 0;
    struct numbered *all = malloc((rows->n + 1) * sizeof *all);
    if (!all)
        return rows->n; /* the catalogue refuses it if there are any */
    for (size_t i = 0; i < rows->n; i++)
        all[i] = (struct numbered){ids[i], i};
    qsort(all, rows->n, sizeof *all, by_id);
    for (size_t i = 0; i < rows->n; i++)
        if (i + 1 == rows->n || all[i + 1].id != all[i].id)
            all[n++] = all[i];
    qsort(all, n, sizeof *all, by_place);
    for (size_t i = 0; i < n; i++) {
        ids[i] = all[i].id;
        memmove(rows->x + i * rows->d, rows->x + all[i].at * rows->d, rows->d * sizeof *rows->x);
    }
    free(all);
    rows->n = n;
    return n;
}

/* Adds the rows with these ids, which are taken; NULL: without ids. */
static void begin_add(struct fxd_ask *a, struct fx_rows *rows, int64_t *ids)
{
    a->n = (int64_t)rows->n;
    bool replaces = ids && a->facts.idmap2;
    if (replaces)
        keep_last(rows, ids);
    size_t n = rows->n;
    fxd_begin_named(a, replaces ? "index_replace" : "index_add");
    fxd_true(a, "train");
    fxd_give_rows(a, rows, a->facts.binary);
    if (ids)
        fxd_frame(a, "ids", ids, n * sizeof *ids);
    a->tolerant = true;
}

static int64_t *take_ids(struct fxd_ask *a)
{
    int64_t *ids = a->map.ids;
    a->map.ids = NULL;
    return ids;
}

/* The ids that an IDMap's vectors get if they come without: ntotal, ntotal + 1, ... */
static int64_t *next_ids(const struct fxd_ask *a, size_t n)
{
    int64_t *ids = malloc((n + 1) * sizeof *ids);
    for (size_t i = 0; ids && i < n; i++)
        ids[i] = a->facts.ntotal + (int64_t)i;
    return ids;
}

enum { LOOKING = 1, ADDING };

/* What is only known of an index that is in memory is asked for first. */
static bool must_look(struct fxd_ask *a)
{
    if (fxd_look(a->name, &a->facts) == 0)
        return false;
    a->state = LOOKING;
    fxd_begin_named(a, "index_info");
    return true;
}

static void add_vectors(struct fxd_ask *a, struct fxe_req *done)
{
    if (!done && (fxd_index(a) != 0 || must_look(a)))
        return;
    if (done && a->state == LOOKING)
        fxd_facts_of(done->obj[0], &a->facts);
    if (a->state == ADDING) {
        if (done->failed)
            add_failed(a, done);
        else
            add_reply(a, done, "");
        return;
    }
    struct fx_rows *rows = fxd_rows_of(a, FXD_VECTORS, "Error adding vectors");
    if (!rows || check_d(a, rows) != 0)
        return;
    if (rows->n > FXD_BATCH_MAX) {
        fxd_error(a, NULL, "Batch size %zu exceeds maximum (%d)", rows->n, FXD_BATCH_MAX);
        return;
    }
    int64_t *ids = NULL;
    if (a->facts.idmap && a->map.ids && a->map.nids != rows->n) {
        fxd_error(a, NULL, "Number of vectors (%zu) doesn't match number of IDs (%zu)", rows->n,
                  a->map.nids);
        return;
    }
    if (a->facts.idmap)
        ids = a->map.ids ? take_ids(a) : next_ids(a, rows->n);
    a->state = ADDING;
    begin_add(a, rows, ids);
}

static void add_ids(struct fxd_ask *a, struct fxe_req *done, bool batch)
{
    if (!done && (fxd_index(a) != 0 || must_look(a)))
        return;
    if (done && a->state == LOOKING)
        fxd_facts_of(done->obj[0], &a->facts);
    if (a->state == ADDING) {
        if (done->failed)
            add_failed(a, done);
        else
            add_reply(a, done, " with IDs");
        return;
    }
    struct fx_rows *rows;
    if (!a->facts.idmap && batch)
        fxd_error(a, NULL, "add_with_ids requires an IDMap index, but %s is %s", a->name,
                  a->facts.type);
    else if (!a->facts.idmap)
        fxd_error(a, NULL, "Index %s is not an IDMap type", a->name);
    else if ((rows = fxd_rows_of(a, FXD_VECTORS, "Error adding vectors")) != NULL) {
        if (!a->map.ids)
            fxd_error(a, NULL, "Error adding vectors: %s",
                      a->map.has_ids ? a->map.ids_why : "ids are missing");
        else if (rows->n != a->map.nids && !rows->flat)
            fxd_error(a, NULL, "Number of vectors (%zu) doesn't match number of IDs (%zu)", rows->n,
                      a->map.nids);
        else if (check_d(a, rows) == 0 && rows->n == a->map.nids) {
            a->state = ADDING;
            begin_add(a, rows, take_ids(a));
        } else if (!a->replied) {
            fxd_error(a, NULL, "Number of vectors (%zu) doesn't match number of IDs (%zu)", rows->n,
                      a->map.nids);
        }
    }
}

static void add_with_ids(struct fxd_ask *a, struct fxe_req *done)
{
    add_ids(a, done, false);
}

static void batch_add_with_ids(struct fxd_ask *a, struct fxe_req *done)
{
    add_ids(a, done, true);
}

/* --- train --- */

static void train_reply(struct fxd_ask *a, bool skipped)
{
    fxd_ok(a, skipped ? 5 : 6);
    fxd_put_text(a, "index_id", a->name);
    fxd_put_bool(a, "is_trained", true);
    if (skipped) {
        fxd_put_bool(a, "training_skipped", true);
        fxd_put_text(a, "message",
                     a->facts.trains ? "The index has vectors and stays as it was trained"
                                     : "This index type does not require training");
    } else {
        fxd_put_int(a, "trained_with", a->n);
        fxd_put_bool(a, "has_enough_vectors", true);
        msgpack_packer pk = fxd_put(a, "recommendation");
        msgpack_pack_nil(&pk);
    }
    msgpack_packer pk = fxd_put(a, "training_info");
    msgpack_pack_map(&pk, 2);
    fxd_put_bool(a, "requires_training", a->facts.trains);
    fxd_put_bool(a, "is_trained", true);
}

static void train_failed(struct fxd_ask *a, const struct fxe_req *done)
{
    const char *text = done->message ? done->message : "";
    if (strncmp(text, "faissx: ", 8) == 0)
        text += 8;
    fxd_error(a, "TRAINING_ERROR", "Training error: %s", text);
    if (a->reply.size == 0)
        return;
    /* error_details follow: one more pair in the map. */
    a->reply.data[0]++;
    msgpack_packer pk = fxd_put(a, "error_details");
    msgpack_pack_map(&pk, 2);
    fxd_put_text(a, "index_id", a->name);
    fxd_put_int(a, "vector_count", a->n);
}

/* Trains `name` with a copy of the vectors, or with them, if it is the last one. */
static void begin_train(struct fxd_ask *a, const char *name, struct fx_rows *rows)
{
    struct fx_rows copy = *rows;
    size_t bytes = rows->n * rows->d * sizeof *rows->x;
    copy.x = malloc(bytes + 1);
    if (copy.x)
        memcpy(copy.x, rows->x, bytes);
    fxd_begin(a, "index_train");
    fxd_str(a, "name", name);
    fxd_give_rows(a, &copy, a->facts.binary);
    free(copy.x);
    a->tolerant = true;
}

enum { TRAINING = 2 };

void fxd_train_index(struct fxd_ask *a, struct fxe_req *done)
{
    if (!done && (fxd_index(a) != 0 || must_look(a)))
        return;
    if (done && a->state == LOOKING)
        fxd_facts_of(done->obj[0], &a->facts);
    if (a->state == TRAINING && done->failed && a->at == 0) {
        train_failed(a, done);
        return;
    }
    struct fx_rows *rows = fxd_rows_of(a, FXD_TRAINING, "Training error");
    if (!rows)
        return;
    if (a->state == TRAINING) {
        /* IDMaps made over it share its training. */
        char wrapper[FXD_NAME_MAX + 1];
        if (fxd_links_next(a->name, (int)a->at++, wrapper))
            begin_train(a, wrapper, rows);
        else
            train_reply(a, false);
        return;
    }
    a->n = (int64_t)rows->n;
    if (!a->facts.trains || (a->facts.trained && a->facts.ntotal > 0)) {
        train_reply(a, true);
    } else if (rows->n == 0 || (int64_t)rows->d != a->facts.d) {
        fxd_error(a, NULL, "Training vector dimension mismatch. Expected %lld, got %zu",
                  (long long)a->facts.d, rows->n ? rows->d : 0);
    } else {
        a->state = TRAINING;
        begin_train(a, a->name, rows);
    }
}

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

static void put_rows(struct fxd_ask *a, const char *key, const float *x, size_t n)
{
    msgpack_packer pk = fxd_put(a, key);
    size_t d = (size_t)a->facts.d;
    msgpack_pack_array(&pk, n);
    for (size_t i = 0; i < n; i++)
        fx_floats_write(&a->reply, x + i * d, d);
}

static void put_vector(struct fxd_ask *a, const float *x)
{
    fxd_ok(a, 1);
    fxd_put(a, "vector");
    fx_floats_write(&a->reply, x, (size_t)a->facts.d);
}

enum { FOUND = 2, BY_ID };

static void reconstruct(struct fxd_ask *a, struct fxe_req *done)
{
    a->tolerant = true;
    if (done && done->failed) {
        fxd_failed(a, done, NULL, "Error reconstructing vector: ");
        return;
    }
    if (a->state == FOUND) {
        put_vector(a, done->out[1].data);
        return;
    }
    if (a->state == BY_ID) {
        put_vector(a, done->out[0].data);
        return;
    }
    if (!done) {
        if (fxd_index(a) != 0 || fxd_get_int(a, fxd_get(a, "id") ? "id" : "idx", 0, &a->at) != 0 ||
            must_look(a))
            return;
    } else {
        fxd_facts_of(done->obj[0], &a->facts);
    }
    if (a->facts.binary) {
        fxd_error(a, NULL, "Error reconstructing vector: the index is binary");
        return;
    }
    if (a->facts.idmap && !done) { /* its ids are looked at with its lock */
        a->state = LOOKING;
        fxd_begin_named(a, "index_info");
        return;
    }
    int64_t place = a->facts.idmap ? place_of(done->obj[0], a->at) : a->at;
    if (place < 0 || (place >= a->facts.ntotal && !a->facts.ivf)) {
        fxd_error(a, NULL, "Vector index %lld out of range (0-%lld)", (long long)a->at,
                  (long long)a->facts.ntotal - 1);
    } else if (a->facts.idmap || a->facts.ivf) {
        a->state = FOUND;
        fxd_begin_named(a, "index_get_vectors");
        fxd_int(a, "from", place);
        fxd_int(a, "n", 1);
    } else {
        a->state = BY_ID;
        fxd_begin_named(a, "index_reconstruct");
        fxd_int(a, "id", place);
    }
}

static void begin_read(struct fxd_ask *a)
{
    if ((double)a->n * 9.0 * (double)a->facts.d > FXD_REPLY_MAX) {
        fxd_error(a, NULL, "Response too large");
        return;
    }
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
        fxd_ok(a, 3);
        put_rows(a, "vectors", done->out[1].data, (size_t)a->n);
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
        if (a->state != FOUND)
            a->n = 0;
        fxd_ok(a, 4);
        put_rows(a, "vectors", a->n ? done->out[1].data : NULL, (size_t)a->n);
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
        fxd_frame(a, "ids", take_ids(a), n * sizeof(int64_t));
    }
}

static void replace_vector(struct fxd_ask *a, struct fxe_req *done)
{
    if (a->state == ADDING) {
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
    int64_t *id;
    if (!rows || check_d(a, rows) != 0)
        return;
    if (!a->facts.idmap) {
        fxd_error(a, NULL, "Index %s is not an IDMap type", a->name);
    } else if (rows->n != 1 || place_of(done->obj[0], a->at) < 0) {
        fxd_error(a, NULL, "Vector with ID %lld not found", (long long)a->at);
    } else {
        a->state = ADDING;
        fxd_begin_named(a, "index_replace");
        fxd_give_rows(a, rows, false);
        id = malloc(sizeof *id);
        if (id)
            *id = a->at;
        fxd_frame(a, "ids", id, sizeof *id);
    }
}

const struct fxd_entry fxd_vectors[] = {{"add_vectors", add_vectors},
                                        {"add_with_ids", add_with_ids},
                                        {"batch_add_with_ids", batch_add_with_ids},
                                        {"train_index", fxd_train_index},
                                        {"reconstruct", reconstruct},
                                        {"reconstruct_n", reconstruct_n},
                                        {"get_vectors", get_vectors},
                                        {"remove_ids", remove_ids},
                                        {"replace_vector", replace_vector},
                                        {NULL, NULL}};
