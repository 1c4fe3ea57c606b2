/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches, with parameters of this request only.
 *
 * FAISS takes parameters with the search (SearchParameters) since 1.7.4, but not for every class,
 * and not for a range search.  Where it does not, nprobe is set before the search and set back
 * after it, with the index locked as for a change, so that no other request sees it.
 */
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/guard/facts.h"
#include "server/engine/training/training.h"

enum { PARAMS = 4, MOST_PROBES = INT32_MAX }; /* PARAMS: the argument of search_with_params */

/* --- the IVF in an index --- */

struct ivf {
    FaissIndexIVF *index;
    FaissIndexBinaryIVF *binary;
    bool behind; /* a transform, to which FAISS's C API cannot give parameters */
};

static bool find_ivf(const struct fxe_obj *o, struct ivf *ivf)
{
    const struct fx_api *api = fxe_api();
    *ivf = (struct ivf){NULL, NULL, false};
    if (fxe_is_binary(o)) {
        if (api->IndexBinaryIVF_cast && api->IndexBinaryIVF_nprobe)
            ivf->binary = api->IndexBinaryIVF_cast(o->ptr);
        return ivf->binary != NULL;
    }
    ivf->index = fxe_ivf_of(o, &ivf->behind);
    return ivf->index != NULL;
}

static int64_t get_nprobe(const struct ivf *ivf)
{
    return (int64_t)(ivf->binary ? fxe_api()->IndexBinaryIVF_nprobe(ivf->binary)
                                 : fxe_api()->IndexIVF_nprobe(ivf->index));
}

static int64_t get_nlist(const struct ivf *ivf)
{
    if (!ivf->binary)
        return (int64_t)fxe_api()->IndexIVF_nlist(ivf->index);
    return fxe_api()->IndexBinaryIVF_nlist ? (int64_t)fxe_api()->IndexBinaryIVF_nlist(ivf->binary)
                                           : INT64_MAX;
}

static void set_nprobe(const struct ivf *ivf, int64_t n)
{
    if (ivf->binary)
        fxe_api()->IndexBinaryIVF_set_nprobe(ivf->binary, (size_t)n);
    else
        fxe_api()->IndexIVF_set_nprobe(ivf->index, (size_t)n);
}

bool fxe_nprobe_of(const struct fxe_obj *o, int64_t *nprobe)
{
    struct ivf ivf;
    bool has = find_ivf(o, &ivf);
    *nprobe = has ? get_nprobe(&ivf) : 0;
    return has;
}

void fxe_nprobe_copy(const struct fxe_obj *from, const struct fxe_obj *to)
{
    struct ivf a, b;
    if (find_ivf(from, &a) && find_ivf(to, &b))
        set_nprobe(&b, get_nprobe(&a));
}

static int not_ivf(struct fxe_req *r)
{
    return fxe_fail(r, "argument",
                    "%s: params has nprobe or max_codes, which an index with inverted lists (IVF) "
                    "has, but this one has none",
                    r->operation->name);
}

/* An index in an IDMap that waits for training has no lists yet, and all of it is searched. */
static bool will_have_lists(const struct fxe_obj *o)
{
    const struct fxe_training *t = fxe_training_of(o);
    return t && strstr(t->plan.description, "IVF");
}

int fxe_nprobe_begin(struct fxe_req *r)
{
    struct ivf ivf;
    if (!find_ivf(r->obj[0], &ivf))
        return will_have_lists(r->obj[0]) ? 0 : not_ivf(r);
    /* More than all lists are all lists, but some classes of FAISS do not check that. */
    int64_t nlist = get_nlist(&ivf);
    r->own_nprobe = get_nprobe(&ivf);
    set_nprobe(&ivf, r->nprobe < nlist ? r->nprobe : nlist);
    return 0;
}

void fxe_nprobe_end(struct fxe_req *r)
{
    struct ivf ivf;
    if (find_ivf(r->obj[0], &ivf))
        set_nprobe(&ivf, r->own_nprobe);
}

/* --- the keys params and selector --- */

