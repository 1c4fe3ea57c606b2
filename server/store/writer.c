/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes.  It takes all the jobs that wait and puts them into one transaction. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/store/internal.h"
#include "server/store/mark.h"
#include "server/store/spare.h"

enum {
    WAL_SIZE = 32 << 20,   /* moved into the database when nothing else is to be done */
    WAL_LARGE = 128 << 20, /* or at once */
    CHECKPOINT_MS = 200,   /* from one checkpoint to the next */
    TRIM_EACH = 16,        /* batches of jobs before records are trimmed while jobs wait */
    RETRY_MS = 100,        /* at least, if there is no space */
    GATHER_NS = 500000,    /* at most, for those who were told of the transaction before */
    HOUR_MS = 3600 * 1000
};

/* --- ends of jobs --- */

static bool is_append(const struct fxs_job *job)
{
    return job->kind == FXS_JOB_APPEND || job->kind == FXS_JOB_KEPT;
}

/* Tells whoever asked.  The job may be gone afterwards.  `why` NULL: the job has it. */
static void finish(struct fxs_store *s, struct fxs_job *job, enum fxs_store_rc rc, const char *why)
{
    char none[64];
    if (job->waits) {
        pthread_mutex_lock(&s->mutex);
        job->rc = rc;
        if (why)
            fxs_why(rc, job->why, "%s", why);
        job->finished = true;
        pthread_cond_broadcast(&s->finished);
        pthread_mutex_unlock(&s->mutex);
        return;
    }
    if (job->kind == FXS_JOB_APPEND) {
        if (!why) {
            snprintf(none, sizeof none, "there is no entry %" PRIu64, job->entry);
            why = none;
        }
        struct fxs_change *c = job->change;
        c->done(c, rc, rc == FXS_STORE_OK ? job->number : 0, rc == FXS_STORE_OK ? "" : why);
    }
    if (job->kind == FXS_JOB_KEPT) {
        pthread_mutex_lock(&s->mutex);
        s->kept_bytes -= job->size;
        pthread_cond_broadcast(&s->finished);
        pthread_mutex_unlock(&s->mutex);
    }
    free(job);
}

static void break_store(struct fxs_store *s, const char *why)
{
    pthread_mutex_lock(&s->mutex);
    bool first = !s->broken;
    s->broken = true;
    pthread_mutex_unlock(&s->mutex);
    if (!first)
        return;
    fxs_why(FXS_STORE_FAILED, s->broken_why, "%s", why);
    if (s->o.failed)
        s->o.failed(s->o.ctx, s->broken_why);
}

/* --- transactions --- */

/* Have these jobs, which were applied, made nothing but large records, which the segment has?  Then
 * their rows need not be durable.  Nor need answers, but for those that pass a record over. */
static bool is_in_stream(const struct fxs_store *s, const struct fxs_job *first,
                         const struct fxs_job *end, uint64_t number)
{
    uint64_t n = s->number;
    bool large = false;
    for (const struct fxs_job *job = first; job != end; job = job->next) {
        if (is_append(job) && job->rc == FXS_STORE_OK) {
            if (!job->in_segment || job->number != ++n)
                return false;
            large = true;
        } else if (!is_append(job) && job->kind != FXS_JOB_BARRIER &&
                   (job->kind != FXS_JOB_ANSWER || job->failed)) {
            return false;
        }
    }
    return large && n == number;
}

