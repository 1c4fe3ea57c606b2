/* SPDX-License-Identifier: Apache-2.0 */
/* The short life of an index: train, add, search in every way, change, save, load, reset. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.h"

enum { D = 16, NQ = 25, MANY = 1000, BEYOND = 2000000000, EF_BEYOND = 1000000 };

/* --- data --- */

static float *x; /* vectors to train with and to add */
static float *xq;
static float dis[NQ * MANY];
static idx_t ids[NQ * MANY], keys[NT];
static uint8_t codes[NQ * 4096];
static float vectors[NQ * 64];
static int d;

static float number(enum variant v, int i)
{
    static uint32_t s;
    if (i == 0)
        s = 12345;
    s = s * 1664525u + 1013904223u;
    float f = (float)(s >> 8) / (float)(1 << 24);
    switch (v) {
    case VARIANT_zero:
        return 0;
    case VARIANT_same:
        return (float)(i % d) / 16;
    case VARIANT_huge:
        return (f - .5f) * 3e38f * 2;
    case VARIANT_nan_train:
    case VARIANT_nan:
        return i % 7 == 3 ? NAN : f;
    case VARIANT_inf:
        return i % 7 == 3 ? INFINITY : i % 7 == 5 ? -INFINITY : f;
    case VARIANT_negative:
        return f * 4 - 2;
    default:
        return f;
    }
}

static void fill(float *to, enum variant v, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = number(v, i);
}

/* Such vectors are only added: training would refuse most of them. */
static int only_added(enum variant v)
{
    return v == VARIANT_nan || v == VARIANT_inf;
}

/* --- searches --- */

static int search(const FaissIndex *index, int n, int k)
{
    return api.Index_search(index, n, xq, k, dis, ids);
}

static int search_odd(const FaissIndex *index, float value)
{
    float odd[64];
    for (int i = 0; i < d; i++)
        odd[i] = i % 3 ? value : .5f;
    return api.Index_search(index, 1, odd, 5, dis, ids);
}

static int range(const FaissIndex *index, int n, float radius)
{
    FaissRangeSearchResult *r = NULL;
    int rc = api.RangeSearchResult_new(&r, n);
    if (rc == 0)
        rc = api.Index_range_search(index, n, xq, radius, r);
    if (r)
        api.RangeSearchResult_free(r);
    return rc;
}

enum { PLAIN, IVF, HNSW };

/* size: the lists to look at, or efSearch. */
static int with_params(const FaissIndex *index, int type, FaissIDSelector *sel, int size)
{
    FaissSearchParameters *p = NULL;
    int rc = type == IVF ? api.SearchParametersIVF_new_with((FaissSearchParametersIVF **)&p, sel,
                                                            (size_t)size, 0)
             : type == HNSW
                 ? api.SearchParametersHNSW_new_with((FaissSearchParametersHNSW **)&p, sel, size)
                 : api.SearchParameters_new(&p, sel);
    if (rc == 0)
        rc = api.Index_search_with_params(index, 3, xq, 5, p, dis, ids);
    if (p)
        api.SearchParameters_free(p);
    return rc;
}

static void searches_with_params(const FaissIndex *index)
{
    FaissIDSelectorRange *range = NULL;
    FaissIDSelectorBatch *batch = NULL;
    if (!HAS(Index_search_with_params) || !HAS(SearchParameters_new))
        return;
    STEP(params, with_params(index, PLAIN, NULL, 0));
    if (api.IDSelectorRange_new(&range, 0, 100) || api.IDSelectorBatch_new(&batch, 50, keys))
        return;
    STEP(params_sel, with_params(index, PLAIN, (FaissIDSelector *)range, 0));
    STEP(params_batch, with_params(index, PLAIN, (FaissIDSelector *)batch, 0));
    if (HAS(SearchParametersIVF_new_with)) {
        STEP(params_ivf, with_params(index, IVF, NULL, 4));
        STEP(params_ivf_sel, with_params(index, IVF, (FaissIDSelector *)range, 4));
    }
    if (HAS(SearchParametersHNSW_new_with)) {
        STEP(params_hnsw, with_params(index, HNSW, NULL, 20));
        STEP(params_hnsw_sel, with_params(index, HNSW, (FaissIDSelector *)range, 20));
    }
    api.IDSelectorRange_free(range);
    api.IDSelector_free((FaissIDSelector *)batch);
}

