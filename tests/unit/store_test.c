/* SPDX-License-Identifier: Apache-2.0 */
/* The store: what was put in is there after it was closed and opened again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_tools.h"

/* --- records --- */

static void records_are_replayed_in_order_after_reopening(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t e = new_entry(s, "a", 0), other = new_entry(s, "b", 0);
    size_t sizes[] = {0, 1, 600, FXS_TEST_INLINE, FXS_TEST_INLINE + 1, 512 * 1024, 7};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(append(s, e, sizes[i], i, NULL), 2 * i + 1);
        assert_int_equal(append(s, other, 10, 100 + i, NULL), 2 * i + 2);
    }
    for (int again = 0; again < 2; again++) {
        struct replayed r = {0};
        assert_int_equal(fxs_store_replay(s, e, 0, collect, &r, p->why), FXS_STORE_OK);
        assert_int_equal(r.n, 7);
        for (size_t i = 0; i < r.n; i++) {
            assert_int_equal(r.number[i], 2 * i + 1);
            assert_int_equal(r.size[i], sizes[i]);
            assert_int_equal(r.seed[i], sizes[i] ? i : 0);
        }
        r.n = 0;
        assert_int_equal(fxs_store_replay(s, e, 9, collect, &r, p->why), FXS_STORE_OK);
        assert_int_equal(r.n, 2);
        s = reopen(p, s, FXS_DURABLE_ALWAYS);
    }
    assert_int_equal(append(s, e, 5, 1, NULL), 15);
    fxs_store_close(s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        TEST(records_are_replayed_in_order_after_reopening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
