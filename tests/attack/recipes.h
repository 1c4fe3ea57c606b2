/* SPDX-License-Identifier: Apache-2.0 */
/* Good requests of every kind, in parts that can be changed one by one. */
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
    size_t args[RECIPE_ARGS]; /* where in the header the arguments of one byte are */
    int payload_is_data;      /* numbers only: any bytes will do, whatever FAISS makes of them */
};

void recipe_random(struct recipe *r, const struct recipe_context *c);
void recipe_bye(const struct recipe_context *c, struct bytes *b);
/* Delimiter, header and frames. */
void recipe_message(const struct recipe *r, struct bytes *b);
void recipe_free(struct recipe *r);

#endif