static void searches(FaissIndex *index)
{
    STEP(search_1, search(index, 1, 1));
    STEP(search, search(index, 3, 10));
    STEP(search_blas, search(index, NQ, 10));
    STEP(search_many, search(index, 3, MANY));
    STEP(search_none, search(index, 0, 10));
    STEP(search_k0, search(index, 3, 0));
    STEP(search_nan, search_odd(index, NAN));
    STEP(search_inf, search_odd(index, INFINITY));
    STEP(search_huge, search_odd(index, 3e38f));
    searches_with_params(index);
    STEP(assign, api.Index_assign(index, 3, xq, ids, 4));
    STEP(range, range(index, 3, 1.f));
    STEP(range_blas, range(index, NQ, 1.f));
    STEP(range_all, range(index, 3, 1e30f));
    STEP(range_all_ip, range(index, 3, -1e30f));
    STEP(range_nan, range(index, 3, NAN));
    STEP(range_none, range(index, 0, 1.f));
}

/* --- the rest --- */

static int remove_some(FaissIndex *index, int from, int to)
{
    FaissIDSelectorRange *range = NULL;
    size_t n;
    int rc = api.IDSelectorRange_new(&range, from, to);
    if (rc == 0)
        rc = api.Index_remove_ids(index, (FaissIDSelector *)range, &n);
    api.IDSelectorRange_free(range);
    return rc;
}

static int remove_batch(FaissIndex *index)
{
    FaissIDSelectorBatch *batch = NULL;
    size_t n;
    int rc = api.IDSelectorBatch_new(&batch, 50, keys + 20);
    if (rc == 0)
        rc = api.Index_remove_ids(index, (FaissIDSelector *)batch, &n);
    api.IDSelector_free((FaissIDSelector *)batch);
    return rc;
}

static int set(FaissIndex *index, const char *name, double value)
{
    FaissParameterSpace *space = NULL;
    int rc = api.ParameterSpace_new(&space);
    if (rc == 0)
        rc = api.ParameterSpace_set_index_parameter(space, index, name, value);
    api.ParameterSpace_free(space);
    return rc;
}

static int save(const FaissIndex *index, char **data, size_t *size)
{
    FILE *f = open_memstream(data, size);
    int rc = api.write_index(index, f);
    fclose(f);
    return rc;
}

static int load(char *data, size_t size, FaissIndex **out)
{
    FILE *f = fmemopen(data, size, "rb");
    int rc = api.read_index(f, 0, out);
    fclose(f);
    return rc;
}

static void codes_of(FaissIndex *index)
{
    size_t size = 0;
    if (HAS(Index_sa_code_size) && api.Index_sa_code_size(index, &size) == 0 && size <= 4096 &&
        STEP(sa_encode, api.Index_sa_encode(index, 3, xq, codes)) == 0)
        STEP(sa_decode, api.Index_sa_decode(index, 3, codes, vectors));
    if (api.Index_ntotal(index) > 5) {
        STEP(reconstruct, api.Index_reconstruct(index, 0, vectors));
        if (place->outcome[STEP_reconstruct] == 'o') {
            STEP(reconstruct_n, api.Index_reconstruct_n(index, 1, 4, vectors));
            STEP(residual, api.Index_compute_residual(index, xq, vectors, 2));
        }
    }
}

static void tune(FaissIndex *index)
{
    if (STEP(nprobe, set(index, "nprobe", 8)) == 0)
        STEP(search_nprobe, search(index, 3, 10));
    if (STEP(ef, set(index, "efSearch", 50)) == 0)
        STEP(search_ef, search(index, 3, 10));
    if (STEP(k_factor, set(index, "k_factor_rf", 4)) == 0)
        STEP(search_k_factor, search(index, 3, 10));
}

