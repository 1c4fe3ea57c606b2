/* SPDX-License-Identifier: Apache-2.0 */
/* Value objects, which live in the client: they work without a server, and wrong use of them does
 * not crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "faiss_c_compat.h"
#include "shim/faissx.h"

#define SEL(s) ((FaissIDSelector *)(s))

static void assert_error(int code, const char *text)
{
    const char *error = faiss_get_last_error();
    assert_int_equal(faissx_last_error_code(), code);
    assert_non_null(error);
    if (!strstr(error, text))
        fail_msg("'%s' is not in '%s'", text, error);
}

/* Clear the thread's last error. */
static void clear_error(void)
{
    faiss_IDSelectorRange_imin(NULL);
    assert_error(FAISSX_E_ARGUMENT, "faiss_IDSelectorRange_imin");
}

static void assert_no_error(void)
{
    assert_error(FAISSX_E_ARGUMENT, "faiss_IDSelectorRange_imin: the FaissIDSelectorRange is NULL");
}

/* --- no server --- */

static void there_is_no_server(void **state)
{
    (void)state;
    FaissIndexFlatL2 *index = NULL;
    assert_null(faiss_get_last_error());
    assert_int_equal(faissx_last_error_code(), FAISSX_OK);
    assert_int_equal(faiss_IndexFlatL2_new_with(&index, 4), -4);
    assert_error(FAISSX_E_CONNECT, "/nonexistent/");
    assert_null(index);
}

/* --- selectors --- */

static FaissIDSelector *range(idx_t imin, idx_t imax)
{
    FaissIDSelectorRange *s = NULL;
    assert_int_equal(faiss_IDSelectorRange_new(&s, imin, imax), 0);
    return SEL(s);
}

static FaissIDSelector *batch(size_t n, const idx_t *ids)
{
    FaissIDSelectorBatch *s = NULL;
    assert_int_equal(faiss_IDSelectorBatch_new(&s, n, ids), 0);
    return SEL(s);
}

static FaissIDSelector *bitmap(size_t n, const uint8_t *bits)
{
    FaissIDSelectorBitmap *s = NULL;
    assert_int_equal(faiss_IDSelectorBitmap_new(&s, n, bits), 0);
    return SEL(s);
}

static FaissIDSelector *inverse(FaissIDSelector *a)
{
    FaissIDSelectorNot *s = NULL;
    assert_int_equal(faiss_IDSelectorNot_new(&s, a), 0);
    return SEL(s);
}

