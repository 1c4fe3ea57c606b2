/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "recipes.h"

enum { N = 4 }; /* vectors in a request */

/* --- headers --- */

static void small(struct bytes *b, unsigned v)
{
    uint8_t byte = (uint8_t)v; /* below 128: one byte of msgpack */
    put(b, &byte, 1);
}

static void pair(struct bytes *h, const char *key, const char *value)
{
    mp_str(h, key);
    mp_str(h, value);
}

static void operation(struct recipe *r, const struct recipe_context *c, const char *name,
                      unsigned more)
{
    r->name = name;
    mp_map(&r->header, 3 + more);
    pair(&r->header, "operation", name);
    mp_str(&r->header, "request_id");
    small(&r->header, 7);
    mp_str(&r->header, "session");
    mp_bin(&r->header, c->token, TOKEN);
}

static void call(struct recipe *r, const struct recipe_context *c, const char *name, unsigned nargs)
{
    operation(r, c, name, 1);
    mp_str(&r->header, "args");
    mp_array(&r->header, nargs);
}

static void argument(struct recipe *r, unsigned v)
{
    if (r->nargs < RECIPE_ARGS)
        r->args[r->nargs++] = r->header.n;
    small(&r->header, v);
}

static void index_argument(struct recipe *r, const struct recipe_context *c)
{
    if (c->index < 128)
        argument(r, (unsigned)c->index);
    else
        mp_uint(&r->header, c->index);
}

static void option(struct recipe *r, const char *key, unsigned v)
{
    mp_str(&r->header, key);
    argument(r, v);
}

static void floats(struct recipe *r, size_t n)
{
    float *x = vectors((n + D - 1) / D, random32());
    put(&r->frames[r->nframes++], x, n * sizeof *x);
    r->payload_is_data = 1;
    free(x);
}

static void longs(struct recipe *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t v = (int64_t)i;
        put(&r->frames[r->nframes], &v, sizeof v);
    }
    r->nframes++;
    r->payload_is_data = 1;
}

/* --- the recipes --- */

typedef struct recipe R;
typedef const struct recipe_context C;

static void factory(R *r, C *c)
{
    static const char *const types[] = {"Flat",  "IVF4,Flat",   "IDMap,Flat", "HNSW8",
                                        "PQ4x4", "IDMap2,Flat", "SQ8",        "LSH"};
    call(r, c, "faiss_index_factory", 4);
    mp_true(&r->header);
    argument(r, D);
    mp_str(&r->header, types[random32() % (sizeof types / sizeof *types)]);
    argument(r, random32() % 2);
}

static void add(R *r, C *c)
{
    call(r, c, "faiss_Index_add", 3);
    index_argument(r, c);
    argument(r, N);
    argument(r, 0);
    floats(r, (size_t)N * D);
}

static void add_with_ids(R *r, C *c)
{
    call(r, c, "faiss_Index_add_with_ids", 4);
    index_argument(r, c);
    argument(r, N);
    argument(r, 0);
    argument(r, 1);
    floats(r, (size_t)N * D);
    longs(r, N);
}

static void train(R *r, C *c)
{
    call(r, c, "faiss_Index_train", 3);
    index_argument(r, c);
    argument(r, N);
    argument(r, 0);
    floats(r, (size_t)N * D);
}

static void search(R *r, C *c)
{
    call(r, c, "faiss_Index_search", 6);
    index_argument(r, c);
    argument(r, N);
    argument(r, 0);
    argument(r, 5);
    mp_true(&r->header);
    mp_true(&r->header);
    floats(r, (size_t)N * D);
}

static void range_search(R *r, C *c)
{
    call(r, c, "faiss_Index_range_search", 5);
    index_argument(r, c);
    argument(r, N);
    argument(r, 0);
    put(&r->header, "\xcb\x3f\xf0\0\0\0\0\0\0", 9); /* 1.0 */
    mp_array(&r->header, 2);
    mp_str(&r->header, "result");
    argument(r, N);
    floats(r, (size_t)N * D);
}

static void ntotal(R *r, C *c)
{
    call(r, c, "faiss_Index_ntotal", 1);
    index_argument(r, c);
}

static void reconstruct(R *r, C *c)
{
    call(r, c, "faiss_Index_reconstruct", 3);
    index_argument(r, c);
    argument(r, 5);
    mp_true(&r->header);
}

static void reconstruct_n(R *r, C *c)
{
    call(r, c, "faiss_Index_reconstruct_n", 4);
    index_argument(r, c);
    argument(r, 5);
    argument(r, N);
    mp_true(&r->header);
}

static void remove_range(R *r, C *c)
{
    call(r, c, "faiss_Index_remove_ids", 3);
    index_argument(r, c);
    mp_array(&r->header, 2);
    mp_str(&r->header, "not");
    mp_array(&r->header, 3);
    mp_str(&r->header, "range");
    argument(r, 0);
    argument(r, 120);
    mp_true(&r->header);
}

static void remove_batch(R *r, C *c)
{
    call(r, c, "faiss_Index_remove_ids", 3);
    index_argument(r, c);
    mp_array(&r->header, 2);
    mp_str(&r->header, random32() % 2 ? "batch" : "bitmap");
    argument(r, 0);
    mp_true(&r->header);
    longs(r, N);
}

