/* SPDX-License-Identifier: Apache-2.0 */
/* The life of binary indexes. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "life.h"

enum { D = 64, BYTES = D / 8 };

typedef FaissIndexBinary B;

static int search_binary(B *x, idx_t n, idx_t k)
{
    int32_t *dis = ROOM(int32_t, n * k);
    idx_t *ids = ROOM(idx_t, n * k);
    say("search n=%d k=%d", (int)n, (int)k);
    int rc = RC(IndexBinary_search, x, n, bits((size_t)n * BYTES, 7), k, dis, ids);
    if (rc == 0) {
        SHOW("distances", dis, n * k);
        SHOW("labels", ids, n * k);
    }
    return rc;
}

static void look_binary(B *x)
{
    GET(IndexBinary_d, x);
    GET(IndexBinary_is_trained, x);
    GET(IndexBinary_ntotal, x);
    GET(IndexBinary_metric_type, x);
    GET(IndexBinary_verbose, x);
    same("IndexBinaryFlat_cast", ASK(IndexBinaryFlat_cast, x), x);
    same("IndexBinaryIVF_cast", ASK(IndexBinaryIVF_cast, x), x);
}

static void searches_binary(B *x)
{
    static const idx_t shapes[][2] = {{1, 1}, {7, 5}, {25, 5}, {7, NB + 50}, {0, 5}, {3, 0}};
    idx_t *ids = ROOM(idx_t, 7 * 4);
    FaissRangeSearchResult *r = NULL;
    FaissIDSelector *sel[SELECTORS];
    for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++)
        search_binary(x, shapes[i][0], shapes[i][1]);
    if (RC(IndexBinary_assign, x, 7, bits(7 * BYTES, 7), ids, 4) == 0)
        SHOW("labels", ids, 7 * 4);
    if (RC(RangeSearchResult_new, &r, 7) == 0) {
        if (RC(IndexBinary_range_search, x, 7, bits(7 * BYTES, 7), 27, r) == 0) {
            size_t *lims = NULL;
            float *dis = NULL;
            idx_t *labels = NULL;
            DO(RangeSearchResult_lims, r, &lims);
            DO(RangeSearchResult_labels, r, &labels, &dis);
            SHOW("lims", lims, 8);
            SHOW("labels", labels, lims[7]);
            SHOW("distances", dis, lims[7]);
        }
        DO(RangeSearchResult_free, r);
    }
    if (!HAVE(IndexBinary_search_with_params))
        return;
    selectors_new(sel, 0, 1);
    for (int i = 0; i < SELECTORS; i++) {
        FaissSearchParameters *p = NULL;
        FaissSearchParametersIVF *ivf = NULL;
        FaissSearchParametersHNSW *hnsw = NULL;
        if (!sel[i])
            continue;
        RC(SearchParameters_new, &p, sel[i]);
        RC(SearchParametersIVF_new_with, &ivf, sel[i], 4, 0);
        RC(SearchParametersHNSW_new_with, &hnsw, sel[i], 20);
        FaissSearchParameters *all[] = {p, (FaissSearchParameters *)ivf,
                                        (FaissSearchParameters *)hnsw};
        for (int j = 0; j < 3; j++) {
            int32_t *dis = ROOM(int32_t, 7 * 4);
            if (all[j] && RC(IndexBinary_search_with_params, x, 7, bits(7 * BYTES, 7), 4, all[j],
                             dis, ids) == 0) {
                SHOW("distances", dis, 7 * 4);
                SHOW("labels", ids, 7 * 4);
            }
            DO(SearchParameters_free, all[j]);
        }
    }
    selectors_free(sel);
}

static void binary_ivf(B *x)
{
    size_t nlist = (size_t)GET(IndexBinaryIVF_nlist, x);
    B *q = ASK(IndexBinaryIVF_quantizer, x), *a = NULL, *b = NULL;
    idx_t n = 7, k = 5, probes, *ids = ROOM(idx_t, n * k), *assign;
    int32_t *dis = ROOM(int32_t, n * k), *cdis;
    same("quantizer", ASK(IndexBinaryIVF_quantizer, x), q);
    GET(IndexBinaryIVF_own_fields, x);
    DO(IndexBinaryIVF_set_own_fields, x, 0);
    GET(IndexBinaryIVF_own_fields, x);
    DO(IndexBinaryIVF_set_own_fields, x, 1);
    GET(IndexBinaryIVF_imbalance_factor, x);
    DO(IndexBinaryIVF_set_max_codes, x, 100);
    GET(IndexBinaryIVF_max_codes, x);
    DO(IndexBinaryIVF_set_max_codes, x, 0);
    for (int i = 0; i < 4; i++) {
        DO(IndexBinaryIVF_set_use_heap, x, i & 1);
        DO(IndexBinaryIVF_set_per_invlist_search, x, i >> 1);
        GET(IndexBinaryIVF_use_heap, x);
        GET(IndexBinaryIVF_per_invlist_search, x);
        /* Counting by list, FAISS overruns its memory if there are more lists than queries. */
        search_binary(x, i >> 1 ? 25 : 7, 5);
    }
    DO(IndexBinaryIVF_set_per_invlist_search, x, 0);
    DO(IndexBinaryIVF_set_nprobe, x, 3);
    probes = (idx_t)GET(IndexBinaryIVF_nprobe, x);
    assign = ROOM(idx_t, n * probes);
    cdis = ROOM(int32_t, n * probes);
    if (RC(IndexBinary_search, q, n, bits((size_t)n * BYTES, 7), probes, cdis, assign) == 0 &&
        RC(IndexBinaryIVF_search_preassigned, x, n, bits((size_t)n * BYTES, 7), k, assign, cdis,
           dis, ids, 0, NULL) == 0) {
        SHOW("distances", dis, n * k);
        SHOW("labels", ids, n * k);
    }
    for (size_t i = 0; i < nlist; i++) {
        size_t size = (size_t)GET(IndexBinaryIVF_get_list_size, x, i);
        idx_t *list = ROOM(idx_t, size);
        DO(IndexBinaryIVF_invlists_get_ids, x, i, list);
        SHOW("ids", list, size);
    }
    fflush(stdout);
    DO(IndexBinaryIVF_print_stats, x);
    if (RC(clone_index_binary, x, &a) == 0 && RC(clone_index_binary, x, &b) == 0) {
        RC(IndexBinaryIVF_merge_from, a, b, 1000);
        GET(IndexBinary_ntotal, a);
        GET(IndexBinary_ntotal, b);
        search_binary(a, 7, 5);
    }
    if (a)
        DO(IndexBinaryIVF_free, a);
    if (b)
        DO(IndexBinary_free, b);
    RC(IndexBinaryIVF_make_direct_map, x, 1);
}

