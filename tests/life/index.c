/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an index, from the first look at it to its reset. */
#include "life.h"

static void casts(FaissIndex *x)
{
#define CAST(f) same(#f, ASK(f, x), x)
    CAST(IndexFlat_cast);
    CAST(IndexFlatIP_cast);
    CAST(IndexFlatL2_cast);
    CAST(IndexFlat1D_cast);
    CAST(IndexRefineFlat_cast);
    CAST(IndexIVF_cast);
    CAST(IndexIVFFlat_cast);
    CAST(IndexIVFScalarQuantizer_cast);
    CAST(IndexScalarQuantizer_cast);
    CAST(IndexLSH_cast);
    CAST(IndexPreTransform_cast);
    CAST(IndexIDMap_cast);
    CAST(IndexIDMap2_cast);
}

void look(const struct subject *s)
{
    GET(Index_d, s->index);
    GET(Index_is_trained, s->index);
    GET(Index_ntotal, s->index);
    GET(Index_metric_type, s->index);
    GET(Index_verbose, s->index);
    size_t size = 0;
    /* Releases before v1.12.0 forget to store it. */
    if (HAVE(IndexBinaryIVF_cast) && RC(Index_sa_code_size, s->index, &size) == 0)
        number("size", (double)size);
}

int search(const struct subject *s, idx_t n, idx_t k)
{
    float *x = floats((size_t)(n * s->d), 7), *dis = ROOM(float, n *k);
    idx_t *ids = ROOM(idx_t, n * k);
    say("search n=%d k=%d", (int)n, (int)k);
    int rc = RC(Index_search, s->index, n, x, k, dis, ids);
    if (rc == 0) {
        SHOW("distances", dis, n * k);
        SHOW("labels", ids, n * k);
    }
    return rc;
}

static void range_search(const struct subject *s, idx_t n, float radius)
{
    FaissRangeSearchResult *r = NULL;
    size_t *lims = NULL;
    idx_t *ids = NULL;
    float *dis = NULL;
    if (RC(RangeSearchResult_new, &r, n) != 0)
        return;
    if (RC(Index_range_search, s->index, n, floats((size_t)(n * s->d), 7), radius, r) == 0) {
        DO(RangeSearchResult_lims, r, &lims);
        DO(RangeSearchResult_labels, r, &ids, &dis);
        SHOW("lims", lims, n + 1);
        SHOW("labels", ids, lims[n]);
        SHOW("distances", dis, lims[n]);
        say("arrays: %d", ids != NULL && dis != NULL);
        GET(RangeSearchResult_nq, r);
    }
    DO(RangeSearchResult_free, r);
}

void searches(const struct subject *s)
{
    static const idx_t shapes[][2] = {{1, 1}, {7, 5}, {25, 5}, {7, NB + 50}, {25, 1}, {0, 5}};
    float dis[5] = {0};
    idx_t ids[5];
    for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (shapes[i][0] >= s->least && (shapes[i][1] <= NB || !(s->flags & FEW)))
            search(s, shapes[i][0], shapes[i][1]);
    search(s, 3, 0);
    idx_t *labels = ROOM(idx_t, 7 * 3);
    if (RC(Index_assign, s->index, 7, floats((size_t)(7 * s->d), 7), labels, 3) == 0)
        SHOW("labels", labels, 7 * 3);
    /* A radius with some vectors inside and some outside, and one with none inside. */
    if (s->least < 2 && RC(Index_search, s->index, 1, floats((size_t)s->d, 7), 5, dis, ids) == 0) {
        range_search(s, 7, dis[4]);
        range_search(s, 25, dis[1]);
        range_search(s, 7, ASK(Index_metric_type, s->index) == METRIC_INNER_PRODUCT ? 1e30f : -1);
    }
}

