/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/values.h"
#include "server/engine/guard/facts.h"

#include <stdlib.h>
#include <string.h>

#include "server/engine/guard/catch.h"
#include "server/engine/run/request.h"

/* Remembers an object, to free it after the call.  Frees it at once if there are too many. */
static int free_later(struct fxe_req *r, void *ptr, int free_op)
{
    struct fxe_values *v = &r->values;
    if (v->n == FXE_MAX_VALUES) {
        union fx_val args[2] = {{.p = ptr}};
        fx_invoke(fxe_api(), free_op, args);
        return fxe_fail(r, "limit", "more than %d selectors in one call", FXE_MAX_VALUES);
    }
    v->made[v->n].ptr = ptr;
    v->made[v->n++].free_op = free_op;
    return 0;
}

void fxe_values_free(struct fxe_values *v)
{
    while (v->n > 0) {
        union fx_val args[2] = {{.p = v->made[--v->n].ptr}};
        fx_invoke(fxe_api(), v->made[v->n].free_op, args);
    }
}

static int malformed(struct fxe_req *r)
{
    return fxe_fail(r, "protocol", "a value object of the call is malformed");
}

static int get_int(const msgpack_object *o, int64_t *out)
{
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER && o->type != MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return -1;
    *out = o->via.i64;
    return 0;
}

static int read_selector(struct fxe_req *r, const msgpack_object *o, FaissIDSelector **out);

/* The fewest vectors of the index and of those to which it passes the selector on.  Looks at no
 * more than *left of them: an index may be a part in many ways. */
static int64_t fewest_of(const struct fxe_obj *o, int *left)
{
    if (!o->ptr || --*left < 0)
        return 0;
    int64_t n = fxe_api()->Index_ntotal(o->ptr);
    bool shards = strstr(fxe_class_name(o->ptr), "IndexShards") != NULL;
    if (!shards && !strstr(fxe_class_name(o->ptr), "IndexPreTransform"))
        return n;
    if (!shards) { /* the part may have no handle */
        int64_t part = fxe_api()->Index_ntotal(fxe_api()->IndexPreTransform_index(o->ptr));
        n = part < n ? part : n;
    }
    for (int i = 0; i < o->nkeeps; i++) {
        const struct fxe_obj *part = fxe_obj_target(o->keeps[i]);
        int64_t has = fx_root(part->cls) == FX_CLASS_Index ? fewest_of(part, left) : n;
        n = has < n ? has : n;
    }
    return shards && o->nkeeps == 0 ? 0 : n;
}

static int64_t fewest(const struct fxe_req *r)
{
    enum { MOST = 1000 };
    int left = MOST;
    if (r->op == FX_OP_IndexIVF_search_closest_eligible_centroids ||
        r->op == FX_OP_Search_closest_eligible_centroids)
        return 0; /* the quantizer may have fewer than the index */
    return fewest_of(fxe_obj_target(r->obj[0]), &left);
}

/* Is the range reversed, or past the index's last vector?  FAISS's brute-force search reads the
 * vectors from imin to imax without checking that they exist or that imin <= imax. */
static int outside(const struct fxe_req *r, int64_t imin, int64_t imax)
{
    int64_t ntotal = 0;
    if (r->op && r->obj[0] && fx_root(r->obj[0]->cls) == FX_CLASS_Index)
        ntotal = fewest(r);
    return (imin > 0 ? imin : 0) > (imax < ntotal ? imax : ntotal);
}

static int range(struct fxe_req *r, const msgpack_object *e, FaissIDSelector **out)
{
    FaissIDSelectorRange *s = NULL;
    FaissIDSelectorOr *twice = NULL;
    int64_t imin, imax;
    if (get_int(&e[1], &imin) || get_int(&e[2], &imax))
        return malformed(r);
    int rc = fxe_api()->IDSelectorRange_new(&s, imin, imax);
    *out = (FaissIDSelector *)s;
    if (rc != 0 || !outside(r, imin, imax) || !fxe_api()->IDSelectorOr_new)
        return rc;
    /* FAISS's shortcut for ranges does not apply to the union of the range with itself. */
    if (free_later(r, s, FX_OP_IDSelector_free) != 0)
        return -1;
    rc = fxe_api()->IDSelectorOr_new(&twice, *out, *out);
    *out = (FaissIDSelector *)twice;
    return rc;
}

static int batch(struct fxe_req *r, const msgpack_object *e, FaissIDSelector **out)
{
    FaissIDSelectorBatch *s = NULL;
    const void *data;
    size_t size;
    if (fxe_req_bytes(r, &e[1], "the selector", &data, &size) != 0)
        return -1;
    if (size % sizeof(idx_t) != 0)
        return malformed(r);
    int rc = fxe_api()->IDSelectorBatch_new(&s, size / sizeof(idx_t), data);
    *out = (FaissIDSelector *)s;
    return rc;
}

