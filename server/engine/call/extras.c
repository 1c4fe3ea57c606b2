/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/extras.h"

#include <stdlib.h>

#include "server/engine/call/short_params.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/objects/session.h"

enum { THREADS_MAX = 256 };

/* --- any index --- */

static int reconstruct_batch(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    const idx_t *keys = r->v[2].p;
    size_t d = (size_t)fxe_api()->Index_d(index);
    int rc = 0;
    for (int64_t i = 0; i < r->v[1].i && rc == 0; i++) {
        if (fxe_check_keys(r, keys[i], 1) != 0)
            return -1;
        rc = fxe_api()->Index_reconstruct(index, keys[i], (float *)r->v[3].p + (size_t)i * d);
    }
    return rc;
}

static int merge_from(struct fxe_req *r)
{
    FaissIndex *to = r->v[0].p, *from = r->v[1].p;
    if (!IS(IndexIVF, to) || !IS(IndexIVF, from))
        return refuse(r, "the server's FAISS merges IndexIVF only");
    return fxe_api()->IndexIVF_merge_from(to, from, r->v[2].i);
}

static int dist_compute(struct fxe_req *r)
{
    FaissIndex *index = r->v[0].p;
    const idx_t *ids = r->v[2].p;
    size_t n = (size_t)r->v[3].i;
    if (!fxe_is_plain_flat(index))
        return refuse(r, "the server's FAISS supports this for an IndexFlat only");
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= fxe_api()->Index_ntotal(index))
            return fxe_fail(r, "argument", "%s: an id is %lld, but the index has %lld vectors",
                            r->fn->name, (long long)ids[i],
                            (long long)fxe_api()->Index_ntotal(index));
    return fxe_api()->IndexFlat_compute_distance_subset(index, 1, r->v[1].p, (idx_t)n, r->v[4].p,
                                                        ids);
}

/* A binary index stores d bits for each vector. */
static int binary_code_size(struct fxe_req *r)
{
    *(size_t *)r->v[1].p = (size_t)fxe_api()->IndexBinary_d(r->v[0].p) / 8;
    return 0;
}

/* The first four bytes of an index file name its class.  Returning a short count makes FAISS stop
 * writing. */
static _Thread_local char first_word[4];
static size_t write_first_word(const void *p, size_t size, size_t n)
{
    if (size * n >= sizeof first_word)
        memcpy(first_word, p, sizeof first_word);
    return 0;
}

/* FAISS before v1.11 has neither RaBitQ nor the custom writer that this check needs. */
static int has_rabitq(struct fxe_req *r)
{
    FaissCustomIOWriter *w = NULL;
    memset(first_word, 0, sizeof first_word);
    if (fxe_api()->CustomIOWriter_new && fxe_api()->write_index_custom &&
        fxe_api()->CustomIOWriter_new(&w, write_first_word) == 0) {
        fxe_api()->write_index_custom(r->v[0].p, (FaissIOWriter *)w, 0);
        fxe_api()->CustomIOWriter_free(w);
    }
    if (memcmp(first_word, "Iwrq", 4) == 0 || memcmp(first_word, "Iwrr", 4) == 0)
        return 0;
    fxe_fail_text(r, -1, "faissx: faiss_IndexIVF_has_RaBitQ: the index is not an IndexIVFRaBitQ");
    return -1;
}

/* --- inverted files, float and binary --- */

/* A binary quantizer's vectors have d/8 bytes; the fork writes them d bytes apart. */
static int centroids(struct fxe_req *r, int binary)
{
    size_t *cardinalities = r->v[2].p;
    idx_t *ids = r->v[3].p;
    size_t nlist =
        binary ? fxe_api()->IndexBinaryIVF_nlist(r->v[0].p) : fxe_api()->IndexIVF_nlist(r->v[0].p);
    int rc = 0;
    for (size_t i = 0; i < nlist && rc == 0; i++) {
        if (binary) {
            FaissIndexBinary *q = fxe_api()->IndexBinaryIVF_quantizer(r->v[0].p);
            if ((idx_t)i >= fxe_api()->IndexBinary_ntotal(q))
                return refuse(r, "the quantizer is not trained");
            rc = fxe_api()->IndexBinary_reconstruct(
                q, (idx_t)i, (uint8_t *)r->v[1].p + i * (size_t)fxe_api()->IndexBinary_d(q));
            cardinalities[i] = fxe_api()->IndexBinaryIVF_get_list_size(r->v[0].p, i);
        } else {
            FaissIndex *q = fxe_api()->IndexIVF_quantizer(r->v[0].p);
            if ((idx_t)i >= fxe_api()->Index_ntotal(q))
                return refuse(r, "the quantizer is not trained");
            rc = fxe_api()->Index_reconstruct(
                q, (idx_t)i, (float *)r->v[1].p + i * (size_t)fxe_api()->Index_d(q));
            cardinalities[i] = fxe_api()->IndexIVF_get_list_size(r->v[0].p, i);
        }
        if (ids)
            ids[i] = (idx_t)i;
    }
    return rc;
}

