/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recording libfaiss_c: exports every function of the table, logs each call,
 * and answers without computing anything.  One lock guards all of it.
 *
 *   RECORD_LOG=FILE   append a line for each call
 *   RECORD_FAIL=A,B   these functions return -2; '*' stands for all of them, except
 *                     only while faiss_set_distance_compute_blas_threshold(-1) is
 *                     the last that was said about it, so that a client can make
 *                     its objects first
 */
#ifndef FX_TEST_RECORD_H
#define FX_TEST_RECORD_H

#include "text.h"

/* Something that an object was given or answered: "quantizer", "at" 1, "nprobe". */
struct prop {
    struct prop *next;
    const char *name;
    int64_t key;
    union fx_val val;
    int owned; /* val.p is memory of this object */
};

struct range_query {
    int64_t qno;
    size_t nres;
};

struct obj {
    struct obj *next;
    int cls;
    char name[96];
    struct obj *parent; /* of a borrowed one: ends with it */
    struct prop *props;
    /* Value objects, which behave like the real ones: */
    struct obj *lhs, *rhs; /* selectors of a selector, result of a partial one */
    int64_t n;             /* ids, bytes, queries or entries of the following */
    int64_t *ids;
    float *dis;
    size_t *lims;
    const uint8_t *bitmap;
    struct range_query *queries; /* of a partial result, nqueries of them */
    int64_t nqueries;
};

/* An object of the library; NULL if the pointer is not one, or was freed. */
struct obj *rec_find(const void *p);
struct obj *rec_new(int cls);
void rec_kill(struct obj *o);
/* A line for the log, behind that of the call which is being answered. */
void rec_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The sub-object that `parent` lends under this name, made on first use. */
struct obj *rec_lend(struct obj *parent, const char *name, int64_t key, int cls);

/* Properties; the object NULL holds those of the process. */
union fx_val *rec_prop(struct obj *o, const char *name, int64_t key);
void rec_set(struct obj *o, const char *name, int64_t key, union fx_val val);
void rec_set_int(struct obj *o, const char *name, int64_t i);
int64_t rec_int(struct obj *o, const char *name);
void *rec_memory(struct obj *o, const char *name, size_t bytes);

/* "nprobe" of faiss_IndexIVF_nprobe and of faiss_IndexIVF_set_nprobe. */
const char *rec_prop_name(const char *function);

/* Deterministic contents. */
void rec_fill(void *to, int64_t n, enum fx_elem elem, int seed, int step);

void rec_lock(void);
void rec_unlock(void);
int64_t rec_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *rec_last_error(void);

/* These return 1 when the function was theirs.  rec_value: objects that live in
 * the client in remote mode.  rec_file: reading and writing indexes. */
int rec_value(const struct fn_call *c, union fx_val *ret);
int rec_file(const struct fn_call *c, union fx_val *ret);
void rec_describe_value(struct text *t, struct obj *o);

/* What every function does that is neither. */
void rec_answer(const struct fn_call *c, union fx_val *ret);

#endif
