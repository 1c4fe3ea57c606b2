/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/catalogue/vectors.h"

#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/lists.h"
#include "server/engine/catalogue/part.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/guard.h"
#include "server/engine/guard/room.h"

enum { LARGE = 1 << 24 };

FaissIndexIDMap *fxe_id_map_of(const struct fxe_obj *o)
{
    return !fxe_is_binary(o) && fxe_api()->IndexIDMap_cast && fxe_api()->IndexIDMap_id_map &&
                   fxe_api()->IndexIDMap_sub_index
               ? fxe_api()->IndexIDMap_cast(o->ptr)
               : NULL;
}

void fxe_vectors_free(struct fxe_vectors *v)
{
    free(v->ids);
    free(v->vectors);
    *v = (struct fxe_vectors){.n = 0};
}

/* Is there room for an array and a copy of it? */
static bool has_room(size_t size)
{
    return size < LARGE || size <= fxe_room_for(2 * size) / 2;
}

static int no_room(struct fxe_req *r, int64_t n)
{
    return fxe_fail(r, "limit", "%s: the server has no memory for %lld vectors", r->operation->name,
                    (long long)n);
}

int fxe_vectors_by_id(struct fxe_req *r, struct fxe_obj *o, int64_t from, int64_t n,
                      struct fxe_vectors *v)
{
    struct fxe_part p;
    int64_t d = fxe_index_d(o);
    size_t each = fxe_is_binary(o) ? (size_t)d / 8 : (size_t)d * sizeof(float), size;
    bool fits = !__builtin_mul_overflow((size_t)n, each, &size) && has_room(size);
    void *zeros = fits ? calloc(1, size + 1) : NULL;
    if (!zeros) /* FAISS may leave some as they were */
        return no_room(r, n);
    msgpack_object *a = fxe_part_begin(
        &p, r, fxe_is_binary(o) ? FX_OP_IndexBinary_reconstruct_n : FX_OP_Index_reconstruct_n);
    p.r.obj[0] = o;
    a[1] = fxe_int(from);
    a[2] = fxe_int(n);
    a[3] = fxe_part_array(&p, zeros, size);
    int rc = fxe_part_call(&p);
    if (rc == 0) {
        v->vectors = p.r.out[0].data;
        v->bytes = p.r.out[0].size;
        p.r.out[0].data = NULL;
    }
    fxe_part_end(&p);
    free(zeros);
    return rc;
}

/* --- where each vector is --- */

/* The numbers of vectors in an index are their positions; in inverted lists, those in the order of
 * their ids. */
struct places {
    struct fxe_obj *o; /* whose vectors they are: the index, or what is in the IDMap */
    struct fxe_obj inner;
    struct fxe_lists lists;
    const idx_t *ids; /* of an IDMap, for each position; or NULL */
    size_t n;         /* vectors */
};

static void places_free(struct places *at)
{
    fxe_lists_free(&at->lists);
    if (at->inner.ptr)
        fxe_guard_forget(&at->inner);
}

/* Free it with places_free in any case. */
static int places_find(struct fxe_req *r, struct fxe_obj *o, struct places *at)
{
    FaissIndexIDMap *map = fxe_id_map_of(o);
    idx_t *ids = NULL;
    *at = (struct places){.o = o, .n = (size_t)fxe_ntotal_of(o)};
    if (map) {
        fxe_api()->IndexIDMap_id_map(map, &ids, &at->n);
        at->ids = ids;
        at->inner.cls = FX_CLASS_Index;
        at->inner.ptr = fxe_api()->IndexIDMap_sub_index(map);
        at->o = &at->inner;
    }
    if (!fxe_has_lists(at->o))
        return 0;
    if (fxe_lists_open(r, at->o, &at->lists) != 0)
        return -1;
    if (map && !at->lists.plain)
        return fxe_fail(r, "unsupported",
                        "%s: the ids in the index's inverted lists are not the positions in its "
                        "IDMap, so which vector has which id is not known; expected an index of "
                        "which faiss_Index_remove_ids has removed nothing",
                        r->operation->name);
    if (!map || at->lists.n < at->n)
        at->n = at->lists.n;
    return 0;
}

static idx_t id_at(const struct places *at, int64_t i)
{
    return at->ids ? at->ids[i] : at->lists.ivf ? fxe_lists_id(&at->lists, (size_t)i) : (idx_t)i;
}

struct wanted {
    idx_t id;
    size_t row;
};

