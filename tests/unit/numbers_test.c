/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of numbers in msgpack: every form that they can have, cut off at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/numbers.h"
#include "proto/wire.h"

struct message {
    msgpack_sbuffer b;
    msgpack_packer pk;
};

static int setup(void **state)
{
    struct message *m = *state = calloc(1, sizeof *m);
    msgpack_sbuffer_init(&m->b);
    msgpack_packer_init(&m->pk, &m->b, msgpack_sbuffer_write);
    return 0;
}

static int teardown(void **state)
{
    struct message *m = *state;
    msgpack_sbuffer_destroy(&m->b);
    free(m);
    return 0;
}

/* Reads the message from memory of exactly its size.  Returns what follows the value, or -1. */
static int rows(const struct message *m, size_t size, struct fx_rows *r, char *why)
{
    uint8_t *copy = malloc(size ? size : 1);
    const uint8_t *at = copy;
    memcpy(copy, m->b.data, size);
    int rc = fx_rows_read(&at, copy + size, "vectors", r, why);
    int rest = (int)(copy + size - at);
    if (rc != 0)
        assert_ptr_equal(at, copy);
    free(copy);
    return rc == 0 ? rest : -1;
}

static int ids(const struct message *m, size_t size, int64_t **x, size_t *n, char *why)
{
    uint8_t *copy = malloc(size ? size : 1);
    const uint8_t *at = copy;
    memcpy(copy, m->b.data, size);
    int rc = fx_ids_read(&at, copy + size, "ids", x, n, why);
    int rest = (int)(copy + size - at);
    free(copy);
    return rc == 0 ? rest : -1;
}

static void all_numbers(msgpack_packer *pk)
{
    msgpack_pack_array(pk, 16);
    msgpack_pack_double(pk, 0.1);
    msgpack_pack_float(pk, 0.5F);
    msgpack_pack_true(pk);
    msgpack_pack_false(pk);
    msgpack_pack_fix_uint8(pk, 200);
    msgpack_pack_fix_uint16(pk, 60000);
    msgpack_pack_fix_uint32(pk, 4000000000);
    msgpack_pack_fix_uint64(pk, UINT64_MAX);
    msgpack_pack_fix_int8(pk, -100);
    msgpack_pack_fix_int16(pk, -30000);
    msgpack_pack_fix_int32(pk, -2000000000);
    msgpack_pack_fix_int64(pk, INT64_MIN);
    msgpack_pack_int(pk, 127);
    msgpack_pack_int(pk, -32);
    msgpack_pack_double(pk, 1e300);
    msgpack_pack_double(pk, NAN);
}

static void every_type_of_number_is_read(void **state)
{
    struct message *m = *state;
    struct fx_rows r;
    char why[FX_NUMBERS_WHY];
    const float wanted[] = {0.1F, 0.5F,   1,     0,        200, 60000, 4e9F,    0x1p64F,
                            -100, -30000, -2e9F, -0x1p63F, 127, -32,   INFINITY};
    all_numbers(&m->pk);
    msgpack_pack_nil(&m->pk);
    assert_int_equal(rows(m, m->b.size, &r, why), 1);
    assert_true(r.flat);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.d, 16);
    for (size_t i = 0; i < 15; i++)
        assert_true(r.x[i] == wanted[i]);
    assert_true(isnan(r.x[15]));
    free(r.x);
}

static void a_list_may_end_nowhere_but_at_its_end(void **state)
{
    struct message *m = *state;
    struct fx_rows r;
    char why[FX_NUMBERS_WHY];
    msgpack_pack_array(&m->pk, 3);
    for (int i = 0; i < 3; i++)
        all_numbers(&m->pk);
    for (size_t size = 0; size < m->b.size; size++) {
        assert_int_equal(rows(m, size, &r, why), -1);
        assert_null(r.x);
        assert_string_equal(why, "vectors: the message ends within it");
    }
    assert_int_equal(rows(m, m->b.size, &r, why), 0);
    assert_false(r.flat);
    assert_int_equal(r.n, 3);
    assert_int_equal(r.d, 16);
    free(r.x);
}

static void lists_of_each_length_are_read(void **state)
{
    struct message *m = *state;
    static const size_t sizes[] = {0, 1, 15, 16, 65535, 65536};
    char why[FX_NUMBERS_WHY];
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        float *x = malloc((sizes[k] + 1) * sizeof *x);
        struct fx_rows r;
        for (size_t i = 0; i < sizes[k]; i++)
            x[i] = (float)i / 7;
        msgpack_sbuffer_clear(&m->b);
        assert_int_equal(fx_floats_write(&m->b, x, sizes[k]), 0);
        assert_int_equal(rows(m, m->b.size, &r, why), 0);
        assert_int_equal(r.n * r.d, sizes[k]);
        assert_memory_equal(r.x, x, sizes[k] * sizeof *x);
        free(r.x);
        free(x);
    }
    msgpack_sbuffer_clear(&m->b);
    msgpack_pack_array(&m->pk, 2);
    msgpack_pack_array(&m->pk, 0);
    msgpack_pack_array(&m->pk, 0);
    struct fx_rows r;
    assert_int_equal(rows(m, m->b.size, &r, why), 0);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.d, 0);
    free(r.x);
}

