/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing indexes in the recording library.  In a file, an index is "REC1", its class,
 * the size of the rest, and the rest.  Readers take exactly that, so that the data after it stays
 * in the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

typedef size_t (*read_fn)(void *, size_t, size_t);
typedef size_t (*write_fn)(const void *, size_t, size_t);

/* A source or target of bytes: only the members of one kind are used. */
struct stream {
    FILE *f;
    read_fn read;
    write_fn write;
    const uint8_t *from; /* `left` bytes */
    size_t left;
    uint8_t *to; /* grows; `len` bytes so far */
    size_t len;
};

static int get(struct stream *s, void *to, size_t n)
{
    if (s->f)
        return fread(to, 1, n, s->f) == n ? 0 : -1;
    if (s->read)
        return s->read(to, 1, n) == n ? 0 : -1;
    if (n > s->left)
        return -1;
    memcpy(to, s->from, n);
    s->from += n;
    s->left -= n;
    return 0;
}

static int put(struct stream *s, const void *from, size_t n)
{
    if (s->f)
        return fwrite(from, 1, n, s->f) == n ? 0 : -1;
    if (s->write)
        return s->write(from, 1, n) == n ? 0 : -1;
    uint8_t *to = realloc(s->to, s->len + n);
    if (!to)
        return -1;
    s->to = to;
    memcpy(to + s->len, from, n);
    s->len += n;
    return 0;
}

enum { PAYLOAD = 600 }; /* large enough for several pieces of a small buffer */

static int put_index(struct stream *s, const struct obj *o)
{
    uint32_t head[2] = {(uint32_t)o->cls, PAYLOAD};
    uint8_t rest[PAYLOAD];
    rec_fill(rest, PAYLOAD, FX_U8, o->cls, 1);
    memcpy(rest, o->name, strlen(o->name));
    return put(s, "REC1", 4) || put(s, head, sizeof head) || put(s, rest, PAYLOAD) ? -1 : 0;
}

/* Returns the class that was written, or -1. */
static int get_index(struct stream *s)
{
    char magic[4];
    uint32_t head[2];
    uint8_t rest[PAYLOAD];
    if (get(s, magic, 4) || memcmp(magic, "REC1", 4) != 0 || get(s, head, sizeof head) ||
        head[0] >= FX_NCLASSES || head[1] > PAYLOAD || get(s, rest, head[1]))
        return -1;
    return (int)head[0];
}

static int64_t finish_write(const struct fn_call *c, struct stream *s, struct obj *o)
{
    if (!o || (strstr(c->fn->name, "_custom") && !s->write))
        return rec_fail("recorded failure of %s: no index or writer", c->fn->name);
    rec_unlock(); /* a callback may block */
    int bad = put_index(s, o);
    rec_lock();
    return bad ? rec_fail("recorded failure of %s: write error", c->fn->name) : 0;
}

static int64_t finish_read(const struct fn_call *c, struct stream *s)
{
    int out = c->fn->nparams - 1;
    if (strstr(c->fn->name, "_custom") && !s->read)
        return rec_fail("recorded failure of %s: no reader", c->fn->name);
    rec_unlock();
    int cls = get_index(s);
    rec_lock();
    if (cls < 0)
        return rec_fail("recorded failure of %s: no index", c->fn->name);
    *(void **)c->v[out].p = rec_new(cls);
    return 0;
}

static FILE *open_name(const struct fn_call *c, const char *name, const char *mode,
                       union fx_val *ret)
{
    FILE *f = name ? fopen(name, mode) : NULL;
    if (!f)
        ret->i = rec_fail("recorded failure of %s: could not open %s", c->fn->name, name);
    return f;
}

static union fx_val *callback(void *io)
{
    struct obj *o = rec_find(io);
    return o ? rec_prop(o, "func", 0) : NULL;
}

static void file_names(const struct fn_call *c, union fx_val *ret)
{
    struct stream s = {0};
    int writes = strncmp(c->fn->name, "faiss_write", 11) == 0;
    s.f = open_name(c, c->v[writes].p, writes ? "wb" : "rb", ret);
    if (!s.f)
        return;
    ret->i = writes ? finish_write(c, &s, rec_find(c->v[0].p)) : finish_read(c, &s);
    fclose(s.f);
}

