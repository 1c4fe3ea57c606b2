/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/engine/guard/facts.h"
#include "server/engine/keep/keep.h"
#include "server/engine/keep/written.h"
#include "server/engine/run/answers.h"

void fxe_written_drop(struct fxe_written *s)
{
    fxs_snapshot_abandon(fxe_keep_store(), &s->w);
}

int fxe_written_bytes(const struct fxe_obj *o, struct fxs_snapshot *w, char *why)
{
    int rc = fxe_is_binary(o) ? fxe_api()->write_index_binary(o->ptr, w->file)
                              : fxe_api()->write_index(o->ptr, w->file);
    if (rc != 0)
        snprintf(why, FXS_STORE_WHY, "%s", fxe_api()->get_last_error());
    return rc;
}

void fxe_moment_take(struct fxe_kept *k, const struct fxe_obj *o, struct fxe_moment *m)
{
    fxe_note_take(&k->note, o);
    *m = (struct fxe_moment){.applied = k->applied,
                             .log_bytes = k->log_bytes,
                             .trimmed_bytes = k->trimmed_bytes,
                             .unlogged = k->unlogged,
                             .number = ++k->moments,
                             .busy_ms = k->busy_ms,
                             .trimmed_ms = k->trimmed_ms,
                             .begun_ms = fxe_now_ms(),
                             .cls = fx_classes[fx_root(k->obj->cls)].name,
                             .note = k->note};
}

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Puts the reply that r will have into the commit.  *answer is freed by the caller. */
static void add_answer(struct fxs_snapshot_commit *c, struct fxe_req *r, void **answer)
{
    struct fx_frame frames[FX_FRAMES_MAX];
    if (!r || !fxe_answers_caller(r, &c->caller))
        return;
    int n = fxe_reply_pack(r, frames);
    *answer = fxe_answer_pack(frames, n, &c->answer_size);
    c->answer = *answer;
}

/* The index, and other snapshots of it, have gone on since the moment.  The caller holds
 * engine.lock. */
static void committed(struct fxe_kept *k, const struct fxe_moment *m)
{
    uint64_t bytes = m->log_bytes - (k->trimmed_bytes - m->trimmed_bytes);
    int64_t ms = m->busy_ms - (k->trimmed_ms - m->trimmed_ms);
    k->newest = m->number;
    k->snapshot_ms = m->begun_ms;
    if (k->unlogged_stored < m->unlogged)
        k->unlogged_stored = m->unlogged;
    k->log_bytes -= bytes;
    k->trimmed_bytes += bytes;
    k->busy_ms -= ms;
    k->trimmed_ms += ms;
}

/* What is committed, one for each snapshot. */
struct commits {
    struct fxs_snapshot_ready *ready;
    msgpack_sbuffer *notes;
};

/* Returns 0, or -1 if memory is out; the caller frees it in both cases. */
static int make_commits(struct commits *c, int n)
{
    c->ready = calloc((size_t)n, sizeof *c->ready);
    c->notes = calloc((size_t)n, sizeof *c->notes);
    return c->ready && c->notes ? 0 : -1;
}

static void free_commits(struct commits *c, int n)
{
    for (int i = 0; c->notes && i < n; i++)
        msgpack_sbuffer_destroy(&c->notes[i]);
    free(c->notes);
    free(c->ready);
}

static int write_commits(struct commits *c, struct fxe_written *list, int n, const char *name,
                         const struct fxs_snapshot_commit *reply, char *why)
{
    for (int i = 0; i < n; i++) {
        struct fxe_written *s = &list[i];
        struct fxs_snapshot_commit *commit = &c->ready[i].commit;
        fxs_note_write(&s->m.note, &c->notes[i]);
        c->ready[i].w = &s->w;
        c->ready[i].sum = &s->sum;
        *commit = *reply;
        commit->entry = s->k->entry;
        commit->cls = s->m.cls;
        commit->position = s->m.applied;
        commit->note = c->notes[i].data;
        commit->note_size = c->notes[i].size;
        commit->name = name;
    }
    return fxs_snapshots_commit(fxe_keep_store(), c->ready, n, why) == FXS_STORE_OK ? 0 : -1;
}

/* k->obj may be gone, if this is a snapshot in the background.  The caller holds k->committing of
 * each.  Only one of them has a name, if any. */