struct params {
    int64_t nprobe, max_codes, ef;  /* 0: not given */
    const msgpack_object *selector; /* or NULL */
};

static int read_one(struct fxe_req *r, const msgpack_object_kv *kv, struct params *p)
{
    const struct {
        const char *name;
        int64_t *to;
    } known[] = {{"nprobe", &p->nprobe}, {"max_codes", &p->max_codes}, {"efSearch", &p->ef}};
    if (kv->key.type != MSGPACK_OBJECT_STR)
        return fxe_fail(r, "argument", "%s: a key of params is not a text", r->operation->name);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i].name) != kv->key.via.str.size ||
            memcmp(known[i].name, kv->key.via.str.ptr, kv->key.via.str.size) != 0)
            continue;
        if (kv->val.type != MSGPACK_OBJECT_POSITIVE_INTEGER || kv->val.via.u64 == 0 ||
            kv->val.via.u64 > MOST_PROBES)
            return fxe_fail(r, "argument", "%s: %s in params must be an integer from 1 to %d",
                            r->operation->name, known[i].name, MOST_PROBES);
        *known[i].to = kv->val.via.i64;
        return 0;
    }
    return fxe_fail(r, "argument", "%s: params has '%.*s', expected nprobe, max_codes or efSearch",
                    r->operation->name, kv->key.via.str.size > 60 ? 60 : (int)kv->key.via.str.size,
                    kv->key.via.str.ptr);
}

static int read_params(struct fxe_req *r, struct params *p)
{
    const msgpack_object *o = fx_header_get(&r->header, "params");
    *p = (struct params){
        .selector = fxe_key_has(r, "selector") ? fx_header_get(&r->header, "selector") : NULL};
    if (!fxe_key_has(r, "params"))
        return 0;
    if (o->type != MSGPACK_OBJECT_MAP)
        return fxe_key_wrong(r, "params", "a map of names and numbers");
    for (uint32_t i = 0; i < o->via.map.size; i++)
        if (read_one(r, &o->via.map.ptr[i], p) != 0)
            return -1;
    if (p->ef && (p->nprobe || p->max_codes))
        return fxe_fail(
            r, "argument",
            "%s: params has efSearch, which is for HNSW, and nprobe or max_codes, which "
            "are for IVF; expected one kind",
            r->operation->name);
    return 0;
}

/* Can nprobe go with the search?  Not if it is not known what the index is, because it is on disk;
 * nor if its lists will be behind a transform when it has been trained, which may be so when the
 * search begins. */
static bool takes_params(const struct fxe_obj *o)
{
    struct ivf ivf;
    const struct fxe_training *t = fxe_training_of(o);
    return fxe_api()->SearchParametersIVF_new_with && fxe_api()->Index_search_with_params &&
           o->ptr && find_ivf(o, &ivf) && !ivf.behind &&
           !(t && strcmp(t->plan.type, "IndexPreTransform") == 0);
}

/* The value object of the call; nprobe 0 is replaced when the index is locked. */
static int value_object(struct fxe_req *r, const struct params *p, msgpack_object *to)
{
    msgpack_object *v = fxe_req_alloc(r, 7 * sizeof *v);
    if (!v)
        return -1;
    v[1] = p->selector ? *p->selector : (msgpack_object){.type = MSGPACK_OBJECT_NIL};
    if (p->ef) {
        v[0] = fxe_text("hnsw", 4);
        v[2] = fxe_int(p->ef);
        v[3] = v[4] = fxe_int(1); /* FAISS's defaults */
        *to = fxe_array(v, 5);
        return 0;
    }
    v[0] = fxe_text("ivf", 3);
    v[2] = fxe_int(p->nprobe);
    v[3] = fxe_int(p->max_codes);
    v[4] = v[5] = v[6] = fxe_int(0);
    *to = fxe_array(v, 7);
    return 0;
}

/* --- search --- */