/* Makes calls that use a callback or memory, and free_buf.  Returns 0 for other calls. */
static int special(const struct fn_call *c, union fx_val *ret)
{
    union fx_val *v = c->v, *io;
    struct stream s = {0};
    switch (c->op) {
    case FX_OP_CustomIOReader_new:
    case FX_OP_CustomIOWriter_new: {
        struct obj *o = rec_new(c->fn->params[0].cls);
        rec_set(o, "func", 0, v[1]);
        *(void **)v[0].p = o;
        return 1;
    }
    case FX_OP_read_index_custom:
    case FX_OP_read_index_binary_custom:
        io = callback(v[0].p);
        s.read = io ? (read_fn)(fx_any_fn)(intptr_t)io->i : NULL;
        ret->i = finish_read(c, &s);
        return 1;
    case FX_OP_write_index_custom:
    case FX_OP_write_index_binary_custom:
        io = callback(v[1].p);
        s.write = io ? (write_fn)(fx_any_fn)(intptr_t)io->i : NULL;
        ret->i = finish_write(c, &s, rec_find(v[0].p));
        return 1;
    case FX_OP_read_index_buf:
    case FX_OP_read_index_binary_buf:
        s.from = v[0].p;
        s.left = (size_t)v[1].i;
        ret->i = finish_read(c, &s);
        return 1;
    case FX_OP_write_index_buf:
    case FX_OP_write_index_binary_buf:
        ret->i = finish_write(c, &s, rec_find(v[0].p));
        *(size_t *)v[1].p = s.len;
        *(void **)v[2].p = s.to;
        return 1;
    case FX_OP_free_buf:
        free(*(void **)v[0].p);
        *(void **)v[0].p = NULL;
        return 1;
    default:
        return 0;
    }
}

/* Makes calls that return pointers, or read from pointers, that the table has no kind for.  Returns
 * 0 for other calls. */
static int lent(const struct fn_call *c, union fx_val *ret)
{
    struct stats { /* the layout of FAISS's own */
        float obj;
        double time, time_search, imbalance_factor;
        int nsplit;
    } *s = c->fn->nparams ? c->v[0].p : NULL;
    struct obj *self = rec_find(s);
    switch (c->op) {
    case FX_OP_Clustering_iteration_stats:
        s = rec_memory(self, "iteration_stats", 2 * sizeof *s);
        s[0] = (struct stats){1.5f, 2.5, 3.5, 4.5, 5};
        s[1] = (struct stats){6.5f, 7.5, 8.5, 9.5, 10};
        *(void **)c->v[1].p = s;
        *(size_t *)c->v[2].p = 2;
        return 1;
    case FX_OP_ClusteringIterationStats_obj:
        ret->f = (double)s->obj;
        return 1;
    case FX_OP_ClusteringIterationStats_time:
        ret->f = s->time;
        return 1;
    case FX_OP_ClusteringIterationStats_time_search:
        ret->f = s->time_search;
        return 1;
    case FX_OP_ClusteringIterationStats_imbalance_factor:
        ret->f = s->imbalance_factor;
        return 1;
    case FX_OP_ClusteringIterationStats_nsplit:
        ret->i = s->nsplit;
        return 1;
    case FX_OP_IndexShards_shard_indexes: {
        size_t n = 0;
        void **all = rec_memory(self, "shard_indexes", 64 * sizeof *all);
        for (; n < 64 && rec_prop(self, "at", (int64_t)n); n++)
            all[n] = rec_prop(self, "at", (int64_t)n)->p;
        *(void **)c->v[1].p = all;
        *(size_t *)c->v[2].p = n;
        return 1;
    }
    case FX_OP_get_last_error:
        ret->p = (void *)(uintptr_t)rec_last_error();
        return 1;
    case FX_OP_get_version:
        ret->p = (void *)(uintptr_t) "1.15.0-recorded";
        return 1;
    default:
        return 0;
    }
}

int rec_file(const struct fn_call *c, union fx_val *ret)
{
    const char *name = c->fn->name;
    size_t n = strlen(name);
    if (n > 6 && strcmp(name + n - 6, "_fname") == 0) {
        file_names(c, ret);
        return 1;
    }
    struct stream s = {0};
    switch (c->op) {
    case FX_OP_read_index:
    case FX_OP_read_index_binary:
        s.f = c->v[0].p;
        ret->i = finish_read(c, &s);
        return 1;
    case FX_OP_write_index:
    case FX_OP_write_index_binary:
        s.f = c->v[1].p;
        ret->i = finish_write(c, &s, rec_find(c->v[0].p));
        return 1;
    }
    return lent(c, ret) || special(c, ret);
}
