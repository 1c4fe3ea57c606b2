/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value objects of the recording library.  They behave like FAISS's own: in remote mode the client
 * implements them itself, and a program must not see a difference.  Their plain getters and setters
 * are left to rec_answer().
 */
#include <stdlib.h>
#include <string.h>

#include "record.h"

static void *grow(void *p, int64_t n, size_t size)
{
    p = realloc(p, (size_t)(n + 1) * size);
    if (!p)
        abort();
    return p;
}

static void describe_or_nil(struct text *t, struct obj *o)
{
    if (rec_find(o))
        rec_describe_value(t, o);
    else
        text_add(t, o ? "?" : "nil");
}

void rec_describe_value(struct text *t, struct obj *o)
{
    text_add(t, "%s(", fx_classes[o->cls].name);
    switch (o->cls) {
    case FX_CLASS_IDSelectorRange:
        text_add(t, "%lld,%lld", (long long)rec_int(o, "imin"), (long long)rec_int(o, "imax"));
        break;
    case FX_CLASS_IDSelectorBatch:
        text_add(t, "%lld:%016llx", (long long)o->n,
                 (unsigned long long)text_sum(o->ids, (size_t)o->n * sizeof *o->ids));
        break;
    case FX_CLASS_IDSelectorBitmap:
        text_add(t, "%lld:%016llx", (long long)o->n,
                 (unsigned long long)text_sum(o->bitmap, (size_t)o->n));
        break;
    case FX_CLASS_IDSelectorNot:
        describe_or_nil(t, o->lhs);
        break;
    case FX_CLASS_IDSelectorAnd:
    case FX_CLASS_IDSelectorOr:
    case FX_CLASS_IDSelectorXOr:
        describe_or_nil(t, o->lhs);
        text_add(t, ",");
        describe_or_nil(t, o->rhs);
        break;
    case FX_CLASS_SearchParametersIVF:
        for (int i = 0; i < 5; i++) {
            static const char *const names[] = {"nprobe", "max_codes", "max_lists_num",
                                                "ensure_topk_full", "max_empty_result_buckets"};
            text_add(t, "%lld,", (long long)rec_int(o, names[i]));
        }
        describe_or_nil(t, o->lhs);
        break;
    case FX_CLASS_SearchParametersHNSW:
        for (int i = 0; i < 3; i++) {
            static const char *const names[] = {"efSearch", "check_relative_distance",
                                                "bounded_queue"};
            text_add(t, "%lld,", (long long)rec_int(o, names[i]));
        }
        describe_or_nil(t, o->lhs);
        break;
    case FX_CLASS_SearchParameters:
        describe_or_nil(t, o->lhs);
        break;
    case FX_CLASS_RangeSearchResult:
        text_add(t, "%lld", (long long)rec_int(o, "nq"));
        break;
    }
    text_add(t, ")");
}

static int is_member(const struct obj *o, int64_t id)
{
    switch (o->cls) {
    case FX_CLASS_IDSelectorRange:
        return id >= rec_int((struct obj *)o, "imin") && id < rec_int((struct obj *)o, "imax");
    case FX_CLASS_IDSelectorBatch:
        for (int64_t i = 0; i < o->n; i++)
            if (o->ids[i] == id)
                return 1;
        return 0;
    case FX_CLASS_IDSelectorBitmap:
        return (uint64_t)id >> 3 < (uint64_t)o->n && (o->bitmap[id >> 3] >> (id & 7) & 1);
    case FX_CLASS_IDSelectorNot:
        return !is_member(o->lhs, id);
    case FX_CLASS_IDSelectorAnd:
        return is_member(o->lhs, id) && is_member(o->rhs, id);
    case FX_CLASS_IDSelectorOr:
        return is_member(o->lhs, id) || is_member(o->rhs, id);
    default:
        return is_member(o->lhs, id) != is_member(o->rhs, id);
    }
}

static void set_sel(struct obj *o, void *sel)
{
    o->lhs = rec_find(sel);
    rec_set(o, "sel", 0, (union fx_val){.p = sel});
}

