/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of an index's own class. */
#include <stdio.h>

#include "life.h"

static void flat(FaissIndex *x, const struct subject *s)
{
    float *xb = NULL, *again = NULL, *dis = ROOM(float, 2 * 3);
    size_t n = 0;
    idx_t ids[] = {0, 5, 7, 9, 11, 3};
    DO(IndexFlat_xb, x, &xb, &n);
    number("size", (double)n);
    if (n)
        SHOW("xb", xb, n);
    DO(IndexFlat_xb, x, &again, &n);
    same("xb", again, xb);
    int rc = RC(IndexFlat_compute_distance_subset, x, 2, floats((size_t)s->d * 2, 7), 3, dis, ids);
    if (rc == 0)
        SHOW("distances", dis, 6);
}

static void scalar_quantizer(FaissScalarQuantizer *sq)
{
    size_t n = (size_t)GET(ScalarQuantizer_trained_size, sq);
    GET(ScalarQuantizer_qtype, sq);
    GET(ScalarQuantizer_d, sq);
    GET(ScalarQuantizer_bits, sq);
    GET(ScalarQuantizer_code_size, sq);
    GET(ScalarQuantizer_rangestat, sq);
    GET(ScalarQuantizer_rangestat_arg, sq);
    DO(ScalarQuantizer_set_rangestat, sq, RS_meanstd);
    DO(ScalarQuantizer_set_rangestat_arg, sq, 0.25f);
    GET(ScalarQuantizer_rangestat, sq);
    GET(ScalarQuantizer_rangestat_arg, sq);
    DO(ScalarQuantizer_set_rangestat, sq, RS_minmax);
    float *trained = ROOM(float, n);
    DO(ScalarQuantizer_trained, sq, trained);
    SHOW("trained", trained, n);
}

static void preassigned(FaissIndex *x, FaissIndex *quantizer, const struct subject *s)
{
    idx_t n = 7, k = 5, probes = (idx_t)ASK(IndexIVF_nprobe, x);
    float *q = floats((size_t)(n * s->d), 7), *dis = ROOM(float, n *k), *cdis;
    idx_t *ids = ROOM(idx_t, n * k), *assign = ROOM(idx_t, n * probes);
    cdis = ROOM(float, n *probes);
    if (RC(Index_search, quantizer, n, q, probes, cdis, assign) != 0)
        return;
    SHOW("assigned", assign, n * probes);
    for (int pairs = 0; pairs < 2; pairs++)
        if (RC(IndexIVF_search_preassigned, x, n, q, k, assign, cdis, dis, ids, pairs) == 0) {
            SHOW("distances", dis, n * k);
            SHOW("labels", ids, n * k);
        }
}

static void merge(FaissIndex *x, const struct subject *s)
{
    FaissIndex *a = NULL, *b = NULL;
    struct subject sa = *s;
    if (RC(clone_index, x, &a) != 0)
        return;
    if (RC(clone_index, x, &b) == 0) {
        RC(IndexIVF_merge_from, a, b, 1000);
        GET(Index_ntotal, a);
        GET(Index_ntotal, b);
        sa.index = a;
        if (!(s->flags & NO_EMPTY))
            search(&sa, 7, 5);
        RC(Index_reset, b);
        /* For a FastScan index, FAISS reads the codes to copy from a wrong place. */
        if (!(s->flags & WHOLE)) {
            RC(IndexIVF_copy_subset_to, x, b, 0, 10, 60);
            GET(Index_ntotal, b);
            RC(IndexIVF_copy_subset_to, x, b, 1, 3, 0);
            RC(IndexIVF_copy_subset_to, x, b, 9, 3, 0);
            GET(Index_ntotal, b);
        }
        sa.index = b;
        if (!(s->flags & NO_EMPTY))
            search(&sa, 7, 5);
        DO(Index_free, b);
    }
    DO(Index_free, a);
}

static void ivf(FaissIndex *x, const struct subject *s)
{
    size_t nlist = (size_t)GET(IndexIVF_nlist, x);
    FaissIndex *quantizer = ASK(IndexIVF_quantizer, x);
    GET(IndexIVF_nprobe, x);
    DO(IndexIVF_set_nprobe, x, 4);
    GET(IndexIVF_nprobe, x);
    GET(IndexIVF_own_fields, x);
    GET(IndexIVF_quantizer_trains_alone, x);
    GET(IndexIVF_imbalance_factor, x);
    same("quantizer", ASK(IndexIVF_quantizer, x), quantizer);
    GET(Index_ntotal, quantizer);
    GET(Index_d, quantizer);
    for (size_t i = 0; i < nlist && i < 20; i++) {
        size_t n = (size_t)GET(IndexIVF_get_list_size, x, i);
        idx_t *ids = ROOM(idx_t, n);
        DO(IndexIVF_invlists_get_ids, x, i, ids);
        SHOW("ids", ids, n);
    }
    fflush(stdout);
    DO(IndexIVF_print_stats, x);
    search(s, 25, 5);
    if (!(s->flags & WHOLE))
        preassigned(x, quantizer, s);
    merge(x, s);
    if (RC(IndexIVF_make_direct_map, x, 1) == 0) {
        float *v = ROOM(float, s->d);
        if (RC(Index_reconstruct, x, 3, v) == 0)
            SHOW("vector", v, s->d);
    }
    RC(IndexIVF_make_direct_map, x, 0);
}