static int by_id(const void *x, const void *y)
{
    const struct wanted *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

/* Looks for all n ids with one pass through the map; of several vectors with one id the last one is
 * taken, as by an IDMap2. */
static int find_in_map(struct fxe_req *r, const struct places *at, const idx_t *ids, size_t n,
                       int64_t *numbers)
{
    struct wanted *sorted = malloc(n * sizeof *sorted + 1);
    if (!sorted)
        return no_room(r, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        sorted[i] = (struct wanted){ids[i], i};
        numbers[i] = -1;
    }
    qsort(sorted, n, sizeof *sorted, by_id);
    for (size_t i = 0; i < at->n && n > 0; i++) {
        struct wanted key = {.id = at->ids[i]}, *w = bsearch(&key, sorted, n, sizeof key, by_id);
        while (w && w > sorted && w[-1].id == key.id)
            w--;
        for (; w && w < sorted + n && w->id == key.id; w++)
            numbers[w->row] = (int64_t)i;
    }
    free(sorted);
    return 0;
}

/* Where the vectors with these ids are; -1: there is none. */
static int find(struct fxe_req *r, const struct places *at, const idx_t *ids, size_t n,
                int64_t *numbers)
{
    if (at->ids)
        return find_in_map(r, at, ids, n, numbers);
    for (size_t i = 0; i < n; i++)
        numbers[i] = at->lists.ivf                             ? fxe_lists_find(&at->lists, ids[i])
                     : ids[i] >= 0 && (uint64_t)ids[i] < at->n ? ids[i]
                                                               : -1;
    return 0;
}

static int read_at(struct fxe_req *r, const struct places *at, const int64_t *numbers, size_t n,
                   float *x)
{
    size_t d = (size_t)fxe_index_d(at->o);
    int rc = 0;
    if (at->lists.ivf)
        return fxe_lists_read(r, at->o, &at->lists, numbers, n, x);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct fxe_vectors v = {.n = 0};
        rc = fxe_vectors_by_id(r, at->o, numbers[i], 1, &v);
        if (rc == 0)
            memcpy(x + i * d, v.vectors, d * sizeof *x);
        fxe_vectors_free(&v);
    }
    return rc;
}

float *fxe_vectors_new(struct fxe_req *r, const struct fxe_obj *o, size_t n, size_t *size)
{
    bool fits =
        !__builtin_mul_overflow(n, (size_t)fxe_index_d(o) * sizeof(float), size) && has_room(*size);
    float *x = fits ? malloc(*size + 1) : NULL;
    if (!x)
        no_room(r, (int64_t)n);
    return x;
}

static int read_lists(struct fxe_req *r, const struct places *at, int64_t from,
                      struct fxe_vectors *v)
{
    int64_t *numbers = malloc((size_t)v->n * sizeof *numbers + 1);
    v->vectors = numbers ? fxe_vectors_new(r, at->o, (size_t)v->n, &v->bytes) : NULL;
    for (int64_t i = 0; numbers && i < v->n; i++)
        numbers[i] = from + i;
    int rc = v->vectors ? fxe_lists_read(r, at->o, &at->lists, numbers, (size_t)v->n, v->vectors)
             : numbers  ? -1
                        : no_room(r, v->n);
    free(numbers);
    return rc;
}

int fxe_vectors_read(struct fxe_req *r, struct fxe_obj *o, int64_t from, int64_t n,
                     struct fxe_vectors *v)
{
    struct places at;
    *v = (struct fxe_vectors){.n = n, .ids = calloc((size_t)n + 1, sizeof(idx_t))};
    if (!v->ids)
        return no_room(r, n);
    int rc = places_find(r, o, &at);
    if (rc == 0 && (uint64_t)(from + n) > at.n)
        rc = fxe_fail(r, "argument",
                      "%s: the index counts %lld vectors, but has only %zu: inverted lists keep "
                      "none that are not finite",
                      r->operation->name, (long long)fxe_ntotal_of(o), at.n);
    for (int64_t i = 0; rc == 0 && i < n; i++)
        v->ids[i] = id_at(&at, from + i);
    if (rc == 0)
        rc = at.lists.ivf ? read_lists(r, &at, from, v) : fxe_vectors_by_id(r, at.o, from, n, v);
    places_free(&at);
    return rc;
}