static void saves_binary(B *x)
{
    B *y = NULL;
    char buf[8] = "";
    if (RC(write_index_binary_fname, x, "life.index") == 0) {
        show_file("saved", "life.index");
        if (RC(read_index_binary_fname, "life.index", 0, &y) == 0) {
            look_binary(y);
            search_binary(y, 7, 5);
            DO(IndexBinary_free, y);
        }
    }
    FILE *f = fopen("life.stream", "w+b");
    if (!f)
        return;
    fwrite("before", 1, 6, f);
    if (RC(write_index_binary, x, f) == 0) {
        fwrite("after", 1, 5, f);
        fseek(f, 6, SEEK_SET);
        if (RC(read_index_binary, f, 0, &y) == 0) {
            SHOW("after", buf, fread(buf, 1, sizeof buf, f));
            search_binary(y, 7, 5);
            DO(IndexBinary_free, y);
        }
    }
    fclose(f);
    show_file("stream", "life.stream");
    binary_callbacks(x);
    unlink("life.index");
    unlink("life.stream");
}

static void life_binary(B *x, int with_ids)
{
    uint8_t *data = bits(NB * BYTES, 2), *v = ROOM(uint8_t, 16 * D);
    FaissParameterSpace *space = NULL;
    B *copy = NULL;
    size_t removed = 4711;
    look_binary(x);
    if (!ASK(IndexBinary_is_trained, x))
        RC(IndexBinary_add, x, 2, data);
    RC(IndexBinary_train, x, NT, bits(NT * BYTES, 1));
    if (!with_ids)
        RC(IndexBinary_add, x, NB / 2, data);
    RC(IndexBinary_add_with_ids, x, NB / 2, data + BYTES * (NB / 2), numbers(NB / 2, NB / 2, 1));
    look_binary(x);
    searches_binary(x);
    if (RC(ParameterSpace_new, &space) == 0) {
        RC(ParameterSpace_set_index_parameter_binary, space, x, "nprobe", 5);
        RC(ParameterSpace_set_index_parameter_binary, space, x, "efSearch", 12);
        RC(ParameterSpace_set_index_parameter_binary, space, x, "nothing", 12);
        RC(ParameterSpace_set_index_parameters_binary, space, x, "nprobe=6");
        RC(ParameterSpace_set_index_parameters_binary, space, x, "efSearch=15");
        RC(ParameterSpace_set_index_parameters_cno_binary, space, x, 0);
        DO(ParameterSpace_free, space);
    }
    search_binary(x, 7, 5);
    if (ASK(IndexBinaryFlat_cast, x)) {
        RC(IndexBinary_reconstruct, x, 3, v);
        SHOW("vector", v, BYTES);
        RC(IndexBinary_reconstruct_n, x, 3, 9, v);
        SHOW("vectors", v, 16 * D);
    }
    if (ASK(IndexBinaryIVF_cast, x))
        binary_ivf(x);
    saves_binary(x);
    if (RC(clone_index_binary, x, &copy) == 0) {
        search_binary(copy, 7, 5);
        DO(IndexBinary_free, copy);
    }
    FaissIDSelectorRange *sel = NULL;
    RC(IDSelectorRange_new, &sel, 3, 60);
    if (RC(IndexBinary_remove_ids, x, (FaissIDSelector *)sel, &removed) == 0) {
        number("removed", (double)removed);
        search_binary(x, 7, 5);
    }
    DO(IDSelectorRange_free, sel);
    DO(IndexBinary_set_verbose, x, 0);
    RC(IndexBinary_reset, x);
    look_binary(x);
}