/* Writes the jobs from `first` up to `end`, all or none. */
static enum fxs_store_rc transaction(struct fxs_store *s, struct fxs_job *first,
                                     struct fxs_job *end, char *why)
{
    char undo[FXS_STORE_WHY];
    uint64_t number = s->number, appends = 0;
    int64_t now = fxs_now_ms();
    bool old = s->o.keep_answers_ms && now - s->answers_ms > HOUR_MS;
    enum fxs_store_rc rc = fxs_db_begin(s->writer, why);
    for (struct fxs_job *job = first; rc == FXS_STORE_OK && job != end; job = job->next) {
        rc = fxs_apply(s, job, &number, job->why ? job->why : why);
        if (rc != FXS_STORE_OK && job->why)
            fxs_why(rc, why, "%s", job->why);
        appends += rc == FXS_STORE_OK && is_append(job);
    }
    if (rc == FXS_STORE_OK && old)
        rc = fxs_db_drop_old_answers(s->writer, now - s->o.keep_answers_ms, why);
    /* The data of large records first, so that no row refers to what is not there. */
    bool later = rc == FXS_STORE_OK && is_in_stream(s, first, end, number), begun;
    (void)(rc || (rc = fxs_segment_sync(s, &begun, why)) ||
           (rc = fxs_db_commit(s->writer, later && !begun, why)));
    if (rc == FXS_STORE_FAILED)
        return rc; /* it may be on disk: nothing is removed */
    if (rc == FXS_STORE_OK) {
        fxs_mark_committed(s);
    } else {
        fxs_db_rollback(s->writer);
        if (fxs_segment_undo(s, undo) == FXS_STORE_FAILED) {
            fxs_why(rc, why, "%s", undo);
            return FXS_STORE_FAILED;
        }
    }
    fxs_free_now(s, rc == FXS_STORE_OK);
    fxs_segment_ended(s, rc == FXS_STORE_OK);
    if (rc == FXS_STORE_FULL)
        fxs_spares_drop(s->segments.spares);
    if (old && rc == FXS_STORE_OK)
        s->answers_ms = now;
    if (s->trim_again && rc == FXS_STORE_OK) {
        s->trim_again = false;
        s->trim = true;
    }
    pthread_mutex_lock(&s->mutex);
    s->full = rc == FXS_STORE_FULL;
    if (rc == FXS_STORE_OK) {
        s->number = number;
        if (s->accepted < number)
            s->accepted = number;
        s->appends += appends;
        s->commits++;
    }
    pthread_mutex_unlock(&s->mutex);
    return rc;
}

static bool writes(const struct fxs_job *first, const struct fxs_job *end)
{
    for (const struct fxs_job *job = first; job != end; job = job->next)
        if (job->kind != FXS_JOB_BARRIER && job->kind != FXS_JOB_FAIL)
            return true;
    return false;
}

/* Puts what nobody waits for, and cannot be written now (there is no space, say), back in front of
 * what waits.  stuck: changes that were accepted are among it. */
static void put_back(struct fxs_store *s, struct fxs_job *jobs, struct fxs_job **tail, bool stuck)
{
    pthread_mutex_lock(&s->mutex);
    s->stuck = stuck;
    s->put_back = jobs != NULL;
    pthread_cond_broadcast(&s->finished);
    if (jobs) {
        if (!s->head)
            s->tail = tail;
        *tail = s->head;
        s->head = jobs;
        s->due_ms = fxs_ticks_ms() + (s->o.interval_ms > RETRY_MS ? s->o.interval_ms : RETRY_MS);
    }
    pthread_mutex_unlock(&s->mutex);
}

bool fxs_may_pass(enum fxs_store_rc rc)
{
    return rc == FXS_STORE_FULL || rc == FXS_STORE_MEMORY || rc == FXS_STORE_BUSY;
}

/* Is this what the barrier's caller needs?  An entry's reader needs no answer, but must not make
 * a change again that has failed. */
static bool is_awaited(const struct fxs_job *job, const struct fxs_job *barrier)
{
    const struct fxs_caller *c = &barrier->caller;
    if (c->number)
        return c->number == job->caller.number && memcmp(c->id, job->caller.id, sizeof c->id) == 0;
    return job->entry == barrier->entry && (job->kind != FXS_JOB_ANSWER || job->failed);
}

/* Returns rc, what went wrong, if one of the jobs that are put back is awaited. */
static enum fxs_store_rc barrier(struct fxs_job *kept, struct fxs_job **tail,
                                 const struct fxs_job *job, enum fxs_store_rc rc)
{
    *tail = NULL;
    while (kept && !is_awaited(kept, job))
        kept = kept->next;
    return kept ? rc : FXS_STORE_OK;
}

