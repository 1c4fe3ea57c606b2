/* SPDX-License-Identifier: Apache-2.0 */
/* The parsed table, between apigen's parser and its emitters.  Build-time only. */
#ifndef APIGEN_H
#define APIGEN_H

#include <stdint.h>
#include <stdio.h>

enum { MAX_FNS = 1024, MAX_CLASSES = 128, MAX_PARAMS = 12, MAX_PROG = 32, MAX_DEPTH = 8 };

struct cls {
    char *name;
    int base;  /* itself where it has none */
    int alias; /* shares the base's C type */
    int value;
    char *unless; /* as in struct fn */
};

struct param {
    char *decl; /* the C declaration */
    char *name;
    char *ctype; /* without the name */
    const char *kind;
    const char *dir;
    const char *elem;
    int is_array_like; /* pointer to numbers: needs a size, a count or 'custom' */
    int cls;           /* class of a handle, or -1 */
    int constant;
    int kept;
    int nullable;
    int count; /* parameter that receives the count of a lent array, or -1 */
    int16_t prog[MAX_PROG];
    int nprog;
};

struct fn {
    int line;
    char *name;
    char *rettype;
    struct param ret;
    struct param params[MAX_PARAMS];
    int nparams;
    char *since, *until;
    char *made;     /* first release with what it can be made of */
    char *unless;   /* FAISS's header with this guard declares it, and maybe differently */
    unsigned flags; /* one bit for each of flag_names[] */
};

struct table {
    struct cls classes[MAX_CLASSES];
    int nclasses;
    struct fn fns[MAX_FNS]; /* by operation number; name is NULL where unused */
    int nops;               /* highest number + 1 */
    uint64_t hash;
};

extern const char *const flag_names[];
unsigned flag(const char *name); /* its bit */

void parse(const char *path, struct table *t); /* exits with file:line: on a mistake */

void emit_header(const struct table *t, const char *types_path, FILE *f);
void emit_map(const struct table *t, FILE *f);
void emit_api_h(const struct table *t, FILE *f);
void emit_api_c(const struct table *t, FILE *f);
void emit_stubs(const struct table *t, FILE *f);
void emit_entry(const struct table *t, FILE *f);
void emit_names(const struct table *t, FILE *f);
void emit_remote(const struct table *t, FILE *f);
void emit_matrix(const struct table *t, FILE *f);

#endif
