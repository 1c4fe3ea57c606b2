/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indexes within indexes: whether what a program did to one of them alone still fits the others.
 * FAISS takes what one returns for positions or lists of the other, and does not check them.
 */
#include <stdlib.h>

#include "server/engine/guard/catch.h"
#include "server/engine/guard/check.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"

FaissIndex *fxe_innermost(FaissIndex *index)
{
    const struct fx_api *api = fxe_api();
    for (;;)
        if (index && IS(IndexPreTransform, index))
            index = api->IndexPreTransform_index(index);
        else if (index && IS(IndexIDMap, index) && api->IndexIDMap_sub_index)
            index = api->IndexIDMap_sub_index(index);
        else
            return index;
}

/* --- an IVF's quantizer: what it returns are lists --- */

static bool are_below(const idx_t *ids, size_t n, int64_t end)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= end)
            return false;
    return true;
}

static bool lists_are_below(const FaissIndexIVF *ivf, int64_t end)
{
    const struct fx_api *api = fxe_api();
    bool below = true;
    if (!api->IndexIVF_invlists_get_ids || !api->IndexIVF_get_list_size)
        return true;
    for (size_t i = 0; i < api->IndexIVF_nlist(ivf) && below; i++) {
        size_t n = api->IndexIVF_get_list_size(ivf, i);
        idx_t *ids = malloc((n ? n : 1) * sizeof *ids);
        if (ids)
            api->IndexIVF_invlists_get_ids(ivf, i, ids);
        below = ids && are_below(ids, n, end);
        free(ids);
    }
    return below;
}

/* Returns whether every label that the index can return is below end.  Most classes return
 * positions, of which there are not too many; these have ids of the caller's. */
static bool labels_are_below(FaissIndex *index, const struct fxe_obj *o, int64_t end)
{
    const struct fx_api *api = fxe_api();
    /* FAISS 1.7.1 has no cast to IndexIDMap. */
    if (strstr(fxe_class_name(index), "IndexIDMap") && api->IndexIDMap_id_map) {
        idx_t *ids = NULL;
        size_t n = 0;
        api->IndexIDMap_id_map((FaissIndexIDMap *)index, &ids, &n);
        return are_below(ids, n, end);
    }
    if (IS(IndexIVF, index))
        return lists_are_below(api->IndexIVF_cast(index), end);
    if (IS(IndexPreTransform, index) && api->IndexPreTransform_index(index) &&
        !labels_are_below(api->IndexPreTransform_index(index), NULL, end))
        return false;
    for (int i = 0; o && i < o->nkeeps; i++) {
        const struct fxe_obj *part = fxe_obj_target(o->keeps[i]);
        bool one_after_another = o->cls == FX_CLASS_IndexShards &&
                                 api->IndexShards_successive_ids &&
                                 api->IndexShards_successive_ids(o->ptr);
        if (fx_root(part->cls) == FX_CLASS_Index && part->ptr &&
            !labels_are_below(part->ptr, part,
                              one_after_another ? api->Index_ntotal(part->ptr) : end))
            return false;
    }
    return true;
}

static const struct fxe_obj *kept_as(const struct fxe_obj *o, const void *ptr)
{
    for (int i = 0; i < o->nkeeps; i++)
        if (fxe_obj_target(o->keeps[i])->ptr == ptr)
            return fxe_obj_target(o->keeps[i]);
    return NULL;
}

static int quantizer_fits(struct fxe_req *r, FaissIndexIVF *ivf, const struct fxe_obj *o)
{
    const struct fx_api *api = fxe_api();
    FaissIndex *quantizer = api->IndexIVF_quantizer(ivf);
    if (!quantizer)
        return refuse(r, "the index has no quantizer");
    int64_t have = api->Index_ntotal(quantizer), lists = (int64_t)api->IndexIVF_nlist(ivf);
    if (have > lists || (have == 0 && !since(15) && api->Index_is_trained((FaissIndex *)ivf)))
        return fxe_fail(r, "argument",
                        "%s: the quantizer has %lld vectors, but the index has %lld lists",
                        r->fn->name, (long long)have, (long long)lists);
    return labels_are_below(quantizer, o->ptr == ivf ? kept_as(o, quantizer) : NULL, lists)
               ? 0
               : fxe_fail(r, "argument",
                          "%s: the quantizer has ids that are not from 0 to %lld, as the index has "
                          "%lld lists",
                          r->fn->name, (long long)lists - 1, (long long)lists);
}

