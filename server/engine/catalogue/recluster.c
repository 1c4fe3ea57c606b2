/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_recluster: new centroids for an index with inverted lists, from the vectors that it has.
 *
 * Another index is made beside it, trained and filled, and takes its place at the end: one change,
 * which is stored as it then is before the reply is sent.  If anything fails, the index is as it
 * was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/call/copy.h"
#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/part.h"
#include "server/engine/catalogue/vectors.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/guard.h"
#include "server/engine/keep/keep.h"
#include "server/engine/training/training.h"

enum {
    COPIES = 4, /* of the vectors that are in memory at the same time */
    LITTLE = 64 << 20,
    SPARSE = 4 /* times as many ids as vectors */
};

struct work {
    struct fxe_obj *o; /* the index */
    FaissIndexIVF *ivf;
    int64_t n, d, nlist, sample;
    bool plain; /* an IndexIVFFlat with a flat quantizer */
    bool gaps;  /* the ids are not 0 to n - 1 */
    idx_t *ids; /* sorted */
    float *x;   /* the vectors in their order */
    struct fxe_obj next;
};

static int prepare_recluster(struct fxe_req *r)
{
    r->lane = FXE_WIDE;
    if (fxe_index_lock(r, "name", 0, true) != 0)
        return -1;
    if (fxe_is_binary(r->obj[0]))
        return fxe_fail(r, "unsupported", "%s: FAISS's C API does not have this for a binary index",
                        r->operation->name);
    return 0;
}

static bool type_begins(const void *faiss, const char *with)
{
    const char *type;
    size_t len;
    fxe_index_type(faiss, &type, &len);
    return len >= strlen(with) && memcmp(type, with, strlen(with)) == 0;
}

static bool is_type(const void *faiss, const char *what)
{
    const char *type;
    size_t len;
    fxe_index_type(faiss, &type, &len);
    return len == strlen(what) && memcmp(type, what, len) == 0;
}

static int check_index(struct fxe_req *r, struct work *w)
{
    if (fxe_training_of(w->o))
        return fxe_fail(r, "argument", "%s: the index waits for its training", r->operation->name);
    w->ivf = fxe_api()->IndexIVF_cast ? fxe_api()->IndexIVF_cast(w->o->ptr) : NULL;
    if (!w->ivf)
        return fxe_fail(r, "argument", "%s: the index has no inverted lists", r->operation->name);
    fxe_lock();
    bool within = fxe_obj_is_within_others(w->o);
    fxe_unlock();
    if (within)
        return fxe_fail(r, "argument",
                        "%s: an object that a client of the C API has made contains the index or a "
                        "part of it; expected none, because the index becomes another object of "
                        "FAISS",
                        r->operation->name);
    w->n = fxe_ntotal_of(w->o);
    w->d = fxe_index_d(w->o);
    if (w->n < 1)
        return fxe_fail(r, "argument", "%s: the index is empty", r->operation->name);
    return 0;
}

/* FAISS's file says neither how the clusters are found nor that the quantizer is trained in another
 * way, so only an index that can be made from its description is trained as it was. */
static int check_kind(struct fxe_req *r, struct work *w, int64_t now)
{
    bool flat = type_begins(fxe_api()->IndexIVF_quantizer(w->ivf), "IndexFlat");
    w->plain = flat && is_type(w->o->ptr, "IndexIVFFlat");
    if (w->plain)
        return 0;
    if (w->nlist != now)
        return fxe_fail(r, "unsupported",
                        "%s: nlist is %lld, but the index has %lld lists: FAISS's C API can make "
                        "another number only for an IndexIVFFlat with a flat quantizer",
                        r->operation->name, (long long)w->nlist, (long long)now);
    if (!flat || fxe_api()->Index_metric_type(w->o->ptr) != METRIC_L2)
        return fxe_fail(r, "unsupported",
                        "%s: the index %s: FAISS's C API cannot train that again as it was trained "
                        "first, but for an IndexIVFFlat with a flat quantizer",
                        r->operation->name,
                        flat ? "is not of metric L2" : "has a quantizer that is not flat");
    return 0;
}

