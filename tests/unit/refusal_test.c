/* SPDX-License-Identifier: Apache-2.0 */
/* Which shapes the patterns of the table of refusals match, and which row applies to a release. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "server/engine/guard/refusal.h"

static void patterns_match_words_in_their_order(void **state)
{
    static const struct {
        const char *shape, *pattern;
        int matches;
    } cases[] = {
        {"IxFl:1", "IxFl", 1},
        {"IxFl:1", "IxF2", 0},
        {"IxFl:1", "IxFl:1", 1},
        {"IxFl:1", "IxFl:0", 0},
        {"IxFl:1", "IxFl:1:0", 0}, /* the shape lacks the type */
        {"IxSQ:1:3", "IxSQ:1", 1},
        {"IxSQ:1:3", "IxSQ:*:3", 1},
        {"IxSQ:1:3", "IxSQ:*:4", 0},
        {"IxSQ:1:30", "IxSQ:1:3", 0},
        {"IxSQ:10:3", "IxSQ:1", 0},
        {"", "", 1},
        {"IxFl:1", "", 1},
        {"", "IxFl", 0},
        /* '+': a metric with a name other than L2 and inner product; '#': one without a name */
        {"IxFl:0", "IxFl:+", 0},
        {"IxFl:1", "IxFl:+", 0},
        {"IxFl:2", "IxFl:+", 1},
        {"IxFl:22", "IxFl:+", 1},
        {"IxFl:23", "IxFl:+", 0},
        {"IxFl:22", "IxFl:#", 0},
        {"IxFl:23", "IxFl:#", 1},
        {"IxFl", "IxFl:+", 0},
        /* several words: in this order, perhaps with others between them */
        {"IxPT:1 IwFl:1 IxFl:1", "IxPT IxFl", 1},
        {"IxPT:1 IwFl:1 IxFl:1", "IxFl IxPT", 0},
        {"IxPT:1 IwFl:1 IxFl:1", "IwFl IwFl", 0},
        {"IwFl:1 IwFl:1", "IwFl IwFl", 1},
        /* with a comma: adjacent */
        {"IxPT:1 IwFl:1 IxFl:1", "IxPT,IxFl", 0},
        {"IxPT:1 IwFl:1 IxFl:1", "IxPT,IwFl", 1},
        {"IxPT:1 IwFl:1 IxFl:1", "IxPT,IwFl,IxFl", 1},
        {"IxPT:1 IwFl:1 IxFl:1", "IwFl,IxFl,IxFl", 0},
        {"IxPT:1 IxMp:1 IxPT:1 IwFl:1", "IxPT,IwFl", 1}, /* the first candidate does not match */
        {"IxPT:1 IwFl:1 IxFl:1", "IxPT IwFl,IxFl", 1},
        {"IxPT:1 IwFl:1 IxFl:1", "IxPT,IwFl IwFl,IxFl", 0}, /* each word is used once */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (fxe_shape_matches(cases[i].shape, cases[i].pattern) != cases[i].matches)
            fail_msg("'%s' %s '%s'", cases[i].pattern, cases[i].matches ? "must match" : "matches",
                     cases[i].shape);
}

static void a_release_is_the_nearest_older_one(void **state)
{
    int exact = -1;
    (void)state;
    fxe_refusal_find("1.7.3", FXE_ACT_add, 0, "", &exact);
    assert_int_equal(exact, 1);
    fxe_refusal_find("1.7.4", FXE_ACT_add, 0, "", &exact);
    assert_int_equal(exact, 0);
    fxe_refusal_find("1.0.0", FXE_ACT_add, 0, "", &exact); /* older than all releases: the oldest */
    assert_int_equal(exact, 0);
    fxe_refusal_find("99.0.0", FXE_ACT_add, 0, "", &exact);
    assert_int_equal(exact, 0);
    fxe_refusal_find("none", FXE_ACT_add, 0, "", &exact);
    assert_int_equal(exact, 0);
}

/* A word is known if it was tried, to the depth to which it was tried. */
static void what_was_not_tried_is_not_known(void **state)
{
    (void)state;
    assert_true(fxe_refusal_knows("1.7.3", "IxF2:1"));
    assert_true(fxe_refusal_knows("1.7.3", "IxPT:1 IxF2:1"));
    assert_false(fxe_refusal_knows("1.7.4", "IxF2:1"));
    assert_false(fxe_refusal_knows("1.7.3", "IxXX:1"));
    assert_false(fxe_refusal_knows("1.7.3", "IxPT:1 IxXX:1"));
    assert_false(fxe_refusal_knows("1.7.3", ""));
    assert_true(fxe_refusal_knows("1.7.3", "IxPT:1 IxPT:1 IxPT:1 IxF2:1"));
    assert_false(fxe_refusal_knows("1.7.3", "IxPT:1 IxPT:1 IxPT:1 IxPT:1 IxF2:1"));
}

/* A row applies if all the circumstances that it names are given, perhaps with others. */
static void a_row_needs_its_circumstances(void **state)
{
    int exact, rows = 0;
    (void)state;
    for (int act = 0; act < FXE_NACTS; act++)
        for (unsigned given = 0; given < FXE_CIRCUMSTANCES; given++) {
            const struct fxe_refusal *row =
                fxe_refusal_find("1.7.3", (enum fxe_act)act, given, "IHNs:1 IxSQ:1:0", &exact);
            if (!row)
                continue;
            rows++;
            assert_int_equal(row->act, act);
            assert_int_equal(row->with & ~given, 0);
            assert_int_equal(row->without & given, 0);
            assert_true(fxe_shape_matches("IHNs:1 IxSQ:1:0", row->pattern));
            const char *until =
                fxe_refusal_until("1.7.3", (enum fxe_act)act, given, "IHNs:1 IxSQ:1:0");
            if (until) {
                assert_string_not_equal(until, "1.7.3");
                assert_null(
                    fxe_refusal_find(until, (enum fxe_act)act, given, "IHNs:1 IxSQ:1:0", &exact));
            }
        }
    assert_int_not_equal(rows, 0);
}

static void a_row_says_which_index_it_means(void **state)
{
    static const struct {
        const char *pattern, *shape, *text;
    } cases[] = {
        {"IxFl:+", "IxFl:2", "an IndexFlat with METRIC_L1"},
        {"IxFl:#", "IxFl:23", "an IndexFlat with metric 23"},
        {"IxSQ:1:3", "IxSQ:1:3", "an IndexScalarQuantizer of type 3 with METRIC_L2"},
        {"IwFl", "IxPT:1 IwFl:1", "an IndexIVFFlat with METRIC_L2"},
        {"IxLS", "IxLS", "an IndexLocalSearchQuantizer"},
        {"What", "What:1", "an index of this kind"},
        {"IxFl", "", "an index of this kind"},
    };
    char text[80];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fxe_refusal row = {.pattern = cases[i].pattern};
        fxe_refusal_name(&row, cases[i].shape, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_words_in_their_order),
        cmocka_unit_test(a_release_is_the_nearest_older_one),
        cmocka_unit_test(what_was_not_tried_is_not_known),
        cmocka_unit_test(a_row_needs_its_circumstances),
        cmocka_unit_test(a_row_says_which_index_it_means),
    };
    return cmocka_run_group_tests_name("refusal", tests, NULL, NULL);
}
