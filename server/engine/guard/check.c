/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/check.h"

#include <limits.h>

#include "server/engine/guard/catch.h"

#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/shape.h"

/* Queries from which FAISS uses BLAS. */
enum { BLAS_FROM = 20 };

/* FAISS's loops skip a negative length, but it wraps around in FAISS's allocations. */
static int lengths(struct fxe_req *r)
{
    for (int i = 0; i < r->fn->nparams; i++)
        if (r->fn->params[i].length && r->v[i].i < 0)
            return fxe_fail(r, "argument", "%s: %s is %lld, expected at least 0", r->fn->name,
                            r->fn->params[i].name, (long long)r->v[i].i);
    return 0;
}

/* An object made by a constructor without arguments has no quantizer or sub-index, and most
 * functions dereference that NULL.  Plain fields can be read and set. */
static int hollow(struct fxe_req *r)
{
    const struct fx_fn *fn = r->fn;
    int field = fn->ret.kind != FX_ERR && fn->nparams <= 2 && !(fn->flags & FX_FOLLOWS);
    for (int i = 0; i < fn->nparams && !field; i++)
        if (r->obj[i] && fxe_obj_target(r->obj[i])->hollow &&
            fxe_obj_target(r->obj[i])->nkeeps == 0)
            return fxe_fail(r, "argument",
                            "%s: %s is a Faiss%s made without a sub-index; set one first", fn->name,
                            fn->params[i].name, fx_classes[r->obj[i]->cls].name);
    return 0;
}

/* --- the checks that the table names --- */

static int trained(struct fxe_req *r)
{
    const FaissVectorTransform *vt = r->v[0].p;
    return fxe_api()->VectorTransform_is_trained(vt) ? 0
                                                     : refuse(r, "the transform is not trained");
}

/* Returns the number of lists of the first argument. */
static size_t nlist_of(const struct fxe_req *r)
{
    return fxe_is_binary(r->obj[0]) ? fxe_api()->IndexBinaryIVF_nlist(r->v[0].p)
                                    : fxe_api()->IndexIVF_nlist(r->v[0].p);
}

static int list_no(struct fxe_req *r)
{
    size_t nlist = nlist_of(r);
    uint64_t list = (uint64_t)scalar(r, "list_no");
    return list < nlist ? 0
                        : fxe_fail(r, "argument",
                                   "%s: list_no is %llu, but the index has %zu lists (0 to %zu)",
                                   r->fn->name, (unsigned long long)list, nlist, nlist - 1);
}

/* The shards or replicas of an index are the objects that were added and not removed. */
static int shard_no(struct fxe_req *r)
{
    const struct fxe_obj *o = fxe_obj_target(r->obj[0]);
    int64_t i = scalar(r, "i");
    if (i >= 0 && (i < o->nkeeps || o->inherent))
        return 0;
    return fxe_fail(r, "argument", "%s: i is %lld, but the index has %d parts", r->fn->name,
                    (long long)i, o->nkeeps);
}

/* A binary Flat index does not check keys.  Where the library cannot tell the class of an index,
 * keys must be positions. */
static int binary_keys(struct fxe_req *r, int64_t first, int64_t n)
{
    FaissIndexBinary *index = r->v[0].p;
    int64_t end;
    if (IS(IndexBinaryIVF, index))
        return 0;
    if (fxe_api()->IndexBinaryFlat_cast && !fxe_api()->IndexBinaryFlat_cast(index))
        return 0;
    if (first < 0 || __builtin_add_overflow(first, n, &end) ||
        end > fxe_api()->IndexBinary_ntotal(index))
        return fxe_fail(r, "argument",
                        "%s: the keys are %lld to %lld, but the index has %lld vectors",
                        r->fn->name, (long long)first, (long long)(first + n - 1),
                        (long long)fxe_api()->IndexBinary_ntotal(index));
    return 0;
}

static int key(struct fxe_req *r)
{
    return fxe_is_binary(r->obj[0]) ? binary_keys(r, scalar(r, "key"), 1)
                                    : fxe_check_keys(r, scalar(r, "key"), 1);
}

static int keys(struct fxe_req *r)
{
    if (IS(IndexBinaryIVF, r->v[0].p) && scalar(r, "ni") > 1)
        return refuse(r,
                      "FAISS would write beyond the buffer if it reconstructed several vectors of "
                      "an IndexBinaryIVF; reconstruct them one by one");
    return binary_keys(r, scalar(r, "i0"), scalar(r, "ni"));
}

