/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C API as data: what apigen makes of faiss.api, for the shim, the server
 * and the tests.  Everything here is constant; nothing allocates or locks.
 */
#ifndef FX_API_H
#define FX_API_H

#include <stddef.h>
#include <stdint.h>

/* What a parameter or a return value is. */
enum fx_kind {
    FX_VOID,
    FX_ERR,        /* int: a FaissErrorCode */
    FX_INT,        /* signed integer or enum, in .i */
    FX_UINT,       /* size_t and other unsigned integers, in .i */
    FX_REAL,       /* float or double, in .f */
    FX_STRING,     /* const char *, NUL terminated */
    FX_HANDLE,     /* FaissX * */
    FX_HANDLES,    /* FaissX *const *: an array of handles */
    FX_OUT_HANDLE, /* FaissX **: a handle is written */
    FX_ARRAY,      /* an array of numbers; see dir, elem and size */
    FX_LENT,       /* T **: receives a pointer into the callee's memory */
    FX_COUNT,      /* size_t *: the number of elements of the lent array */
    FX_OPAQUE      /* FILE *, callbacks, CUDA handles: no meaning elsewhere */
};

enum fx_dir { FX_IN = 1, FX_OUT = 2, FX_INOUT = 3 };

enum fx_elem { FX_F32, FX_F64, FX_I32, FX_I64, FX_U8, FX_CHAR, FX_CLUSTERING_PARAMS, FX_NELEMS };

enum fx_flag {
    FX_GPU = 1 << 0,
    FX_CUSTOM = 1 << 1,
    FX_PROCESS = 1 << 2,
    FX_UNSIZED = 1 << 3,
    FX_CAST = 1 << 4,
    FX_FREE = 1 << 5,
    FX_BORROW = 1 << 6,
    FX_RENEW = 1 << 7,
    FX_OWN = 1 << 8,
    FX_OWNED = 1 << 9,
    FX_FIXED = 1 << 10,
    FX_D = 1 << 11,
    FX_RESIZE = 1 << 12,
    FX_READ = 1 << 13,
    FX_WIDE = 1 << 14,
    FX_PRINTS = 1 << 15,
    FX_FORK = 1 << 16,
    FX_NEVER = 1 << 17 /* declared, but no release exports it */
};

/* Size programs: postfix code over 16-bit words, ended by FX_SZ_END. */
enum fx_size_op {
    FX_SZ_END,
    FX_SZ_ARG,  /* index of a scalar parameter follows */
    FX_SZ_NUM,  /* a number follows */
    FX_SZ_ATTR, /* fx_attr, index of the handle, index of a second argument or -1 */
    FX_SZ_ADD,
    FX_SZ_SUB,
    FX_SZ_MUL,
    FX_SZ_DIV,
    FX_SZ_ROWS /* n, ld, dflt, w -> n <= 0 ? 0 : (n-1)*(ld==-1 ? dflt : ld)+w */
};

/* What a size may ask of an object. */
enum fx_attr {
    FX_ATTR_D,
    FX_ATTR_CODE_SIZE,
    FX_ATTR_NLIST,
    FX_ATTR_D_IN,
    FX_ATTR_D_OUT,
    FX_ATTR_TRAINED_SIZE,
    FX_ATTR_LIST_SIZE,
    FX_ATTR_PROBES
};

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
    uint8_t constant;    /* the callee does not change the object */
    uint8_t kept;        /* FX_KEPT, FX_DROPPED or 0 */
    uint8_t nullable;    /* an array that may be NULL although it has elements */
    int8_t count;        /* FX_LENT: the parameter that receives the count */
    const int16_t *size; /* FX_ARRAY, FX_HANDLES: number of elements, or NULL */
};

enum { FX_KEPT = 1, FX_DROPPED = 2 };

struct fx_fn {
    const char *name;
    const char *since; /* first FAISS release that has it, or "fork" */
    const char *until; /* last one, or NULL */
    uint32_t flags;    /* enum fx_flag */
    uint8_t nparams;
    struct fx_param ret; /* FX_ARRAY: allocated for the caller; size as for arrays */
    const struct fx_param *params;
};

struct fx_class {
    const char *name;
    uint8_t base;    /* itself where it has none */
    uint8_t value;   /* lives in the client */
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
