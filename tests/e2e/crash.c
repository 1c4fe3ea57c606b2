/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments that crash FAISS. */
#include <math.h>

#include "cases.h"

enum { D = 16, N = 400, MAX = 4096 };

static float *x, out[MAX * D];
static idx_t ids[MAX];
static uint8_t bytes[MAX * D];

/* Makes a trained index with N vectors.  Returns NULL if the library does not know the type. */
static FaissIndex *full(const char *description)
{
    FaissIndex *index = make(D, description);
    int mapped = strncmp(description, "IDMap", 5) == 0;
    about = description;
    if (!index && strstr(last_error(), "could not parse")) {
        skipped++;
        return NULL;
    }
    if (!index || F(Index_train)(index, N, x) ||
        (mapped ? F(Index_add_with_ids)(index, N, x, ids) : F(Index_add)(index, N, x))) {
        printf("cannot make %s: %s\n", description, last_error());
        exit(1);
    }
    return index;
}

static void searches(FaissIndex *index)
{
    CODE(FAILS, F(Index_search)(index, INT64_MAX, x, 1, out, ids));
    CODE(FAILS, F(Index_search)(index, 1, x, INT64_MAX, out, ids));
    CODE(FAILS, F(Index_search)(index, INT64_MAX / 3, x, INT64_MAX / 5, out, ids));
    CODE(FAILS, F(Index_search)(index, -1, x, 1, out, ids));
    CODE(ENDS, F(Index_search)(index, 1, x, 0, out, ids));
    CODE(ENDS, F(Index_search)(index, 1, x, -1, out, ids));
    CODE(FAILS, F(Index_search)(index, 1, NULL, 1, out, ids));
    CODE(FAILS, F(Index_search)(index, 1, x, 1, NULL, ids));
    CODE(FAILS, F(Index_search)(index, 1, x, 1, out, NULL));
    CODE(WORKS, F(Index_search)(index, 0, NULL, 1, NULL, NULL));
    CODE(ENDS, F(Index_search)(index, 2, x, 2000, out, ids));
    CODE(FAILS, F(Index_assign)(index, -3, x, ids, 1));
    CODE(FAILS, F(Index_add)(index, INT64_MAX, x));
    CODE(FAILS, F(Index_add)(index, -1, x));
    CODE(FAILS, F(Index_add)(index, 1, NULL));
    CODE(FAILS, F(Index_train)(index, -1, x));
    CODE(ENDS, F(Index_train)(index, 0, NULL));
}

static void vectors(FaissIndex *index)
{
    static const idx_t keys[] = {-1, N, N + 7, INT64_MAX, INT64_MIN, 1000000000};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        idx_t two[] = {0, keys[i]};
        CODE(ENDS, F(Index_reconstruct)(index, keys[i], out));
        CODE(ENDS, F(Index_reconstruct_n)(index, keys[i], 2, out));
        CODE(ENDS, F(Index_compute_residual)(index, x, out, keys[i]));
        CODE(ENDS, F(Index_compute_residual_n)(index, 2, x, out, two));
        CODE(ENDS, F(Index_reconstruct_batch)(index, 2, two, out));
    }
    CODE(ENDS, F(Index_reconstruct_n)(index, 0, N, out));
    CODE(ENDS, F(Index_reconstruct_n)(index, N - 2, 3, out));
    CODE(FAILS, F(Index_reconstruct_n)(index, 0, INT64_MAX, out));
    CODE(FAILS, F(Index_reconstruct_n)(index, 0, -1, out));
    CODE(FAILS, F(Index_remove_ids)(index, NULL, NULL));
    memset(bytes, 255, sizeof bytes);
    CODE(ENDS, F(Index_sa_decode)(index, 2, bytes, out));
    CODE(ENDS, F(Index_sa_encode)(index, 2, x, bytes));
}

static void ranges(FaissIndex *index)
{
    FaissRangeSearchResult *small, *bare, *used;
    MUST(F(RangeSearchResult_new)(&small, 1));
    MUST(F(RangeSearchResult_new_with)(&bare, 3, 0));
    MUST(F(RangeSearchResult_new)(&used, 3));
    CODE(FAILS, F(Index_range_search)(index, 3, x, 1.f, small));
    CODE(ENDS, F(Index_range_search)(index, 3, x, 1.f, bare));
    CODE(FAILS, F(Index_range_search)(index, 3, x, 1.f, NULL));
    CODE(ENDS, F(Index_range_search)(index, 3, x, 1.f, used));
    CODE(ENDS, F(Index_range_search)(index, 3, x, 2.f, used));
    CODE(ENDS, F(Index_range_search)(index, 3, x, NAN, used));
    CODE(ENDS, F(Index_range_search)(index, 2, x, -INFINITY, used));
    F(RangeSearchResult_free)(small);
    F(RangeSearchResult_free)(bare);
    F(RangeSearchResult_free)(used);
}

