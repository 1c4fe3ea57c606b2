/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading: by name, in the middle of another file, through callbacks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "life.h"

static const char name[] = "life.index", before[] = "before the index", after[] = "after it";

/* Examine a loaded index, and free it. */
static void loaded(const struct subject *s, FaissIndex *index)
{
    struct subject copy = *s;
    copy.index = index;
    look(&copy);
    search(&copy, 7, 5);
    DO(Index_free, index);
}

static void by_name(const struct subject *s)
{
    FaissIndex *x = NULL;
    if (RC(write_index_fname, s->index, name) != 0)
        return;
    show_file("saved", name);
    if (RC(read_index_fname, name, 0, &x) == 0)
        loaded(s, x);
    x = NULL;
    if (RC(read_index_fname, name, 2, &x) == 0)
        DO(Index_free, x);
}

static void in_a_file(const struct subject *s)
{
    char buf[sizeof before];
    FaissIndex *x = NULL;
    FILE *f = fopen("life.stream", "w+b");
    if (!f || !HAVE(write_index)) {
        if (f)
            fclose(f);
        return;
    }
    fwrite(before, 1, sizeof before, f);
    if (RC(write_index, s->index, f) == 0) {
        number("position", (double)ftell(f));
        fwrite(after, 1, sizeof after, f);
        rewind(f);
        number("before", (double)fread(buf, 1, sizeof before, f));
        if (RC(read_index, f, 0, &x) == 0) {
            number("position", (double)ftell(f));
            SHOW("after", buf, fread(buf, 1, sizeof after, f));
            loaded(s, x);
        }
    }
    fclose(f);
    show_file("stream", "life.stream");
}

/* --- callbacks, which have no argument of their own --- */

static struct {
    char *data;
    size_t size, at, limit;
} store;

static size_t give(void *to, size_t size, size_t n)
{
    size_t left = size ? (store.size - store.at) / size : 0;
    if (n > left)
        n = left;
    memcpy(to, store.data + store.at, size * n);
    store.at += size * n;
    return n;
}

static size_t take(const void *from, size_t size, size_t n)
{
    if (store.limit && store.size + size * n > store.limit)
        return 0;
    char *more = realloc(store.data, store.size + size * n + 1);
    if (!more)
        return 0;
    store.data = more;
    memcpy(more + store.size, from, size * n);
    store.size += size * n;
    return n;
}

static void by_callbacks(const struct subject *s, int flags)
{
    FaissCustomIOWriter *w = NULL;
    FaissCustomIOReader *r = NULL;
    FaissIndex *x = NULL;
    store.size = store.at = 0;
    if (RC(CustomIOWriter_new, &w, take) != 0)
        return;
    int rc = RC(write_index_custom, s->index, (FaissIOWriter *)w, flags);
    DO(CustomIOWriter_free, w);
    if (rc == 0)
        show("written", store.data, store.size);
    if (rc != 0 || flags || RC(CustomIOReader_new, &r, give) != 0)
        return;
    if (RC(read_index_custom, (FaissIOReader *)r, 0, &x) == 0) {
        number("read", (double)store.at);
        loaded(s, x);
    }
    DO(CustomIOReader_free, r);
}

void binary_callbacks(FaissIndexBinary *x)
{
    FaissCustomIOWriter *w = NULL;
    FaissCustomIOReader *r = NULL;
    FaissIndexBinary *y = NULL;
    store.size = store.at = 0;
    if (RC(CustomIOWriter_new, &w, take) != 0)
        return;
    store.limit = 20;
    BARE(write_index_binary_custom, x, (FaissIOWriter *)w); /* the writer takes 20 bytes */
    store.limit = store.size = 0;
    if (RC(write_index_binary_custom, x, (FaissIOWriter *)w) == 0)
        show("written", store.data, store.size);
    DO(CustomIOWriter_free, w);
    if (RC(CustomIOReader_new, &r, give) == 0) {
        if (RC(read_index_binary_custom, (FaissIOReader *)r, 0, &y) == 0) {
            GET(IndexBinary_ntotal, y);
            DO(IndexBinary_free, y);
        }
        BARE(read_index_binary_custom, (FaissIOReader *)r, 0, &y); /* the reader is at its end */
        DO(CustomIOReader_free, r);
    }
    free(store.data);
    memset(&store, 0, sizeof store);
}

void saves(const struct subject *s)
{
    by_name(s);
    in_a_file(s);
    by_callbacks(s, 0);
    by_callbacks(s, 1);
    free(store.data);
    memset(&store, 0, sizeof store);
}

/* --- files that cannot be read ---
 *
 * Without error texts: those of FAISS include a stale errno, and with a server the client opens the
 * files. */

static void read_bad(const char *what, const char *data, size_t size)
{
    FaissIndex *x = NULL;
    FaissIndexBinary *b = NULL;
    FaissVectorTransform *vt = NULL;
    FILE *f = fopen("life.bad", "w+b");
    if (!f)
        return;
    say("%s", what);
    fwrite(data, 1, size, f);
    fflush(f);
    rewind(f);
    BARE(read_index, f, 0, &x);
    fclose(f);
    BARE(read_index_fname, "life.bad", 0, &x);
    BARE(read_index_binary_fname, "life.bad", 0, &b);
    BARE(read_VectorTransform_fname, "life.bad", &vt);
    same("index", x, NULL);
}

void bad_files(void)
{
    static char garbage[400];
    char *good = ROOM(char, 2000);
    FaissIndex *x = NULL;
    memset(garbage, 'x', sizeof garbage);
    BARE(read_index_fname, "no such file", 0, &x);
    BARE(read_index_fname, ".", 0, &x);
    read_bad("an empty file", "", 0);
    read_bad("garbage", garbage, sizeof garbage);
    if (RC(index_factory, &x, 4, "Flat", METRIC_L2) != 0)
        return;
    RC(Index_add, x, 20, floats(80, 1));
    BARE(write_index_fname, x, "no such folder/index");
    RC(write_index_fname, x, name);
    FILE *f = fopen(name, "rb");
    size_t n = f ? fread(good, 1, 2000, f) : 0;
    if (f)
        fclose(f);
    DO(Index_free, x);
    read_bad("a part of a file", good, n / 2);
    read_bad("the head of a file", good, 7);
    unlink(name);
}