static int probes_fit(struct fxe_req *r, FaissIndexIVF *ivf, const struct fxe_obj *o)
{
    size_t nprobe = fxe_api()->IndexIVF_nprobe(ivf), nlist = fxe_api()->IndexIVF_nlist(ivf);
    (void)o;
    return r->nprobe || !fxe_is_fast_scan((FaissIndex *)ivf) || nprobe - 1 < nlist
               ? 0
               : fxe_fail(r, "argument", "%s: nprobe is %zu, but the index has %zu lists",
                          r->fn->name, nprobe, nlist);
}

/* Checks every IVF that the object is or contains. */
static int each_ivf(struct fxe_req *r, const struct fxe_obj *o,
                    int (*check)(struct fxe_req *, FaissIndexIVF *, const struct fxe_obj *))
{
    bool transformed;
    FaissIndexIVF *ivf = fxe_ivf_of(o, &transformed);
    if (ivf && check(r, ivf, o) != 0)
        return -1;
    for (int i = 0; i < o->nkeeps; i++) {
        const struct fxe_obj *part = fxe_obj_target(o->keeps[i]);
        if (fx_root(part->cls) == FX_CLASS_Index && part->ptr && each_ivf(r, part, check) != 0)
            return -1;
    }
    return 0;
}

int fxe_check_quantizers(struct fxe_req *r)
{
    return each_ivf(r, fxe_obj_target(r->obj[0]), quantizer_fits);
}

int fxe_check_probes(struct fxe_req *r)
{
    return each_ivf(r, fxe_obj_target(r->obj[0]), probes_fit);
}

/* --- an index in another: what it returns are positions --- */

/* Adding to an IDMap whose part was changed alone makes its ntotal that of the part, but not its
 * number of ids, which the positions in the part must fit. */
static int64_t ids_in(FaissIndex *index, int64_t ntotal)
{
    idx_t *ids = NULL;
    size_t n = (size_t)ntotal;
    if (IS(IndexIDMap, index) && fxe_api()->IndexIDMap_id_map)
        fxe_api()->IndexIDMap_id_map(fxe_api()->IndexIDMap_cast(index), &ids, &n);
    return (int64_t)n;
}

bool fxe_is_uneven(const struct fxe_obj *o)
{
    if (fxe_is_binary(o) || !IS(IndexIDMap, o->ptr) || !fxe_api()->IndexIDMap_sub_index)
        return false;
    int64_t have = fxe_ntotal_of(o),
            in_it = fxe_api()->Index_ntotal(fxe_api()->IndexIDMap_sub_index(o->ptr));
    return in_it != have || in_it != ids_in(o->ptr, have);
}

static int parts_fit(struct fxe_req *r, FaissIndex *index, struct fxe_obj *o, enum fxe_use use);

static int part_fits(struct fxe_req *r, FaissIndex *index, const struct fxe_obj *o,
                     FaissIndex *part, struct fxe_obj *part_o, enum fxe_use use)
{
    int cls = o ? o->cls : FX_CLASS_Index;
    int64_t have = fxe_api()->Index_ntotal(index), in_it = fxe_api()->Index_ntotal(part);
    int64_t ids = ids_in(index, have);
    bool passes = IS(IndexPreTransform, index) || cls == FX_CLASS_IndexReplicas;
    bool fits = cls == FX_CLASS_IndexShards  ? true
                : use == FXE_USE_RECONSTRUCT ? in_it >= have && in_it >= ids
                : passes                     ? true
                : use == FXE_USE_CHANGE      ? in_it == have && in_it == ids
                                             : in_it <= have && in_it <= ids;
    return fits ? parts_fit(r, part, part_o, use)
                : fxe_fail(r, "argument",
                           "%s: the index has %lld vectors, but the index in it, which was changed "
                           "without it, has %lld",
                           r->fn->name, (long long)ids, (long long)in_it);
}

