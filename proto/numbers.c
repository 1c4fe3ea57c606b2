/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/numbers.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first bytes of msgpack's types, from its specification. */
enum {
    FIXINT_LAST = 0x7f, /* the number itself */
    FIXARRAY = 0x90,    /* to 0x9f: its low bits are the length */
    FIXSTR = 0xa0,
    FIXSTR_LAST = 0xbf,
    NIL = 0xc0,
    FALSE = 0xc2,
    TRUE = 0xc3,
    BIN8 = 0xc4,
    BIN32 = 0xc6,
    FLOAT32 = 0xca,
    FLOAT64 = 0xcb,
    UINT8 = 0xcc,
    UINT16 = 0xcd,
    UINT32 = 0xce,
    UINT64 = 0xcf,
    INT8 = 0xd0,
    INT16 = 0xd1,
    INT32 = 0xd2,
    INT64 = 0xd3,
    STR8 = 0xd9,
    STR32 = 0xdb,
    ARRAY16 = 0xdc,
    ARRAY32 = 0xdd,
    MAP16 = 0xde,
    MAP32 = 0xdf,
    FIXMAP = 0x80,
    FIXMAP_LAST = 0x8f,
    NEGATIVE_FIRST = 0xe0
};

struct reader {
    const uint8_t *at, *end;
    const char *what;
    char *why;
};

__attribute__((format(printf, 2, 3))) static int wrong(const struct reader *r, const char *form,
                                                       ...)
{
    va_list args;
    va_start(args, form);
    int n = snprintf(r->why, FX_NUMBERS_WHY, "%.40s", r->what);
    vsnprintf(r->why + n, FX_NUMBERS_WHY - (size_t)n, form, args);
    va_end(args);
    return -1;
}

static int cut_off(const struct reader *r)
{
    return wrong(r, ": the message ends within it");
}

static size_t left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

static const char *type_name(uint8_t c)
{
    if (c == NIL)
        return "nil";
    if ((c >= FIXSTR && c <= FIXSTR_LAST) || (c >= STR8 && c <= STR32))
        return "a string";
    if (c >= BIN8 && c <= BIN32)
        return "binary data";
    if ((c >= FIXMAP && c <= FIXMAP_LAST) || c == MAP16 || c == MAP32)
        return "a map";
    if ((c & 0xf0) == FIXARRAY || c == ARRAY16 || c == ARRAY32)
        return "a list";
    return c <= FIXINT_LAST || c >= NEGATIVE_FIRST || (c >= FLOAT32 && c <= INT64) || c == TRUE ||
                   c == FALSE
               ? "a number"
               : "of an extension type";
}

/* --- single values --- */

/* Numbers are big-endian, at any address. */
static uint16_t load16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return be16toh(v);
}

static uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