static void assign(R *r, C *c)
{
    call(r, c, "faiss_Index_assign", 5);
    index_argument(r, c);
    argument(r, N);
    argument(r, 0);
    mp_true(&r->header);
    argument(r, 1);
    floats(r, (size_t)N * D);
}

static void clone(R *r, C *c)
{
    call(r, c, "faiss_clone_index", 2);
    index_argument(r, c);
    mp_true(&r->header);
}

static void borrowed(R *r, C *c)
{
    call(r, c, "faiss_IndexFlat_xb", 3);
    index_argument(r, c);
    mp_true(&r->header);
    mp_true(&r->header);
}

static void upload(R *r, C *c)
{
    operation(r, c, "upload", 3);
    option(r, "id", 9);
    option(r, "size", 64);
    option(r, "offset", 0);
    floats(r, 16);
}

static void add_uploaded(R *r, C *c)
{
    call(r, c, "faiss_Index_add", 3);
    index_argument(r, c);
    argument(r, 1);
    mp_array(&r->header, 2);
    mp_str(&r->header, "upload");
    argument(r, 9);
}

static void download(R *r, C *c)
{
    operation(r, c, "download", 3);
    option(r, "id", 9);
    option(r, "size", 64);
    option(r, "offset", 0);
}

static void release(R *r, C *c)
{
    operation(r, c, "release", 1);
    option(r, "id", 9);
}

static void save(R *r, C *c)
{
    operation(r, c, "save", 2);
    option(r, "handle", c->index < 128 ? (unsigned)c->index : 1);
    option(r, "flags", 0);
}

/* Loads an index, whose bytes are not changed: some changes crash FAISS. */
static void load(R *r, C *c)
{
    operation(r, c, "load", 3);
    pair(&r->header, "class", "Index");
    option(r, "flags", 0);
    option(r, "data", 0);
    put(&r->frames[r->nframes++], "nothing", 7);
}

static void load_stream(R *r, C *c)
{
    operation(r, c, "load_stream", 2);
    pair(&r->header, "class", "Index");
    option(r, "flags", 0);
}

static void load_known(R *r, C *c)
{
    operation(r, c, "load_known", 4);
    pair(&r->header, "class", "Index");
    option(r, "flags", 0);
    option(r, "whole", 1);
    pair(&r->header, "hash", "0123456789abcdef");
}

static void remember(R *r, C *c)
{
    operation(r, c, "remember", 2);
    option(r, "handle", c->index < 128 ? (unsigned)c->index : 1);
    pair(&r->header, "file", "0123456789abcdef0123456789abcdef");
}

static void feed(R *r, C *c)
{
    operation(r, c, "feed", 1);
    option(r, "stream", 1);
    put(&r->frames[r->nframes++], "none", 4);
}

static void publish(R *r, C *c)
{
    operation(r, c, "publish", 2);
    option(r, "handle", c->index < 128 ? (unsigned)c->index : 1);
    pair(&r->header, "name", "mutated");
}

static void open_named(R *r, C *c)
{
    operation(r, c, "open", 2);
    pair(&r->header, "name", "mutated");
    pair(&r->header, "class", "Index");
}

static void unpublish(R *r, C *c)
{
    operation(r, c, "unpublish", 1);
    pair(&r->header, "name", "mutated");
}

static void list(R *r, C *c)
{
    operation(r, c, "list", 1);
    option(r, "from", 0);
}

static void plain(R *r, C *c)
{
    static const char *const names[] = {"ping", "health", "stats", "attach", "bye", "hello"};
    uint32_t which = random32() % 50; /* rarely bye: without a session, later requests fail early */
    operation(r, c, names[which < 5 ? which : which % 4], 0);
}

static void (*const recipes[])(R *r, C *c) = {
    factory,    add,         add_with_ids, train,        search,        range_search, ntotal,
    search,     reconstruct, remove_range, remove_batch, reconstruct_n, assign,       clone,
    borrowed,   upload,      add_uploaded, upload,       download,      release,      save,
    load,       load_stream, feed,         publish,      list,          open_named,   unpublish,
    load_known, remember,    plain,
};

void recipe_random(R *r, C *c)
{
    if (random32() % 6 == 0)
        recipe_catalogue(r, c);
    else
        recipes[random32() % (sizeof recipes / sizeof *recipes)](r, c);
}

void recipe_bye(C *c, struct bytes *b)
{
    struct recipe r = {0};
    operation(&r, c, "bye", 0);
    recipe_message(&r, b);
    recipe_free(&r);
}

void recipe_message(const R *r, struct bytes *b)
{
    put_frame(b, MORE, "", 0);
    put_frame(b, r->nframes ? MORE : 0, r->header.p, r->header.n);
    for (int i = 0; i < r->nframes; i++)
        put_frame(b, i + 1 < r->nframes ? MORE : 0, r->frames[i].p, r->frames[i].n);
}

void recipe_free(R *r)
{
    bytes_free(&r->header);
    for (int i = 0; i < RECIPE_FRAMES; i++)
        bytes_free(&r->frames[i]);
}
