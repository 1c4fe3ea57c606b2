/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/catalogue/transforms.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { NESTED = 1, METRICS = 2 /* without an argument */ };

/* --- the layout --- */

/* What follows the four letters: f, i: four bytes; B: one; V: a vector, the number (eight bytes)
 * and so many times four bytes; T: a transform.  Some are looked at: h: a byte, whether there is a
 * bias; A, b, m, M: vectors, the matrix, the bias, the mean, and the map of dimensions; L: a
 * transform that is applied.  Then d_in, d_out (i) and is_trained (B). */
static const struct layout {
    char letters[5];
    const char *type, *fields;
} layouts[] = {
    {"LTra", "LinearTransform", "hAb"},
    {"rrot", "RandomRotationMatrix", "hAb"},
    {"HRot", "HadamardRotation", "i"},
    {"PCAm", "PCAMatrix", "fBVVVhAb"},
    {"PcAm", "PCAMatrix", "fBiVVVhAb"},
    {"Pcam", "PCAMatrix", "ffBiVVVhAb"},
    {"Viqm", "ITQMatrix", "iihAb"},
    {"Viqt", "ITQTransform", "mBTL"},
    {"RmDT", "RemapDimensionsTransform", "M"},
    {"VNrm", "NormalizationTransform", "f"},
    {"VCnt", "CenteringTransform", "m"},
};

struct file {
    const unsigned char *data;
    size_t size, at;
    bool wrong;
    struct fxe_transforms *t;
};

struct vector {
    const unsigned char *at; /* in the file */
    uint64_t n;
    bool there; /* this kind of transform has it */
};

struct found {
    struct vector matrix, bias, mean, map;
    unsigned char has_bias;
    struct fxe_chain_part applied;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct file *f, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(f->t->why, sizeof f->t->why, format, ap);
    va_end(ap);
    f->wrong = true;
    return false;
}

/* Returns the next n bytes; NULL: they have not come yet. */
static const unsigned char *next(struct file *f, size_t n)
{
    if (n > f->size - f->at)
        return NULL;
    f->at += n;
    return f->data + f->at - n;
}

static bool read_bytes(struct file *f, void *to, size_t n)
{
    const unsigned char *at = next(f, n);
    if (at)
        memcpy(to, at, n);
    return at != NULL;
}

static bool read_vector(struct file *f, struct vector *v)
{
    *v = (struct vector){.there = true};
    if (!read_bytes(f, &v->n, sizeof v->n))
        return false;
    if (v->n > SIZE_MAX / 4)
        return wrong(f, "a vector of a transform would have %llu elements",
                     (unsigned long long)v->n);
    v->at = next(f, (size_t)v->n * 4);
    return v->at != NULL;
}

static const struct layout *read_letters(struct file *f)
{
    const unsigned char *at = next(f, 4);
    for (size_t i = 0; at && i < sizeof layouts / sizeof *layouts; i++)
        if (memcmp(at, layouts[i].letters, 4) == 0)
            return &layouts[i];
    if (at)
        wrong(f, "the index has a transform '%.4s', which is not known", (const char *)at);
    return NULL;
}

/* --- what fits --- */

static bool check_size(struct file *f, const struct fxe_chain_part *p, const char *what,
                       const struct vector *v, uint64_t least)
{
    if (!v->there || v->n >= least)
        return true;
    return wrong(f, "the %s of the %s from %d to %d dimensions has %llu elements, expected %llu",
                 what, p->type, p->d_in, p->d_out, (unsigned long long)v->n,
                 (unsigned long long)least);
}

static bool check_map(struct file *f, const struct fxe_chain_part *p, const struct vector *map)
{
    for (int i = 0; map->there && i < p->d_out; i++) {
        int32_t from;
        memcpy(&from, map->at + (size_t)i * 4, sizeof from);
        if (from < -1 || from >= p->d_in)
            return wrong(f, "element %d of the map of the %s is %d, expected -1 to %d", i, p->type,
                         (int)from, p->d_in - 1);
    }
    return true;
}

static int rounded_up(int d)
{
    int power = 1;
    while (power < d)
        power *= 2;
    return power;
}

static bool check_dimensions(struct file *f, const struct fxe_chain_part *p)
{
    if (p->d_in < 1 || p->d_out < 1 || p->d_in > FXE_TRANSFORM_D_MAX ||
        p->d_out > FXE_TRANSFORM_D_MAX)
        return wrong(f, "the %s is from %d to %d dimensions, expected 1 to %d", p->type, p->d_in,
                     p->d_out, FXE_TRANSFORM_D_MAX);
    int expected = strcmp(p->type, "HadamardRotation") == 0         ? rounded_up(p->d_in)
                   : strcmp(p->type, "NormalizationTransform") == 0 ? p->d_in
                   : strcmp(p->type, "CenteringTransform") == 0     ? p->d_in
                                                                    : p->d_out;
    if (p->d_out != expected)
        return wrong(f, "the %s is from %d to %d dimensions, expected %d", p->type, p->d_in,
                     p->d_out, expected);
    return true;
}

