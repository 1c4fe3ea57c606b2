/* SPDX-License-Identifier: Apache-2.0 */
/* The client remembers the array that the server says it keeps, and knows other arrays from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "shim/calls/sent.h"

enum { LARGE = 9 << 20, SMALL = 5 << 20, SESSION = 3 };

static char *bytes;

static int set_up(void **state)
{
    (void)state;
    bytes = calloc(1, LARGE);
    return bytes ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    free(bytes);
    return 0;
}

static void send_array(size_t size, uint64_t id)
{
    struct fx_sent a = fx_sent_of(bytes, size, id, SESSION);
    fx_sent_note(&a);
}

static uint64_t take(size_t size, unsigned session)
{
    struct fx_sent a = fx_sent_of(bytes, size, 99, session);
    return fx_sent_take(&a);
}

static void only_what_the_server_keeps_is_asked_for(void **state)
{
    (void)state;
    send_array(LARGE, 1);
    send_array(SMALL, 2);
    assert_int_equal(take(LARGE, SESSION), 0);
    fx_sent_kept(1);
    assert_int_equal(take(SMALL, SESSION), 0);
    assert_int_equal(take(LARGE, SESSION), 1);
    fx_sent_kept(2);
    assert_int_equal(take(SMALL, SESSION), 2);
}

static void the_last_one_takes_the_place_of_others(void **state)
{
    (void)state;
    send_array(LARGE, 3);
    send_array(SMALL, 4);
    fx_sent_kept(3);
    fx_sent_kept(4);
    assert_int_equal(take(LARGE, SESSION), 0);
    assert_int_equal(take(SMALL, SESSION), 4);
}

static void it_is_asked_for_once(void **state)
{
    (void)state;
    send_array(LARGE, 5);
    fx_sent_kept(5);
    assert_int_equal(take(LARGE, SESSION), 5);
    assert_int_equal(take(LARGE, SESSION), 0);
    fx_sent_kept(5); /* the reply came twice */
    assert_int_equal(take(LARGE, SESSION), 0);
}

static void an_array_of_another_session_is_another(void **state)
{
    (void)state;
    send_array(LARGE, 6);
    fx_sent_kept(6);
    assert_int_equal(take(LARGE, SESSION + 1), 0);
    assert_int_equal(take(LARGE, SESSION), 6);
}

static void changed_vectors_are_other_vectors(void **state)
{
    (void)state;
    send_array(LARGE, 7);
    fx_sent_kept(7);
    for (size_t i = 0; i < LARGE; i += 4096)
        bytes[i] = 1;
    assert_int_equal(take(LARGE, SESSION), 0);
}

static void what_is_kept_of_an_unknown_array_is_nothing(void **state)
{
    (void)state;
    for (uint64_t i = 100; i < 200; i++)
        send_array(SMALL, i);
    fx_sent_kept(100);
    assert_int_equal(take(SMALL, SESSION), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(only_what_the_server_keeps_is_asked_for),
        TEST(the_last_one_takes_the_place_of_others),
        TEST(it_is_asked_for_once),
        TEST(an_array_of_another_session_is_another),
        TEST(changed_vectors_are_other_vectors),
        TEST(what_is_kept_of_an_unknown_array_is_nothing),
    };
    return cmocka_run_group_tests_name("sent", tests, NULL, NULL);
}