static int result(struct fxe_req *r)
{
    const void *made = r->v[param(r, "result")].p;
    if (!made)
        return refuse(r, "result is NULL");
    if (fxe_api()->RangeSearchResult_nq(made) < (uint64_t)rows(r))
        return fxe_fail(r, "argument",
                        "%s: the result was made for %zu queries, but the call has %lld",
                        r->fn->name, fxe_api()->RangeSearchResult_nq(made), (long long)rows(r));
    return 0;
}

static int ranges(struct fxe_req *r)
{
    /* FAISS computes the combination's number modulo the number of values, which is 0 here. */
    return r->obj[0]->nborrowed ? refuse(r, "a range of the space has no values") : 0;
}

/* What FAISS does when vectors are merged into a FastScan list that has some: before v1.8.0 it
 * throws an exception in a parallel loop; since then it writes beyond the list if its number of
 * vectors is a multiple of the bytes of a block, which are a multiple of 32. */
static int blocks(struct fxe_req *r)
{
    enum { BLOCK = 32 };
    const struct fx_api *api = fxe_api();
    FaissIndex *into = r->v[0].p, *from = r->v[1].p;
    size_t bad = since(8) ? BLOCK : 1;
    if (fxe_is_binary(r->obj[0]) || !IS(IndexIVF, into) || !IS(IndexIVF, from) ||
        !fxe_is_fast_scan(into) || api->IndexIVF_nlist(into) != api->IndexIVF_nlist(from))
        return 0;
    for (size_t i = 0; i < api->IndexIVF_nlist(into); i++) {
        size_t n = api->IndexIVF_get_list_size(into, i);
        if (n && n % bad == 0 && api->IndexIVF_get_list_size(from, i))
            return fxe_fail(r, "argument",
                            "%s: list %zu of the FastScan index has %zu vectors, and FAISS %s %s",
                            r->fn->name, i, n, fxe_engine.lib.version,
                            bad == 1 ? "ends the process when vectors are merged into such a list"
                                     : "may write beyond a list with a multiple of 32 when vectors "
                                       "are merged into it");
    }
    return 0;
}

static int merge(struct fxe_req *r)
{
    if (r->v[0].p == r->v[1].p)
        return refuse(r, "an index cannot be merged into itself");
    if (fxe_check_parts(r, FXE_USE_CHANGE) != 0 ||
        (!fxe_is_binary(r->obj[0]) && fxe_check_parts_of(r, 1, FXE_USE_CHANGE) != 0))
        return -1;
    return blocks(r);
}

/* FAISS divides by a1 or by the number of vectors, and reads the resulting range of lists or
 * vectors without checking it. */
static int subset(struct fxe_req *r)
{
    enum { ID_MOD = 1, ELEMENT_RANGE = 2, LIST_FRACTION = 3 };
    int64_t type = scalar(r, "subset_type"), a1 = scalar(r, "a1"), a2 = scalar(r, "a2");
    int64_t ntotal = fxe_api()->Index_ntotal(r->v[0].p);
    if (fxe_is_fast_scan(r->v[0].p))
        return refuse(r, "vectors of a FastScan index cannot be copied");
    int ok = (type != ID_MOD || (a1 != 0 && a1 != -1)) &&
             (type != ELEMENT_RANGE || (ntotal > 0 && 0 <= a1 && a1 <= a2 && a2 <= ntotal)) &&
             (type != LIST_FRACTION || (0 <= a2 && a2 < a1));
    return ok ? merge(r)
              : fxe_fail(r, "argument",
                         "%s: subset_type %lld with a1 %lld and a2 %lld does not fit an index of "
                         "%lld vectors",
                         r->fn->name, (long long)type, (long long)a1, (long long)a2,
                         (long long)ntotal);
}

/* Before v1.12.0 scalar quantizers looked for the extremes of no vectors. */
static int training(struct fxe_req *r)
{
    return rows(r) == 0 && !since(12) && !IS(IndexFlat, r->v[0].p)
               ? refuse(r, "there are no vectors to train with")
               : 0;
}

