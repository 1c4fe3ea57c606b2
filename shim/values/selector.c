/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/values/selector.h"

#include <stdlib.h>
#include <string.h>

#include "shim/calls/array.h"
#include "shim/faissx.h"
#include "shim/remote_table.h"
#include "shim/values/values.h"

struct selector {
    struct fx_value head;
    int cls;
    idx_t imin, imax;      /* Range */
    size_t n;              /* Batch: ids; Bitmap: bytes */
    idx_t *ids;            /* Batch: our copy, as FAISS copies */
    const uint8_t *bitmap; /* Bitmap: the caller's memory, as in FAISS */
    int nbits;             /* Batch: of FAISS's Bloom filter, which only its getters show */
    const void *part[2];   /* Not, And, Or, XOr: handles */
};

static void selector_free(struct fx_value *v)
{
    struct selector *s = (struct selector *)v;
    free(s->ids);
    free(s);
}

static struct selector *selector_new(int cls, void *p_out, const char *function)
{
    struct selector *s = fx_value_new(cls, sizeof *s, selector_free, (void **)p_out, function);
    if (s)
        s->cls = cls;
    return s;
}

int fx_remote_IDSelectorRange_new(FaissIDSelectorRange **p_sel, idx_t imin, idx_t imax)
{
    struct selector *s = selector_new(FX_CLASS_IDSelectorRange, p_sel, "faiss_IDSelectorRange_new");
    if (!s)
        return fx_abi_code(-1);
    s->imin = imin;
    s->imax = imax;
    return 0;
}

int fx_remote_IDSelectorBatch_new(FaissIDSelectorBatch **p_sel, size_t n, const idx_t *indices)
{
    static const char name[] = "faiss_IDSelectorBatch_new";
    if (n > PTRDIFF_MAX / sizeof *indices || (n && !indices))
        return fx_abi_code(fx_fail(FAISSX_E_ARGUMENT, "%s: there cannot be %zu ids at %p", name, n,
                                   (const void *)indices));
    idx_t *ids = malloc(n ? n * sizeof *ids : 1);
    if (!ids)
        return fx_abi_code(fx_fail(FAISSX_E_MEMORY, "%s: out of memory", name));
    struct selector *s = selector_new(FX_CLASS_IDSelectorBatch, p_sel, name);
    if (!s) {
        free(ids);
        return fx_abi_code(-1);
    }
    if (n)
        memcpy(ids, indices, n * sizeof *ids);
    s->ids = ids;
    s->n = n;
    /* As FAISS sizes its Bloom filter: 5 bits more than the number of ids needs. */
    while (n > (size_t)1 << s->nbits)
        s->nbits++;
    s->nbits += 5;
    return 0;
}

int fx_remote_IDSelectorBitmap_new(FaissIDSelectorBitmap **p_sel, size_t n, const uint8_t *bitmap)
{
    struct selector *s =
        selector_new(FX_CLASS_IDSelectorBitmap, p_sel, "faiss_IDSelectorBitmap_new");
    if (!s)
        return fx_abi_code(-1);
    s->n = n;
    s->bitmap = bitmap;
    return 0;
}

static int composed_new(int cls, void *p_sel, const FaissIDSelector *a, const FaissIDSelector *b,
                        const char *function)
{
    struct selector *s = selector_new(cls, p_sel, function);
    if (!s)
        return fx_abi_code(-1);
    s->part[0] = a;
    s->part[1] = b;
    return 0;
}

int fx_remote_IDSelectorNot_new(FaissIDSelectorNot **p_sel, const FaissIDSelector *sel)
{
    return composed_new(FX_CLASS_IDSelectorNot, p_sel, sel, NULL, "faiss_IDSelectorNot_new");
}