static void parameters(FaissIndex *index)
{
    static const char *const names[] = {"nprobe",           "efSearch",      "k_factor_rf", "ht",
                                        "max_codes",        "verbose",       "nothing",     "",
                                        "quantizer_nprobe", "efConstruction"};
    static const double values[] = {-1, 0, 1e6, NAN};
    FaissParameterSpace *space;
    MUST(F(ParameterSpace_new)(&space));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            FaissIndex *copy = NULL;
            if (F(clone_index)(index, &copy) != 0)
                continue;
            before();
            int rc = F(ParameterSpace_set_index_parameter)(space, copy, names[i], values[k]);
            after(names[i], ENDS, rc);
            before();
            rc = F(Index_search)(copy, 3, x, 4, out, ids);
            after("search with it", ENDS, rc);
            F(Index_free)(copy);
        }
    CODE(ENDS, F(ParameterSpace_set_index_parameters)(space, index, "nprobe=,=,,=3,nprobe"));
    CODE(FAILS, F(ParameterSpace_set_index_parameters)(space, index, NULL));
    CODE(ENDS, F(ParameterSpace_set_index_parameters_cno)(space, index, 1000000));
    F(ParameterSpace_free)(space);
}

static void selectors(FaissIndex *index)
{
    FaissIDSelectorRange *range;
    FaissIDSelectorNot *no = NULL;
    FaissIDSelectorBatch *batch;
    FaissSearchParameters *plain = NULL;
    FaissSearchParametersIVF *ivf = NULL;
    FaissSearchParametersHNSW *hnsw = NULL;
    MUST(F(IDSelectorRange_new)(&range, 50, 20));
    MUST(F(IDSelectorBatch_new)(&batch, 0, NULL));
    CODE(ENDS, F(IDSelectorNot_new)(&no, NULL));
    CODE(ENDS, F(SearchParameters_new)(&plain, (FaissIDSelector *)range));
    CODE(ENDS, F(SearchParametersIVF_new_with)(&ivf, (FaissIDSelector *)batch, 0, 0));
    CODE(ENDS, F(SearchParametersHNSW_new_with)(&hnsw, (FaissIDSelector *)range, -1));
    CODE(ENDS, F(Index_search_with_params)(index, 2, x, 3, plain, out, ids));
    CODE(ENDS, F(Index_search_with_params)(index, 2, x, 3, (FaissSearchParameters *)ivf, out, ids));
    CODE(ENDS,
         F(Index_search_with_params)(index, 2, x, 3, (FaissSearchParameters *)hnsw, out, ids));
    CODE(ENDS, F(Index_remove_ids)(index, (FaissIDSelector *)batch, NULL));
    CODE(ENDS, F(Index_remove_ids)(index, (FaissIDSelector *)no, NULL));
    CODE(ENDS, F(Index_remove_ids)(index, (FaissIDSelector *)plain, NULL));
    F(SearchParametersIVF_free)(ivf);
    F(SearchParametersHNSW_free)(hnsw);
    F(SearchParameters_free)(plain);
    F(IDSelector_free)((FaissIDSelector *)no);
    F(IDSelectorRange_free)(range);
    F(IDSelector_free)((FaissIDSelector *)batch);
}

/* The range is within the whole index, but not within its quantizer or shards. */
static void selectors_of_parts(void)
{
    FaissIDSelectorRange *range;
    FaissSearchParameters *params = NULL;
    FaissIndexShards *shards, *outer;
    FaissIndexPreTransform *transformed = NULL;
    FaissIndex *ivf = full("IVF4,Flat"), *one = full("Flat"), *other = full("Flat");
    MUST(F(IDSelectorRange_new)(&range, N - 100, N - 50));
    CODE(ENDS, F(SearchParameters_new)(&params, (FaissIDSelector *)range));
    CODE(ENDS, F(IndexIVF_search_closest_eligible_centroids)(ivf, 2, x, 3, out, ids, params));
    MUST(F(IndexShards_new)(&shards, D));
    MUST(F(IndexShards_add_shard)(shards, one));
    MUST(F(IndexShards_add_shard)(shards, other));
    F(IDSelectorRange_free)(range);
    F(SearchParameters_free)(params);
    params = NULL;
    MUST(F(IDSelectorRange_new)(&range, N + 100, N + 150));
    CODE(ENDS, F(SearchParameters_new)(&params, (FaissIDSelector *)range));
    CODE(ENDS, F(Index_search_with_params)(shards, 2, x, 3, params, out, ids));
    MUST(F(IndexShards_new)(&outer, D));
    MUST(F(IndexShards_add_shard)(outer, shards));
    CODE(ENDS, F(Index_search_with_params)(outer, 2, x, 3, params, out, ids));
    CODE(ENDS, F(IndexPreTransform_new_with)(&transformed, shards));
    CODE(ENDS, F(Index_search_with_params)(transformed, 2, x, 3, params, out, ids));
    F(IDSelectorRange_free)(range);
    F(SearchParameters_free)(params);
    F(Index_free)(transformed);
    F(Index_free)(outer);
    F(Index_free)(shards);
    F(Index_free)(one);
    F(Index_free)(other);
    F(Index_free)(ivf);
}

