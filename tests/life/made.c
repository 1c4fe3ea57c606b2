/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes made by constructors, some from other indexes. */
#include "life.h"

enum { D = 16, NLIST = 16 };

/* Runs its life and frees it, unless `rc` is an error. */
static int lead(int rc, FaissIndex **x, int d, unsigned flags)
{
    struct subject s = {NULL, d, flags, flags & WITH_IDS ? 100 : 0, flags & WITH_IDS ? 3 : 1, 0};
    if (rc == 0) {
        s.index = *x;
        life(&s);
    }
    return rc;
}

static FaissIndex *flat(FaissMetricType metric)
{
    FaissIndex *x = NULL;
    RC(IndexFlat_new_with, &x, D, metric);
    return x;
}

static FaissIndex *made(const char *factory)
{
    FaissIndex *x = NULL;
    RC(index_factory, &x, D, factory, METRIC_L2);
    return x;
}

static void flats(void)
{
    FaissIndex *x = NULL;
    if (lead(RC(IndexFlat_new_with, &x, D, METRIC_L1), &x, D, 0) == 0)
        DO(IndexFlat_free, x);
    if (lead(RC(IndexFlatL2_new_with, &x, D), &x, D, 0) == 0)
        DO(IndexFlatL2_free, x);
    if (lead(RC(IndexFlatIP_new_with, &x, D), &x, D, 0) == 0)
        DO(IndexFlatIP_free, x);
    if (RC(IndexFlat1D_new_with, &x, 0) == 0) {
        lead(0, &x, 1, NO_EMPTY);
        RC(IndexFlat1D_update_permutation, x);
        DO(IndexFlat1D_free, x);
    }
    if (lead(RC(IndexFlat1D_new, &x), &x, 1, NO_EMPTY) == 0)
        DO(IndexFlat1D_free, x);
}

