/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "request.h"

static const struct fx_api *api(void)
{
    return &fxe_engine.lib.api;
}

static int refuse(struct fxe_req *r, const char *why)
{
    return fxe_fail(r, "argument", "%s: %s", r->fn->name, why);
}

static int param(const struct fxe_req *r, const char *name)
{
    for (int i = 0; i < r->fn->nparams; i++)
        if (strcmp(r->fn->params[i].name, name) == 0)
            return i;
    return -1;
}

static int64_t scalar(const struct fxe_req *r, const char *name)
{
    int i = param(r, name);
    return i < 0 ? 0 : r->v[i].i;
}

/* Is the index one (through the library's cast, where it has it)? */
#define IS(Class, index) (api()->Class##_cast && api()->Class##_cast(index))

/* A negative count passes FAISS's loops and wraps in its allocations. */
static int counts(struct fxe_req *r)
{
    static const char *const names[] = {"n", "ni", "nv", "nq", "nb"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (scalar(r, names[i]) < 0)
            return fxe_fail(r, "argument", "%s: %s is %lld", r->fn->name, names[i],
                            (long long)scalar(r, names[i]));
    return 0;
}

/* An object from a constructor without arguments has no quantizer or sub-index, and most
 * functions follow that NULL.  Plain fields can be read and set. */
static int hollow(struct fxe_req *r)
{
    static const char *const follow[] = {"imbalance_factor", "get_list_size", "print_stats",
                                         "invlists_get_ids"};
    const struct fx_fn *fn = r->fn;
    int field = fn->ret.kind != FX_ERR && fn->nparams <= 2;
    for (size_t i = 0; i < sizeof follow / sizeof *follow; i++)
        field &= strstr(fn->name, follow[i]) == NULL;
    for (int i = 0; i < fn->nparams && !field; i++)
        if (r->obj[i] && r->obj[i]->hollow && r->obj[i]->nkeeps == 0)
            return fxe_fail(r, "argument",
                            "%s: %s is a Faiss%s made without a sub-index, which is of no use",
                            fn->name, fn->params[i].name, fx_classes[r->obj[i]->cls].name);
    return 0;
}

static int untrained(struct fxe_req *r)
{
    const FaissVectorTransform *vt = r->v[0].p;
    return api()->VectorTransform_is_trained(vt) ? 0 : refuse(r, "the transform is not trained");
}

static int list_number(struct fxe_req *r, size_t nlist)
{
    uint64_t list = (uint64_t)scalar(r, "list_no");
    return list < nlist ? 0
                        : fxe_fail(r, "argument", "%s: list %llu of %zu", r->fn->name,
                                   (unsigned long long)list, nlist);
}

/* Shards and replicas are the objects that were added and not removed. */
static int shard_number(struct fxe_req *r)
{
    int64_t i = scalar(r, "i");
    if (i >= 0 && (i < r->obj[0]->nkeeps || r->obj[0]->inherent))
        return 0;
    return fxe_fail(r, "argument", "%s: %lld of %d", r->fn->name, (long long)i, r->obj[0]->nkeeps);
}

/* Do its keys mean something else than positions?  (Both kinds check them.) */
static int has_own_ids(FaissIndex *index)
{
    if (IS(IndexPreTransform, index))
        return has_own_ids(api()->IndexPreTransform_index(index));
    return IS(IndexIDMap2, index) || IS(IndexIVF, index);
}

/* Flat storage, also within HNSW and Refine, checks no lower bound of a key, and the upper
 * one only since v1.12.0. */
static int keys(struct fxe_req *r, int64_t first, int64_t n)
{
    FaissIndex *index = r->v[0].p;
    int64_t end, ntotal = api()->Index_ntotal(index);
    int major = 0, minor = 0;
    if (has_own_ids(index) || n == 0)
        return 0;
    sscanf(fxe_engine.lib.version, "%d.%d", &major, &minor);
    int checked = major > 1 || minor >= 12;
    if (first < 0 || __builtin_add_overflow(first, n, &end) || (end > ntotal && !checked))
        return fxe_fail(r, "argument", "%s: keys %lld to %lld, and there are %lld", r->fn->name,
                        (long long)first, (long long)first + n - 1, (long long)ntotal);
    return 0;
}

/* A binary Flat index checks no key at all.  Where the library cannot tell what an index
 * is, ids must be positions. */
static int binary_keys(struct fxe_req *r, int64_t first, int64_t n)
{
    FaissIndexBinary *index = r->v[0].p;
    int64_t end;
    if (IS(IndexBinaryIVF, index))
        return 0;
    if (api()->IndexBinaryFlat_cast && !api()->IndexBinaryFlat_cast(index))
        return 0;
    if (first < 0 || __builtin_add_overflow(first, n, &end) ||
        end > api()->IndexBinary_ntotal(index))
        return fxe_fail(r, "argument", "%s: keys %lld to %lld of %lld", r->fn->name,
                        (long long)first, (long long)(first + n - 1),
                        (long long)api()->IndexBinary_ntotal(index));
    return 0;
}

static int binary_reconstruct_n(struct fxe_req *r)
{
    if (IS(IndexBinaryIVF, r->v[0].p) && scalar(r, "ni") > 1)
        return refuse(r, "FAISS writes beyond the buffer of more than one vector of an "
                         "IndexBinaryIVF; reconstruct them one by one");
    return binary_keys(r, scalar(r, "i0"), scalar(r, "ni"));
}

static int result_size(struct fxe_req *r)
{
    const void *result = r->v[param(r, "result")].p;
    if (!result)
        return refuse(r, "result is NULL");
    if (api()->RangeSearchResult_nq(result) < (uint64_t)scalar(r, "n"))
        return fxe_fail(r, "argument", "%s: the result is for %zu queries", r->fn->name,
                        api()->RangeSearchResult_nq(result));
    return 0;
}

static int no_values(struct fxe_req *r)
{
    /* FAISS takes the combination's number modulo the number of values, which is 0. */
    return r->obj[0]->nborrowed ? refuse(r, "a range of the space has no values") : 0;
}

static int self_merge(struct fxe_req *r)
{
    return r->v[0].p == r->v[1].p ? refuse(r, "an index cannot be merged into itself") : 0;
}

int fxe_check_scalars(struct fxe_req *r)
{
    if (counts(r) != 0 || hollow(r) != 0)
        return -1;
    switch (r->op) {
    case FX_OP_VectorTransform_apply:
    case FX_OP_VectorTransform_apply_noalloc:
    case FX_OP_VectorTransform_reverse_transform:
    case FX_OP_LinearTransform_transform_transpose:
    case FX_OP_LinearTransform_set_is_orthonormal:
        return untrained(r);
    case FX_OP_IndexIVF_get_list_size:
    case FX_OP_IndexIVF_invlists_get_ids:
        return list_number(r, api()->IndexIVF_nlist(r->v[0].p));
    case FX_OP_IndexBinaryIVF_get_list_size:
    case FX_OP_IndexBinaryIVF_invlists_get_ids:
        return list_number(r, api()->IndexBinaryIVF_nlist(r->v[0].p));
    case FX_OP_IndexShards_at:
    case FX_OP_IndexReplicas_at:
        return shard_number(r);
    case FX_OP_Index_reconstruct:
    case FX_OP_Index_compute_residual:
        return keys(r, scalar(r, "key"), 1);
    case FX_OP_IndexBinary_reconstruct:
        return binary_keys(r, scalar(r, "key"), 1);
    case FX_OP_IndexBinary_reconstruct_n:
        return binary_reconstruct_n(r);
    case FX_OP_Index_range_search:
    case FX_OP_IndexBinary_range_search:
        return result_size(r);
    case FX_OP_ParameterSpace_combination_name:
    case FX_OP_ParameterSpace_set_index_parameters_cno:
    case FX_OP_ParameterSpace_set_index_parameters_cno_binary:
        return no_values(r);
    case FX_OP_IndexIVF_merge_from:
    case FX_OP_IndexBinaryIVF_merge_from:
    case FX_OP_IndexIVF_copy_subset_to:
    case FX_OP_Index_merge_from:
        return self_merge(r);
    case FX_OP_Index_remove_ids:
    case FX_OP_IndexBinary_remove_ids:
        return r->v[1].p ? 0 : refuse(r, "sel is NULL");
    case FX_OP_set_distance_compute_blas_query_bs:
    case FX_OP_set_distance_compute_blas_database_bs:
        return scalar(r, "value") > 0 ? 0 : refuse(r, "blocks of no vectors never end");
    }
    return 0;
}

/* --- arrays --- */

static int all_below(struct fxe_req *r, const char *name, int64_t limit)
{
    int i = param(r, name);
    const int64_t *x = r->v[i].p;
    for (uint64_t k = 0; x && k < r->elems[i]; k++)
        if (x[k] >= limit)
            return fxe_fail(r, "argument", "%s: %s[%llu] is %lld, and there are %lld", r->fn->name,
                            name, (unsigned long long)k, (long long)x[k], (long long)limit);
    return 0;
}

static int none_below(struct fxe_req *r, const char *name, int64_t limit)
{
    int i = param(r, name);
    const int64_t *x = r->v[i].p;
    for (uint64_t k = 0; x && k < r->elems[i]; k++)
        if (x[k] < limit)
            return fxe_fail(r, "argument", "%s: %s[%llu] is %lld", r->fn->name, name,
                            (unsigned long long)k, (long long)x[k]);
    return 0;
}

/* Only an inverted file and shards number vectors themselves; others read the ids. */
static int ids(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    if (r->v[param(r, "xids")].p || scalar(r, "n") == 0)
        return 0;
    if (IS(IndexIVF, index) || r->obj[0]->cls == FX_CLASS_IndexShards)
        return 0;
    if (IS(IndexPreTransform, index) && IS(IndexIVF, api()->IndexPreTransform_index(index)))
        return 0;
    return refuse(r, "xids is NULL");
}

static int binary_ids(struct fxe_req *r)
{
    if (r->v[param(r, "xids")].p || scalar(r, "n") == 0 || IS(IndexBinaryIVF, r->v[0].p))
        return 0;
    return refuse(r, "xids is NULL");
}

static int scalar_quantizer_lists(struct fxe_req *r)
{
    if (!r->v[param(r, "precomputed_idx")].p && scalar(r, "n") > 0)
        return refuse(r, "precomputed_idx is NULL");
    return all_below(r, "precomputed_idx", (int64_t)api()->IndexIVF_nlist(r->v[0].p));
}

int fxe_check_arrays(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    switch (r->op) {
    case FX_OP_Index_add_with_ids:
        return ids(r);
    case FX_OP_IndexBinary_add_with_ids:
        return binary_ids(r);
    case FX_OP_IndexFlat_compute_distance_subset:
        return all_below(r, "labels", api()->Index_ntotal(index));
    case FX_OP_IndexIVFFlat_add_core:
        return all_below(r, "precomputed_idx", (int64_t)api()->IndexIVF_nlist(index));
    case FX_OP_IndexIVFScalarQuantizer_add_core:
        return scalar_quantizer_lists(r);
    case FX_OP_IndexBinaryIVF_search_preassigned:
        return all_below(r, "cidx", (int64_t)api()->IndexBinaryIVF_nlist(r->v[0].p));
    case FX_OP_Index_compute_residual_n:
        if (has_own_ids(index))
            return 0;
        return none_below(r, "keys", 0) || all_below(r, "keys", api()->Index_ntotal(index)) ? -1
                                                                                            : 0;
    }
    return 0;
}

/* --- calls that are made in another way --- */

/* Has the class a reconstruct_n of its own, which checks before it begins?  The default
 * calls reconstruct() in an OpenMP loop, where an exception ends the process. */
static int own_reconstruct_n(FaissIndex *index)
{
    if (IS(IndexPreTransform, index))
        return own_reconstruct_n(api()->IndexPreTransform_index(index));
    return index && (IS(IndexFlat, index) || IS(IndexIVF, index) || IS(IndexLSH, index) ||
                     IS(IndexScalarQuantizer, index));
}

static int reconstruct_one_by_one(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    int64_t i0 = r->v[1].i, ni = r->v[2].i;
    size_t d = (size_t)api()->Index_d(index);
    int rc = 0;
    for (int64_t i = 0; i < ni && rc == 0; i++)
        rc = api()->Index_reconstruct(index, i0 + i, (float *)r->v[3].p + (size_t)i * d);
    return rc;
}

static int residual_one_by_one(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    size_t d = (size_t)api()->Index_d(index);
    const float *x = r->v[2].p;
    const idx_t *keys = r->v[4].p;
    int rc = 0;
    for (int64_t i = 0; i < r->v[1].i && rc == 0; i++)
        rc = api()->Index_compute_residual(index, x + (size_t)i * d,
                                           (float *)r->v[3].p + (size_t)i * d, keys[i]);
    return rc;
}

int fxe_call_otherwise(struct fxe_req *r)
{
    union fx_val *ret = &r->v[r->fn->nparams];
    switch (r->op) {
    case FX_OP_Index_reconstruct_n:
        if (own_reconstruct_n(r->v[0].p))
            return 0;
        if (keys(r, r->v[1].i, r->v[2].i) != 0)
            return 1;
        ret->i = reconstruct_one_by_one(r);
        return 1;
    case FX_OP_Index_compute_residual_n:
        if (IS(IndexFlat, r->v[0].p))
            return 0;
        ret->i = residual_one_by_one(r);
        return 1;
    }
    return 0;
}
