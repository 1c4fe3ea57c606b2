/* SPDX-License-Identifier: Apache-2.0 */
/* Readers and writers of groups of objects: which requests may run together, in which order waiting
 * ones run, and that each of them runs in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/run/ready.h"

enum { OBJECTS = 12, REQUESTS = 64, STEPS = 4000 };

static struct fxe_obj objects[OBJECTS];
static struct fxe_req requests[REQUESTS];
static int family[OBJECTS]; /* the test's own record of the groups */
static enum { UNUSED, WAITING, RUNNING } states[REQUESTS];

static int set_up(void **state)
{
    (void)state;
    memset(objects, 0, sizeof objects);
    memset(requests, 0, sizeof requests);
    memset(states, 0, sizeof states);
    for (int i = 0; i < OBJECTS; i++) {
        if (fxe_group_new(&objects[i]) != 0)
            return -1;
        family[i] = i;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < OBJECTS; i++)
        fxe_group_leave(&objects[i]);
    return fxe_ready_is_empty() ? 0 : -1;
}

/* --- requests, as the engine makes them --- */

static void need(int r, int object, bool write)
{
    assert_int_equal(fxe_needs_add(&requests[r].needs, &objects[object], write), 0);
}

static bool begins(int r)
{
    bool runs = fxe_needs_take(&requests[r], &requests[r].needs, false);
    states[r] = runs ? RUNNING : WAITING;
    return runs;
}

/* Returns the next waiting request that can run now. */
static int next_ready(void)
{
    struct fxe_req *batch[FXE_FLAT_MAX];
    if (fxe_ready_take(batch, 0) == 0)
        return -1;
    int r = (int)(batch[0] - requests);
    assert_int_equal(states[r], WAITING);
    states[r] = RUNNING;
    return r;
}

static void ends(int r)
{
    assert_int_equal(states[r], RUNNING);
    states[r] = UNUSED;
    fxe_needs_give(&requests[r].needs);
    assert_int_equal(requests[r].needs.n, 0);
}

static void is_next(int r)
{
    assert_int_equal(next_ready(), r);
}

/* --- */

static void readers_run_together_and_writers_alone(void **state)
{
    (void)state;
    need(0, 0, false);
    need(1, 0, false);
    need(2, 0, true);
    need(3, 1, true);
    assert_true(begins(0));
    assert_true(begins(1));
    assert_false(begins(2));
    assert_true(begins(3)); /* a different object */
    ends(0);
    assert_int_equal(next_ready(), -1);
    ends(1);
    is_next(2);
    ends(2);
    ends(3);
}

static void a_reader_does_not_overtake_a_writer_that_waits(void **state)
{
    (void)state;
    need(0, 0, false);
    need(1, 0, true);
    need(2, 0, false);
    need(3, 0, false);
    assert_true(begins(0));
    assert_false(begins(1));
    assert_false(begins(2));
    assert_false(begins(3));
    ends(0);
    is_next(1);
    assert_int_equal(next_ready(), -1);
    ends(1);
    is_next(2);
    is_next(3);
    ends(2);
    ends(3);
}

static void a_writer_that_waits_is_not_overtaken_when_one_of_several_readers_ends(void **state)
{
    (void)state;
    need(0, 0, false);
    need(1, 0, false);
    need(2, 0, true);
    need(3, 0, false);
    need(4, 0, false);
    assert_true(begins(0));
    assert_true(begins(1));
    assert_false(begins(2));
    assert_false(begins(3));
    assert_false(begins(4));
    ends(0);
    assert_int_equal(next_ready(), -1);
    ends(1);
    is_next(2);
    assert_int_equal(next_ready(), -1);
    ends(2);
    is_next(3);
    is_next(4);
    ends(3);
    ends(4);
}

static void a_request_takes_all_or_nothing_at_first(void **state)
{
    (void)state;
    need(0, 0, true);
    need(1, 1, true);
    need(1, 0, true);
    need(2, 1, true);
    assert_true(begins(0));
    assert_false(begins(1));
    assert_true(begins(2)); /* 1 waits for the first without holding the second */
    ends(0);
    assert_int_equal(next_ready(), -1);
    ends(2);
    is_next(1);
    ends(1);
}

/* Clients that search two indexes without a pause, each several at a time, while one is to be
 * merged into the other: at no moment are both free. */
static void a_writer_of_two_groups_is_not_overtaken_for_ever(void **state)
{
    enum { EACH = 8, WRITER = 2 * EACH };
    int turns = 0;
    (void)state;
    for (int r = 0; r < WRITER; r++) {
        need(r, r % 2, false);
        assert_true(begins(r));
    }
    need(WRITER, 1, true);
    need(WRITER, 0, true);
    assert_false(begins(WRITER));
    for (int r = 0; states[WRITER] != RUNNING; r = (r + 1) % WRITER) {
        if (states[r] != RUNNING)
            continue;
        assert_in_range(turns++, 0, 5 * WRITER);
        ends(r);
        need(r, r % 2, false);
        begins(r);
        while (next_ready() >= 0)
            ;
    }
    for (int r = 0; r < WRITER; r++)
        assert_int_equal(states[r], WAITING);
    ends(WRITER);
    for (int n = 0; n < WRITER; n++)
        assert_true(next_ready() >= 0);
    for (int r = 0; r < WRITER; r++)
        ends(r);
}

