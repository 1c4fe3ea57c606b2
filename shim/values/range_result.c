/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/values/range_result.h"

#include <stdlib.h>
#include <string.h>

#include "shim/faissx.h"
#include "shim/remote_table.h"

static void result_free(struct fx_value *v)
{
    struct fx_range_result *r = (struct fx_range_result *)v;
    free(r->lims);
    free(r->labels);
    free(r->distances);
    free(r);
}

static int result_new(FaissRangeSearchResult **p_rsr, idx_t nq, int alloc_lims, const char *name)
{
    if (nq < 0 || (uint64_t)nq >= PTRDIFF_MAX / sizeof(size_t) - 1)
        return fx_fail(FAISSX_E_ARGUMENT, "%s: nq is %lld, which is not a number of queries", name,
                       (long long)nq);
    size_t *lims = alloc_lims ? calloc((size_t)nq + 1, sizeof *lims) : NULL;
    if (alloc_lims && !lims)
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", name);
    struct fx_range_result *r =
        fx_value_new(FX_CLASS_RangeSearchResult, sizeof *r, result_free, (void **)p_rsr, name);
    if (!r) {
        free(lims);
        return -1;
    }
    r->nq = (size_t)nq;
    r->lims = lims;
    r->buffer_size = 1024 * 256; /* FAISS's default */
    return 0;
}

int fx_remote_RangeSearchResult_new(FaissRangeSearchResult **p_rsr, idx_t nq)
{
    return fx_abi_code(result_new(p_rsr, nq, 1, "faiss_RangeSearchResult_new"));
}

int fx_remote_RangeSearchResult_new_with(FaissRangeSearchResult **p_rsr, idx_t nq, int alloc_lims)
{
    return fx_abi_code(result_new(p_rsr, nq, alloc_lims, "faiss_RangeSearchResult_new_with"));
}

struct fx_range_result *fx_range_result_get(const void *handle, const char *function,
                                            struct fx_obj **o)
{
    return fx_value_get(handle, FX_CLASS_RangeSearchResult, function, o);
}

size_t fx_remote_RangeSearchResult_nq(const FaissRangeSearchResult *obj)
{
    struct fx_obj *o;
    const struct fx_range_result *r = fx_range_result_get(obj, "faiss_RangeSearchResult_nq", &o);
    size_t nq = r ? r->nq : 0;
    fx_obj_release(o);
    return nq;
}

size_t fx_remote_RangeSearchResult_buffer_size(const FaissRangeSearchResult *obj)
{
    struct fx_obj *o;
    const struct fx_range_result *r =
        fx_range_result_get(obj, "faiss_RangeSearchResult_buffer_size", &o);
    size_t size = r ? r->buffer_size : 0;
    fx_obj_release(o);
    return size;
}

int fx_range_result_allocate(struct fx_range_result *r, const char *function)
{
    size_t total = 0;
    if (!r->lims || r->labels || r->distances)
        return fx_fail_code(FAISSX_E_ARGUMENT, FAISS_EXCEPT, "%s: %s", function,
                            r->lims ? "the result is allocated already" : "the result has no lims");
    for (size_t i = 0; i < r->nq; i++)
        if (__builtin_add_overflow(total, r->lims[i], &total))
            return fx_fail(FAISSX_E_ARGUMENT, "%s: the counts in lims overflow", function);
    idx_t *labels = calloc(total ? total : 1, sizeof *labels);
    float *distances = calloc(total ? total : 1, sizeof *distances);
    if (!labels || !distances) {
        free(labels);
        free(distances);
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", function);
    }
    size_t at = 0;
    for (size_t i = 0; i < r->nq; i++) {
        size_t n = r->lims[i];
        r->lims[i] = at;
        at += n;
    }
    r->lims[r->nq] = at;
    r->labels = labels;
    r->distances = distances;
    return 0;
}

int fx_remote_RangeSearchResult_do_allocation(FaissRangeSearchResult *rsr)
{
    static const char name[] = "faiss_RangeSearchResult_do_allocation";
    struct fx_obj *o;
    struct fx_range_result *r = fx_range_result_get(rsr, name, &o);
    int rc = r ? fx_range_result_allocate(r, name) : -1;
    fx_obj_release(o);
    return fx_abi_code(rc);
}

