/* SPDX-License-Identifier: Apache-2.0 */
/* The C API as data: array sizes, names, classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/api.h"

/* The values that the getters used by sizes return, and a record of the calls. */
struct world {
    int64_t d, list_size, nlist, nprobe, own_nprobe;
    size_t code_size;
    int64_t status; /* sa_code_size's return value */
    int is_ivf;     /* the parameters are those of an IVF */
    int broken;     /* every call fails */
    int last_op, calls;
    union fx_val last[3];
};

static int answer(void *ctx, int op, union fx_val *v)
{
    struct world *w = ctx;
    w->calls++;
    w->last_op = op;
    memcpy(w->last, v, fx_fns[op].nparams * sizeof(*v));
    union fx_val *ret = &v[fx_fns[op].nparams];
    if (w->broken)
        return -1;
    switch (op) {
    case FX_OP_Index_d:
    case FX_OP_IndexBinary_d:
    case FX_OP_Clustering_d:
        ret->i = w->d;
        break;
    case FX_OP_IndexIVF_get_list_size:
    case FX_OP_IndexBinaryIVF_get_list_size:
        ret->i = w->list_size;
        break;
    case FX_OP_IndexIVF_nlist:
    case FX_OP_IndexBinaryIVF_nlist:
        ret->i = w->nlist;
        break;
    case FX_OP_IndexIVF_nprobe:
    case FX_OP_IndexBinaryIVF_nprobe:
        ret->i = w->nprobe;
        break;
    case FX_OP_SearchParametersIVF_cast:
        ret->p = w->is_ivf ? v[0].p : NULL;
        break;
    case FX_OP_SearchParametersIVF_nprobe:
        ret->i = w->own_nprobe;
        break;
    case FX_OP_Index_sa_code_size:
        *(size_t *)v[1].p = w->code_size;
        ret->i = w->status;
        break;
    default:
        fail_msg("%s was called", fx_fns[op].name);
    }
    return 0;
}

static int op_of(const char *name)
{
    int op = fx_op_by_name(name, strlen(name));
    if (op == 0)
        fail_msg("no function %s", name);
    return op;
}

static int arg_of(const struct fx_fn *fn, const char *name)
{
    for (int i = 0; i < fn->nparams; i++)
        if (strcmp(fn->params[i].name, name) == 0)
            return i;
    fail_msg("%s has no parameter %s", fn->name, name);
    return -1;
}

/* A call and its arguments. */
struct call {
    const struct fx_fn *fn;
    union fx_val v[FX_PARAMS_MAX + 1];
    struct world w;
};

static struct call call_of(const char *name)
{
    return (struct call){.fn = &fx_fns[op_of(name)]};
}

static void set(struct call *c, const char *arg, int64_t value)
{
    c->v[arg_of(c->fn, arg)].i = value;
}

static void expect(struct call *c, const char *array, int64_t want)
{
    uint64_t n = 4711;
    const int16_t *prog = c->fn->params[arg_of(c->fn, array)].size;
    assert_non_null(prog);
    int r = fx_size(c->fn, prog, c->v, answer, &c->w, &n);
    if (want < 0) {
        assert_int_equal(r, -1);
    } else {
        assert_int_equal(r, 0);
        assert_true(n == (uint64_t)want);
    }
}

enum { REFUSED = -1 };

static void test_search(void **state)
{
    struct call c = call_of("faiss_Index_search");
    (void)state;
    c.w.d = 128;
    c.v[0].p = &c; /* the index: only passed on, never read */
    set(&c, "n", 7);
    set(&c, "k", 10);
    expect(&c, "x", 7 * 128);
    assert_int_equal(c.w.last_op, FX_OP_Index_d);
    assert_ptr_equal(c.w.last[0].p, &c);
    assert_int_equal(c.w.calls, 1);
    expect(&c, "distances", 70);
    expect(&c, "labels", 70);

    set(&c, "n", 0);
    expect(&c, "x", 0);
    expect(&c, "labels", 0);
    set(&c, "n", -7); /* FAISS itself checks this */
    expect(&c, "x", 0);
    expect(&c, "labels", 0);

    set(&c, "n", INT64_MAX);
    expect(&c, "x", REFUSED);
    expect(&c, "labels", REFUSED);
    set(&c, "n", INT64_MIN);
    expect(&c, "x", 0);
    set(&c, "n", -5); /* two negative factors do not make a valid size */
    set(&c, "k", -3);
    expect(&c, "labels", 0);
    set(&c, "n", (int64_t)1 << 32);
    set(&c, "k", (int64_t)1 << 31);
    expect(&c, "labels", REFUSED); /* 2^63 */
    set(&c, "k", ((int64_t)1 << 31) - 1);
    expect(&c, "labels", INT64_MAX - UINT32_MAX);
    set(&c, "n", 1);
    set(&c, "k", INT64_MAX);
    expect(&c, "labels", INT64_MAX);

    c.w.broken = 1;
    expect(&c, "x", REFUSED);
    expect(&c, "labels", INT64_MAX); /* needs no attribute of an object */
}