static void inverted(FaissIndex *index)
{
    idx_t far[2] = {0, 4}, nowhere[2] = {-2, -1}, all[4] = {0, 1, 2, 3};
    float centroid_dis[64] = {0};
    FaissIndex *copy;
    CALL(FAILS, F(IndexIVF_get_list_size)(index, 4));
    CALL(FAILS, F(IndexIVF_get_list_size)(index, SIZE_MAX));
    CALL(FAILS, F(IndexIVF_invlists_get_ids)(index, 4, ids));
    CODE(ENDS, F(IndexIVF_search_preassigned)(index, 2, x, 1, far, centroid_dis, out, ids, 0));
    CODE(ENDS, F(IndexIVF_search_preassigned)(index, 2, x, 1, nowhere, centroid_dis, out, ids, 1));
    CODE(FAILS, F(IndexIVF_search_preassigned)(index, 2, x, 1, NULL, centroid_dis, out, ids, 0));
    CALL(ENDS, F(IndexIVF_set_nprobe)(index, 0));
    CODE(ENDS, F(Index_search)(index, 3, x, 2, out, ids));
    CALL(ENDS, F(IndexIVF_set_nprobe)(index, 1000));
    CODE(strstr(about, "fs") ? FAILS : ENDS,
         F(IndexIVF_search_preassigned)(index, 1, x, 1, all, centroid_dis, out, ids, 0));
    CALL(ENDS, F(IndexIVF_set_nprobe)(index, SIZE_MAX));
    CODE(ENDS, F(Index_search)(index, 3, x, 2, out, ids));
    CALL(ENDS, F(IndexIVF_set_nprobe)(index, (size_t)1 << 40));
    CODE(ENDS, F(Index_search)(index, 3, x, 2, out, ids));
    CALL(ENDS, F(IndexIVF_set_nprobe)(index, 1));
    CODE(FAILS, F(IndexIVF_merge_from)(index, index, 0));
    if (F(clone_index)(index, &copy) != 0)
        return;
    for (int type = -1; type < 6; type++) {
        CODE(ENDS, F(IndexIVF_copy_subset_to)(index, copy, type, 0, 0));
        CODE(ENDS, F(IndexIVF_copy_subset_to)(index, copy, type, -1, -5));
        CODE(ENDS, F(IndexIVF_copy_subset_to)(index, copy, type, 3, 1000000));
    }
    CODE(ENDS, F(Index_reset)(copy));
    for (int type = -1; type < 6; type++) {
        CODE(ENDS, F(IndexIVF_copy_subset_to)(copy, index, type, 1, 0));
        CODE(ENDS, F(IndexIVF_copy_subset_to)(index, copy, type, 0, 2));
    }
    CODE(ENDS, F(IndexIVF_make_direct_map)(copy, 99));
    CODE(ENDS, F(IndexIVF_set_direct_map)(copy, 99));
    /* The quantizer has more vectors than there are lists. */
    FaissIndex *quantizer = F(IndexIVF_quantizer)(copy);
    CODE(ENDS, F(Index_add)(quantizer, 30, x + 64));
    CODE(ENDS, F(Index_add)(copy, 200, x));
    CODE(ENDS, F(Index_search)(copy, 3, x, 2, out, ids));
    CODE(ENDS, F(Index_reset)(quantizer));
    CODE(ENDS, F(Index_add)(copy, 20, x));
    CODE(ENDS, F(Index_search)(copy, 3, x, 2, out, ids));
    F(Index_free)(copy);
}

