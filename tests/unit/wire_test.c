/* SPDX-License-Identifier: Apache-2.0 */
/* Reading headers: valid ones are decoded, malformed ones are refused before decoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

/* Check a copy that ends where its allocation ends, so that AddressSanitizer sees any read beyond
 * it. */
static int check(const void *data, size_t n, const char **why)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, data, n);
    int r = fx_header_check(copy, n, why);
    free(copy);
    return r;
}

static void good(const void *data, size_t n)
{
    const char *why = "";
    struct fx_header h;
    if (check(data, n, &why) != 0)
        fail_msg("refused: %s", why);
    /* A header that passes can be decoded. */
    int r = fx_header_read(&h, data, n, &why);
    assert_true(r == 0 || strcmp(why, "header is not a map") == 0);
    fx_header_free(&h);
}

static void bad(const void *data, size_t n, const char *want)
{
    const char *why = NULL;
    assert_int_equal(check(data, n, &why), -1);
    assert_non_null(why);
    assert_string_equal(why, want);
    struct fx_header h;
    assert_int_equal(fx_header_read(&h, data, n, &why), -1);
    assert_null(h.map);
    assert_null(fx_header_get(&h, "operation"));
    fx_header_free(&h);
}

#define LITERAL(s) (s), sizeof(s) - 1
#define EARLY "header ends too early"
#define LIE "header claims more elements than it has bytes"
#define DEEP "header is nested too deeply"
#define TYPE "header has a type that the protocol does not use"
#define BEHIND "bytes follow the header"

static void test_types(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } values[] = {
        {LITERAL("\x00")},
        {LITERAL("\x7f")},
        {LITERAL("\xe0")},
        {LITERAL("\xff")},
        {LITERAL("\xc0")},
        {LITERAL("\xc2")},
        {LITERAL("\xc3")},
        {LITERAL("\x80")},
        {LITERAL("\x82\xa1x\x01\x02\x03")},
        {LITERAL("\xde\x00\x01\x01\x02")},
        {LITERAL("\xdf\x00\x00\x00\x01\x01\x02")},
        {LITERAL("\x90")},
        {LITERAL("\x93\x01\x02\x03")},
        {LITERAL("\xdc\x00\x02\x01\x02")},
        {LITERAL("\xdd\x00\x00\x00\x02\x01\x02")},
        {LITERAL("\xa0")},
        {LITERAL("\xa3xyz")},
        {LITERAL("\xd9\x03xyz")},
        {LITERAL("\xda\x00\x03xyz")},
        {LITERAL("\xdb\x00\x00\x00\x03xyz")},
        {LITERAL("\xc4\x03xyz")},
        {LITERAL("\xc5\x00\x03xyz")},
        {LITERAL("\xc6\x00\x00\x00\x03xyz")},
        {LITERAL("\xca\x3f\x80\x00\x00")},
        {LITERAL("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00")},
        {LITERAL("\xcc\xff")},
        {LITERAL("\xcd\xff\xff")},
        {LITERAL("\xce\xff\xff\xff\xff")},
        {LITERAL("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")},
        {LITERAL("\xd0\xff")},
        {LITERAL("\xd1\xff\xff")},
        {LITERAL("\xd2\xff\xff\xff\xff")},
        {LITERAL("\xd3\xff\xff\xff\xff\xff\xff\xff\xff")},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        const char *why;
        char more[40];
        good(values[i].bytes, values[i].n);
        for (size_t n = 0; n < values[i].n; n++)
            assert_int_equal(check(values[i].bytes, n, &why), -1);
        memcpy(more, values[i].bytes, values[i].n);
        more[values[i].n] = 0;
        bad(more, values[i].n + 1, BEHIND);
    }
}

static void test_refused_types(void **state)
{
    static const uint8_t types[] = {0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8};
    (void)state;
    for (size_t i = 0; i < sizeof(types); i++) {
        uint8_t alone[40] = {types[i]}, within[40] = {0x81, 0xa1, 'x', types[i]};
        bad(alone, sizeof(alone), TYPE);
        bad(within, sizeof(within), TYPE);
    }
}

