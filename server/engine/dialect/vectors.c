/* SPDX-License-Identifier: Apache-2.0 */
/* The actions that add vectors, and train with them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/vectors.h"
#include "server/engine/dialect/ask.h"
#include "server/engine/dialect/links.h"
#include "server/engine/training/training.h"

int fxd_check_d(struct fxd_ask *a, const struct fx_rows *rows)
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

static void add_reply(struct fxd_ask *a, const char *with)
{
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

/* Adds the rows with these ids, which are taken; NULL: without ids.  Ids that nobody gave replace
 * nothing, even if another client has taken the same ones meanwhile. */
static void begin_add(struct fxd_ask *a, struct fx_rows *rows, int64_t *ids, bool given)
{
    a->n = (int64_t)rows->n;
    bool replaces = given && a->facts.idmap2;
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

int64_t *fxd_take_ids(struct fxd_ask *a)
{
    int64_t *ids = a->map.ids;
    a->map.ids = NULL;
    return ids;
}

/* The ids that the vectors of a locked IDMap get if they come without: from its number of vectors
 * on; or, if one of those is taken, behind its largest one. */
static int64_t *next_ids(const struct fxd_ask *a, const struct fxe_obj *o, size_t n)
{
    FaissIndexIDMap *map = fxe_id_map_of(o);
    int64_t *ids = malloc((n + 1) * sizeof *ids), next = a->facts.ntotal, largest = -1;
    idx_t *have = NULL;
    size_t count = 0;
    bool taken = false;
    if (map)
        fxe_api()->IndexIDMap_id_map(map, &have, &count);
    for (size_t i = 0; i < count; i++) {
        taken |= have[i] >= next && have[i] < next + (int64_t)n;
        if (have[i] > largest && have[i] < INT64_MAX - (int64_t)n)
            largest = have[i];
    }
    if (taken)
        next = largest + 1;
    for (size_t i = 0; ids && i < n; i++)
        ids[i] = next + (int64_t)i;
    return ids;
}

enum { ADDING = FXD_LOOKING + 1, SETTLING };

/* The index has enough vectors now, and is being trained: the client, which believes that it is
 * trained, is answered when that has ended.  If it fails the index goes on as it is. */
static bool settles(struct fxd_ask *a, const struct fxe_req *done)
{
    fxd_facts_of(done->obj[0], &a->facts);
    if (!a->facts.waits || a->facts.asked || a->facts.ntotal < a->facts.enough ||
        fxe_training_has_failed(done->obj[0]))
        return false;
    a->state = SETTLING;
    fxd_begin_named(a, "index_train");
    return true;
}

/* What is only known of an index that is in memory is asked for first. */
bool fxd_must_look(struct fxd_ask *a)
{
    if (fxd_look(a->name, &a->facts) == 0)
        return false;
    a->state = FXD_LOOKING;
    fxd_begin_named(a, "index_info");
    return true;
}

/* Returns true if the index is known and nothing has been added yet.  Otherwise the reply is set,
 * or another request has begun. */
static bool may_add(struct fxd_ask *a, struct fxe_req *done, const char *with)
{
    if (!done && (fxd_index(a) != 0 || fxd_must_look(a)))
        return false;
    if (done && a->state == FXD_LOOKING)
        fxd_facts_of(done->obj[0], &a->facts);
    if (a->state != ADDING && a->state != SETTLING)
        return true;
    if (a->state == ADDING && done->failed)
        add_failed(a, done);
    else if (a->state == SETTLING || !settles(a, done))
        add_reply(a, with);
    return false;
}

static void add_vectors(struct fxd_ask *a, struct fxe_req *done)
{
    if (!may_add(a, done, ""))
        return;
    struct fx_rows *rows = fxd_rows_of(a, FXD_VECTORS, "Error adding vectors");
    if (!rows || fxd_check_d(a, rows) != 0)
        return;
    if (rows->n > (size_t)fxe_engine.options.faissx.vectors) {
        fxd_error(a, NULL, "Batch size %zu exceeds maximum (%d)", rows->n,
                  fxe_engine.options.faissx.vectors);
        return;
    }
    int64_t *ids = NULL;
    bool given = a->map.ids != NULL;
    if (a->facts.idmap && a->map.has_ids && !given) {
        fxd_error(a, NULL, "Error adding vectors: %s", a->map.ids_why);
        return;
    }
    if (a->facts.idmap && given && a->map.nids != rows->n) {
        fxd_error(a, NULL, "Number of vectors (%zu) doesn't match number of IDs (%zu)", rows->n,
                  a->map.nids);
        return;
    }
    if (a->facts.idmap && !given && !done) { /* its ids are looked at with its lock */
        a->state = FXD_LOOKING;
        fxd_begin_named(a, "index_info");
        return;
    }
    if (a->facts.idmap)
        ids = given ? fxd_take_ids(a) : next_ids(a, done->obj[0], rows->n);
    a->state = ADDING;
    begin_add(a, rows, ids, given);
}

static void add_ids(struct fxd_ask *a, struct fxe_req *done, bool batch)
{
    if (!may_add(a, done, " with IDs"))
        return;
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
        else if (fxd_check_d(a, rows) == 0 && rows->n == a->map.nids) {
            a->state = ADDING;
            begin_add(a, rows, fxd_take_ids(a), true);
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
    if (!copy.x) {
        fxd_error(a, NULL, "The server has no memory for an array of %zu bytes", bytes);
        return;
    }
    memcpy(copy.x, rows->x, bytes);
    fxd_begin(a, "index_train");
    fxd_str(a, "name", name);
    fxd_give_rows(a, &copy, a->facts.binary);
    free(copy.x);
    a->tolerant = true;
}

enum { TRAINING = FXD_LOOKING + 1 };

static void train_index(struct fxd_ask *a, struct fxe_req *done)
{
    if (!done && (fxd_index(a) != 0 || fxd_must_look(a)))
        return;
    if (done && a->state == FXD_LOOKING)
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
        bool more;
        struct fxd_facts f = {.d = 0};
        /* Another client may have made something else of it. */
        while ((more = fxd_links_next(a->name, (int)a->at++, wrapper)) &&
               (fxd_look(wrapper, &f) != 0 || !f.idmap || (f.ntotal > 0 && !f.waits) ||
                f.d != (int64_t)rows->d))
            ;
        if (more)
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

const struct fxd_entry fxd_vectors[] = {{"add_vectors", add_vectors},
                                        {"add_with_ids", add_with_ids},
                                        {"batch_add_with_ids", batch_add_with_ids},
                                        {"train_index", train_index},
                                        {NULL, NULL}};
