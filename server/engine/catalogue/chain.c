/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/catalogue/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/call/files.h"
#include "server/engine/catalogue/catalogue.h"
#include "server/engine/guard/guard.h"
#include "server/engine/guard/room.h"
#include "server/engine/training/training.h"

enum { NESTED = 2, LITTLE = 1 << 20, PIECE = 1 << 16 };

/* --- the layout --- */

/* What follows the four letters: f, i: four bytes; B: one; V: a vector, the number (eight bytes)
 * and so many times four bytes; T: a transform.  Then d_in, d_out (i) and is_trained (B). */
static const struct layout {
    char letters[5];
    const char *type, *fields;
} layouts[] = {
    {"LTra", "LinearTransform", "BVV"},
    {"rrot", "RandomRotationMatrix", "BVV"},
    {"HRot", "HadamardRotation", "i"},
    {"PCAm", "PCAMatrix", "fBVVVBVV"},
    {"PcAm", "PCAMatrix", "fBiVVVBVV"},
    {"Pcam", "PCAMatrix", "ffBiVVVBVV"},
    {"Viqm", "ITQMatrix", "iiBVV"},
    {"Viqt", "ITQTransform", "VBTT"},
    {"RmDT", "RemapDimensionsTransform", "V"},
    {"VNrm", "NormalizationTransform", "f"},
    {"VCnt", "CenteringTransform", "V"},
};

struct file {
    unsigned char *data;
    size_t size, room, most; /* bytes: there are, were allocated, may be allocated */
    size_t at;               /* while it is read */
    size_t begin, end;       /* the transforms */
    enum { MORE, COMPLETE, UNKNOWN, TOO_LARGE } state;
    char letters[5]; /* of a transform that is not known */
    struct fxe_chain *chain;
};

/* Returns the next n bytes; NULL: they have not come yet. */
static const unsigned char *next(struct file *f, size_t n)
{
    if (n > f->size - f->at)
        return NULL;
    f->at += n;
    return f->data + f->at - n;
}

static bool read_number(struct file *f, void *to)
{
    const unsigned char *at = next(f, 4);
    if (at)
        memcpy(to, at, 4);
    return at != NULL;
}

static bool skip_vector(struct file *f)
{
    uint64_t n;
    const unsigned char *at = next(f, sizeof n);
    if (!at)
        return false;
    memcpy(&n, at, sizeof n);
    return n <= SIZE_MAX / 4 && next(f, (size_t)n * 4);
}

static const struct layout *read_letters(struct file *f)
{
    const unsigned char *at = next(f, 4);
    for (size_t i = 0; at && i < sizeof layouts / sizeof *layouts; i++)
        if (memcmp(at, layouts[i].letters, 4) == 0)
            return &layouts[i];
    if (at) {
        f->state = UNKNOWN;
        memcpy(f->letters, at, 4);
    }
    return NULL;
}

/* Returns false if it is not complete, or not known. */
static bool read_transform(struct file *f, struct fxe_chain_part *part, int depth)
{
    const struct layout *l = read_letters(f);
    struct fxe_chain_part inner;
    float first = 0, other;
    if (!l || depth > NESTED)
        return false;
    part->type = l->type;
    for (const char *c = l->fields; *c; c++) {
        bool done = *c == 'B'   ? next(f, 1) != NULL
                    : *c == 'V' ? skip_vector(f)
                    : *c == 'T' ? read_transform(f, &inner, depth + 1)
                                : read_number(f, c == l->fields ? &first : &other);
        if (!done)
            return false;
    }
    part->power = first;
    if (!read_number(f, &part->d_in) || !read_number(f, &part->d_out))
        return false;
    const unsigned char *trained = next(f, 1);
    if (trained)
        part->trained = *trained != 0;
    return trained != NULL;
}

/* Reads from the beginning as far as the bytes go. */
static bool read_chain(struct file *f)
{
    int32_t metric = 0, n = 0;
    f->at = 0;
    const unsigned char *letters = next(f, 4);
    if (!letters)
        return false;
    if (memcmp(letters, "IxPT", 4) != 0) {
        f->state = UNKNOWN;
        memcpy(f->letters, letters, 4);
        return false;
    }
    /* d, ntotal and two numbers that mean nothing, is_trained; metric, with an argument if it is
     * neither of the first two. */
    if (!next(f, 4 + 3 * 8 + 1) || !read_number(f, &metric) ||
        (metric > METRIC_L2 && !next(f, 4)) || !read_number(f, &n))
        return false;
    if (n < 1 || n > FXE_CHAIN_MAX) {
        f->state = UNKNOWN;
        return false;
    }
    f->begin = f->at;
    f->chain->n = n;
    for (int i = 0; i < n; i++)
        if (!read_transform(f, &f->chain->part[i], 0))
            return false;
    f->end = f->at;
    return true;
}