static int read_keys(struct fxe_req *r, struct work *w)
{
    int64_t now = (int64_t)fxe_api()->IndexIVF_nlist(w->ivf);
    if (fxe_key_int(r, "nlist", 1, w->n, &now, &w->nlist) != 0 ||
        fxe_key_int(r, "sample", 1, w->n, &w->n, &w->sample) != 0)
        return -1;
    return check_kind(r, w, now);
}

/* --- memory --- */

static int require_room(struct fxe_req *r, size_t need, const char *what)
{
    if (!__builtin_add_overflow(need, (size_t)LITTLE, &need) && fxe_make_room_for(need))
        return 0;
    return fxe_fail(r, "limit", "%s: the server has no memory for %s", r->operation->name, what);
}

/* Of the vectors from id 0 to the last one, with those that are missing. */
static int require_room_for_vectors(struct fxe_req *r, const struct work *w)
{
    char what[80];
    size_t bytes, need;
    int64_t rows = w->ids[w->n - 1] + 1;
    snprintf(what, sizeof what, "%d copies of %lld vectors of %lld dimensions", COPIES,
             (long long)rows, (long long)w->d);
    if (__builtin_mul_overflow((size_t)rows, (size_t)w->d * sizeof(float), &bytes) ||
        __builtin_mul_overflow(bytes, (size_t)COPIES, &need))
        need = SIZE_MAX;
    return require_room(r, need, what);
}

/* At most, as far as that is known: codes are no larger than the vectors, and the rest of an index
 * that is kept is in its snapshot.  FAISS allocates more than it needs. */
static int require_room_for_copy(struct fxe_req *r, const struct work *w)
{
    size_t each = (size_t)w->d * sizeof(float) + sizeof(idx_t), rows, bytes;
    if (__builtin_add_overflow((size_t)w->n, fxe_api()->IndexIVF_nlist(w->ivf), &rows) ||
        __builtin_mul_overflow(rows, each, &bytes))
        bytes = SIZE_MAX / 2;
    fxe_lock();
    const struct fxe_kept *k = fxe_kept_of(w->o);
    if (k && k->snapshot_bytes + k->log_bytes > bytes)
        bytes = (size_t)(k->snapshot_bytes + k->log_bytes);
    fxe_unlock();
    return require_room(r, bytes + bytes / 4, "a copy of the index");
}

/* --- its vectors --- */

static int by_number(const void *a, const void *b)
{
    idx_t x = *(const idx_t *)a, y = *(const idx_t *)b;
    return (x > y) - (x < y);
}

static int no_memory(struct fxe_req *r)
{
    return fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name);
}

static int read_ids(struct fxe_req *r, struct work *w)
{
    size_t n = (size_t)w->n;
    if (require_room(r, n * sizeof *w->ids, "the ids of the vectors") != 0)
        return -1;
    w->ids = calloc(n, sizeof *w->ids);
    if (!w->ids)
        return no_memory(r);
    if (fxe_ids_of(r, w->o, w->ids, n) != 0)
        return -1;
    qsort(w->ids, n, sizeof *w->ids, by_number);
    for (size_t i = 1; i < n; i++)
        if (w->ids[i] == w->ids[i - 1])
            return fxe_fail(r, "unsupported",
                            "%s: the id %lld is there more than once, and FAISS's C API can read "
                            "only one of its vectors",
                            r->operation->name, (long long)w->ids[i]);
    w->gaps = w->ids[n - 1] != (idx_t)n - 1;
    if (w->ids[0] < 0 || w->ids[n - 1] / SPARSE > (idx_t)n)
        return fxe_fail(r, "unsupported",
                        "%s: the ids are %lld to %lld, and FAISS's C API reads vectors by ids from "
                        "0 on; expected less than %d times as many as the %zu vectors",
                        r->operation->name, (long long)w->ids[0], (long long)w->ids[n - 1], SPARSE,
                        n);
    return 0;
}

