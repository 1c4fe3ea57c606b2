/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory is left: the lesser of what the process's limit and the machine allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/engine/guard/room.h"

enum { MIB = 1 << 20 };

static struct rlimit old;

static int set_up(void **state)
{
    (void)state;
    mallopt(M_MMAP_THRESHOLD, 1 << 30); /* freed memory stays with the process */
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    return getrlimit(RLIMIT_DATA, &old);
}

static int tear_down(void **state)
{
    (void)state;
    malloc_trim(0);
    return setrlimit(RLIMIT_DATA, &old);
}

static void limit(size_t bytes)
{
    struct rlimit r = {bytes, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_DATA, &r), 0);
}

static void nothing_known_is_no_limit(void **state)
{
    (void)state;
    limit(RLIM_INFINITY);
    assert_true(fxe_room() == SIZE_MAX); /* fxe_room_init was not called */
}

static void the_limit_of_the_process_counts(void **state)
{
    (void)state;
    limit((size_t)256 * MIB);
    size_t all = fxe_room();
    assert_in_range(all, (size_t)200 * MIB, (size_t)256 * MIB);
    limit((size_t)128 * MIB); /* as if the front had changed it */
    assert_in_range(fxe_room(), all - (size_t)128 * MIB - MIB, all - (size_t)128 * MIB + MIB);
}

#ifndef __SANITIZE_ADDRESS__ /* whose malloc() does not tell what it has taken, and maps terabytes \
                              */
static void what_is_used_is_taken_off_and_what_is_freed_is_not(void **state)
{
    (void)state;
    limit((size_t)256 * MIB);
    size_t before = fxe_room();
    char *p = malloc((size_t)64 * MIB);
    assert_non_null(p);
    memset(p, 1, (size_t)64 * MIB);
    assert_in_range(fxe_room(), before - (size_t)66 * MIB, before - (size_t)62 * MIB);
    free(p);
    assert_in_range(fxe_room(), before - (size_t)2 * MIB, before + (size_t)2 * MIB);
    assert_in_range(fxe_room_unused(true), before - (size_t)66 * MIB, before - (size_t)62 * MIB);
}
#endif

static void the_machine_counts_too(void **state)
{
    (void)state;
    fxe_room_init();
    limit(RLIM_INFINITY);
    size_t machine = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    assert_in_range(fxe_room(), 1, machine);
#ifndef __SANITIZE_ADDRESS__
    limit((size_t)64 * MIB);
    assert_in_range(fxe_room(), 1, (size_t)64 * MIB);
#endif
}

#ifndef __SANITIZE_ADDRESS__
/* The cheap answer may be slightly out of date, but not more. */
static void the_cheap_answer_is_a_recent_one(void **state)
{
    (void)state;
    limit((size_t)256 * MIB);
    usleep(60000);
    size_t room = fxe_room_lately();
    limit((size_t)64 * MIB);
    assert_in_range(fxe_room_lately(), 1, room);
    usleep(60000);
    assert_in_range(fxe_room_lately(), 1, (size_t)64 * MIB);
}
#endif

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_known_is_no_limit),
        TEST(the_limit_of_the_process_counts),
#ifndef __SANITIZE_ADDRESS__
        TEST(what_is_used_is_taken_off_and_what_is_freed_is_not),
        TEST(the_cheap_answer_is_a_recent_one),
#endif
        TEST(the_machine_counts_too),
    };
    return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
