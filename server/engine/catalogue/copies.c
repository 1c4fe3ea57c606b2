/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that copy vectors from one index to another: merge and split.  The first index stays as
 * it is, so that one index changes, at once. */
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/make.h"
#include "server/engine/catalogue/part.h"
#include "server/engine/catalogue/vectors.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/guard.h"
#include "server/engine/guard/room.h"
#include "server/engine/training/training.h"

void *fxe_copy_of(struct fxe_req *r, struct fxe_obj *o)
{
    struct fxe_part p;
    msgpack_object *a =
        fxe_part_begin(&p, r, fxe_is_binary(o) ? FX_OP_clone_index_binary : FX_OP_clone_index);
    p.r.obj[0] = o;
    a[1] = fxe_true();
    void *ptr = fxe_part_call(&p) == 0 ? p.r.lent[1] : NULL;
    fxe_part_end(&p);
    return ptr;
}

/* --- merge --- */

static int prepare_merge(struct fxe_req *r)
{
    r->lane = FXE_WIDE;
    if (fxe_index_lock(r, "name", 0, true) != 0 || fxe_index_lock(r, "from", 1, false) != 0)
        return -1;
    if (r->obj[0] == r->obj[1])
        return fxe_fail(r, "argument", "%s: an index cannot be merged into itself",
                        r->operation->name);
    if (fxe_is_binary(r->obj[0]) || fxe_is_binary(r->obj[1]))
        return fxe_fail(r, "unsupported", "%s: FAISS's C API does not have this for a binary index",
                        r->operation->name);
    return 0;
}

static bool has_lists(const struct fxe_obj *o)
{
    return fxe_api()->IndexIVF_cast && fxe_api()->IndexIVF_cast(o->ptr);
}

/* What is added to ids that are at least 0, so that they are not among those of the index. */
static int next_id(struct fxe_req *r, int64_t *next)
{
    size_t n = (size_t)fxe_ntotal_of(r->obj[0]);
    idx_t *ids = fxe_room_realloc(NULL, (n + 1) * sizeof *ids);
    int rc = ids ? fxe_ids_of(r, r->obj[0], ids, n)
                 : fxe_fail(r, "limit", "the server has no memory for %zu ids", n);
    *next = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        if (ids[i] >= *next && ids[i] < INT64_MAX)
            *next = ids[i] + 1;
    free(ids);
    return rc;
}

/* The number that the request wants added to the ids. */
static int read_add_id(struct fxe_req *r, int64_t *add_id)
{
    static const int64_t same = 0;
    const msgpack_object *distinct = fx_header_get(&r->header, "distinct");
    if (distinct && distinct->type != MSGPACK_OBJECT_BOOLEAN)
        return fxe_key_wrong(r, "distinct", "a boolean");
    if (fxe_key_int(r, "add_id", INT64_MIN, INT64_MAX, &same, add_id) != 0)
        return -1;
    return distinct && distinct->via.boolean ? next_id(r, add_id) : 0;
}

/* Inverted lists are joined as they are. */
static void merge_lists(struct fxe_req *r, int64_t add_id)
{
    struct fxe_part p;
    struct fxe_obj copy = {.cls = FX_CLASS_Index, .ptr = fxe_copy_of(r, r->obj[1])};
    if (!copy.ptr)
        return;
    msgpack_object *a = fxe_part_begin(&p, r, FX_OP_Index_merge_from);
    p.r.obj[0] = r->obj[0];
    p.r.obj[1] = &copy;
    a[2] = fxe_int(add_id);
    fxe_part_call(&p);
    fxe_part_end(&p);
    fxe_guard_forget(&copy);
    fxe_obj_free_faiss(copy.cls, copy.ptr);
}

static int add_to_ids(struct fxe_req *r, struct fxe_vectors *v, int64_t add_id)
{
    for (int64_t i = 0; i < v->n; i++)
        if (__builtin_add_overflow(v->ids[i], add_id, &v->ids[i]))
            return fxe_fail(r, "argument", "%s: with %lld added to it, an id of from is no int64",
                            r->operation->name, (long long)add_id);
    return 0;
}

/* Any other index gets the vectors as FAISS reconstructs them. */
static void add_vectors(struct fxe_req *r, bool ids, int64_t add_id)
{
    struct fxe_vectors v;
    struct fxe_part p;
    if (fxe_vectors_read(r, r->obj[1], 0, fxe_ntotal_of(r->obj[1]), &v) == 0 &&
        (!ids || add_to_ids(r, &v, add_id) == 0)) {
        msgpack_object *a = fxe_part_begin(&p, r, ids ? FX_OP_Index_add_with_ids : FX_OP_Index_add);
        p.r.obj[0] = r->obj[0];
        a[1] = fxe_int(v.n);
        a[2] = fxe_part_array(&p, v.vectors, v.bytes);
        if (ids)
            a[3] = fxe_part_array(&p, v.ids, (size_t)v.n * sizeof *v.ids);
        fxe_part_call(&p);
        fxe_part_end(&p);
    }
    fxe_vectors_free(&v);
}

static void run_merge(struct fxe_req *r)
{
    int64_t d = fxe_index_d(r->obj[0]), other = fxe_index_d(r->obj[1]), add_id;
    bool ids = fxe_id_map_of(r->obj[0]) || fxe_own_ids(r->obj[0]->ptr);
    if (d != other)
        fxe_fail(r, "argument", "%s: from has dimension %lld, but the index has %lld",
                 r->operation->name, (long long)other, (long long)d);
    else if (!ids && fxe_key_has(r, "add_id"))
        fxe_fail(r, "argument",
                 "%s: add_id is given, but the ids of the index are the positions of its vectors",
                 r->operation->name);
    else if (ids && read_add_id(r, &add_id) != 0)
        return;
    else if (has_lists(r->obj[0]))
        merge_lists(r, add_id);
    else
        add_vectors(r, ids, ids ? add_id : 0);
}

