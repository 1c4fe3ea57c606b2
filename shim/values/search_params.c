/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/values/search_params.h"

#include <stdlib.h>

#include "proto/wire.h"
#include "shim/error.h"
#include "shim/remote_table.h"
#include "shim/values/selector.h"
#include "shim/values/values.h"

struct params {
    struct fx_value head;
    int cls;
    const FaissIDSelector *sel;
    size_t nprobe, max_codes, max_lists_num, max_empty_result_buckets;
    int ensure_topk_full;
    int efSearch, check_relative_distance, bounded_queue;
    int rabitq; /* IVF, for an IndexIVFRaBitQ */
};

static void params_free(struct fx_value *v)
{
    free(v);
}

static struct params *params_new(int cls, void *p_sp, const FaissIDSelector *sel,
                                 const char *function)
{
    struct params *p = fx_value_new(cls, sizeof *p, params_free, (void **)p_sp, function);
    if (p) { /* FAISS's own defaults */
        p->cls = cls;
        p->sel = sel;
        p->nprobe = 1;
        p->efSearch = 16;
        p->check_relative_distance = 1;
        p->bounded_queue = 1;
    }
    return p;
}

/* What the functions that make parameters return. */
static int params_made(const struct params *p)
{
    return fx_abi_code(p ? 0 : -1);
}

int fx_remote_SearchParameters_new(FaissSearchParameters **p_sp, FaissIDSelector *sel)
{
    return params_made(
        params_new(FX_CLASS_SearchParameters, p_sp, sel, "faiss_SearchParameters_new"));
}

int fx_remote_SearchParametersIVF_new(FaissSearchParametersIVF **p_sp)
{
    return params_made(
        params_new(FX_CLASS_SearchParametersIVF, p_sp, NULL, "faiss_SearchParametersIVF_new"));
}

int fx_remote_SearchParametersIVF_new_with(FaissSearchParametersIVF **p_sp, FaissIDSelector *sel,
                                           size_t nprobe, size_t max_codes)
{
    struct params *p =
        params_new(FX_CLASS_SearchParametersIVF, p_sp, sel, "faiss_SearchParametersIVF_new_with");
    if (!p)
        return params_made(p);
    p->nprobe = nprobe;
    p->max_codes = max_codes;
    return 0;
}

int fx_remote_SearchParametersIVF_new_with_sel(FaissSearchParametersIVF **p_sp,
                                               FaissIDSelector *sel)
{
    return params_made(params_new(FX_CLASS_SearchParametersIVF, p_sp, sel,
                                  "faiss_SearchParametersIVF_new_with_sel"));
}

int fx_remote_SearchParametersRaBitQ_new_with(FaissSearchParametersIVF **p_sp, FaissIDSelector *sel,
                                              size_t nprobe, size_t max_codes)
{
    struct params *p = params_new(FX_CLASS_SearchParametersIVF, p_sp, sel,
                                  "faiss_SearchParametersRaBitQ_new_with");
    if (!p)
        return params_made(p);
    p->nprobe = nprobe;
    p->max_codes = max_codes;
    p->rabitq = 1;
    return 0;
}

int fx_remote_SearchParametersHNSW_new(FaissSearchParametersHNSW **p_sp)
{
    return params_made(
        params_new(FX_CLASS_SearchParametersHNSW, p_sp, NULL, "faiss_SearchParametersHNSW_new"));
}

int fx_remote_SearchParametersHNSW_new_with(FaissSearchParametersHNSW **p_sp, FaissIDSelector *sel,
                                            int efSearch)
{
    struct params *p =
        params_new(FX_CLASS_SearchParametersHNSW, p_sp, sel, "faiss_SearchParametersHNSW_new_with");
    if (!p)
        return params_made(p);
    p->efSearch = efSearch;
    return 0;
}