/* Constructors without arguments: only the flags of their indexes can be read. */
static void defaults(void)
{
    FaissIndex *x = NULL;
    struct subject s = {0};
#define DEFAULT(cls)              \
    if (RC(cls##_new, &x) == 0) { \
        s.index = x;              \
        look(&s);                 \
        DO(cls##_free, x);        \
    }
    DEFAULT(IndexFlat)
    DEFAULT(IndexFlatIP)
    DEFAULT(IndexFlatL2)
#undef DEFAULT
    if (RC(IndexScalarQuantizer_new, &x) == 0) {
        GET(Index_is_trained, x);
        GET(Index_d, x);
        DO(IndexScalarQuantizer_free, x);
    }
    if (RC(IndexIVFFlat_new, &x) == 0) {
        GET(Index_d, x);
        GET(IndexIVFFlat_nlist, x);
        GET(IndexIVFFlat_own_fields, x);
        DO(IndexIVFFlat_free, x);
    }
    if (RC(IndexPreTransform_new, &x) == 0) {
        GET(Index_d, x);
        DO(IndexPreTransform_free, x);
    }
}

static void ivf_flat(void)
{
    FaissIndex *q = flat(METRIC_L2), *x = NULL;
    if (RC(IndexIVFFlat_new_with, &x, q, D, NLIST) == 0) {
        same("quantizer", ASK(IndexIVF_quantizer, x), q);
        GET(IndexIVFFlat_own_fields, x);
        lead(0, &x, D, ANY_IDS | LISTS);
        same("quantizer", ASK(IndexIVF_quantizer, x), q);
        DO(IndexIVFFlat_set_own_fields, x, 1);
        GET(IndexIVFFlat_own_fields, x);
        DO(IndexIVFFlat_set_own_fields, x, 0);
        DO(IndexIVFFlat_free, x);
        GET(Index_ntotal, q);
        DO(Index_free, q);
    }
    q = flat(METRIC_INNER_PRODUCT);
    if (RC(IndexIVFFlat_new_with_metric, &x, q, D, NLIST, METRIC_INNER_PRODUCT) == 0) {
        DO(IndexIVF_set_own_fields, x, 1);
        GET(IndexIVF_own_fields, x);
        lead(0, &x, D, ANY_IDS | LISTS);
        DO(IndexIVF_free, x); /* also frees the quantizer */
    }
    q = flat(METRIC_L2);
    RC(IndexIVFFlat_new_with, &x, q, D + 1, NLIST); /* d differs from the quantizer's */
    DO(Index_free, q);
}

static void ivf_sq(void)
{
    static const FaissQuantizerType types[] = {QT_8bit, QT_4bit, QT_fp16, QT_8bit_uniform};
    FaissIndex *x = NULL, *q;
    for (int i = 0; i < 4; i++) {
        q = flat(METRIC_L2);
        if (RC(IndexIVFScalarQuantizer_new_with_metric, &x, q, D, NLIST, types[i], METRIC_L2,
               i % 2) == 0) {
            same("quantizer", ASK(IndexIVF_quantizer, x), q);
            lead(0, &x, D, ANY_IDS | LISTS);
            DO(IndexIVFScalarQuantizer_set_own_fields, x, i > 1);
            GET(IndexIVFScalarQuantizer_own_fields, x);
            DO(IndexIVFScalarQuantizer_free, x);
            if (i > 1)
                continue;
        }
        DO(Index_free, q);
    }
    q = flat(METRIC_L2);
    if (RC(IndexIVFScalarQuantizer_new_with_metric, &x, q, D, NLIST, QT_8bit, METRIC_L2, 1) == 0) {
        RC(Index_train, x, NT, floats(D * NT, 1));
        RC(IndexIVFScalarQuantizer_train_residual, x, NT, floats(D * NT, 1));
        RC(IndexIVF_train_encoder, x, NT, floats(D * NT, 1), numbers(NT, 0, 0));
        DO(IndexIVFScalarQuantizer_free, x);
    }
    DO(Index_free, q);
}

static void sq(void)
{
    FaissIndex *x = NULL;
    /* FAISS accepts any number, but ends the process when an unknown one is first used. */
    int last = api.ScalarQuantizer_qtype ? QT_8bit_eden /* both came with v1.15.0 */
               : api.get_version         ? QT_8bit_direct_signed
                                         : QT_6bit;
    for (int type = QT_8bit; type <= last; type++) {
        say("type %d", type);
        if (lead(RC(IndexScalarQuantizer_new_with, &x, D, (FaissQuantizerType)type, METRIC_L2), &x,
                 D, 0) == 0)
            DO(IndexScalarQuantizer_free, x);
    }
}

static void lsh(void)
{
    FaissIndex *x = NULL;
    if (lead(RC(IndexLSH_new, &x, D, 24), &x, D, 0) == 0) {
        GET(IndexLSH_bytes_per_vec, x);
        GET(IndexLSH_nbits, x);
        GET(IndexLSH_rotate_data, x);
        GET(IndexLSH_train_thresholds, x);
        DO(IndexLSH_free, x);
    }
    /* Fewer bits than dimensions only with rotation: without it, FAISS leaves dimensions undefined.
     */
    for (int i = 0; i < 4; i++)
        if (lead(RC(IndexLSH_new_with_options, &x, D, i & 1 ? 12 : D, i & 1, i >> 1), &x, D, 0) ==
            0)
            DO(IndexLSH_free, x);
}

static void refine(void)
{
    FaissIndex *base = made("SQ4"), *x = NULL;
    if (RC(IndexRefineFlat_new, &x, base) == 0) {
        GET(IndexRefineFlat_own_fields, x);
        GET(IndexRefineFlat_k_factor, x);
        DO(IndexRefineFlat_set_k_factor, x, 2.5f);
        lead(0, &x, D, 0);
        DO(IndexRefineFlat_free, x);
    }
    RC(Index_train, base, NT, floats(NT * D, 1));
    RC(Index_add, base, 5, floats(5 * D, 1));
    RC(IndexRefineFlat_new, &x, base);
    DO(Index_free, base);
    base = made("PQ4x4");
    if (RC(IndexRefineFlat_new, &x, base) == 0) {
        DO(IndexRefineFlat_set_own_fields, x, 1);
        GET(IndexRefineFlat_own_fields, x);
        lead(0, &x, D, 0);
        DO(Index_free, x);
    }
}

static void ids_of(FaissIndex *x)
{
    idx_t *ids = NULL;
    size_t n = 0;
    DO(IndexIDMap_id_map, x, &ids, &n);
    SHOW("ids", ids, n);
}

static void id_map(void)
{
    FaissIndex *part = flat(METRIC_L2), *x = NULL;
    if (RC(IndexIDMap_new, &x, part) == 0) {
        same("sub_index", ASK(IndexIDMap_sub_index, x), part);
        lead(0, &x, D, WITH_IDS);
        ids_of(x);
        GET(Index_ntotal, part);
        DO(Index_free, x);
    }
    GET(Index_ntotal, part);
    RC(IndexIDMap_new, &x, part); /* fails: part is not empty */
    DO(Index_free, part);
    part = made("IVF16,SQ8");
    if (RC(IndexIDMap2_new, &x, part) == 0) {
        same("sub_index", ASK(IndexIDMap2_sub_index, x), part);
        DO(IndexIDMap2_set_own_fields, x, 1);
        GET(IndexIDMap2_own_fields, x);
        GET(IndexIDMap_own_fields, x);
        lead(0, &x, D, WITH_IDS | NO_REMOVE);
        RC(IndexIDMap2_construct_rev_map, x);
        DO(Index_free, x);
    }
    part = flat(METRIC_INNER_PRODUCT);
    if (RC(IndexIDMap_new, &x, part) == 0) {
        DO(IndexIDMap_set_own_fields, x, 1);
        GET(IndexIDMap_own_fields, x);
        GET(Index_metric_type, x);
        DO(Index_free, x);
    }
}

static void bad_strings(void)
{
    static const char *const bad[] = {"",           "Nothing", "IVF,Flat", "IVF16", "PQ7",  "PCA32",
                                      "IVF16,PQ8x", "HNSW",    ",",        "Flat,", "PQ8+7"};
    FaissIndex *x = NULL;
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        say("'%s'", bad[i]);
        if (RC(index_factory, &x, D, bad[i], METRIC_L2) == 0) {
            GET(Index_d, x);
            DO(Index_free, x);
        }
    }
}

const struct life made_lives[] = {
    {"flats", flats},
    {"defaults", defaults},
    {"ivf flat", ivf_flat},
    {"ivf sq", ivf_sq},
    {"sq", sq},
    {"lsh", lsh},
    {"refine", refine},
    {"id map", id_map},
    {"bad strings", bad_strings},
    {"bad files", bad_files},
    {0},
};
