/* SPDX-License-Identifier: Apache-2.0 */
/* What the table says about functions, apart from prototypes and array sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "server/engine/call/extras.h"
#include "server/engine/call/special.h"
#include "server/engine/run/request.h"

static const struct fx_fn *fn_of(const char *name)
{
    int op = fx_op_by_name(name, strlen(name));
    if (op == 0)
        fail_msg("no function %s", name);
    return &fx_fns[op];
}

static const struct fx_param *param_of(const char *function, const char *name)
{
    const struct fx_fn *fn = fn_of(function);
    for (int i = 0; i < fn->nparams; i++)
        if (strcmp(fn->params[i].name, name) == 0)
            return &fn->params[i];
    fail_msg("%s has no parameter %s", function, name);
    return NULL;
}

/* Arguments that may be negative: those that FAISS itself checks, and strides, which may be -1. */
static int is_free(const struct fx_fn *fn, const char *name)
{
    return (strcmp(name, "k") == 0 && (strstr(fn->name, "earch") || strstr(fn->name, "assign"))) ||
           (strncmp(name, "ld", 2) == 0 && strcmp(fn->name, "faiss_pairwise_L2sqr") == 0);
}

static void test_every_argument_of_a_size_is_a_length(void **state)
{
    int seen = 0;
    (void)state;
    for (int op = 1; op < FX_NOPS; op++)
        for (int i = 0; i <= fx_fns[op].nparams; i++) {
            const struct fx_fn *fn = &fx_fns[op];
            const int16_t *prog = i < fn->nparams ? fn->params[i].size : fn->ret.size;
            for (; prog && *prog != FX_SZ_END; prog++) {
                if (*prog == FX_SZ_ATTR)
                    prog += 3;
                else if (*prog == FX_SZ_NUM)
                    prog++;
                else if (*prog == FX_SZ_ARG) {
                    const struct fx_param *p = &fn->params[*++prog];
                    seen++;
                    if (!p->length && !is_free(fn, p->name))
                        fail_msg("%s: nobody checks %s", fn->name, p->name);
                }
            }
        }
    assert_true(seen > 100);
    assert_int_equal(param_of("faiss_fvec_norms_L2", "nx")->length, 1);
    assert_int_equal(param_of("faiss_pairwise_L2sqr", "d")->length, 1);
    assert_int_equal(param_of("faiss_pairwise_L2sqr", "ldq")->length, 0);
    assert_int_equal(param_of("faiss_Index_search", "k")->length, 0);
}