/* Far more lists, candidates and results than there are vectors. */
static void overtune(FaissIndex *index)
{
    if (STEP(nprobe_beyond, set(index, "nprobe", BEYOND)) == 0) {
        STEP(search_nprobe_beyond, search(index, 3, 10));
        STEP(range_nprobe_beyond, range(index, 3, 1.f));
        set(index, "nprobe", 8);
    }
    if (HAS(SearchParametersIVF_new_with))
        STEP(params_ivf_beyond, with_params(index, IVF, NULL, BEYOND));
    if (STEP(ef_beyond, set(index, "efSearch", EF_BEYOND)) == 0) {
        STEP(search_ef_beyond, search(index, 3, 10));
        set(index, "efSearch", 50);
    }
    if (HAS(SearchParametersHNSW_new_with))
        STEP(params_hnsw_beyond, with_params(index, HNSW, NULL, EF_BEYOND));
    if (STEP(k_factor_beyond, set(index, "k_factor_rf", BEYOND)) == 0) {
        STEP(search_k_factor_beyond, search(index, 3, 10));
        set(index, "k_factor_rf", 4);
    }
}

/* What a file does not have, a copy from it may lack. */
static void reconstruct_loaded(FaissIndex *copy)
{
    size_t size = 0;
    if (api.Index_ntotal(copy) <= 5)
        return;
    STEP(reconstruct_loaded, api.Index_reconstruct(copy, 0, vectors));
    if (HAS(IndexIVF_cast) && api.IndexIVF_cast(copy) &&
        STEP(direct_map_loaded, api.IndexIVF_make_direct_map(copy, 1)) == 0) {
        STEP(reconstruct_map_loaded, api.Index_reconstruct(copy, 3, vectors));
        api.IndexIVF_make_direct_map(copy, 0);
    }
    if (place->outcome[STEP_sa_encode] == 'o' && HAS(Index_sa_code_size) &&
        api.Index_sa_code_size(copy, &size) == 0 && size <= 4096)
        STEP(sa_decode_loaded, api.Index_sa_decode(copy, 3, codes, vectors));
    if (place->outcome[STEP_reconstruct_loaded] == 'o')
        STEP(residual_loaded, api.Index_compute_residual(copy, xq, vectors, 2));
}

static int search_selected(const FaissIndex *index)
{
    FaissIDSelectorRange *range = NULL;
    int rc = api.IDSelectorRange_new(&range, 0, 100);
    if (rc == 0)
        rc = with_params(index, PLAIN, (FaissIDSelector *)range, 0);
    api.IDSelectorRange_free(range);
    return rc;
}

static void copies_of_loaded(FaissIndex *loaded, FaissIndex *index)
{
    FaissIndex *copy = NULL;
    if (HAS(Index_search_with_params) && HAS(SearchParameters_new))
        STEP(params_sel_loaded, search_selected(loaded));
    if (STEP(clone_loaded, api.clone_index(loaded, &copy)) != 0)
        return;
    STEP(search_clone_loaded, search(copy, 3, 10));
    if (api.Index_ntotal(copy) > 5)
        STEP(reconstruct_clone_loaded, api.Index_reconstruct(copy, 0, vectors));
    if (HAS(IndexIVF_cast) && api.IndexIVF_cast(loaded) && api.IndexIVF_cast(copy)) {
        if (STEP(merge_loaded, api.IndexIVF_merge_from(copy, loaded, 0)) == 0) {
            STEP(search_merged_loaded, search(copy, 3, 10));
            api.IndexIVF_merge_from(loaded, copy, 0);
        }
        STEP(copy_subset_loaded, api.IndexIVF_copy_subset_to(index, copy, 0, 0, 50));
    }
    api.Index_free(copy);
}

static void change_loaded(FaissIndex *loaded)
{
    if (STEP(add_loaded, api.Index_add(loaded, 20, x)) == 0)
        STEP(remove_loaded, remove_some(loaded, 5, 9));
    STEP(search_removed_loaded, search(loaded, 3, 10));
    if (api.Index_is_trained(loaded))
        STEP(retrain_loaded, api.Index_train(loaded, NT, x));
    if (STEP(reset_loaded, api.Index_reset(loaded)) != 0)
        return;
    STEP(add_again_loaded, api.Index_add(loaded, 30, x));
    STEP(search_again_loaded, search(loaded, 3, 10));
}

