/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer does for each request, within a transaction. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "server/store/internal.h"

enum { TRIM_RECORDS = 256 }; /* in a transaction: of at most FXS_INLINE_MAX bytes each */

uint64_t fxs_row_hash(const struct fxs_row *row, const struct iovec *parts, int nparts)
{
    XXH3_state_t state;
    uint64_t fields[] = {row->number,       row->entry,         row->previous,
                         (uint64_t)row->ms, row->caller.number, row->size};
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, fields, sizeof fields);
    if (row->caller.number)
        XXH3_64bits_update(&state, row->caller.id, FXS_CALLER_SIZE);
    for (int i = 0; i < nparts; i++)
        if (parts[i].iov_len)
            XXH3_64bits_update(&state, parts[i].iov_base, parts[i].iov_len);
    return XXH3_64bits_digest(&state);
}

/* --- what is removed after the commit --- */

static void free_later(struct fxs_store *s, const struct fxs_freed *f)
{
    if (s->nfreed == s->freed_cap) {
        size_t cap = s->freed_cap * 2 + 64;
        struct fxs_freed *list = realloc(s->freed, cap * sizeof *list);
        if (!list)
            return; /* it is removed when the store is opened */
        s->freed = list;
        s->freed_cap = cap;
    }
    s->freed[s->nfreed++] = *f;
}

static void free_file(struct fxs_store *s, const char *file)
{
    struct fxs_freed f = {0};
    snprintf(f.file, sizeof f.file, "%s", file);
    free_later(s, &f);
}

static void free_record(void *ctx, const struct fxs_row *row)
{
    if (row->segment)
        free_later(ctx, &(struct fxs_freed){
                            .segment = row->segment, .offset = row->offset, .size = row->size});
}

void fxs_free_now(struct fxs_store *s, bool committed)
{
    for (size_t i = 0; committed && i < s->nfreed; i++)
        if (s->freed[i].segment)
            fxs_segment_free(s, s->freed[i].segment);
        else
            fxs_remove_file(s, s->freed[i].file);
    for (size_t i = 0; committed && i < s->nfreed; i++)
        if (s->freed[i].segment)
            fxs_segment_punch(s, s->freed[i].segment, s->freed[i].offset, s->freed[i].size);
    s->nfreed = 0;
}

/* --- records --- */

static void gather(uint8_t *to, const struct iovec *parts, int nparts)
{
    for (int i = 0; i < nparts; i++) {
        if (parts[i].iov_len)
            memcpy(to, parts[i].iov_base, parts[i].iov_len);
        to += parts[i].iov_len;
    }
}

static enum fxs_store_rc append(struct fxs_store *s, struct fxs_job *job, uint64_t *number,
                                char *why)
{
    struct iovec whole = {(void *)(uintptr_t)job->data, job->size};
    const struct iovec *parts = job->change ? job->change->parts : &whole;
    int nparts = job->change ? job->change->nparts : 1;
    struct fxs_db_entry e;
    enum fxs_store_rc rc = fxs_db_entry(s->writer, job->entry, &e, why);
    if (rc == FXS_STORE_NONE) {
        job->rc = rc;
        return FXS_STORE_OK;
    }
    if (rc != FXS_STORE_OK)
        return rc;
    if (job->kind == FXS_JOB_APPEND)
        job->number = ++*number;
    else if (*number < job->number)
        *number = job->number;
    job->in_segment = false;
    if (job->number <= e.position)
        return FXS_STORE_OK; /* it waited for space, and a snapshot has it by now */
    struct fxs_row row = {.number = job->number,
                          .entry = job->entry,
                          .previous = e.last,
                          .caller = job->caller,
                          .ms = job->ms,
                          .flags = FXS_ROW_NEW};
    for (int i = 0; i < nparts; i++)
        row.size += parts[i].iov_len;
    row.hash = fxs_row_hash(&row, parts, nparts);
    job->in_segment = row.size > FXS_INLINE_MAX;
    if (job->in_segment) {
        rc = fxs_segment_write(s, parts, nparts, &row, why);
    } else {
        gather(s->scratch, parts, nparts);
        row.data = s->scratch;
    }
    (void)(rc || (rc = fxs_db_add_record(s->writer, &row, why)) ||
           (rc = fxs_db_set_head(s->writer, job->entry, row.number, e.log_bytes + row.size, why)));
    if (rc == FXS_STORE_OK && job->caller.number)
        rc = fxs_db_put_answer(s->writer, &job->caller, job->entry, row.number, NULL, 0, job->ms,
                               why);
    return rc;
}

