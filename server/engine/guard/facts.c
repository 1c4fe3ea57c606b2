/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/facts.h"

#include "server/engine/guard/catch.h"

#include <float.h>
#include <math.h>

#include "server/engine/call/joined.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/room.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/again.h"

enum {
    WORK = 100000000,  /* multiplications that a first trial may take */
    COPIED = 1 << 24,  /* numbers in an index that a first trial may copy */
    BLAS = 20,         /* FAISS uses BLAS for this many queries or more */
    CENTROID_MIN = 39, /* vectors for each centroid; FAISS warns if there are fewer */
    MUCH = 1 << 20,    /* bytes of arguments: more need a fresh look at free memory */
    LITTLE = 64 << 20  /* bytes of memory that must be free in any case */
};

enum fxe_act fxe_act_of(int op)
{
    return (enum fxe_act)(fx_fns[op].act - 1);
}

struct fxe_obj *fxe_index_of(const struct fxe_req *r)
{
    for (int i = 0; i < r->fn->nparams; i++) {
        int root = r->obj[i] ? fx_root(r->obj[i]->cls) : -1;
        if (root == FX_CLASS_Index || root == FX_CLASS_IndexBinary)
            return r->obj[i]->alias ? r->obj[i]->keeps[0] : r->obj[i];
    }
    return NULL;
}

int fxe_has_parts(const struct fxe_obj *o)
{
    const char *name = fxe_class_name(o->ptr);
    return strstr(name, "IndexShards") || strstr(name, "IndexReplicas");
}

int fxe_is_gpu(const struct fxe_obj *o)
{
    return strstr(fxe_class_name(o->ptr), "Gpu") != NULL;
}

int fxe_is_binary(const struct fxe_obj *o)
{
    return fx_root(o->cls) == FX_CLASS_IndexBinary;
}

int64_t fxe_ntotal_of(const struct fxe_obj *o)
{
    return fxe_is_binary(o) ? fxe_api()->IndexBinary_ntotal(o->ptr)
                            : fxe_api()->Index_ntotal(o->ptr);
}

static int d_of(const struct fxe_obj *o)
{
    return fxe_is_binary(o) ? fxe_api()->IndexBinary_d(o->ptr) : fxe_api()->Index_d(o->ptr);
}

/* Returns the largest magnitude; that of a NaN is more than infinity. */
static float largest(const float *x, uint64_t n)
{
    uint32_t most = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    float magnitude;
    memcpy(&magnitude, &most, sizeof magnitude);
    return magnitude;
}

/* Returns whether a distance between two of the vectors, or to a mean of some, may not be finite.
 */
static bool is_far(const float *x, uint64_t n, uint64_t d)
{
    enum { MARGIN = 64 };
    for (uint64_t i = 0; i < n; i++) {
        double squares = 0;
        for (uint64_t k = 0; k < d; k++)
            squares += (double)x[i * d + k] * (double)x[i * d + k];
        if (!(MARGIN * squares < (double)FLT_MAX))
            return true;
    }
    return false;
}

int fxe_has_odd(const struct fxe_req *r, bool sums)
{
    const float LARGE = 1e15f; /* the squares of many thousand vectors of these can be added up */
    int i = param(r, "x");
    const float *x = i >= 0 && r->fn->params[i].elem == FX_F32 ? r->v[i].p : NULL;
    uint64_t n = (uint64_t)rows(r);
    float most = x ? largest(x, r->elems[i]) : 0;
    if (most <= LARGE)
        return 0;
    return sums || n == 0 || !isfinite(most) || is_far(x, n, r->elems[i] / n);
}

/* Returns the circumstances in a search's parameters, as the client sent them (proto/wire.md). */
static unsigned params_of(const struct fxe_req *r)
{
    int i = param(r, "params");
    const msgpack_object *a = i < 0 ? NULL : fxe_call_arg(r, i);
    if (!a || a->type != MSGPACK_OBJECT_ARRAY || a->via.array.size < 2)
        return 0;
    return (a->via.array.ptr[1].type == MSGPACK_OBJECT_NIL ? 0 : FXE_SELECTOR) |
           (a->via.array.size == 7   ? FXE_OF_IVF
            : a->via.array.size == 5 ? FXE_OF_HNSW
                                     : 0);
}

unsigned fxe_circumstances(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act)
{
    int64_t ntotal = fxe_ntotal_of(o), n = rows(r);
    unsigned given = ntotal == 0 ? FXE_EMPTY : 0;
    int trained = fxe_is_binary(o) ? fxe_api()->IndexBinary_is_trained(o->ptr)
                                   : fxe_api()->Index_is_trained(o->ptr);
    given |= trained ? 0 : FXE_UNTRAINED;
    if (r->fn->rows >= 0 && n == 0)
        given |= FXE_NOTHING;
    if (act == FXE_ACT_train)
        given |= (n == 1 ? FXE_ONE : 0) | (n < CENTROID_MIN ? FXE_FEW : 0);
    if (act == FXE_ACT_search || act == FXE_ACT_params || act == FXE_ACT_range)
        given |= n >= BLAS ? FXE_BATCH : 0;
    if ((act == FXE_ACT_search || act == FXE_ACT_params) && param(r, "k") >= 0)
        given |= (scalar(r, "k") == 0 ? FXE_K0 : 0) |
                 (scalar(r, "k") > ntotal && ntotal > 0 ? FXE_MANY : 0);
    if (act == FXE_ACT_params)
        given |= params_of(r);
    return given;
}

