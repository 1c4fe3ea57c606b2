/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of faiss.api as constants, for the generator, which parses them, and for the client
 * and the server, which act on them.  faiss.api explains each word.
 */
#ifndef FX_TABLE_H
#define FX_TABLE_H

/* The kind of a parameter or return value. */
enum fx_kind {
    FX_VOID,
    FX_ERR,        /* int: a FaissErrorCode */
    FX_INT,        /* signed integer or enum, in .i */
    FX_UINT,       /* size_t and other unsigned integers, in .i */
    FX_REAL,       /* float or double, in .f */
    FX_STRING,     /* const char *, NUL terminated */
    FX_HANDLE,     /* FaissX * */
    FX_HANDLES,    /* FaissX *const *: an array of handles */
    FX_OUT_HANDLE, /* FaissX **: receives a handle */
    FX_ARRAY,      /* an array of numbers; see dir, elem and size */
    FX_LENT,       /* T **: receives a pointer into the callee's memory */
    FX_COUNT,      /* size_t *: the number of elements of the lent array */
    FX_OPAQUE      /* FILE *, callbacks, CUDA handles: only valid in their process */
};

enum fx_dir { FX_IN = 1, FX_OUT = 2, FX_INOUT = 3 };

enum fx_elem { FX_F32, FX_F64, FX_I32, FX_I64, FX_U8, FX_CHAR, FX_CLUSTERING_PARAMS, FX_NELEMS };

enum { FX_KEPT = 1, FX_DROPPED = 2 }; /* fx_param.kept */

/* Flags of a function: X(GPU, "gpu") is FX_GPU, the word gpu in faiss.api. */
/* clang-format off */
#define FX_FLAGS(X) \
    X(GPU, "gpu") X(CUSTOM, "custom") X(SERVER, "server") X(CLIENT, "client") \
    X(PROCESS, "process") X(UNSIZED, "unsized") X(NEVER, "never") X(FORK, "fork") X(COMPOSED, "made") \
    X(CAST, "cast") X(FREE, "free") X(NEW, "new") X(WHOLE, "whole") X(BORROW, "borrow") \
    X(RENEW, "renew") X(HOLLOW, "hollow") X(FOLLOWS, "follows") X(FACTORY, "factory") \
    X(OWN, "own") X(OWNED, "owned") X(FIXED, "fixed") X(D, "d") X(RESIZE, "resize") \
    X(READ, "read") X(WIDE, "wide") X(JOIN, "join") X(QUERIES, "queries") X(PRINTS, "prints")

/* What a function does with an index (act=).  The table of refusals names the acts that crash
 * FAISS. */
#define FX_ACTS(X) \
    X(train) X(add) X(add_with_ids) X(search) X(params) X(range) X(reconstruct) X(residual) \
    X(encode) X(decode) X(set) X(save) X(load) X(clone) X(merge) X(copy_subset) X(direct_map) \
    X(remove) X(reset) X(free) X(preassigned) X(other)

/* Checks that the server makes (check=): first those of scalars and objects, then those of arrays.
 * Each is a function of that name in server/engine/guard/check.c or check_arrays.c. */
#define FX_SCALAR_CHECKS(X) \
    X(trained) X(list_no) X(shard_no) X(key) X(keys) X(result) X(neighbours) X(ranges) X(merge) \
    X(subset) X(training) X(adding) X(selector) X(positive) X(subspaces) \
    X(remapped) X(clusters)
#define FX_ARRAY_CHECKS(X) \
    X(selected) X(codes) X(ids) X(labels) X(lists) X(given_lists) X(assigned) X(residual_keys) \
    X(updated)
/* clang-format on */

enum fx_flag_bit {
#define X(name, word) FX_BIT_##name,
    FX_FLAGS(X)
#undef X
        FX_NFLAGS
};

enum fx_flag {
#define X(name, word) FX_##name = 1u << FX_BIT_##name,
    FX_FLAGS(X)
#undef X
};

enum fx_act {
    FX_ACT_none,
#define X(name) FX_ACT_##name,
    FX_ACTS(X)
#undef X
};

enum fx_check {
#define X(name) FX_CHECK_##name,
    FX_SCALAR_CHECKS(X) FX_ARRAY_CHECKS(X)
#undef X
        FX_NCHECKS
};

_Static_assert(FX_NFLAGS <= 31 && FX_NCHECKS <= 31, "fx_fn holds them as bits of a word");

/* Size programs: postfix code over 16-bit words, ended by FX_SZ_END. */
enum fx_size_op {
    FX_SZ_END,
    FX_SZ_ARG,  /* followed by the index of a scalar parameter */
    FX_SZ_NUM,  /* followed by a number */
    FX_SZ_ATTR, /* followed by fx_attr, index of the handle, index of the 2nd argument or -1 */
    FX_SZ_ADD,
    FX_SZ_SUB,
    FX_SZ_MUL,
    FX_SZ_DIV,
    FX_SZ_ROWS /* n, ld, dflt, w -> n <= 0 ? 0 : (n-1)*(ld==-1 ? dflt : ld)+w */
};

/* Attributes of an object that a size may use. */
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

#endif
