/* SPDX-License-Identifier: Apache-2.0 */
/* RangeSearchPartialResult and its queries, from which programs put results together. */
#include <stdlib.h>

#include "shim/faissx.h"
#include "shim/remote_table.h"
#include "shim/values/buffer_list.h"
#include "shim/values/range_result.h"

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
    const struct fx_range_result *r = fx_range_result_get(res_in, name, &o);
    if (!r)
        return fx_abi_code(-1);
    size_t buffer_size = r->buffer_size;
    fx_obj_release(o);
    struct partial *p = fx_value_new(FX_CLASS_RangeSearchPartialResult, sizeof *p, partial_free,
                                     (void **)p_res, name);
    if (!p)
        return fx_abi_code(-1);
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
    int rc = -1;
    if (!p)
        return fx_abi_code(rc);
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
    return fx_abi_code(rc);
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

static int set_lims(const struct partial *p, struct fx_range_result *r, const char *name)
{
    for (size_t i = 0; i < p->nqueries; i++) {
        idx_t qno = p->queries[i]->qno;
        if (!r->lims || qno < 0 || (size_t)qno >= r->nq)
            return fx_fail(FAISSX_E_ARGUMENT, "%s: qno is %lld, but the result has %zu queries",
                           name, (long long)qno, r->nq);
        r->lims[qno] = p->queries[i]->nres;
    }
    return 0;
}

static int copy_result(const struct partial *p, struct fx_range_result *r, int incremental,
                       const char *name)
{
    size_t ofs = 0;
    for (size_t i = 0; i < p->nqueries; i++) {
        const struct query *q = p->queries[i];
        size_t at = r->lims[q->qno], n = q->nres;
        if (!r->labels || at + n > r->lims[r->nq] ||
            fx_buffer_list_copy(&p->list, ofs, n, r->labels + at, r->distances + at) != 0)
            return fx_fail(FAISSX_E_ARGUMENT, "%s: the lims do not fit the partial result", name);
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
    struct fx_range_result *r = p ? fx_range_result_get(p->res, name, &ro) : NULL;
    int rc = r ? 0 : -1;
    if (rc == 0 && (step == SET_LIMS || step == FINALIZE))
        rc = set_lims(p, r, name);
    if (rc == 0 && step == FINALIZE)
        rc = fx_range_result_allocate(r, name);
    if (rc == 0 && step != SET_LIMS)
        rc = copy_result(p, r, step == COPY_INCREMENTAL, name);
    fx_obj_release(ro);
    fx_obj_release(po);
    return fx_abi_code(rc);
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
    int rc = -1;
    if (p) {
        rc = fx_buffer_list_add(&p->list, id, dis);
        if (rc != 0)
            rc = fx_fail(FAISSX_E_MEMORY, "%s: out of memory", name);
        else
            q->nres++;
    }
    fx_obj_release(po);
    fx_obj_release(qo);
    return fx_abi_code(rc);
}

/* Releases up to v1.5.2 have faiss_QueryResult_*, later ones faiss_RangeQueryResult_*. */
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