static void cores_of_adding(void)
{
    idx_t far[2] = {0, 4}, nowhere[2] = {-2, -1}, replace[2] = {3, 100000};
    FaissIndex *flat = full("IVF4,Flat"), *sq = full("IVF4,SQ8");
    CODE(FAILS, F(IndexIVFFlat_add_core)(flat, 2, x, NULL, far));
    CODE(ENDS, F(IndexIVFFlat_add_core)(flat, 2, x, NULL, nowhere));
    CODE(ENDS, F(IndexIVFFlat_add_core)(flat, 2, x, NULL, NULL));
    CODE(FAILS, F(IndexIVFScalarQuantizer_add_core)(sq, 2, x, NULL, NULL));
    CODE(FAILS, F(IndexIVFScalarQuantizer_add_core)(sq, 2, x, NULL, far));
    CODE(ENDS, F(IndexIVFScalarQuantizer_add_core)(sq, 2, x, NULL, nowhere));
    CODE(ENDS, F(IndexIVFFlat_update_vectors)(flat, 2, replace, x));
    CODE(ENDS, F(IndexIVF_make_direct_map)(flat, 1));
    CODE(ENDS, F(IndexIVFFlat_update_vectors)(flat, 2, replace, x));
    replace[1] = -1;
    CODE(ENDS, F(IndexIVFFlat_update_vectors)(flat, 2, replace, x));
    CODE(FAILS, F(IndexIVFFlat_update_vectors)(flat, -1, replace, x));
    float none[D];
    for (int i = 0; i < D; i++)
        none[i] = NAN;
    replace[0] = N;
    CODE(WORKS, F(IndexIVFFlat_update_vectors)(flat, 1, far, x));
    idx_t list;
    MUST(F(Index_assign)(F(IndexIVF_quantizer)(flat), 1, none, &list, 1));
    enum outcome want = list < 0 ? FAILS : ENDS; /* 1.7.3 finds a list for what is not a number */
    CODE(want, F(IndexIVFFlat_update_vectors)(flat, 1, far, none));
    CODE(WORKS, F(Index_add)(flat, 1, none));
    CODE(want, F(IndexIVFFlat_update_vectors)(flat, 1, replace, x));
    CODE(FAILS, F(IndexIVF_merge_from)(flat, sq, 0));
    CODE(ENDS, F(IndexIVF_train_encoder)(flat, 2, x, far));
    CODE(ENDS, F(IndexIVF_train_encoder)(sq, 20, x, NULL));
    F(Index_free)(flat);
    F(Index_free)(sq);
}

static void flat(void)
{
    FaissIndex *index = full("Flat"), *one;
    FaissIndex *empty;
    float distances[4];
    idx_t labels[][2] = {{0, N}, {0, -1}, {INT64_MIN, 0}, {INT64_MAX, 0}};
    for (int i = 0; i < 4; i++) {
        CODE(ENDS, F(IndexFlat_compute_distance_subset)(index, 1, x, 2, distances, labels[i]));
        CODE(ENDS, F(Index_dist_compute)(index, x, labels[i], 2, distances));
    }
    MUST(F(IndexFlat_new)(&empty));
    CODE(ENDS, F(Index_add)(empty, 3, x));
    CODE(ENDS, F(Index_search)(empty, 3, x, 2, out, ids));
    CODE(ENDS, F(Index_reconstruct)(empty, 0, out));
    F(Index_free)(empty);
    MUST(F(IndexFlat1D_new_with)(&one, 0));
    CODE(ENDS, F(Index_add)(one, 5, x));
    CODE(ENDS, F(Index_search)(one, 2, x, 3, out, ids));
    CODE(ENDS, F(IndexFlat1D_update_permutation)(one));
    CODE(ENDS, F(Index_search)(one, 2, x, 30, out, ids));
    F(Index_free)(one);
    CALL(FAILS, F(set_distance_compute_blas_query_bs)(0));
    CALL(FAILS, F(set_distance_compute_blas_database_bs)(0));
    CALL(FAILS, F(set_distance_compute_blas_query_bs)(-4));
    static const int thresholds[] = {-1, 0, 1};
    for (int i = 0; i < 3; i++) {
        CALL(ENDS, F(set_distance_compute_blas_threshold)(thresholds[i]));
        CALL(ENDS, F(set_distance_compute_min_k_reservoir)(thresholds[i]));
        CODE(ENDS, F(Index_search)(index, 30, x, 3, out, ids));
        CODE(ENDS, F(Index_search)(index, 30, x, 1, out, ids));
    }
    F(set_distance_compute_blas_threshold)(20);
    F(set_distance_compute_min_k_reservoir)(100);
    F(Index_free)(index);
}

