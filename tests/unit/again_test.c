/* SPDX-License-Identifier: Apache-2.0 */
/* An upload that a call has used is kept for the session's next call, while there is memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/content.h"
#include "server/engine/guard/room.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/again.h"
#include "server/engine/objects/session.h"

enum { SIZE = 5 << 20, ID = 9 };

static struct fxe_session *one, *other;
static uint8_t secret[FX_SECRET_SIZE];

static int set_up(void **state)
{
    (void)state;
    fxe_room_init();
    for (size_t i = 0; i < sizeof(secret); i++)
        secret[i] = (uint8_t)((i + 1) * 2654435761u >> 11);
    one = fxe_session_new();
    other = fxe_session_new();
    return one && other ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fxe_obj *doomed = NULL;
    (void)state;
    fxe_session_end(one, &doomed);
    fxe_session_end(other, &doomed);
    return fxe_again_expire(0) == INT64_MAX ? 0 : -1; /* nothing outlives its session */
}

static void put(struct fxe_session *s, uint64_t id)
{
    struct fx_buffer b = {malloc(SIZE), SIZE, 0};
    memset(b.data, (int)id, SIZE);
    fxe_again_put(s, id, &b);
    assert_null(b.data);
}

/* Asks for an array whose bytes are all `byte`. */
static bool take(struct fxe_session *s, uint64_t id, size_t size, int byte)
{
    struct fx_buffer b = {0};
    uint8_t hash[FX_HASH_SIZE], *mine = malloc(size);
    memset(mine, byte, size);
    fx_content_hash_secretly(mine, size, secret, hash);
    bool had = fxe_again_take(s, id, size, secret, hash, &b);
    if (had) {
        assert_int_equal(b.size, size);
        assert_memory_equal(b.data, mine, size);
    }
    fx_buffer_free(&b);
    free(mine);
    return had;
}

static void the_session_that_sent_it_gets_it_once(void **state)
{
    (void)state;
    put(one, ID);
    assert_false(take(other, ID, SIZE, ID));
    assert_true(take(one, ID, SIZE, ID));
    assert_false(take(one, ID, SIZE, ID));
}

static void an_array_that_differs_is_not_it(void **state)
{
    (void)state;
    put(one, ID);
    assert_false(take(one, ID + 1, SIZE, ID));
    put(one, ID);
    assert_false(take(one, ID, SIZE - 1, ID));
    put(one, ID);
    assert_false(take(one, ID, SIZE, ID + 1));
}

static void the_secret_is_part_of_the_hash(void **state)
{
    uint8_t a[FX_HASH_SIZE], b[FX_HASH_SIZE], changed[FX_SECRET_SIZE];
    (void)state;
    memcpy(changed, secret, sizeof(changed));
    changed[100] ^= 1;
    uint8_t *data = calloc(1, SIZE);
    fx_content_hash_secretly(data, SIZE, secret, a);
    fx_content_hash_secretly(data, SIZE, changed, b);
    assert_memory_not_equal(a, b, sizeof(a));
    free(data);
}

static void each_session_has_one(void **state)
{
    (void)state;
    put(one, ID);
    put(other, ID);
    put(one, ID + 1);
    assert_true(take(other, ID, SIZE, ID));
    assert_true(take(one, ID + 1, SIZE, ID + 1));
}

static void it_is_freed_before_the_memory_is_short(void **state)
{
    (void)state;
    put(one, ID);
    put(other, ID);
    fxe_unload_for(1);
    assert_true(take(one, ID, SIZE, ID));
    put(one, ID);
    fxe_unload_for(SIZE_MAX);
    assert_false(take(one, ID, SIZE, ID));
    assert_false(take(other, ID, SIZE, ID));
}

/* What is kept here is not there for other engines. */
static void all_of_them_are_256_mib_at_most(void **state)
{
    static const size_t large = 200 << 20, other_large = 57 << 20, too_large = (256 << 20) + 1;
    struct fx_buffer b = {malloc(too_large), too_large, 0};
    (void)state;
    if (fxe_room() < (size_t)3 << 30)
        skip(); /* they are fewer here */
    fxe_again_put(one, ID, &b);
    assert_non_null(b.data);
    fx_buffer_free(&b);
    b = (struct fx_buffer){malloc(large), large, 0};
    fxe_again_put(one, ID, &b);
    assert_true(fxe_again_has(one, ID, large));
    put(other, ID);
    assert_true(fxe_again_has(one, ID, large));
    b = (struct fx_buffer){malloc(other_large), other_large, 0};
    fxe_again_put(other, ID + 1, &b);
    assert_false(fxe_again_has(one, ID, large)); /* the oldest has gone */
    assert_true(fxe_again_has(other, ID + 1, other_large));
}

static void what_would_be_refused_gets_its_memory(void **state)
{
    (void)state;
    put(one, ID);
    assert_true(fxe_room_for(1) > 0);
    assert_true(fxe_again_has(one, ID, SIZE));
    fxe_room_for(SIZE_MAX);
    assert_false(fxe_again_has(one, ID, SIZE));
    put(one, ID);
    free(fxe_room_realloc(NULL, 1));
    assert_true(fxe_again_has(one, ID, SIZE));
    assert_null(fxe_room_realloc(NULL, (size_t)1 << 47));
    assert_false(fxe_again_has(one, ID, SIZE));
}

static void its_time_ends(void **state)
{
    (void)state;
    put(one, ID);
    int64_t end = fxe_again_expire(fxe_now_ms());
    assert_true(end > fxe_now_ms() && end < INT64_MAX);
    assert_int_equal(fxe_again_expire(end - 1), end);
    assert_int_equal(fxe_again_expire(end), INT64_MAX);
    assert_false(take(one, ID, SIZE, ID));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_session_that_sent_it_gets_it_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_array_that_differs_is_not_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_secret_is_part_of_the_hash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_session_has_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_freed_before_the_memory_is_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_of_them_are_256_mib_at_most, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_would_be_refused_gets_its_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_time_ends, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("again", tests, NULL, NULL);
}