/* Constructors.  The class determines which members are used. */
static struct obj *construct(const struct fn_call *c)
{
    const union fx_val *v = c->v;
    struct obj *o = rec_new(c->fn->params[0].cls);
    switch (c->op) {
    case FX_OP_IDSelectorRange_new:
        rec_set(o, "imin", 0, v[1]);
        rec_set(o, "imax", 0, v[2]);
        break;
    case FX_OP_IDSelectorBatch_new: {
        int nbits = 0;
        while (v[1].i > (int64_t)1 << nbits)
            nbits++;
        rec_set_int(o, "nbits", nbits + 5);
        rec_set_int(o, "mask", ((int64_t)1 << (nbits + 5)) - 1);
        o->n = v[1].i;
        o->ids = grow(NULL, o->n, sizeof *o->ids);
        if (o->n)
            memcpy(o->ids, v[2].p, (size_t)o->n * sizeof *o->ids);
        break;
    }
    case FX_OP_IDSelectorBitmap_new:
        o->n = v[1].i;
        o->bitmap = v[2].p;
        rec_set(o, "n", 0, v[1]);
        break;
    case FX_OP_IDSelectorAnd_new:
    case FX_OP_IDSelectorOr_new:
    case FX_OP_IDSelectorXOr_new:
        o->rhs = rec_find(v[2].p);
        /* fall through */
    case FX_OP_IDSelectorNot_new:
        o->lhs = rec_find(v[1].p);
        break;
    case FX_OP_SearchParameters_new:
        set_sel(o, v[1].p);
        break;
    case FX_OP_SearchParametersIVF_new:
    case FX_OP_SearchParametersIVF_new_with: {
        int with = c->op == FX_OP_SearchParametersIVF_new_with;
        set_sel(o, with ? v[1].p : NULL);
        rec_set_int(o, "nprobe", with ? v[2].i : 1);
        rec_set_int(o, "max_codes", with ? v[3].i : 0);
        rec_set_int(o, "max_lists_num", 0);
        rec_set_int(o, "ensure_topk_full", 0);
        rec_set_int(o, "max_empty_result_buckets", 0);
        break;
    }
    case FX_OP_SearchParametersHNSW_new:
    case FX_OP_SearchParametersHNSW_new_with: {
        int with = c->op == FX_OP_SearchParametersHNSW_new_with;
        set_sel(o, with ? v[1].p : NULL);
        rec_set_int(o, "efSearch", with ? v[2].i : 16);
        rec_set_int(o, "check_relative_distance", 1);
        rec_set_int(o, "bounded_queue", 1);
        break;
    }
    case FX_OP_RangeSearchResult_new:
    case FX_OP_RangeSearchResult_new_with:
        rec_set_int(o, "nq", v[1].i);
        rec_set_int(o, "buffer_size", 1024 * 256);
        if (c->op == FX_OP_RangeSearchResult_new || v[2].i) {
            o->lims = grow(NULL, v[1].i, sizeof *o->lims);
            memset(o->lims, 0, ((size_t)v[1].i + 1) * sizeof *o->lims);
        }
        break;
    case FX_OP_RangeSearchPartialResult_new:
        o->lhs = rec_find(v[1].p);
        break;
    case FX_OP_BufferList_new:
        rec_set(o, "buffer_size", 0, v[1]);
        rec_set(o, "wp", 0, v[1]);
        break;
    }
    return o;
}

/* Adds a buffer to a buffer list, whose buffers are stored as one array. */
static void append_buffer(struct obj *o)
{
    int64_t more = rec_int(o, "buffer_size");
    o->ids = grow(o->ids, o->n + more, sizeof *o->ids);
    o->dis = grow(o->dis, o->n + more, sizeof *o->dis);
    o->n += more;
    rec_set_int(o, "wp", 0);
}

static void append(struct obj *o, int64_t id, float dis)
{
    int64_t wp = rec_int(o, "wp"), size = rec_int(o, "buffer_size");
    if (wp == size) {
        append_buffer(o);
        wp = 0;
    }
    o->ids[o->n - size + wp] = id;
    o->dis[o->n - size + wp] = dis;
    rec_set_int(o, "wp", wp + 1);
}

static int64_t allocate(struct obj *o)
{
    int64_t nq = rec_int(o, "nq");
    size_t at = 0;
    if (!o->lims || o->ids)
        return rec_fail("recorded failure: no limits, or allocated before");
    for (int64_t i = 0; i < nq; i++) {
        size_t n = o->lims[i];
        o->lims[i] = at;
        at += n;
    }
    o->lims[nq] = at;
    o->ids = calloc(at + 1, sizeof *o->ids);
    o->dis = calloc(at + 1, sizeof *o->dis);
    return 0;
}

static void set_lims(struct obj *o)
{
    for (int64_t i = 0; i < o->nqueries; i++)
        o->lhs->lims[o->queries[i].qno] = o->queries[i].nres;
}

/* Entries are kept in the order of the queries, without gaps between them. */
static void copy_result(struct obj *o, int incremental)
{
    struct obj *res = o->lhs;
    int64_t from = 0;
    for (int64_t i = 0; i < o->nqueries; i++) {
        struct range_query *q = &o->queries[i];
        for (size_t j = 0; j < q->nres; j++) {
            res->ids[res->lims[q->qno] + j] = o->ids[from + (int64_t)j];
            res->dis[res->lims[q->qno] + j] = o->dis[from + (int64_t)j];
        }
        from += (int64_t)q->nres;
        if (incremental)
            res->lims[q->qno] += q->nres;
    }
}

/* Returns the query behind a handle that the partial result lent; "number" is its position. */
static struct range_query *query(struct obj *o)
{
    return &o->parent->queries[rec_int(o, "number")];
}

static void new_query(const struct fn_call *c, struct obj *self)
{
    self->queries = grow(self->queries, self->nqueries, sizeof *self->queries);
    self->queries[self->nqueries] = (struct range_query){c->v[1].i, 0};
    struct obj *q = rec_lend(self, "query", self->nqueries, FX_CLASS_RangeQueryResult);
    rec_set_int(q, "number", self->nqueries++);
    if (c->v[2].p)
        *(void **)c->v[2].p = q;
}

