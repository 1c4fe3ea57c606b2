/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "driver.h"

static void *pool[FX_NCLASSES][2];
static int reuse;

/* Values of numbers, by the name of the parameter, for the first and the second variant. */
static const struct {
    const char *name;
    int value[2];
} numbers[] = {
    {"n", {3, 5}},
    {"nq", {4, 6}},
    {"nx", {3, 5}},
    {"ny", {3, 5}},
    {"nb", {3, 4}},
    {"ni", {2, 3}},
    {"nv", {2, 3}},
    {"n_ids", {2, 3}},
    {"nshift", {8, 8}},
    {"k", {2, 3}},
    {"d", {8, 8}},
    {"d2", {8, 8}},
    {"d_in", {8, 8}},
    {"d_out", {8, 8}},
    {"M", {2, 4}},
    {"nlist", {4, 4}},
    {"nbits", {8, 16}},
    {"i", {0, 1}},
    {"j", {1, 0}},
    {"i0", {0, 0}},
    {"key", {1, 2}},
    {"list_no", {0, 3}},
    {"list_counts_size", {4, 4}},
    {"metric", {1, 0}},
    {"qt", {0, 4}},
    {"io_flags", {0, 2}},
    {"device", {0, 1}},
    {"devices_size", {2, 1}},
    {"providers_vec_size", {2, 1}},
    {"size", {16, 5}},
    {"add_id", {0, 10}},
    {"cno", {0, 1}},
    {"ldq", {-1, 10}},
    {"ldb", {-1, 9}},
    {"ldd", {-1, 7}},
    {"imin", {1, -3}},
    {"imax", {9, 1000000000}},
    {"id", {2, 20}},
    {"nprobe", {1, 3}},
    {"a1", {0, 2}},
    {"a2", {2, 0}},
    {"subset_type", {0, 1}},
};

static int64_t number(const struct fx_fn *fn, const struct fx_param *p, int op, int variant)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(numbers[i].name, p->name) == 0)
            return numbers[i].value[variant];
    if (fn->flags &
        FX_OWN) /* do not give objects away: their owner would free them (see scene.c) */
        return 0;
    return strcmp(p->name, "val") == 0 || strcmp(p->name, "value") == 0 ? 1 + (op + variant) % 3
                                                                        : variant;
}

static const char *string(const struct fx_param *p, int variant)
{
    if (strcmp(p->name, "description") == 0)
        return variant ? "Flat" : "IVF4,Flat";
    if (strcmp(p->name, "name") == 0)
        return variant ? "efSearch" : "nprobe";
    if (strcmp(p->name, "param_string") == 0)
        return variant ? "nprobe=3,efSearch=40" : "nprobe=3";
    return "index.faiss";
}

/* A parameter whose pointer is kept gets a new object.  Two parameters of one class get different
 * ones. */
static void *object(const struct fx_fn *fn, int i, union fx_val *v)
{
    const struct fx_param *p = &fn->params[i];
    static void *last_kept;
    int before = 0;
    if (p->kept == FX_KEPT)
        return last_kept = fresh(p->cls);
    if (p->kept == FX_DROPPED)
        return v[0].p ? last_kept : NULL;
    if (p->cls == FX_CLASS_RangeSearchResult && !reuse)
        return fresh(p->cls);
    for (int j = 0; j < i; j++)
        before += fn->params[j].kind == FX_HANDLE && fn->params[j].cls == p->cls;
    return shared(p->cls, before > 0);
}

int arguments(int op, int variant, union fx_val *v)
{
    const struct fx_fn *fn = &fx_fns[op];
    static void *list[2];
    int ok = 1;
    for (int i = 0; i < fn->nparams; i++) {
        const struct fx_param *p = &fn->params[i];
        switch (p->kind) {
        case FX_INT:
        case FX_UINT:
            v[i].i = number(fn, p, op, variant);
            break;
        case FX_REAL:
            v[i].f = 0.5 + op % 4 + variant;
            break;
        case FX_STRING:
            v[i].p = (void *)(uintptr_t)string(p, variant);
            break;
        case FX_HANDLE:
            v[i].p = object(fn, i, v);
            ok &= v[i].p != NULL;
            break;
        case FX_HANDLES:
            list[0] = shared(FX_CLASS_StandardGpuResources, 0);
            list[1] = shared(FX_CLASS_StandardGpuResources, 1);
            v[i].p = list;
            break;
        default:
            v[i].p = &auto_room;
        }
    }
    if (op == FX_OP_index_binary_factory) {
        v[1].i = 16;
        v[2].p = (void *)(uintptr_t)(variant ? "BFlat" : "BIVF4");
    }
    return ok;
}

