/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a life: what comes before and after each call. */
#ifndef FX_TEST_STEP_H
#define FX_TEST_STEP_H

#include "crash.h"

enum {
    LEAST = 8,
    NT = 300,
    NB = 200
}; /* vectors: to train with in VARIANT_least, and others; to add */

/* The index whose state is recorded before each step; one is NULL. */
extern const FaissIndex *subject;
extern const FaissIndexBinary *binary_subject;

/* Use STEP, which returns what the call does, or SKIPPED if the step is left out. */
int enter(enum step s);
int leave(enum step s, int rc);
#define SKIPPED (-98)
#define HAS(f) (api.f != NULL)
#define STEP(name, call) (enter(STEP_##name) ? leave(STEP_##name, call) : SKIPPED)

/* Ends the limit of the last step. */
void no_limit(void);

/* How many vectors the life trains with, and adds. */
int to_train(enum variant v);
int to_add(enum variant v);

/* Records the shape of the life's index; returns 0. */
int record_shape(const struct life *l, void *index, int binary);

/* --- life_binary.c --- */

void lead_binary(const struct life *l);

#endif
