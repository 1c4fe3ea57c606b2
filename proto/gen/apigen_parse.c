/* SPDX-License-Identifier: Apache-2.0 */
/* Reads faiss.api.  Every mistake ends the program with "FILE:LINE: what is wrong". */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "apigen.h"

const char *const flag_names[] = {
    "gpu",   "custom", "process", "unsized", "cast", "free",   "borrow", "renew", "own", "owned",
    "fixed", "d",      "resize",  "read",    "wide", "prints", "fork",   "never", NULL};

static const char *path;
static int line;

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "%s:%d: ", path, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

unsigned flag(const char *name)
{
    for (int i = 0; flag_names[i]; i++)
        if (strcmp(flag_names[i], name) == 0)
            return 1u << i;
    return 0;
}

static char *copy(const char *s, size_t n)
{
    char *p = malloc(n + 1);
    if (!p) {
        perror("apigen");
        exit(1);
    }
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    char *e = s + strlen(s);
    while (e > s && isspace((unsigned char)e[-1]))
        *--e = '\0';
    return s;
}

static int find_class(const struct table *t, const char *name, size_t len)
{
    for (int i = 0; i < t->nclasses; i++)
        if (strlen(t->classes[i].name) == len && memcmp(t->classes[i].name, name, len) == 0)
            return i;
    return -1;
}

static void parse_class(struct table *t, char *s)
{
    char *save, *name = strtok_r(s, " \t", &save), *word;
    if (!name)
        die("class without a name");
    if (find_class(t, name, strlen(name)) >= 0)
        die("class '%s' stands here a second time", name);
    if (t->nclasses == MAX_CLASSES)
        die("more than %d classes", MAX_CLASSES);
    struct cls *c = &t->classes[t->nclasses];
    c->name = copy(name, strlen(name));
    c->base = t->nclasses;
    while ((word = strtok_r(NULL, " \t", &save))) {
        if (strcmp(word, ":") == 0 || strcmp(word, "<") == 0) {
            c->alias = *word == ':';
            word = strtok_r(NULL, " \t", &save);
            c->base = word ? find_class(t, word, strlen(word)) : -1;
            if (c->base < 0)
                die("class '%s': unknown base '%s'", name, word ? word : "");
        } else if (strcmp(word, "value") == 0) {
            c->value = 1;
        } else if (strncmp(word, "unless=", 7) == 0) {
            c->unless = copy(word + 7, strlen(word + 7));
        } else {
            die("class '%s': unknown word '%s'", name, word);
        }
    }
    t->nclasses++;
}

/* --- types --- */

static const struct {
    const char *ctype, *kind, *elem;
} scalars[] = {
    {"void", "FX_VOID", NULL},
    {"err", "FX_ERR", NULL},
    {"char", "FX_INT", "FX_CHAR"},
    {"int", "FX_INT", "FX_I32"},
    {"int32_t", "FX_INT", "FX_I32"},
    {"long", "FX_INT", "FX_I64"},
    {"int64_t", "FX_INT", "FX_I64"},
    {"idx_t", "FX_INT", "FX_I64"},
    {"unsigned int", "FX_UINT", NULL},
    {"size_t", "FX_UINT", "FX_I64"},
    {"uint8_t", "FX_UINT", "FX_U8"},
    {"float", "FX_REAL", "FX_F32"},
    {"double", "FX_REAL", "FX_F64"},
    {"FaissMetricType", "FX_INT", NULL},
    {"FaissQuantizerType", "FX_INT", NULL},
    {"FaissRangeStat", "FX_INT", NULL},
    {"FaissIndicesOptions", "FX_INT", NULL},
    {"FaissClusteringParameters", NULL, "FX_CLUSTERING_PARAMS"},
    {"FaissIndexIVFStats", NULL, "FX_U8"},
    {"FILE", NULL, NULL},
    {"cudaStream_t", "FX_OPAQUE", NULL},
    {"cublasHandle_t", "FX_OPAQUE", NULL},
};