/* NSG looks for max(k, 16) distinct vectors, even if the index has fewer. */
static int graph_size(struct fxe_req *r, FaissIndex *index)
{
    int64_t k = scalar(r, "k") > 16 ? scalar(r, "k") : 16;
    index = fxe_innermost(index);
    if (!index || !strstr(fxe_class_name(index), "NSG") || fxe_api()->Index_ntotal(index) >= k ||
        fxe_api()->Index_ntotal(index) == 0)
        return 0;
    return fxe_fail(r, "argument", "%s: an NSG index of %lld vectors cannot find %lld neighbours",
                    r->fn->name, (long long)fxe_api()->Index_ntotal(index), (long long)k);
}

/* FAISS 1.7.3 says that vector 0 is the nearest one in a Flat index without vectors (L2, k = 1). */
static bool nearest_of_none(void)
{
    static int answer; /* 1: no, 2: yes; atomic, and the same for all threads */
    FaissIndex *flat = NULL;
    idx_t label = -1;
    float x = 0, distance;
    int known = __atomic_load_n(&answer, __ATOMIC_RELAXED);
    if (!known && fxe_api()->index_factory(&flat, 1, "Flat", METRIC_L2) == 0) {
        fxe_api()->Index_search(flat, 1, &x, 1, &distance, &label);
        fxe_api()->Index_free(flat);
        known = label >= 0 ? 2 : 1;
        __atomic_store_n(&answer, known, __ATOMIC_RELAXED);
    }
    return known == 2;
}

/* An IDMap or a refined index looks up what the Flat index in it has found.  Returns whether the
 * index does that; `of`: the classes of Flat indexes. */
static bool looks_up(FaissIndex *index, const char *of)
{
    static const char *const lookups[] = {"IxMp", "IxM2", "IxRF"};
    char shape[FXE_SHAPE_MAX], *word, *rest = shape;
    bool looked_up = false, looks_up;
    fxe_shape_text(fxe_api(), index, 0, shape);
    do {
        word = strsep(&rest, " ");
        looks_up = false;
        for (size_t i = 0; i < sizeof lookups / sizeof *lookups; i++)
            looks_up |= strncmp(word, lookups[i], 4) == 0;
        looked_up |= looks_up;
    } while (rest && (looks_up || strncmp(word, "IxPT", 4) == 0));
    word[strlen(word) < 4 ? strlen(word) : 4] = '\0';
    return looked_up && *word && strstr(of, word);
}

static int none_to_look_up(struct fxe_req *r, FaissIndex *index)
{
    if (scalar(r, "k") != 1 || fxe_api()->Index_ntotal(index) > 0 || IS(IndexFlat, index) ||
        !nearest_of_none() || !looks_up(index, "IxF2"))
        return 0;
    return refuse(r,
                  "the index has no vectors, and this release of FAISS would crash; k = 2 works, "
                  "and so does any k with FAISS 1.8.0 or later");
}

/* For many queries a Flat index without vectors leaves the labels as they were, and shards do not
 * initialise them. */
static bool has_shard_to_look_up(const struct fxe_obj *o)
{
    for (int i = 0; i < o->nkeeps; i++) {
        const struct fxe_obj *part = fxe_obj_target(o->keeps[i]);
        if (fx_root(part->cls) != FX_CLASS_Index || !part->ptr)
            continue;
        if (has_shard_to_look_up(part) ||
            (fxe_has_parts(o) && fxe_api()->Index_ntotal(part->ptr) == 0 &&
             looks_up(part->ptr, "IxF2 IxFI IxFl")))
            return true;
    }
    return false;
}

/* Returns whether the index is, or contains, an IndexShards without shards.  FAISS would use the
 * first shard without checking that there is one. */
static int is_empty(const struct fxe_obj *o)
{
    int n = o->cls == FX_CLASS_IndexShards && !o->inherent && o->nkeeps == 0;
    for (int i = 0; i < o->nkeeps; i++)
        n += is_empty(o->keeps[i]);
    return n;
}

/* Before v1.12.0 not every class checked k and nprobe.  A missing list is noticed only where an
 * exception ends the process, except by some classes of v1.15.0. */
