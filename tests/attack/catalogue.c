/* SPDX-License-Identifier: Apache-2.0 */
/* Valid requests of the catalogue, on two indexes that come and go. */
#include <stdlib.h>

#include "recipes.h"

enum { N = 4, KEYS = 5 };

struct key {
    const char *name, *text; /* text NULL: a number */
    unsigned number;
};

static const struct form {
    const char *operation;
    struct key keys[KEYS]; /* after `name`; ended by one without a name */
    int floats, longs;     /* in the frames */
    const char *special;   /* a key with a value that is an array or a map */
} forms[] = {
    {"index_create", {{"d", NULL, D}, {"type", "flat", 0}}, 0, 0, NULL},
    {"index_create", {{"d", NULL, D}, {"description", "IDMap2,Flat", 0}}, 0, 0, NULL},
    {"index_create", {{"d", NULL, D}, {"type", "ivf_flat", 0}, {"nlist", NULL, 2}}, 0, 0, NULL},
    {"index_create",
     {{"d", NULL, D}, {"type", "ivf_pq", 0}, {"nlist", NULL, 2}, {"m", NULL, 4}, {"bits", NULL, 2}},
     0,
     0,
     NULL},
    {"index_train", {{"n", NULL, N}}, N, 0, NULL},
    {"index_add", {{"n", NULL, N}, {"x", NULL, 0}}, N, 0, NULL},
    {"index_add", {{"n", NULL, N}, {"ids", NULL, 1}}, N, N, NULL},
    {"index_replace", {{"n", NULL, N}, {"ids", NULL, 1}}, N, N, NULL},
    {"index_search", {{"n", NULL, N}, {"k", NULL, 5}}, N, 0, NULL},
    {"index_search", {{"n", NULL, N}, {"k", NULL, 5}}, N, 0, "params"},
    {"index_search", {{"n", NULL, N}, {"k", NULL, 5}}, N, 0, "selector"},
    {"index_search_and_reconstruct", {{"n", NULL, N}, {"k", NULL, 2}}, N, 0, NULL},
    {"index_range_search", {{"n", NULL, N}, {"radius", NULL, 1}}, N, 0, NULL},
    {"index_remove", {{"n", NULL, N}, {"ids", NULL, 0}}, 0, N, NULL},
    {"index_remove", {{NULL, NULL, 0}}, 0, 0, "selector"},
    {"index_reconstruct", {{"id", NULL, 2}}, 0, 0, NULL},
    {"index_reconstruct", {{"n", NULL, N}, {"ids", NULL, 0}}, 0, N, NULL},
    {"index_get_vectors", {{"from", NULL, 0}, {"n", NULL, 2}}, 0, 0, NULL},
    {"index_split", {{"to", "second", 0}}, 0, 0, "selector"},
    {"index_merge", {{"from", "second", 0}, {"add_id", NULL, 3}}, 0, 0, NULL},
    {"index_recluster", {{"nlist", NULL, 2}, {"sample", NULL, 3}}, 0, 0, NULL},
    {"index_rename", {{"to", "second", 0}}, 0, 0, NULL},
    {"index_set_parameter", {{"parameter", "nprobe", 0}, {"value", NULL, 2}}, 0, 0, NULL},
    {"index_get_parameter", {{"parameter", "nprobe", 0}}, 0, 0, NULL},
    {"index_import", {{"data", NULL, 0}}, 1, 0, NULL},
    {"index_export", {{NULL, NULL, 0}}, 0, 0, NULL},
    {"index_info", {{NULL, NULL, 0}}, 0, 0, NULL},
    {"index_stats", {{NULL, NULL, 0}}, 0, 0, NULL},
    {"index_list", {{"from", NULL, 0}}, 0, 0, NULL},
    {"index_reset", {{NULL, NULL, 0}}, 0, 0, NULL},
    {"index_delete", {{NULL, NULL, 0}}, 0, 0, NULL},
};

static void number(struct recipe *r, unsigned v)
{
    uint8_t byte = (uint8_t)v; /* below 128: one byte of msgpack */
    if (r->nargs < RECIPE_ARGS)
        r->args[r->nargs++] = r->header.n;
    put(&r->header, &byte, 1);
}

static void special(struct recipe *r, const char *key)
{
    mp_str(&r->header, key);
    if (key[0] == 'p') {
        mp_map(&r->header, 1);
        mp_str(&r->header, "nprobe");
        number(r, 2);
        return;
    }
    mp_array(&r->header, 3);
    mp_str(&r->header, "range");
    number(r, 1);
    number(r, 3);
}

static void frames(struct recipe *r, const struct form *f)
{
    if (f->floats) {
        float *x = vectors((size_t)f->floats, random32());
        put(&r->frames[r->nframes++], x, (size_t)f->floats * D * sizeof *x);
        free(x);
    }
    for (int64_t i = 0; i < f->longs; i++)
        put(&r->frames[r->nframes], &i, sizeof i);
    r->nframes += f->longs != 0;
    /* Some changes of a file crash FAISS. */
    r->payload_is_data = f->operation[6] != 'i' || f->operation[7] != 'm';
}

void recipe_catalogue(struct recipe *r, const struct recipe_context *c)
{
    const struct form *f = &forms[random32() % (sizeof forms / sizeof *forms)];
    int n = 0;
    while (n < KEYS && f->keys[n].name)
        n++;
    r->name = f->operation;
    mp_map(&r->header, (unsigned)(4 + n + (f->special != NULL)));
    mp_str(&r->header, "operation");
    mp_str(&r->header, f->operation);
    mp_str(&r->header, "request_id");
    number(r, 7);
    mp_str(&r->header, "session");
    mp_bin(&r->header, c->token, TOKEN);
    mp_str(&r->header, "name");
    mp_str(&r->header, random32() % 4 ? "first" : "second");
    for (int i = 0; i < n; i++) {
        mp_str(&r->header, f->keys[i].name);
        if (f->keys[i].text)
            mp_str(&r->header, f->keys[i].text);
        else
            number(r, f->keys[i].number);
    }
    if (f->special)
        special(r, f->special);
    frames(r, f);
}