static int bitmap(struct fxe_req *r, const msgpack_object *e, FaissIDSelector **out)
{
    FaissIDSelectorBitmap *s = NULL;
    const void *data;
    size_t size;
    if (fxe_require(r, FX_OP_IDSelectorBitmap_new) ||
        fxe_req_bytes(r, &e[1], "the selector", &data, &size) != 0)
        return -1;
    int rc = fxe_api()->IDSelectorBitmap_new(&s, size, data);
    *out = (FaissIDSelector *)s;
    return rc;
}

static int composed(struct fxe_req *r, const msgpack_object *e, int parts, const char *op,
                    FaissIDSelector **out)
{
    FaissIDSelector *a = NULL, *b = NULL;
    void *s = NULL;
    int rc, which = strcmp(op, "not") == 0   ? FX_OP_IDSelectorNot_new
                    : strcmp(op, "and") == 0 ? FX_OP_IDSelectorAnd_new
                    : strcmp(op, "or") == 0  ? FX_OP_IDSelectorOr_new
                                             : FX_OP_IDSelectorXOr_new;
    if (fxe_require(r, which) || read_selector(r, &e[1], &a) ||
        (parts == 2 && read_selector(r, &e[2], &b)))
        return -1;
    if (!a || (parts == 2 && !b))
        return fxe_fail(r, "argument", "a part of a selector is NULL");
    union fx_val v[4] = {{.p = &s}, {.p = a}, {.p = b}};
    fx_invoke(fxe_api(), which, v);
    rc = (int)v[fx_fns[which].nparams].i;
    *out = s;
    return rc;
}

static int read_selector(struct fxe_req *r, const msgpack_object *o, FaissIDSelector **out)
{
    static const struct {
        const char *name;
        uint32_t size;
    } kinds[] = {{"range", 3}, {"batch", 2}, {"bitmap", 2}, {"not", 2},
                 {"and", 3},   {"or", 3},    {"xor", 3}};
    *out = NULL;
    if (o->type == MSGPACK_OBJECT_NIL)
        return 0;
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 2 ||
        o->via.array.ptr[0].type != MSGPACK_OBJECT_STR)
        return malformed(r);
    const msgpack_object *e = o->via.array.ptr;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        if (e[0].via.str.size != strlen(kinds[k].name) ||
            memcmp(e[0].via.str.ptr, kinds[k].name, e[0].via.str.size) != 0)
            continue;
        if (o->via.array.size != kinds[k].size)
            return malformed(r);
        int rc = k == 0   ? range(r, e, out)
                 : k == 1 ? batch(r, e, out)
                 : k == 2 ? bitmap(r, e, out)
                          : composed(r, e, k == 3 ? 1 : 2, kinds[k].name, out);
        if (r->failed)
            return -1;
        if (rc != 0) {
            fxe_fail_faiss(r, rc);
            return -1;
        }
        return free_later(r, *out, FX_OP_IDSelector_free);
    }
    return malformed(r);
}

/* --- search parameters --- */

/* Sets a field that older releases lack.  Refuses the call if the library lacks it and the value
 * is not the default. */