int fxe_prepare_search(struct fxe_req *r)
{
    struct params p;
    struct fxe_obj *o = fxe_index_of_key(r, "name");
    int64_t k;
    if (!o || read_params(r, &p) != 0 || fxe_key_int(r, "k", 1, INT64_MAX, NULL, &k) != 0)
        return -1;
    if (p.nprobe && !p.selector && !p.max_codes && !takes_params(o))
        r->nprobe = p.nprobe;
    bool with = !r->nprobe && (p.nprobe || p.max_codes || p.ef || p.selector);
    msgpack_object *a = with ? fxe_index_call(r, o, FX_OP_Index_search_with_params,
                                              FX_OP_IndexBinary_search_with_params)
                             : fxe_index_call(r, o, FX_OP_Index_search, FX_OP_IndexBinary_search);
    if (!a || fxe_key_vectors(r, o, &a[1], &a[2]) != 0)
        return -1;
    a[3] = fxe_int(k);
    if (with && value_object(r, &p, &a[PARAMS]) != 0)
        return -1;
    a[PARAMS + with] = a[PARAMS + 1 + with] = fxe_true();
    if (fxe_call_prepare(r) != 0)
        return -1;
    return r->nprobe ? fxe_needs_add(&r->needs, o, true) : 0;
}

/* Gives an IVF its own nprobe if the request has none, and any other index what it takes. */
static int complete_params(struct fxe_req *r)
{
    msgpack_object *value = &r->args->via.array.ptr[PARAMS];
    struct ivf ivf;
    if (value->type != MSGPACK_OBJECT_ARRAY || value->via.array.size != 7)
        return 0;
    msgpack_object *v = value->via.array.ptr;
    if (find_ivf(r->obj[0], &ivf) && !ivf.behind) {
        int64_t nlist = get_nlist(&ivf);
        if (v[2].via.u64 == 0)
            v[2] = fxe_int(get_nprobe(&ivf));
        else if (v[2].via.u64 > (uint64_t)nlist)
            v[2] = fxe_int(nlist);
    } else if (v[2].via.u64 || v[3].via.u64) {
        return not_ivf(r);
    } else {
        v[0] = fxe_text("params", 6);
        value->via.array.size = 2;
    }
    return 0;
}

void fxe_run_search(struct fxe_req *r)
{
    if (r->args->via.array.size <= PARAMS + 2 || complete_params(r) == 0)
        fxe_call_run(r);
}

static int prepare_range_search(struct fxe_req *r)
{
    struct params p;
    double radius;
    struct fxe_obj *o = fxe_index_of_key(r, "name");
    if (!o || read_params(r, &p) != 0 || fxe_key_real(r, "radius", &radius) != 0)
        return -1;
    if (p.selector || p.max_codes || p.ef)
        return fxe_fail(r, "unsupported",
                        "%s: FAISS's C API has no selector and no parameters for it but nprobe",
                        r->operation->name);
    r->nprobe = p.nprobe;
    if (fxe_is_binary(o) && !(radius >= INT32_MIN && radius <= INT32_MAX))
        return fxe_key_wrong(r, "radius", "a number that fits in 32 bits for a binary index");
    msgpack_object *a =
        fxe_index_call(r, o, FX_OP_Index_range_search, FX_OP_IndexBinary_range_search);
    msgpack_object *result = fxe_req_alloc(r, 2 * sizeof *result);
    if (!a || !result || fxe_key_vectors(r, o, &a[1], &a[2]) != 0)
        return -1;
    a[3] = fxe_is_binary(o) ? fxe_int((int64_t)radius) : fxe_real(radius);
    result[0] = fxe_text("result", 6);
    result[1] = a[1];
    a[4] = fxe_array(result, 2);
    if (fxe_call_prepare(r) != 0)
        return -1;
    return r->nprobe ? fxe_needs_add(&r->needs, o, true) : 0;
}

const struct fxe_index_operation fxe_index_searches[] = {
    {{"index_search", 0, fxe_prepare_search, fxe_run_search, NULL}, FX_OP_Index_search, false},
    {{"index_range_search", 0, prepare_range_search, fxe_call_run, NULL},
     FX_OP_Index_range_search,
     false},
    {{NULL, 0, NULL, NULL, NULL}, 0, false}};
