/* SPDX-License-Identifier: Apache-2.0 */
/* Valid requests of every kind, in parts that can be changed one by one. */
#ifndef ATTACK_RECIPES_H
#define ATTACK_RECIPES_H

#include "attack.h"

enum { RECIPE_FRAMES = 3, RECIPE_ARGS = 8 };

struct recipe_context {
    uint8_t token[TOKEN];
    uint64_t index; /* a Flat index with 100 vectors */
};

struct recipe {
    const char *name;
    struct bytes header, frames[RECIPE_FRAMES];
    int nframes, nargs;
    size_t args[RECIPE_ARGS]; /* offsets in the header of the one-byte arguments */
    int payload_is_data;      /* numbers only, so FAISS survives any bytes */
};

void recipe_random(struct recipe *r, const struct recipe_context *c);
/* One of those on named indexes; the caller has cleared r. */
void recipe_catalogue(struct recipe *r, const struct recipe_context *c);
void recipe_bye(const struct recipe_context *c, struct bytes *b);
/* Appends the whole message: delimiter, header and frames. */
void recipe_message(const struct recipe *r, struct bytes *b);
void recipe_free(struct recipe *r);

#endif
