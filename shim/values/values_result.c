/* SPDX-License-Identifier: Apache-2.0 */
/* Results of range searches, and the pieces that programs assemble them from. */
#include <stdlib.h>
#include <string.h>

#include "shim/remote_table.h"
#include "shim/transport/rpc.h"
#include "shim/values/buffer_list.h"

struct result {
    struct fx_value head;
    size_t nq, buffer_size;
    size_t *lims; /* nq + 1, or NULL */
    idx_t *labels;
    float *distances;
};

struct query {
    struct fx_value head;
    idx_t qno;
    size_t nres;
    FaissRangeSearchPartialResult *pres;
};

struct partial {
    struct fx_value head;
    FaissRangeSearchResult *res;
    struct fx_buffer_list list;
    struct query **queries; /* owned by their handles, which the partial result lends */
    size_t nqueries;
};

/* --- RangeSearchResult --- */

static void result_free(struct fx_value *v)
{
    struct result *r = (struct result *)v;
    free(r->lims);
    free(r->labels);
    free(r->distances);
    free(r);
}

static int result_new(FaissRangeSearchResult **p_rsr, idx_t nq, int alloc_lims, const char *name)
{
    if (nq < 0 || (uint64_t)nq >= PTRDIFF_MAX / sizeof(size_t) - 1)
        return fx_fail(FAISSX_E_ARGUMENT, "%s: nq is %lld", name, (long long)nq);
    size_t *lims = alloc_lims ? calloc((size_t)nq + 1, sizeof *lims) : NULL;
    if (alloc_lims && !lims)
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", name);
    struct result *r =
        fx_value_new(FX_CLASS_RangeSearchResult, sizeof *r, result_free, (void **)p_rsr, name);
    if (!r) {
        free(lims);
        return -4;
    }
    r->nq = (size_t)nq;
    r->lims = lims;
    r->buffer_size = 1024 * 256; /* FAISS's default */
    return 0;
}

int fx_remote_RangeSearchResult_new(FaissRangeSearchResult **p_rsr, idx_t nq)
{
    return result_new(p_rsr, nq, 1, "faiss_RangeSearchResult_new");
}

int fx_remote_RangeSearchResult_new_with(FaissRangeSearchResult **p_rsr, idx_t nq, int alloc_lims)
{
    return result_new(p_rsr, nq, alloc_lims, "faiss_RangeSearchResult_new_with");
}

static struct result *get_result(const void *h, const char *name, struct fx_obj **o)
{
    return fx_value_get(h, FX_CLASS_RangeSearchResult, name, o);
}

size_t fx_remote_RangeSearchResult_nq(const FaissRangeSearchResult *obj)
{
    struct fx_obj *o;
    const struct result *r = get_result(obj, "faiss_RangeSearchResult_nq", &o);
    size_t nq = r ? r->nq : 0;
    fx_obj_release(o);
    return nq;
}

size_t fx_remote_RangeSearchResult_buffer_size(const FaissRangeSearchResult *obj)
{
    struct fx_obj *o;
    const struct result *r = get_result(obj, "faiss_RangeSearchResult_buffer_size", &o);
    size_t size = r ? r->buffer_size : 0;
    fx_obj_release(o);
    return size;
}

