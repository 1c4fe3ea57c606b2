/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, while the writer writes: catalogue, replay, answers.  And the requests that are passed
 * to the writer as they are. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/store/internal.h"

/* --- catalogue --- */

struct copies {
    struct fxs_entry *list;
    size_t n, cap;
    bool memory;
};

/* Everything of the entry in one block: the name pointers, the note, the names. */
static int copy_entry(void *ctx, const struct fxs_entry *e, const char *file)
{
    struct copies *c = ctx;
    (void)file;
    size_t size = e->nnames * sizeof(char *) + e->note_size + 1;
    for (uint32_t i = 0; i < e->nnames; i++)
        size += strlen(e->names[i]) + 1;
    if (c->n == c->cap) {
        size_t cap = c->cap * 2 + 16;
        struct fxs_entry *list = realloc(c->list, cap * sizeof *list);
        if (list) {
            c->list = list;
            c->cap = cap;
        }
    }
    char **names = c->n < c->cap ? malloc(size) : NULL;
    if (!names) {
        c->memory = true;
        return 1;
    }
    struct fxs_entry *to = &c->list[c->n++];
    char *at = (char *)(names + e->nnames);
    *to = *e;
    to->names = (const char *const *)names;
    to->note = at;
    if (e->note_size)
        memcpy(at, e->note, e->note_size);
    at += e->note_size;
    for (uint32_t i = 0; i < e->nnames; i++) {
        names[i] = at;
        at = stpcpy(at, e->names[i]) + 1;
    }
    return 0;
}

enum fxs_store_rc fxs_store_entries(struct fxs_store *s,
                                    int (*f)(void *ctx, const struct fxs_entry *e), void *ctx,
                                    char *why)
{
    struct copies c = {0};
    pthread_mutex_lock(&s->reading);
    enum fxs_store_rc rc = fxs_db_list(s->reader, copy_entry, &c, why);
    pthread_mutex_unlock(&s->reading);
    if (rc == FXS_STORE_OK && c.memory)
        rc = fxs_why(FXS_STORE_MEMORY, why, "no memory to list the entries");
    for (size_t i = 0; rc == FXS_STORE_OK && i < c.n; i++)
        if (f(ctx, &c.list[i]) != 0)
            break;
    for (size_t i = 0; i < c.n; i++)
        free((void *)(uintptr_t)c.list[i].names);
    free(c.list);
    return rc;
}

void fxs_store_stats(struct fxs_store *s, struct fxs_store_stats *out)
{
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&s->reading);
    fxs_db_totals(s->reader, out, NULL);
    pthread_mutex_unlock(&s->reading);
    pthread_mutex_lock(&s->mutex);
    out->appends = s->appends;
    out->commits = s->commits;
    out->full = s->full;
    pthread_mutex_unlock(&s->mutex);
}

/* --- replay --- */

struct buffer {
    void *data;
    size_t cap;
};

static enum fxs_store_rc grow(struct buffer *b, uint64_t size, char *why)
{
    if (size <= b->cap && b->data)
        return FXS_STORE_OK;
    free(b->data);
    b->cap = 0;
    if (posix_memalign(&b->data, 64, size ? size : 1) != 0) {
        b->data = NULL;
        return fxs_why(FXS_STORE_MEMORY, why, "no memory for a record of %" PRIu64 " bytes", size);
    }
    b->cap = size;
    return FXS_STORE_OK;
}

/* Reads the entry's next record into the buffer, and verifies it. */
static enum fxs_store_rc next(struct fxs_store *s, uint64_t entry, uint64_t after,
                              struct fxs_row *row, struct buffer *b, char *why)
{
    pthread_mutex_lock(&s->reading);
    enum fxs_store_rc rc = fxs_db_next_record(s->reader, entry, after, row, why);
    if (rc == FXS_STORE_OK) {
        rc = grow(b, row->size, why);
        if (rc == FXS_STORE_OK && !row->segment && row->size)
            memcpy(b->data, row->data, row->size);
        fxs_db_release(s->reader);
    }
    pthread_mutex_unlock(&s->reading);
    if (rc == FXS_STORE_OK && row->segment)
        rc = fxs_segment_read(s, row, b->data, why);
    if (rc != FXS_STORE_OK)
        return rc;
    row->data = b->data;
    if (fxs_row_hash(row, &(struct iovec){b->data, row->size}, 1) != row->hash)
        return fxs_why(FXS_STORE_DAMAGED, why,
                       "%s: record %" PRIu64 " of entry %" PRIu64 " has a wrong checksum", s->path,
                       row->number, entry);
    return FXS_STORE_OK;
}

/* What waits is written first: it may be what is looked for, of the entry or of the caller, if not
 * NULL.  A view has nothing that waits. */
static enum fxs_store_rc write_what_waits(struct fxs_store *s, uint64_t entry,
                                          const struct fxs_caller *caller, char *why)
{
    struct fxs_job job = {.kind = FXS_JOB_BARRIER, .entry = entry};
    if (!s->started)
        return FXS_STORE_OK;
    if (caller)
        job.caller = *caller;
    return fxs_ask(s, &job, why);
}

