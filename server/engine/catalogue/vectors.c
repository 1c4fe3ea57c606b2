/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that read the vectors of an index with several calls. */
#include "server/engine/catalogue/vectors.h"

#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
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

static int read_vectors(struct fxe_req *r, struct fxe_obj *o, int64_t from, int64_t n,
                        struct fxe_vectors *v)
{
    struct fxe_part p;
    int64_t d = fxe_index_d(o);
    size_t each = fxe_is_binary(o) ? (size_t)d / 8 : (size_t)d * sizeof(float), size;
    bool fits = !__builtin_mul_overflow((size_t)n, each, &size) && has_room(size);
    void *zeros = fits ? calloc(1, size + 1) : NULL;
    if (!zeros) /* FAISS may leave some as they were */
        return fxe_fail(r, "limit", "%s: the server has no memory for %lld vectors",
                        r->operation->name, (long long)n);
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

int fxe_vectors_read(struct fxe_req *r, struct fxe_obj *o, int64_t from, int64_t n,
                     struct fxe_vectors *v)
{
    FaissIndexIDMap *map = fxe_id_map_of(o);
    size_t size = 0;
    idx_t *ids = NULL;
    *v = (struct fxe_vectors){.n = n, .ids = calloc((size_t)n + 1, sizeof(idx_t))};
    if (!v->ids)
        return fxe_fail(r, "limit", "%s: the server has no memory for %lld ids", r->operation->name,
                        (long long)n);
    if (!map) {
        for (int64_t i = 0; i < n; i++)
            v->ids[i] = from + i;
        return read_vectors(r, o, from, n, v);
    }
    fxe_api()->IndexIDMap_id_map(map, &ids, &size);
    if ((uint64_t)(from + n) > size)
        return fxe_fail(r, "argument", "%s: the index has %zu ids, fewer than its vectors",
                        r->operation->name, size);
    if (n)
        memcpy(v->ids, ids + from, (size_t)n * sizeof *ids);
    v->own_ids = true;
    /* What is in the map has positions. */
    struct fxe_obj inner = {.cls = FX_CLASS_Index, .ptr = fxe_api()->IndexIDMap_sub_index(map)};
    int rc = read_vectors(r, &inner, from, n, v);
    fxe_guard_forget(&inner);
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

/* --- get_vectors --- */

static int prepare_get_vectors(struct fxe_req *r)
{
    r->lane = FXE_WIDE;
    return fxe_index_lock(r, "name", 0, false);
}

static void run_get_vectors(struct fxe_req *r)
{
    static const int64_t first = 0;
    int64_t ntotal = fxe_ntotal_of(r->obj[0]), from, n;
    struct fxe_vectors v;
    if (fxe_key_int(r, "from", 0, ntotal, &first, &from) != 0)
        return;
    int64_t rest = ntotal - from;
    if (fxe_key_int(r, "n", 0, rest, &rest, &n) != 0)
        return;
    if (fxe_vectors_read(r, r->obj[0], from, n, &v) == 0) {
        msgpack_packer pk = fxe_reply_key(r, "n");
        msgpack_pack_int64(&pk, n);
        fxe_reply_array(r, v.ids, (size_t)n * sizeof *v.ids);
        fxe_reply_array(r, v.vectors, v.bytes);
        v.ids = NULL;
        v.vectors = NULL;
    }
    fxe_vectors_free(&v);
}

/* --- search_and_reconstruct --- */

static int prepare_search_and_reconstruct(struct fxe_req *r)
{
    if (fxe_prepare_search(r) != 0)
        return -1;
    if (fxe_is_binary(r->obj[0]))
        return fxe_fail(r, "unsupported", "%s: FAISS's C API does not have this for a binary index",
                        r->operation->name);
    r->lane = FXE_WIDE; /* not in a batch with searches that end sooner */
    return 0;
}

/* The position of an id in an IDMap, or -1. */
static int64_t place_in(FaissIndexIDMap *map, idx_t id)
{
    idx_t *ids = NULL;
    size_t n = 0;
    fxe_api()->IndexIDMap_id_map(map, &ids, &n);
    while (n > 0 && ids[n - 1] != id)
        n--;
    return (int64_t)n - 1;
}

/* Writes the vector `id` to `to`. */
static int reconstruct_one(struct fxe_req *r, idx_t id, bool look, float *to, size_t bytes)
{
    struct fxe_part p;
    struct fxe_vectors v = {.n = 0};
    FaissIndexIDMap *map = fxe_id_map_of(r->obj[0]);
    int64_t place = map ? place_in(map, id) : -1;
    int rc;
    if (place >= 0) { /* an IDMap cannot, nor an IDMap2 over inverted lists */
        rc = fxe_vectors_read(r, r->obj[0], place, 1, &v);
        if (rc == 0)
            memcpy(to, v.vectors, bytes);
        fxe_vectors_free(&v);
        return rc;
    }
    if (look) { /* inverted lists without a direct map find it by looking for it */
        rc = read_vectors(r, r->obj[0], id, 1, &v);
        if (rc == 0)
            memcpy(to, v.vectors, bytes);
        fxe_vectors_free(&v);
        return rc;
    }
    msgpack_object *a = fxe_part_begin(&p, r, FX_OP_Index_reconstruct);
    p.r.obj[0] = r->obj[0];
    a[1] = fxe_int(id);
    a[2] = fxe_true();
    rc = fxe_part_call(&p);
    if (rc == 0)
        memcpy(to, p.r.out[0].data, bytes);
    fxe_part_end(&p);
    return rc;
}

static bool must_look(const struct fxe_obj *o)
{
    const struct fx_api *api = fxe_api();
    return api->IndexIVF_cast && api->IndexIVF_cast(o->ptr);
}

static void run_search_and_reconstruct(struct fxe_req *r)
{
    fxe_run_search(r);
    if (r->failed)
        return;
    size_t n = r->out[1].size / sizeof(idx_t), d = (size_t)fxe_api()->Index_d(r->obj[0]->ptr), size;
    const idx_t *labels = r->out[1].data;
    bool look = must_look(r->obj[0]);
    bool fits = !__builtin_mul_overflow(n, d * sizeof(float), &size) && has_room(size);
    float *found = fits ? malloc(size + 1) : NULL;
    if (!found) {
        fxe_fail(r, "limit", "%s: the server has no memory for %zu vectors", r->operation->name, n);
        return;
    }
    memset(found, 0xff, size); /* as FAISS does where there is no neighbour */
    for (size_t i = 0; i < n && !r->failed; i++)
        if (labels[i] >= 0 || (labels[i] != -1 && fxe_id_map_of(r->obj[0])))
            reconstruct_one(r, labels[i], look, found + i * d, d * sizeof *found);
    if (r->failed)
        free(found);
    else
        fxe_reply_array(r, found, size);
}

/* --- replace --- */

static int by_number(const void *a, const void *b)
{
    idx_t x = *(const idx_t *)a, y = *(const idx_t *)b;
    return (x > y) - (x < y);
}

static int check_distinct(struct fxe_req *r, const idx_t *ids, size_t n)
{
    idx_t *sorted = malloc(n * sizeof *sorted + 1);
    int rc = 0;
    if (!sorted)
        return fxe_fail(r, "limit", "index_replace: the server is out of memory");
    if (n)
        memcpy(sorted, ids, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_number);
    for (size_t i = 1; i < n && rc == 0; i++)
        if (sorted[i] == sorted[i - 1])
            rc = fxe_fail(r, "argument", "index_replace: ids has %lld more than once",
                          (long long)sorted[i]);
    free(sorted);
    return rc;
}

int fxe_replace_first(struct fxe_req *r)
{
    struct fxe_part p;
    struct fxe_obj *o = r->obj[0];
    size_t n = (size_t)r->v[1].i;
    const idx_t *ids = r->v[3].p;
    if (!fxe_is_binary(o) && !fxe_own_ids(o->ptr) && !fxe_id_map_of(o))
        return fxe_fail(r, "argument",
                        "index_replace: the ids of this index are its vectors' positions; expected "
                        "one with ids of its own, such as 'IDMap2,Flat'");
    if (check_distinct(r, ids, n) != 0)
        return -1;
    if (fxe_is_tight(r, fxe_obj_target(o), fxe_act_of(r->op)))
        return fxe_fail(
            r, "limit",
            "index_replace: there may be too little memory for %zu vectors, and none was "
            "removed (%zu bytes are left)",
            n, fxe_room());
    msgpack_object *a = fxe_part_begin(
        &p, r, fxe_is_binary(o) ? FX_OP_IndexBinary_remove_ids : FX_OP_Index_remove_ids);
    msgpack_object batch[2] = {fxe_text("batch", 5), fxe_part_array(&p, ids, n * sizeof *ids)};
    p.r.obj[0] = o;
    a[1] = fxe_array(batch, 2);
    a[2] = fxe_true();
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    return rc;
}

/* --- training --- */

int fxe_train_first(struct fxe_req *r)
{
    struct fxe_part p;
    struct fxe_obj *o = r->obj[0];
    bool binary = fxe_is_binary(o);
    const msgpack_object *x = fxe_call_arg(r, 2);
    const struct fx_buffer *b;
    if (binary ? fxe_api()->IndexBinary_is_trained(o->ptr) : fxe_api()->Index_is_trained(o->ptr))
        return 0;
    if (x->type != MSGPACK_OBJECT_POSITIVE_INTEGER || !(b = fxe_req_frame(r, x->via.u64, "x")))
        return r->failed ? -1 : fxe_fail(r, "protocol", "x does not name a payload frame");
    msgpack_object *a = fxe_part_begin(&p, r, binary ? FX_OP_IndexBinary_train : FX_OP_Index_train);
    p.r.obj[0] = o;
    a[1] = *fxe_call_arg(r, 1);
    a[2] = fxe_part_array(&p, b->data, b->size);
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    return rc;
}

const struct fxe_index_operation fxe_index_vectors[] = {
    {{"index_get_vectors", 0, prepare_get_vectors, run_get_vectors, NULL}, 0, false},
    {{"index_search_and_reconstruct", 0, prepare_search_and_reconstruct, run_search_and_reconstruct,
      NULL},
     FX_OP_Index_search,
     false},
    {{NULL, 0, NULL, NULL, NULL}, 0, false}};
