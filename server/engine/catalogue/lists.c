/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/catalogue/lists.h"

#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/codes.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/part.h"
#include "server/engine/guard/facts.h"

enum { FEW = 16 }; /* vectors: to look for each of them in all lists does not take long */

static FaissIndexIVF *lists_of(const struct fxe_obj *o)
{
    const struct fx_api *api = fxe_api();
    FaissIndex *at = fxe_is_binary(o) ? NULL : o->ptr;
    FaissIndexPreTransform *outer;
    while (at && api->IndexPreTransform_cast && (outer = api->IndexPreTransform_cast(at)))
        at = api->IndexPreTransform_index(outer);
    return at && api->IndexIVF_cast && api->IndexIVF_invlists_get_ids ? api->IndexIVF_cast(at)
                                                                      : NULL;
}

bool fxe_has_lists(const struct fxe_obj *o)
{
    return lists_of(o) != NULL;
}

/* --- ids --- */

static int by_id(const void *x, const void *y)
{
    const struct fxe_listed *a = x, *b = y;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* Are the ids 0 to n - 1, in any order?  There is a bit for each of them. */
static bool are_plain(const idx_t *ids, size_t n, unsigned char *bits)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char bit = (unsigned char)(1u << (size_t)ids[i] % 8);
        if (ids[i] < 0 || (size_t)ids[i] >= n || bits[(size_t)ids[i] / 8] & bit)
            return false;
        bits[(size_t)ids[i] / 8] |= bit;
    }
    return true;
}

static int no_memory(struct fxe_req *r)
{
    return fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name);
}

static int sort(struct fxe_req *r, struct fxe_lists *l, const idx_t *ids)
{
    unsigned char *bits = calloc(l->n / 8 + 1, 1);
    if (!bits)
        return no_memory(r);
    l->plain = are_plain(ids, l->n, bits);
    free(bits);
    if (l->plain)
        return 0;
    l->by_id = malloc(l->n * sizeof *l->by_id + 1);
    if (!l->by_id)
        return no_memory(r);
    for (size_t i = 0; i < l->n; i++)
        l->by_id[i] = (struct fxe_listed){ids[i], i};
    qsort(l->by_id, l->n, sizeof *l->by_id, by_id);
    return 0;
}

int fxe_lists_open(struct fxe_req *r, const struct fxe_obj *o, struct fxe_lists *l)
{
    const struct fx_api *api = fxe_api();
    size_t most = (size_t)fxe_ntotal_of(o);
    *l = (struct fxe_lists){.ivf = lists_of(o)};
    size_t lists = api->IndexIVF_nlist(l->ivf);
    idx_t *ids = malloc(most * sizeof *ids + 1);
    if (!ids)
        return no_memory(r);
    int rc = 0;
    for (size_t i = 0; i < lists && rc == 0; i++) {
        size_t size = api->IndexIVF_get_list_size(l->ivf, i);
        if (size > most - l->n)
            rc = fxe_fail(r, "argument", "%s: the lists have more vectors than the index",
                          r->operation->name);
        else if (size)
            api->IndexIVF_invlists_get_ids(l->ivf, i, ids + l->n);
        l->n += size;
    }
    if (rc == 0)
        rc = sort(r, l, ids);
    free(ids);
    return rc;
}

void fxe_lists_free(struct fxe_lists *l)
{
    free(l->by_id);
    *l = (struct fxe_lists){.n = 0};
}

idx_t fxe_lists_id(const struct fxe_lists *l, size_t i)
{
    return l->plain ? (idx_t)i : l->by_id[i].id;
}

int64_t fxe_lists_find(const struct fxe_lists *l, idx_t id)
{
    size_t from = 0, to = l->n;
    if (l->plain)
        return id >= 0 && (size_t)id < l->n ? id : -1;
    while (from < to) { /* the first that is larger */
        size_t middle = from + (to - from) / 2;
        if (l->by_id[middle].id <= id)
            from = middle + 1;
        else
            to = middle;
    }
    return from > 0 && l->by_id[from - 1].id == id ? (int64_t)from - 1 : -1;
}

