/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls every function of the table through LIBRARY and prints the results.
 *
 *   driver LIBRARY [--remote] [--fail]
 *   driver --compared
 *
 * --remote    leave out what does not work in remote mode
 * --fail      every call fails: needs RECORD_FAIL='*' in the recording library's
 *             environment
 * --compared  list the functions whose calls reach the library one for one in
 *             remote mode: neither answered nor gathered by the client
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

static int load(const char *path)
{
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        fprintf(stderr, "driver: %s\n", dlerror());
        return -1;
    }
    /* struct fx_api has one pointer for each operation, in their order. */
    for (int op = 1; op < FX_NOPS; op++) {
        void *f = dlsym(lib, fx_fns[op].name);
        if (!f) {
            fprintf(stderr, "driver: %s\n", dlerror());
            return -1;
        }
        memcpy((char *)&api + (size_t)(op - 1) * sizeof f, &f, sizeof f);
    }
    return 0;
}

#define CHECK(name) (1u << FX_CHECK_##name)

/* Returns whether the server makes one of these checks before it calls the library. */
static int has_check(int op, unsigned checks)
{
    return (fx_fns[op].checks & checks) != 0;
}

static int left_out(int op)
{
    return remote && ((fx_fns[op].flags & (FX_PROCESS | FX_UNSIZED)) ||
                      op == FX_OP_IndexShards_shard_indexes);
}

/* Calls a function of objects that the API cannot make: with NULL, and in process only. */
static void call_with_nil(int op)
{
    union fx_val v[FX_PARAMS_MAX + 1];
    if (remote) {
        called[op]++;
        return;
    }
    arguments(op, 0, v);
    for (int i = 0; i < fx_fns[op].nparams; i++)
        if (fx_fns[op].params[i].kind == FX_HANDLE)
            v[i].p = NULL;
        else if (fx_fns[op].params[i].kind == FX_ARRAY)
            v[i].p = &auto_room;
    call(op, v);
}

static void call_twice(int op)
{
    for (int variant = 0; variant < 2; variant++) {
        union fx_val v[FX_PARAMS_MAX + 1];
        if (!arguments(op, variant, v)) {
            call_with_nil(op);
            return;
        }
        /* A space with a range that has no values crashes FAISS. */
        if (has_check(op, CHECK(ranges)))
            v[0].p = fresh(FX_CLASS_ParameterSpace);
        call(op, v);
    }
}

/* Calls again without optional arguments, without search parameters, and with no vectors. */
static void call_with_less(int op)
{
    const struct fx_fn *fn = &fx_fns[op];
    union fx_val v[FX_PARAMS_MAX + 1];
    int n = -1, params = -1, optional = 0;
    for (int i = 0; i < fn->nparams; i++) {
        if (strcmp(fn->params[i].name, "n") == 0 && !strstr(fn->name, "train"))
            n = i;
        if (strcmp(fn->params[i].name, "params") == 0 && fn->params[i].kind == FX_HANDLE)
            params = i;
        optional |= fn->params[i].nullable;
    }
    if (optional && arguments(op, 0, v)) {
        for (int i = 0; i < fn->nparams; i++)
            if (fn->params[i].nullable)
                v[i].p = NULL;
        call(op, v);
    }
    if (params >= 0 && arguments(op, 0, v)) {
        v[params].p = NULL;
        call(op, v);
    }
    for (int nil = 0; n >= 0 && nil < 2; nil++) {
        if (!arguments(op, 1, v))
            return;
        v[n].i = 0;
        for (int i = 0; nil && i < fn->nparams; i++)
            if (fn->params[i].kind == FX_ARRAY)
                v[i].p = NULL;
        call(op, v);
    }
}

static void call_free(int op)
{
    void *o = fresh(fx_fns[op].params[0].cls);
    struct handle *h = o ? known(o) : NULL;
    if (h && !h->parent)
        call(op, (union fx_val[2]){P(o)});
    call(op, (union fx_val[2]){P(NULL)});
}

/* Adds vectors, so that the ids in the arguments, which are below 3, exist. */
static void add_vectors(void)
{
    if (!shared(FX_CLASS_Index, 0)) {
        print_last_error();
        exit(1); /* nothing will work */
    }
    CALL(Index_add, P(shared(FX_CLASS_Index, 0)), I(6), AUTO);
    CALL(IndexBinary_add, P(shared(FX_CLASS_IndexBinary, 0)), I(6), AUTO);
}

