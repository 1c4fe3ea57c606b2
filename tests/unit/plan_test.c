/* SPDX-License-Identifier: Apache-2.0 */
/* How many vectors an index waits for: FAISS's rule for each kind, of its description; and that the
 * plan of an index is in its note. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "server/engine/training/training.h"

static void the_largest_clustering_decides(void **state)
{
    static const struct {
        const char *description;
        int64_t d, least, enough, most;
    } cases[] = {{"IVF100,Flat", 16, 100, 3900, 65536},
                 {"IVF100,SQ8", 16, 100, 3900, 65536},
                 {"PQ8", 16, 256, 9984, 65536},
                 {"PQ8x4", 16, 16, 624, 65536},
                 {"PQ8x4np", 16, 16, 624, 65536},
                 {"PQ4x4fs", 16, 16, 624, 65536},
                 {"PQ8x12", 16, 4096, 159744, 1048576},
                 {"IVF1024,PQ8x8np", 16, 1024, 39936, 262144},
                 {"IVF4,PQ8x8", 16, 256, 9984, 65536},
                 {"OPQ4_8,IVF4,PQ4x4", 16, 256, 9984, 65536},
                 {"IVF65536_HNSW32,Flat", 16, 65536, 1000000, 16777216},
                 {"IVF2000000,Flat", 16, 2000000, 2000000, 512000000},
                 {"IMI2x6,Flat", 16, 64, 2496, 65536},
                 {"IDMap2,IVF8,Flat", 16, 8, 312, 65536},
                 {"BIVF10", 16, 10, 390, 65536},
                 {"RQ3x5", 16, 32, 1248, 65536},
                 {"SQ8", 16, 1, 256, 65536},
                 {"PCA8,Flat", 512, 512, 512, 65536},
                 {"PCAR8,IVF4,Flat", 16, 16, 256, 65536},
                 {"ITQ16,LSH", 300, 300, 300, 65536}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].description;
        if (fxe_training_least(text, cases[i].d) != cases[i].least ||
            fxe_training_enough(text, cases[i].d) != cases[i].enough ||
            fxe_training_most(text) != cases[i].most)
            fail_msg("%s: least %lld, enough %lld, most %lld", text,
                     (long long)fxe_training_least(text, cases[i].d),
                     (long long)fxe_training_enough(text, cases[i].d),
                     (long long)fxe_training_most(text));
    }
}

static void strange_numbers_are_no_clusterings(void **state)
{
    static const char *const strange[] = {"",     "IVF",        "IVF0,Flat", "PQ",
                                          "PQ8x", "PQ99999x99", "IMI2x99",   "IVF-5,Flat"};
    (void)state;
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        int64_t least = fxe_training_least(strange[i], 1);
        assert_true(least >= 1 && least <= 1 << 24);
        assert_true(fxe_training_enough(strange[i], 1) >= least);
    }
}

static void a_note_has_the_plan(void **state)
{
    struct fxs_note note = {.d = 16, .metric = 1, .ntotal = 5, .odd = 1}, read;
    msgpack_sbuffer b;
    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        if (waits) {
            strcpy(note.plan.description, "IDMap2,IVF4,Flat");
            strcpy(note.plan.type, "IndexIDMap2");
            strcpy(note.plan.inner, "IndexIVFFlat");
            note.plan.enough = 256;
            note.plan.asked = 1;
        }
        msgpack_sbuffer_init(&b);
        fxs_note_write(&note, &b);
        memset(&read, 0, sizeof read);
        fxs_note_read(&read, b.data, b.size);
        msgpack_sbuffer_destroy(&b);
        assert_int_equal(read.d, 16);
        assert_int_equal(read.ntotal, 5);
        assert_int_equal(read.odd, 1);
        assert_string_equal(read.plan.description, note.plan.description);
        assert_string_equal(read.plan.type, note.plan.type);
        assert_string_equal(read.plan.inner, note.plan.inner);
        assert_int_equal(read.plan.enough, note.plan.enough);
        assert_int_equal(read.plan.asked, note.plan.asked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_clustering_decides),
        cmocka_unit_test(strange_numbers_are_no_clusterings),
        cmocka_unit_test(a_note_has_the_plan),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