static void test_wrong_lengths(void **state)
{
    (void)state;
    bad(LITERAL(""), EARLY);
    bad(LITERAL("\xdd\xff\xff\xff\xff"), LIE);
    bad(LITERAL("\xdd\xff\xff\xff\xff\x01\x02"), LIE);
    bad(LITERAL("\xdf\xff\xff\xff\xff"), LIE);
    bad(LITERAL("\xdf\x80\x00\x00\x00"), LIE); /* twice that is 2^32 */
    bad(LITERAL("\xdf\x00\x00\x00\x01\x01"), LIE);
    bad(LITERAL("\xdc\xff\xff"), LIE);
    bad(LITERAL("\xde\xff\xff"), LIE);
    bad(LITERAL("\x9f"), LIE);
    bad(LITERAL("\x8f\x01"), LIE);
    bad(LITERAL("\xdb\xff\xff\xff\xff"), EARLY);
    bad(LITERAL("\xc6\xff\xff\xff\xff"), EARLY);
    bad(LITERAL("\xda\xff\xffx"), EARLY);
    bad(LITERAL("\x92\xa2xy\xd9\x02y"), EARLY);
    /* Each array claims only as many elements as could follow, but they are missing. */
    bad(LITERAL("\x94\x94\x94\x94\x01\x01\x01\x01"), EARLY);
}

static void test_depth(void **state)
{
    uint8_t b[FX_HEADER_DEPTH + 2];
    (void)state;
    memset(b, 0x91, sizeof(b));
    b[FX_HEADER_DEPTH] = 1;
    good(b, FX_HEADER_DEPTH + 1);
    b[FX_HEADER_DEPTH - 1] = 0x81;
    bad(b, FX_HEADER_DEPTH + 1, LIE);
    b[FX_HEADER_DEPTH - 1] = b[FX_HEADER_DEPTH] = 0x91;
    b[FX_HEADER_DEPTH + 1] = 1;
    bad(b, FX_HEADER_DEPTH + 2, DEEP);
    /* Even an empty array below the deepest level is one too many. */
    b[FX_HEADER_DEPTH] = 0x90;
    bad(b, FX_HEADER_DEPTH + 1, DEEP);
    uint8_t *deep = malloc(FX_HEADER_MAX);
    memset(deep, 0x91, FX_HEADER_MAX);
    bad(deep, FX_HEADER_MAX, DEEP);
    free(deep);
}

static void test_size(void **state)
{
    uint8_t *b = calloc(1, FX_HEADER_MAX + 1);
    (void)state;
    b[0] = 0xdc;
    b[1] = (FX_HEADER_MAX - 3) >> 8;
    b[2] = (FX_HEADER_MAX - 3) & 0xff;
    good(b, FX_HEADER_MAX);
    bad(b, FX_HEADER_MAX + 1, "header is larger than 64 KiB");
    free(b);
}

static void test_not_a_map(void **state)
{
    static const char *const roots[] = {"\x90", "\xc0", "\x01", "\xa1x"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct fx_header h;
        const char *why, *s;
        size_t n;
        assert_int_equal(fx_header_read(&h, roots[i], strlen(roots[i]), &why), -1);
        assert_string_equal(why, "header is not a map");
        assert_int_equal(fx_header_str(&h, "x", &s, &n), 0);
        fx_header_free(&h);
    }
}

/* Pack a header with a value of each type, as a client might send it. */
static void pack_all(msgpack_sbuffer *b)
{
    msgpack_packer pk;
    msgpack_sbuffer_init(b);
    msgpack_packer_init(&pk, b, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 11);
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, "faiss_Index_search");
    fx_pack_str(&pk, "session");
    fx_pack_bin(&pk, "0123456789\0abcde", FX_TOKEN_SIZE);
    fx_pack_str(&pk, "request_id");
    msgpack_pack_uint64(&pk, UINT64_MAX);
    fx_pack_str(&pk, "large");
    msgpack_pack_uint64(&pk, INT64_MAX);
    fx_pack_str(&pk, "small");
    msgpack_pack_int64(&pk, INT64_MIN);
    fx_pack_str(&pk, "one");
    msgpack_pack_int64(&pk, 1);
    fx_pack_str(&pk, "real");
    msgpack_pack_double(&pk, 0.5);
    fx_pack_str(&pk, "nothing");
    msgpack_pack_nil(&pk);
    msgpack_pack_int(&pk, 7); /* a key that is not a string */
    fx_pack_str(&pk, "seven");
    fx_pack_str(&pk, "");
    fx_pack_str(&pk, "empty");
    fx_pack_str(&pk, "args");
    msgpack_pack_array(&pk, 2);
    msgpack_pack_true(&pk);
    msgpack_pack_nil(&pk);
}