static enum fxs_store_rc answer(struct fxs_store *s, struct fxs_job *job, char *why)
{
    enum fxs_store_rc rc = FXS_STORE_OK;
    rc = fxs_db_flag_record(s->writer, job->entry, job->number,
                            job->failed ? FXS_ROW_FAILED : FXS_ROW_MADE, NULL, why);
    if (rc == FXS_STORE_NONE) /* a snapshot has made it unneeded */
        rc = FXS_STORE_OK;
    if (rc == FXS_STORE_OK && job->caller.number)
        (void)((rc = fxs_db_put_answer(s->writer, &job->caller, job->entry, job->number, job->data,
                                       job->size, job->ms, why)) ||
               (rc = fxs_db_drop_answers(s->writer, &job->caller, job->oldest, why)));
    return rc;
}

static enum fxs_store_rc set_aside(struct fxs_store *s, struct fxs_job *job, char *why)
{
    struct fxs_db_entry e;
    uint64_t bytes;
    enum fxs_store_rc rc = fxs_db_entry(s->writer, job->entry, &e, why);
    (void)(rc ||
           (rc = fxs_db_flag_record(s->writer, job->entry, job->number, FXS_ROW_ASIDE, job->text,
                                    why)) ||
           (rc = fxs_db_log_bytes(s->writer, job->entry, e.position, &bytes, why)) ||
           (rc = fxs_db_set_head(s->writer, job->entry, e.last, bytes, why)));
    return rc;
}

/* --- names --- */

/* Removes the entry if it has no name. */
static enum fxs_store_rc reap(struct fxs_store *s, uint64_t id, char *why)
{
    struct fxs_db_entry e;
    uint64_t names;
    enum fxs_store_rc rc = fxs_db_count_names(s->writer, id, &names, why);
    if (rc != FXS_STORE_OK || names)
        return rc;
    if ((rc = fxs_db_entry(s->writer, id, &e, why)) != FXS_STORE_OK)
        return rc == FXS_STORE_NONE ? FXS_STORE_OK : rc;
    free_file(s, e.file);
    s->trim = true;
    return fxs_db_remove_entry(s->writer, id, why);
}

static enum fxs_store_rc give_name(struct fxs_store *s, uint64_t id, const char *name, char *why)
{
    uint64_t before = 0;
    enum fxs_store_rc rc = fxs_db_named(s->writer, name, &before, why);
    if (rc != FXS_STORE_OK && rc != FXS_STORE_NONE)
        return rc;
    if (rc == FXS_STORE_OK && before == id)
        return rc;
    bool taken = rc == FXS_STORE_OK;
    rc = fxs_db_set_name(s->writer, name, id, why);
    if (rc == FXS_STORE_OK && taken)
        rc = reap(s, before, why);
    return rc;
}

static enum fxs_store_rc name(struct fxs_store *s, struct fxs_job *job, char *why)
{
    struct fxs_db_entry e;
    uint64_t other;
    enum fxs_store_rc rc = fxs_db_entry(s->writer, job->entry, &e, why);
    (void)(rc || (rc = give_name(s, job->entry, job->text, why)));
    if (rc != FXS_STORE_OK || !job->file)
        return rc;
    rc = fxs_db_named(s->writer, job->file, &other, why);
    if (rc == FXS_STORE_NONE)
        return FXS_STORE_OK;
    (void)(rc || (rc = fxs_db_remove_name(s->writer, job->file, why)) ||
           (rc = reap(s, other, why)));
    return rc;
}

static enum fxs_store_rc unname(struct fxs_store *s, struct fxs_job *job, char *why)
{
    enum fxs_store_rc rc = fxs_db_named(s->writer, job->text, &job->entry, why);
    if (rc == FXS_STORE_OK && job->file)
        rc = give_name(s, job->entry, job->file, why);
    (void)(rc || (rc = fxs_db_remove_name(s->writer, job->text, why)) ||
           (rc = reap(s, job->entry, why)));
    if (rc == FXS_STORE_OK && job->caller.number)
        rc = fxs_db_put_answer(s->writer, &job->caller, job->entry, 0, job->data ? job->data : "",
                               job->size, job->ms, why);
    return rc;
}