int64_t fxe_trial_size(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act)
{
    int64_t n = r->fn ? rows(r) : 0, ntotal = fxe_ntotal_of(o), d = d_of(o);
    int64_t each = (ntotal + 1) * d;
    switch (act) {
    case FXE_ACT_train:
    case FXE_ACT_other:
        return n * d <= 1 << 17 ? -1 : -2;
    case FXE_ACT_add:
    case FXE_ACT_add_with_ids:
        return fxe_is_joined(r) || n <= BLAS ? -1 : BLAS + 12;
    case FXE_ACT_search:
    case FXE_ACT_params:
    case FXE_ACT_range:
    case FXE_ACT_preassigned:
        if (n <= 1)
            return each <= WORK ? -1 : -2;
        n = n < BLAS ? n : n < BLAS + 12 ? n : BLAS + 12;
        return n * each <= WORK ? n : -2;
    case FXE_ACT_merge:
    case FXE_ACT_copy_subset:
    case FXE_ACT_direct_map:
    case FXE_ACT_clone:
    case FXE_ACT_save:
    case FXE_ACT_remove:
        return each <= COPIED ? -1 : -2;
    default:
        return -1;
    }
}

int fxe_is_tight(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act)
{
    uint64_t bytes = act == FXE_ACT_range ? (uint64_t)fxe_ntotal_of(o) * 36 : 0;
    for (int i = 0; r->fn && i < r->fn->nparams; i++)
        if (r->fn->params[i].kind == FX_ARRAY)
            bytes += r->elems[i] * fx_elem_size((enum fx_elem)r->fn->params[i].elem);
    size_t need = 4 * bytes > LITTLE ? 4 * bytes : LITTLE;
    if ((bytes > MUCH ? fxe_room() : fxe_room_lately()) >= need)
        return 0;
    fxe_unload_for(need);
    return fxe_room() < need;
}

/* --- inverted lists --- */

FaissIndexIVF *fxe_ivf_of(const struct fxe_obj *o, bool *transformed)
{
    const struct fx_api *api = fxe_api();
    FaissIndex *at = fxe_is_binary(o) ? NULL : o->ptr;
    FaissIndexIVF *ivf = NULL;
    void *outer;
    *transformed = false;
    while (at && !(ivf = api->IndexIVF_cast ? api->IndexIVF_cast(at) : NULL)) {
        if (api->IndexPreTransform_cast && (outer = api->IndexPreTransform_cast(at))) {
            *transformed = true;
            at = api->IndexPreTransform_index(outer);
        } else if (api->IndexIDMap_cast && api->IndexIDMap_sub_index &&
                   (outer = api->IndexIDMap_cast(at))) {
            at = api->IndexIDMap_sub_index(outer);
        } else {
            at = NULL;
        }
    }
    return ivf;
}

/* Returns the most vectors that can be in the lists that n more vectors go to. */
static size_t touched(const struct fxe_obj *o, size_t n)
{
    bool transformed;
    const FaissIndexIVF *ivf = fxe_ivf_of(o, &transformed);
    size_t all = (size_t)fxe_ntotal_of(o), longest = 0;
    size_t nlist = ivf && fxe_api()->IndexIVF_get_list_size ? fxe_api()->IndexIVF_nlist(ivf) : 0;
    for (size_t i = 0; i < nlist; i++) {
        size_t size = fxe_api()->IndexIVF_get_list_size(ivf, i);
        longest = size > longest ? size : longest;
    }
    return nlist && n < all / (longest + 1) ? n * longest : all;
}

int fxe_may_outgrow(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act,
                    const char *shape)
{
    static const char *const with_lists[] = {"Iw", "Iv", "IB"};
    size_t each = (size_t)d_of(o) * sizeof(float), size = 0;
    bool lists = false;
    if (!r->fn || (act != FXE_ACT_add && act != FXE_ACT_add_with_ids))
        return 0;
    for (size_t i = 0; i < sizeof with_lists / sizeof *with_lists; i++)
        lists |= strstr(shape, with_lists[i]) != NULL;
    if (!lists) { /* its vectors are moved when they have to */
        if (fxe_room_unused(false) < 2 * (size_t)fxe_ntotal_of(o) * each)
            fxe_again_drop_all();
        return 0;
    }
    if (!fxe_is_binary(o) && fxe_api()->Index_sa_code_size &&
        fxe_api()->Index_sa_code_size(o->ptr, &size) == 0 && size > 0)
        each = size < each ? size : each;
    each = 2 * (each + sizeof(idx_t)); /* a list that is full doubles */
    size_t room = fxe_room_unused((size_t)rows(r) * each > MUCH), all = (size_t)fxe_ntotal_of(o);
    if (room >= all * each)
        return 0;
    size_t need = touched(o, (size_t)rows(r)) * each;
    return room < need && (!fxe_again_drop_all() || fxe_room_unused(true) < need);
}
