/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that runs the life of every type of index, from its creation to its end, with a given
 * libfaiss_c.  It prints all results: codes, texts, numbers, checksums of arrays and files.  The
 * output must be the same in process and on a server.
 *
 *     main.c       the library, the table of lives, the summary
 *     print.c      printing, memory, made-up data
 *     types.c      the table of types, by factory string
 *     index.c      the life of an index          params.c   search parameters, selectors
 *     class.c      functions of its classes      files.c    saving and loading
 *     made.c       indexes from constructors     transform.c, many.c, binary.c
 *     function.c   functions without an index    leave.c    calls that crash FAISS
 *
 * It leaves out what cannot be the same: times, addresses, FAISS's error texts about selectors and
 * results that do not belong to an index (the texts name a line of FAISS, but these objects live in
 * the client), and calls that crash FAISS.
 *
 * One thread; files are made in the current folder.
 */
#ifndef FX_TEST_LIFE_H
#define FX_TEST_LIFE_H

#include "proto/api.h"

extern struct fx_api api;   /* NULL if the real library lacks the function */
extern const char *current; /* name of the life */

enum { NT = 640, NB = 400, NOT_THERE = -99 };

/* Returns whether to call function `op`: the library has it, and the call is not left out.  Counts
 * the call, or prints that it is skipped. */
int have(int op);
#define HAVE(f) have(FX_OP_##f)

/* Call a function and print its result: RC an error code and the text, BARE the code alone, GET a
 * number. */
#define RC(f, ...) (HAVE(f) ? code(#f, api.f(__VA_ARGS__)) : NOT_THERE)
#define BARE(f, ...) (HAVE(f) ? bare(#f, api.f(__VA_ARGS__)) : NOT_THERE)
#define GET(f, ...) (HAVE(f) ? number(#f, (double)api.f(__VA_ARGS__)) : NOT_THERE)
/* Call without printing. */
#define ASK(f, ...) (HAVE(f) ? api.f(__VA_ARGS__) : 0)
#define DO(f, ...) (HAVE(f) ? (void)api.f(__VA_ARGS__) : (void)0)

/* --- leave.c --- */

/* Calls that crash this library are left out, on both sides.  `life --ask FILE` finds them: it runs
 * each life in a child, again and again, until the child survives. */
void leave_start(const char *file); /* begin --ask, which writes the list to the file */
void leave_ask(void (*run)(void *), void *arg);
void leave_load(const char *file); /* the file of a list, or NULL */
void leave_begin(void);            /* a life begins */
int left_out(int op);              /* is the next call to be left out?  If so, prints that */

/* --- print.c --- */

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int code(const char *what, int rc); /* prints rc and the error's text; returns rc */
int bare(const char *what, int rc); /* without the text */
double number(const char *what, double value);
void show(const char *what, const void *data, size_t size);
#define SHOW(what, x, n) show(what, x, (size_t)(n) * sizeof *(x))
void show_file(const char *what, const char *name);
void same(const char *what, const void *a, const void *b); /* are they one object? */

/* Memory that lasts until the end of this life, filled with a pattern. */
void *room(size_t size);
void clear_rooms(void);
#define ROOM(type, n) ((type *)room((size_t)(n) * sizeof(type)))

float *floats(size_t n, unsigned seed); /* in [0, 1) */
uint8_t *bits(size_t n, unsigned seed);
idx_t *numbers(size_t n, idx_t first, idx_t step);

/* --- a life --- */

enum {
    WITH_IDS = 1, /* vectors are added with ids */
    ANY_IDS = 2,  /* with ids or without */
    LISTS = 4,    /* reconstruct_n works whatever reconstruct says */
    /* Not tried, because FAISS crashes or never returns: */
    NO_EMPTY = 8,   /* a search of an index that was reset */
    NO_REMOVE = 16, /* remove_ids */
    WHOLE = 32,     /* search_preassigned, copy_subset_to */
    FEW = 64        /* a search for more vectors than there are */
};

struct subject {
    FaissIndex *index;
    int d;
    unsigned flags;
    idx_t first, step; /* ids: first, first + step, ... */
    idx_t least;       /* fewer queries in one call crash FAISS */
};

/* The whole life of an index, which must be empty.  The caller frees it. */
void life(struct subject *s);
void look(const struct subject *s);     /* counts and flags */
void searches(const struct subject *s); /* with various n and k */
int search(const struct subject *s, idx_t n, idx_t k);
void class_functions(const struct subject *s);
void saves(const struct subject *s);
void binary_callbacks(FaissIndexBinary *x);
void bad_files(void);
void params(const struct subject *s);
void tune(FaissIndex *index); /* sets every parameter by name */

/* Selectors of every kind, nested.  Those of a kind that the library lacks are NULL. */
enum { SELECTORS = 8 };
void selectors_new(FaissIDSelector *sel[SELECTORS], idx_t first, idx_t step);
void selectors_free(FaissIDSelector *sel[SELECTORS]);

struct life {
    const char *name;
    void (*run)(void);
};

extern const struct life made_lives[], transform_lives[], many_lives[], binary_lives[],
    function_lives[];

/* Types by factory string: the name of number i, or NULL if there are no more; and its life. */
const char *type_name(int i);
void type_run(int i);

#endif