static int do_allocation(struct result *r, const char *name)
{
    size_t total = 0;
    if (!r->lims || r->labels || r->distances) {
        fx_fail(FAISSX_E_ARGUMENT, "%s: %s", name,
                r->lims ? "the result is allocated already" : "the result has no lims");
        return -2;
    }
    for (size_t i = 0; i < r->nq; i++)
        if (__builtin_add_overflow(total, r->lims[i], &total))
            return fx_fail(FAISSX_E_ARGUMENT, "%s: the counts in lims overflow", name);
    idx_t *labels = calloc(total ? total : 1, sizeof *labels);
    float *distances = calloc(total ? total : 1, sizeof *distances);
    if (!labels || !distances) {
        free(labels);
        free(distances);
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", name);
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
    struct result *r = get_result(rsr, name, &o);
    int rc = r ? do_allocation(r, name) : -4;
    fx_obj_release(o);
    return rc;
}

void fx_remote_RangeSearchResult_lims(FaissRangeSearchResult *rsr, size_t **lims)
{
    struct fx_obj *o;
    const struct result *r = get_result(rsr, "faiss_RangeSearchResult_lims", &o);
    if (lims)
        *lims = r ? r->lims : NULL;
    fx_obj_release(o);
}

void fx_remote_RangeSearchResult_labels(FaissRangeSearchResult *rsr, idx_t **labels,
                                        float **distances)
{
    struct fx_obj *o;
    const struct result *r = get_result(rsr, "faiss_RangeSearchResult_labels", &o);
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

int fx_result_pack(msgpack_packer *pk, const void *handle, const char *function)
{
    struct fx_obj *o;
    const struct result *r = get_result(handle, function, &o);
    int rc = 0;
    if (!r)
        return -1;
    if (!r->lims) {
        rc = fx_fail(FAISSX_E_ARGUMENT, "%s: the result was made without lims", function);
    } else if (r->labels || r->distances) {
        /* FAISS refuses too, with -2, or corrupts the result, depending on the class. */
        rc = fx_fail(FAISSX_E_ARGUMENT, "%s: the result holds another search's already", function);
    } else {
        msgpack_pack_array(pk, 2);
        fx_pack_str(pk, "result");
        msgpack_pack_uint64(pk, r->nq);
    }
    fx_obj_release(o);
    return rc;
}

int fx_result_take(struct fx_rpc *rpc, const void *handle, const char *function)
{
    static const size_t elem[3] = {sizeof(size_t), sizeof(idx_t), sizeof(float)};
    struct fx_obj *o;
    struct result *r = get_result(handle, function, &o);
    void *data[3] = {NULL};
    uint64_t blob[3] = {0};
    size_t size[3];
    int rc = r ? 0 : -1;
    for (int k = 0; k < 3 && rc == 0; k++) {
        rc = fx_rpc_frame(rpc, &size[k]) == 0 ? 0 : -1;
        if (rc == 0)
            blob[k] = fx_rpc_big(rpc, k, &size[k]);
        if (rc == 0 && (size[k] % elem[k] || !(data[k] = malloc(size[k] ? size[k] : 1))))
            rc =
                fx_fail(FAISSX_E_MEMORY, "%s: no room for %zu bytes of results", function, size[k]);
        if (rc == 0 && !blob[k])
            rc = fx_rpc_read(rpc, data[k], size[k]);
    }
    if (rc == 0 && size[0] != (r->nq + 1) * sizeof(size_t))
        rc = fx_rpc_nonsense(rpc, "the result of a range search has another number of queries");
    if (rc == 0)
        fx_rpc_end(rpc);
    for (int k = 0; k < 3 && rc == 0; k++)
        if (blob[k])
            rc = fx_download(blob[k], data[k], size[k]);
    if (rc == 0) {
        /* The lims keep their address: the caller may hold it already. */
        memcpy(r->lims, data[0], size[0]);
        r->labels = size[1] ? data[1] : NULL;
        r->distances = size[2] ? data[2] : NULL;
        data[1] = r->labels ? NULL : data[1];
        data[2] = r->distances ? NULL : data[2];
    }
    for (int k = 0; k < 3; k++)
        free(data[k]);
    fx_obj_release(o);
    return rc;
}

/* --- RangeSearchPartialResult and its queries --- */

static void partial_free(struct fx_value *v)
{
    struct partial *p = (struct partial *)v;
    fx_buffer_list_clear(&p->list);
    free(p->queries);
    free(p);
}

int fx_remote_RangeSearchPartialResult_new(FaissRangeSearchPartialResult **p_res,
                                           FaissRangeSearchResult *res_in)
{
    static const char name[] = "faiss_RangeSearchPartialResult_new";
    struct fx_obj *o;
    const struct result *r = get_result(res_in, name, &o);
    if (!r)
        return -4;
    size_t buffer_size = r->buffer_size;
    fx_obj_release(o);
    struct partial *p = fx_value_new(FX_CLASS_RangeSearchPartialResult, sizeof *p, partial_free,
                                     (void **)p_res, name);
    if (!p)
        return -4;
    p->res = res_in;
    fx_buffer_list_init(&p->list, buffer_size);
    return 0;
}

static void query_free(struct fx_value *v)
{
    free(v);
}

int fx_remote_RangeSearchPartialResult_new_result(FaissRangeSearchPartialResult *res, idx_t qno,
                                                  FaissRangeQueryResult **qr)
{
    static const char name[] = "faiss_RangeSearchPartialResult_new_result";
    struct fx_obj *o;
    struct partial *p = fx_value_get(res, FX_CLASS_RangeSearchPartialResult, name, &o);
    int rc = -4;
    if (!p)
        return rc;
    struct query *q = calloc(1, sizeof *q);
    struct query **more = realloc(p->queries, (p->nqueries + 1) * sizeof *more);
    if (more)
        p->queries = more;
    void *h = NULL;
    if (q && more) {
        *q = (struct query){{query_free}, qno, 0, res};
        h = fx_obj_new(FX_CLASS_RangeQueryResult, 0, &q->head, o);
    }
    if (!h) {
        free(q);
        rc = fx_fail(FAISSX_E_MEMORY, "%s: out of memory", name);
    } else {
        p->queries[p->nqueries++] = q;
        if (qr)
            *qr = h;
        rc = 0;
    }
    fx_obj_release(o);
    return rc;
}

FaissRangeSearchResult *
fx_remote_RangeSearchPartialResult_res(const FaissRangeSearchPartialResult *obj)
{
    struct fx_obj *o;
    const struct partial *p = fx_value_get(obj, FX_CLASS_RangeSearchPartialResult,
                                           "faiss_RangeSearchPartialResult_res", &o);
    FaissRangeSearchResult *res = p ? p->res : NULL;
    fx_obj_release(o);
    return res;
}

static int set_lims(const struct partial *p, struct result *r, const char *name)
{
    for (size_t i = 0; i < p->nqueries; i++) {
        idx_t qno = p->queries[i]->qno;
        if (!r->lims || qno < 0 || (size_t)qno >= r->nq)
            return fx_fail(FAISSX_E_ARGUMENT, "%s: query %lld of %zu", name, (long long)qno, r->nq);
        r->lims[qno] = p->queries[i]->nres;
    }
    return 0;
}

static int copy_result(const struct partial *p, struct result *r, int incremental, const char *name)
{
    size_t ofs = 0;
    for (size_t i = 0; i < p->nqueries; i++) {
        const struct query *q = p->queries[i];
        size_t at = r->lims[q->qno], n = q->nres;
        if (!r->labels || at + n > r->lims[r->nq] ||
            fx_buffer_list_copy(&p->list, ofs, n, r->labels + at, r->distances + at) != 0)
            return fx_fail(FAISSX_E_ARGUMENT, "%s: lims do not fit the partial result", name);
        if (incremental)
            r->lims[q->qno] += n;
        ofs += n;
    }
    return 0;
}

enum step { SET_LIMS, COPY, COPY_INCREMENTAL, FINALIZE };

static int partial_step(FaissRangeSearchPartialResult *res, enum step step, const char *name)
{
    struct fx_obj *po, *ro = NULL;
    struct partial *p = fx_value_get(res, FX_CLASS_RangeSearchPartialResult, name, &po);
    struct result *r = p ? get_result(p->res, name, &ro) : NULL;
    int rc = r ? 0 : -4;
    if (rc == 0 && (step == SET_LIMS || step == FINALIZE))
        rc = set_lims(p, r, name);
    if (rc == 0 && step == FINALIZE)
        rc = do_allocation(r, name);
    if (rc == 0 && step != SET_LIMS)
        rc = copy_result(p, r, step == COPY_INCREMENTAL, name);
    fx_obj_release(ro);
    fx_obj_release(po);
    return rc;
}

int fx_remote_RangeSearchPartialResult_finalize(FaissRangeSearchPartialResult *res)
{
    return partial_step(res, FINALIZE, "faiss_RangeSearchPartialResult_finalize");
}

int fx_remote_RangeSearchPartialResult_set_lims(FaissRangeSearchPartialResult *res)
{
    return partial_step(res, SET_LIMS, "faiss_RangeSearchPartialResult_set_lims");
}

int fx_remote_RangeSearchPartialResult_set_result(FaissRangeSearchPartialResult *res,
                                                  int incremental)
{
    return partial_step(res, incremental ? COPY_INCREMENTAL : COPY,
                        "faiss_RangeSearchPartialResult_set_result");
}

static int query_add(void *handle, float dis, idx_t id, const char *name)
{
    struct fx_obj *qo, *po = NULL;
    struct query *q = fx_value_get(handle, FX_CLASS_RangeQueryResult, name, &qo);
    struct partial *p =
        q ? fx_value_get(q->pres, FX_CLASS_RangeSearchPartialResult, name, &po) : NULL;
    int rc = -4;
    if (p) {
        rc = fx_buffer_list_add(&p->list, id, dis);
        if (rc != 0)
            rc = fx_fail(FAISSX_E_MEMORY, "%s: out of memory", name);
        else
            q->nres++;
    }
    fx_obj_release(po);
    fx_obj_release(qo);
    return rc;
}

/* faiss_QueryResult_* is what releases up to v1.5.2 called faiss_RangeQueryResult_*. */
#define QUERY(Class)                                                   \
    int fx_remote_##Class##_add(Faiss##Class *qr, float dis, idx_t id) \
    {                                                                  \
        return query_add(qr, dis, id, "faiss_" #Class "_add");         \
    }                                                                  \
    QUERY_GETTER(idx_t, Class, qno)                                    \
    QUERY_GETTER(size_t, Class, nres)                                  \
    QUERY_GETTER(FaissRangeSearchPartialResult *, Class, pres)
#define QUERY_GETTER(type, Class, name)                                                  \
    type fx_remote_##Class##_##name(const Faiss##Class *obj)                             \
    {                                                                                    \
        struct fx_obj *o;                                                                \
        const struct query *q =                                                          \
            fx_value_get(obj, FX_CLASS_RangeQueryResult, "faiss_" #Class "_" #name, &o); \
        type value = q ? q->name : 0;                                                    \
        fx_obj_release(o);                                                               \
        return value;                                                                    \
    }
QUERY(RangeQueryResult)
QUERY(QueryResult)
