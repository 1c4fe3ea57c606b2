/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles the column SIZES: turns each EXPR into the postfix code that fx_size() runs. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "apigen.h"

static const struct {
    const char *name;
    enum fx_attr attr;
    int min, max; /* number of arguments */
} attrs[] = {
    {"d", FX_ATTR_D, 1, 1},
    {"code_size", FX_ATTR_CODE_SIZE, 1, 1},
    {"nlist", FX_ATTR_NLIST, 1, 1},
    {"d_in", FX_ATTR_D_IN, 1, 1},
    {"d_out", FX_ATTR_D_OUT, 1, 1},
    {"trained_size", FX_ATTR_TRAINED_SIZE, 1, 1},
    {"list_size", FX_ATTR_LIST_SIZE, 2, 2},
    {"probes", FX_ATTR_PROBES, 1, 2},
};

struct expr {
    struct fn *fn;
    struct param *p;
    const char *s;
    int depth;     /* numbers on fx_size()'s stack at this point */
    int is_stride; /* parsing the argument ld of rows(), which may be -1 */
};

static void put(struct expr *e, int word)
{
    if (e->p->nprog == FX_SIZE_WORDS)
        die("%s: the size has more than %d words", e->p->name, FX_SIZE_WORDS);
    e->p->prog[e->p->nprog++] = (int16_t)word;
}

/* Append a word that makes the stack grow by `more` numbers. */
static void put_op(struct expr *e, int word, int more)
{
    put(e, word);
    e->depth += more;
    if (e->depth > FX_SIZE_DEPTH)
        die("%s: the size needs a stack of more than %d numbers", e->p->name, FX_SIZE_DEPTH);
}

static void sum(struct expr *e);

static int argument(struct expr *e, const char *s, size_t n)
{
    int i = find_param(e->fn, s, n);
    if (i < 0)
        die("%s: the size uses '%.*s', which is not a parameter", e->p->name, (int)n, s);
    return i;
}

static size_t word(const char *s)
{
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_')
        n++;
    return n;
}

static void rows(struct expr *e)
{
    for (int i = 0; i < 4; i++) {
        e->is_stride = i == 1;
        sum(e);
        if (*e->s != (i < 3 ? ',' : ')'))
            die("%s: rows() takes four arguments", e->p->name);
        e->s++;
    }
    put_op(e, FX_SZ_ROWS, -3);
}

static void call(struct expr *e, const char *name, size_t len)
{
    if (len == 4 && memcmp(name, "rows", 4) == 0) {
        rows(e);
        return;
    }
    for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++) {
        if (strlen(attrs[i].name) != len || memcmp(attrs[i].name, name, len) != 0)
            continue;
        int args[2] = {-1, -1}, n = 0;
        do {
            size_t w = word(e->s);
            if (n == attrs[i].max)
                die("%s: %s() takes at most %d argument(s)", e->p->name, attrs[i].name,
                    attrs[i].max);
            args[n++] = argument(e, e->s, w);
            e->s += w;
        } while (*e->s++ == ',');
        if (e->s[-1] != ')' || n < attrs[i].min)
            die("%s: %s() takes at least %d argument(s) and ends with ')'", e->p->name,
                attrs[i].name, attrs[i].min);
        if (strcmp(e->fn->params[args[0]].kind, "FX_HANDLE") != 0)
            die("%s: %s() takes an object, and '%s' is not one", e->p->name, attrs[i].name,
                e->fn->params[args[0]].name);
        put_op(e, FX_SZ_ATTR, 1);
        put(e, attrs[i].attr);
        put(e, args[0]);
        put(e, args[1]);
        return;
    }
    die("%s: unknown function %.*s() in the size", e->p->name, (int)len, name);
}

static void atom(struct expr *e)
{
    if (isdigit((unsigned char)*e->s)) {
        long value = strtol(e->s, (char **)&e->s, 10);
        if (value > INT16_MAX)
            die("%s: a number in the size is above %d", e->p->name, INT16_MAX);
        put_op(e, FX_SZ_NUM, 1);
        put(e, (int)value);
        return;
    }
    size_t n = word(e->s);
    const char *name = e->s;
    if (n == 0)
        die("%s: expected a size, got '%s'", e->p->name, e->s);
    e->s += n;
    if (*e->s == '(') {
        e->s++;
        call(e, name, n);
        return;
    }
    int i = argument(e, name, n);
    struct param *p = &e->fn->params[i];
    if (strcmp(p->kind, "FX_INT") != 0 && strcmp(p->kind, "FX_UINT") != 0)
        die("%s: the size uses '%s', which is not an integer", e->p->name, p->name);
    p->length |= !e->is_stride;
    put_op(e, FX_SZ_ARG, 1);
    put(e, i);
}

static void product(struct expr *e)
{
    atom(e);
    while (*e->s == '*' || *e->s == '/') {
        int op = *e->s++ == '*' ? FX_SZ_MUL : FX_SZ_DIV;
        atom(e);
        put_op(e, op, -1);
    }
}

static void sum(struct expr *e)
{
    product(e);
    while (*e->s == '+' || *e->s == '-') {
        int op = *e->s++ == '+' ? FX_SZ_ADD : FX_SZ_SUB;
        product(e);
        put_op(e, op, -1);
    }
}

void parse_size(struct fn *fn, char *item)
{
    char *eq = strchr(item, '=');
    if (!eq || eq == item)
        die("expected a size as ARG=EXPR, got '%s'", item);
    char how = eq[-1];
    size_t len = (size_t)(eq - item) - (how == '~' || how == ':' || how == '?');
    int i = find_param(fn, item, len);
    struct param *p = i >= 0 ? &fn->params[i] : NULL;
    if (len == 6 && memcmp(item, "return", 6) == 0)
        p = &fn->ret;
    if (!p)
        die("a size for '%.*s', which is not a parameter", (int)len, item);
    struct expr e = {.fn = fn, .p = p, .s = eq + 1};
    if (how == '~')
        p->dir = "FX_INOUT";
    if (how == ':')
        p->dir = "FX_IN";
    if (how == '?')
        p->nullable = 1;
    if (eq[1] == '*') {
        p->count = argument(&e, eq + 2, strlen(eq + 2));
        fn->params[p->count].kind = "FX_COUNT";
        return;
    }
    sum(&e);
    put(&e, FX_SZ_END);
    if (*e.s)
        die("%s: unexpected '%s' after the size", p->name, e.s);
}
