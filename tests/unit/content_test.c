/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of index files: the client reads some pages of a file, the engine gets all of its bytes in
 * pieces, and both must find the same. */
#include "proto/content.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct file {
    const uint8_t *data;
    uint64_t size;
    uint64_t reads;
};

static int read_at(void *ctx, void *page, uint64_t offset)
{
    struct file *f = ctx;
    f->reads++;
    if (offset + FX_PAGE > f->size)
        return -1;
    memcpy(page, f->data + offset, FX_PAGE);
    return 0;
}

static uint8_t *bytes(size_t n)
{
    uint8_t *b = malloc(n + 1);
    uint32_t s = 12345;
    assert_non_null(b);
    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)((s = s * 1664525u + 1013904223u) >> 24);
    return b;
}

static struct fx_content digest(const uint8_t *b, size_t n, size_t piece)
{
    struct fx_content c;
    struct fx_digest *d = fx_digest_new();
    assert_non_null(d);
    for (size_t at = 0; at < n; at += piece)
        fx_digest_add(d, b + at, n - at < piece ? n - at : piece);
    assert_int_equal(fx_digest_end(d, &c), 0);
    assert_int_equal(c.size, n);
    return c;
}

static void test_pages_of_any_size(void **state)
{
    static const size_t sizes[] = {0,       1,       4095,           4096,          4097,
                                   8192,    1044479, 1044480,        1048576,       1052671,
                                   1052672, 1052673, (5 << 20) + 17, (16 << 20) - 1};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *b = bytes(sizes[i]), pages[FX_HASH_SIZE];
        struct file f = {b, sizes[i], 0};
        struct fx_content whole = digest(b, sizes[i], sizes[i] + 1),
                          pieces = digest(b, sizes[i], 1000), large = digest(b, sizes[i], 70001);
        assert_int_equal(fx_content_pages(read_at, &f, sizes[i], pages), 0);
        assert_memory_equal(pages, whole.pages, FX_HASH_SIZE);
        assert_memory_equal(pages, pieces.pages, FX_HASH_SIZE);
        assert_memory_equal(pages, large.pages, FX_HASH_SIZE);
        assert_memory_equal(whole.hash, pieces.hash, FX_HASH_SIZE);
        assert_true(f.reads <= 128);
        free(b);
    }
}

static void test_other_bytes_have_other_hashes(void **state)
{
    size_t n = 1 << 20;
    uint8_t *b = bytes(n);
    struct fx_content before = digest(b, n, n), after;
    (void)state;
    b[n / 2 + FX_PAGE + 7] ^= 1; /* in no page that is looked at */
    after = digest(b, n, n);
    assert_memory_not_equal(before.hash, after.hash, FX_HASH_SIZE);
    assert_memory_equal(before.pages, after.pages, FX_HASH_SIZE);
    b[7] ^= 1;
    after = digest(b, n, n);
    assert_memory_not_equal(before.pages, after.pages, FX_HASH_SIZE);
    free(b);
}

static void test_a_file_that_is_cut_short(void **state)
{
    uint8_t *b = bytes(1 << 20), pages[FX_HASH_SIZE];
    struct file f = {b, 1 << 19, 0};
    (void)state;
    assert_int_equal(fx_content_pages(read_at, &f, 1 << 20, pages), -1);
    assert_int_equal(fx_digest_end(NULL, NULL), -1);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_of_any_size),
        cmocka_unit_test(test_other_bytes_have_other_hashes),
        cmocka_unit_test(test_a_file_that_is_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