/* --- objects of each class --- */

static void *cast(void *index, int op)
{
    return call(op, (union fx_val[2]){P(index)}).p;
}

static void *from_constructor(int cls)
{
    static const char *const endings[] = {"new_with", "new"};
    union fx_val v[FX_PARAMS_MAX + 1];
    for (int i = 0; i < 2; i++) {
        char name[128];
        int n = snprintf(name, sizeof name, "faiss_%s_%s", fx_classes[cls].name, endings[i]);
        int op = fx_op_by_name(name, (size_t)n);
        if (op && arguments(op, 0, v)) {
            call(op, v);
            return made();
        }
    }
    return NULL;
}

static void *new_index(const char *description)
{
    CALL(index_factory, AUTO, I(8), P(description), I(1));
    return made();
}

static void *new_binary(const char *description)
{
    CALL(index_binary_factory, AUTO, I(16), P(description));
    return made();
}

void *fresh(int cls)
{
    if (reuse)
        return shared(cls, 0);
    switch (cls) {
    case FX_CLASS_Index:
        return new_index("Flat");
    case FX_CLASS_IndexIVF:
        return cast(new_index("IVF4,Flat"), FX_OP_IndexIVF_cast);
    case FX_CLASS_IndexBinary:
        return new_binary("BFlat");
    case FX_CLASS_IndexBinaryFlat:
        return cast(new_binary("BFlat"), FX_OP_IndexBinaryFlat_cast);
    case FX_CLASS_IndexBinaryIVF:
        return cast(new_binary("BIVF4"), FX_OP_IndexBinaryIVF_cast);
    case FX_CLASS_GpuIndex:
        CALL(index_cpu_to_gpu, P(shared(FX_CLASS_StandardGpuResources, 0)), I(0),
             P(shared(FX_CLASS_Index, 0)), AUTO);
        return made();
    case FX_CLASS_ScalarQuantizer:
        return CALL(IndexScalarQuantizer_sq, P(shared(FX_CLASS_IndexScalarQuantizer, 0))).p;
    case FX_CLASS_VectorTransform:
    case FX_CLASS_LinearTransform:
        return fresh(FX_CLASS_PCAMatrix);
    case FX_CLASS_ParameterRange:
        CALL(ParameterSpace_add_range, P(shared(FX_CLASS_ParameterSpace, 1)), P("nprobe"), AUTO);
        return made();
    case FX_CLASS_GpuResourcesProvider:
        return fresh(FX_CLASS_StandardGpuResources);
    case FX_CLASS_GpuResources:
        CALL(GpuResourcesProvider_getResources, P(shared(FX_CLASS_StandardGpuResources, 0)), AUTO);
        return made();
    case FX_CLASS_IDSelector:
        return fresh(FX_CLASS_IDSelectorRange);
    case FX_CLASS_RangeSearchResult:
        CALL(RangeSearchResult_new, AUTO, I(6));
        return made();
    case FX_CLASS_IOReader:
    case FX_CLASS_CustomIOReader:
        CALL(CustomIOReader_new, AUTO, I((intptr_t)give_bytes));
        return made();
    case FX_CLASS_IOWriter:
    case FX_CLASS_CustomIOWriter:
        CALL(CustomIOWriter_new, AUTO, I((intptr_t)take_bytes));
        return made();
    case FX_CLASS_RangeQueryResult:
    case FX_CLASS_QueryResult:
        CALL(RangeSearchPartialResult_new_result, P(shared(FX_CLASS_RangeSearchPartialResult, 0)),
             I(1), AUTO);
        return made();
    default: /* NULL if the API has no way to make one */
        return from_constructor(cls);
    }
}

void *shared(int cls, int which)
{
    void **p = &pool[cls][which];
    if (*p && !known(*p))
        *p = NULL; /* it has been freed */
    if (!*p && !reuse)
        *p = fresh(cls);
    return *p;
}

void reuse_objects(void)
{
    reuse = 1;
}