static int add(struct fxe_req *r, struct fxe_obj *to, size_t n, size_t d, const float *x,
               const idx_t *ids)
{
    struct fxe_part p;
    msgpack_object *a = fxe_part_begin(&p, r, ids ? FX_OP_Index_add_with_ids : FX_OP_Index_add);
    p.r.obj[0] = to;
    a[1] = fxe_int((int64_t)n);
    a[2] = fxe_part_array(&p, x, n * d * sizeof *x);
    if (ids)
        a[3] = fxe_part_array(&p, ids, n * sizeof *ids);
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    return rc;
}

/* FAISS reads ids up to the number of vectors.  A copy of the index gets as many more vectors as
 * ids are missing before the last one. */
static int copy_with_more(struct fxe_req *r, const struct work *w, struct fxe_obj *copy)
{
    char why[FXE_COPY_WHY];
    idx_t first = w->ids[w->n - 1] + 1;
    size_t more = (size_t)(first - w->n);
    if (require_room_for_copy(r, w) != 0)
        return -1;
    if (fxe_copy_index(w->o, 0, &copy->ptr, why) != 0)
        return fxe_fail(r, "limit", "%s: the index could not be copied: %s", r->operation->name,
                        *why ? why : "the server has no memory for a copy");
    float *x = calloc(more, (size_t)w->d * sizeof *x);
    idx_t *ids = calloc(more, sizeof *ids);
    for (size_t i = 0; ids && i < more; i++)
        ids[i] = first + (idx_t)i;
    int rc = x && ids ? add(r, copy, more, (size_t)w->d, x, ids) : no_memory(r);
    free(x);
    free(ids);
    return rc;
}

/* Before anything large is done: some indexes cannot do this.  FAISS refuses ids from the number of
 * vectors on. */
static int try_one(struct fxe_req *r, const struct work *w)
{
    struct fxe_vectors v = {.n = 0};
    int rc = fxe_vectors_by_id(r, w->o, w->ids[0] < w->n ? w->ids[0] : 0, 1, &v);
    fxe_vectors_free(&v);
    return rc;
}

static int read_vectors(struct fxe_req *r, struct work *w)
{
    struct fxe_obj copy = {.cls = FX_CLASS_Index, .odd = w->o->odd};
    struct fxe_vectors v = {.n = 0};
    size_t d = (size_t)w->d;
    int rc = read_ids(r, w);
    if (rc == 0)
        rc = require_room_for_vectors(r, w);
    if (rc == 0)
        rc = try_one(r, w);
    if (rc == 0 && w->gaps)
        rc = copy_with_more(r, w, &copy);
    if (rc == 0)
        rc = fxe_vectors_by_id(r, w->gaps ? &copy : w->o, 0, w->ids[w->n - 1] + 1, &v);
    fxe_obj_free_temporary(&copy);
    if (rc == 0) {
        w->x = v.vectors;
        v.vectors = NULL;
        for (size_t i = 0; i < (size_t)w->n && w->gaps; i++)
            memmove(w->x + i * d, w->x + (size_t)w->ids[i] * d, d * sizeof *w->x);
    }
    fxe_vectors_free(&v);
    return rc;
}

/* --- the other index --- */

static int reset(struct fxe_req *r, void *index)
{
    struct fxe_part p;
    struct fxe_obj o = {.cls = FX_CLASS_Index, .ptr = index};
    fxe_part_begin(&p, r, FX_OP_Index_reset);
    p.r.obj[0] = &o;
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    fxe_guard_forget(&o);
    return rc;
}

