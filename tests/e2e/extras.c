/* SPDX-License-Identifier: Apache-2.0 */
/* Compares functions of forks with the functions that implement them (made= in proto/faiss.api).
 * If the library lacks them, they exist only with a server. */
#include "cases.h"

enum { D = 8, N = 300, NLIST = 4, K = 3, NQ = 2 };

static float *x;

static void same(const char *what, const void *a, const void *b, size_t size)
{
    cases++;
    if (memcmp(a, b, size) == 0)
        return;
    printf("not the same: %s\n", what);
    bad++;
}

static FaissIndex *full(const char *description)
{
    FaissIndex *index = make(D, description);
    MUST(F(Index_train)(index, N, x));
    MUST(F(Index_add)(index, N, x));
    return index;
}

static void of_any(void)
{
    FaissIndex *flat = full("Flat"), *a = full("IVF4,Flat"), *b = NULL;
    idx_t keys[] = {5, 0, 299};
    float got[3 * D], want[3 * D], distances[3], expected[3];
    CODE(WORKS, F(Index_reconstruct_batch)(flat, 3, keys, got));
    for (int i = 0; i < 3; i++)
        MUST(F(Index_reconstruct)(flat, keys[i], want + i * D));
    same("reconstruct_batch", got, want, sizeof got);
    CODE(WORKS, F(Index_dist_compute)(flat, x, keys, 3, distances));
    MUST(F(IndexFlat_compute_distance_subset)(flat, 1, x, 3, expected, keys));
    same("dist_compute", distances, expected, sizeof distances);
    keys[1] = N;
    CODE(FAILS, F(Index_dist_compute)(flat, x, keys, 3, distances));
    CODE(FAILS, F(Index_dist_compute)(a, x, keys, 3, distances));
    CODE(FAILS, F(Index_merge_from)(flat, flat, 0));
    MUST(F(clone_index)(a, &b));
    CODE(WORKS, F(Index_merge_from)(a, b, N));
    idx_t totals[] = {F(Index_ntotal)(a), F(Index_ntotal)(b)}, merged[] = {2 * N, 0};
    same("merge_from", totals, merged, sizeof totals);
    size_t size = F(Index_size)(flat), pointer = sizeof(void *);
    same("size", &size, &pointer, sizeof size);
    CALL(WORKS, F(set_omp_threads)(1));
    MUST(F(Index_add)(flat, N, x)); /* runs on the lane whose width was just set */
    F(Index_free)(flat);
    F(Index_free)(a);
    F(Index_free)(b);
}

static void of_lists(void)
{
    FaissIndex *ivf = full("IVF4,Flat"), *quantizer = F(IndexIVF_quantizer)(ivf);
    float centroids[NLIST * D], want[NLIST * D], near[NQ * K], there[NQ * K];
    size_t sizes[NLIST], size[NLIST];
    idx_t numbers[NLIST], number[NLIST], lists[NQ * K], list[NQ * K], labels[NQ * K];
    float assigned[NQ], distances[NQ * K];
    idx_t assign[NQ];
    CODE(WORKS, F(IndexIVF_get_centroids_and_cardinality)(ivf, centroids, sizes, numbers));
    for (size_t i = 0; i < NLIST; i++) {
        MUST(F(Index_reconstruct)(quantizer, (idx_t)i, want + i * D));
        size[i] = F(IndexIVF_get_list_size)(ivf, i);
        number[i] = (idx_t)i;
    }
    same("centroids", centroids, want, sizeof want);
    same("cardinality", sizes, size, sizeof size);
    same("numbers", numbers, number, sizeof number);
    CODE(WORKS, F(IndexIVF_get_centroids_and_cardinality)(ivf, centroids, sizes, NULL));
    CODE(WORKS, F(IndexIVF_search_closest_eligible_centroids)(ivf, NQ, x, K, near, lists, NULL));
    MUST(F(Index_search)(quantizer, NQ, x, K, there, list));
    same("closest centroids", lists, list, sizeof list);
    same("how close", near, there, sizeof near);
    MUST(F(Index_search)(quantizer, NQ, x, 1, assigned, assign));
    CODE(WORKS, F(IndexIVF_search_preassigned_with_params)(ivf, NQ, x, K, assign, assigned, near,
                                                           labels, 0, NULL));
    MUST(F(IndexIVF_search_preassigned)(ivf, NQ, x, K, assign, assigned, distances, list, 0));
    same("preassigned", labels, list, sizeof list);
    same("their distances", near, distances, sizeof near);
    CODE(FAILS, F(IndexIVF_set_direct_map)(ivf, 2));
    CODE(WORKS, F(IndexIVF_set_direct_map)(ivf, 1));
    CODE(WORKS, F(Index_reconstruct)(ivf, 7, want));
    CODE(WORKS, F(IndexIVF_set_direct_map)(ivf, 0));
    CODE(FAILS, F(Index_reconstruct)(ivf, 7, want));
    F(Index_free)(ivf);
}