#define SET(Class, name, value, dflt)                          \
    do {                                                       \
        if (fxe_api()->Class##_set_##name)                     \
            fxe_api()->Class##_set_##name(sp, value);          \
        else if ((value) != (dflt))                            \
            return fxe_require(r, FX_OP_##Class##_set_##name); \
    } while (0)

/* More than all lists are all lists, but FAISS's FastScan classes make room for as many as they are
 * asked for. */
static size_t of_all_lists(const struct fxe_req *r, size_t nprobe)
{
    bool transformed;
    const struct fxe_obj *o = r->obj[0];
    const FaissIndexIVF *ivf =
        o && o->ptr && fx_root(o->cls) == FX_CLASS_Index ? fxe_ivf_of(o, &transformed) : NULL;
    size_t nlist = ivf ? fxe_api()->IndexIVF_nlist(ivf) : nprobe;
    return nprobe < nlist ? nprobe : nlist;
}

static int ivf(struct fxe_req *r, const msgpack_object *e, FaissIDSelector *sel, void **out)
{
    FaissSearchParametersIVF *sp = NULL;
    int64_t f[5];
    for (int i = 0; i < 5; i++)
        if (get_int(&e[2 + i], &f[i]) != 0)
            return malformed(r);
    int rabitq = e[0].via.str.size == 6 && memcmp(e[0].via.str.ptr, "rabitq", 6) == 0;
    if (fxe_require(r, rabitq ? FX_OP_SearchParametersRaBitQ_new_with
                              : FX_OP_SearchParametersIVF_new_with))
        return -1;
    int rc = (rabitq ? fxe_api()->SearchParametersRaBitQ_new_with
                     : fxe_api()->SearchParametersIVF_new_with)(
        &sp, sel, of_all_lists(r, (size_t)f[0]), (size_t)f[1]);
    if (rc != 0) {
        fxe_fail_faiss(r, rc);
        return -1;
    }
    *out = sp;
    if (free_later(r, sp, FX_OP_SearchParametersIVF_free) != 0)
        return -1;
    SET(SearchParametersIVF, max_lists_num, (size_t)f[2], 0);
    SET(SearchParametersIVF, max_empty_result_buckets, (size_t)f[3], 0);
    SET(SearchParametersIVF, ensure_topk_full, (int)f[4], 0);
    return 0;
}

static int hnsw(struct fxe_req *r, const msgpack_object *e, FaissIDSelector *sel, void **out)
{
    FaissSearchParametersHNSW *sp = NULL;
    int64_t f[3];
    for (int i = 0; i < 3; i++)
        if (get_int(&e[2 + i], &f[i]) != 0)
            return malformed(r);
    if (fxe_require(r, FX_OP_SearchParametersHNSW_new_with))
        return -1;
    int rc = fxe_api()->SearchParametersHNSW_new_with(&sp, sel, (int)f[0]);
    if (rc != 0) {
        fxe_fail_faiss(r, rc);
        return -1;
    }
    *out = sp;
    if (free_later(r, sp, FX_OP_SearchParametersHNSW_free) != 0)
        return -1;
    SET(SearchParametersHNSW, check_relative_distance, (int)f[1], 1);
    SET(SearchParametersHNSW, bounded_queue, (int)f[2], 1);
    return 0;
}

static int read_params(struct fxe_req *r, const msgpack_object *o, int cls, void **out)
{
    FaissIDSelector *sel;
    FaissSearchParameters *sp = NULL;
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 2 ||
        o->via.array.ptr[0].type != MSGPACK_OBJECT_STR)
        return malformed(r);
    const msgpack_object *e = o->via.array.ptr;
    /* FAISS believes that it is of the class that the function declares. */
    if ((cls == FX_CLASS_SearchParametersIVF && o->via.array.size != 7) ||
        (cls == FX_CLASS_SearchParametersHNSW && o->via.array.size != 5))
        return fxe_fail(r, "handle", "%s: the search parameters are no Faiss%s",
                        r->fn ? r->fn->name : r->operation->name, fx_classes[cls].name);
    if (read_selector(r, &e[1], &sel) != 0)
        return -1;
    if (o->via.array.size == 7)
        return ivf(r, e, sel, out);
    if (o->via.array.size == 5)
        return hnsw(r, e, sel, out);
    if (fxe_require(r, FX_OP_SearchParameters_new))
        return -1;
    int rc = fxe_api()->SearchParameters_new(&sp, sel);
    if (rc != 0) {
        fxe_fail_faiss(r, rc);
        return -1;
    }
    *out = sp;
    return free_later(r, sp, FX_OP_SearchParameters_free);
}

/* --- results --- */

static int read_result(struct fxe_req *r, const msgpack_object *o, void **out)
{
    FaissRangeSearchResult *rsr = NULL;
    int64_t nq;
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 2 ||
        get_int(&o->via.array.ptr[1], &nq) != 0 || nq < 0)
        return malformed(r);
    /* FAISS allocates and clears nq + 1 limits, however few queries the call has. */
    if (nq > 1 << 27)
        return fxe_fail(r, "limit", "a RangeSearchResult for %lld queries is too large",
                        (long long)nq);
    int rc = fxe_api()->RangeSearchResult_new(&rsr, nq);
    if (rc != 0) {
        fxe_fail_faiss(r, rc);
        return -1;
    }
    *out = rsr;
    return free_later(r, rsr, FX_OP_RangeSearchResult_free);
}

int fxe_result_reply(struct fxe_req *r, void *rsr)
{
    size_t nq = fxe_api()->RangeSearchResult_nq(rsr), *lims = NULL;
    idx_t *labels = NULL;
    float *distances = NULL;
    struct fxe_found *f = &r->found;
    if (f->lims) {
        size_t *own_lims = f->lims;
        idx_t *own_labels = f->labels;
        float *own_distances = f->distances;
        size_t results = own_lims[f->n];
        *f = (struct fxe_found){NULL, 0, NULL, NULL};
        return fxe_reply_array(r, own_lims, (nq + 1) * sizeof *own_lims) ||
                       fxe_reply_array(r, own_labels, results * sizeof *own_labels) ||
                       fxe_reply_array(r, own_distances, results * sizeof *own_distances)
                   ? -1
                   : 0;
    }
    fxe_api()->RangeSearchResult_lims(rsr, &lims);
    fxe_api()->RangeSearchResult_labels(rsr, &labels, &distances);
    size_t n = labels ? lims[nq] : 0;
    return fxe_reply_copy(r, lims, (nq + 1) * sizeof *lims) ||
                   fxe_reply_copy(r, labels, n * sizeof *labels) ||
                   fxe_reply_copy(r, distances, n * sizeof *distances)
               ? -1
               : 0;
}

int fxe_value_build(struct fxe_req *r, const msgpack_object *o, int cls, void **out)
{
    *out = NULL;
    if (o->type == MSGPACK_OBJECT_NIL)
        return 0;
    switch (fx_root(cls)) {
    case FX_CLASS_IDSelector:
        return read_selector(r, o, (FaissIDSelector **)out);
    case FX_CLASS_SearchParameters:
        return read_params(r, o, cls, out);
    case FX_CLASS_RangeSearchResult:
        return read_result(r, o, out);
    }
    return fxe_fail(r, "unsupported", "a Faiss%s cannot be sent to a server", fx_classes[cls].name);
}
