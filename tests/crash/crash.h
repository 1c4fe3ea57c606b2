/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds calls with ordinary arguments that end the process in which FAISS runs.
 *
 *     grammar.c   every kind of index that FAISS's factory can make, nested two deep
 *     made.c      indexes that only constructors can make
 *     life.c      the sequence of calls (the life) that each of them goes through, with
 *                 every metric and with ordinary and odd vectors; life_binary.c: of binary ones
 *     step.c      each call is a step
 *     main.c      runs lives in children, and finds the step in which a child died
 *     learn.c     makes the table of refusals from the results
 *
 * The library is a real libfaiss_c, or the stand-in, which sends the calls to a server.
 */
#ifndef FX_TEST_CRASH_H
#define FX_TEST_CRASH_H

#include <stdint.h>

#include "proto/api.h"

extern struct fx_api api; /* each pointer is NULL if the library lacks the function */

/* --- grammar.c --- */

/* How much of a kind is tried: FULL, with every metric and all vectors; less if training takes long
 * (SLOW), if it is nested in another (NESTED), or if its numbers are odd (NUMBERS). */
enum depth { FULL, SLOW, NESTED, NUMBERS };

enum family { FACTORY, BINARY, MADE };

struct kind {
    char name[96]; /* the factory string, or a name in made.c */
    enum depth depth;
    enum family family;
};

/* Returns all kinds, *n of them, in a static array that does not change after the first call. */
const struct kind *grammar(int *n);

/* --- made.c --- */

/* Indexes that constructors of the C API make, by name. */
int made_count(void);
const char *made_name(int i);
int made_create(const char *name, int d, int metric, FaissIndex **out);
/* Returns the first shard or replica, which stands for the others, or NULL. */
FaissIndex *made_part(const char *name, FaissIndex *index);

/* --- step.c --- */

/* clang-format off */
#define STEPS(X) \
    X(create) X(shape) X(train) X(add_ids) X(reset_ids) X(add) X(add_with_ids) X(search_1) \
    X(search) X(search_blas) X(search_many) X(search_none) X(search_k0) X(search_nan) X(search_inf) X(search_huge) \
    X(params) X(params_sel) X(params_batch) X(params_ivf) X(params_ivf_sel) X(params_hnsw) \
    X(params_hnsw_sel) X(assign) X(range) X(range_blas) X(range_all) X(range_all_ip) \
    X(range_nan) X(range_none) X(reconstruct) X(reconstruct_n) X(residual) X(sa_encode) \
    X(sa_decode) X(nprobe) X(search_nprobe) X(ef) X(search_ef) X(k_factor) \
    X(search_k_factor) X(nprobe_beyond) X(search_nprobe_beyond) X(range_nprobe_beyond) \
    X(params_ivf_beyond) X(ef_beyond) X(search_ef_beyond) X(params_hnsw_beyond) \
    X(k_factor_beyond) X(search_k_factor_beyond) \
    X(save) X(load) X(search_loaded) X(range_loaded) X(reconstruct_loaded) \
    X(direct_map_loaded) X(reconstruct_map_loaded) X(sa_decode_loaded) X(residual_loaded) \
    X(params_sel_loaded) X(clone_loaded) X(search_clone_loaded) X(reconstruct_clone_loaded) \
    X(merge_loaded) X(search_merged_loaded) X(copy_subset_loaded) X(add_loaded) \
    X(remove_loaded) X(search_removed_loaded) X(retrain_loaded) X(reset_loaded) X(add_again_loaded) \
    X(search_again_loaded) X(clone) X(search_clone) X(merge) X(search_merged) X(copy_subset) \
    X(direct_map) X(reconstruct_map) X(remove_range) X(search_removed) X(remove_batch) \
    X(remove_all) X(search_rest) X(retrain) X(reset) X(search_reset) X(range_reset) \
    X(add_again) X(search_again) X(add_none) X(free)
/* clang-format on */

enum step {
#define X(name) STEP_##name,
    STEPS(X)
#undef X
        NSTEPS
};

extern const char *const step_names[NSTEPS];

/* The vectors that a life uses. */
/* clang-format off */
#define VARIANTS(X) \
    X(usual) X(empty) X(one) X(nan) X(untrained) X(zero) X(same) X(dim1) X(huge) X(inf) \
    X(nan_train) X(least) X(train1) X(train0) X(negative)
/* clang-format on */

enum variant {
#define X(name) VARIANT_##name,
    VARIANTS(X)
#undef X
        NVARIANTS
};

extern const char *const variant_names[NVARIANTS];
enum {
    NESTED_VARIANTS = VARIANT_one,
    SLOW_VARIANTS = VARIANT_zero
}; /* only variants before this one */

/* Where a child is: its parent reads this. */
struct place {
    volatile int life;    /* number of the life under way */
    volatile int done;    /* lives before this one are printed */
    volatile int step;    /* the step under way, or -1 */
    volatile int ms;      /* milliseconds that the life took */
    char shape[1024];     /* of the index (server/engine/guard/shape.h) */
    char state[NSTEPS];   /* before each step: 0, + 1 index is empty, + 2 not trained */
    char skip[NSTEPS];    /* if not 0, leave the step out, and print this character */
    char outcome[NSTEPS]; /* o ok, e error, x aborted, s another signal, h never ended,
                             - not reached, ~ not tried, D the server's engine died */
};

extern struct place *place;

struct life {
    const struct kind *kind;
    int metric;
    enum variant variant;
};

void life_lead(const struct life *l);

/* Called before each step.  Returns 0 to make the call, or the character of an outcome: the call
 * was made in a copy of this process, and ended that. */
char rehearse(enum step s);
/* Whether this process is such a copy, which ends after the call. */
extern int rehearsing;

/* Whether a server makes the calls; then shapes are not recorded. */
extern int remote;

/* Milliseconds of processor time that a step may take; at most 500 if it does not train. */
extern int step_ms;

#endif
