/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the store share: a directory, records with contents that can be checked, and
 * calls that wait. */
#ifndef FX_STORE_TOOLS_H
#define FX_STORE_TOOLS_H

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/store/store.h"

enum { FXS_TEST_INLINE = 16 << 10 }; /* larger records are in files of their own */

struct place {
    char dir[128];
    char why[FXS_STORE_WHY];
};

/* Removes a directory and the files in it. */
static inline void remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));)
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(dir);
}

static inline int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    const char *tmp = getenv("TMPDIR");
    snprintf(p->dir, sizeof p->dir, "%.90s/store-XXXXXX", tmp ? tmp : "/tmp");
    *state = p;
    return mkdtemp(p->dir) ? 0 : -1;
}

static inline int remove_place(void **state)
{
    struct place *p = *state;
    remove_dir(p->dir);
    free(p);
    return 0;
}

static inline struct fxs_store *open_store(struct place *p, enum fxs_durability durability)
{
    struct fxs_store_options o = {.durability = durability, .interval_ms = 20};
    struct fxs_store *s = NULL;
    if (fxs_store_open(&s, p->dir, &o, p->why) != FXS_STORE_OK)
        print_error("fxs_store_open: %s\n", p->why);
    assert_non_null(s);
    return s;
}

static inline struct fxs_store *reopen(struct place *p, struct fxs_store *s,
                                       enum fxs_durability durability)
{
    fxs_store_close(s);
    return open_store(p, durability);
}

/* --- contents --- */

/* `size` bytes that follow from the seed; the first one is the seed. */
static inline void fill(uint8_t *p, size_t size, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < size; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        p[i] = i ? (uint8_t)(x >> 56) : (uint8_t)seed;
    }
}

static inline bool is_filled(const uint8_t *p, size_t size, uint64_t seed)
{
    uint8_t *expected = malloc(size + 1);
    fill(expected, size, seed);
    bool same = memcmp(p, expected, size) == 0;
    free(expected);
    return same;
}

/* --- appending --- */

struct waiting {
    struct fxs_change change;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool done;
    enum fxs_store_rc rc;
    uint64_t number;
    char why[FXS_STORE_WHY];
};

static inline void waiting_done(struct fxs_change *c, enum fxs_store_rc rc, uint64_t number,
                                const char *why)
{
    struct waiting *w = (struct waiting *)c;
    pthread_mutex_lock(&w->mutex);
    w->done = true;
    w->rc = rc;
    w->number = number;
    snprintf(w->why, sizeof w->why, "%s", why);
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mutex);
}

/* Appends a record of `size` bytes and waits until it is durable. */
static inline enum fxs_store_rc try_append(struct fxs_store *s, uint64_t entry, size_t size,
                                           uint64_t seed, const struct fxs_caller *caller,
                                           uint64_t *number)
{
    uint8_t *data = malloc(size + 1);
    fill(data, size, seed);
    struct iovec parts[] = {{data, size / 3}, {NULL, 0}, {data + size / 3, size - size / 3}};
    struct waiting w = {.change = {.entry = entry, .parts = parts, .nparts = 3},
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .cond = PTHREAD_COND_INITIALIZER};
    w.change.done = waiting_done;
    if (caller)
        w.change.caller = *caller;
    fxs_store_append(s, &w.change);
    pthread_mutex_lock(&w.mutex);
    while (!w.done)
        pthread_cond_wait(&w.cond, &w.mutex);
    pthread_mutex_unlock(&w.mutex);
    free(data);
    *number = w.number;
    return w.rc;
}

static inline uint64_t append(struct fxs_store *s, uint64_t entry, size_t size, uint64_t seed,
                              const struct fxs_caller *caller)
{
    uint64_t number;
    assert_int_equal(try_append(s, entry, size, seed, caller, &number), FXS_STORE_OK);
    return number;
}

static inline struct fxs_caller caller_of(uint8_t who, uint64_t number)
{
    struct fxs_caller c = {.number = number};
    memset(c.id, who, sizeof c.id);
    return c;
}

/* --- snapshots --- */

/* Writes a snapshot of `size` bytes and commits it.  c->cls may be NULL. */
static inline enum fxs_store_rc try_snapshot(struct fxs_store *s, struct fxs_snapshot_commit *c,
                                             size_t size, uint64_t seed, uint64_t *entry, char *why)
{
    struct fxs_snapshot w;
    struct fxs_snapshot_sum sum;
    enum fxs_store_rc rc = fxs_snapshot_begin(s, &w, why);
    if (rc != FXS_STORE_OK)
        return rc;
    if (!c->cls)
        c->cls = "Index";
    uint8_t *data = malloc(size + 1);
    fill(data, size, seed);
    fwrite(data, 1, size, w.file);
    free(data);
    rc = fxs_snapshot_end(&w, &sum, why);
    if (rc != FXS_STORE_OK) {
        fxs_snapshot_abandon(s, &w);
        return rc;
    }
    return fxs_snapshot_commit(s, &w, &sum, c, entry, why);
}

static inline uint64_t snapshot(struct fxs_store *s, uint64_t entry, uint64_t position,
                                const char *name, size_t size, uint64_t seed)
{
    struct fxs_snapshot_commit c = {.entry = entry, .position = position, .name = name};
    char why[FXS_STORE_WHY] = "";
    if (try_snapshot(s, &c, size, seed, &entry, why) != FXS_STORE_OK)
        fail_msg("%s", why);
    return entry;
}

static inline uint64_t new_entry(struct fxs_store *s, const char *name, uint64_t position)
{
    return snapshot(s, 0, position, name, 100, 1);
}

/* --- reading --- */

struct replayed {
    size_t n;
    uint64_t number[256], seed[256];
    size_t size[256];
    struct fxs_caller caller[256];
    int answered[256];
};

/* A callback of fxs_store_replay: checks each record's contents, and keeps the rest. */
static inline int collect(void *ctx, const struct fxs_record *r)
{
    struct replayed *to = ctx;
    const uint8_t *data = r->data;
    assert_true(to->n < 256);
    assert_int_equal((uintptr_t)data % 64, 0);
    to->number[to->n] = r->number;
    to->size[to->n] = r->size;
    to->seed[to->n] = r->size ? data[0] : 0;
    to->caller[to->n] = r->caller;
    to->answered[to->n] = r->answered;
    assert_true(is_filled(data, r->size, to->seed[to->n]));
    to->n++;
    return 0;
}

#endif