static int commit_newest(struct fxe_written *list, int n, const char *name, struct fxe_req *r,
                         char *why)
{
    struct commits c;
    struct fxs_snapshot_commit reply = {.answer = NULL};
    void *answer = NULL;
    int rc = make_commits(&c, n);
    if (rc == 0) {
        add_answer(&reply, r, &answer);
        rc = write_commits(&c, list, n, name, &reply, why);
    } else {
        snprintf(why, FXS_STORE_WHY, "no memory for %d snapshots", n);
        for (int i = 0; i < n; i++)
            fxe_written_drop(&list[i]);
    }
    fxe_lock();
    for (int i = 0; i < n && rc == 0; i++) {
        struct fxe_kept *k = list[i].k;
        if (!c.ready[i].entry)
            continue;
        k->entry = c.ready[i].entry;
        k->snapshot_bytes = list[i].sum.bytes;
        committed(k, &list[i].m);
        k->stored_ms = wall_ms();
    }
    fxe_unlock();
    free_commits(&c, n);
    free(answer);
    return rc;
}

/* A snapshot that was begun before another one, and is complete after it, is of no use: it lacks
 * changes "by state", which have no records. */
static int commit_locked(struct fxe_written *s, const char *name, struct fxe_req *r, char *why)
{
    int rc = 0;
    if (s->m.number > s->k->newest)
        rc = commit_newest(s, 1, name, r, why);
    else
        fxe_written_drop(s);
    return rc;
}

int fxe_written_commit(struct fxe_written *s, const char *name, struct fxe_req *r, char *why)
{
    pthread_mutex_lock(&s->k->committing);
    int rc = commit_locked(s, name, r, why);
    pthread_mutex_unlock(&s->k->committing);
    return rc;
}

int fxe_written_try_commit(struct fxe_written *s, char *why)
{
    if (pthread_mutex_trylock(&s->k->committing) != 0) {
        fxe_written_drop(s);
        snprintf(why, FXS_STORE_WHY, "the index was being read again when it was complete");
        return -1;
    }
    int rc = commit_locked(s, NULL, NULL, why);
    pthread_mutex_unlock(&s->k->committing);
    return rc;
}

int fxe_written_file(struct fxe_written *s, struct fxe_kept *k, const struct fxe_obj *o, char *why)
{
    s->k = k;
    enum fxs_store_rc rc = fxs_snapshot_begin(fxe_keep_store(), &s->w, why);
    if (rc != FXS_STORE_OK)
        return -1;
    fxe_lock();
    fxe_moment_take(k, o, &s->m);
    fxe_unlock();
    int unwritable = fxe_written_bytes(o, &s->w, why) != 0 && !ferror(s->w.file);
    if (!unwritable && fxs_snapshot_end(&s->w, &s->sum, why) == FXS_STORE_OK)
        return 0;
    fxe_written_drop(s);
    return unwritable ? 1 : -1;
}

static int snapshot_of(struct fxe_kept *k, const struct fxe_obj *o, const char *name,
                       struct fxe_req *r, char *why)
{
    struct fxe_written s;
    int rc = fxe_written_file(&s, k, o, why);
    return rc ? rc : fxe_written_commit(&s, name, r, why);
}

int fxe_snapshot_now(struct fxe_kept *k, const char *name, struct fxe_req *r, char *why)
{
    return snapshot_of(k, k->obj, name, r, why);
}

int fxe_snapshots_now(struct fxe_kept **some, int n, struct fxe_req *r, char *why)
{
    struct fxe_written *list = calloc((size_t)n + 1, sizeof *list);
    int rc = 0, done = 0;
    if (!list) {
        snprintf(why, FXS_STORE_WHY, "no memory for %d snapshots", n);
        return -1;
    }
    while (done < n && (rc = fxe_written_file(&list[done], some[done], some[done]->obj, why)) == 0)
        done++;
    if (rc != 0) {
        while (done > 0)
            fxe_written_drop(&list[--done]);
        free(list);
        return rc;
    }
    /* They are the newest, as nobody else has had the indexes since.  Others lock one at a time. */
    for (int i = 0; i < n; i++)
        pthread_mutex_lock(&some[i]->committing);
    rc = n ? commit_newest(list, n, NULL, r, why) : 0;
    for (int i = 0; i < n; i++)
        pthread_mutex_unlock(&some[i]->committing);
    free(list);
    return rc;
}

int fxe_snapshot_next(struct fxe_kept *k, const struct fxe_obj *next, struct fxe_req *r, char *why)
{
    int rc = snapshot_of(k, next, NULL, r, why);
    if (rc != 0) {
        fxe_lock();
        fxe_note_take(&k->note, k->obj);
        fxe_unlock();
    }
    return rc;
}
