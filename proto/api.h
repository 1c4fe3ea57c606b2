/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C API as data: what apigen makes of faiss.api, for the shim, the server
 * and the tests.  Everything here is constant; nothing allocates or locks.
 */
#ifndef FX_API_H
#define FX_API_H

#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/table.h"

/* One argument or result.  size_t and integers are in i, float and double in f. */
union fx_val {
    int64_t i;
    double f;
    void *p;
};

struct fx_param {
    const char *name;
    uint8_t kind;        /* enum fx_kind */
    uint8_t dir;         /* enum fx_dir, for arrays */
    uint8_t elem;        /* enum fx_elem, for arrays and lent arrays */
    uint8_t cls;         /* FX_CLASS_*, for handles */
    uint8_t changed;     /* the call changes the object */
    uint8_t kept;        /* FX_KEPT, FX_DROPPED or 0 */
    uint8_t nullable;    /* may be NULL; an array even though it has elements */
    uint8_t length;      /* the size of an array depends on it: refused when negative */
    int8_t count;        /* FX_LENT: the parameter that receives the count */
    const int16_t *size; /* FX_ARRAY, FX_HANDLES: number of elements, or NULL */
};

struct fx_fn {
    const char *name;
    const char *since; /* first FAISS release that has it, or "fork" */
    const char *until; /* last one, or NULL */
    uint32_t flags;    /* enum fx_flag */
    uint32_t checks;   /* 1 << enum fx_check */
    uint8_t act;       /* enum fx_act */
    uint8_t makes;     /* FX_CLASS_* of the object that it returns or writes, or FX_NO_CLASS */
    int8_t rows;       /* FX_WIDE: the parameter that says how many vectors, or -1: always */
    uint8_t nparams;
    struct fx_param ret; /* FX_ARRAY: allocated for the caller; size as for arrays */
    const struct fx_param *params;
};

struct fx_class {
    const char *name;
    uint8_t base;    /* itself where it has none */
    uint8_t value;   /* lives in the client */
    uint8_t single;  /* not safe even for two calls that only read */
    int16_t cast_op; /* function that tells whether an object is one, or 0 */
};

typedef void (*fx_any_fn)(void);

#include "api_gen.h"

/* Indexed by operation number (1 .. FX_NOPS-1) and by class number. */
extern const struct fx_fn fx_fns[FX_NOPS];
extern const struct fx_class fx_classes[FX_NCLASSES];

/* Call function `op` of `api`: v[0..nparams-1] are the arguments, v[nparams]
 * receives the result. */
void fx_invoke(const struct fx_api *api, int op, union fx_val *v);

/* Operation number of `name` (not necessarily NUL terminated), or 0. */
int fx_op_by_name(const char *name, size_t len);

/* Bytes of one element on the wire and in memory (they are the same). */
size_t fx_elem_size(enum fx_elem elem);

/* Is an object of class `cls` also a `base`? */
int fx_is_a(int cls, int base);

/* The root of `cls`: Index for every kind of float index, and so on. */
int fx_root(int cls);

/*
 * Evaluate a size program.  What it asks of an object (d, nlist, ...) is asked through
 * `call`, which runs operation `op` on v as fx_invoke would and returns 0, or -1 when it
 * failed.  A negative size counts as 0: FAISS itself then decides.  Returns 0, or -1
 * when a number does not fit or a call failed.
 */
typedef int (*fx_call_fn)(void *ctx, int op, union fx_val *v);
int fx_size(const struct fx_fn *fn, const int16_t *prog, const union fx_val *v, fx_call_fn call,
            void *ctx, uint64_t *elems);

/* elems * size of one, or -1 when that does not fit in a ptrdiff_t. */
int fx_bytes(uint64_t elems, enum fx_elem elem, size_t *bytes);

#endif