#define FREE_PARAMS(Class)                                            \
    void fx_remote_##Class##_free(Faiss##Class *obj)                  \
    {                                                                 \
        fx_value_end(obj, FX_CLASS_##Class, "faiss_" #Class "_free"); \
    }
FREE_PARAMS(SearchParameters)
FREE_PARAMS(SearchParametersIVF)
FREE_PARAMS(SearchParametersHNSW)

#define CAST(Class)                                                                       \
    Faiss##Class *fx_remote_##Class##_cast(FaissSearchParameters *sp)                     \
    {                                                                                     \
        struct fx_obj *o;                                                                 \
        const struct params *p = NULL;                                                    \
        if (sp)                                                                           \
            p = fx_value_get(sp, FX_CLASS_SearchParameters, "faiss_" #Class "_cast", &o); \
        int yes = p && p->cls == FX_CLASS_##Class;                                        \
        if (p)                                                                            \
            fx_obj_release(o);                                                            \
        return yes ? sp : NULL;                                                           \
    }
CAST(SearchParametersIVF)
CAST(SearchParametersHNSW)

#define GETTER(type, Class, name)                                               \
    type fx_remote_##Class##_##name(const Faiss##Class *obj)                    \
    {                                                                           \
        struct fx_obj *o;                                                       \
        const struct params *p =                                                \
            fx_value_get(obj, FX_CLASS_##Class, "faiss_" #Class "_" #name, &o); \
        type value = p ? p->name : 0;                                           \
        fx_obj_release(o);                                                      \
        return value;                                                           \
    }
#define GETTER_SETTER(type, Class, name)                                                           \
    GETTER(type, Class, name)                                                                      \
    void fx_remote_##Class##_set_##name(Faiss##Class *obj, type val)                               \
    {                                                                                              \
        struct fx_obj *o;                                                                          \
        struct params *p = fx_value_get(obj, FX_CLASS_##Class, "faiss_" #Class "_set_" #name, &o); \
        if (p)                                                                                     \
            p->name = val;                                                                         \
        fx_obj_release(o);                                                                         \
    }
GETTER(const FaissIDSelector *, SearchParametersIVF, sel)
GETTER_SETTER(size_t, SearchParametersIVF, nprobe)
GETTER_SETTER(size_t, SearchParametersIVF, max_codes)
GETTER_SETTER(size_t, SearchParametersIVF, max_lists_num)
GETTER_SETTER(size_t, SearchParametersIVF, max_empty_result_buckets)
GETTER_SETTER(int, SearchParametersIVF, ensure_topk_full)
GETTER(const FaissIDSelector *, SearchParametersHNSW, sel)
GETTER_SETTER(int, SearchParametersHNSW, efSearch)
GETTER_SETTER(int, SearchParametersHNSW, check_relative_distance)
GETTER_SETTER(int, SearchParametersHNSW, bounded_queue)

int fx_search_params_pack(msgpack_packer *pk, struct fx_payload *payload, const void *handle,
                          int cls, const char *function)
{
    struct fx_obj *o;
    const struct params *p = fx_value_get(handle, cls, function, &o);
    if (!p)
        return -1;
    int ivf = p->cls == FX_CLASS_SearchParametersIVF,
        hnsw = p->cls == FX_CLASS_SearchParametersHNSW;
    msgpack_pack_array(pk, ivf ? 7 : hnsw ? 5 : 2);
    fx_pack_str(pk, p->rabitq ? "rabitq" : ivf ? "ivf" : hnsw ? "hnsw" : "params");
    int rc = fx_selector_pack(pk, payload, p->sel, function, 1);
    if (ivf) {
        msgpack_pack_uint64(pk, p->nprobe);
        msgpack_pack_uint64(pk, p->max_codes);
        msgpack_pack_uint64(pk, p->max_lists_num);
        msgpack_pack_uint64(pk, p->max_empty_result_buckets);
        msgpack_pack_int(pk, p->ensure_topk_full);
    } else if (hnsw) {
        msgpack_pack_int(pk, p->efSearch);
        msgpack_pack_int(pk, p->check_relative_distance);
        msgpack_pack_int(pk, p->bounded_queue);
    }
    fx_obj_release(o);
    return rc;
}