/* What is a value of C type `type` (no name)?  Fills kind, dir, elem, cls, constant. */
static void classify(const struct table *t, struct param *p, const char *type)
{
    char base[64];
    int stars = 0;
    size_t n = 0;
    p->cls = p->count = -1;
    p->dir = "FX_IN";
    p->elem = "FX_U8";
    if (strstr(type, "(*")) {
        p->kind = "FX_OPAQUE";
        return;
    }
    p->constant = strncmp(type, "const ", 6) == 0;
    if (p->constant)
        type += 6;
    for (; *type; type++) {
        if (*type == '*')
            stars++;
        else if (strncmp(type, "const", 5) == 0 && stars)
            type += 4;
        else if (n + 1 < sizeof base)
            base[n++] = *type;
    }
    base[n] = '\0';
    char *b = trim(base);
    int cls = strncmp(b, "Faiss", 5) == 0 ? find_class(t, b + 5, strlen(b + 5)) : -1;
    if (cls >= 0) {
        p->cls = cls;
        if (stars == 1)
            p->kind = "FX_HANDLE";
        else if (stars == 2)
            p->kind = strstr(p->ctype, "*const") || strstr(p->ctype, "* const") ? "FX_HANDLES"
                                                                                : "FX_OUT_HANDLE";
        else
            die("%s: no class is passed by value", p->name);
        return;
    }
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
        if (strcmp(scalars[i].ctype, b) != 0)
            continue;
        if (stars == 0 && scalars[i].kind) {
            p->kind = scalars[i].kind;
            return;
        }
        if (strcmp(b, "void") == 0 || !scalars[i].elem) {
            p->kind = "FX_OPAQUE";
            return;
        }
        p->elem = scalars[i].elem;
        if (stars == 1 && p->constant && strcmp(b, "char") == 0) {
            p->kind = "FX_STRING";
            return;
        }
        p->is_array_like = 1;
        p->kind = stars == 1 ? "FX_ARRAY" : "FX_LENT";
        p->dir = stars == 1 && p->constant ? "FX_IN" : "FX_OUT";
        return;
    }
    die("%s: unknown type '%s'", p->name, p->ctype);
}

static void parse_param(const struct table *t, struct fn *fn, char *s)
{
    if (fn->nparams == MAX_PARAMS)
        die("%s: more than %d parameters", fn->name, MAX_PARAMS);
    struct param *p = &fn->params[fn->nparams];
    s = trim(s);
    p->decl = copy(s, strlen(s));
    char *at = strstr(s, "(*"), *e;
    if (at) { /* a callback: type (*name)(...) */
        at += 2;
        e = at + strcspn(at, ")");
    } else {
        e = s + strlen(s);
        at = e;
        while (at > s && (isalnum((unsigned char)at[-1]) || at[-1] == '_'))
            at--;
    }
    if (at == e || at == s)
        die("%s: parameter '%s' has no name", fn->name, s);
    p->name = copy(at, (size_t)(e - at));
    p->ctype = copy(s, strlen(s));
    if (!strstr(s, "(*")) {
        p->ctype[at - s] = '\0';
        p->ctype = trim(p->ctype);
    }
    classify(t, p, p->ctype);
    fn->nparams++;
}