/* Negative sizes, which FAISS treats as very large ones. */
static void lengths(void)
{
    static const idx_t labels[] = {0, 1};
    FaissIndex *index = full("Flat");
    CODE(FAILS, F(IndexFlat_compute_distance_subset)(index, 1, x, -1, out, labels));
    CODE(FAILS, F(IndexFlat_compute_distance_subset)(index, -1, x, -1, out, labels));
    CALL(FAILS, F(pairwise_L2sqr_with_defaults)(-1, 1, x, 1, x, out));
    CALL(FAILS, F(pairwise_L2sqr)(-1, 1, x, 1, x, out, -1, -1, -1));
    CALL(FAILS, F(pairwise_L2sqr)(D, -1, x, 1, x, out, -1, -1, -1));
    CALL(FAILS, F(fvec_norms_L2)(out, x, SIZE_MAX, 1));
    CODE(FAILS, F(kmeans_clustering)(D, 100, SIZE_MAX, x, out, NULL));
    F(Index_free)(index);
}

/* Lists that a binary index does not have. */
static void binary(void)
{
    enum { BITS = 128, LISTS = 4 };
    idx_t far[] = {0, LISTS}, beyond[] = {1000000000, 1};
    int32_t centroid_dis[2] = {0}, found[2];
    FaissIndexBinary *index = NULL;
    if (F(index_binary_factory)(&index, BITS, "BIVF4") != 0)
        return;
    about = "BIVF4";
    MUST(F(IndexBinary_train)(index, N, (const uint8_t *)x));
    MUST(F(IndexBinary_add)(index, N, (const uint8_t *)x));
    CODE(FAILS, F(IndexBinaryIVF_search_preassigned)(index, 2, bytes, 1, far, centroid_dis, found,
                                                     ids, 0, NULL));
    CODE(FAILS, F(IndexBinaryIVF_search_preassigned)(index, 2, bytes, 1, beyond, centroid_dis,
                                                     found, ids, 0, NULL));
    CODE(FAILS, F(IndexBinaryIVF_search_preassigned_with_params)(
                    index, 2, bytes, 1, far, centroid_dis, found, ids, 0, NULL));
    CODE(FAILS, F(IndexBinaryIVF_search_preassigned_with_params)(
                    index, 2, bytes, 1, beyond, centroid_dis, found, ids, 0, NULL));
    F(IndexBinary_free)(index);
}

static void ids_of_others(void)
{
    static const char *const types[] = {"IDMap,Flat", "IDMap2,Flat", "Flat", "HNSW8",
                                        "PCA8,Flat",  "LSH",         "SQ8",  "PCA8,IDMap,Flat"};
    idx_t own[3] = {INT64_MIN, -1, INT64_MAX};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        FaissIndex *index = make(D, types[i]);
        if (!index)
            continue;
        MUST(F(Index_train)(index, N, x));
        CODE(ENDS, F(Index_add_with_ids)(index, 3, x, NULL));
        CODE(ENDS, F(Index_add_with_ids)(index, 3, x, own));
        CODE(ENDS, F(Index_add_with_ids)(index, 3, x, own));
        CODE(ENDS, F(Index_reconstruct_n)(index, 0, 2, out));
        CODE(ENDS, F(Index_reconstruct)(index, INT64_MAX, out));
        F(Index_free)(index);
    }
}

int main(int argc, char **argv)
{
    static const char *const types[] = {
        "Flat",         "IVF4,Flat",   "IVF4,SQ8",         "HNSW8,Flat", "Flat,RFlat",
        "IDMap,Flat",   "IDMap2,Flat", "PCA8,IVF4,Flat",   "LSH",        "PQ4x4",
        "IVF4,PQ4x4",   "SQ8",         "IDMap,IVF4,Flat",  "PCA8,HNSW8", "PQ4x4fs",
        "IVF4,PQ4x4fs", "HNSW8,SQ8",   "IVF4,PQ4x4,RFlat", "NSG8,Flat"};
    begin_cases(argc, argv);
    x = random_vectors(MAX, D, 1);
    const char *only = argc > 1 + verbose ? argv[1] : NULL, *every = getenv("CRASH_EVERY");
    for (size_t i = 0; i < sizeof types / sizeof *types;
         i += every && atoi(every) > 0 ? (size_t)atoi(every) : 1) {
        if (only && strcmp(only, types[i]) != 0)
            continue;
        for (int k = 0; k < N; k++)
            ids[k] = k;
        FaissIndex *index = full(types[i]);
        if (!index)
            continue;
        searches(index);
        vectors(index);
        ranges(index);
        parameters(index);
        selectors(index);
        if (F(IndexIVF_cast)(index))
            inverted(index);
        F(Index_free)(index);
    }
    cores_of_adding();
    selectors_of_parts();
    flat();
    lengths();
    binary();
    ids_of_others();
    free(x);
    return end_cases();
}
