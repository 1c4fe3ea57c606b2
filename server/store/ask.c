/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the writer: changes and answers, for which nobody waits here, and all that is waited for.
 */
#include <stdlib.h>
#include <string.h>

#include "server/store/internal.h"

enum {
    ANSWER_MS = 200,      /* how long an answer waits for a transaction that it can go with */
    KEPT_SOON = 8 << 20,  /* bytes in memory that are written before interval_ms is over */
    KEPT_MAX = 256 << 20, /* bytes in memory above which fxs_store_append waits */
};

/* The mutex is held. */
static void enqueue(struct fxs_store *s, struct fxs_job *job, int64_t due_ms)
{
    job->next = NULL;
    *s->tail = job;
    s->tail = &job->next;
    if (!due_ms)
        s->urgent++;
    else if (!s->due_ms || due_ms < s->due_ms)
        s->due_ms = due_ms;
    if (s->urgent >= s->enough)
        pthread_cond_signal(&s->work);
}

enum fxs_store_rc fxs_ask(struct fxs_store *s, struct fxs_job *job, char *why)
{
    char unused[FXS_STORE_WHY];
    job->why = why ? why : unused;
    job->waits = true;
    job->finished = false;
    job->ms = fxs_now_ms();
    pthread_mutex_lock(&s->mutex);
    enqueue(s, job, 0);
    while (!job->finished)
        pthread_cond_wait(&s->finished, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    return job->rc;
}

/* Without durability the change has its number at once, and `job` is its copy (or NULL: nothing is
 * recorded). */
static void accept_now(struct fxs_store *s, struct fxs_change *c, struct fxs_job *job)
{
    enum fxs_store_rc rc = FXS_STORE_OK;
    uint64_t number = 0;
    const char *why = "";
    pthread_mutex_lock(&s->order);
    pthread_mutex_lock(&s->mutex);
    while (s->kept_bytes > KEPT_MAX && !s->broken && !s->stuck)
        pthread_cond_wait(&s->finished, &s->mutex);
    if (s->broken) {
        rc = FXS_STORE_FAILED;
        why = "the store has failed";
    } else if (s->stuck) {
        rc = FXS_STORE_FULL;
        why = "no space left on the device";
    } else {
        number = ++s->accepted;
        s->appends += job == NULL;
        if (job) {
            job->number = number;
            s->kept_bytes += job->size;
            enqueue(s, job, s->kept_bytes > KEPT_SOON ? 0 : fxs_ticks_ms() + s->o.interval_ms);
            job = NULL;
        }
    }
    pthread_mutex_unlock(&s->mutex);
    c->done(c, rc, number, why);
    pthread_mutex_unlock(&s->order);
    free(job);
}

void fxs_store_append(struct fxs_store *s, struct fxs_change *c)
{
    size_t size = 0;
    bool copy = s->o.durability == FXS_DURABLE_INTERVAL;
    if (s->o.durability == FXS_DURABLE_SNAPSHOT) {
        accept_now(s, c, NULL);
        return;
    }
    for (int i = 0; copy && i < c->nparts; i++)
        size += c->parts[i].iov_len;
    struct fxs_job *job = calloc(1, sizeof *job + size);
    if (!job) {
        c->done(c, FXS_STORE_MEMORY, 0, "no memory for the record");
        return;
    }
    job->kind = copy ? FXS_JOB_KEPT : FXS_JOB_APPEND;
    job->entry = c->entry;
    job->caller = c->caller;
    job->ms = fxs_now_ms();
    if (copy) {
        uint8_t *to = (uint8_t *)(job + 1);
        job->data = to;
        job->size = size;
        for (int i = 0; i < c->nparts; to += c->parts[i++].iov_len)
            if (c->parts[i].iov_len)
                memcpy(to, c->parts[i].iov_base, c->parts[i].iov_len);
        accept_now(s, c, job);
        return;
    }
    job->change = c;
    pthread_mutex_lock(&s->mutex);
    enqueue(s, job, 0);
    pthread_mutex_unlock(&s->mutex);
}

bool fxs_store_has_unwritten(struct fxs_store *s)
{
    pthread_mutex_lock(&s->mutex);
    bool some = s->kept_bytes > 0;
    pthread_mutex_unlock(&s->mutex);
    return some;
}

void fxs_store_answer(struct fxs_store *s, const struct fxs_caller *caller, uint64_t oldest,
                      uint64_t entry, uint64_t number, int failed, const void *answer, size_t size)
{
    struct fxs_job what = {.kind = FXS_JOB_ANSWER,
                           .entry = entry,
                           .number = number,
                           .caller = *caller,
                           .oldest = oldest,
                           .failed = failed,
                           .data = answer,
                           .size = size};
    if (s->o.durability == FXS_DURABLE_SNAPSHOT)
        return; /* there is no record that could give it again */
    /* A change that failed must not be made after a crash, when its caller has been told. */
    if (failed && !fxs_may_pass(fxs_ask(s, &what, NULL)))
        return;
    struct fxs_job *job = calloc(1, sizeof *job + size + 1);
    if (!job)
        return; /* replaying the record gives it again */
    *job = what;
    job->why = NULL;
    job->waits = false;
    job->data = job + 1;
    job->ms = fxs_now_ms();
    if (size)
        memcpy(job + 1, answer, size);
    pthread_mutex_lock(&s->mutex);
    enqueue(s, job, fxs_ticks_ms() + ANSWER_MS);
    pthread_mutex_unlock(&s->mutex);
}
