/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/catalogue/codes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/part.h"
#include "server/engine/guard/guard.h"

enum {
    PIECE = 1 << 16, /* bytes that FAISS writes at once, unless they are more */
    HEAD = 24,       /* to the sizes of lists */
    BLOCK = 4096     /* vectors that are decoded at once */
};

/* One of the codes that are wanted. */
struct code {
    size_t place, list;
    uint64_t begin; /* in the file */
    size_t row;
};

struct file {
    FaissIndexIVF *ivf;
    size_t nlist, each, coarse; /* bytes of a code in a list; of a list's number before it */
    uint64_t at, begin, lists;  /* bytes that were written; where the lists begin, their size */
    unsigned char head[HEAD];
    struct code *code; /* sorted by `begin` */
    size_t m, next;    /* the first that is not complete */
    unsigned char *codes;
};

/* --- what FAISS writes --- */

/* Copies what there is of `size` bytes from `begin` on. */
static void copy(const struct file *f, const char *data, size_t n, uint64_t begin, size_t size,
                 unsigned char *to)
{
    uint64_t first = begin > f->at ? begin : f->at,
             end = begin + size < f->at + n ? begin + size : f->at + n;
    if (first < end)
        memcpy(to + (first - begin), data + (first - f->at), (size_t)(end - first));
}

static ssize_t measure(void *ctx, const char *data, size_t n)
{
    struct file *f = ctx;
    (void)data;
    f->at += n;
    return (ssize_t)n;
}

/* FAISS stops writing when this returns 0. */
static ssize_t take(void *ctx, const char *data, size_t n)
{
    struct file *f = ctx;
    copy(f, data, n, f->begin, HEAD, f->head);
    /* One may be wanted several times. */
    for (size_t i = f->next; i < f->m && f->code[i].begin < f->at + n; i++) {
        const struct code *c = &f->code[i];
        copy(f, data, n, c->begin, f->each, f->codes + c->row * (f->coarse + f->each) + f->coarse);
        if (i == f->next && c->begin + f->each <= f->at + n)
            f->next++;
    }
    f->at += n;
    return f->next < f->m ? (ssize_t)n : 0;
}

static int write_file(struct file *f, void *index, cookie_write_function_t *put)
{
    FILE *out = fopencookie(f, "w", (cookie_io_functions_t){.write = put});
    if (!out)
        return -1;
    f->at = 0;
    setvbuf(out, NULL, _IOFBF, PIECE);
    fxe_api()->write_index(index, out); /* fails where it was stopped */
    fclose(out);
    return 0;
}

/* --- where the codes are --- */

static int by_place(const void *x, const void *y)
{
    const struct code *a = x, *b = y;
    return (a->place > b->place) - (a->place < b->place);
}

static size_t size_of(const struct file *f, size_t list)
{
    return fxe_api()->IndexIVF_get_list_size(f->ivf, list);
}

/* Where each code begins, from the beginning of the lists on; and how large they are. */
static void find(struct file *f)
{
    size_t used = 0, first = 0, next = 0;
    qsort(f->code, f->m, sizeof *f->code, by_place);
    for (size_t i = 0; i < f->nlist; i++)
        used += size_of(f, i) > 0;
    f->lists =
        HEAD + sizeof(uint64_t) + sizeof(uint64_t) * (used > f->nlist / 2 ? f->nlist : 2 * used);
    for (size_t i = 0; i < f->nlist; i++) {
        size_t n = size_of(f, i);
        for (; next < f->m && f->code[next].place < first + n; next++) {
            f->code[next].list = i;
            f->code[next].begin = f->lists + (f->code[next].place - first) * f->each;
        }
        first += n;
        f->lists += n * (f->each + sizeof(idx_t));
    }
}

static bool is_known(const struct file *f)
{
    uint64_t lists, each;
    memcpy(&lists, f->head + 4, sizeof lists);
    memcpy(&each, f->head + 12, sizeof each);
    return memcmp(f->head, "ilar", 4) == 0 && lists == f->nlist && each == f->each &&
           f->next == f->m;
}

/* A code that FAISS decodes begins with the number of its list, in as few bytes as the largest one
 * has. */
static int take_codes(struct fxe_req *r, struct fxe_obj *o, struct file *f)
{
    size_t stride = f->coarse + f->each;
    find(f);
    if (fxe_guard_save(r, o) != 0 || write_file(f, o->ptr, measure) != 0)
        return r->failed ? -1 : 1;
    if (f->at < f->lists)
        return 1;
    f->begin = f->at - f->lists;
    for (size_t i = 0; i < f->m; i++) {
        f->code[i].begin += f->begin;
        for (size_t b = 0; b < f->coarse; b++)
            f->codes[f->code[i].row * stride + b] = (unsigned char)(f->code[i].list >> 8 * b);
    }
    return write_file(f, o->ptr, take) == 0 && is_known(f) ? 0 : 1;
}

static int decode(struct fxe_req *r, struct fxe_obj *o, const struct file *f, float *x)
{
    size_t stride = f->coarse + f->each, d = (size_t)fxe_index_d(o), n;
    for (size_t i = 0; i < f->m; i += n) {
        struct fxe_part p;
        n = f->m - i < BLOCK ? f->m - i : BLOCK;
        msgpack_object *a = fxe_part_begin(&p, r, FX_OP_Index_sa_decode);
        p.r.obj[0] = o;
        a[1] = fxe_int((int64_t)n);
        a[2] = fxe_part_array(&p, f->codes + i * stride, n * stride);
        a[3] = fxe_true();
        int rc = fxe_part_call(&p);
        if (rc == 0)
            memcpy(x + i * d, p.r.out[0].data, n * d * sizeof *x);
        fxe_part_end(&p);
        if (rc != 0)
            return -1;
    }
    return 0;
}

int fxe_codes_read(struct fxe_req *r, struct fxe_obj *o, FaissIndexIVF *ivf, const size_t *places,
                   size_t m, float *x)
{
    const struct fx_api *api = fxe_api();
    struct file f = {.ivf = ivf, .nlist = api->IndexIVF_nlist(ivf), .m = m};
    size_t stride = 0;
    if (!api->Index_sa_code_size || !api->Index_sa_decode ||
        api->Index_sa_code_size(o->ptr, &stride) != 0)
        return 1;
    for (size_t left = f.nlist - 1; left > 0; left >>= 8)
        f.coarse++;
    if (stride <= f.coarse)
        return 1;
    f.each = stride - f.coarse;
    f.code = calloc(m, sizeof *f.code);
    f.codes = calloc(m, stride);
    for (size_t i = 0; f.code && i < m; i++)
        f.code[i] = (struct code){.place = places[i], .row = i};
    int rc = !f.code || !f.codes
                 ? fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name)
                 : take_codes(r, o, &f);
    if (rc == 0)
        rc = decode(r, o, &f, x);
    free(f.code);
    free(f.codes);
    return rc;
}