/* --- snapshots --- */

static enum fxs_store_rc commit(struct fxs_store *s, struct fxs_job *job, uint64_t *number,
                                char *why)
{
    const struct fxs_snapshot_commit *c = job->commit;
    struct fxs_db_entry e = {0};
    uint64_t bytes;
    enum fxs_store_rc rc = c->entry ? fxs_db_entry(s->writer, c->entry, &e, why) : FXS_STORE_OK;
    if (rc != FXS_STORE_OK)
        return rc;
    if (e.position > c->position)
        return fxs_why(FXS_STORE_NONE, why,
                       "entry %" PRIu64 " has a snapshot at position %" PRIu64
                       ", which is newer than %" PRIu64,
                       c->entry, e.position, c->position);
    uint64_t last = e.last > c->position ? e.last : c->position;
    (void)((rc = fxs_db_put_entry(s->writer, job->entry, c, job->sum, job->file, job->ms, why)) ||
           (rc = fxs_db_log_bytes(s->writer, job->entry, c->position, &bytes, why)) ||
           (rc = fxs_db_set_head(s->writer, job->entry, last, bytes, why)) ||
           (rc = fxs_db_set_newest(s->writer, c->position, job->entry, why)) ||
           (rc = fxs_db_trim_later(s->writer, job->entry, c->position, why)));
    if (rc == FXS_STORE_OK && c->name)
        rc = give_name(s, job->entry, c->name, why);
    if (rc == FXS_STORE_OK && c->caller.number)
        rc = fxs_db_put_answer(s->writer, &c->caller, job->entry, c->position,
                               c->answer ? c->answer : "", c->answer ? c->answer_size : 0, job->ms,
                               why);
    if (rc != FXS_STORE_OK)
        return rc;
    if (c->entry)
        free_file(s, e.file);
    s->trim = true;
    if (*number < c->position)
        *number = c->position;
    return FXS_STORE_OK;
}

/* An entry that has been removed keeps no other from its snapshot. */
static enum fxs_store_rc commit_all(struct fxs_store *s, struct fxs_job *job, uint64_t *number,
                                    char *why)
{
    enum fxs_store_rc rc = FXS_STORE_OK;
    for (; job && rc == FXS_STORE_OK; job = job->with) {
        rc = commit(s, job, number, why);
        job->rc = rc;
        if (rc == FXS_STORE_NONE)
            rc = FXS_STORE_OK;
    }
    return rc;
}

enum fxs_store_rc fxs_trim_step(struct fxs_store *s, uint64_t number, bool *more, char *why)
{
    uint64_t entry, upto;
    int n = 0;
    enum fxs_store_rc rc = fxs_db_trim_next(s->writer, &entry, &upto, why);
    *more = rc == FXS_STORE_OK;
    if (rc != FXS_STORE_OK)
        return rc == FXS_STORE_NONE ? FXS_STORE_OK : rc;
    rc = fxs_db_remove_records(s->writer, entry, upto, TRIM_RECORDS, free_record, s, &n, why);
    if (rc == FXS_STORE_OK && n < TRIM_RECORDS)
        rc = fxs_db_trim_done(s->writer, entry, why);
    /* The newest record's number must not be forgotten with the record. */
    return rc ? rc : fxs_db_set_newest(s->writer, number, 0, why);
}

enum fxs_store_rc fxs_apply(struct fxs_store *s, struct fxs_job *job, uint64_t *number, char *why)
{
    enum fxs_store_rc rc = FXS_STORE_OK;
    job->rc = FXS_STORE_OK;
    switch (job->kind) {
    case FXS_JOB_APPEND:
    case FXS_JOB_KEPT:
        return append(s, job, number, why);
    case FXS_JOB_ANSWER:
        return answer(s, job, why);
    case FXS_JOB_COMMIT:
        return commit_all(s, job, number, why);
    case FXS_JOB_NAME:
        rc = name(s, job, why);
        break;
    case FXS_JOB_UNNAME:
        rc = unname(s, job, why);
        break;
    case FXS_JOB_ASIDE:
        rc = set_aside(s, job, why);
        break;
    case FXS_JOB_BARRIER:
    case FXS_JOB_FAIL:
        break;
    }
    /* Such a job has changed nothing. */
    if (rc == FXS_STORE_NONE) {
        job->rc = rc;
        rc = FXS_STORE_OK;
    }
    return rc;
}
