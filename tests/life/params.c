/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors, search parameters, and parameters by name. */
#include "life.h"

/* --- selectors --- */

enum { RANGE, BATCH, BITMAP, NOT, AND, OR, XOR, DEEP };

void selectors_new(FaissIDSelector *sel[SELECTORS], idx_t first, idx_t step)
{
    FaissIDSelectorRange *range = NULL;
    FaissIDSelectorBatch *batch = NULL;
    FaissIDSelectorBitmap *bitmap = NULL;
    FaissIDSelectorNot *not = NULL;
    FaissIDSelectorAnd *both = NULL;
    FaissIDSelectorOr *either = NULL;
    FaissIDSelectorXOr * xor = NULL, *deep = NULL;
    for (int i = 0; i < SELECTORS; i++)
        sel[i] = NULL;
    if (RC(IDSelectorRange_new, &range, first + 10 * step, first + 60 * step) == 0)
        sel[RANGE] = (FaissIDSelector *)range;
    if (RC(IDSelectorBatch_new, &batch, 50, numbers(50, first + step, 3 * step)) == 0)
        sel[BATCH] = (FaissIDSelector *)batch;
    if (RC(IDSelectorBitmap_new, &bitmap, 60, bits(60, 11)) == 0)
        sel[BITMAP] = (FaissIDSelector *)bitmap;
    if (RC(IDSelectorNot_new, &not, sel[RANGE]) == 0)
        sel[NOT] = (FaissIDSelector *)not ;
    if (RC(IDSelectorAnd_new, &both, sel[RANGE], sel[BATCH]) == 0)
        sel[AND] = (FaissIDSelector *)both;
    if (RC(IDSelectorOr_new, &either, sel[RANGE], sel[BATCH]) == 0)
        sel[OR] = (FaissIDSelector *)either;
    if (RC(IDSelectorXOr_new, &xor, sel[RANGE], sel[BATCH]) == 0)
        sel[XOR] = (FaissIDSelector *)xor;
    if (sel[NOT] && sel[OR] && RC(IDSelectorXOr_new, &deep, sel[NOT], sel[OR]) == 0)
        sel[DEEP] = (FaissIDSelector *)deep;
    for (int i = 0; i < SELECTORS; i++)
        for (idx_t id = -1; sel[i] && id < 20; id += 7)
            GET(IDSelector_is_member, sel[i], first + id * step);
}

void selectors_free(FaissIDSelector *sel[SELECTORS])
{
    for (int i = SELECTORS; i-- > 0;) {
        if (!sel[i])
            continue;
        if (i == RANGE)
            DO(IDSelectorRange_free, (FaissIDSelectorRange *)sel[i]);
        else if (i == BITMAP)
            DO(IDSelectorBitmap_free, (FaissIDSelectorBitmap *)sel[i]);
        else
            DO(IDSelector_free, sel[i]);
    }
}

/* --- search parameters --- */

static void search_with(const struct subject *s, idx_t n, const FaissSearchParameters *p)
{
    idx_t k = 6, *ids = ROOM(idx_t, n * k);
    float *dis = ROOM(float, n *k), *x = floats((size_t)(n * s->d), 7);
    if (RC(Index_search_with_params, s->index, n, x, k, p, dis, ids) == 0) {
        SHOW("distances", dis, n * k);
        SHOW("labels", ids, n * k);
    }
}

static void plain(const struct subject *s, FaissIDSelector *sel)
{
    FaissSearchParameters *p = NULL;
    if (RC(SearchParameters_new, &p, sel) != 0)
        return;
    search_with(s, 7, p);
    same("cast", ASK(SearchParametersIVF_cast, p), p);
    same("cast", ASK(SearchParametersHNSW_cast, p), p);
    DO(SearchParameters_free, p);
}