static void process(struct fxs_store *s, struct fxs_job *jobs)
{
    char why[FXS_STORE_WHY] = "";
    struct fxs_job *next, *kept = NULL, **kept_tail = &kept;
    enum fxs_store_rc rc = FXS_STORE_OK, kept_rc = FXS_STORE_OK;
    for (struct fxs_job *job = jobs; job; job = job->next)
        if (job->kind == FXS_JOB_FAIL)
            break_store(s, job->text);
    if (s->broken)
        rc = FXS_STORE_FAILED;
    else if (writes(jobs, NULL))
        rc = transaction(s, jobs, NULL, why);
    if (rc == FXS_STORE_FAILED) {
        break_store(s, why);
        fxs_why(rc, why, "%s", s->broken_why);
    }
    bool together = rc == FXS_STORE_OK || rc == FXS_STORE_FAILED;
    bool single = !jobs->next;
    for (struct fxs_job *job = jobs; job; job = next) {
        enum fxs_store_rc own = rc;
        next = job->next;
        /* Something was wrong with one of them: each by itself.  Changes that were accepted stay in
         * their order. */
        if (!together && !single) {
            /* Nor may the answer to a change be kept without it. */
            if (job->kind == FXS_JOB_BARRIER)
                own = barrier(kept, kept_tail, job, rc);
            else if (kept_rc && (job->kind == FXS_JOB_KEPT || job->kind == FXS_JOB_ANSWER))
                own = kept_rc;
            else if (s->broken)
                own = FXS_STORE_FAILED;
            else
                own = transaction(s, job, next, why);
            if (own == FXS_STORE_FAILED) {
                break_store(s, why);
                fxs_why(own, why, "%s", s->broken_why);
            }
        }
        if (fxs_may_pass(own) &&
            (job->kind == FXS_JOB_KEPT || (job->kind == FXS_JOB_ANSWER && !job->waits))) {
            if (job->kind == FXS_JOB_KEPT)
                kept_rc = own;
            *kept_tail = job;
            kept_tail = &job->next;
            continue;
        }
        /* Nobody waits who could be told, and those that follow need it. */
        if (job->kind == FXS_JOB_KEPT && own != FXS_STORE_OK && own != FXS_STORE_FAILED)
            break_store(s, why);
        finish(s, job, own == FXS_STORE_OK ? job->rc : own, own == FXS_STORE_OK ? NULL : why);
    }
    *kept_tail = NULL;
    put_back(s, kept, kept_tail, kept_rc != FXS_STORE_OK);
}

/* --- upkeep --- */

static void trim(struct fxs_store *s)
{
    char why[FXS_STORE_WHY];
    bool more = false;
    enum fxs_store_rc rc = fxs_db_begin(s->writer, why);
    (void)(rc || (rc = fxs_trim_step(s, s->number, &more, why)) ||
           (rc = fxs_db_commit(s->writer, false, why)));
    if (rc == FXS_STORE_FAILED) {
        break_store(s, why);
        return;
    }
    if (rc == FXS_STORE_OK)
        fxs_mark_committed(s);
    else
        fxs_db_rollback(s->writer);
    fxs_free_now(s, rc == FXS_STORE_OK);
    fxs_segment_ended(s, rc == FXS_STORE_OK);
    s->trim = more && rc == FXS_STORE_OK;
    s->trim_again = rc != FXS_STORE_OK;
}

static void checkpoint(struct fxs_store *s)
{
    char why[FXS_STORE_WHY];
    /* Without space the log stays as it is, and grows. */
    enum fxs_store_rc rc = fxs_db_checkpoint(s->writer, why);
    if (rc == FXS_STORE_OK && fxs_db_wal_bytes(s->writer) == 0)
        rc = fxs_mark_clear(s, why);
    if (rc == FXS_STORE_FAILED)
        break_store(s, why);
    s->checkpoint_ms = fxs_ticks_ms() + CHECKPOINT_MS;
}