static int64_t range_search(const struct fn_call *c, struct obj *res)
{
    int64_t n = c->v[1].i;
    if (!res || !res->lims || n > rec_int(res, "nq") || res->ids)
        return rec_fail("recorded failure of %s: not the place for its results", c->fn->name);
    for (int64_t i = 0; i < n; i++)
        res->lims[i] = 2;
    int64_t rc = allocate(res);
    rec_fill(res->ids, 2 * n, FX_I64, c->op, 1);
    rec_fill(res->dis, 2 * n, FX_F32, c->op + 1, 1);
    return rc;
}

static int partial_result(const struct fn_call *c, struct obj *self, union fx_val *ret)
{
    switch (c->op) {
    case FX_OP_RangeSearchPartialResult_new_result:
        new_query(c, self);
        break;
    case FX_OP_RangeQueryResult_add:
    case FX_OP_QueryResult_add: {
        struct obj *list = self->parent;
        list->ids = grow(list->ids, list->n, sizeof *list->ids);
        list->dis = grow(list->dis, list->n, sizeof *list->dis);
        list->dis[list->n] = (float)c->v[1].f;
        list->ids[list->n++] = c->v[2].i;
        query(self)->nres++;
        break;
    }
    case FX_OP_RangeQueryResult_nres:
    case FX_OP_QueryResult_nres:
        ret->i = (int64_t)query(self)->nres;
        break;
    case FX_OP_RangeQueryResult_qno:
    case FX_OP_QueryResult_qno:
        ret->i = query(self)->qno;
        break;
    case FX_OP_RangeQueryResult_pres:
    case FX_OP_QueryResult_pres:
        ret->p = self->parent;
        break;
    case FX_OP_RangeSearchPartialResult_res:
        ret->p = self->lhs;
        break;
    case FX_OP_RangeSearchPartialResult_set_lims:
        set_lims(self);
        break;
    case FX_OP_RangeSearchPartialResult_set_result:
        copy_result(self, c->v[1].i != 0);
        break;
    case FX_OP_RangeSearchPartialResult_finalize:
        set_lims(self);
        ret->i = allocate(self->lhs);
        if (ret->i == 0)
            copy_result(self, 0);
        break;
    default:
        return 0;
    }
    return 1;
}

static int stats(const struct fn_call *c, union fx_val *ret)
{
    static FaissIndexIVFStats global = {11, 12, 13, 14, 1.5, 2.5};
    if (c->op == FX_OP_get_indexIVF_stats)
        ret->p = &global;
    else if (c->op == FX_OP_IndexIVFStats_init || c->op == FX_OP_IndexIVFStats_reset)
        memset(c->v[0].p, 0, sizeof global);
    else
        return 0;
    return 1;
}

int rec_value(const struct fn_call *c, union fx_val *ret)
{
    const struct fx_param *p = c->fn->params;
    struct obj *self = c->fn->nparams && p->kind == FX_HANDLE ? rec_find(c->v[0].p) : NULL;
    if (c->fn->nparams && p->kind == FX_OUT_HANDLE && fx_classes[p->cls].value &&
        strncmp(rec_prop_name(c->fn->name), "new", 3) == 0 && !strstr(c->fn->name, "CustomIO")) {
        *(void **)c->v[0].p = construct(c);
        return 1;
    }
    if (c->op == FX_OP_Index_range_search || c->op == FX_OP_IndexBinary_range_search) {
        ret->i = range_search(c, rec_find(c->v[4].p));
        return 1;
    }
    if (stats(c, ret))
        return 1;
    if (!self || !fx_classes[self->cls].value)
        return 0;
    if (partial_result(c, self, ret))
        return 1;
    switch (c->op) {
    case FX_OP_IDSelector_is_member:
        ret->i = is_member(self, c->v[1].i);
        break;
    case FX_OP_IDSelectorBitmap_bitmap:
        ret->p = (void *)(uintptr_t)self->bitmap;
        break;
    case FX_OP_SearchParametersIVF_sel:
    case FX_OP_SearchParametersHNSW_sel:
        ret->p = self->lhs;
        break;
    case FX_OP_RangeSearchResult_do_allocation:
        ret->i = allocate(self);
        break;
    case FX_OP_RangeSearchResult_lims:
        *(void **)c->v[1].p = self->lims;
        break;
    case FX_OP_RangeSearchResult_labels:
        *(void **)c->v[1].p = self->ids;
        *(void **)c->v[2].p = self->dis;
        break;
    case FX_OP_BufferList_append_buffer:
        append_buffer(self);
        break;
    case FX_OP_BufferList_add:
        append(self, c->v[1].i, (float)c->v[2].f);
        break;
    case FX_OP_BufferList_copy_range:
        for (int64_t i = 0; i < c->v[2].i; i++) {
            ((int64_t *)c->v[3].p)[i] = self->ids[c->v[1].i + i];
            ((float *)c->v[4].p)[i] = self->dis[c->v[1].i + i];
        }
        break;
    default:
        return 0;
    }
    return 1;
}