static void ivf(const struct subject *s, FaissIDSelector *sel)
{
    FaissSearchParametersIVF *p = NULL;
    if (RC(SearchParametersIVF_new_with, &p, sel, 5, 0) != 0)
        return;
    same("sel", ASK(SearchParametersIVF_sel, p), sel);
    search_with(s, 7, p);
    DO(SearchParametersIVF_set_nprobe, p, 16);
    DO(SearchParametersIVF_set_max_codes, p, 40);
    search_with(s, 25, p);
    GET(SearchParametersIVF_nprobe, p);
    GET(SearchParametersIVF_max_codes, p);
    DO(SearchParametersIVF_set_max_codes, p, 0);
    DO(SearchParametersIVF_set_max_lists_num, p, 3);
    DO(SearchParametersIVF_set_max_empty_result_buckets, p, 2);
    DO(SearchParametersIVF_set_ensure_topk_full, p, 1);
    GET(SearchParametersIVF_max_lists_num, p);
    GET(SearchParametersIVF_max_empty_result_buckets, p);
    GET(SearchParametersIVF_ensure_topk_full, p);
    search_with(s, 7, p);
    same("cast", ASK(SearchParametersIVF_cast, p), p);
    DO(SearchParametersIVF_free, p);
}

static void hnsw(const struct subject *s, FaissIDSelector *sel)
{
    FaissSearchParametersHNSW *p = NULL;
    if (RC(SearchParametersHNSW_new_with, &p, sel, 30) != 0)
        return;
    same("sel", ASK(SearchParametersHNSW_sel, p), sel);
    search_with(s, 7, p);
    DO(SearchParametersHNSW_set_efSearch, p, 4);
    DO(SearchParametersHNSW_set_bounded_queue, p, 0);
    DO(SearchParametersHNSW_set_check_relative_distance, p, 0);
    GET(SearchParametersHNSW_efSearch, p);
    GET(SearchParametersHNSW_bounded_queue, p);
    GET(SearchParametersHNSW_check_relative_distance, p);
    search_with(s, 25, p);
    same("cast", ASK(SearchParametersHNSW_cast, p), p);
    DO(SearchParametersHNSW_free, p);
}

void params(const struct subject *s)
{
    FaissIDSelector *sel[SELECTORS];
    FaissSearchParametersIVF *empty = NULL;
    FaissSearchParametersHNSW *empty_hnsw = NULL;
    if (!HAVE(Index_search_with_params))
        return;
    search_with(s, 7, NULL);
    selectors_new(sel, s->first, s->step);
    for (int i = -1; i < SELECTORS; i++) {
        if (i >= 0 && !sel[i])
            continue;
        say("selector %d", i);
        plain(s, i < 0 ? NULL : sel[i]);
        ivf(s, i < 0 ? NULL : sel[i]);
        hnsw(s, i < 0 ? NULL : sel[i]);
    }
    if (RC(SearchParametersIVF_new, &empty) == 0) {
        search_with(s, 7, empty);
        DO(SearchParametersIVF_free, empty);
    }
    if (RC(SearchParametersHNSW_new, &empty_hnsw) == 0) {
        search_with(s, 7, empty_hnsw);
        DO(SearchParametersHNSW_free, empty_hnsw);
    }
    selectors_free(sel);
}

/* --- by name --- */

void tune(FaissIndex *index)
{
    static const struct {
        const char *name;
        double value;
    } names[] = {{"nprobe", 7},
                 {"efSearch", 20},
                 {"ht", 30},
                 {"k_factor", 3},
                 {"k_factor_rf", 2},
                 {"max_codes", 300},
                 {"verbose", 0},
                 {"quantizer_nprobe", 2},
                 {"quantizer_efSearch", 9},
                 {"efConstruction", 50},
                 {"use_precomputed_table", 0},
                 {"nothing", 1},
                 {"", 0}};
    static const char *const strings[] = {
        "nprobe=3,verbose=0", "efSearch=18", "k_factor=2", "nprobe", "nprobe=x", ""};
    FaissParameterSpace *space = NULL;
    if (RC(ParameterSpace_new, &space) != 0)
        return;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        say("%s=%g", names[i].name, names[i].value);
        RC(ParameterSpace_set_index_parameter, space, index, names[i].name, names[i].value);
    }
    for (unsigned i = 0; i < sizeof strings / sizeof *strings; i++) {
        say("'%s'", strings[i]);
        RC(ParameterSpace_set_index_parameters, space, index, strings[i]);
    }
    DO(ParameterSpace_free, space);
}