/* FAISS trains a quantizer that does not have as many centroids as there are lists. */
static int copy_untrained(struct fxe_req *r, struct work *w)
{
    char why[FXE_COPY_WHY];
    if (require_room_for_copy(r, w) != 0)
        return -1;
    if (fxe_copy_index(w->o, 0, &w->next.ptr, why) != 0)
        return fxe_fail(r, "limit", "%s: the index could not be copied: %s", r->operation->name,
                        *why ? why : "the server has no memory for a copy");
    FaissIndexIVF *ivf = fxe_api()->IndexIVF_cast(w->next.ptr);
    return reset(r, w->next.ptr) != 0 || reset(r, fxe_api()->IndexIVF_quantizer(ivf)) != 0 ? -1 : 0;
}

static int make_next(struct fxe_req *r, struct work *w)
{
    char description[40];
    if (!w->plain)
        return copy_untrained(r, w);
    snprintf(description, sizeof description, "IVF%lld,Flat", (long long)w->nlist);
    w->next.ptr = fxe_training_make(r, w->next.cls, w->d,
                                    (int64_t)fxe_api()->Index_metric_type(w->o->ptr), description);
    return w->next.ptr ? 0 : -1;
}

/* With every so many-th vector. */
static int train(struct fxe_req *r, struct work *w)
{
    struct fxe_part p;
    size_t d = (size_t)w->d, n = (size_t)w->sample;
    float *some = n < (size_t)w->n ? malloc(n * d * sizeof *some) : NULL;
    if (n < (size_t)w->n && !some)
        return no_memory(r);
    for (size_t i = 0; some && i < n; i++)
        memcpy(some + i * d, w->x + i * (size_t)w->n / n * d, d * sizeof *some);
    msgpack_object *a = fxe_part_begin(&p, r, FX_OP_Index_train);
    p.r.obj[0] = &w->next;
    a[1] = fxe_int((int64_t)n);
    a[2] = fxe_part_array(&p, some ? some : w->x, n * d * sizeof *some);
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    free(some);
    return rc;
}

/* The caller has locked the index for writing. */
static void put_in_place(struct work *w)
{
    struct fxe_obj *doomed = NULL;
    fxe_nprobe_copy(w->o, &w->next);
    fxe_lock();
    struct fxe_obj old = fxe_obj_replace(w->o, w->next.ptr, &doomed);
    w->o->odd = w->next.odd;
    fxe_unlock();
    w->next.ptr = NULL;
    fxe_obj_free_temporary(&old);
    fxe_obj_destroy_list(doomed);
}

/* Between the parts: has the caller had its error already?  One whose connection broke may ask
 * again, and wait for this. */
static bool is_wanted(struct fxe_req *r)
{
    if (!__atomic_load_n(&r->given_up, __ATOMIC_RELAXED))
        return true;
    fxe_fail(r, "timeout", "%s: the caller has had its timeout error already", r->operation->name);
    return false;
}

static void run_recluster(struct fxe_req *r)
{
    struct work w = {.o = fxe_obj_target(r->obj[0]), .next.cls = FX_CLASS_Index};
    w.next.odd = w.o->odd;
    if (check_index(r, &w) == 0 && read_keys(r, &w) == 0) {
        if (read_vectors(r, &w) == 0 && is_wanted(r) && make_next(r, &w) == 0 && is_wanted(r) &&
            train(r, &w) == 0 && is_wanted(r) &&
            add(r, &w.next, (size_t)w.n, (size_t)w.d, w.x, w.gaps ? w.ids : NULL) == 0 &&
            is_wanted(r))
            put_in_place(&w);
    }
    fxe_obj_free_temporary(&w.next);
    free(w.ids);
    free(w.x);
}

const struct fxe_index_operation fxe_index_reclusters[] = {
    {{"index_recluster", 0, prepare_recluster, run_recluster, NULL}, FX_OP_Index_merge_from, false},
    {{NULL, 0, NULL, NULL, NULL}, 0, false}};