void fx_remote_RangeSearchResult_lims(FaissRangeSearchResult *rsr, size_t **lims)
{
    struct fx_obj *o;
    const struct fx_range_result *r = fx_range_result_get(rsr, "faiss_RangeSearchResult_lims", &o);
    if (lims)
        *lims = r ? r->lims : NULL;
    fx_obj_release(o);
}

void fx_remote_RangeSearchResult_labels(FaissRangeSearchResult *rsr, idx_t **labels,
                                        float **distances)
{
    struct fx_obj *o;
    const struct fx_range_result *r =
        fx_range_result_get(rsr, "faiss_RangeSearchResult_labels", &o);
    if (labels)
        *labels = r ? r->labels : NULL;
    if (distances)
        *distances = r ? r->distances : NULL;
    fx_obj_release(o);
}

void fx_remote_RangeSearchResult_free(FaissRangeSearchResult *obj)
{
    fx_value_end(obj, FX_CLASS_RangeSearchResult, "faiss_RangeSearchResult_free");
}

int fx_range_result_pack(msgpack_packer *pk, const void *handle, const char *function)
{
    struct fx_obj *o;
    const struct fx_range_result *r = fx_range_result_get(handle, function, &o);
    int rc = 0;
    if (!r)
        return -1;
    if (!r->lims) {
        rc = fx_fail(FAISSX_E_ARGUMENT, "%s: the result was made without lims", function);
    } else if (r->labels || r->distances) {
        /* FAISS refuses this with FAISS_EXCEPT, or corrupts the result, depending on the class. */
        rc = fx_fail(FAISSX_E_ARGUMENT, "%s: the result already holds that of another search",
                     function);
    } else {
        msgpack_pack_array(pk, 2);
        fx_pack_str(pk, "result");
        msgpack_pack_uint64(pk, r->nq);
    }
    fx_obj_release(o);
    return rc;
}

static int read_result(struct fx_rpc *rpc, const struct fx_range_result *r, const char *function,
                       struct fx_range_result_in *in, struct fx_arrays_later *later)
{
    static const size_t elem[3] = {sizeof(size_t), sizeof(idx_t), sizeof(float)};
    struct fx_array_in a;
    for (int k = 0; k < 3; k++) {
        if (fx_array_next(rpc, &a) != 0)
            return -1;
        if (a.size % elem[k] || (k == 0 && a.size != (r->nq + 1) * sizeof(size_t)))
            return fx_rpc_malformed(rpc, "the result of a range search has the wrong size");
        in->size[k] = a.size;
        in->data[k] = malloc(a.size ? a.size : 1);
        if (!in->data[k])
            return fx_fail(FAISSX_E_MEMORY, "%s: no memory for %zu bytes of results", function,
                           a.size);
        if (fx_array_read(rpc, &a, in->data[k], later) != 0)
            return -1;
    }
    return 0;
}

int fx_range_result_read(struct fx_rpc *rpc, const void *handle, const char *function,
                         struct fx_range_result_in *in, struct fx_arrays_later *later)
{
    const struct fx_range_result *r = fx_range_result_get(handle, function, &in->o);
    return r ? read_result(rpc, r, function, in, later) : -1;
}

void fx_range_result_finish(struct fx_range_result_in *in, int rc)
{
    struct fx_range_result *r = in->o ? (struct fx_range_result *)fx_obj_value(in->o) : NULL;
    if (r && rc == 0) {
        /* The lims keep their address: the program may have asked for it already. */
        memcpy(r->lims, in->data[0], in->size[0]);
        for (int k = 1; k < 3; k++)
            if (r->nq == 0) { /* FAISS has arrays for no results, too, but not for no queries */
                free(in->data[k]);
                in->data[k] = NULL;
            }
        r->labels = in->data[1];
        r->distances = in->data[2];
        in->data[1] = in->data[2] = NULL;
    }
    for (int k = 0; k < 3; k++)
        free(in->data[k]);
    fx_obj_release(in->o);
    *in = (struct fx_range_result_in){0};
}
