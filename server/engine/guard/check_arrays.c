/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of arrays and keys, and calls that are made in another way. */
#include "server/engine/guard/catch.h"
#include "server/engine/guard/check.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"

/* Returns whether the keys of the index are ids and not positions.  Both classes check them. */
int fxe_own_ids(FaissIndex *index)
{
    if (IS(IndexPreTransform, index))
        return fxe_own_ids(fxe_api()->IndexPreTransform_index(index));
    return IS(IndexIDMap2, index) || IS(IndexIVF, index);
}

/* FastScan classes store codes in blocks.  The C API has no cast that identifies them. */
int fxe_is_fast_scan(FaissIndex *index)
{
    return strstr(fxe_class_name(index), "FastScan") != NULL;
}

/* IndexFlat1D and IndexFlatPanorama are derived from IndexFlat, so the cast succeeds for them, too.
 */
int fxe_is_plain_flat(FaissIndex *index)
{
    static const char *const names[] = {"9IndexFlatE", "11IndexFlatL2E", "11IndexFlatIPE"};
    const char *name = fxe_class_name(index);
    if (!IS(IndexFlat, index))
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strstr(name, names[i]))
            return 1;
    return !fxe_has_classes();
}

static int is_fast_scan_inside(FaissIndex *index)
{
    return fxe_is_fast_scan(IS(IndexPreTransform, index) ? fxe_api()->IndexPreTransform_index(index)
                                                         : index);
}

/* Flat storage, also inside HNSW and Refine, does not check the lower bound of a key, and checks
 * the upper bound only since v1.12.0; FastScan classes do since v1.15.0. */
int fxe_check_keys(struct fxe_req *r, int64_t first, int64_t n)
{
    FaissIndex *index = r->v[0].p;
    int64_t end, ntotal = fxe_api()->Index_ntotal(index);
    if (n == 0)
        return 0;
    if (fxe_check_parts(r, FXE_USE_RECONSTRUCT) != 0)
        return -1;
    if (fxe_own_ids(index))
        return 0;
    int unchecked = !since(12) || (!since(15) && is_fast_scan_inside(index));
    if (first < 0 || __builtin_add_overflow(first, n, &end) || (end > ntotal && unchecked))
        return fxe_fail(r, "argument",
                        "%s: the keys are %lld to %lld, but the index has %lld vectors",
                        r->fn->name, (long long)first,
                        (long long)((uint64_t)first + (uint64_t)n - 1), (long long)ntotal);
    return 0;
}

/* --- the checks that the table names --- */