static void everything(void)
{
    add_vectors();
    for (int op = 1; op < FX_NOPS; op++) {
        if (left_out(op))
            called[op]++;
        else if (!in_scene(op) && !(fx_fns[op].flags & FX_FREE))
            call_twice(op);
        if (op == FX_OP_Index_reset || op == FX_OP_IndexBinary_reset)
            add_vectors();
    }
    scenes();
    for (int op = 1; op < FX_NOPS; op++)
        /* With NULL for the centroids, ids or parameters, FAISS crashes and the server refuses the
         * call. */
        if (!in_scene(op) && !left_out(op) &&
            !(remote &&
              (op == FX_OP_kmeans_clustering || has_check(op, CHECK(ids) | CHECK(selected)))))
            call_with_less(op);
    for (int op = 1; op < FX_NOPS; op++)
        if (fx_fns[op].flags & FX_FREE)
            call_free(op);
    free_all();
}

/* Returns whether the server calls another function first: to rebuild a value object, or to ask for
 * a size or for the number of vectors (0 here, because adding fails). */
static int prepares(int op)
{
    if (op == FX_OP_Index_reconstruct_n || has_check(op, CHECK(key) | CHECK(keys) | CHECK(labels) |
                                                             CHECK(residual_keys) | CHECK(ranges)))
        return 1;
    for (int i = 0; i < fx_fns[op].nparams; i++) {
        const struct fx_param *p = &fx_fns[op].params[i];
        if (p->kind == FX_HANDLE && fx_classes[p->cls].value)
            return 1;
        for (const int16_t *s = p->size; s && *s != FX_SZ_END; s++) {
            if (s[0] == FX_SZ_ATTR && s[1] == FX_ATTR_CODE_SIZE)
                return 1;
            s += *s == FX_SZ_ATTR ? 3 : *s == FX_SZ_ARG || *s == FX_SZ_NUM;
        }
    }
    return 0;
}

/* Returns whether the call must fail.  In remote mode, objects of the client do not fail, and a
 * call that the server prepares by another one fails with the error of that one. */
static int fails(int op)
{
    return fx_fns[op].ret.kind == FX_ERR && !left_out(op) &&
           !(remote && ((fx_fns[op].flags & FX_CUSTOM) || prepares(op)));
}

static int failures(void)
{
    int wrong = 0;
    for (int cls = 0; cls < FX_NCLASSES; cls++)
        for (int which = 0; which < 2; which++)
            shared(cls, which);
    reuse_objects();
    CALL(set_distance_compute_blas_threshold, I(-1));
    for (int op = 1; op < FX_NOPS; op++) {
        union fx_val v[FX_PARAMS_MAX + 1];
        if (!fails(op) || !arguments(op, 0, v))
            continue;
        if (call(op, v).i != FAISS_EXCEPT)
            wrong++;
        print_last_error();
    }
    CALL(set_distance_compute_blas_threshold, I(20));
    free_all();
    return wrong;
}

static int compared(void)
{
    static const char *const attributes[] = {
        "faiss_Index_sa_code_size",
        "faiss_IndexIVF_nprobe",
        "faiss_IndexBinaryIVF_nprobe",
        "faiss_IndexIVF_get_list_size",
        "faiss_ScalarQuantizer_trained_size",
        "faiss_IndexBinaryIVF_get_list_size",
        /* and those that the checks of the server call */
        "faiss_Index_ntotal",
        "faiss_IndexBinary_ntotal",
        "faiss_VectorTransform_is_trained",
        "faiss_IndexPreTransform_index",
        "faiss_Index_compute_residual",
        "faiss_Index_reconstruct",
        "faiss_Index_compute_residual_n",
        "faiss_Index_reconstruct_n",
        "faiss_IndexBinary_reconstruct",
        "faiss_IndexBinary_reconstruct_n",
        "faiss_IndexIVF_nlist",
        "faiss_IndexBinaryIVF_nlist",
    };
    const uint32_t not_so = FX_CUSTOM | FX_PROCESS | FX_UNSIZED | FX_CAST | FX_BORROW | FX_FIXED |
                            FX_D | FX_OWN |
                            FX_OWNED; /* ownership is kept by the server's own table */
    for (int op = 1; op < FX_NOPS; op++) {
        int skip = (fx_fns[op].flags & not_so) != 0;
        for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
            skip |= strcmp(attributes[i], fx_fns[op].name) == 0;
        if (!skip)
            puts(fx_fns[op].name);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int fail = 0, wrong = 0;
    if (argc == 2 && strcmp(argv[1], "--compared") == 0)
        return compared();
    for (int i = 2; i < argc; i++) {
        remote |= strcmp(argv[i], "--remote") == 0;
        fail |= strcmp(argv[i], "--fail") == 0;
    }
    if (argc < 2 || load(argv[1]) != 0) {
        fputs("usage: driver LIBRARY [--remote] [--fail]\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* the library prints between our lines */
    if (fail)
        wrong = failures();
    else
        everything();
    for (int op = 1; !fail && op < FX_NOPS; op++)
        if (!called[op]) {
            printf("%s was not called\n", fx_fns[op].name);
            wrong++;
        }
    call_cleanup();
    return wrong ? 1 : 0;
}