static void is_wrong(struct message *m, const char *json, const char *text)
{
    struct fx_rows r;
    char why[FX_NUMBERS_WHY] = "";
    msgpack_sbuffer_clear(&m->b);
    for (const char *c = json; *c; c++) {
        if (*c == '[')
            msgpack_pack_array(&m->pk, (size_t)(*++c - '0')); /* its length */
        else if (*c == 's')
            fx_pack_str(&m->pk, "x");
        else if (*c == 'n')
            msgpack_pack_nil(&m->pk);
        else if (*c == 'm')
            msgpack_pack_map(&m->pk, 0);
        else if (*c == 'b')
            fx_pack_bin(&m->pk, "ab", 2);
        else
            msgpack_pack_double(&m->pk, 1);
    }
    assert_int_equal(rows(m, m->b.size, &r, why), -1);
    assert_string_equal(why, text);
}

static void what_is_wrong_is_named(void **state)
{
    struct message *m = *state;
    is_wrong(m, "s", "vectors is a string; expected a list");
    is_wrong(m, "b", "vectors is binary data; expected a list");
    is_wrong(m, "m", "vectors is a map; expected a list");
    is_wrong(m, "1", "vectors is a number; expected a list");
    is_wrong(m, "[2[21s[211", "vectors[0][1] is a string; expected a number");
    is_wrong(m, "[2[211[21n", "vectors[1][1] is nil; expected a number");
    is_wrong(m, "[2[211[3111", "vectors[1] has 3 numbers; [0] has 2");
    is_wrong(m, "[2[211111", "vectors[1] is a number; expected a list, as [0] is");
    is_wrong(m, "[4111[2", "vectors[3] is a list; expected a number");
    is_wrong(m, "[411", "vectors: the message ends within it");
}

static void counts_are_not_believed(void **state)
{
    struct message *m = *state;
    struct fx_rows r;
    char why[FX_NUMBERS_WHY];
    int64_t *x;
    size_t n;
    msgpack_pack_array(&m->pk, UINT32_MAX);
    msgpack_pack_double(&m->pk, 1);
    assert_int_equal(rows(m, m->b.size, &r, why), -1);
    assert_int_equal(ids(m, m->b.size, &x, &n, why), -1);
    msgpack_sbuffer_clear(&m->b);
    msgpack_pack_array(&m->pk, 100);
    msgpack_pack_array(&m->pk, 90);
    for (int i = 0; i < 100; i++)
        msgpack_pack_int(&m->pk, 1);
    assert_int_equal(rows(m, m->b.size, &r, why), -1);
    assert_string_equal(why, "vectors: the message ends within it");
}

static void ids_come_back_as_they_were(void **state)
{
    struct message *m = *state;
    static const int64_t some[] = {0,          1,
                                   127,        128,
                                   255,        256,
                                   32767,      65535,
                                   65536,      -1,
                                   -32,        -33,
                                   -128,       -129,
                                   -32768,     -32769,
                                   INT32_MIN,  INT32_MIN - 1LL,
                                   UINT32_MAX, UINT32_MAX + 1LL,
                                   INT64_MAX,  INT64_MIN};
    enum { N = sizeof some / sizeof *some };
    char why[FX_NUMBERS_WHY];
    int64_t *x;
    size_t n;
    assert_int_equal(fx_ids_write(&m->b, some, N), 0);
    for (size_t size = 0; size < m->b.size; size++)
        assert_int_equal(ids(m, size, &x, &n, why), -1);
    assert_int_equal(ids(m, m->b.size, &x, &n, why), 0);
    assert_int_equal(n, N);
    assert_memory_equal(x, some, sizeof some);
    free(x);
    /* msgpack-c reads the same. */
    msgpack_unpacked u;
    msgpack_unpacked_init(&u);
    assert_int_equal(msgpack_unpack_next(&u, m->b.data, m->b.size, NULL), MSGPACK_UNPACK_SUCCESS);
    for (size_t i = 0; i < N; i++)
        assert_true(u.data.via.array.ptr[i].via.i64 == some[i]);
    msgpack_unpacked_destroy(&u);
}

static void ids_are_cut_to_integers_that_fit(void **state)
{
    struct message *m = *state;
    char why[FX_NUMBERS_WHY];
    int64_t *x;
    size_t n;
    msgpack_pack_array(&m->pk, 2);
    msgpack_pack_double(&m->pk, 2.9);
    msgpack_pack_double(&m->pk, -2.9);
    assert_int_equal(ids(m, m->b.size, &x, &n, why), 0);
    assert_int_equal(x[0], 2);
    assert_int_equal(x[1], -2);
    free(x);
    static const double wrong[] = {NAN, INFINITY, 0x1p63, -0x1.8p63};
    for (size_t i = 0; i < 4; i++) {
        msgpack_sbuffer_clear(&m->b);
        msgpack_pack_array(&m->pk, 1);
        msgpack_pack_double(&m->pk, wrong[i]);
        assert_int_equal(ids(m, m->b.size, &x, &n, why), -1);
    }
    msgpack_sbuffer_clear(&m->b);
    msgpack_pack_array(&m->pk, 1);
    msgpack_pack_uint64(&m->pk, UINT64_MAX);
    assert_int_equal(ids(m, m->b.size, &x, &n, why), -1);
    assert_string_equal(why,
                        "ids[0] is 18446744073709551615; the largest id is 9223372036854775807");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(every_type_of_number_is_read),     TEST(a_list_may_end_nowhere_but_at_its_end),
        TEST(lists_of_each_length_are_read),    TEST(what_is_wrong_is_named),
        TEST(counts_are_not_believed),          TEST(ids_come_back_as_they_were),
        TEST(ids_are_cut_to_integers_that_fit),
    };
    return cmocka_run_group_tests_name("numbers", tests, NULL, NULL);
}