static void parse_prototype(const struct table *t, struct fn *fn, char *s)
{
    char *open = strchr(s, '('), *close = strrchr(s, ')');
    if (!open || !close || close < open)
        die("'%s' is no prototype", s);
    char *name = open;
    while (name > s && (isalnum((unsigned char)name[-1]) || name[-1] == '_'))
        name--;
    fn->name = copy(name, (size_t)(open - name));
    *name = '\0';
    *close = '\0';
    if (strncmp(fn->name, "faiss_", 6) != 0)
        die("'%s' does not begin with faiss_", fn->name);
    fn->ret.name = copy("return", 6);
    s = trim(s);
    fn->ret.ctype = copy(s, strlen(s));
    fn->rettype = strcmp(s, "err") == 0 ? copy("int", 3) : fn->ret.ctype;
    classify(t, &fn->ret, s);
    s = trim(open + 1);
    if (strcmp(s, "void") == 0 || !*s)
        return;
    int depth = 0;
    for (char *from = s;; s++) {
        depth += (*s == '(') - (*s == ')');
        if ((*s == ',' && depth == 0) || *s == '\0') {
            int end = *s == '\0';
            *s = '\0';
            parse_param(t, fn, from);
            if (end)
                return;
            from = s + 1;
        }
    }
}

/* --- sizes --- */

static int find_param(const struct fn *fn, const char *name, size_t len)
{
    for (int i = 0; i < fn->nparams; i++)
        if (strlen(fn->params[i].name) == len && memcmp(fn->params[i].name, name, len) == 0)
            return i;
    return -1;
}

static const struct {
    const char *name, *attr;
    int min, max;
} attrs[] = {
    {"d", "FX_ATTR_D", 1, 1},
    {"code_size", "FX_ATTR_CODE_SIZE", 1, 1},
    {"nlist", "FX_ATTR_NLIST", 1, 1},
    {"d_in", "FX_ATTR_D_IN", 1, 1},
    {"d_out", "FX_ATTR_D_OUT", 1, 1},
    {"trained_size", "FX_ATTR_TRAINED_SIZE", 1, 1},
    {"list_size", "FX_ATTR_LIST_SIZE", 2, 2},
    {"probes", "FX_ATTR_PROBES", 1, 2},
};

/* The numbers of enum fx_size_op in api.h. */
enum { END, ARG, NUM, ATTR, ADD, SUB, MUL, DIV, ROWS };

struct expr {
    const struct fn *fn;
    struct param *p;
    const char *s;
    int depth; /* numbers on the stack of fx_size() at this point */
};

static void put(struct expr *e, int word)
{
    if (e->p->nprog == MAX_PROG)
        die("%s: the size of %s is too long", e->fn->name, e->p->name);
    e->p->prog[e->p->nprog++] = (int16_t)word;
}

/* A word that leaves so many numbers more on the stack. */
static void put_op(struct expr *e, int word, int more)
{
    put(e, word);
    e->depth += more;
    if (e->depth > MAX_DEPTH)
        die("%s: the size of %s is too deep", e->fn->name, e->p->name);
}

static void sum(struct expr *e);

static int argument(struct expr *e, const char *s, size_t n)
{
    int i = find_param(e->fn, s, n);
    if (i < 0)
        die("%s: the size of %s names '%.*s', which is no parameter", e->fn->name, e->p->name,
            (int)n, s);
    return i;
}

static size_t word(const char *s)
{
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_')
        n++;
    return n;
}

static void call(struct expr *e, const char *name, size_t len)
{
    if (len == 4 && memcmp(name, "rows", 4) == 0) {
        for (int i = 0; i < 4; i++) {
            sum(e);
            if (*e->s != (i < 3 ? ',' : ')'))
                die("%s: rows() takes four arguments", e->fn->name);
            e->s++;
        }
        put_op(e, ROWS, -3);
        return;
    }
    for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++) {
        if (strlen(attrs[i].name) != len || memcmp(attrs[i].name, name, len) != 0)
            continue;
        int args[2] = {-1, -1}, n = 0;
        do {
            size_t w = word(e->s);
            if (n == attrs[i].max)
                die("%s: %s() takes %d argument(s)", e->fn->name, attrs[i].name, attrs[i].max);
            args[n++] = argument(e, e->s, w);
            e->s += w;
        } while (*e->s++ == ',');
        if (e->s[-1] != ')' || n < attrs[i].min)
            die("%s: bad arguments of %s()", e->fn->name, attrs[i].name);
        if (strcmp(e->fn->params[args[0]].kind, "FX_HANDLE") != 0)
            die("%s: '%s' is no object", e->fn->name, e->fn->params[args[0]].name);
        put_op(e, ATTR, 1);
        put(e, (int)i);
        put(e, args[0]);
        put(e, args[1]);
        return;
    }
    die("%s: unknown function %.*s() in the size of %s", e->fn->name, (int)len, name, e->p->name);
}