static void counts(void)
{
    FaissIndex *ivf = full("IVF4,Flat");
    idx_t some[] = {1, 2, 3, 250, 900}, got[NLIST] = {100}, want[NLIST] = {100};
    FaissIDSelectorBatch *batch;
    FaissSearchParametersIVF *params = NULL;
    MUST(F(IDSelectorBatch_new)(&batch, 5, some));
    CODE(WORKS, F(SearchParametersIVF_new_with)(&params, (FaissIDSelector *)batch, 1, 0));
    CODE(WORKS, F(IndexIVF_make_direct_map)(ivf, 1));
    CODE(FAILS, F(IndexIVF_list_vector_count)(ivf, got, NLIST, NULL));
    CODE(FAILS, F(IndexIVF_list_vector_count)(ivf, got, NLIST - 1, params));
    before();
    int rc = F(IndexIVF_list_vector_count)(ivf, got, NLIST, params);
    after("list_vector_count", ENDS, rc); /* fails if the library has no search parameters */
    for (size_t i = 0; i < NLIST && rc == 0; i++) {
        size_t n = F(IndexIVF_get_list_size)(ivf, i);
        idx_t *ids = calloc(n + 1, sizeof *ids);
        F(IndexIVF_invlists_get_ids)(ivf, i, ids);
        for (size_t k = 0; k < n; k++)
            for (int s = 0; s < 5; s++)
                want[i] += ids[k] == some[s];
        free(ids);
    }
    same("list_vector_count", got, want, sizeof got);
    F(SearchParametersIVF_free)(params);
    F(IDSelector_free)((FaissIDSelector *)batch);
    F(Index_free)(ivf);
}

/* Functions under the names that a language binding used in some of its releases. */
static void of_bindings(void)
{
    FaissIndex *ivf = full("IVF4,Flat"), *rabitq = make(D, "IVF4,RaBitQ");
    FaissIndexBinary *bits = NULL, *others = NULL;
    float near[NQ * K], there[NQ * K];
    idx_t lists[NQ * K], list[NQ * K], some[] = {1, 2, 299}, got[NLIST] = {0}, want[NLIST] = {0};
    FaissIDSelectorBatch *batch;
    FaissSearchParametersIVF *params = NULL, *same_params = NULL;
    CODE(WORKS, F(Search_closest_eligible_centroids)(ivf, NQ, x, K, near, lists, NULL));
    MUST(F(IndexIVF_search_closest_eligible_centroids)(ivf, NQ, x, K, there, list, NULL));
    same("closest centroids, old name", lists, list, sizeof list);
    same("how close, old name", near, there, sizeof near);

    CODE(WORKS, F(get_lists_for_keys)(ivf, some, 3, lists));
    for (idx_t i = 0; i < NLIST; i++) {
        size_t n = F(IndexIVF_get_list_size)(ivf, (size_t)i);
        idx_t *ids = calloc(n + 1, sizeof *ids);
        F(IndexIVF_invlists_get_ids)(ivf, (size_t)i, ids);
        for (size_t k = 0; k < n; k++)
            for (int s = 0; s < 3; s++)
                if (ids[k] == some[s]) {
                    list[s] = i;
                    want[i]++;
                }
        free(ids);
    }
    same("get_lists_for_keys", lists, list, 3 * sizeof *list);
    some[1] = N;
    CODE(FAILS, F(get_lists_for_keys)(ivf, some, 3, lists));
    some[1] = 2;
    CODE(WORKS, F(get_lists_for_keys)(ivf, some, 0, lists));

    MUST(F(IDSelectorBatch_new)(&batch, 3, some));
    CODE(WORKS, F(SearchParametersIVF_new_with_sel)(&params, (FaissIDSelector *)batch));
    before();
    int rc = F(ivf_list_vector_count)(ivf, got, NLIST, params);
    after("ivf_list_vector_count", ENDS, rc); /* fails if the library has no search parameters */
    if (rc == 0)
        same("ivf_list_vector_count", got, want, sizeof got);
    MUST(F(SearchParametersIVF_new_with)(&same_params, (FaissIDSelector *)batch, 1, 0));
    int a = F(Index_search_with_params)(ivf, NQ, x, K, params, near, lists),
        b = F(Index_search_with_params)(ivf, NQ, x, K, same_params, there, list);
    same("its code with a selector", &a, &b, sizeof a);
    if (a == 0 && b == 0)
        same("what it finds with a selector", lists, list, sizeof list);
    F(SearchParametersIVF_free)(params);
    F(SearchParametersIVF_free)(same_params);

    CODE(FAILS, F(IndexIVF_has_RaBitQ)(ivf));
    if (rabitq)
        CODE(WORKS, F(IndexIVF_has_RaBitQ)(rabitq));
    MUST(F(SearchParametersRaBitQ_new_with)(&params, (FaissIDSelector *)batch, 4, 0));
    CODE(FAILS, F(Index_search_with_params)(rabitq ? rabitq : ivf, NQ, x, K, params, near, lists));
    F(SearchParametersIVF_free)(params);
    F(IDSelector_free)((FaissIDSelector *)batch);
    F(Index_free)(rabitq);
    F(Index_free)(ivf);

    uint8_t codes[2] = {0}, wanted[2] = {0x05, 0x80};
    float numbers[16] = {1, -1, 0.5f, 0, [15] = 2};
    CALL(WORKS, F(real_to_binary)(2, 8, numbers, codes));
    same("real_to_binary", codes, wanted, sizeof codes);
    CALL(FAILS, F(real_to_binary)(1, 9, numbers, codes));

    F(index_binary_factory)(&bits, 64, "BFlat");
    F(index_binary_factory)(&others, 64, "BFlat");
    if (bits && others) {
        size_t size = 0, eight = 8;
        CODE(WORKS, F(IndexBinary_sa_code_size)(bits, &size));
        same("code size", &size, &eight, sizeof size);
        CODE(FAILS, F(Set_quantizers_binary)(bits, others));
        F(IndexBinary_free)(bits);
        F(IndexBinary_free)(others);
    }
}

int main(int argc, char **argv)
{
    begin_cases(argc, argv);
    x = random_vectors(N, D, 3);
    of_any();
    of_lists();
    counts();
    of_bindings();
    free(x);
    return end_cases();
}