static void test_what_changes_an_object(void **state)
{
    static const struct {
        const char *function, *param;
        int changed;
    } cases[] = {
        {"faiss_Index_add", "index", 1},
        {"faiss_Index_search", "index", 0},
        {"faiss_IndexIVF_quantizer", "obj", 0},
        {"faiss_IndexShards_at", "index", 0},
        {"faiss_IndexFlat_cast", "index", 0},
        {"faiss_IndexFlat_xb", "index", 0},
        {"faiss_Index_free", "obj", 0},
        {"faiss_IndexIDMap_new", "index", 1},
        {"faiss_Index_search_with_params", "params", 0},
        {"faiss_ParameterSpace_set_index_parameter", "space", 0},
        {"faiss_ParameterSpace_set_index_parameter", "cindex", 1},
        {"faiss_ParameterSpace_add_range", "space", 1}, /* adds the range that it lends */
        {"faiss_index_cpu_to_gpu_multiple", "providers_vec", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (param_of(cases[i].function, cases[i].param)->changed != cases[i].changed)
            fail_msg("%s: %s", cases[i].function, cases[i].param);
}

/* Pairs of functions that do the same: a fork's function under two names, or one that only adds
 * parameters to another. */
static void test_twins_are_guarded_alike(void **state)
{
    static const char *const twins[][2] = {
        {"faiss_IndexIVF_search_preassigned", "faiss_IndexIVF_search_preassigned_with_params"},
        {"faiss_IndexBinaryIVF_search_preassigned",
         "faiss_IndexBinaryIVF_search_preassigned_with_params"},
        {"faiss_IndexIVF_list_vector_count", "faiss_ivf_list_vector_count"},
        {"faiss_IndexIVF_list_vector_count", "faiss_IndexBinaryIVF_list_vector_count"},
        {"faiss_IndexIVF_search_closest_eligible_centroids",
         "faiss_Search_closest_eligible_centroids"},
        {"faiss_IndexIVF_merge_from", "faiss_Index_merge_from"},
        {"faiss_IndexIVF_get_list_size", "faiss_IndexBinaryIVF_get_list_size"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof twins / sizeof *twins; i++) {
        const struct fx_fn *a = fn_of(twins[i][0]), *b = fn_of(twins[i][1]);
        if (a->checks != b->checks || a->act != b->act)
            fail_msg("%s and %s", a->name, b->name);
    }
}

static void test_objects(void **state)
{
    (void)state;
    assert_int_equal(fn_of("faiss_ParameterSpace_add_range")->makes, FX_CLASS_ParameterRange);
    assert_int_equal(fn_of("faiss_IndexIVF_quantizer")->makes, FX_CLASS_Index);
    assert_int_equal(fn_of("faiss_Index_add")->makes, FX_NO_CLASS);
    assert_true(fn_of("faiss_IndexIVFFlat_new_with")->flags & FX_NEW);
    assert_true(fn_of("faiss_index_factory")->flags & FX_WHOLE);
    /* Derived classes inherit `single`; base classes do not get it. */
    assert_int_equal(fx_classes[FX_CLASS_GpuIndex].single, 1);
    assert_int_equal(fx_classes[FX_CLASS_GpuIndexIVF].single, 1);
    assert_int_equal(fx_classes[FX_CLASS_StandardGpuResources].single, 1);
    assert_int_equal(fx_classes[FX_CLASS_Index].single, 0);
}

static void test_wide(void **state)
{
    (void)state;
    assert_int_equal(fn_of("faiss_Index_search")->rows, 1);
    assert_int_equal(fn_of("faiss_kmeans_clustering")->rows, 1);
    assert_int_equal(fn_of("faiss_clone_index")->rows, -1);
    assert_true(fn_of("faiss_clone_index")->flags & FX_WIDE);
    assert_false(fn_of("faiss_set_omp_threads")->flags & FX_WIDE);
}

static void test_special_handlers(void **state)
{
    int n = 0;
    (void)state;
    for (int op = 0; op < FX_NOPS; op++) {
        const struct fxe_operation *o = fxe_special(op);
        int flagged = op && fx_fns[op].flags & FX_SERVER;
        if (!o != !flagged)
            fail_msg("%s: flag and handler differ, server/engine/call/special.c", fx_fns[op].name);
        if (o)
            assert_string_equal(o->name, fx_fns[op].name);
        n += o != NULL;
    }
    assert_true(n > 0);
}

/* A function with made= is implemented in extras.c, with other functions, if the library lacks it.
 */
static void test_functions_made_of_others(void **state)
{
    int n = 0;
    (void)state;
    memset(&fxe_engine.lib.api, 0xff,
           sizeof fxe_engine.lib.api); /* a library with every function */
    for (int op = 1; op < FX_NOPS; op++) {
        unsigned plain = fx_fns[op].flags & FX_COMPOSED && !(fx_fns[op].flags & FX_CUSTOM);
        if (!fxe_extra_has(op) != !plain)
            fail_msg("%s: made= in proto/faiss.api and server/engine/call/extras.c differ",
                     fx_fns[op].name);
        n += plain != 0;
    }
    assert_true(n > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_argument_of_a_size_is_a_length),
        cmocka_unit_test(test_what_changes_an_object),
        cmocka_unit_test(test_twins_are_guarded_alike),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_special_handlers),
        cmocka_unit_test(test_functions_made_of_others),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