static void atom(struct expr *e)
{
    if (isdigit((unsigned char)*e->s)) {
        long value = strtol(e->s, (char **)&e->s, 10);
        if (value > INT16_MAX)
            die("%s: a number in the size of %s is above %d", e->fn->name, e->p->name, INT16_MAX);
        put_op(e, NUM, 1);
        put(e, (int)value);
        return;
    }
    size_t n = word(e->s);
    const char *name = e->s;
    if (n == 0)
        die("%s: '%s' is no size", e->fn->name, e->s);
    e->s += n;
    if (*e->s == '(') {
        e->s++;
        call(e, name, n);
        return;
    }
    int i = argument(e, name, n);
    const char *kind = e->fn->params[i].kind;
    if (strcmp(kind, "FX_INT") != 0 && strcmp(kind, "FX_UINT") != 0)
        die("%s: the size of %s names '%.*s', which is no number", e->fn->name, e->p->name, (int)n,
            name);
    put_op(e, ARG, 1);
    put(e, i);
}

static void product(struct expr *e)
{
    atom(e);
    while (*e->s == '*' || *e->s == '/') {
        int op = *e->s++ == '*' ? MUL : DIV;
        atom(e);
        put_op(e, op, -1);
    }
}

static void sum(struct expr *e)
{
    product(e);
    while (*e->s == '+' || *e->s == '-') {
        int op = *e->s++ == '+' ? ADD : SUB;
        product(e);
        put_op(e, op, -1);
    }
}

static void parse_size(struct fn *fn, char *item)
{
    char *eq = strchr(item, '=');
    if (!eq || eq == item)
        die("%s: '%s' is no size (ARG=EXPR)", fn->name, item);
    char how = eq[-1];
    size_t len = (size_t)(eq - item) - (how == '~' || how == ':' || how == '?');
    int i = find_param(fn, item, len);
    struct param *p = i >= 0 ? &fn->params[i] : NULL;
    if (len == 6 && memcmp(item, "return", 6) == 0)
        p = &fn->ret;
    if (!p)
        die("%s: a size for '%.*s', which is no parameter", fn->name, (int)len, item);
    if (how == '~')
        p->dir = "FX_INOUT";
    if (how == ':')
        p->dir = "FX_IN";
    if (how == '?')
        p->nullable = 1;
    if (eq[1] == '*') {
        p->count = argument(&(struct expr){fn, p, NULL, 0}, eq + 2, strlen(eq + 2));
        fn->params[p->count].kind = "FX_COUNT";
        return;
    }
    struct expr e = {fn, p, eq + 1, 0};
    sum(&e);
    put(&e, END);
    if (*e.s)
        die("%s: '%s' after the size of %s", fn->name, e.s, p->name);
}

static void parse_flag(struct fn *fn, char *w)
{
    char *eq = strchr(w, '=');
    if (!eq) {
        if (!flag(w))
            die("%s: unknown flag '%s'", fn->name, w);
        fn->flags |= flag(w);
        return;
    }
    *eq++ = '\0';
    if (strcmp(w, "since") == 0) {
        fn->since = copy(eq, strlen(eq));
        if (strcmp(eq, "fork") == 0)
            fn->flags |= flag("fork");
        return;
    }
    if (strcmp(w, "until") == 0) {
        fn->until = copy(eq, strlen(eq));
        return;
    }
    if (strcmp(w, "made") == 0) {
        fn->made = copy(eq, strlen(eq));
        return;
    }
    if (strcmp(w, "unless") == 0) {
        fn->unless = copy(eq, strlen(eq));
        return;
    }
    int kept = strcmp(w, "keep") == 0 ? 1 : strcmp(w, "drop") == 0 ? 2 : 0;
    if (!kept)
        die("%s: unknown flag '%s='", fn->name, w);
    char *save;
    for (char *a = strtok_r(eq, ",", &save); a; a = strtok_r(NULL, ",", &save)) {
        int i = find_param(fn, a, strlen(a));
        if (i < 0)
            die("%s: %s=%s names no parameter", fn->name, w, a);
        fn->params[i].kept = kept;
    }
}

