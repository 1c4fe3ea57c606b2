/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/values/values.h"

#include <stdlib.h>

#include "shim/error.h"
#include "shim/faissx.h"
#include "shim/values/range_result.h"
#include "shim/values/search_params.h"
#include "shim/values/selector.h"

void fx_value_free(struct fx_value *v)
{
    if (v)
        v->free(v);
}

void *fx_value_get(const void *handle, int cls, const char *function, struct fx_obj **o)
{
    *o = NULL;
    if (!handle) {
        fx_fail(FAISSX_E_ARGUMENT, "%s: the Faiss%s is NULL", function, fx_classes[cls].name);
        return NULL;
    }
    if (!fx_obj_is_ours(handle)) {
        fx_fail(FAISSX_E_HANDLE, "%s: the Faiss%s was made by the real library, not remotely",
                function, fx_classes[cls].name);
        return NULL;
    }
    *o = fx_obj_get(handle);
    if (!*o) {
        fx_fail(FAISSX_E_HANDLE, "%s: the Faiss%s was freed before", function,
                fx_classes[cls].name);
        return NULL;
    }
    if (!fx_is_a(fx_obj_class(*o), cls)) {
        fx_fail(FAISSX_E_HANDLE, "%s: expected a Faiss%s, got a Faiss%s", function,
                fx_classes[cls].name, fx_classes[fx_obj_class(*o)].name);
        fx_obj_release(*o);
        *o = NULL;
        return NULL;
    }
    return fx_obj_value(*o);
}

void *fx_value_new(int cls, size_t size, void (*destroy)(struct fx_value *), void **p_out,
                   const char *function)
{
    if (!p_out) {
        fx_fail(FAISSX_E_ARGUMENT, "%s: the pointer to the new object is NULL", function);
        return NULL;
    }
    struct fx_value *v = calloc(1, size);
    void *h = NULL;
    if (v) {
        v->free = destroy;
        h = fx_obj_new(cls, 0, v, NULL);
    }
    if (!h) {
        free(v);
        fx_fail(FAISSX_E_MEMORY, "%s: out of memory", function);
        return NULL;
    }
    *p_out = h;
    return v;
}

void fx_value_end(const void *handle, int cls, const char *function)
{
    struct fx_obj *o;
    if (!handle)
        return;
    if (fx_value_get(handle, cls, function, &o)) {
        fx_obj_end(o);
        fx_obj_release(o);
    }
}

int fx_value_pack(msgpack_packer *pk, struct fx_payload *payload, const void *handle, int cls,
                  const char *function)
{
    if (!handle) {
        msgpack_pack_nil(pk);
        return 0;
    }
    switch (fx_root(cls)) {
    case FX_CLASS_IDSelector:
        return fx_selector_pack(pk, payload, handle, function, 0);
    case FX_CLASS_SearchParameters:
        return fx_search_params_pack(pk, payload, handle, cls, function);
    case FX_CLASS_RangeSearchResult:
        return fx_range_result_pack(pk, handle, function);
    }
    return fx_fail(FAISSX_E_UNSUPPORTED, "%s: a Faiss%s cannot be sent to a server", function,
                   fx_classes[cls].name);
}
