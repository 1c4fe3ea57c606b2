/* SPDX-License-Identifier: Apache-2.0 */
/* The parsed table, between apigen's parser and its emitters.  Build-time only. */
#ifndef APIGEN_H
#define APIGEN_H

#include <stdint.h>
#include <stdio.h>

#include "proto/limits.h"
#include "proto/table.h"

enum { RELEASES_MAX = 8 };

struct cls {
    int line;
    char *name;
    int base;  /* the base class, or the class itself if it has none */
    int alias; /* it shares the base's C type */
    int value, single;
    char *unless; /* see struct fn */
};

struct param {
    char *decl; /* its C declaration */
    char *name;
    char *ctype; /* its C type, without the name */
    const char *kind;
    const char *dir;
    const char *elem;
    int is_array_like; /* pointer to numbers: needs a size, a count or 'custom' */
    int cls;           /* class of a handle, or -1 */
    int constant;
    int kept;
    int nullable;
    int length; /* a size depends on it, and FAISS does not check its sign */
    int count;  /* parameter that receives the count of a lent array, or -1 */
    int16_t prog[FX_SIZE_WORDS];
    int nprog;
};

struct fn {
    int line;
    char *name;
    char *rettype;
    struct param ret;
    struct param params[FX_PARAMS_MAX];
    int nparams;
    char *since, *until;
    char *made;      /* first release with the functions that it can be made of */
    char *unless;    /* guard of the FAISS header that declares it, perhaps differently */
    unsigned flags;  /* enum fx_flag */
    unsigned checks; /* 1 << enum fx_check */
    enum fx_act act;
    int rows; /* the parameter of wide=, or -1 */
};

struct table {
    struct cls classes[FX_CLASSES_MAX];
    int nclasses;
    struct fn fns[FX_FNS_MAX];    /* by operation number; name is NULL where unused */
    int nops;                     /* highest number + 1 */
    char *releases[RELEASES_MAX]; /* the columns of the support matrix */
    int nreleases;
    char *first; /* the lowest since= */
    uint64_t hash;
};

/* apigen_parse.c */
void parse(const char *path, struct table *t);                     /* on a mistake, calls die() */
int at_most(const char *a, const char *b);                         /* is release a <= release b? */
int find_param(const struct fn *fn, const char *name, size_t len); /* its index, or -1 */
/* Prints "FILE:LINE: FUNCTION: " and the message, and exits. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

char *copy(const char *s, size_t n);
char *release(const char *s); /* a checked copy of a release's number */

/* apigen_size.c: parses one item of the column SIZES. */
void parse_size(struct fn *fn, char *item);

/* apigen_flags.c: parses one item of the column FLAGS, and checks a complete function. */
extern const char *const flag_names[], *const act_names[], *const check_names[]; /* end in NULL */
void parse_flag(struct fn *fn, char *item);
void expect_consistent(const struct table *t, const struct fn *fn);

/* apigen_emit.c */
void emit_map(const struct table *t, FILE *f);
void emit_api_h(const struct table *t, FILE *f);
void emit_api_c(const struct table *t, FILE *f);
void emit_stubs(const struct table *t, FILE *f);
void emit_entry(const struct table *t, FILE *f);
void emit_names(const struct table *t, FILE *f);
void emit_remote(const struct table *t, FILE *f);
void emit_handlers(const struct table *t, FILE *f);
/* Writes "TYPE NAME(PARAMETERS)". */
void emit_prototype(const struct fn *fn, const char *prefix, const char *name, FILE *f);

/* apigen_docs.c */
void emit_header(const struct table *t, const char *types_path, FILE *f);
void emit_matrix(const struct table *t, FILE *f);

/* apigen_python.c */
void emit_python(const struct table *t, FILE *f);

#define EACH_FN(t, fn) for (const struct fn *fn = &(t)->fns[1]; fn < &(t)->fns[(t)->nops]; fn++)

#endif