static int closest_centroids(struct fxe_req *r, int binary)
{
    union fx_val *v = r->v;
    if (binary) {
        FaissIndexBinary *q = fxe_api()->IndexBinaryIVF_quantizer(v[0].p);
        if (!v[6].p)
            return fxe_api()->IndexBinary_search(q, v[1].i, v[2].p, v[3].i, v[4].p, v[5].p);
        return fxe_api()->IndexBinary_search_with_params
                   ? fxe_api()->IndexBinary_search_with_params(q, v[1].i, v[2].p, v[3].i, v[6].p,
                                                               v[4].p, v[5].p)
                   : refuse(r, "the server's FAISS has no parameters for binary searches");
    }
    FaissIndex *q = fxe_api()->IndexIVF_quantizer(v[0].p);
    return v[6].p ? fxe_api()->Index_search_with_params(q, v[1].i, v[2].p, v[3].i, v[6].p, v[4].p,
                                                        v[5].p)
                  : fxe_api()->Index_search(q, v[1].i, v[2].p, v[3].i, v[4].p, v[5].p);
}

static int preassigned(struct fxe_req *r, int binary)
{
    union fx_val *v = r->v;
    if (binary)
        return fxe_api()->IndexBinaryIVF_search_preassigned(
            v[0].p, v[1].i, v[2].p, v[3].i, v[4].p, v[5].p, v[6].p, v[7].p, (int)v[8].i, v[9].p);
    if (v[9].p)
        return refuse(r, "the server's FAISS takes no parameters with assigned lists");
    return fxe_api()->IndexIVF_search_preassigned(v[0].p, v[1].i, v[2].p, v[3].i, v[4].p, v[5].p,
                                                  v[6].p, v[7].p, (int)v[8].i);
}

static int direct_map(struct fxe_req *r, int binary)
{
    if (r->v[1].i != 0 && r->v[1].i != 1)
        return refuse(r, "the server's FAISS makes direct maps of the types 0 and 1 only");
    return binary ? fxe_api()->IndexBinaryIVF_make_direct_map(r->v[0].p, (int)r->v[1].i)
                  : fxe_api()->IndexIVF_make_direct_map(r->v[0].p, (int)r->v[1].i);
}

struct list_of_key {
    idx_t key, list;
};

static int by_key(const void *a, const void *b)
{
    idx_t x = ((const struct list_of_key *)a)->key, y = ((const struct list_of_key *)b)->key;
    return (x > y) - (x < y);
}

/* The fork uses the index's direct map, which the C API does not expose; scanning the lists gives
 * the same answer. */
static int lists_for_keys(struct fxe_req *r)
{
    const idx_t *keys = r->v[1].p;
    idx_t *lists = r->v[3].p;
    size_t n = 0, total = (size_t)fxe_api()->Index_ntotal(r->v[0].p);
    struct list_of_key *places = malloc((total + 1) * sizeof *places);
    idx_t *ids = malloc((total + 1) * sizeof *ids);
    int rc = places && ids ? 0 : refuse(r, "the server is out of memory");
    for (size_t list = 0; list < fxe_api()->IndexIVF_nlist(r->v[0].p) && rc == 0; list++) {
        size_t size = fxe_api()->IndexIVF_get_list_size(r->v[0].p, list);
        if (size > total - n) {
            rc = refuse(r, "the lists hold more vectors than the index");
            break;
        }
        fxe_api()->IndexIVF_invlists_get_ids(r->v[0].p, list, ids);
        for (size_t i = 0; i < size; i++)
            places[n++] = (struct list_of_key){ids[i], (idx_t)list};
    }
    if (rc == 0)
        qsort(places, n, sizeof *places, by_key);
    for (int64_t i = 0; i < r->v[2].i && rc == 0; i++) {
        struct list_of_key wanted = {keys[i], 0};
        const struct list_of_key *p = bsearch(&wanted, places, n, sizeof *places, by_key);
        if (p)
            lists[i] = p->list;
        else
            rc = fxe_fail(r, "argument", "%s: no vector of the index has the id %lld", r->fn->name,
                          (long long)keys[i]);
    }
    free(places);
    free(ids);
    return rc;
}