/* One that is not trained has no vectors, and FAISS does not apply it. */
static bool check_transform(struct file *f, const struct fxe_chain_part *p, const struct found *v)
{
    if (!check_dimensions(f, p))
        return false;
    if (v->applied.type && (v->applied.d_in != p->d_in || v->applied.d_out != p->d_out) &&
        p->trained)
        return wrong(f, "the %s from %d to %d dimensions has a %s from %d to %d", p->type, p->d_in,
                     p->d_out, v->applied.type, v->applied.d_in, v->applied.d_out);
    if (!check_size(f, p, "map", &v->map, (uint64_t)p->d_out) || !check_map(f, p, &v->map))
        return false;
    return !p->trained ||
           (check_size(f, p, "matrix", &v->matrix, (uint64_t)p->d_in * (uint64_t)p->d_out) &&
            (!v->has_bias || check_size(f, p, "bias", &v->bias, (uint64_t)p->d_out)) &&
            check_size(f, p, "mean", &v->mean, (uint64_t)p->d_in));
}

/* --- reading --- */

static bool read_transform(struct file *f, struct fxe_chain_part *part, bool applied, int depth);

static bool read_inner(struct file *f, struct found *v, bool applied, int depth)
{
    struct fxe_chain_part inner = {.type = NULL};
    if (depth == NESTED)
        return wrong(f, "a transform of the index contains one that contains others");
    if (!read_transform(f, &inner, applied, depth + 1))
        return false;
    if (applied)
        v->applied = inner;
    return true;
}

static bool read_field(struct file *f, char kind, struct found *v, int depth)
{
    struct vector unused;
    float number;
    switch (kind) {
    case 'B':
        return next(f, 1) != NULL;
    case 'h':
        return read_bytes(f, &v->has_bias, 1);
    case 'A':
        return read_vector(f, &v->matrix);
    case 'b':
        return read_vector(f, &v->bias);
    case 'm':
        return read_vector(f, &v->mean);
    case 'M':
        return read_vector(f, &v->map);
    case 'V':
        return read_vector(f, &unused);
    case 'T':
    case 'L':
        return read_inner(f, v, kind == 'L', depth);
    default:
        return read_bytes(f, &number, sizeof number);
    }
}

/* Returns false if it is not complete, or wrong.  What is inside another one and is not applied
 * needs no dimensions. */
static bool read_transform(struct file *f, struct fxe_chain_part *part, bool applied, int depth)
{
    const struct layout *l = read_letters(f);
    struct found v = {.has_bias = 0};
    unsigned char trained;
    if (!l)
        return false;
    part->type = l->type;
    if (f->size - f->at >= sizeof part->power) /* the first number of a PCAMatrix */
        memcpy(&part->power, f->data + f->at, sizeof part->power);
    for (const char *c = l->fields; *c; c++)
        if (!read_field(f, *c, &v, depth))
            return false;
    if (!read_bytes(f, &part->d_in, 4) || !read_bytes(f, &part->d_out, 4) ||
        !read_bytes(f, &trained, 1))
        return false;
    part->trained = trained != 0;
    return !applied || check_transform(f, part, &v);
}

static bool read_header(struct file *f, int32_t *n)
{
    const unsigned char *letters = next(f, 4);
    int32_t metric = 0;
    if (!letters)
        return false;
    if (memcmp(letters, "IxPT", 4) != 0)
        return wrong(f, "the index's file begins with '%.4s', expected 'IxPT'",
                     (const char *)letters);
    /* d, ntotal and two numbers that mean nothing, is_trained; metric, with an argument if it is
     * neither of the first two. */
    if (!read_bytes(f, &f->t->d, 4) || !next(f, 3 * 8 + 1) || !read_bytes(f, &metric, 4) ||
        (metric >= METRICS && !next(f, 4)) || !read_bytes(f, n, 4))
        return false;
    if (f->t->d < 1 || f->t->d > FXE_TRANSFORM_D_MAX)
        return wrong(f, "the index has %d dimensions, expected 1 to %d", f->t->d,
                     FXE_TRANSFORM_D_MAX);
    if (*n < 0 || *n > FXE_CHAIN_MAX)
        return wrong(f, "the index has %d transforms, expected at most %d", (int)*n, FXE_CHAIN_MAX);
    return true;
}

static bool read_all(struct file *f)
{
    int32_t n = 0;
    if (!read_header(f, &n))
        return false;
    f->t->n = n;
    f->t->begin = f->at;
    for (int i = 0, d = f->t->d; i < n; d = f->t->part[i++].d_out) {
        struct fxe_chain_part *p = &f->t->part[i];
        if (!read_transform(f, p, true, 0))
            return false;
        if (p->d_in != d)
            return wrong(f, "transform %d, a %s, takes %d dimensions, but %s %d", i, p->type,
                         p->d_in, i ? "the one before it makes" : "the index has", d);
    }
    f->t->end = f->at;
    return true;
}

enum fxe_transforms_state fxe_transforms_read(const unsigned char *data, size_t size,
                                              struct fxe_transforms *t)
{
    struct file f = {.data = data, .size = size, .t = t};
    t->n = 0;
    if (read_all(&f))
        return FXE_TRANSFORMS_COMPLETE;
    return f.wrong ? FXE_TRANSFORMS_WRONG : FXE_TRANSFORMS_MORE;
}