/* --- split --- */

int fxe_prepare_split(struct fxe_req *r)
{
    r->lane = FXE_WIDE;
    if (fxe_index_lock(r, "name", 0, false) != 0 || fxe_prepare_new(r, "to") != 0)
        return -1;
    return fxe_key_has(r, "selector") ? 0 : fxe_key_wrong(r, "selector", "a selector");
}

/* Removes what the selector selects.  Its arrays are the request's; or, if there is a `batch`, of
 * `size` bytes, that is its only one. */
static int remove_from(struct fxe_req *r, struct fxe_obj *o, msgpack_object *selector, uint32_t n,
                       const void *batch, size_t size)
{
    struct fxe_part p;
    msgpack_object *a = fxe_part_begin(
        &p, r, fxe_is_binary(o) ? FX_OP_IndexBinary_remove_ids : FX_OP_Index_remove_ids);
    for (int i = 1; i < r->msg->nframes && !batch; i++)
        fxe_part_array(&p, r->msg->frames[i].data, r->msg->frames[i].size);
    if (batch)
        selector[1] = fxe_part_array(&p, batch, size);
    p.r.obj[0] = o;
    p.r.remaps = !fxe_is_binary(o);
    a[1] = fxe_array(selector, n);
    a[2] = fxe_true();
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    return rc;
}

static bool is_kind(const msgpack_object *s, const char *kind, uint32_t size)
{
    return s->type == MSGPACK_OBJECT_ARRAY && s->via.array.size == size &&
           s->via.array.ptr[0].type == MSGPACK_OBJECT_STR &&
           s->via.array.ptr[0].via.str.size == strlen(kind) &&
           memcmp(s->via.array.ptr[0].via.str.ptr, kind, strlen(kind)) == 0;
}

static int not_in_range(struct fxe_req *r, struct fxe_obj *o, const msgpack_object *e)
{
    /* What is behind the range goes first: where ids are positions, it changes none before it. */
    msgpack_object after[3] = {e[0], e[2], fxe_int(INT64_MAX)};
    msgpack_object before[3] = {e[0], fxe_int(INT64_MIN), e[1]};
    return remove_from(r, o, after, 3, NULL, 0) || remove_from(r, o, before, 3, NULL, 0) ? -1 : 0;
}

static int by_number(const void *a, const void *b)
{
    idx_t x = *(const idx_t *)a, y = *(const idx_t *)b;
    return (x > y) - (x < y);
}

/* Keeps those of the n ids that are not in the batch; returns how many. */
static size_t without(idx_t *ids, size_t n, const idx_t *batch, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        if (!bsearch(&ids[i], batch, count, sizeof *batch, by_number))
            ids[left++] = ids[i];
    return left;
}

static int not_in_batch(struct fxe_req *r, struct fxe_obj *o, const msgpack_object *e)
{
    const void *data;
    size_t size, n = (size_t)fxe_ntotal_of(o);
    if (fxe_req_bytes(r, &e[1], "the selector", &data, &size) != 0)
        return -1;
    idx_t *batch = malloc(size + 1), *ids = malloc((n + 1) * sizeof *ids);
    int rc = -1;
    if (!batch || !ids) {
        fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name);
    } else if (fxe_ids_of(r, o, ids, n) == 0) {
        if (size)
            memcpy(batch, data, size);
        qsort(batch, size / sizeof *batch, sizeof *batch, by_number);
        n = without(ids, n, batch, size / sizeof *batch);
        msgpack_object others[2] = {e[0], e[1]};
        rc = remove_from(r, o, others, 2, ids, n * sizeof *ids);
    }
    free(batch);
    free(ids);
    return rc;
}

/* Removes all vectors that the selector does not select. */
static int keep_only(struct fxe_req *r, struct fxe_obj *o, const msgpack_object *selector)
{
    msgpack_object others[2] = {fxe_text("not", 3), *selector};
    bool lacks = !fxe_api()->IDSelectorNot_new;
    if (lacks && is_kind(selector, "range", 3))
        return not_in_range(r, o, selector->via.array.ptr);
    if (lacks && is_kind(selector, "batch", 2))
        return not_in_batch(r, o, selector->via.array.ptr);
    return remove_from(r, o, others, 2, NULL, 0);
}

void fxe_run_split(struct fxe_req *r)
{
    if (fxe_name_is_free(r, "to") != 0)
        return;
    struct fxe_obj copy = {.cls = fx_root(r->obj[0]->cls), .ptr = fxe_copy_of(r, r->obj[0])};
    if (!copy.ptr)
        return;
    int rc = keep_only(r, &copy, fx_header_get(&r->header, "selector"));
    fxe_guard_forget(&copy);
    const struct fxe_training *t = fxe_training_of(r->obj[0]);
    if (rc == 0)
        fxe_publish_new(r, "to", copy.cls, copy.ptr, fxe_obj_target(r->obj[0])->odd,
                        t ? &t->plan : NULL);
    else
        fxe_obj_free_faiss(copy.cls, copy.ptr);
}

const struct fxe_index_operation fxe_index_copies[] = {
    {{"index_merge", 0, prepare_merge, run_merge, NULL}, FX_OP_Index_merge_from, false},
    {{NULL, 0, NULL, NULL, NULL}, 0, false}};
