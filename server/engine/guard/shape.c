/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/shape.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "server/engine/guard/catch.h"

enum { WORDS = 24, WINDOW = 6, DUMMY = 1 << 20 };

struct shape_word {
    char name[5];
    int metric, type; /* -1: not seen (yet) */
    int64_t ntotal;
};

struct shape_stream {
    struct shape_word words[WORDS];
    int n;
    /* The last WINDOW writes, newest last: sizes in bytes, and first bytes. */
    size_t sizes[WINDOW];
    uint64_t values[WINDOW];
};

/* Returns whether the class has a scalar quantizer or, if `scalar` is 0, an additive one. */
static int has_type(const char *name, int scalar)
{
    static const char additive[] = "IxRQ IxRq IxLS IxPR IxPL ILfs IRfs IPLf IPRf IVLf IVRf NPLf "
                                   "NPRf ImRQ IwRQ IwLS IwPR IwPL";
    return strstr(scalar ? "IxSQ IwSq" : additive, name) != NULL;
}

static int is_name(const unsigned char *p)
{
    return ((p[0] == 'I' && isalpha(p[1])) || (p[0] == 'N' && p[1] == 'P')) && isalnum(p[2]) &&
           isalnum(p[3]);
}

/* FAISS writes a type after nested indexes, so it belongs to the last word that still lacks one. */
static void set_type(struct shape_stream *s, int scalar, int type)
{
    for (int i = s->n - 1; i >= 0; i--)
        if (s->words[i].type < 0 && has_type(s->words[i].name, scalar)) {
            s->words[i].type = type;
            return;
        }
}

static int ends_with(const struct shape_stream *s, int n, const char *sizes)
{
    for (int i = 0; i < n; i++)
        if (s->sizes[WINDOW - n + i] != (size_t)(sizes[i] - '0'))
            return 0;
    return 1;
}

static void recognise(struct shape_stream *s)
{
    const uint64_t *last = &s->values[WINDOW - 1];
    /* an index: d, ntotal, twice 1 << 20, is_trained, metric */
    if (ends_with(s, 6, "488814") && last[-2] == DUMMY && last[-3] == DUMMY && s->n) {
        s->words[s->n - 1].metric = (int)last[0];
        s->words[s->n - 1].ntotal = (int64_t)last[-4];
    }
    /* a scalar quantizer: type, statistic, its argument, d, code size */
    if (ends_with(s, 5, "44488") && last[-3] < 8)
        set_type(s, 1, (int)last[-4]);
    /* an additive quantizer: type, two bounds of norms */
    if (ends_with(s, 3, "444") && last[-2] < 64)
        set_type(s, 0, (int)last[-2]);
}

static ssize_t pass(void *cookie, const char *data, size_t size)
{
    struct shape_stream *s = cookie;
    uint64_t value = 0;
    memcpy(&value, data, size < 8 ? size : 8);
    memmove(s->sizes, s->sizes + 1, sizeof s->sizes - sizeof *s->sizes);
    memmove(s->values, s->values + 1, sizeof s->values - sizeof *s->values);
    s->sizes[WINDOW - 1] = size;
    s->values[WINDOW - 1] = value;
    if (size == 4 && is_name((const unsigned char *)data) && s->n < WORDS) {
        struct shape_word *w = &s->words[s->n++];
        memcpy(w->name, data, 4);
        w->name[4] = '\0';
        w->metric = w->type = -1;
        s->sizes[WINDOW - 1] = 0; /* not part of a pattern */
    } else if (size == 8 || size == 4 || size == 1) {
        recognise(s);
    }
    return (ssize_t)size;
}

/* A refined index takes what the index in it finds for positions among its own vectors. */
static bool finds_too_many(const struct shape_stream *s, int i)
{
    return strcmp(s->words[i].name, "IxRF") == 0 && i + 1 < s->n &&
           s->words[i + 1].ntotal > s->words[i].ntotal;
}

static void append_word(char *text, const char *format, const char *word, int number)
{
    size_t at = strlen(text);
    snprintf(text + at, FXE_SHAPE_MAX - at, format, word, number);
}

void fxe_shape_text(const struct fx_api *api, void *index, int binary, char text[FXE_SHAPE_MAX])
{
    struct shape_stream s = {.n = 0};
    cookie_io_functions_t io = {.write = pass};
    FILE *f = fopencookie(&s, "w", io);
    int rc = -1;
    text[0] = '\0';
    if (f) {
        setvbuf(f, NULL, _IONBF, 0);
        rc = binary ? api->write_index_binary(index, f) : api->write_index(index, f);
        fclose(f);
    }
    for (int i = 0; i < s.n; i++) {
        append_word(text, *text ? " %s" : "%s", s.words[i].name, 0);
        if (finds_too_many(&s, i))
            append_word(text, "%s", FXE_SHAPE_UNEVEN, 0);
        if (s.words[i].metric >= 0)
            append_word(text, "%s:%d", "", s.words[i].metric);
        if (s.words[i].type >= 0)
            append_word(text, "%s:%d", "", s.words[i].type);
    }
    if (rc != 0)
        append_word(text, *text ? " %s?" : "%s", fxe_class_name(index), 0);
}

bool fxe_shape_consists_of(const char *shape, const char *const words[], size_t n)
{
    for (const char *word = shape; word; word = strchr(word, ' ')) {
        bool is = false;
        word += *word == ' ';
        for (size_t i = 0; i < n; i++)
            is |= strncmp(word, words[i], 4) == 0;
        if (!is)
            return false;
    }
    return true;
}