/* Each has what another one waits for, unless they take the groups in the same order. */
static void those_that_wait_do_not_wait_for_each_other(void **state)
{
    enum { RING = 6, LAST = 2 * RING };
    (void)state;
    for (int r = 0; r < RING; r++) {
        need(r, r, true);
        assert_true(begins(r));
    }
    for (int r = RING; r < LAST; r++) {
        need(r, r % RING, true);
        need(r, (r + 1) % RING, true);
        assert_false(begins(r));
    }
    for (int r = 0; r < RING; r++)
        ends(r);
    for (int n = 0, r; n < RING; n++) {
        while (next_ready() >= 0)
            ;
        for (r = RING; r < LAST && states[r] != RUNNING; r++)
            ;
        assert_in_range(r, RING, LAST - 1);
        ends(r);
    }
    assert_int_equal(next_ready(), -1);
}

static void reading_and_writing_one_group_is_writing(void **state)
{
    (void)state;
    fxe_group_merge(&objects[0], &objects[1]);
    need(0, 0, false);
    need(0, 1, true);
    need(1, 1, false);
    need(2, 2, false);
    need(2, 2, true);
    need(3, 2, false);
    assert_true(begins(0));
    assert_false(begins(1));
    assert_true(begins(2));
    assert_false(begins(3));
    ends(0);
    is_next(1);
    ends(1);
    ends(2);
    is_next(3);
    ends(3);
}

/* An index becomes part of another while requests for both wait. */
static void those_that_wait_find_the_merged_group(void **state)
{
    (void)state;
    need(0, 0, true);
    need(0, 1, true);
    need(1, 0, false);
    need(2, 1, true);
    need(3, 1, false);
    assert_true(begins(0));
    assert_false(begins(1));
    assert_false(begins(2));
    assert_false(begins(3));
    fxe_group_merge(&objects[0], &objects[1]);
    ends(0);
    int running = 0, last = -1;
    for (int left = 3; left > 0; left--) {
        while ((last = next_ready()) >= 0)
            running++;
        for (int r = 1; r < 4; r++) /* only the writer runs in the merged group */
            assert_true(states[r] != RUNNING || r != 2 || running == 1);
        for (int r = 1; r < 4; r++)
            if (states[r] == RUNNING) {
                ends(r);
                running--;
                break;
            }
    }
    assert_int_equal(next_ready(), -1);
    for (int r = 0; r < 4; r++)
        assert_int_equal(states[r], UNUSED);
}

/* A reader becomes the writer, before any that waits, and as soon as the other readers have ended.
 */
static void a_reader_may_become_the_next_writer(void **state)
{
    (void)state;
    for (int r = 0; r < 4; r++)
        need(r, 0, r == 2);
    assert_true(begins(0));
    assert_true(begins(1));
    assert_false(begins(2));
    states[0] = WAITING;
    assert_false(fxe_needs_raise(&requests[0], &requests[0].needs));
    assert_false(begins(3)); /* no other reader comes in between, */
    assert_int_equal(next_ready(), -1);
    ends(1);
    is_next(0);
    assert_int_equal(next_ready(), -1); /* and no other writer */
    ends(0);
    is_next(2);
    ends(2);
    is_next(3);
    assert_true(fxe_needs_raise(&requests[3], &requests[3].needs)); /* it is alone */
    assert_true(objects[0].group->writer);
    ends(3);
    assert_false(objects[0].group->writer);
}

static void a_reader_may_stop_waiting(void **state)
{
    (void)state;
    for (int r = 0; r < 5; r++)
        need(r, 0, r == 0 || r == 3);
    assert_true(begins(0));
    for (int r = 1; r < 5; r++)
        assert_false(begins(r));
    /* The first, the last, and one in between. */
    assert_true(fxe_needs_leave(&requests[2], &requests[2].needs));
    assert_true(fxe_needs_leave(&requests[1], &requests[1].needs));
    assert_true(fxe_needs_leave(&requests[4], &requests[4].needs));
    states[1] = states[2] = states[4] = UNUSED;
    need(4, 0, false);
    assert_false(begins(4)); /* and waits again, behind the writer */
    ends(0);
    is_next(3);
    assert_int_equal(next_ready(), -1);
    ends(3);
    assert_false(fxe_needs_leave(&requests[4], &requests[4].needs)); /* it has the lock */
    is_next(4);
    ends(4);
}

