/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/training/held.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/part.h"
#include "server/engine/catalogue/vectors.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/guard.h"

void fxe_held_free(struct fxe_held *h)
{
    free(h->x);
    free(h->ids);
    *h = (struct fxe_held){.n = 0};
}

static size_t each_of(const struct fxe_obj *o)
{
    size_t d = (size_t)fxe_index_d(o);
    return fxe_is_binary(o) ? d / 8 : d * sizeof(float);
}

int64_t fxe_held_count(const struct fxe_obj *o)
{
    bool transformed;
    const FaissIndexIVF *ivf = fxe_ivf_of(o, &transformed);
    return ivf && fxe_api()->IndexIVF_get_list_size
               ? (int64_t)fxe_api()->IndexIVF_get_list_size(ivf, 0)
               : fxe_ntotal_of(o);
}

size_t fxe_held_bytes(const struct fxe_obj *o)
{
    return (size_t)fxe_ntotal_of(o) * (each_of(o) + sizeof(idx_t));
}

static int no_memory(struct fxe_req *r, int64_t n)
{
    return fxe_fail(r, "limit", "%s: the server has no memory for a copy of %lld vectors",
                    r->operation->name, (long long)n);
}

static int no_vectors(struct fxe_req *r)
{
    return fxe_fail(r, "unsupported", "%s: the vectors of this index cannot be read",
                    r->operation->name);
}

/* --- one after the other: Flat --- */

static int read_flat(struct fxe_req *r, FaissIndex *index, int64_t from, struct fxe_held *h)
{
    FaissIndexFlat *flat =
        fxe_api()->IndexFlat_cast ? fxe_api()->IndexFlat_cast(fxe_innermost(index)) : NULL;
    float *x = NULL;
    size_t count = 0;
    if (!flat)
        return no_vectors(r);
    fxe_api()->IndexFlat_xb(flat, &x, &count);
    if (count * sizeof *x < (size_t)(from + h->n) * h->each)
        return no_vectors(r);
    if (h->n)
        memcpy(h->x, (const char *)x + (size_t)from * h->each, (size_t)h->n * h->each);
    return 0;
}

static int read_map(struct fxe_req *r, FaissIndexIDMap *map, int64_t from, struct fxe_held *h)
{
    idx_t *ids = NULL;
    size_t count = 0;
    fxe_api()->IndexIDMap_id_map(map, &ids, &count);
    if (count < (size_t)(from + h->n))
        return no_vectors(r);
    if (h->n)
        memcpy(h->ids, ids + from, (size_t)h->n * sizeof *ids);
    return read_flat(r, fxe_api()->IndexIDMap_sub_index(map), from, h);
}

/* --- one inverted list --- */

/* FAISS's C API has no function for the vectors in a list.  But a file of the index ends with them:
 *
 *     "ilar", lists (1), bytes of a vector, "full", 1, n, the n vectors, their n ids
 *
 * where all numbers have eight bytes.
 */
enum { HEAD = 40, BEGINNING = 1 << 16 };

struct file {
    char *data;
    size_t size, room;
};

static ssize_t put(void *ctx, const char *data, size_t n)
{
    struct file *f = ctx;
    if (n > f->room - f->size)
        return 0;
    memcpy(f->data + f->size, data, n);
    f->size += n;
    return (ssize_t)n;
}

static int write_file(struct fxe_req *r, struct fxe_obj *o, struct file *f)
{
    FILE *out = fopencookie(f, "w", (cookie_io_functions_t){.write = put});
    if (!out)
        return no_memory(r, fxe_ntotal_of(o));
    int rc = fxe_is_binary(o) ? fxe_api()->write_index_binary(o->ptr, out)
                              : fxe_api()->write_index(o->ptr, out);
    if (fclose(out) != 0 || rc != 0)
        return no_vectors(r);
    return 0;
}

static int take_list(struct fxe_req *r, const struct file *f, int64_t from, int64_t all,
                     struct fxe_held *h)
{
    size_t vectors = (size_t)all * h->each, ids = (size_t)all * sizeof(idx_t);
    uint64_t lists = 0, each = 0, n = 0;
    if (f->size < HEAD + vectors + ids)
        return no_vectors(r);
    const char *at = f->data + f->size - vectors - ids - HEAD;
    memcpy(&lists, at + 4, sizeof lists);
    memcpy(&each, at + 12, sizeof each);
    memcpy(&n, at + 32, sizeof n);
    if (memcmp(at, "ilar", 4) != 0 || lists != 1 || each != h->each || n != (uint64_t)all)
        return no_vectors(r);
    at += HEAD;
    memcpy(h->x, at + (size_t)from * h->each, (size_t)h->n * h->each);
    memcpy(h->ids, at + vectors + (size_t)from * sizeof(idx_t), (size_t)h->n * sizeof(idx_t));
    return 0;
}

static int read_list(struct fxe_req *r, struct fxe_obj *o, int64_t from, struct fxe_held *h)
{
    struct file f = {.room = fxe_held_bytes(o) + 2 * h->each + BEGINNING};
    int64_t all = fxe_held_count(o);
    if (h->n == 0)
        return 0;
    if (fxe_guard_save(r, o) != 0)
        return -1;
    f.data = malloc(f.room);
    int rc = !f.data                     ? no_memory(r, all)
             : write_file(r, o, &f) != 0 ? -1
                                         : take_list(r, &f, from, all, h);
    free(f.data);
    return rc;
}

void fxe_held_count_lost(struct fxe_req *r, const struct fxe_obj *o, struct fxe_obj *next)
{
    int64_t n = fxe_ntotal_of(o) - fxe_ntotal_of(next), nprobe;
    if (n <= 0 || fxe_is_binary(o) || fxe_id_map_of(o) || !fxe_nprobe_of(next, &nprobe))
        return;
    size_t d = (size_t)fxe_index_d(o), size = (size_t)n * d * sizeof(float);
    idx_t *ids = calloc((size_t)n, sizeof *ids);
    float *x = malloc(size);
    struct fxe_req none = {.operation = r->operation}; /* it may be refused */
    struct fxe_part p;
    msgpack_sbuffer_init(&none.extra);
    msgpack_sbuffer_init(&none.reply);
    for (size_t i = 0; x && i < (size_t)n * d; i++)
        x[i] = NAN;
    if (x && ids) {
        msgpack_object *a = fxe_part_begin(&p, &none, FX_OP_Index_add_with_ids);
        p.r.obj[0] = next;
        a[1] = fxe_int(n);
        a[2] = fxe_part_array(&p, x, size);
        a[3] = fxe_part_array(&p, ids, (size_t)n * sizeof *ids);
        fxe_part_call(&p);
        fxe_part_end(&p);
    }
    fxe_req_clear(&none);
    free(x);
    free(ids);
}

int fxe_held_read(struct fxe_req *r, struct fxe_obj *o, int64_t from, struct fxe_held *h)
{
    FaissIndexIDMap *map = fxe_id_map_of(o);
    int64_t nprobe, n = fxe_held_count(o) - from;
    bool list = !map && (fxe_is_binary(o) || fxe_nprobe_of(o, &nprobe));
    *h = (struct fxe_held){.n = n, .each = each_of(o)};
    h->x = malloc((size_t)n * h->each + 1);
    if (map || list)
        h->ids = malloc((size_t)n * sizeof *h->ids + 1);
    if (!h->x || ((map || list) && !h->ids))
        return no_memory(r, n);
    return list  ? read_list(r, o, from, h)
           : map ? read_map(r, map, from, h)
                 : read_flat(r, o->ptr, from, h);
}
