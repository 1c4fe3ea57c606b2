/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/api.h"

#include <string.h>

#include "faiss_c_compat.h"

int fx_op_by_name(const char *name, size_t len)
{
    /* apigen sorts this index by name. */
    int lo = 0, hi = FX_NOPS - 2;
    if (memchr(name, '\0', len))
        return 0; /* no function name contains a NUL, and strncmp would stop at it */
    while (lo <= hi) {
        int mid = (lo + hi) / 2;
        const char *have = fx_fns[fx_ops_by_name[mid]].name;
        int c = strncmp(name, have, len);
        if (c == 0 && have[len] != '\0')
            c = -1;
        if (c == 0)
            return fx_ops_by_name[mid];
        if (c < 0)
            hi = mid - 1;
        else
            lo = mid + 1;
    }
    return 0;
}

size_t fx_elem_size(enum fx_elem elem)
{
    static const uint8_t size[FX_NELEMS] = {
        [FX_F32] = 4,
        [FX_F64] = 8,
        [FX_I32] = 4,
        [FX_I64] = 8,
        [FX_U8] = 1,
        [FX_CHAR] = 1,
        [FX_CLUSTERING_PARAMS] = sizeof(FaissClusteringParameters),
    };
    return size[elem];
}

int fx_is_a(int cls, int base)
{
    for (;;) {
        if (cls == base)
            return 1;
        if (fx_classes[cls].base == cls)
            return 0;
        cls = fx_classes[cls].base;
    }
}

int fx_root(int cls)
{
    while (fx_classes[cls].base != cls)
        cls = fx_classes[cls].base;
    return cls;
}

static int binary(int op, int64_t a, int64_t b, int64_t *out)
{
    switch (op) {
    case FX_SZ_ADD:
        return __builtin_add_overflow(a, b, out) ? -1 : 0;
    case FX_SZ_SUB:
        return __builtin_sub_overflow(a, b, out) ? -1 : 0;
    case FX_SZ_MUL:
        /* Two negative factors must not give a positive size. */
        if (a < 0 || b < 0) {
            *out = 0;
            return 0;
        }
        return __builtin_mul_overflow(a, b, out) ? -1 : 0;
    default:
        if (b == 0)
            return -1;
        *out = a / b;
        return 0;
    }
}

static int rows(const int64_t *s, int64_t *out)
{
    int64_t n = s[0], ld = s[1] == -1 ? s[2] : s[1], t;
    if (n <= 0) {
        *out = 0;
        return 0;
    }
    if (ld < 0 || __builtin_mul_overflow(n - 1, ld, &t) || __builtin_add_overflow(t, s[3], out))
        return -1;
    return 0;
}

/* Call a getter that takes a handle, and perhaps a number, and store its integer result. */
static int ask(fx_call_fn call, void *ctx, int op, union fx_val a, union fx_val b, int64_t *out)
{
    union fx_val v[3] = {a, b};
    if (call(ctx, op, v) != 0)
        return -1;
    *out = v[fx_fns[op].nparams].i;
    return 0;
}

/* The number of lists that a search visits: min(nprobe, nlist).  nprobe is the parameters' if they
 * have one, else the index's. */
static int probes(fx_call_fn call, void *ctx, int binary, union fx_val index, union fx_val params,
                  int64_t *out)
{
    int64_t nprobe = 0, nlist;
    int have = 0;
    if (params.p) {
        union fx_val v[2] = {params};
        if (call(ctx, FX_OP_SearchParametersIVF_cast, v) != 0)
            return -1;
        if (v[1].p) {
            have = 1;
            if (ask(call, ctx, FX_OP_SearchParametersIVF_nprobe, v[1], v[1], &nprobe) != 0)
                return -1;
        }
    }
    if (!have && ask(call, ctx, binary ? FX_OP_IndexBinaryIVF_nprobe : FX_OP_IndexIVF_nprobe, index,
                     index, &nprobe) != 0)
        return -1;
    if (ask(call, ctx, binary ? FX_OP_IndexBinaryIVF_nlist : FX_OP_IndexIVF_nlist, index, index,
            &nlist) != 0)
        return -1;
    *out = nprobe < nlist ? nprobe : nlist;
    return 0;
}

