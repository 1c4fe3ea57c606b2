/* SPDX-License-Identifier: Apache-2.0 */
/* Parses faiss.api.  Any mistake ends the program, see die(). */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "apigen.h"

/* The parser's position, for die(). */
static const char *path, *function;
static int line;

void die(const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "%s:%d: %s%s", path, line, function ? function : "", function ? ": " : "");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

char *copy(const char *s, size_t n)
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

int find_param(const struct fn *fn, const char *name, size_t len)
{
    for (int i = 0; i < fn->nparams; i++)
        if (strlen(fn->params[i].name) == len && memcmp(fn->params[i].name, name, len) == 0)
            return i;
    return -1;
}

int at_most(const char *a, const char *b)
{
    int x[3] = {0}, y[3] = {0};
    sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2]);
    sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2]);
    for (int i = 0; i < 3; i++)
        if (x[i] != y[i])
            return x[i] < y[i];
    return 1;
}

char *release(const char *s)
{
    int n = 0;
    if (sscanf(s, "%*d.%*d.%*d%n", &n) != 0 || n == 0 || s[n])
        die("expected a release as 1.2.3, got '%s'", s);
    return copy(s, strlen(s));
}

static void parse_release(struct table *t, char *s)
{
    s = trim(s);
    if (t->nreleases == RELEASES_MAX)
        die("more than %d releases", RELEASES_MAX);
    if (t->nreleases && at_most(s, t->releases[t->nreleases - 1]))
        die("release %s is not after %s", s, t->releases[t->nreleases - 1]);
    t->releases[t->nreleases++] = release(s);
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
        die("a class without a name");
    int first = find_class(t, name, strlen(name));
    if (first >= 0)
        die("duplicate definition of class %s (first on line %d)", name, t->classes[first].line);
    if (t->nclasses == FX_CLASSES_MAX)
        die("more than %d classes (FX_CLASSES_MAX in proto/limits.h)", FX_CLASSES_MAX);
    struct cls *c = &t->classes[t->nclasses];
    c->line = line;
    c->name = copy(name, strlen(name));
    c->base = t->nclasses;
    while ((word = strtok_r(NULL, " \t", &save))) {
        if (strcmp(word, ":") == 0 || strcmp(word, "<") == 0) {
            c->alias = *word == ':';
            word = strtok_r(NULL, " \t", &save);
            c->base = word ? find_class(t, word, strlen(word)) : -1;
            if (c->base < 0)
                die("class %s: unknown base class '%s'", name, word ? word : "");
            c->single = t->classes[c->base].single;
        } else if (strcmp(word, "value") == 0) {
            c->value = 1;
        } else if (strcmp(word, "single") == 0) {
            c->single = 1;
        } else if (strncmp(word, "unless=", 7) == 0) {
            c->unless = copy(word + 7, strlen(word + 7));
        } else {
            die("class %s: unknown word '%s'", name, word);
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

/* Classify the C type `type`, given without a name: set kind, dir, elem, cls and constant. */
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
            die("%s: an object cannot be passed by value", p->name);
        return;
    }
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
        if (strcmp(scalars[i].ctype, b) != 0)
            continue;
        if (stars == 0 && scalars[i].kind) {
            p->kind = scalars[i].kind;
            /* An enumeration may be signed or not: a program may pass any of 33 bits. */
            p->elem = scalars[i].elem             ? scalars[i].elem
                      : strcmp(b, "unsigned int") ? "FX_I64"
                                                  : "FX_I32";
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
    if (fn->nparams == FX_PARAMS_MAX)
        die("more than %d parameters (FX_PARAMS_MAX in proto/limits.h)", FX_PARAMS_MAX);
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
        die("expected a type and a name, got '%s'", s);
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
        die("expected a C prototype, got '%s'", s);
    char *name = open;
    while (name > s && (isalnum((unsigned char)name[-1]) || name[-1] == '_'))
        name--;
    fn->name = copy(name, (size_t)(open - name));
    *name = '\0';
    *close = '\0';
    if (strncmp(fn->name, "faiss_", 6) != 0)
        die("expected a name that begins with faiss_, got '%s'", fn->name);
    if (strlen(fn->name) > FX_NAME_MAX)
        die("%s: the name has more than %d characters (FX_NAME_MAX in proto/limits.h)", fn->name,
            FX_NAME_MAX);
    function = fn->name;
    for (int i = 1; i < t->nops; i++)
        if (t->fns[i].name && &t->fns[i] != fn && strcmp(t->fns[i].name, fn->name) == 0) {
            function = NULL;
            die("duplicate definition of %s (first on line %d)", fn->name, t->fns[i].line);
        }
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

/* --- lines --- */

static void parse_fn(struct table *t, char *s)
{
    char *col[4] = {NULL};
    int n = 0;
    for (char *save, *c = strtok_r(s, "|", &save); c; c = strtok_r(NULL, "|", &save)) {
        if (n == 4)
            die("expected four columns, OP | PROTOTYPE | SIZES | FLAGS, got more");
        col[n++] = trim(c);
    }
    if (n != 4)
        die("expected four columns, OP | PROTOTYPE | SIZES | FLAGS, got %d", n);
    char *end;
    long op = strtol(col[0], &end, 10);
    if (end == col[0] || *end || op < 1 || op >= FX_FNS_MAX)
        die("expected an operation number from 1 to %d, got '%s'", FX_FNS_MAX - 1, col[0]);
    struct fn *fn = &t->fns[op];
    if (fn->name)
        die("operation %ld is %s already (line %d)", op, fn->name, fn->line);
    fn->line = line;
    fn->rows = -1;
    parse_prototype(t, fn, col[1]);
    char *save;
    for (char *w = strtok_r(col[2], " \t", &save); w; w = strtok_r(NULL, " \t", &save))
        parse_size(fn, w);
    for (char *w = strtok_r(col[3], " \t", &save); w; w = strtok_r(NULL, " \t", &save))
        parse_flag(fn, w);
    expect_consistent(t, fn);
    if (!(fn->flags & FX_FORK) && (!t->first || at_most(fn->since, t->first)))
        t->first = fn->since;
    function = NULL;
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
    t->hash = 0xcbf29ce484222325u; /* FNV-1a of every line but comments and blank ones */
    while (getline(&buf, &cap, f) > 0) {
        line++;
        char *s = trim(buf);
        if (!*s || *s == '#')
            continue;
        for (char *c = s; *c; c++)
            t->hash = (t->hash ^ (unsigned char)*c) * 0x100000001b3u;
        if (strncmp(s, "class ", 6) == 0)
            parse_class(t, s + 6);
        else if (strncmp(s, "release ", 8) == 0)
            parse_release(t, s + 8);
        else
            parse_fn(t, s);
    }
    free(buf);
    fclose(f);
    for (int i = 1; i < t->nops; i++)
        if (!t->fns[i].name)
            die("no function has operation number %d", i);
    if (t->nops == 0)
        die("the table has no functions");
}