#define COMPOSE(name, Op)                                                \
    static FaissIDSelector *name(FaissIDSelector *a, FaissIDSelector *b) \
    {                                                                    \
        FaissIDSelector##Op *s = NULL;                                   \
        assert_int_equal(faiss_IDSelector##Op##_new(&s, a, b), 0);       \
        return SEL(s);                                                   \
    }
COMPOSE(both, And)
COMPOSE(either, Or)
COMPOSE(one, XOr)

/* The members among the ids 0 to 15: bit i is set if i is one. */
static unsigned members(const FaissIDSelector *s)
{
    unsigned set = 0;
    for (int id = 0; id < 16; id++)
        set |= (unsigned)faiss_IDSelector_is_member(s, id) << id;
    return set;
}

static void selectors_have_members(void **state)
{
    (void)state;
    const idx_t ids[] = {1, 7, 12, -3};
    const uint8_t bits[] = {0xf0, 0x01};
    FaissIDSelector *r = range(2, 5), *b = batch(4, ids), *m = bitmap(2, bits);
    FaissIDSelector *none = batch(0, NULL), *empty = range(5, 2), *nothing = bitmap(0, NULL);
    assert_int_equal(members(r), 0x001c);
    assert_int_equal(members(b), 0x1082);
    assert_int_equal(members(m), 0x01f0);
    assert_int_equal(members(none), 0);
    assert_int_equal(members(empty), 0);
    assert_int_equal(members(nothing), 0);
    assert_int_equal(faiss_IDSelector_is_member(b, -3), 1);
    assert_int_equal(faiss_IDSelector_is_member(b, INT64_MIN), 0);
    assert_int_equal(faiss_IDSelector_is_member(m, -1), 0);
    assert_int_equal(faiss_IDSelector_is_member(m, 16), 0);
    assert_int_equal(faiss_IDSelector_is_member(m, INT64_MAX), 0);

    FaissIDSelector *any = either(r, b), *tree = both(any, inverse(m)), *differ = one(tree, b);
    FaissIDSelector *self = one(b, b);
    assert_int_equal(members(any), 0x109e);
    assert_int_equal(members(tree), 0x100e);
    assert_int_equal(members(differ), 0x008c);
    assert_int_equal(members(inverse(tree)), 0xeff1);
    assert_int_equal(members(self), 0);
}

static void a_batch_is_copied_and_a_bitmap_is_not(void **state)
{
    (void)state;
    idx_t ids[] = {3};
    uint8_t bits[] = {1 << 3};
    FaissIDSelector *b = batch(1, ids), *m = bitmap(1, bits);
    ids[0] = 4;
    bits[0] = 1 << 4;
    assert_int_equal(members(b), 1 << 3);
    assert_int_equal(members(m), 1 << 4);
    faiss_IDSelector_free(b);
    faiss_IDSelectorBitmap_free((FaissIDSelectorBitmap *)m);
}

static void selectors_return_their_fields(void **state)
{
    (void)state;
    const idx_t ids[5] = {0};
    const uint8_t bits[3] = {0};
    FaissIDSelector *r = range(-7, INT64_MAX), *m = bitmap(3, bits);
    assert_int_equal(faiss_IDSelectorRange_imin((FaissIDSelectorRange *)r), -7);
    assert_int_equal(faiss_IDSelectorRange_imax((FaissIDSelectorRange *)r), INT64_MAX);
    assert_int_equal(faiss_IDSelectorBitmap_n((FaissIDSelectorBitmap *)m), 3);
    assert_ptr_equal(faiss_IDSelectorBitmap_bitmap((FaissIDSelectorBitmap *)m), bits);
    /* FAISS's Bloom filter: enough bits to count the ids, and 5 more. */
    const struct {
        size_t n;
        int nbits;
    } sizes[] = {{0, 5}, {1, 5}, {2, 6}, {3, 7}, {4, 7}, {5, 8}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        FaissIDSelectorBatch *b = (FaissIDSelectorBatch *)batch(sizes[i].n, ids);
        assert_int_equal(faiss_IDSelectorBatch_nbits(b), sizes[i].nbits);
        assert_int_equal(faiss_IDSelectorBatch_mask(b), (1 << sizes[i].nbits) - 1);
        faiss_IDSelector_free(SEL(b));
    }
    assert_int_equal(faissx_is_remote(r), 1);
    assert_int_equal(faissx_is_remote(bits), 0);
    assert_int_equal(faissx_is_remote(NULL), 0);
}

static void a_part_that_was_freed_is_noticed(void **state)
{
    (void)state;
    FaissIDSelector *a = range(0, 4), *b = range(2, 6), *t = either(a, inverse(b));
    assert_int_equal(faiss_IDSelector_is_member(t, 9), 1);
    faiss_IDSelector_free(b);
    clear_error();
    assert_int_equal(faiss_IDSelector_is_member(t, 9), 1); /* b was freed: an error is reported */
    assert_error(FAISSX_E_HANDLE, "the FaissIDSelector was freed before");
    faiss_IDSelector_free(t); /* does not free its parts */
    clear_error();
    assert_int_equal(faiss_IDSelector_is_member(a, 3), 1);
    assert_no_error();
}

static void a_tree_can_be_too_deep(void **state)
{
    (void)state;
    FaissIDSelector *s = range(0, 1);
    clear_error();
    for (int depth = 1; depth <= 10; depth++) {
        s = inverse(s);
        assert_int_equal(faiss_IDSelector_is_member(s, 0), depth % 2 == 0);
    }
    assert_no_error();
    for (int depth = 0; depth < 10; depth++)
        s = inverse(s);
    faiss_IDSelector_is_member(s, 0);
    assert_error(FAISSX_E_LIMIT, "nested too deeply");
}

static void a_selector_needs_its_arguments(void **state)
{
    (void)state;
    FaissIDSelectorBatch *b = NULL;
    assert_int_equal(faiss_IDSelectorBatch_new(&b, 2, NULL), -4);
    assert_error(FAISSX_E_ARGUMENT, "faiss_IDSelectorBatch_new: there cannot be 2 ids");
    const idx_t id = 0;
    assert_int_equal(faiss_IDSelectorBatch_new(&b, SIZE_MAX / 8, &id), -4);
    assert_error(FAISSX_E_ARGUMENT, "faiss_IDSelectorBatch_new");
    assert_null(b);
    assert_int_equal(faiss_IDSelectorRange_new(NULL, 0, 1), -4);
    assert_error(FAISSX_E_ARGUMENT,
                 "faiss_IDSelectorRange_new: the pointer to the new object is NULL");
    assert_int_equal(faiss_IDSelector_is_member(NULL, 0), 0);
    assert_error(FAISSX_E_ARGUMENT, "the FaissIDSelector is NULL");
}

/* --- search parameters --- */

#define CHECK_SET(Class, obj, name, value)                    \
    do {                                                      \
        faiss_##Class##_set_##name(obj, value);               \
        assert_int_equal(faiss_##Class##_##name(obj), value); \
    } while (0)

static void parameters_of_an_ivf(void **state)
{
    (void)state;
    FaissSearchParametersIVF *p = NULL, *q = NULL;
    FaissIDSelector *sel = range(0, 10);
    assert_int_equal(faiss_SearchParametersIVF_new(&p), 0);
    assert_null(faiss_SearchParametersIVF_sel(p));
    assert_int_equal(faiss_SearchParametersIVF_nprobe(p), 1);
    assert_int_equal(faiss_SearchParametersIVF_max_codes(p), 0);
    assert_int_equal(faiss_SearchParametersIVF_max_lists_num(p), 0);
    assert_int_equal(faiss_SearchParametersIVF_max_empty_result_buckets(p), 0);
    assert_int_equal(faiss_SearchParametersIVF_ensure_topk_full(p), 0);
    CHECK_SET(SearchParametersIVF, p, nprobe, 16);
    CHECK_SET(SearchParametersIVF, p, max_codes, SIZE_MAX);
    CHECK_SET(SearchParametersIVF, p, max_lists_num, 3);
    CHECK_SET(SearchParametersIVF, p, max_empty_result_buckets, 4);
    CHECK_SET(SearchParametersIVF, p, ensure_topk_full, 1);
    assert_int_equal(faiss_SearchParametersIVF_new_with(&q, sel, 5, 6), 0);
    assert_ptr_equal(faiss_SearchParametersIVF_sel(q), sel);
    assert_int_equal(faiss_SearchParametersIVF_nprobe(q), 5);
    assert_int_equal(faiss_SearchParametersIVF_max_codes(q), 6);
    faiss_SearchParametersIVF_free(p);
    faiss_SearchParameters_free((FaissSearchParameters *)q);
    assert_int_equal(faiss_IDSelector_is_member(sel, 9), 1); /* not freed with the parameters */
}

static void parameters_of_an_hnsw(void **state)
{
    (void)state;
    FaissSearchParametersHNSW *p = NULL, *q = NULL;
    FaissIDSelector *sel = range(0, 10);
    assert_int_equal(faiss_SearchParametersHNSW_new(&p), 0);
    assert_null(faiss_SearchParametersHNSW_sel(p));
    assert_int_equal(faiss_SearchParametersHNSW_efSearch(p), 16);
    assert_int_equal(faiss_SearchParametersHNSW_check_relative_distance(p), 1);
    assert_int_equal(faiss_SearchParametersHNSW_bounded_queue(p), 1);
    CHECK_SET(SearchParametersHNSW, p, efSearch, 128);
    CHECK_SET(SearchParametersHNSW, p, check_relative_distance, 0);
    CHECK_SET(SearchParametersHNSW, p, bounded_queue, 0);
    assert_int_equal(faiss_SearchParametersHNSW_new_with(&q, sel, 64), 0);
    assert_ptr_equal(faiss_SearchParametersHNSW_sel(q), sel);
    assert_int_equal(faiss_SearchParametersHNSW_efSearch(q), 64);
    faiss_SearchParametersHNSW_free(p);
    faiss_SearchParametersHNSW_free(q);
}

static void casts_return_the_same_handle_or_null(void **state)
{
    (void)state;
    FaissSearchParameters *base = NULL;
    FaissSearchParametersIVF *ivf = NULL;
    FaissSearchParametersHNSW *hnsw = NULL;
    assert_int_equal(faiss_SearchParameters_new(&base, NULL), 0);
    assert_int_equal(faiss_SearchParametersIVF_new(&ivf), 0);
    assert_int_equal(faiss_SearchParametersHNSW_new(&hnsw), 0);
    clear_error();
    assert_ptr_equal(faiss_SearchParametersIVF_cast(ivf), ivf);
    assert_ptr_equal(faiss_SearchParametersHNSW_cast(hnsw), hnsw);
    assert_null(faiss_SearchParametersIVF_cast(hnsw));
    assert_null(faiss_SearchParametersHNSW_cast(ivf));
    assert_null(faiss_SearchParametersIVF_cast(base));
    assert_null(faiss_SearchParametersHNSW_cast(base));
    assert_null(faiss_SearchParametersIVF_cast(NULL));
    assert_no_error();
    assert_int_equal(faiss_SearchParametersIVF_nprobe(hnsw), 0);
    assert_error(FAISSX_E_HANDLE,
                 "expected a FaissSearchParametersIVF, got a FaissSearchParametersHNSW");
    faiss_SearchParameters_free(hnsw);
    faiss_SearchParameters_free(base);
    assert_null(faiss_SearchParametersIVF_cast(base));
    assert_error(FAISSX_E_HANDLE, "freed before");
}

/* --- results of range searches --- */

static void a_result_is_filled_by_its_owner(void **state)
{
    (void)state;
    FaissRangeSearchResult *r = NULL;
    size_t *lims = NULL, *again = NULL;
    idx_t label = 0, *labels = &label;
    float distance = 0, *distances = &distance;
    assert_int_equal(faiss_RangeSearchResult_new(&r, 3), 0);
    assert_int_equal(faiss_RangeSearchResult_nq(r), 3);
    assert_int_equal(faiss_RangeSearchResult_buffer_size(r), 1024 * 256);
    faiss_RangeSearchResult_lims(r, &lims);
    faiss_RangeSearchResult_labels(r, &labels, &distances);
    assert_non_null(lims);
    assert_null(labels);
    assert_null(distances);
    for (int i = 0; i < 4; i++)
        assert_int_equal(lims[i], 0);
    lims[0] = 2;
    lims[1] = 0;
    lims[2] = 5;
    assert_int_equal(faiss_RangeSearchResult_do_allocation(r), 0);
    faiss_RangeSearchResult_lims(r, &again);
    assert_ptr_equal(again, lims);
    const size_t want[] = {0, 2, 2, 7};
    assert_memory_equal(lims, want, sizeof want);
    faiss_RangeSearchResult_labels(r, &labels, &distances);
    assert_non_null(labels);
    assert_non_null(distances);
    labels[6] = 1;
    distances[6] = 1;
    assert_int_equal(faiss_RangeSearchResult_do_allocation(r), -2);
    assert_error(FAISSX_E_ARGUMENT, "allocated already");
    faiss_RangeSearchResult_free(r);
}

static void a_result_may_have_no_lims(void **state)
{
    (void)state;
    FaissRangeSearchResult *r = NULL;
    size_t *lims = (size_t *)&r;
    assert_int_equal(faiss_RangeSearchResult_new_with(&r, 2, 0), 0);
    faiss_RangeSearchResult_lims(r, &lims);
    assert_null(lims);
    assert_int_equal(faiss_RangeSearchResult_do_allocation(r), -2);
    assert_error(FAISSX_E_ARGUMENT, "no lims");
    faiss_RangeSearchResult_free(r);
    r = NULL;
    assert_int_equal(faiss_RangeSearchResult_new(&r, -1), -4);
    assert_int_equal(faiss_RangeSearchResult_new(&r, INT64_MAX), -4);
    assert_error(FAISSX_E_ARGUMENT, "nq is 9223372036854775807");
    assert_null(r);
    assert_int_equal(faiss_RangeSearchResult_new(&r, 2), 0);
    faiss_RangeSearchResult_lims(r, &lims);
    lims[0] = SIZE_MAX;
    lims[1] = 2;
    assert_int_equal(faiss_RangeSearchResult_do_allocation(r), -4);
    assert_error(FAISSX_E_ARGUMENT, "overflow");
    faiss_RangeSearchResult_free(r);
}

static void a_result_is_put_together_from_partial_ones(void **state)
{
    (void)state;
    FaissRangeSearchResult *r = NULL;
    FaissRangeSearchPartialResult *p = NULL;
    FaissRangeQueryResult *two = NULL, *zero = NULL;
    assert_int_equal(faiss_RangeSearchResult_new(&r, 3), 0);
    assert_int_equal(faiss_RangeSearchPartialResult_new(&p, r), 0);
    assert_ptr_equal(faiss_RangeSearchPartialResult_res(p), r);
    /* As in FAISS: one query is filled after another. */
    assert_int_equal(faiss_RangeSearchPartialResult_new_result(p, 2, &two), 0);
    assert_int_equal(faiss_RangeQueryResult_add(two, 0.5f, 20), 0);
    assert_int_equal(faiss_RangeQueryResult_add(two, 0.25f, 21), 0);
    assert_int_equal(faiss_RangeSearchPartialResult_new_result(p, 0, &zero), 0);
    assert_int_equal(faiss_RangeQueryResult_add(zero, 1.5f, 10), 0);
    assert_int_equal(faiss_RangeQueryResult_qno(two), 2);
    assert_int_equal(faiss_RangeQueryResult_nres(two), 2);
    assert_int_equal(faiss_RangeQueryResult_nres(zero), 1);
    assert_ptr_equal(faiss_RangeQueryResult_pres(zero), p);
    assert_int_equal(faiss_RangeSearchPartialResult_finalize(p), 0);
    size_t *lims = NULL;
    idx_t *labels = NULL;
    float *distances = NULL;
    faiss_RangeSearchResult_lims(r, &lims);
    faiss_RangeSearchResult_labels(r, &labels, &distances);
    const size_t want[] = {0, 1, 1, 3};
    assert_memory_equal(lims, want, sizeof want);
    assert_int_equal(labels[0], 10);
    assert_int_equal(labels[1], 20);
    assert_int_equal(labels[2], 21);
    assert_float_equal(distances[0], 1.5, 0);
    assert_float_equal(distances[2], 0.25, 0);
    faiss_RangeSearchResult_free(r);
    assert_int_equal(faiss_RangeSearchPartialResult_finalize(p), -4);
    assert_error(FAISSX_E_HANDLE, "the FaissRangeSearchResult was freed before");
}

static void a_partial_result_can_be_copied_in_steps(void **state)
{
    (void)state;
    FaissRangeSearchResult *r = NULL;
    FaissRangeSearchPartialResult *p = NULL;
    FaissRangeQueryResult *q = NULL;
    size_t *lims = NULL;
    assert_int_equal(faiss_RangeSearchResult_new(&r, 1), 0);
    assert_int_equal(faiss_RangeSearchPartialResult_new(&p, r), 0);
    assert_int_equal(faiss_RangeSearchPartialResult_new_result(p, 0, &q), 0);
    assert_int_equal(faiss_RangeQueryResult_add(q, 1, 7), 0);
    assert_int_equal(faiss_RangeSearchPartialResult_set_result(p, 0), -4); /* no room yet */
    assert_int_equal(faiss_RangeSearchPartialResult_set_lims(p), 0);
    faiss_RangeSearchResult_lims(r, &lims);
    assert_int_equal(lims[0], 1);
    assert_int_equal(faiss_RangeSearchResult_do_allocation(r), 0);
    assert_int_equal(faiss_RangeSearchPartialResult_set_result(p, 1), 0);
    assert_int_equal(lims[0], 1);
    assert_int_equal(faiss_RangeSearchPartialResult_set_result(p, 1), -4); /* it is full */
    faiss_RangeSearchResult_free(r);
}

static void a_query_out_of_range_is_refused(void **state)
{
    (void)state;
    FaissRangeSearchResult *r = NULL;
    FaissRangeSearchPartialResult *p = NULL;
    FaissRangeQueryResult *q = NULL;
    assert_int_equal(faiss_RangeSearchResult_new(&r, 2), 0);
    assert_int_equal(faiss_RangeSearchPartialResult_new(&p, r), 0);
    assert_int_equal(faiss_RangeSearchPartialResult_new_result(p, 2, &q), 0);
    assert_int_equal(faiss_RangeSearchPartialResult_finalize(p), -4);
    assert_error(FAISSX_E_ARGUMENT, "qno is 2, but the result has 2 queries");
    faiss_RangeSearchResult_free(r);
    assert_int_equal(faiss_RangeSearchPartialResult_new(&p, NULL), -4);
    assert_int_equal(faiss_RangeQueryResult_add(NULL, 0, 0), -4);
    assert_int_equal(faiss_RangeQueryResult_add((FaissRangeQueryResult *)p, 0, 0), -4);
    assert_error(FAISSX_E_HANDLE,
                 "expected a FaissRangeQueryResult, got a FaissRangeSearchPartialResult");
}

/* --- buffers --- */

static void a_range_of_buffers_is_copied(void **state)
{
    (void)state;
    FaissBufferList *l = NULL;
    idx_t ids[12];
    float dis[12];
    assert_int_equal(faiss_BufferList_new(&l, 3), 0);
    assert_int_equal(faiss_BufferList_buffer_size(l), 3);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(faiss_BufferList_add(l, 100 + i, (float)i), 0);
        assert_int_equal(faiss_BufferList_wp(l), i % 3 + 1);
    }
    for (size_t ofs = 0; ofs <= 8; ofs++)
        for (size_t n = 0; n <= 8 - ofs; n++) {
            memset(ids, 0xff, sizeof ids);
            assert_int_equal(faiss_BufferList_copy_range(l, ofs, n, ids + 1, dis + 1), 0);
            assert_int_equal(ids[0], -1);
            assert_int_equal(ids[n + 1], -1);
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(ids[i + 1], 100 + ofs + i);
                assert_float_equal(dis[i + 1], (float)(ofs + i), 0);
            }
        }
    faiss_BufferList_free(l);
}