static int attribute(const struct fx_fn *fn, enum fx_attr attr, const union fx_val *v, int handle,
                     int other, fx_call_fn call, void *ctx, int64_t *out)
{
    union fx_val h = v[handle], b = other >= 0 ? v[other] : (union fx_val){.p = NULL};
    int root = fx_root(fn->params[handle].cls), binary = root == FX_CLASS_IndexBinary;
    switch (attr) {
    case FX_ATTR_D:
        return ask(call, ctx,
                   binary                        ? FX_OP_IndexBinary_d
                   : root == FX_CLASS_Clustering ? FX_OP_Clustering_d
                                                 : FX_OP_Index_d,
                   h, h, out);
    case FX_ATTR_CODE_SIZE: {
        size_t size = 0;
        union fx_val v3[3] = {h, {.p = &size}};
        if (call(ctx, FX_OP_Index_sa_code_size, v3) != 0 || v3[2].i != 0 || size > INT64_MAX)
            return -1;
        *out = (int64_t)size;
        return 0;
    }
    case FX_ATTR_NLIST:
        return ask(call, ctx, binary ? FX_OP_IndexBinaryIVF_nlist : FX_OP_IndexIVF_nlist, h, h,
                   out);
    case FX_ATTR_D_IN:
        return ask(call, ctx, FX_OP_VectorTransform_d_in, h, h, out);
    case FX_ATTR_D_OUT:
        return ask(call, ctx, FX_OP_VectorTransform_d_out, h, h, out);
    case FX_ATTR_TRAINED_SIZE:
        return ask(call, ctx, FX_OP_ScalarQuantizer_trained_size, h, h, out);
    case FX_ATTR_LIST_SIZE:
        return ask(call, ctx,
                   binary ? FX_OP_IndexBinaryIVF_get_list_size : FX_OP_IndexIVF_get_list_size, h, b,
                   out);
    case FX_ATTR_PROBES:
        return probes(call, ctx, binary, h, b, out);
    }
    return -1;
}

int fx_size(const struct fx_fn *fn, const int16_t *prog, const union fx_val *v, fx_call_fn call,
            void *ctx, uint64_t *elems)
{
    int64_t s[FX_SIZE_DEPTH];
    int n = 0;
    for (; *prog != FX_SZ_END; prog++) {
        switch (*prog) {
        case FX_SZ_ARG:
            s[n] = v[*++prog].i;
            if (s[n] < 0 && fn->params[*prog].kind == FX_UINT)
                return -1; /* a size_t above INT64_MAX */
            n++;
            break;
        case FX_SZ_NUM:
            s[n++] = *++prog;
            break;
        case FX_SZ_ATTR:
            if (attribute(fn, (enum fx_attr)prog[1], v, prog[2], prog[3], call, ctx, &s[n++]) != 0)
                return -1;
            prog += 3;
            break;
        case FX_SZ_ROWS:
            n -= 3;
            if (rows(&s[n - 1], &s[n - 1]) != 0)
                return -1;
            break;
        default:
            n--;
            if (binary(*prog, s[n - 1], s[n], &s[n - 1]) != 0)
                return -1;
        }
    }
    *elems = s[0] < 0 ? 0 : (uint64_t)s[0];
    return 0;
}

int fx_bytes(uint64_t elems, enum fx_elem elem, size_t *bytes)
{
    size_t b;
    if (__builtin_mul_overflow((size_t)elems, fx_elem_size(elem), &b) || b > PTRDIFF_MAX)
        return -1;
    *bytes = b;
    return 0;
}