static int neighbours(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    if (graph_size(r, index) != 0)
        return -1;
    if (is_empty(r->obj[0]))
        return refuse(r, "the index has no shards to search");
    if (fxe_check_parts(r, FXE_USE_SEARCH) != 0)
        return -1;
    if (!since(15) && rows(r) >= BLAS_FROM && has_shard_to_look_up(fxe_obj_target(r->obj[0])))
        return refuse(r,
                      "a shard has no vectors, and this release of FAISS would crash; fewer than "
                      "20 queries work, and so do more with FAISS 1.15.0 or later");
    if (since(12))
        return since(15) && !fxe_is_fast_scan(index) ? 0 : fxe_check_quantizers(r);
    if (none_to_look_up(r, index) != 0)
        return -1;
    if (scalar(r, "k") < 0 && !IS(IndexFlat, index) && !IS(IndexIVF, index))
        return fxe_fail(r, "argument", "%s: k is %lld, expected at least 0", r->fn->name,
                        (long long)scalar(r, "k"));
    return fxe_check_probes(r) != 0 ? -1 : fxe_check_quantizers(r);
}

static int adding(struct fxe_req *r)
{
    if (is_empty(r->obj[0]))
        return refuse(r, "the index has no shards to add to");
    return fxe_check_parts(r, FXE_USE_CHANGE) != 0 ? -1 : fxe_check_quantizers(r);
}

static int selector(struct fxe_req *r)
{
    return r->v[param(r, "sel")].p ? fxe_check_parts(r, FXE_USE_CHANGE) : refuse(r, "sel is NULL");
}

/* An index that contains this one would pass vectors of the old dimension to it, and buffers for
 * them. The new dimension is that of the transform or index that is added. */
static int resized(struct fxe_req *r)
{
    const struct fxe_obj *added = r->fn->nparams > 1 ? r->obj[1] : NULL;
    if (!(r->fn->flags & FX_RESIZE) || !added)
        return 0;
    int d = fxe_api()->Index_d(r->v[0].p), to = fx_root(added->cls) == FX_CLASS_VectorTransform
                                                    ? fxe_api()->VectorTransform_d_in(r->v[1].p)
                                                    : fxe_api()->Index_d(r->v[1].p);
    fxe_lock();
    bool within = to != d && fxe_obj_is_within_others(fxe_obj_target(r->obj[0]));
    fxe_unlock();
    return within
               ? fxe_fail(r, "argument",
                          "%s: the index is part of another, so its dimension, which is %d, must "
                          "not become %d",
                          r->fn->name, d, to)
               : 0;
}

/* With blocks of no vectors FAISS's loops never end. */
static int positive(struct fxe_req *r)
{
    return scalar(r, "value") > 0 ? 0 : refuse(r, "value must be at least 1");
}

/* FAISS divides by M when it trains the transform. */
static int subspaces(struct fxe_req *r)
{
    return scalar(r, "M") > 0 ? 0 : refuse(r, "M must be at least 1");
}

/* If the dimensions are spread uniformly, FAISS multiplies them as ints and writes to the result.
 */
static int remapped(struct fxe_req *r)
{
    int64_t in = scalar(r, "d_in"), out = scalar(r, "d_out");
    if (in > 0 && out > 0 && !(scalar(r, "uniform") && in * out > INT_MAX))
        return 0;
    return fxe_fail(r, "argument",
                    "%s: %lld dimensions cannot be mapped to %lld: both must be at least 1, and "
                    "their product less than 2^31 if uniform is set",
                    r->fn->name, (long long)in, (long long)out);
}

/* FAISS would pick no vectors to train with, and divides by d. */
static int clusters(struct fxe_req *r)
{
    const FaissClustering *c = r->v[0].p;
    if (!fxe_has_classes())
        return 0;
    if (fxe_api()->Clustering_d(c) == 0 || fxe_api()->Clustering_k(c) == 0)
        return refuse(r, "d and k must be at least 1");
    return fxe_api()->Clustering_max_points_per_centroid(c) == 0
               ? refuse(r, "max_points_per_centroid must be at least 1")
               : 0;
}

int fxe_check_scalars(struct fxe_req *r)
{
    if (lengths(r) != 0 || hollow(r) != 0 || resized(r) != 0)
        return -1;
#define X(name)                                                \
    if (r->fn->checks & 1u << FX_CHECK_##name && name(r) != 0) \
        return -1;
    FX_SCALAR_CHECKS(X)
#undef X
    return 0;
}