static int parts_fit(struct fxe_req *r, FaissIndex *index, struct fxe_obj *o, enum fxe_use use)
{
    FaissIndex *part = NULL;
    int known = 0;
    if (IS(IndexIVF, index)) /* its part is the quantizer */
        return 0;
    if (IS(IndexPreTransform, index))
        part = fxe_api()->IndexPreTransform_index(index);
    else if (IS(IndexIDMap, index) && fxe_api()->IndexIDMap_sub_index)
        part = fxe_api()->IndexIDMap_sub_index(index);
    for (int i = 0; o && i < o->nkeeps; i++) {
        struct fxe_obj *kept = fxe_obj_target(o->keeps[i]);
        if (fx_root(kept->cls) != FX_CLASS_Index || !kept->ptr || (part && part != kept->ptr))
            continue;
        if (part_fits(r, index, o, kept->ptr, kept, use) != 0)
            return -1;
        known = 1;
    }
    return part && !known ? part_fits(r, index, o, part, NULL, use) : 0;
}

/* FAISS takes a position in the index within an IDMap, a refined index, replicas or behind a
 * transform for one in the whole, or the other way round.  Since v1.15.0 it checks this, but not
 * where a selector asks about an id, nor where the whole is changed. */
int fxe_check_parts(struct fxe_req *r, enum fxe_use use)
{
    if (r->uneven || fxe_is_binary(r->obj[0]) ||
        (since(15) && use != FXE_USE_CHANGE && param(r, "params") < 0))
        return 0;
    return fxe_check_parts_of(r, 0, use);
}

int fxe_check_parts_of(struct fxe_req *r, int i, enum fxe_use use)
{
    return parts_fit(r, r->v[i].p, fxe_obj_target(r->obj[i]), use);
}

/* --- an index that is reset --- */

/* An IDMap2 that is reset keeps its map from ids to positions, so that a reconstruct would read
 * where vectors were.  FAISS's C API makes this map again for an index of floats only; a removal of
 * nothing does it for a binary one, if the index in it can remove. */
static void forget_ids(void *index, const struct fxe_obj *o, bool binary)
{
    const struct fx_api *api = fxe_api();
    FaissIDSelectorRange *none = NULL;
    bool maps = strstr(fxe_class_name(index), "IndexIDMap2") != NULL;
    if (binary) {
        if (maps && api->IDSelectorRange_new && api->IDSelectorRange_new(&none, 0, 0) == 0) {
            api->IndexBinary_remove_ids(index, (FaissIDSelector *)none, NULL);
            api->IDSelector_free((FaissIDSelector *)none);
        }
        return;
    }
    if (maps && api->Index_ntotal(index) == 0 && api->IndexIDMap2_construct_rev_map)
        api->IndexIDMap2_construct_rev_map(index);
    if (IS(IndexPreTransform, index) && api->IndexPreTransform_index(index))
        forget_ids(api->IndexPreTransform_index(index), NULL, false);
    else if (IS(IndexIDMap, index) && api->IndexIDMap_sub_index)
        forget_ids(api->IndexIDMap_sub_index(index), NULL, false);
    for (int i = 0; o && i < o->nkeeps; i++) {
        const struct fxe_obj *kept = fxe_obj_target(o->keeps[i]);
        if (fx_root(kept->cls) == FX_CLASS_Index && kept->ptr)
            forget_ids(kept->ptr, kept, false);
    }
}

void fxe_forget_ids(const struct fxe_req *r)
{
    if (r->v[0].p && fxe_has_classes())
        forget_ids(r->v[0].p, fxe_obj_target(r->obj[0]), fxe_is_binary(r->obj[0]));
}