static void copies(FaissIndex *index)
{
    char *data = NULL;
    size_t size = 0;
    FaissIndex *copy = NULL;
    if (STEP(save, save(index, &data, &size)) == 0 && STEP(load, load(data, size, &copy)) == 0) {
        STEP(search_loaded, search(copy, 3, 10));
        STEP(range_loaded, range(copy, 3, 1.f));
        reconstruct_loaded(copy);
        copies_of_loaded(copy, index);
        change_loaded(copy);
        api.Index_free(copy);
    }
    free(data);
    copy = NULL;
    if (STEP(clone, api.clone_index(index, &copy)) != 0)
        return;
    STEP(search_clone, search(copy, 3, 10));
    if (HAS(IndexIVF_cast) && api.IndexIVF_cast(index) && api.IndexIVF_cast(copy)) {
        if (STEP(merge, api.IndexIVF_merge_from(copy, index, 0)) == 0) {
            STEP(search_merged, search(copy, 3, 10));
            api.IndexIVF_merge_from(index, copy, 0); /* and back */
        }
        STEP(copy_subset, api.IndexIVF_copy_subset_to(index, copy, 0, 0, 50));
        if (STEP(direct_map, api.IndexIVF_make_direct_map(index, 1)) == 0) {
            STEP(reconstruct_map, api.Index_reconstruct(index, 3, vectors));
            api.IndexIVF_make_direct_map(index, 0);
        }
    }
    api.Index_free(copy);
}

static void changes(FaissIndex *index, enum variant v)
{
    STEP(remove_range, remove_some(index, 10, 20));
    STEP(search_removed, search(index, 3, 10));
    STEP(remove_batch, remove_batch(index));
    STEP(remove_all, remove_some(index, 0, 100000));
    STEP(search_rest, search(index, 3, 10));
    if (v != VARIANT_untrained)
        STEP(retrain, api.Index_train(index, NT, x));
    if (STEP(reset, api.Index_reset(index)) != 0)
        return;
    STEP(search_reset, search(index, 3, 10));
    STEP(range_reset, range(index, 3, 1.f));
    if (STEP(add_again, api.Index_add(index, 30, x)) != 0)
        api.Index_add_with_ids(index, 30, x, keys);
    STEP(search_again, search(index, 3, 10));
    STEP(add_none, api.Index_add(index, 0, x));
}

static void lead(const struct life *l)
{
    FaissIndex *index = NULL;
    enum variant v = l->variant;
    int rc =
        l->kind->family == MADE
            ? STEP(create, made_create(l->kind->name, d, l->metric, &index))
            : STEP(create, api.index_factory(&index, d, l->kind->name, (FaissMetricType)l->metric));
    if (rc != 0 || !index || api.Index_d(index) != d)
        return;
    if (!remote)
        STEP(shape, record_shape(l, index, 0));
    subject = index;
    fill(x, only_added(v) ? VARIANT_usual : v, NT * d);
    fill(xq, only_added(v) ? VARIANT_usual : v, NQ * d);
    if (v != VARIANT_untrained)
        STEP(train, api.Index_train(index, to_train(v), x));
    if (only_added(v))
        fill(x, v, NT * d);
    int n = to_add(v);
    if (n > 0 && STEP(add_ids, api.Index_add_with_ids(index, n, x, keys)) == 0)
        STEP(reset_ids, api.Index_reset(index));
    if (n > 0 && STEP(add, api.Index_add(index, n, x)) != 0)
        STEP(add_with_ids, api.Index_add_with_ids(index, n, x, keys));
    searches(index);
    codes_of(index);
    tune(index);
    overtune(index);
    copies(index);
    changes(index, v);
    subject = NULL;
    if (enter(STEP_free)) {
        api.Index_free(index);
        leave(STEP_free, 0);
    }
}

void life_lead(const struct life *l)
{
    if (!x) {
        x = malloc(NT * 64 * sizeof *x);
        xq = malloc(NQ * 64 * sizeof *xq);
        if (!x || !xq)
            abort();
    }
    for (int i = 0; i < NT; i++)
        keys[i] = i;
    memset(place->outcome, '-', sizeof place->outcome);
    memset(place->state, '-', sizeof place->state);
    place->shape[0] = '\0';
    d = l->variant == VARIANT_dim1 ? 1 : D;
    subject = NULL;
    binary_subject = NULL;
    if (l->kind->family == BINARY)
        lead_binary(l);
    else
        lead(l);
    no_limit();
}