static void ivf_flat(FaissIndex *x, const struct subject *s)
{
    idx_t *ids = numbers(10, 1000, 2), *lists = numbers(10, 3, 1);
    float *v = floats((size_t)s->d * 10, 4);
    GET(IndexIVFFlat_nlist, x);
    GET(IndexIVFFlat_nprobe, x);
    GET(IndexIVFFlat_own_fields, x);
    GET(IndexIVFFlat_quantizer_trains_alone, x);
    same("quantizer", ASK(IndexIVFFlat_quantizer, x), ASK(IndexIVF_quantizer, x));
    DO(IndexIVFFlat_set_nprobe, x, 6);
    GET(IndexIVF_nprobe, x);
    RC(IndexIVFFlat_add_core, x, 10, v, ids, lists);
    GET(Index_ntotal, x);
    search(s, 7, 5);
    RC(IndexIVFFlat_update_vectors, x, 3, numbers(3, 0, 1), v);
    if (RC(IndexIVF_make_direct_map, x, 1) == 0) {
        RC(IndexIVFFlat_update_vectors, x, 3, numbers(3, 0, 1), v);
        search(s, 7, 5);
    }
    RC(IndexIVF_make_direct_map, x, 0);
}

static void ivf_sq(FaissIndex *x, const struct subject *s)
{
    GET(IndexIVFScalarQuantizer_nlist, x);
    GET(IndexIVFScalarQuantizer_nprobe, x);
    GET(IndexIVFScalarQuantizer_own_fields, x);
    same("quantizer", ASK(IndexIVFScalarQuantizer_quantizer, x), ASK(IndexIVF_quantizer, x));
    DO(IndexIVFScalarQuantizer_set_nprobe, x, 6);
    GET(IndexIVF_nprobe, x);
    RC(IndexIVFScalarQuantizer_add_core, x, 10, floats((size_t)s->d * 10, 4), numbers(10, 1000, 2),
       numbers(10, 3, 1));
    search(s, 7, 5);
    if (HAVE(IndexIVFScalarQuantizer_sq)) {
        FaissScalarQuantizer *sq = ASK(IndexIVFScalarQuantizer_sq, x);
        same("sq", ASK(IndexIVFScalarQuantizer_sq, x), sq);
        scalar_quantizer(sq);
    }
}

static void id_map(FaissIndex *x)
{
    idx_t *ids = NULL;
    size_t n = 0;
    FaissIndex *sub;
    DO(IndexIDMap_id_map, x, &ids, &n);
    SHOW("ids", ids, n);
    GET(IndexIDMap_own_fields, x);
    if (!HAVE(IndexIDMap_sub_index))
        return;
    sub = ASK(IndexIDMap_sub_index, x);
    same("sub_index", ASK(IndexIDMap_sub_index, x), sub);
    GET(Index_ntotal, sub);
    GET(Index_d, sub);
    if (!ASK(IndexIDMap2_cast, x))
        return;
    same("sub_index", ASK(IndexIDMap2_sub_index, x), sub);
    DO(IndexIDMap2_id_map, x, &ids, &n);
    SHOW("ids", ids, n);
    GET(IndexIDMap2_own_fields, x);
    RC(IndexIDMap2_construct_rev_map, x);
}

static void lsh(FaissIndex *x)
{
    GET(IndexLSH_nbits, x);
    GET(IndexLSH_code_size, x);
    GET(IndexLSH_rotate_data, x);
    GET(IndexLSH_train_thresholds, x);
}

void class_functions(const struct subject *s)
{
    FaissIndex *x = s->index;
    if (ASK(IndexFlat_cast, x))
        flat(x, s);
    if (ASK(IndexIVF_cast, x))
        ivf(x, s);
    if (ASK(IndexIVFFlat_cast, x))
        ivf_flat(x, s);
    if (ASK(IndexIVFScalarQuantizer_cast, x))
        ivf_sq(x, s);
    if (ASK(IndexScalarQuantizer_cast, x) && HAVE(IndexScalarQuantizer_sq))
        scalar_quantizer(ASK(IndexScalarQuantizer_sq, x));
    if (ASK(IndexIDMap_cast, x))
        id_map(x);
    if (ASK(IndexLSH_cast, x))
        lsh(x);
    if (ASK(IndexRefineFlat_cast, x)) {
        GET(IndexRefineFlat_own_fields, x);
        GET(IndexRefineFlat_k_factor, x);
        DO(IndexRefineFlat_set_k_factor, x, 4.5f);
        GET(IndexRefineFlat_k_factor, x);
        search(s, 7, 5);
    }
    if (ASK(IndexPreTransform_cast, x)) {
        struct subject sub = *s;
        sub.index = ASK(IndexPreTransform_index, x);
        sub.d = ASK(Index_d, sub.index);
        same("index", ASK(IndexPreTransform_index, x), sub.index);
        GET(IndexPreTransform_own_fields, x);
        look(&sub);
        search(&sub, 7, 5);
    }
}