static enum fxs_store_rc missing(struct fxs_store *s, uint64_t entry, uint64_t number, char *why)
{
    return fxs_why(FXS_STORE_DAMAGED, why,
                   "%s: entry %" PRIu64 " has no record %" PRIu64 ", which it should have", s->path,
                   entry, number);
}

enum fxs_store_rc fxs_store_replay(struct fxs_store *s, uint64_t entry, uint64_t after,
                                   int (*f)(void *ctx, const struct fxs_record *r), void *ctx,
                                   char *why)
{
    struct fxs_db_entry e;
    struct fxs_row row;
    struct buffer b = {0};
    enum fxs_store_rc rc = write_what_waits(s, entry, NULL, why);
    if (rc != FXS_STORE_OK)
        return rc;
    pthread_mutex_lock(&s->reading);
    rc = fxs_db_entry(s->reader, entry, &e, why);
    pthread_mutex_unlock(&s->reading);
    if (rc != FXS_STORE_OK)
        return rc;
    uint64_t at = after > e.position ? after : e.position;
    bool first = true;
    for (;;) {
        rc = next(s, entry, at, &row, &b, why);
        if (rc != FXS_STORE_OK)
            break;
        if (first ? row.previous > at : row.previous != at) {
            rc = missing(s, entry, row.previous, why);
            break;
        }
        first = false;
        at = row.number;
        if (row.flags & (FXS_ROW_FAILED | FXS_ROW_ASIDE))
            continue;
        struct fxs_record r = {.number = row.number,
                               .caller = row.caller,
                               .data = row.data,
                               .size = row.size,
                               .answered = row.answered,
                               .made = !(row.flags & FXS_ROW_NEW) || row.flags & FXS_ROW_MADE};
        if (f(ctx, &r) != 0)
            break;
    }
    free(b.data);
    if (rc == FXS_STORE_NONE)
        rc = at < e.last ? missing(s, entry, e.last, why) : FXS_STORE_OK;
    return rc;
}

enum fxs_store_rc fxs_store_set_aside(struct fxs_store *s, uint64_t entry, uint64_t number,
                                      const char *reason, char *why)
{
    struct fxs_job job = {
        .kind = FXS_JOB_ASIDE, .entry = entry, .number = number, .text = reason ? reason : ""};
    return fxs_ask(s, &job, why);
}

/* --- names --- */

static enum fxs_store_rc check_name(const char *name, char *why)
{
    size_t n = strlen(name);
    if (n && n <= FXS_NAME_MAX)
        return FXS_STORE_OK;
    return fxs_why(FXS_STORE_NONE, why, "a name has 1 to %d bytes, but this one has %zu",
                   FXS_NAME_MAX, n);
}

enum fxs_store_rc fxs_store_name_instead(struct fxs_store *s, uint64_t entry, const char *name,
                                         const char *instead, char *why)
{
    struct fxs_job job = {.kind = FXS_JOB_NAME, .entry = entry, .text = name, .file = instead};
    enum fxs_store_rc rc = check_name(name, why);
    return rc ? rc : fxs_ask(s, &job, why);
}

enum fxs_store_rc fxs_store_name(struct fxs_store *s, uint64_t entry, const char *name, char *why)
{
    return fxs_store_name_instead(s, entry, name, NULL, why);
}

enum fxs_store_rc fxs_store_unname(struct fxs_store *s, const char *name,
                                   const struct fxs_caller *caller, char *why)
{
    struct fxs_job job = {.kind = FXS_JOB_UNNAME, .text = name};
    if (caller)
        job.caller = *caller;
    return fxs_ask(s, &job, why);
}

enum fxs_store_rc fxs_store_rename(struct fxs_store *s, const char *from, const char *to,
                                   const struct fxs_caller *caller, const void *answer, size_t size,
                                   char *why)
{
    struct fxs_job job = {.kind = FXS_JOB_UNNAME,
                          .text = from,
                          .file = to,
                          .caller = *caller,
                          .data = answer,
                          .size = answer ? size : 0};
    enum fxs_store_rc rc = to ? check_name(to, why) : FXS_STORE_OK;
    return rc ? rc : fxs_ask(s, &job, why);
}

/* --- answers --- */

enum fxs_store_rc fxs_store_find_answer(struct fxs_store *s, const struct fxs_caller *caller,
                                        void **answer, size_t *size, uint64_t *entry,
                                        uint64_t *number, char *why)
{
    *answer = NULL;
    *size = 0;
    *entry = *number = 0;
    if (!caller->number)
        return FXS_STORE_NONE;
    enum fxs_store_rc rc = write_what_waits(s, 0, caller, why);
    if (rc != FXS_STORE_OK)
        return rc;
    pthread_mutex_lock(&s->reading);
    rc = fxs_db_find_answer(s->reader, caller, answer, size, entry, number, why);
    pthread_mutex_unlock(&s->reading);
    return rc;
}