static void test_attributes(void **state)
{
    struct call c = call_of("faiss_IndexBinary_add");
    (void)state;
    c.w.d = 256;
    set(&c, "n", 3);
    expect(&c, "x", 96);
    assert_int_equal(c.w.last_op, FX_OP_IndexBinary_d);

    c = call_of("faiss_IndexIVF_invlists_get_ids");
    c.w.list_size = 42;
    set(&c, "list_no", 17);
    expect(&c, "invlist", 42);
    assert_int_equal(c.w.last_op, FX_OP_IndexIVF_get_list_size);
    assert_int_equal(c.w.last[1].i, 17);
    c.w.broken = 1;
    expect(&c, "invlist", REFUSED);

    c = call_of("faiss_Index_sa_encode");
    c.w.code_size = 24;
    set(&c, "n", 4);
    expect(&c, "bytes", 96);
    c.w.status = -4;
    expect(&c, "bytes", REFUSED);
    c.w.status = 0;
    c.w.code_size = SIZE_MAX;
    expect(&c, "bytes", REFUSED);
}

/* min(nprobe, nlist), nprobe from the parameters if those are an IVF's. */
static void test_probes(void **state)
{
    struct call c = call_of("faiss_IndexBinaryIVF_search_preassigned");
    (void)state;
    c.w.nlist = 100;
    c.w.nprobe = 8;
    c.w.own_nprobe = 20;
    set(&c, "n", 5);
    expect(&c, "cidx", 40);
    c.v[arg_of(c.fn, "params")].p = &c;
    expect(&c, "cidx", 40);
    c.w.is_ivf = 1;
    expect(&c, "cidx", 100);
    c.w.own_nprobe = 101;
    expect(&c, "cidx", 500);
    c.w.own_nprobe = c.w.nlist = INT64_MAX;
    expect(&c, "cidx", REFUSED);
    c.w.broken = 1;
    expect(&c, "cidx", REFUSED);

    c = call_of("faiss_IndexIVF_search_preassigned");
    c.w.nlist = 4;
    c.w.nprobe = 8;
    set(&c, "n", 5);
    expect(&c, "assign", 20);
    assert_int_equal(c.w.last_op, FX_OP_IndexIVF_nlist);
}

static void test_size_t(void **state)
{
    struct call c = call_of("faiss_IDSelectorBatch_new");
    (void)state;
    set(&c, "n", 12);
    expect(&c, "indices", 12);
    set(&c, "n", INT64_MAX);
    expect(&c, "indices", INT64_MAX);
    set(&c, "n", INT64_MIN); /* SIZE_MAX / 2 + 1 */
    expect(&c, "indices", REFUSED);
    set(&c, "n", -1); /* SIZE_MAX */
    expect(&c, "indices", REFUSED);
}

static void test_rows(void **state)
{
    struct call c = call_of("faiss_pairwise_L2sqr");
    (void)state;
    set(&c, "d", 4);
    set(&c, "nq", 3);
    set(&c, "nb", 5);
    set(&c, "ldq", -1);
    set(&c, "ldb", -1);
    set(&c, "ldd", -1);
    expect(&c, "xq", 12);
    expect(&c, "xb", 20);
    expect(&c, "dis", 15);
    /* The last row is not padded. */
    set(&c, "ldq", 10);
    set(&c, "ldb", 4);
    set(&c, "ldd", 6);
    expect(&c, "xq", 24);
    expect(&c, "xb", 20);
    expect(&c, "dis", 17);
    set(&c, "ldq", 0); /* all rows are the same */
    expect(&c, "xq", 4);
    set(&c, "ldq", -2);
    expect(&c, "xq", REFUSED);
    set(&c, "nq", 0);
    expect(&c, "xq", 0);
    expect(&c, "dis", 0);
    set(&c, "nq", -5);
    expect(&c, "xq", 0);
    set(&c, "nq", INT64_MIN);
    expect(&c, "xq", 0);
    set(&c, "nq", INT64_MAX);
    set(&c, "ldq", 2);
    expect(&c, "xq", REFUSED);
    set(&c, "ldq", 1);
    expect(&c, "xq", REFUSED); /* the sum overflows */
    set(&c, "d", 1);
    expect(&c, "xq", INT64_MAX);
}