static void by_factory(void)
{
    static const char *const types[] = {"BFlat",         "BIVF16",   "BHNSW8",      "BIVF16_HNSW8",
                                        "BHash12",       "BHash2x9", "IDMap,BFlat", "BIDMap,BFlat",
                                        "BIDMap2,BFlat", "BNothing"};
    B *x = NULL;
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
        say("%s", types[i]);
        if (RC(index_binary_factory, &x, D, types[i]) == 0) {
            life_binary(x, strstr(types[i], "IDMap") != NULL);
            DO(IndexBinary_free, x);
        }
    }
}

/* Loads an empty IndexBinaryFlat, as FAISS saves it, for releases without a binary factory. */
static void from_file(void)
{
    struct __attribute__((packed)) {
        char name[4];
        int32_t d, code_size;
        int64_t ntotal;
        uint8_t trained;
        int32_t metric;
        uint64_t size;
    } head = {"IBxF", D, BYTES, 0, 1, METRIC_L2, 0};
    B *x = NULL;
    FILE *f = fopen("life.index", "wb");
    if (!f)
        return;
    fwrite(&head, sizeof head, 1, f);
    fclose(f);
    if (RC(read_index_binary_fname, "life.index", 0, &x) == 0) {
        life_binary(x, 0);
        RC(IndexBinary_add, x, 20, bits(20 * BYTES, 1));
        /* Not reconstruct_n: v1.7.3 writes eight times the buffer's size. */
        RC(IndexBinary_reconstruct, x, 3, ROOM(uint8_t, BYTES));
        if (HAVE(IndexBinaryFlat_free))
            DO(IndexBinaryFlat_free, x);
        else
            DO(IndexBinary_free, x);
    }
}

const struct life binary_lives[] = {
    {"binary by factory", by_factory}, {"binary from a file", from_file}, {0}};
