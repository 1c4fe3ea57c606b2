/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a binary index, as in life.c. */
#include <stdio.h>
#include <stdlib.h>

#include "step.h"

enum { NQ = 25, MANY = 1000, BITS = 300 * 16 };
enum { PLAIN, IVF, HNSW };

static int32_t hamming[NQ * MANY];
static idx_t ids[NQ * MANY], keys[NT];
static uint8_t codes[NQ * 4096], bits[BITS];
static int d;

typedef FaissIndexBinary B;

static int search_bits(const B *index, int n, int k)
{
    return api.IndexBinary_search(index, n, bits, k, hamming, ids);
}

static int range_bits(const B *index, int n, int radius)
{
    FaissRangeSearchResult *r = NULL;
    int rc = api.RangeSearchResult_new(&r, n);
    if (rc == 0)
        rc = api.IndexBinary_range_search(index, n, bits, radius, r);
    if (r)
        api.RangeSearchResult_free(r);
    return rc;
}

static int params_bits(const B *index, int type, FaissIDSelector *sel)
{
    FaissSearchParameters *p = NULL;
    int rc = type == IVF
                 ? api.SearchParametersIVF_new_with((FaissSearchParametersIVF **)&p, sel, 4, 0)
             : type == HNSW
                 ? api.SearchParametersHNSW_new_with((FaissSearchParametersHNSW **)&p, sel, 20)
                 : api.SearchParameters_new(&p, sel);
    if (rc == 0)
        rc = api.IndexBinary_search_with_params(index, 3, bits, 5, p, hamming, ids);
    if (p)
        api.SearchParameters_free(p);
    return rc;
}

static int remove_bits(B *index, int from, int to)
{
    FaissIDSelectorRange *range = NULL;
    size_t n;
    int rc = api.IDSelectorRange_new(&range, from, to);
    if (rc == 0)
        rc = api.IndexBinary_remove_ids(index, (FaissIDSelector *)range, &n);
    api.IDSelectorRange_free(range);
    return rc;
}

static void fill_bits(enum variant v)
{
    uint32_t s = 99;
    for (size_t i = 0; i < sizeof bits; i++) {
        s = s * 1664525u + 1013904223u;
        bits[i] = v == VARIANT_zero   ? 0
                  : v == VARIANT_huge ? 255
                  : v == VARIANT_same ? (uint8_t)(i % (size_t)(d / 8))
                                      : (uint8_t)(s >> 24);
    }
}

static int save_bits(const B *index, char **data, size_t *size)
{
    FILE *f = open_memstream(data, size);
    int rc = api.write_index_binary(index, f);
    fclose(f);
    return rc;
}

static int load_bits(char *data, size_t size, B **out)
{
    FILE *f = fmemopen(data, size, "rb");
    int rc = api.read_index_binary(f, 0, out);
    fclose(f);
    return rc;
}

static void lead_binary_searches(B *index)
{
    STEP(search_1, search_bits(index, 1, 1));
    STEP(search, search_bits(index, 3, 10));
    STEP(search_blas, search_bits(index, NQ, 10));
    STEP(search_many, search_bits(index, 3, MANY));
    STEP(search_none, search_bits(index, 0, 10));
    STEP(search_k0, search_bits(index, 3, 0));
    STEP(assign, api.IndexBinary_assign(index, 3, bits, ids, 4));
    STEP(range, range_bits(index, 3, 5));
    STEP(range_blas, range_bits(index, NQ, 5));
    STEP(range_all, range_bits(index, 3, 100000));
    STEP(range_nan, range_bits(index, 3, -1));
    STEP(range_none, range_bits(index, 0, 5));
    FaissIDSelectorRange *range = NULL;
    if (!HAS(IndexBinary_search_with_params) || !HAS(SearchParameters_new) ||
        api.IDSelectorRange_new(&range, 0, 100) != 0)
        return;
    STEP(params, params_bits(index, PLAIN, NULL));
    STEP(params_sel, params_bits(index, PLAIN, (FaissIDSelector *)range));
    STEP(params_ivf, params_bits(index, IVF, NULL));
    STEP(params_ivf_sel, params_bits(index, IVF, (FaissIDSelector *)range));
    STEP(params_hnsw, params_bits(index, HNSW, NULL));
    STEP(params_hnsw_sel, params_bits(index, HNSW, (FaissIDSelector *)range));
    api.IDSelectorRange_free(range);
}

void lead_binary(const struct life *l)
{
    B *index = NULL, *copy = NULL;
    enum variant v = l->variant;
    char *data = NULL;
    size_t size = 0;
    if (!HAS(index_binary_factory))
        return;
    d = v == VARIANT_dim1 ? 8 : 64;
    for (int i = 0; i < NT; i++)
        keys[i] = i;
    fill_bits(v);
    if (STEP(create, api.index_binary_factory(&index, d, l->kind->name)) != 0)
        return;
    if (!remote)
        STEP(shape, record_shape(l, index, 1));
    binary_subject = index;
    if (v != VARIANT_untrained)
        STEP(train, api.IndexBinary_train(index, to_train(v) > 120 ? 120 : to_train(v), bits));
    int n = to_add(v) > 120 ? 120 : to_add(v);
    if (n > 0 && STEP(add_ids, api.IndexBinary_add_with_ids(index, n, bits, keys)) == 0)
        STEP(reset_ids, api.IndexBinary_reset(index));
    if (n > 0 && STEP(add, api.IndexBinary_add(index, n, bits)) != 0)
        STEP(add_with_ids, api.IndexBinary_add_with_ids(index, n, bits, keys));
    lead_binary_searches(index);
    if (api.IndexBinary_ntotal(index) > 5 &&
        STEP(reconstruct, api.IndexBinary_reconstruct(index, 0, codes)) == 0)
        STEP(reconstruct_n, api.IndexBinary_reconstruct_n(index, 1, 1, codes));
    if (STEP(save, save_bits(index, &data, &size)) == 0 &&
        STEP(load, load_bits(data, size, &copy)) == 0) {
        STEP(search_loaded, search_bits(copy, 3, 10));
        STEP(range_loaded, range_bits(copy, 3, 5));
        STEP(add_loaded, api.IndexBinary_add(copy, 20, bits));
        api.IndexBinary_free(copy);
    }
    free(data);
    copy = NULL;
    if (HAS(clone_index_binary) && STEP(clone, api.clone_index_binary(index, &copy)) == 0) {
        STEP(search_clone, search_bits(copy, 3, 10));
        api.IndexBinary_free(copy);
    }
    STEP(remove_range, remove_bits(index, 10, 20));
    STEP(search_removed, search_bits(index, 3, 10));
    STEP(remove_all, remove_bits(index, 0, 100000));
    STEP(search_rest, search_bits(index, 3, 10));
    if (STEP(reset, api.IndexBinary_reset(index)) == 0) {
        STEP(search_reset, search_bits(index, 3, 10));
        STEP(range_reset, range_bits(index, 3, 5));
        STEP(add_again, api.IndexBinary_add(index, 30, bits));
        STEP(search_again, search_bits(index, 3, 10));
        STEP(add_none, api.IndexBinary_add(index, 0, bits));
    }
    binary_subject = NULL;
    if (enter(STEP_free)) {
        api.IndexBinary_free(index);
        leave(STEP_free, 0);
    }
}