/* Operators that the language has, though perhaps no function in the table uses them. */
static void test_operators(void **state)
{
    static const struct {
        int16_t prog[12];
        int64_t want;
    } cases[] = {
        {{FX_SZ_NUM, 7, FX_SZ_END}, 7},
        {{FX_SZ_NUM, 7, FX_SZ_NUM, 9, FX_SZ_SUB, FX_SZ_END}, 0},
        {{FX_SZ_NUM, 9, FX_SZ_NUM, 7, FX_SZ_SUB, FX_SZ_END}, 2},
        {{FX_SZ_NUM, 7, FX_SZ_NUM, 9, FX_SZ_ADD, FX_SZ_END}, 16},
        {{FX_SZ_NUM, 9, FX_SZ_NUM, 2, FX_SZ_DIV, FX_SZ_END}, 4},
        {{FX_SZ_NUM, 9, FX_SZ_NUM, 0, FX_SZ_DIV, FX_SZ_END}, REFUSED},
        {{FX_SZ_NUM, 1, FX_SZ_ARG, 1, FX_SZ_ADD, FX_SZ_END}, REFUSED}, /* + INT64_MAX */
        {{FX_SZ_NUM, -2, FX_SZ_ARG, 1, FX_SZ_SUB, FX_SZ_END}, REFUSED},
        {{FX_SZ_NUM, 2, FX_SZ_NUM, 3, FX_SZ_NUM, 4, FX_SZ_MUL, FX_SZ_ADD, FX_SZ_END}, 14},
    };
    struct call c = call_of("faiss_Index_search");
    (void)state;
    c.v[1].i = INT64_MAX;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t n = 0;
        int r = fx_size(c.fn, cases[i].prog, c.v, answer, &c.w, &n);
        assert_int_equal(r, cases[i].want < 0 ? -1 : 0);
        assert_true(r != 0 || n == (uint64_t)cases[i].want);
    }
}

/* The number of words that follow an operator. */
static int operands(int op)
{
    return op == FX_SZ_ATTR ? 3 : op == FX_SZ_ARG || op == FX_SZ_NUM ? 1 : 0;
}

/* A program leaves one number, never exceeds the evaluator's stack, and names parameters of the
 * right kind. */
static void check_program(const struct fx_fn *fn, const int16_t *prog)
{
    int depth = 0;
    for (; *prog != FX_SZ_END; prog += 1 + operands(*prog)) {
        assert_in_range(*prog, FX_SZ_ARG, FX_SZ_ROWS);
        if (operands(*prog) > 0)
            depth++;
        else
            depth -= *prog == FX_SZ_ROWS ? 3 : 1;
        assert_in_range(depth, 1, FX_SIZE_DEPTH);
        if (*prog == FX_SZ_ARG) {
            assert_in_range(prog[1], 0, fn->nparams - 1);
            int kind = fn->params[prog[1]].kind;
            assert_true(kind == FX_INT || kind == FX_UINT);
        } else if (*prog == FX_SZ_ATTR) {
            assert_in_range(prog[1], FX_ATTR_D, FX_ATTR_PROBES);
            assert_in_range(prog[2], 0, fn->nparams - 1);
            assert_int_equal(fn->params[prog[2]].kind, FX_HANDLE);
            assert_true(prog[3] >= -1 && prog[3] < fn->nparams);
        }
    }
    assert_int_equal(depth, 1);
}

static void test_table(void **state)
{
    (void)state;
    for (int op = 1; op < FX_NOPS; op++) {
        const struct fx_fn *fn = &fx_fns[op];
        for (int i = 0; i <= fn->nparams; i++) {
            const struct fx_param *p = i < fn->nparams ? &fn->params[i] : &fn->ret;
            if (p->size)
                check_program(fn, p->size);
            else if (p->kind == FX_ARRAY) /* without a size it could not be sent */
                assert_true(fn->flags & (FX_UNSIZED | FX_CUSTOM | FX_PROCESS));
            if (p->kind == FX_ARRAY || p->kind == FX_LENT)
                assert_in_range(p->elem, 0, FX_NELEMS - 1);
            if (p->kind == FX_HANDLE || p->kind == FX_OUT_HANDLE || p->kind == FX_HANDLES)
                assert_in_range(p->cls, 0, FX_NCLASSES - 1);
        }
    }
}