/* FAISS stops writing when this returns 0. */
static ssize_t put(void *ctx, const char *data, size_t n)
{
    struct file *f = ctx;
    size_t want = f->size + n;
    if (f->state != MORE)
        return 0;
    if (want > f->room) {
        size_t room = want + f->room;
        if (room > f->most)
            f->most = fxe_room_for(2 * room) / 2;
        unsigned char *more = room <= f->most ? realloc(f->data, room) : NULL;
        if (!more) {
            f->state = TOO_LARGE;
            return 0;
        }
        f->data = more;
        f->room = room;
    }
    memcpy(f->data + f->size, data, n);
    f->size = want;
    if (read_chain(f))
        f->state = COMPLETE;
    return f->state == MORE ? (ssize_t)n : 0;
}

/* --- reading --- */

static int explain(struct fxe_req *r, const struct file *f)
{
    switch (f->state) {
    case COMPLETE:
        return 0;
    case UNKNOWN:
        return fxe_fail(r, "unsupported",
                        "%s: the index has a transform '%.4s', which is not known",
                        r->operation->name, f->letters);
    case TOO_LARGE:
        return fxe_fail(r, "limit", "%s: the server has no memory for a copy of the transforms",
                        r->operation->name);
    default:
        return fxe_fail(r, "unsupported", "%s: the transforms of this index cannot be read",
                        r->operation->name);
    }
}

static int read_from(struct fxe_req *r, struct fxe_obj *o, struct fxe_chain *c)
{
    struct file f = {.chain = c, .most = fxe_room() / 2};
    if (fxe_guard_save(r, o) != 0)
        return -1;
    FILE *out = fopencookie(&f, "w", (cookie_io_functions_t){.write = put});
    if (!out)
        return fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name);
    setvbuf(out, NULL, _IOFBF, PIECE);
    fxe_api()->write_index(o->ptr, out); /* fails where it was stopped */
    fclose(out);
    int rc = explain(r, &f);
    if (rc == 0) {
        c->size = f.end - f.begin;
        memmove(f.data, f.data + f.begin, c->size);
        c->bytes = f.data;
    } else {
        free(f.data);
    }
    return rc;
}

int fxe_chain_read(struct fxe_req *r, struct fxe_obj *o, struct fxe_chain *c)
{
    const struct fxe_training *t = fxe_training_of(o);
    *c = (struct fxe_chain){.n = 0};
    if (!t)
        return read_from(r, fxe_obj_target(o), c);
    struct fxe_obj next = {.cls = FX_CLASS_Index};
    next.ptr = fxe_training_make(r, next.cls, fxe_index_d(o), METRIC_L2, t->plan.description);
    int rc = next.ptr ? read_from(r, &next, c) : -1;
    fxe_guard_forget(&next);
    if (next.ptr)
        fxe_obj_free_faiss(next.cls, next.ptr);
    return rc;
}

void fxe_chain_free(struct fxe_chain *c)
{
    free(c->bytes);
    *c = (struct fxe_chain){.n = 0};
}

/* --- a file with them --- */

static void append(unsigned char **at, const void *data, size_t n)
{
    memcpy(*at, data, n);
    *at += n;
}

static void append_header(unsigned char **at, const char *letters, int d)
{
    static const int64_t none = 0, unused = 1 << 20;
    static const int32_t metric = METRIC_L2;
    append(at, letters, 4);
    append(at, &d, sizeof d);
    append(at, &none, sizeof none);
    append(at, &unused, sizeof unused);
    append(at, &unused, sizeof unused);
    append(at, "\1", 1);
    append(at, &metric, sizeof metric);
}

void *fxe_chain_over_flat(struct fxe_req *r, const struct fxe_chain *c)
{
    static const uint64_t vectors = 0;
    unsigned char *bytes = malloc(c->size + LITTLE), *at = bytes;
    void *ptr = NULL;
    if (!bytes) {
        fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name);
        return NULL;
    }
    append_header(&at, "IxPT", c->part[0].d_in);
    append(&at, &c->n, sizeof c->n);
    append(&at, c->bytes, c->size);
    append_header(&at, "IxF2", c->part[c->n - 1].d_out);
    append(&at, &vectors, sizeof vectors);
    int rc = fxe_load_bytes(FX_CLASS_Index, bytes, (size_t)(at - bytes), &ptr);
    free(bytes);
    if (rc == 0 && ptr)
        return ptr;
    const char *text = rc == FAISS_EXCEPT ? fxe_api()->get_last_error() : NULL;
    fxe_fail(r, "limit", "%s: the transforms could not be copied: %s", r->operation->name,
             text ? text : "the server has no memory for a copy");
    return NULL;
}
