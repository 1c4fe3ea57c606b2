/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recording libfaiss_c: exports every function of the table, logs each call,
 * and answers without computing anything.  One lock guards all of it.
 *
 *   RECORD_LOG=FILE   append a line for each call
 *   RECORD_FAIL=A,B   these functions return -2.  '*' stands for all functions, but
 *                     only from faiss_set_distance_compute_blas_threshold(-1) until
 *                     it is set to another value, so that a client can make its
 *                     objects first.
 */
#ifndef FX_TEST_RECORD_H
#define FX_TEST_RECORD_H

#include "text.h"

/* A value that an object was given or has lent: "quantizer", "at" 1, "nprobe". */
struct prop {
    struct prop *next;
    const char *name;
    int64_t key;
    union fx_val val;
    int owned; /* val.p is memory that is freed with the object */
};

struct range_query {
    int64_t qno;
    size_t nres;
};

struct obj {
    struct obj *next;
    int cls;
    char name[96];
    struct obj *parent; /* of a borrowed object, which is freed with its parent */
    struct prop *props;
    /* Members of value objects, which behave like the real ones: */
    struct obj *lhs, *rhs; /* operands of a selector; lhs: also sel, or a result */
    int64_t n;             /* number of ids, bytes or entries in the following */
    int64_t *ids;
    float *dis;
    size_t *lims;
    const uint8_t *bitmap;
    struct range_query *queries; /* nqueries of them, in a partial result */
    int64_t nqueries;
};

/* Returns the object, or NULL if the pointer is not one or the object was freed. */
struct obj *rec_find(const void *p);
struct obj *rec_new(int cls);
void rec_kill(struct obj *o);
/* Adds a line to the log, after that of the call being answered. */
void rec_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Returns the sub-object that `parent` lends under this name, made on first use. */
struct obj *rec_lend(struct obj *parent, const char *name, int64_t key, int cls);

/* Properties of an object; NULL stands for the process. */
union fx_val *rec_prop(struct obj *o, const char *name, int64_t key);
void rec_set(struct obj *o, const char *name, int64_t key, union fx_val val);
void rec_set_int(struct obj *o, const char *name, int64_t i);
int64_t rec_int(struct obj *o, const char *name);
void *rec_memory(struct obj *o, const char *name, size_t bytes);

/* Returns a property's name: "nprobe" for faiss_IndexIVF_nprobe and ..._set_nprobe. */
const char *rec_prop_name(const char *function);

/* Sets every `step`th of `n` elements to a value that depends on `seed` and its position. */
void rec_fill(void *to, int64_t n, enum fx_elem elem, int seed, int step);

void rec_lock(void);
void rec_unlock(void);
int64_t rec_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *rec_last_error(void);

/* These return 1 if they made the call.  rec_value: objects that live in the client in remote mode.
 * rec_file: reading and writing indexes. */
int rec_value(const struct fn_call *c, union fx_val *ret);
int rec_file(const struct fn_call *c, union fx_val *ret);
void rec_describe_value(struct text *t, struct obj *o);

/* Answers all other calls. */
void rec_answer(const struct fn_call *c, union fx_val *ret);

#endif