static int all_below(struct fxe_req *r, const char *name, int64_t limit)
{
    int i = param(r, name);
    const int64_t *x = r->v[i].p;
    for (uint64_t k = 0; x && k < r->elems[i]; k++)
        if (x[k] >= limit)
            return fxe_fail(r, "argument", "%s: %s[%llu] is %lld, expected less than %lld",
                            r->fn->name, name, (unsigned long long)k, (long long)x[k],
                            (long long)limit);
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

/* Only inverted files and shards number vectors themselves if xids is NULL; others read xids. */
static int ids(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    if (r->v[param(r, "xids")].p || rows(r) == 0)
        return 0;
    if (fxe_is_binary(r->obj[0]))
        return IS(IndexBinaryIVF, r->v[0].p) ? 0 : refuse(r, "xids is NULL");
    if (IS(IndexIVF, index) || r->obj[0]->cls == FX_CLASS_IndexShards)
        return 0;
    if (IS(IndexPreTransform, index) && IS(IndexIVF, fxe_api()->IndexPreTransform_index(index)))
        return 0;
    return refuse(r, "xids is NULL");
}

static int labels(struct fxe_req *r)
{
    return all_below(r, "labels", fxe_api()->Index_ntotal(r->v[0].p));
}

static int lists(struct fxe_req *r)
{
    return all_below(r, "precomputed_idx", (int64_t)fxe_api()->IndexIVF_nlist(r->v[0].p));
}

static int given_lists(struct fxe_req *r)
{
    if (!r->v[param(r, "precomputed_idx")].p && rows(r) > 0)
        return refuse(r, "precomputed_idx is NULL");
    return lists(r);
}

/* A code of an inverted file begins with the number of its list, which FAISS checks where an
 * exception ends the process. */
static int codes(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    if (IS(IndexPreTransform, index))
        index = fxe_api()->IndexPreTransform_index(index);
    else if (IS(IndexIDMap, index) && fxe_api()->IndexIDMap_sub_index)
        index = fxe_api()->IndexIDMap_sub_index(index);
    const uint8_t *code = r->v[param(r, "bytes")].p;
    int64_t n = rows(r);
    if (!code || n == 0 || !IS(IndexIVF, index))
        return 0;
    size_t nlist = fxe_api()->IndexIVF_nlist(index),
           stride = (size_t)(r->elems[param(r, "bytes")] / (uint64_t)n);
    for (int64_t i = 0; i < n; i++, code += stride) {
        size_t list = 0, byte = 0;
        for (size_t left = nlist - 1; left > 0 && byte < stride; left >>= 8, byte++)
            list |= (size_t)code[byte] << 8 * byte;
        if (list >= nlist)
            return fxe_fail(r, "argument",
                            "%s: code %lld names list %zu, but the index has %zu lists",
                            r->fn->name, (long long)i, list, nlist);
    }
    return 0;
}

/* FastScan classes do not limit nprobe to the number of lists, for which there are numbers. */
static int probes(struct fxe_req *r, FaissIndex *index)
{
    int i = param(r, "params");
    const FaissSearchParametersIVF *params =
        i < 0 || !r->v[i].p ? NULL : fxe_api()->SearchParametersIVF_cast(r->v[i].p);
    size_t nlist = fxe_api()->IndexIVF_nlist(index),
           nprobe = params ? fxe_api()->SearchParametersIVF_nprobe(params)
                           : fxe_api()->IndexIVF_nprobe(index);
    return nprobe <= nlist
               ? 0
               : fxe_fail(r, "argument", "%s: nprobe is %zu, but the index has %zu lists",
                          r->fn->name, nprobe, nlist);
}

/* FAISS checks this since v1.12.0, but not in FastScan classes, and v1.12.0 does it where nothing
 * can catch the exception. */
static int assigned(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    if (fxe_is_binary(r->obj[0]))
        return all_below(r, param(r, "assign") < 0 ? "cidx" : "assign",
                         (int64_t)fxe_api()->IndexBinaryIVF_nlist(r->v[0].p));
    int blocks = fxe_is_fast_scan(index);
    if (blocks && !since(12))
        return refuse(r, "the index is a FastScan index, whose lists cannot be read");
    return all_below(r, "assign", (int64_t)fxe_api()->IndexIVF_nlist(index)) ||
                   (blocks && (none_below(r, "assign", -1) || probes(r, index)))
               ? -1
               : 0;
}

/* FAISS asserts that the parameters have a selector. */
static int selected(struct fxe_req *r)
{
    const FaissSearchParametersIVF *params = r->v[param(r, "params")].p;
    return params && fxe_api()->SearchParametersIVF_sel(params)
               ? 0
               : refuse(r, "params must have a selector");
}

static int residual_keys(struct fxe_req *r)
{
    if (fxe_check_parts(r, FXE_USE_RECONSTRUCT) != 0)
        return -1;
    if (fxe_own_ids(r->v[0].p))
        return 0;
    return none_below(r, "keys", 0) || all_below(r, "keys", fxe_api()->Index_ntotal(r->v[0].p)) ? -1
                                                                                                : 0;
}

/* A vector that is near no centroid, because it is not a number, has no list; FAISS does not check
 * that when it replaces such a vector or puts one in another's place. */
static int updated(struct fxe_req *r)
{
    const struct fx_api *api = fxe_api();
    FaissIndex *index = r->v[0].p;
    const idx_t *ids = r->v[2].p;
    int64_t n = r->v[1].i;
    if (n <= 0 || !fxe_has_classes() || !api->Index_is_trained(index))
        return 0;
    size_t d = (size_t)api->Index_d(index);
    idx_t *assigned = fxe_req_alloc(r, (size_t)n * sizeof *assigned);
    float *x = assigned ? fxe_req_alloc(r, d * sizeof *x) : NULL;
    if (!x)
        return -1;
    if (api->Index_assign(api->IndexIVF_quantizer(index), n, r->v[3].p, assigned, 1) != 0)
        return 0; /* and so will FAISS's own call */
    for (int64_t i = 0; i < n; i++) {
        if (assigned[i] < 0 || (size_t)assigned[i] >= api->IndexIVF_nlist(index))
            return fxe_fail(r, "argument", "%s: vector %lld is near no centroid: is it a number?",
                            r->fn->name, (long long)i);
        if (api->Index_reconstruct(index, ids[i], x) != 0 &&
            strstr(api->get_last_error(), "-1 entry"))
            return fxe_fail(r, "argument", "%s: id %lld was added with a vector that is in no list",
                            r->fn->name, (long long)ids[i]);
    }
    return 0;
}

int fxe_check_arrays(struct fxe_req *r)
{
#define X(name)                                                \
    if (r->fn->checks & 1u << FX_CHECK_##name && name(r) != 0) \
        return -1;
    FX_ARRAY_CHECKS(X)
#undef X
    return 0;
}

/* --- calls that are made in another way --- */

/* Returns whether the class has its own reconstruct_n, which checks its arguments first.  The
 * default calls reconstruct() in an OpenMP loop, where an exception ends the process. */
static int own_reconstruct_n(FaissIndex *index)
{
    if (IS(IndexPreTransform, index))
        return own_reconstruct_n(fxe_api()->IndexPreTransform_index(index));
    return index && (IS(IndexFlat, index) || IS(IndexIVF, index) || IS(IndexLSH, index) ||
                     IS(IndexScalarQuantizer, index));
}

static int reconstruct_one_by_one(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    int64_t i0 = r->v[1].i, ni = r->v[2].i;
    size_t d = (size_t)fxe_api()->Index_d(index);
    int rc = 0;
    for (int64_t i = 0; i < ni && rc == 0; i++)
        rc = fxe_api()->Index_reconstruct(index, i0 + i, (float *)r->v[3].p + (size_t)i * d);
    return rc;
}

static int residual_one_by_one(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    size_t d = (size_t)fxe_api()->Index_d(index);
    const float *x = r->v[2].p;
    const idx_t *keys = r->v[4].p;
    int rc = 0;
    for (int64_t i = 0; i < r->v[1].i && rc == 0; i++)
        rc = fxe_api()->Index_compute_residual(index, x + (size_t)i * d,
                                               (float *)r->v[3].p + (size_t)i * d, keys[i]);
    return rc;
}

/* v1.7.3 writes the vectors d bytes apart instead of d / 8, and so beyond the buffer. */
static int binary_one_by_one(struct fxe_req *r)
{
    FaissIndexBinary *index = r->v[0].p;
    size_t size = (size_t)fxe_api()->IndexBinary_d(index) / 8;
    int rc = 0;
    for (int64_t i = 0; i < r->v[2].i && rc == 0; i++)
        rc = fxe_api()->IndexBinary_reconstruct(index, r->v[1].i + i,
                                                (uint8_t *)r->v[3].p + (size_t)i * size);
    return rc;
}

int fxe_call_otherwise(struct fxe_req *r)
{
    int64_t end;
    union fx_val *ret = &r->v[r->fn->nparams];
    switch (r->op) {
    case FX_OP_Index_reconstruct_n:
        if (__builtin_add_overflow(r->v[1].i, r->v[2].i, &end)) {
            refuse(r, "i0 + ni does not fit"); /* FAISS's own check adds them, too */
            return 1;
        }
        if (own_reconstruct_n(r->v[0].p)) {
            /* Before v1.7.2 only inverted files check the keys. */
            int unchecked = !fxe_api()->IndexFlat1D_cast && !fxe_api()->IndexIVF_cast(r->v[0].p);
            return unchecked && fxe_check_keys(r, r->v[1].i, r->v[2].i) != 0;
        }
        if (fxe_check_keys(r, r->v[1].i, r->v[2].i) != 0)
            return 1;
        /* All vectors can be reconstructed, so FAISS's own loop cannot throw.  The caller runs it
         * as well, for FAISS's usual rounding. */
        ret->i = reconstruct_one_by_one(r);
        return ret->i != 0;
    case FX_OP_IndexBinary_reconstruct_n:
        /* check.c has refused more than one vector of an inverted file. */
        if (IS(IndexBinaryIVF, r->v[0].p))
            return 0;
        ret->i = binary_one_by_one(r);
        return 1;
    case FX_OP_Index_compute_residual_n:
        if (IS(IndexFlat, r->v[0].p))
            return 0;
        ret->i = residual_one_by_one(r);
        return 1;
    }
    return 0;
}