/* --- the thread --- */

/* Waits until the jobs have to be written, or for upkeep.  The mutex is held. */
static void wait_for_work(struct fxs_store *s)
{
    while (!s->stop && !s->urgent) {
        bool large = fxs_db_wal_bytes(s->writer) > WAL_SIZE && fxs_ticks_ms() >= s->checkpoint_ms;
        if (!s->broken && (s->trim || large))
            return;
        if (!s->due_ms) {
            pthread_cond_wait(&s->work, &s->mutex);
            continue;
        }
        if (fxs_ticks_ms() >= s->due_ms)
            return;
        struct timespec until = {s->due_ms / 1000, s->due_ms % 1000 * 1000000};
        pthread_cond_timedwait(&s->work, &s->mutex, &until);
    }
}

/* If many ask at the same time, those who were told a moment ago are about to ask again, and a
 * transaction should have at least half of them.  One who asks alone never waits.  The mutex is
 * held. */
static void gather(struct fxs_store *s)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += GATHER_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    s->enough = s->crowd / 2;
    while (!s->stop && s->urgent && s->urgent < s->enough)
        if (pthread_cond_timedwait(&s->work, &s->mutex, &until) != 0)
            break;
    s->enough = 0;
}

static void *writer(void *arg)
{
    struct fxs_store *s = arg;
    unsigned batches = 0;
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        wait_for_work(s);
        gather(s);
        struct fxs_job *jobs = NULL;
        unsigned taken = s->urgent;
        bool upkeep = !s->urgent && !s->stop && !(s->due_ms && fxs_ticks_ms() >= s->due_ms);
        if (!upkeep) {
            jobs = s->head;
            s->head = NULL;
            s->tail = &s->head;
            s->urgent = 0;
            s->due_ms = 0;
        }
        bool ends = s->stop;
        pthread_mutex_unlock(&s->mutex);
        if (jobs)
            process(s, jobs);
        batches++;
        if (!s->broken && s->trim && (upkeep || batches % TRIM_EACH == 0))
            trim(s);
        uint64_t wal = fxs_db_wal_bytes(s->writer);
        if (!s->broken && (wal > WAL_LARGE || (wal > WAL_SIZE && upkeep && !s->trim)) &&
            fxs_ticks_ms() >= s->checkpoint_ms)
            checkpoint(s);
        pthread_mutex_lock(&s->mutex);
        s->crowd -= (s->crowd + 3) / 4;
        if (s->crowd < taken + s->urgent)
            s->crowd = taken + s->urgent;
        if (ends && (!s->head || s->put_back))
            break;
    }
    struct fxs_job *lost = s->head;
    s->head = NULL;
    pthread_mutex_unlock(&s->mutex);
    /* Changes that were accepted, and cannot be written: the engine has to know. */
    if (s->stuck && !s->broken)
        break_store(s, "there is no space left for changes that were accepted");
    for (struct fxs_job *next; lost; lost = next) {
        next = lost->next;
        finish(s, lost, FXS_STORE_FAILED, s->broken ? s->broken_why : "the store is closed");
    }
    /* Closing the database would do this, too, but would not tell whether it failed. */
    if (!s->broken)
        checkpoint(s);
    /* Otherwise the log stays: the mark says how long it is. */
    s->tidy = !s->broken && fxs_db_wal_bytes(s->writer) == 0;
    return NULL;
}

enum fxs_store_rc fxs_writer_start(struct fxs_store *s, char *why)
{
    s->tail = &s->head;
    s->trim = true;
    int e = pthread_create(&s->thread, NULL, writer, s);
    if (e)
        return fxs_why(FXS_STORE_MEMORY, why, "cannot start the store's thread: %s", strerror(e));
    s->started = true;
    return FXS_STORE_OK;
}

void fxs_writer_stop(struct fxs_store *s)
{
    if (!s->started)
        return;
    pthread_mutex_lock(&s->mutex);
    s->stop = true;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
}