int fxe_vectors_of(struct fxe_req *r, struct fxe_obj *o, const idx_t *ids, size_t n,
                   struct fxe_vectors *v)
{
    struct places at;
    int64_t *numbers = malloc(n * sizeof *numbers + 1);
    *v = (struct fxe_vectors){.n = (int64_t)n, .ids = malloc(n * sizeof *v->ids + 1)};
    if (!numbers || !v->ids) {
        free(numbers);
        return no_room(r, v->n);
    }
    int rc = places_find(r, o, &at);
    if (rc == 0)
        rc = find(r, &at, ids, n, numbers);
    for (size_t i = 0; i < n && rc == 0; i++) {
        v->ids[i] = ids[i];
        if (numbers[i] < 0)
            rc = fxe_fail(r, "argument", "%s: no vector of the index has the id %lld",
                          r->operation->name, (long long)ids[i]);
    }
    if (rc == 0)
        v->vectors = fxe_vectors_new(r, o, n, &v->bytes);
    if (rc == 0)
        rc = v->vectors ? read_at(r, &at, numbers, n, v->vectors) : -1;
    places_free(&at);
    free(numbers);
    return rc;
}

/* FAISS reconstructs what has no place that is known here, or says that it is not there. */
static int reconstruct_one(struct fxe_req *r, struct fxe_obj *o, idx_t id, float *to, size_t bytes)
{
    struct fxe_part p;
    msgpack_object *a = fxe_part_begin(&p, r, FX_OP_Index_reconstruct);
    p.r.obj[0] = o;
    a[1] = fxe_int(id);
    a[2] = fxe_true();
    int rc = fxe_part_call(&p);
    if (rc == 0)
        memcpy(to, p.r.out[0].data, bytes);
    fxe_part_end(&p);
    return rc;
}

int fxe_vectors_found(struct fxe_req *r, struct fxe_obj *o, const idx_t *labels, size_t n, float *x)
{
    struct places at = {.n = 0};
    size_t d = (size_t)fxe_index_d(o), m = 0;
    int64_t *numbers = malloc(n * sizeof *numbers + 1);
    size_t *rows = malloc(n * sizeof *rows + 1);
    float *some = malloc(n * d * sizeof *some + 1);
    int rc = numbers && rows && some ? places_find(r, o, &at) : no_room(r, (int64_t)n);
    bool own = at.ids || at.lists.ivf; /* such ids may be negative */
    if (rc == 0 && own)
        rc = find(r, &at, labels, n, numbers);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (labels[i] == -1 || (labels[i] < 0 && !own))
            continue;
        if (!own || numbers[i] < 0) {
            rc = reconstruct_one(r, o, labels[i], x + i * d, d * sizeof *x);
        } else {
            numbers[m] = numbers[i];
            rows[m++] = i;
        }
    }
    if (rc == 0)
        rc = read_at(r, &at, numbers, m, some);
    for (size_t i = 0; i < m && rc == 0; i++)
        memcpy(x + rows[i] * d, some + i * d, d * sizeof *x);
    places_free(&at);
    free(numbers);
    free(rows);
    free(some);
    return rc;
}

/* Inverted lists have the ids of their vectors in any order. */
static int ids_of_lists(struct fxe_req *r, FaissIndexIVF *ivf, idx_t *ids, size_t n)
{
    size_t have = 0, lists = fxe_api()->IndexIVF_nlist(ivf);
    for (size_t i = 0; i < lists; i++) {
        size_t size = fxe_api()->IndexIVF_get_list_size(ivf, i);
        if (size > n - have)
            return fxe_fail(r, "argument", "%s: the lists have more vectors than the index",
                            r->operation->name);
        fxe_api()->IndexIVF_invlists_get_ids(ivf, i, ids + have);
        have += size;
    }
    return have == n ? 0
                     : fxe_fail(r, "argument", "%s: the lists have fewer vectors than the index",
                                r->operation->name);
}

int fxe_ids_of(struct fxe_req *r, const struct fxe_obj *o, idx_t *ids, size_t n)
{
    FaissIndexIDMap *map = fxe_id_map_of(o);
    FaissIndexIVF *ivf =
        !fxe_is_binary(o) && fxe_api()->IndexIVF_cast ? fxe_api()->IndexIVF_cast(o->ptr) : NULL;
    size_t size = 0;
    idx_t *own = NULL;
    if (ivf)
        return ids_of_lists(r, ivf, ids, n);
    if (fxe_is_binary(o) || (!map && fxe_own_ids(o->ptr)))
        return fxe_fail(r, "missing", "%s: FAISS's C API cannot tell the ids of this index",
                        r->operation->name);
    if (map)
        fxe_api()->IndexIDMap_id_map(map, &own, &size);
    for (size_t i = 0; i < n; i++)
        ids[i] = i < size ? own[i] : (idx_t)i;
    return 0;
}