static void parse_fn(struct table *t, char *s)
{
    char *col[4] = {NULL};
    int n = 0;
    for (char *save, *c = strtok_r(s, "|", &save); c; c = strtok_r(NULL, "|", &save)) {
        if (n == 4)
            die("more than four columns");
        col[n++] = trim(c);
    }
    if (n != 4)
        die("%d columns instead of 'OP | PROTOTYPE | SIZES | FLAGS'", n);
    char *end;
    long op = strtol(col[0], &end, 10);
    if (end == col[0] || *end || op < 1 || op >= MAX_FNS)
        die("'%s' is no operation number (1 to %d)", col[0], MAX_FNS - 1);
    struct fn *fn = &t->fns[op];
    if (fn->name)
        die("operation %ld is already %s, line %d", op, fn->name, fn->line);
    fn->line = line;
    parse_prototype(t, fn, col[1]);
    for (int i = 1; i < t->nops; i++)
        if (i != op && t->fns[i].name && strcmp(t->fns[i].name, fn->name) == 0)
            die("%s stands here a second time, first on line %d", fn->name, t->fns[i].line);
    char *save;
    for (char *w = strtok_r(col[2], " \t", &save); w; w = strtok_r(NULL, " \t", &save))
        parse_size(fn, w);
    for (char *w = strtok_r(col[3], " \t", &save); w; w = strtok_r(NULL, " \t", &save))
        parse_flag(fn, w);
    if (!fn->since)
        die("%s: no since=", fn->name);
    unsigned by_hand = flag("custom") | flag("process") | flag("unsized");
    if (!(fn->flags & by_hand) && fn->ret.is_array_like && !fn->ret.nprog)
        die("%s: no size for what it returns", fn->name);
    for (int i = 0; i < fn->nparams; i++) {
        struct param *p = &fn->params[i];
        if (fn->flags & by_hand)
            continue;
        if (strcmp(p->kind, "FX_OPAQUE") == 0)
            die("%s: %s cannot cross a network; flag it custom or process", fn->name, p->name);
        if ((p->is_array_like || strcmp(p->kind, "FX_HANDLES") == 0) && !p->nprog && p->count < 0 &&
            strcmp(p->kind, "FX_COUNT") != 0)
            die("%s: no size for %s", fn->name, p->name);
    }
    if (op >= t->nops)
        t->nops = (int)op + 1;
}

void parse(const char *file, struct table *t)
{
    FILE *f = fopen(file, "r");
    char *buf = NULL;
    size_t cap = 0;
    path = file;
    if (!f) {
        perror(file);
        exit(1);
    }
    t->hash = 0xcbf29ce484222325u; /* FNV-1a of what matters */
    while (getline(&buf, &cap, f) > 0) {
        line++;
        char *s = trim(buf);
        if (!*s || *s == '#')
            continue;
        for (char *c = s; *c; c++)
            t->hash = (t->hash ^ (unsigned char)*c) * 0x100000001b3u;
        if (strncmp(s, "class ", 6) == 0)
            parse_class(t, s + 6);
        else
            parse_fn(t, s);
    }
    free(buf);
    fclose(f);
    for (int i = 1; i < t->nops; i++)
        if (!t->fns[i].name)
            die("operation %d is missing", i);
    if (t->nops == 0)
        die("no functions");
}