static void test_getters(void **state)
{
    msgpack_sbuffer b;
    struct fx_header h;
    const char *why, *s = NULL;
    size_t n = 0;
    uint64_t u = 0;
    int64_t i = 0;
    (void)state;
    pack_all(&b);
    assert_int_equal(fx_header_read(&h, b.data, b.size, &why), 0);

    assert_int_equal(fx_header_str(&h, "operation", &s, &n), 1);
    assert_int_equal(n, 18);
    assert_memory_equal(s, "faiss_Index_search", n);
    assert_true(s > b.data && s < b.data + b.size); /* points into the header */
    assert_int_equal(fx_header_str(&h, "session", &s, &n), 1);
    assert_int_equal(n, FX_TOKEN_SIZE);
    assert_memory_equal(s, "0123456789\0abcde", n);
    assert_int_equal(fx_header_str(&h, "", &s, &n), 1);
    assert_int_equal(n, 5);
    assert_int_equal(fx_header_str(&h, "one", &s, &n), 0);
    assert_int_equal(fx_header_str(&h, "nothing", &s, &n), 0);
    assert_int_equal(fx_header_str(&h, "args", &s, &n), 0);
    assert_int_equal(fx_header_str(&h, "operatio", &s, &n), 0);
    assert_int_equal(fx_header_str(&h, "operation2", &s, &n), 0);

    assert_int_equal(fx_header_is(&h, "operation", "faiss_Index_search"), 1);
    assert_int_equal(fx_header_is(&h, "operation", "faiss_Index_searc"), 0);
    assert_int_equal(fx_header_is(&h, "operation", "faiss_Index_search2"), 0);
    assert_int_equal(fx_header_is(&h, "operation", ""), 0);
    assert_int_equal(fx_header_is(&h, "one", "1"), 0);
    assert_int_equal(fx_header_is(&h, "absent", ""), 0);

    assert_int_equal(fx_header_uint(&h, "request_id", &u), 1);
    assert_true(u == UINT64_MAX);
    assert_int_equal(fx_header_uint(&h, "one", &u), 1);
    assert_true(u == 1);
    assert_int_equal(fx_header_uint(&h, "small", &u), 0);
    assert_int_equal(fx_header_uint(&h, "real", &u), 0);
    assert_int_equal(fx_header_uint(&h, "operation", &u), 0);
    assert_int_equal(fx_header_uint(&h, "absent", &u), 0);

    assert_int_equal(fx_header_int(&h, "small", &i), 1);
    assert_true(i == INT64_MIN);
    assert_int_equal(fx_header_int(&h, "large", &i), 1);
    assert_true(i == INT64_MAX);
    assert_int_equal(fx_header_int(&h, "one", &i), 1);
    assert_true(i == 1);
    assert_int_equal(fx_header_int(&h, "request_id", &i), 0); /* does not fit */
    assert_int_equal(fx_header_int(&h, "real", &i), 0);
    assert_int_equal(fx_header_int(&h, "nothing", &i), 0);
    assert_int_equal(fx_header_int(&h, "absent", &i), 0);

    const msgpack_object *o = fx_header_get(&h, "args");
    assert_non_null(o);
    assert_int_equal(o->type, MSGPACK_OBJECT_ARRAY);
    assert_int_equal(o->via.array.size, 2);
    assert_null(fx_header_get(&h, "\x07"));
    fx_header_free(&h);
    assert_null(fx_header_get(&h, "args"));
    msgpack_sbuffer_destroy(&b);
}

/* No prefix of a header is a valid header. */
static void test_truncation(void **state)
{
    msgpack_sbuffer b;
    const char *why;
    (void)state;
    pack_all(&b);
    good(b.data, b.size);
    for (size_t n = 0; n < b.size; n++) {
        why = NULL;
        assert_int_equal(check(b.data, n, &why), -1);
        assert_non_null(why);
    }
    msgpack_sbuffer_destroy(&b);
}

/* If a key occurs twice, the first one counts, on both sides. */
static void test_twice(void **state)
{
    struct fx_header h;
    const char *why;
    uint64_t u = 0;
    (void)state;
    assert_int_equal(fx_header_read(&h, LITERAL("\x82\xa1x\x01\xa1x\x02"), &why), 0);
    assert_int_equal(fx_header_uint(&h, "x", &u), 1);
    assert_true(u == 1);
    fx_header_free(&h);
}

/* Freeing a header that was never read, or freeing it twice, is harmless. */
static void test_freeing(void **state)
{
    struct fx_header h = {0};
    const char *why;
    (void)state;
    fx_header_free(&h);
    assert_int_equal(fx_header_read(&h, "\x80", 1, &why), 0);
    fx_header_free(&h);
    fx_header_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),         cmocka_unit_test(test_refused_types),
        cmocka_unit_test(test_wrong_lengths), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_size),          cmocka_unit_test(test_not_a_map),
        cmocka_unit_test(test_getters),       cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_twice),         cmocka_unit_test(test_freeing),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