static double load_double(const uint8_t *p)
{
    uint64_t bits = load64(p);
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static float load_float(const uint8_t *p)
{
    uint32_t bits = load32(p);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Reads the head of a list.  Each element takes at least a byte, so a list cannot have more than
 * there are bytes. */
static int list_head(struct reader *r, size_t *n)
{
    if (r->at == r->end)
        return cut_off(r);
    uint8_t c = *r->at;
    size_t head = c == ARRAY16 ? 3 : c == ARRAY32 ? 5 : 1;
    if (head == 1 && (c & 0xf0) != FIXARRAY)
        return wrong(r, " is %s; expected a list", type_name(c));
    if (left(r) < head)
        return cut_off(r);
    *n = c == ARRAY16 ? load16(r->at + 1) : c == ARRAY32 ? load32(r->at + 1) : c & 0x0fu;
    r->at += head;
    return *n <= left(r) ? 0 : cut_off(r);
}

struct number {
    enum { SIGNED, UNSIGNED, REAL, NONE } kind;
    int64_t i;
    uint64_t u;
    double f;
};

/* The bytes of a number whose first one is c, without that one. */
static size_t rest(uint8_t c)
{
    static const uint8_t size[] = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
    return c >= FLOAT32 && c <= INT64 ? size[c - FLOAT32] : 0;
}

/* Reads any value that is a number; NONE: it is none, and r->at stays.  The caller has seen that
 * all of it is there. */
static struct number number(struct reader *r)
{
    const uint8_t c = *r->at, *p = r->at + 1;
    struct number v = {.kind = SIGNED};
    r->at += 1 + rest(c);
    switch (c) {
    case FALSE:
    case TRUE:
        v.i = c == TRUE;
        return v;
    case FLOAT32:
        return (struct number){.kind = REAL, .f = (double)load_float(p)};
    case FLOAT64:
        return (struct number){.kind = REAL, .f = load_double(p)};
    case UINT8:
        v.i = *p;
        return v;
    case UINT16:
        v.i = load16(p);
        return v;
    case UINT32:
        v.i = load32(p);
        return v;
    case UINT64:
        return (struct number){.kind = UNSIGNED, .u = load64(p)};
    case INT8:
        v.i = (int8_t)*p;
        return v;
    case INT16:
        v.i = (int16_t)load16(p);
        return v;
    case INT32:
        v.i = (int32_t)load32(p);
        return v;
    case INT64:
        v.i = (int64_t)load64(p);
        return v;
    default:
        if (c <= FIXINT_LAST || c >= NEGATIVE_FIRST) {
            v.i = (int8_t)c;
            return v;
        }
        r->at--;
        return (struct number){.kind = NONE};
    }
}

/* Is all of the number there that begins at r->at? */
static bool is_whole(const struct reader *r)
{
    return r->at < r->end && left(r) > rest(*r->at);
}

/* --- vectors --- */

static int not_a_number(struct reader *r, const struct fx_rows *rows, size_t row, size_t i)
{
    if (rows->flat)
        return wrong(r, "[%zu] is %s; expected a number", i, type_name(*r->at));
    return wrong(r, "[%zu][%zu] is %s; expected a number", row, i, type_name(*r->at));
}

static int read_row(struct reader *r, const struct fx_rows *rows, size_t row)
{
    float *x = rows->x + row * rows->d;
    const size_t d = rows->d;
    for (size_t i = 0; i < d; i++) {
        if (left(r) > 8 && *r->at == FLOAT64) { /* nearly all are */
            x[i] = (float)load_double(r->at + 1);
            r->at += 9;
            continue;
        }
        if (!is_whole(r))
            return cut_off(r);
        struct number v = number(r);
        if (v.kind == NONE)
            return not_a_number(r, rows, row, i);
        x[i] = v.kind == REAL ? (float)v.f : v.kind == SIGNED ? (float)v.i : (float)v.u;
    }
    return 0;
}

static bool is_list(const struct reader *r)
{
    return r->at < r->end &&
           ((*r->at & 0xf0) == FIXARRAY || *r->at == ARRAY16 || *r->at == ARRAY32);
}

static int read_rows(struct reader *r, struct fx_rows *rows)
{
    size_t n, d = 0, size;
    struct reader first;
    if (list_head(r, &n) != 0)
        return -1;
    first = *r;
    rows->flat = n > 0 && !is_list(r);
    if (!rows->flat && n > 0 && list_head(&first, &d) != 0)
        return -1;
    rows->n = rows->flat ? 1 : n;
    rows->d = rows->flat ? n : d;
    /* So that the product is no claim: each number takes at least a byte. */
    if (__builtin_mul_overflow(rows->n, rows->d, &size) || size > left(r))
        return cut_off(r);
    if (!(rows->x = malloc(size ? size * sizeof *rows->x : 1)))
        return wrong(r, ": the server has no memory for %zu x %zu numbers", rows->n, rows->d);
    for (size_t i = 0; i < rows->n; i++) {
        if (!rows->flat) {
            if (r->at < r->end && !is_list(r))
                return wrong(r, "[%zu] is %s; expected a list, as [0] is", i, type_name(*r->at));
            if (list_head(r, &d) != 0)
                return -1;
            if (d != rows->d)
                return wrong(r, "[%zu] has %zu numbers; [0] has %zu", i, d, rows->d);
        }
        if (read_row(r, rows, i) != 0)
            return -1;
    }
    return 0;
}

int fx_rows_read(const uint8_t **at, const uint8_t *end, const char *what, struct fx_rows *rows,
                 char why[FX_NUMBERS_WHY])
{
    struct reader r = {*at, end, what, why};
    *rows = (struct fx_rows){0};
    if (read_rows(&r, rows) != 0) {
        free(rows->x);
        rows->x = NULL;
        return -1;
    }
    *at = r.at;
    return 0;
}

/* --- ids --- */

static int read_id(struct reader *r, size_t i, int64_t *id)
{
    static const double limit = 9223372036854775808.0; /* 2^63 */
    if (!is_whole(r))
        return cut_off(r);
    uint8_t c = *r->at;
    struct number v = number(r);
    if (v.kind == NONE)
        return wrong(r, "[%zu] is %s; expected an integer", i, type_name(c));
    if (v.kind == UNSIGNED && v.u > INT64_MAX)
        return wrong(r, "[%zu] is %llu; the largest id is %lld", i, (unsigned long long)v.u,
                     (long long)INT64_MAX);
    if (v.kind == REAL && !(v.f >= -limit && v.f < limit))
        return wrong(r, "[%zu] is %g; expected an integer of 64 bits", i, v.f);
    *id = v.kind == REAL ? (int64_t)v.f : v.kind == SIGNED ? v.i : (int64_t)v.u;
    return 0;
}

int fx_ids_read(const uint8_t **at, const uint8_t *end, const char *what, int64_t **ids, size_t *n,
                char why[FX_NUMBERS_WHY])
{
    struct reader r = {*at, end, what, why};
    *ids = NULL;
    *n = 0;
    size_t count;
    if (list_head(&r, &count) != 0)
        return -1;
    int64_t *all = malloc(count ? count * sizeof *all : 1);
    if (!all)
        return wrong(&r, ": the server has no memory for %zu ids", count);
    for (size_t i = 0; i < count; i++)
        if (read_id(&r, i, &all[i]) != 0) {
            free(all);
            return -1;
        }
    *ids = all;
    *n = count;
    *at = r.at;
    return 0;
}

/* --- writing --- */

enum { CHUNK = 512 }; /* numbers that are written to the buffer together */

static int write_head(msgpack_sbuffer *to, size_t n)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, to, msgpack_sbuffer_write);
    return msgpack_pack_array(&pk, n);
}