#define COMPOSED(Op)                                                                            \
    int fx_remote_IDSelector##Op##_new(FaissIDSelector##Op **p_sel, const FaissIDSelector *lhs, \
                                       const FaissIDSelector *rhs)                              \
    {                                                                                           \
        return composed_new(FX_CLASS_IDSelector##Op, p_sel, lhs, rhs,                           \
                            "faiss_IDSelector" #Op "_new");                                     \
    }
COMPOSED(And)
COMPOSED(Or)
COMPOSED(XOr)

#define FREE_VALUE(Class)                                             \
    void fx_remote_##Class##_free(Faiss##Class *obj)                  \
    {                                                                 \
        fx_value_end(obj, FX_CLASS_##Class, "faiss_" #Class "_free"); \
    }
FREE_VALUE(IDSelector)
FREE_VALUE(IDSelectorRange)
FREE_VALUE(IDSelectorBitmap)

#define SELECTOR_GETTER(type, Class, name, expr)                                \
    type fx_remote_##Class##_##name(const Faiss##Class *obj)                    \
    {                                                                           \
        struct fx_obj *o;                                                       \
        const struct selector *s =                                              \
            fx_value_get(obj, FX_CLASS_##Class, "faiss_" #Class "_" #name, &o); \
        type value = s ? (expr) : 0;                                            \
        fx_obj_release(o);                                                      \
        return value;                                                           \
    }
SELECTOR_GETTER(idx_t, IDSelectorRange, imin, s->imin)
SELECTOR_GETTER(idx_t, IDSelectorRange, imax, s->imax)
SELECTOR_GETTER(int, IDSelectorBatch, nbits, s->nbits)
SELECTOR_GETTER(idx_t, IDSelectorBatch, mask, ((idx_t)1 << s->nbits) - 1)
SELECTOR_GETTER(size_t, IDSelectorBitmap, n, s->n)
SELECTOR_GETTER(const uint8_t *, IDSelectorBitmap, bitmap, s->bitmap)

enum { DEEPEST = 12 }; /* levels of a tree of selectors, since those of a header are limited */

static int too_deep(const char *function)
{
    return fx_fail(FAISSX_E_LIMIT,
                   "%s: selectors are nested too deeply; at most %d levels are allowed", function,
                   DEEPEST + 1);
}

static int is_member(const void *handle, idx_t id, int depth)
{
    static const char name[] = "faiss_IDSelector_is_member";
    struct fx_obj *o;
    if (depth > DEEPEST) {
        too_deep(name);
        return 0;
    }
    const struct selector *s = fx_value_get(handle, FX_CLASS_IDSelector, name, &o);
    int yes = 0, a, b;
    if (!s)
        return 0;
    switch (s->cls) {
    case FX_CLASS_IDSelectorRange:
        yes = id >= s->imin && id < s->imax;
        break;
    case FX_CLASS_IDSelectorBatch:
        for (size_t i = 0; i < s->n && !yes; i++)
            yes = s->ids[i] == id;
        break;
    case FX_CLASS_IDSelectorBitmap:
        yes = id >= 0 && (uint64_t)id / 8 < s->n && (s->bitmap[id / 8] >> (id % 8) & 1);
        break;
    default:
        a = is_member(s->part[0], id, depth + 1);
        b = s->part[1] ? is_member(s->part[1], id, depth + 1) : 0;
        yes = s->cls == FX_CLASS_IDSelectorNot   ? !a
              : s->cls == FX_CLASS_IDSelectorAnd ? a && b
              : s->cls == FX_CLASS_IDSelectorOr  ? a || b
                                                 : a != b;
    }
    fx_obj_release(o);
    return yes;
}

int fx_remote_IDSelector_is_member(const FaissIDSelector *sel, idx_t id)
{
    return is_member(sel, id, 0);
}

int fx_selector_pack(msgpack_packer *pk, struct fx_payload *payload, const void *handle,
                     const char *function, int depth)
{
    static const char *const ops[] = {[0] = "not", [1] = "and", [2] = "or", [3] = "xor"};
    struct fx_obj *o;
    if (!handle) {
        msgpack_pack_nil(pk);
        return 0;
    }
    if (depth > DEEPEST)
        return too_deep(function);
    const struct selector *s = fx_value_get(handle, FX_CLASS_IDSelector, function, &o);
    int rc = 0, op;
    if (!s)
        return -1;
    switch (s->cls) {
    case FX_CLASS_IDSelectorRange:
        msgpack_pack_array(pk, 3);
        fx_pack_str(pk, "range");
        msgpack_pack_int64(pk, s->imin);
        msgpack_pack_int64(pk, s->imax);
        break;
    case FX_CLASS_IDSelectorBatch:
        msgpack_pack_array(pk, 2);
        fx_pack_str(pk, "batch");
        rc = fx_array_pack(pk, payload, s->ids, s->n * sizeof *s->ids);
        break;
    case FX_CLASS_IDSelectorBitmap:
        msgpack_pack_array(pk, 2);
        fx_pack_str(pk, "bitmap");
        rc = fx_array_pack(pk, payload, s->bitmap, s->n);
        break;
    default:
        op = s->cls == FX_CLASS_IDSelectorNot   ? 0
             : s->cls == FX_CLASS_IDSelectorAnd ? 1
             : s->cls == FX_CLASS_IDSelectorOr  ? 2
                                                : 3;
        msgpack_pack_array(pk, op ? 3 : 2);
        fx_pack_str(pk, ops[op]);
        rc = fx_selector_pack(pk, payload, s->part[0], function, depth + 1);
        if (rc == 0 && op)
            rc = fx_selector_pack(pk, payload, s->part[1], function, depth + 1);
    }
    fx_obj_release(o);
    return rc;
}
