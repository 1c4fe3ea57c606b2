/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of the C API as lines of text, for the recording library (which logs the calls
 * it gets) and the driver (which prints the results it gets).  Both use the same words,
 * so that their lines can be compared by eye.
 */
#ifndef FX_TEST_TEXT_H
#define FX_TEST_TEXT_H

#include "proto/api.h"

struct text {
    char *s;
    size_t len, cap;
};

void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_free(struct text *t);

/* FNV-1a, the checksum of every array. */
uint64_t text_sum(const void *data, size_t bytes);

struct describe {
    void (*handle)(struct text *t, const void *p, int cls);
    fx_call_fn call; /* calls functions that array sizes depend on */
};

struct fn_call {
    int op;
    const struct fx_fn *fn;
    union fx_val *v;
    int64_t n[FX_PARAMS_MAX + 1]; /* elements of each array; -1 if the table does not tell */
};

struct fn_call text_call(const struct describe *how, int op, union fx_val *v);

/* Adds the name and the inputs; use it before the call. */
void text_args(struct text *t, const struct describe *how, const struct fn_call *c);

/* Adds the return value and, unless it is an error, the outputs; use it after the call. */
void text_results(struct text *t, const struct describe *how, const struct fn_call *c);

#endif
