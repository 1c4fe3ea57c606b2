/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory is left: the least of what the limit of the process and the machine say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/engine/guard/room.h"

enum { MIB = 1 << 20 };

static struct rlimit old;

static int set_up(void **state)
{
    (void)state;
    mallopt(M_MMAP_THRESHOLD, 1 << 30); /* what is freed stays with the process */
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
    limit((size_t)128 * MIB); /* the front has moved it */
    assert_in_range(fxe_room(), all - (size_t)128 * MIB - MIB, all - (size_t)128 * MIB + MIB);
}

static void what_is_used_is_taken_off_and_what_is_freed_is_not(void **state)
{
    (void)state;
    limit((size_t)256 * MIB);
    size_t before = fxe_room();
    /* Not malloc(), which keeps memory that was freed under a sanitizer. */
    char *p =
        mmap(NULL, (size_t)64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    memset(p, 1, (size_t)64 * MIB);
    assert_in_range(fxe_room(), before - (size_t)66 * MIB, before - (size_t)62 * MIB);
    munmap(p, (size_t)64 * MIB);
    assert_in_range(fxe_room(), before - (size_t)2 * MIB, before + (size_t)2 * MIB);
}

static void the_machine_counts_too(void **state)
{
    (void)state;
    fxe_room_init();
    limit(RLIM_INFINITY);
    size_t machine = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    assert_in_range(fxe_room(), 1, machine);
    limit((size_t)64 * MIB);
    assert_in_range(fxe_room(), 1, (size_t)64 * MIB);
}

/* The cheap one may be a little old, and no more than that. */
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_known_is_no_limit),
        TEST(the_limit_of_the_process_counts),
        TEST(what_is_used_is_taken_off_and_what_is_freed_is_not),
        TEST(the_machine_counts_too),
        TEST(the_cheap_answer_is_a_recent_one),
    };
    return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