static void a_range_beyond_the_buffers_is_refused(void **state)
{
    (void)state;
    FaissBufferList *l = NULL;
    idx_t ids[4];
    float dis[4];
    assert_int_equal(faiss_BufferList_new(&l, 2), 0);
    assert_int_equal(faiss_BufferList_copy_range(l, 0, 1, ids, dis), -4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(faiss_BufferList_add(l, i, 0), 0);
    const struct {
        size_t ofs, n;
    } bad[] = {{0, 4}, {3, 1}, {4, 1}, {1, 3}, {1, SIZE_MAX}, {SIZE_MAX, 1}, {SIZE_MAX, 2}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        clear_error();
        assert_int_equal(faiss_BufferList_copy_range(l, bad[i].ofs, bad[i].n, ids, dis), -4);
        assert_error(FAISSX_E_ARGUMENT, "faiss_BufferList_copy_range");
    }
    assert_int_equal(faiss_BufferList_append_buffer(l), 0);
    assert_int_equal(faiss_BufferList_wp(l), 0);
    faiss_BufferList_free(l);
    assert_int_equal(faiss_BufferList_new(&l, 0), 0);
    assert_int_equal(faiss_BufferList_add(l, 0, 0), -4); /* in FAISS, a division by 0 */
    assert_int_equal(faiss_BufferList_copy_range(l, 0, 1, ids, dis), -4);
    faiss_BufferList_free(l);
}

/* --- readers and writers --- */

static size_t no_read(void *ptr, size_t size, size_t nitems)
{
    (void)ptr, (void)size, (void)nitems;
    return 0;
}

static size_t no_write(const void *ptr, size_t size, size_t nitems)
{
    (void)ptr, (void)size, (void)nitems;
    return 0;
}

static void readers_and_writers(void **state)
{
    (void)state;
    FaissCustomIOReader *r = NULL;
    FaissCustomIOWriter *w = NULL;
    FaissIndex *index = NULL;
    assert_int_equal(faiss_CustomIOReader_new(&r, NULL), -4);
    assert_error(FAISSX_E_ARGUMENT, "faiss_CustomIOReader_new: func_in is NULL");
    assert_int_equal(faiss_CustomIOWriter_new(&w, NULL), -4);
    assert_error(FAISSX_E_ARGUMENT, "faiss_CustomIOWriter_new: func_in is NULL");
    assert_int_equal(faiss_CustomIOReader_new(&r, no_read), 0);
    assert_int_equal(faiss_CustomIOWriter_new(&w, no_write), 0);
    assert_int_equal(faiss_read_index_custom((FaissIOReader *)w, 0, &index), -4);
    assert_error(FAISSX_E_HANDLE, "expected a FaissIOReader, got a FaissCustomIOWriter");
    assert_int_equal(faiss_read_index_custom(NULL, 0, &index), -4);
    assert_error(FAISSX_E_ARGUMENT, "faiss_read_index_custom: io_reader is NULL");
    assert_int_equal(faiss_write_index_custom((FaissIndex *)r, (FaissIOWriter *)w, 0), -4);
    assert_error(FAISSX_E_HANDLE, "expected a FaissIndex, got a FaissCustomIOReader");
    faiss_CustomIOWriter_free((FaissCustomIOWriter *)r);
    assert_error(FAISSX_E_HANDLE, "expected a FaissCustomIOWriter, got a FaissCustomIOReader");
    faiss_IOReader_free((FaissIOReader *)r); /* the base class's function */
    faiss_CustomIOWriter_free(w);
    assert_int_equal(faiss_read_index_custom((FaissIOReader *)r, 0, &index), -4);
    assert_error(FAISSX_E_HANDLE, "freed before");
    assert_null(index);
}

/* --- freeing --- */

static void freeing_null_does_nothing(void **state)
{
    (void)state;
    clear_error();
    faiss_IDSelector_free(NULL);
    faiss_IDSelectorRange_free(NULL);
    faiss_IDSelectorBitmap_free(NULL);
    faiss_SearchParameters_free(NULL);
    faiss_SearchParametersIVF_free(NULL);
    faiss_SearchParametersHNSW_free(NULL);
    faiss_RangeSearchResult_free(NULL);
    faiss_BufferList_free(NULL);
    faiss_IOReader_free(NULL);
    faiss_IOWriter_free(NULL);
    faiss_CustomIOReader_free(NULL);
    faiss_CustomIOWriter_free(NULL);
    faiss_free_buf(NULL);
    assert_no_error();
}

static void freeing_twice_is_an_error(void **state)
{
    (void)state;
    FaissIDSelector *s = range(0, 1);
    FaissSearchParameters *p = NULL;
    FaissRangeSearchResult *r = NULL;
    FaissBufferList *l = NULL;
    assert_int_equal(faiss_SearchParameters_new(&p, NULL), 0);
    assert_int_equal(faiss_RangeSearchResult_new(&r, 1), 0);
    assert_int_equal(faiss_BufferList_new(&l, 1), 0);
    clear_error();
    faiss_IDSelector_free(s);
    faiss_SearchParameters_free(p);
    faiss_RangeSearchResult_free(r);
    faiss_BufferList_free(l);
    assert_no_error();
    faiss_IDSelector_free(s);
    assert_error(FAISSX_E_HANDLE, "faiss_IDSelector_free: the FaissIDSelector was freed before");
    faiss_SearchParameters_free(p);
    assert_error(FAISSX_E_HANDLE, "faiss_SearchParameters_free");
    faiss_RangeSearchResult_free(r);
    assert_error(FAISSX_E_HANDLE, "faiss_RangeSearchResult_free");
    faiss_BufferList_free(l);
    assert_error(FAISSX_E_HANDLE, "faiss_BufferList_free");
}

static void another_class_is_an_error(void **state)
{
    (void)state;
    FaissIDSelector *s = range(0, 1);
    FaissBufferList *l = NULL;
    assert_int_equal(faiss_BufferList_new(&l, 1), 0);
    faiss_IDSelector_free(SEL(l));
    assert_error(FAISSX_E_HANDLE, "expected a FaissIDSelector, got a FaissBufferList");
    faiss_IDSelectorBitmap_free((FaissIDSelectorBitmap *)s);
    assert_error(FAISSX_E_HANDLE, "expected a FaissIDSelectorBitmap, got a FaissIDSelectorRange");
    assert_int_equal(faiss_RangeSearchResult_nq((FaissRangeSearchResult *)l), 0);
    assert_error(FAISSX_E_HANDLE, "expected a FaissRangeSearchResult, got a FaissBufferList");
    assert_int_equal(faiss_Index_reset((FaissIndex *)s), -4); /* a selector is not an index */
    assert_error(FAISSX_E_HANDLE, "a FaissIDSelectorRange, not a FaissIndex");
    assert_int_equal(faiss_IDSelector_is_member(s, 0), 1); /* both still exist */
    assert_int_equal(faiss_BufferList_buffer_size(l), 1);
}

static void a_pointer_that_is_not_a_handle_is_an_error(void **state)
{
    (void)state;
    int local = 0;
    FaissIDSelectorNot *n = NULL;
    assert_int_equal(faiss_IDSelector_is_member((FaissIDSelector *)&local, 0), 0);
    assert_error(FAISSX_E_HANDLE, "no function returned this handle");
    assert_int_equal(faiss_IDSelectorNot_new(&n, (FaissIDSelector *)&local), -4);
    assert_error(FAISSX_E_HANDLE, "no function returned this handle");
    assert_null(n);
}

/* --- statistics of a clustering: plain memory --- */

static void iteration_stats_are_read_in_place(void **state)
{
    (void)state;
    const struct {
        float obj;
        double time, time_search, imbalance_factor;
        int nsplit;
    } s = {1.5f, 2.5, 3.5, 4.5, 6};
    const FaissClusteringIterationStats *p = (const FaissClusteringIterationStats *)&s;
    clear_error();
    assert_float_equal(faiss_ClusteringIterationStats_obj(p), 1.5, 0);
    assert_float_equal(faiss_ClusteringIterationStats_time(p), 2.5, 0);
    assert_float_equal(faiss_ClusteringIterationStats_time_search(p), 3.5, 0);
    assert_float_equal(faiss_ClusteringIterationStats_imbalance_factor(p), 4.5, 0);
    assert_int_equal(faiss_ClusteringIterationStats_nsplit(p), 6);
    assert_no_error();
    assert_int_equal(faiss_ClusteringIterationStats_nsplit(NULL), 0);
    assert_error(FAISSX_E_ARGUMENT, "faiss_ClusteringIterationStats_nsplit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_no_server), /* first, because no error was set yet */
        cmocka_unit_test(selectors_have_members),
        cmocka_unit_test(a_batch_is_copied_and_a_bitmap_is_not),
        cmocka_unit_test(selectors_return_their_fields),
        cmocka_unit_test(a_part_that_was_freed_is_noticed),
        cmocka_unit_test(a_tree_can_be_too_deep),
        cmocka_unit_test(a_selector_needs_its_arguments),
        cmocka_unit_test(parameters_of_an_ivf),
        cmocka_unit_test(parameters_of_an_hnsw),
        cmocka_unit_test(casts_return_the_same_handle_or_null),
        cmocka_unit_test(a_result_is_filled_by_its_owner),
        cmocka_unit_test(a_result_may_have_no_lims),
        cmocka_unit_test(a_result_is_put_together_from_partial_ones),
        cmocka_unit_test(a_partial_result_can_be_copied_in_steps),
        cmocka_unit_test(a_query_out_of_range_is_refused),
        cmocka_unit_test(a_range_of_buffers_is_copied),
        cmocka_unit_test(a_range_beyond_the_buffers_is_refused),
        cmocka_unit_test(readers_and_writers),
        cmocka_unit_test(freeing_null_does_nothing),
        cmocka_unit_test(freeing_twice_is_an_error),
        cmocka_unit_test(another_class_is_an_error),
        cmocka_unit_test(a_pointer_that_is_not_a_handle_is_an_error),
        cmocka_unit_test(iteration_stats_are_read_in_place),
    };
    setenv("FAISSX_SERVER", "ipc:///nonexistent/faissx", 1);
    unsetenv("FAISSX_FAISS_LIBRARY"); /* so that no real library is used */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