int fx_floats_write(msgpack_sbuffer *to, const float *x, size_t n)
{
    char chunk[CHUNK * 5];
    if (write_head(to, n) != 0)
        return -1;
    for (size_t i = 0; i < n;) {
        char *p = chunk;
        for (size_t stop = n - i < CHUNK ? n : i + CHUNK; i < stop; i++, p += 5) {
            uint32_t bits;
            memcpy(&bits, &x[i], sizeof bits);
            bits = htobe32(bits);
            *p = (char)FLOAT32;
            memcpy(p + 1, &bits, sizeof bits);
        }
        if (msgpack_sbuffer_write(to, chunk, (size_t)(p - chunk)) != 0)
            return -1;
    }
    return 0;
}

/* Writes the shortest form, as msgpack's own libraries do. */
static char *put_id(char *p, int64_t id)
{
    uint64_t be = htobe64((uint64_t)id);
    const char *bytes = (const char *)&be;
    size_t size = id >= INT8_MIN && id <= UINT8_MAX     ? 1
                  : id >= INT16_MIN && id <= UINT16_MAX ? 2
                  : id >= INT32_MIN && id <= UINT32_MAX ? 4
                                                        : 8;
    if (id >= 0 ? id > FIXINT_LAST : id < (int8_t)NEGATIVE_FIRST) {
        static const uint8_t types[2][9] = {{0, UINT8, UINT16, 0, UINT32, 0, 0, 0, UINT64},
                                            {0, INT8, INT16, 0, INT32, 0, 0, 0, INT64}};
        *p++ = (char)types[id < 0][size];
    }
    memcpy(p, bytes + 8 - size, size);
    return p + size;
}

int fx_ids_write(msgpack_sbuffer *to, const int64_t *ids, size_t n)
{
    char chunk[CHUNK * 9];
    if (write_head(to, n) != 0)
        return -1;
    for (size_t i = 0; i < n;) {
        char *p = chunk;
        for (size_t stop = n - i < CHUNK ? n : i + CHUNK; i < stop; i++)
            p = put_id(p, ids[i]);
        if (msgpack_sbuffer_write(to, chunk, (size_t)(p - chunk)) != 0)
            return -1;
    }
    return 0;
}