static void test_bytes(void **state)
{
    size_t b;
    (void)state;
    assert_int_equal(fx_bytes(0, FX_F64, &b), 0);
    assert_int_equal(b, 0);
    assert_int_equal(fx_bytes(10, FX_F32, &b), 0);
    assert_int_equal(b, 40);
    assert_int_equal(fx_bytes(10, FX_I64, &b), 0);
    assert_int_equal(b, 80);
    assert_int_equal(fx_bytes(10, FX_I32, &b), 0);
    assert_int_equal(b, 40);
    assert_int_equal(fx_bytes(10, FX_U8, &b), 0);
    assert_int_equal(b, 10);
    assert_int_equal(fx_bytes(2, FX_CLUSTERING_PARAMS, &b), 0);
    assert_int_equal(b, 2 * sizeof(FaissClusteringParameters));
    assert_int_equal(fx_bytes(PTRDIFF_MAX, FX_U8, &b), 0);
    assert_int_equal(fx_bytes((uint64_t)PTRDIFF_MAX + 1, FX_U8, &b), -1);
    assert_int_equal(fx_bytes(UINT64_MAX, FX_U8, &b), -1);
    assert_int_equal(fx_bytes(PTRDIFF_MAX / 4, FX_F32, &b), 0);
    assert_int_equal(fx_bytes(PTRDIFF_MAX / 4 + 1, FX_F32, &b), -1);
    assert_int_equal(fx_bytes((uint64_t)1 << 61, FX_I64, &b),
                     -1); /* 2^64 bytes: must not become 0 */
    assert_int_equal(fx_bytes(UINT64_MAX / 4 + 2, FX_F32, &b), -1);
}

static void test_names(void **state)
{
    char near[200];
    (void)state;
    for (int op = 1; op < FX_NOPS; op++) {
        const char *name = fx_fns[op].name;
        size_t len = strlen(name);
        assert_int_equal(fx_op_by_name(name, len), op);
        /* Without a NUL at the end, as in a message. */
        char *exact = malloc(len);
        memcpy(exact, name, len);
        assert_int_equal(fx_op_by_name(exact, len), op);
        free(exact);
        /* A longer or shorter name is another function, or none. */
        for (size_t n = 0; n < len; n++) {
            int other = fx_op_by_name(name, n);
            assert_int_not_equal(other, op);
            assert_true(other == 0 ||
                        (strlen(fx_fns[other].name) == n && !memcmp(fx_fns[other].name, name, n)));
        }
        for (int ch = 1; ch < 256; ch++) {
            memcpy(near, name, len);
            near[len] = (char)ch;
            assert_int_not_equal(fx_op_by_name(near, len + 1), op);
        }
        memcpy(near, name, len);
        near[len - 1]++;
        assert_int_not_equal(fx_op_by_name(near, len), op);
        near[0] = 'F';
        assert_int_equal(fx_op_by_name(near, len), 0);
    }
    assert_int_equal(fx_op_by_name("", 0), 0);
    assert_int_equal(fx_op_by_name("faiss_", 6), 0);
    assert_int_equal(fx_op_by_name("\xff\xff\xff", 3), 0);
}

/* A name from the network may contain NUL bytes: nothing is read beyond a function's name. */
static void test_name_with_nul(void **state)
{
    (void)state;
    for (int op = 1; op < FX_NOPS; op++) {
        char name[256] = "";
        size_t len = strlen(fx_fns[op].name);
        memcpy(name, fx_fns[op].name, len);
        assert_int_equal(fx_op_by_name(name, len + 1), 0);
        assert_int_equal(fx_op_by_name(name, len + 2), 0);
        assert_int_equal(fx_op_by_name(name, sizeof(name)), 0);
    }
}

static void test_classes(void **state)
{
    (void)state;
    for (int c = 0; c < FX_NCLASSES; c++) {
        int root = fx_root(c);
        assert_int_equal(fx_is_a(c, c), 1);
        assert_int_equal(fx_is_a(c, root), 1);
        assert_int_equal(fx_is_a(c, fx_classes[c].base), 1);
        assert_int_equal(fx_root(root), root);
        assert_int_equal(fx_is_a(root, c), root == c);
    }
    assert_int_equal(fx_is_a(FX_CLASS_IndexFlat1D, FX_CLASS_IndexFlat), 1);
    assert_int_equal(fx_is_a(FX_CLASS_IndexFlat1D, FX_CLASS_IndexFlatIP), 0);
    assert_int_equal(fx_is_a(FX_CLASS_IndexFlat, FX_CLASS_IndexFlat1D), 0);
    assert_int_equal(fx_is_a(FX_CLASS_IndexIVFFlat, FX_CLASS_Index), 1);
    assert_int_equal(fx_is_a(FX_CLASS_IndexBinaryFlat, FX_CLASS_Index), 0);
    assert_int_equal(fx_is_a(FX_CLASS_IndexBinaryFlat, FX_CLASS_IndexBinary), 1);
    assert_int_equal(fx_is_a(FX_CLASS_IDSelectorBatch, FX_CLASS_IDSelector), 1);
    assert_int_equal(fx_is_a(FX_CLASS_PCAMatrix, FX_CLASS_VectorTransform), 1);
    assert_int_equal(fx_root(FX_CLASS_IndexIVFFlat), FX_CLASS_Index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search),  cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_probes),  cmocka_unit_test(test_size_t),
        cmocka_unit_test(test_rows),    cmocka_unit_test(test_operators),
        cmocka_unit_test(test_table),   cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_name_with_nul),
        cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests_name("size", tests, NULL, NULL);
}