/* Is the selector in the search parameters of argument i of this kind?  See wire.md. */
static int selects_by(const struct fxe_req *r, int i, const char *kind)
{
    const msgpack_object *params = &r->args->via.array.ptr[i], *sel;
    if (params->type != MSGPACK_OBJECT_ARRAY || params->via.array.size < 2)
        return 0;
    sel = &params->via.array.ptr[1];
    return sel->type == MSGPACK_OBJECT_ARRAY && sel->via.array.size > 0 &&
           sel->via.array.ptr->type == MSGPACK_OBJECT_STR &&
           sel->via.array.ptr->via.str.size == strlen(kind) &&
           memcmp(sel->via.array.ptr->via.str.ptr, kind, strlen(kind)) == 0;
}

/* Adds to counts[list] the number of selected ids in that list.  Like the fork, it ignores bits of
 * a bitmap for ids of ntotal or more. */
static int list_counts(struct fxe_req *r, int binary)
{
    idx_t *counts = r->v[1].p;
    size_t nlist =
        binary ? fxe_api()->IndexBinaryIVF_nlist(r->v[0].p) : fxe_api()->IndexIVF_nlist(r->v[0].p);
    int64_t ntotal =
        binary ? fxe_api()->IndexBinary_ntotal(r->v[0].p) : fxe_api()->Index_ntotal(r->v[0].p);
    int bits = selects_by(r, 3, "bitmap");
    const FaissIDSelector *sel = r->v[3].p ? fxe_api()->SearchParametersIVF_sel(r->v[3].p) : NULL;
    if (!sel || (!bits && !selects_by(r, 3, "batch")))
        return refuse(r, "the selector must be an IDSelectorBitmap or IDSelectorBatch");
    if (!counts || (size_t)r->v[2].i != nlist)
        return refuse(r, "expected one count for each list");
    for (size_t list = 0; list < nlist; list++) {
        size_t n = binary ? fxe_api()->IndexBinaryIVF_get_list_size(r->v[0].p, list)
                          : fxe_api()->IndexIVF_get_list_size(r->v[0].p, list);
        idx_t *ids = malloc((n + 1) * sizeof *ids);
        if (!ids)
            return refuse(r, "the server is out of memory");
        if (binary)
            fxe_api()->IndexBinaryIVF_invlists_get_ids(r->v[0].p, list, ids);
        else
            fxe_api()->IndexIVF_invlists_get_ids(r->v[0].p, list, ids);
        for (size_t i = 0; i < n; i++)
            counts[list] +=
                fxe_api()->IDSelector_is_member(sel, ids[i]) && (!bits || ids[i] < ntotal);
        free(ids);
    }
    return 0;
}

/* The fork returns the size of a pointer. */
static int size_of(struct fxe_req *r)
{
    (void)r;
    return (int)sizeof(void *);
}

/* In the fork this sets the threads of the caller's later work; here, those of its session's wide
 * work. */
static int set_omp_threads(struct fxe_req *r)
{
    int64_t n = r->v[0].i;
    __atomic_store_n(&r->session->omp_threads,
                     n < 1             ? 1
                     : n > THREADS_MAX ? THREADS_MAX
                                       : (int)n,
                     __ATOMIC_RELAXED);
    return 0;
}

/* --- the table --- */