/* It waits for a group that is another's by now. */
static void a_reader_may_stop_waiting_for_a_merged_group(void **state)
{
    (void)state;
    need(0, 0, true);
    need(0, 1, true);
    need(1, 0, false);
    need(2, 1, false);
    assert_true(begins(0));
    assert_false(begins(1));
    assert_false(begins(2));
    fxe_group_merge(&objects[0], &objects[1]);
    assert_true(fxe_needs_leave(&requests[1], &requests[1].needs));
    assert_true(fxe_needs_leave(&requests[2], &requests[2].needs));
    states[1] = states[2] = UNUSED;
    ends(0);
    assert_int_equal(next_ready(), -1);
}

static void there_is_a_limit(void **state)
{
    static struct fxe_obj many[FX_OBJECTS_MAX + 1];
    struct fxe_needs n = {.n = 0};
    (void)state;
    for (int i = 0; i < FX_OBJECTS_MAX; i++)
        assert_int_equal(fxe_needs_add(&n, &many[i], false), 0);
    assert_int_equal(fxe_needs_add(&n, &many[0], true), 0); /* already listed: needs no place */
    assert_int_equal(fxe_needs_add(&n, &many[FX_OBJECTS_MAX], false), -1);
}

/* --- at random --- */

static unsigned seed;

static unsigned random_below(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % n;
}

static struct {
    int object;
    bool write;
} wanted[REQUESTS][4];
static int nwanted[REQUESTS];

static bool may_run_together(int a, int b)
{
    for (int i = 0; i < nwanted[a]; i++)
        for (int j = 0; j < nwanted[b]; j++)
            if (family[wanted[a][i].object] == family[wanted[b][j].object] &&
                (wanted[a][i].write || wanted[b][j].write))
                return false;
    return true;
}

static void check_running(int r)
{
    for (int other = 0; other < REQUESTS; other++)
        if (other != r && states[other] == RUNNING)
            assert_true(may_run_together(r, other));
}

static void drain(void)
{
    for (int r; (r = next_ready()) >= 0;)
        check_running(r);
}

static void begin_any(int r)
{
    memset(&requests[r], 0, sizeof requests[r]);
    nwanted[r] = 1 + (int)random_below(4);
    for (int i = 0; i < nwanted[r]; i++) {
        wanted[r][i].object = (int)random_below(OBJECTS);
        wanted[r][i].write = random_below(3) == 0;
        need(r, wanted[r][i].object, wanted[r][i].write);
    }
    if (begins(r))
        check_running(r);
}

/* A request that writes two objects makes them one group. */
static void merge_any(int r)
{
    int a = -1, b = -1;
    for (int i = 0; i < nwanted[r]; i++)
        if (wanted[r][i].write) {
            b = a;
            a = wanted[r][i].object;
        }
    if (b < 0 || random_below(8) != 0)
        return;
    fxe_group_merge(&objects[a], &objects[b]);
    for (int i = 0, from = family[b]; i < OBJECTS; i++)
        if (family[i] == from)
            family[i] = family[a];
}

static void everyone_has_a_turn(void **state)
{
    for (unsigned game = 1; game <= 10; game++) {
        if (game > 1 && (tear_down(state) != 0 || set_up(state) != 0))
            fail();
        seed = game;
        for (int step = 0; step < STEPS; step++) {
            int r = (int)random_below(REQUESTS);
            if (states[r] == UNUSED) {
                begin_any(r);
            } else if (states[r] == RUNNING) {
                merge_any(r);
                ends(r);
                drain();
            }
        }
        for (int waits = 1; waits;) {
            waits = 0;
            for (int r = 0; r < REQUESTS; r++)
                if (states[r] == RUNNING) {
                    ends(r);
                    drain();
                    waits = 1;
                }
        }
        for (int r = 0; r < REQUESTS; r++)
            assert_int_equal(states[r], UNUSED);
        for (int i = 0; i < OBJECTS; i++) {
            assert_int_equal(objects[i].group->readers, 0);
            assert_false(objects[i].group->writer);
            assert_null(objects[i].group->waiting);
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(readers_run_together_and_writers_alone),
        TEST(a_reader_does_not_overtake_a_writer_that_waits),
        TEST(a_writer_that_waits_is_not_overtaken_when_one_of_several_readers_ends),
        TEST(a_request_takes_all_or_nothing_at_first),
        TEST(a_writer_of_two_groups_is_not_overtaken_for_ever),
        TEST(those_that_wait_do_not_wait_for_each_other),
        TEST(reading_and_writing_one_group_is_writing),
        TEST(those_that_wait_find_the_merged_group),
        TEST(a_reader_may_become_the_next_writer),
        TEST(a_reader_may_stop_waiting),
        TEST(a_reader_may_stop_waiting_for_a_merged_group),
        TEST(there_is_a_limit),
        TEST(everyone_has_a_turn),
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