static void reconstruct(const struct subject *s)
{
    float *x = ROOM(float, s->d * 20), *y = floats((size_t)s->d * 9, 5), *r;
    if (ASK(Index_ntotal, s->index) == 0)
        return; /* adding failed: FAISS would read invalid memory, or the texts would differ */
    idx_t key = s->first + 2 * s->step;
    int rc = RC(Index_reconstruct, s->index, key, x);
    if (rc == 0)
        SHOW("vector", x, s->d);
    /* FAISS's own loop over reconstruct() ends the process if that fails. */
    if (s->flags & LISTS || (rc == 0 && s->step == 1)) {
        if (RC(Index_reconstruct_n, s->index, s->first + 5, 9, x) == 0)
            SHOW("vectors", x, s->d * 20);
        RC(Index_reconstruct_n, s->index, s->first, 0, x);
    }
    if (rc != 0)
        return;
    r = ROOM(float, s->d * 9);
    if (RC(Index_compute_residual, s->index, y, r, key) == 0)
        SHOW("residual", r, s->d);
    idx_t *keys = numbers(9, key, s->step);
    if (RC(Index_compute_residual_n, s->index, 9, y, r, keys) == 0)
        SHOW("residuals", r, s->d * 9);
}

static void codes(const struct subject *s)
{
    enum { ROOMY = 1 << 16 };
    float *x = floats((size_t)s->d * 9, 3), *y = ROOM(float, s->d * 9);
    uint8_t *c = ROOM(uint8_t, ROOMY);
    /* Without the text: for an index without codes, the call that fails on a server is the one for
     * their size. */
    if (BARE(Index_sa_encode, s->index, 9, x, c) != 0)
        return;
    SHOW("codes", c, ROOMY);
    if (RC(Index_sa_decode, s->index, 9, c, y) == 0)
        SHOW("decoded", y, s->d * 9);
}

static void add(const struct subject *s)
{
    float *x = floats((size_t)s->d * NB, 2);
    idx_t *ids = numbers(NB, s->first, s->step);
    idx_t half = NB / 2;
    if (s->flags & WITH_IDS) {
        RC(Index_add, s->index, half, x);
        RC(Index_add_with_ids, s->index, half, x, ids);
    } else {
        RC(Index_add, s->index, half, x);
        if (!(s->flags & ANY_IDS))
            RC(Index_add_with_ids, s->index, half, x, ids);
    }
    RC(Index_add, s->index, 0, x);
    GET(Index_ntotal, s->index);
    x += half * s->d;
    if (s->flags & (WITH_IDS | ANY_IDS))
        RC(Index_add_with_ids, s->index, NB - half, x, ids + half);
    else
        RC(Index_add, s->index, NB - half, x);
    GET(Index_ntotal, s->index);
}

static void remove_ids(const struct subject *s)
{
    FaissIDSelector *sel[SELECTORS];
    size_t n;
    selectors_new(sel, s->first, s->step);
    for (int i = 0; i < SELECTORS; i++) {
        if (!sel[i])
            continue;
        n = 4711;
        say("remove by selector %d", i);
        if (RC(Index_remove_ids, s->index, sel[i], &n) != 0)
            break;
        number("removed", (double)n);
        GET(Index_ntotal, s->index);
        if (search(s, 7, 5) != 0)
            break;
    }
    selectors_free(sel);
}

static void clone(const struct subject *s)
{
    struct subject copy = *s;
    copy.index = NULL;
    if (RC(clone_index, s->index, &copy.index) != 0)
        return;
    same("clone", copy.index, s->index);
    look(&copy);
    search(&copy, 7, 5);
    RC(Index_add, copy.index, 3, floats((size_t)s->d * 3, 9));
    RC(Index_reset, copy.index);
    GET(Index_ntotal, copy.index);
    GET(Index_ntotal, s->index);
    DO(Index_free, copy.index);
}

void life(struct subject *s)
{
    look(s);
    casts(s->index);
    if (!ASK(Index_is_trained, s->index))
        RC(Index_add, s->index, 3, floats((size_t)s->d * 3, 1));
    RC(Index_train, s->index, NT, floats((size_t)s->d * NT, 1));
    GET(Index_is_trained, s->index);
    add(s);
    look(s);
    searches(s);
    params(s);
    tune(s->index);
    search(s, 25, 5);
    reconstruct(s);
    codes(s);
    saves(s);
    clone(s);
    class_functions(s);
    if (!(s->flags & NO_REMOVE))
        remove_ids(s);
    DO(Index_set_verbose, s->index, 0);
    RC(Index_reset, s->index);
    look(s);
    if (!(s->flags & NO_EMPTY))
        search(s, 7, 5);
    add(s);
    search(s, 7, 5);
}