/* An extra function, and the functions that the library must have for it. */
static const struct extra {
    int op;
    int needs[4];
    int (*call)(struct fxe_req *r, int binary);
    int (*simple)(struct fxe_req *r);
    int binary;
} extras[] = {
    {FX_OP_Index_reconstruct_batch, {FX_OP_Index_reconstruct}, NULL, reconstruct_batch, 0},
    {FX_OP_Index_merge_from, {FX_OP_IndexIVF_merge_from}, NULL, merge_from, 0},
    {FX_OP_Index_dist_compute, {FX_OP_IndexFlat_compute_distance_subset}, NULL, dist_compute, 0},
    {FX_OP_IndexIVF_get_centroids_and_cardinality,
     {FX_OP_IndexIVF_quantizer, FX_OP_IndexIVF_get_list_size},
     centroids,
     NULL,
     0},
    {FX_OP_IndexBinaryIVF_get_centroids_and_cardinality,
     {FX_OP_IndexBinaryIVF_quantizer, FX_OP_IndexBinaryIVF_get_list_size},
     centroids,
     NULL,
     1},
    {FX_OP_IndexIVF_search_closest_eligible_centroids,
     {FX_OP_IndexIVF_quantizer},
     closest_centroids,
     NULL,
     0},
    {FX_OP_Search_closest_eligible_centroids,
     {FX_OP_IndexIVF_quantizer},
     closest_centroids,
     NULL,
     0},
    {FX_OP_get_lists_for_keys,
     {FX_OP_IndexIVF_get_list_size, FX_OP_IndexIVF_invlists_get_ids},
     NULL,
     lists_for_keys,
     0},
    {FX_OP_IndexIVF_has_RaBitQ, {0}, NULL, has_rabitq, 0},
    {FX_OP_IndexBinary_sa_code_size, {FX_OP_IndexBinary_d}, NULL, binary_code_size, 0},
    {FX_OP_IndexBinaryIVF_search_closest_eligible_centroids,
     {FX_OP_IndexBinaryIVF_quantizer},
     closest_centroids,
     NULL,
     1},
    {FX_OP_IndexIVF_search_preassigned_with_params,
     {FX_OP_IndexIVF_search_preassigned},
     preassigned,
     NULL,
     0},
    {FX_OP_IndexBinaryIVF_search_preassigned_with_params,
     {FX_OP_IndexBinaryIVF_search_preassigned},
     preassigned,
     NULL,
     1},
    {FX_OP_IndexIVF_list_vector_count,
     {FX_OP_SearchParametersIVF_sel, FX_OP_IndexIVF_invlists_get_ids},
     list_counts,
     NULL,
     0},
    {FX_OP_ivf_list_vector_count,
     {FX_OP_SearchParametersIVF_sel, FX_OP_IndexIVF_invlists_get_ids},
     list_counts,
     NULL,
     0},
    {FX_OP_IndexBinaryIVF_list_vector_count,
     {FX_OP_SearchParametersIVF_sel, FX_OP_IndexBinaryIVF_invlists_get_ids},
     list_counts,
     NULL,
     1},
    {FX_OP_set_omp_threads, {0}, NULL, set_omp_threads, 0},
    {FX_OP_Index_size, {0}, NULL, size_of, 0},
    {FX_OP_IndexBinary_size, {0}, NULL, size_of, 0},
    {FX_OP_IndexIVF_set_direct_map, {FX_OP_IndexIVF_make_direct_map}, direct_map, NULL, 0},
    {FX_OP_IndexBinaryIVF_set_direct_map,
     {FX_OP_IndexBinaryIVF_make_direct_map},
     direct_map,
     NULL,
     1},
};

static const struct extra *find_extra(int op)
{
    for (size_t i = 0; i < sizeof extras / sizeof *extras; i++)
        if (extras[i].op == op)
            return &extras[i];
    return NULL;
}

int fxe_extra_has(int op)
{
    const struct extra *e = find_extra(op);
    for (int i = 0; e && e->needs[i]; i++)
        if (!fx_library_has(&fxe_engine.lib, e->needs[i]))
            return 0;
    return e != NULL;
}

int fxe_extra_call(struct fxe_req *r)
{
    const struct extra *e = find_extra(r->op);
    if (fxe_short_params_call(r))
        return 1;
    if (!e || fx_library_has(&fxe_engine.lib, r->op))
        return 0;
    r->v[r->fn->nparams].i = e->simple ? e->simple(r) : e->call(r, e->binary);
    return 1;
}