/* --- vectors --- */

/* FAISS reconstructs those with the ids `from` to `from` + n - 1, which must be there. */
static int reconstruct(struct fxe_req *r, struct fxe_obj *o, int64_t from, size_t n, float *x)
{
    struct fxe_part p;
    size_t bytes = n * (size_t)fxe_index_d(o) * sizeof *x;
    msgpack_object *a = fxe_part_begin(&p, r, FX_OP_Index_reconstruct_n);
    p.r.obj[0] = o;
    a[1] = fxe_int(from);
    a[2] = fxe_int((int64_t)n);
    a[3] = fxe_part_array(&p, x, bytes);
    int rc = fxe_part_call(&p);
    if (rc == 0 && bytes)
        memcpy(x, p.r.out[0].data, bytes);
    fxe_part_end(&p);
    return rc;
}

static int reconstruct_each(struct fxe_req *r, struct fxe_obj *o, const struct fxe_lists *l,
                            const int64_t *numbers, size_t m, float *x)
{
    size_t d = (size_t)fxe_index_d(o);
    int rc = 0;
    for (size_t i = 0; i < m && rc == 0; i++)
        rc = reconstruct(r, o, fxe_lists_id(l, (size_t)numbers[i]), 1, x + i * d);
    return rc;
}

/* Are they one after the other? */
static bool is_range(const int64_t *numbers, size_t m)
{
    for (size_t i = 1; i < m; i++)
        if (numbers[i] != numbers[0] + (int64_t)i)
            return false;
    return true;
}

/* Returns 1 if that cannot be done, without a reply. */
static int decode(struct fxe_req *r, struct fxe_obj *o, const struct fxe_lists *l,
                  const int64_t *numbers, size_t m, float *x)
{
    size_t *places = malloc(m * sizeof *places + 1);
    if (!places)
        return no_memory(r);
    for (size_t i = 0; i < m; i++)
        places[i] = l->by_id[numbers[i]].at;
    int rc = fxe_codes_read(r, o, l->ivf, places, m, x);
    free(places);
    return rc;
}

/* Can FAISS reconstruct each by its id?  It can if these are less than the number of vectors. */
static bool are_low(const struct fxe_obj *o, const struct fxe_lists *l, const int64_t *numbers,
                    size_t m, bool *twice)
{
    idx_t ntotal = fxe_ntotal_of(o);
    *twice = false;
    for (size_t i = 0; i < m; i++) {
        size_t at = (size_t)numbers[i];
        idx_t id = fxe_lists_id(l, at);
        if (id < 0 || id >= ntotal)
            return false;
        *twice |= !l->plain && ((at > 0 && fxe_lists_id(l, at - 1) == id) ||
                                (at + 1 < l->n && fxe_lists_id(l, at + 1) == id));
    }
    return true;
}

int fxe_lists_read(struct fxe_req *r, struct fxe_obj *o, const struct fxe_lists *l,
                   const int64_t *numbers, size_t m, float *x)
{
    bool twice;
    memset(x, 0, m * (size_t)fxe_index_d(o) * sizeof *x); /* FAISS is given it */
    if (m == 0)
        return 0;
    if (l->plain && is_range(numbers, m))
        return reconstruct(r, o, numbers[0], m, x);
    bool low = are_low(o, l, numbers, m, &twice);
    if (l->plain || (low && !twice && m <= FEW))
        return reconstruct_each(r, o, l, numbers, m, x);
    int rc = decode(r, o, l, numbers, m, x);
    if (rc == 1 && low && !twice)
        return reconstruct_each(r, o, l, numbers, m, x);
    return rc == 1 ? fxe_fail(r, "unsupported",
                              "%s: FAISS's C API reads vectors of this index only if their ids "
                              "differ and are less than the number of vectors, which is %lld",
                              r->operation->name, (long long)fxe_ntotal_of(o))
                   : rc;
}
