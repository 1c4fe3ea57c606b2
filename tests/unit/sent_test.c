/* SPDX-License-Identifier: Apache-2.0 */
/* The client remembers the largest array of the call that has sent one last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "shim/calls/sent.h"

enum { LARGE = 9 << 20, SMALL = 5 << 20, CALL = 3 };

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

static void send_array(size_t size, uint64_t id, uint64_t call)
{
    struct fx_sent a = fx_sent_of(bytes, size, id);
    fx_sent_note(&a, call);
}

static uint64_t find(size_t size)
{
    struct fx_sent a = fx_sent_of(bytes, size, 99);
    return fx_sent_find(&a);
}

static void the_largest_array_of_a_call_is_remembered(void **state)
{
    (void)state;
    send_array(LARGE, 1, CALL);
    send_array(SMALL, 2, CALL);
    assert_int_equal(find(LARGE), 1);
    assert_int_equal(find(SMALL), 0);
    send_array(SMALL, 3, CALL + 1);
    send_array(LARGE, 4, CALL + 1);
    assert_int_equal(find(LARGE), 4);
}

static void another_call_takes_its_place(void **state)
{
    (void)state;
    send_array(LARGE, 1, CALL);
    send_array(SMALL, 2, CALL + 1);
    assert_int_equal(find(LARGE), 0);
    assert_int_equal(find(SMALL), 2);
}

/* The request is sent again, with all its arrays. */
static void an_array_that_is_sent_again_has_its_new_name(void **state)
{
    (void)state;
    send_array(LARGE, 1, CALL);
    send_array(LARGE, 2, CALL);
    assert_int_equal(find(LARGE), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_largest_array_of_a_call_is_remembered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_call_takes_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_array_that_is_sent_again_has_its_new_name, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("sent", tests, NULL, NULL);
}
