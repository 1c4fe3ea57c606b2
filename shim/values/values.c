/* SPDX-License-Identifier: Apache-2.0 */
/* What all value objects have in common. */
#include "shim/values/values.h"

#include <stdlib.h>

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
    if (!fx_is_ours(handle)) {
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
        fx_fail(FAISSX_E_HANDLE, "%s: a Faiss%s is no Faiss%s", function,
                fx_classes[fx_obj_class(*o)].name, fx_classes[cls].name);
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
        fx_fail(FAISSX_E_ARGUMENT, "%s: nowhere to put the new object", function);
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
