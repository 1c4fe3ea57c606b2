/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training one index, by the thread that trains.
 *
 * It has the index's lock for reading while it copies vectors, and while the result is written to
 * disk; the lock becomes one for writing for the moment in which the one takes the place of the
 * other, so that there is no change that neither has.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/part.h"
#include "server/engine/catalogue/vectors.h"
#include "server/engine/guard/description.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/guard.h"
#include "server/engine/guard/room.h"
#include "server/engine/keep/keep.h"
#include "server/engine/training/held.h"
#include "server/engine/training/training.h"
#include "server/log.h"

enum {
    ROUNDS = 6,       /* without its lock, to carry over what has changed */
    FEW = 1000,       /* vectors: so many are carried over with it */
    BLOCK = 16 << 20, /* bytes to add at once */
    COPIES = 4,       /* of the vectors that are in memory at the same time */
    GIVEN_COPIES = 2,
    LITTLE = 64 << 20
};

static struct {
    pthread_mutex_t lock; /* held while one index takes the place of another */
    bool stopped;         /* none does any more */
} replacing = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct job {
    struct fxe_req r; /* of nobody: for the parts, and for the error */
    struct fxe_obj *o;
    const struct fxs_plan *plan;
    struct fxe_req *asked; /* requests that are answered when it has ended */
    struct fxe_req *hold;  /* the lock, or NULL */
    struct fxe_obj next;   /* what it becomes */
    int64_t have;          /* vectors that it was given, or are not for it */
    uint64_t seen;         /* changes of the index that are in it */
    struct fxe_obj old;    /* what it was, to be freed */
    struct fxe_kept *kept; /* with the lock: recorded changes wait (keep.h); or NULL */
    bool gone;             /* nobody can use the index any more, */
    bool dropped;          /* or it is only on disk */
    bool within; /* another object contains it, which would keep a pointer to what it was */
};

/* --- the lock --- */

static int is_gone(struct job *j)
{
    return fxe_fail(&j->r, "handle", "%s: the index is gone", j->r.operation->name);
}

/* Recorded changes stay in their queue until the lock is given back.  If one of them waited for it,
 * searches would have to wait behind that. */
static void stop_changes(struct job *j)
{
    fxe_lock();
    j->kept = j->o->kept;
    if (j->kept) {
        fxe_keep_use(j->kept);
        j->kept->still = true;
    }
    fxe_unlock();
}

static void let_changes_go_on(struct job *j)
{
    fxe_lock();
    if (j->kept) {
        j->kept->still = j->kept->replacing = false;
        fxe_change_run_first(j->kept);
        fxe_keep_leave(j->kept);
    }
    fxe_unlock();
    j->kept = NULL;
}

static void release(struct job *j)
{
    if (j->hold)
        fxe_hold_end(j->hold);
    j->hold = NULL;
    let_changes_go_on(j);
}

/* While it is locked, no other object comes to contain it: calls that do that lock it for writing.
 */
static int hold(struct job *j)
{
    stop_changes(j);
    j->hold = fxe_hold_object(j->o);
    if (!j->hold)
        return fxe_fail(&j->r, "limit", "%s: the server is out of memory", j->r.operation->name);
    fxe_lock();
    j->gone = !j->o->named && !j->o->naliases;
    j->dropped = !j->o->ptr;
    j->within = fxe_obj_is_within_others(j->o);
    fxe_unlock();
    if (j->gone)
        return is_gone(j);
    if (j->dropped)
        return fxe_fail(&j->r, "limit",
                        "%s: the index is only on disk now, because a change has failed halfway "
                        "or memory was needed; it can be trained when it has been read again",
                        j->r.operation->name);
    if (j->within)
        return fxe_fail(&j->r, "argument",
                        "%s: an object that a client of the C API has made contains the index or a "
                        "part of it; expected none, because the index becomes another object of "
                        "FAISS when it has been trained",
                        j->r.operation->name);
    return 0;
}

/* Without its lock: is it of any use to go on? */
static int check_wanted(struct job *j)
{
    fxe_lock();
    j->gone = !j->o->named && !j->o->naliases;
    fxe_unlock();
    return j->gone ? is_gone(j) : 0;
}

/* --- memory --- */

/* FAISS allocates in OpenMP regions, where a lack of memory ends the process. */
static int check_room(struct job *j, size_t need)
{
    need += LITTLE;
    if (fxe_make_room_for(need))
        return 0;
    return fxe_fail(&j->r, "limit",
                    "%s: %zu bytes of memory are needed to train the index, but %zu are left",
                    j->r.operation->name, need, fxe_room());
}

/* For all of it: copies of what it holds, or of what it is trained with, its centroids, and the
 * links between vectors. */
static int check_room_for_all(struct job *j)
{
    const char *what = j->plan->description;
    int64_t d = fxe_index_d(j->o), x = 0;
    for (const struct fxe_req *q = j->asked; q && !x; q = q->next)
        x = q->v[1].i;
    size_t given = (size_t)(x + fxe_training_least(what, d)) * (size_t)d * sizeof(float),
           links = (size_t)fxe_ntotal_of(j->o) * fxe_training_links(what);
    return check_room(j, COPIES * fxe_held_bytes(j->o) + GIVEN_COPIES * given + links);
}

/* --- calls about the index to be --- */

/* Are its numbers finite, and, if `squares`, the sum of their squares?  FAISS can train with no
 * others. */
static bool is_usable(const struct job *j, const struct fxe_held *h, int64_t i, bool squares)
{
    const float *x = (const float *)(const void *)(h->x + (size_t)i * h->each);
    float sum = 0;
    if (fxe_is_binary(&j->next))
        return true;
    for (size_t k = 0; k < h->each / sizeof *x; k++)
        sum += squares ? x[k] * x[k] : x[k] - x[k];
    return isfinite(sum);
}

/* No search finds these in inverted lists, and adding them may end the process.  In other indexes
 * they have their positions. */
static void leave_out_unusable(const struct job *j, struct fxe_held *h)
{
    int64_t n = 0;
    if (!h->ids || fxe_is_binary(&j->next) || fxe_id_map_of(&j->next))
        return;
    bool squares = fxe_api()->Index_metric_type(j->next.ptr) == METRIC_L2;
    for (int64_t i = 0; i < h->n; i++)
        if (is_usable(j, h, i, squares)) {
            memmove(h->x + (size_t)n * h->each, h->x + (size_t)i * h->each, h->each);
            h->ids[n++] = h->ids[i];
        }
    h->n = n;
}

static int add(struct job *j, struct fxe_held *h)
{
    bool binary = fxe_is_binary(&j->next);
    int plain = binary ? FX_OP_IndexBinary_add : FX_OP_Index_add,
        ids = binary ? FX_OP_IndexBinary_add_with_ids : FX_OP_Index_add_with_ids;
    int64_t most = (int64_t)(BLOCK / h->each) + 1, have = j->have + h->n;
    leave_out_unusable(j, h);
    for (int64_t from = 0, n; from < h->n; from += n) {
        struct fxe_part p;
        n = h->n - from < most ? h->n - from : most;
        if ((!j->hold && check_wanted(j) != 0) || check_room(j, 2 * BLOCK) != 0)
            return -1;
        msgpack_object *a = fxe_part_begin(&p, &j->r, h->ids ? ids : plain);
        p.r.obj[0] = &j->next;
        a[1] = fxe_int(n);
        a[2] = fxe_part_array(&p, h->x + (size_t)from * h->each, (size_t)n * h->each);
        if (h->ids)
            a[3] = fxe_part_array(&p, h->ids + from, (size_t)n * sizeof *h->ids);
        int rc = fxe_part_call(&p);
        fxe_part_end(&p);
        if (rc != 0)
            return -1;
    }
    j->have = have;
    return 0;
}

static int reset(struct job *j)
{
    struct fxe_part p;
    fxe_part_begin(&p, &j->r,
                   fxe_is_binary(&j->next) ? FX_OP_IndexBinary_reset : FX_OP_Index_reset);
    p.r.obj[0] = &j->next;
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    j->have = 0;
    return rc;
}

static int train_with(struct job *j, int64_t n, const void *x, size_t each)
{
    struct fxe_part p;
    msgpack_object *a = fxe_part_begin(
        &p, &j->r, fxe_is_binary(&j->next) ? FX_OP_IndexBinary_train : FX_OP_Index_train);
    p.r.obj[0] = &j->next;
    a[1] = fxe_int(n);
    a[2] = fxe_part_array(&p, x, (size_t)n * each);
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    return rc;
}

/* Trains with what the index holds: with every so many-th vector, if there are more than FAISS
 * would use. */
static int train_with_held(struct job *j, const struct fxe_held *h)
{
    int64_t n = 0, most = fxe_training_most(j->plan->description), m = 0,
            least = fxe_training_least(j->plan->description, fxe_index_d(&j->next));
    for (int64_t i = 0; i < h->n; i++)
        n += is_usable(j, h, i, true);
    if (n < least)
        return fxe_fail(&j->r, "argument",
                        "%s: the index holds %lld vectors%s, and none were given; expected at "
                        "least %lld to train %s with",
                        j->r.operation->name, (long long)n,
                        n < h->n ? " that are finite and not huge" : "", (long long)least,
                        j->plan->description);
    if (n == h->n && n <= most)
        return train_with(j, n, h->x, h->each);
    most = n < most ? n : most;
    char *some = malloc((size_t)most * h->each + 1);
    if (!some)
        return fxe_fail(&j->r, "limit", "%s: the server has no memory for %lld vectors",
                        j->r.operation->name, (long long)most);
    for (int64_t i = 0, seen = 0; i < h->n && m < most; i++)
        if (is_usable(j, h, i, true) && seen++ == m * n / most)
            memcpy(some + (size_t)m++ * h->each, h->x + (size_t)i * h->each, h->each);
    int rc = train_with(j, most, some, h->each);
    free(some);
    return rc;
}

static int train(struct job *j, const struct fxe_held *h)
{
    for (struct fxe_req *q = j->asked; q; q = q->next)
        if (q->v[1].i > 0)
            return train_with(j, q->v[1].i, q->v[2].p, h->each);
    return train_with_held(j, h);
}

/* --- from one to the other --- */

/* Reads what the index to be lacks.  *all: it has changed, so all of it. */
static int read_changes(struct job *j, struct fxe_held *h, bool *all)
{
    uint64_t changes = j->o->training->changes;
    int64_t n = fxe_held_count(j->o), from = 0;
    *all = changes != j->seen || n < j->have;
    j->seen = changes;
    if (!*all)
        from = j->have;
    if (n > 0 &&
        check_room(j, COPIES * (fxe_held_bytes(j->o) / (size_t)n) * (size_t)(n - from)) != 0)
        return -1;
    return fxe_held_read(&j->r, j->o, from, h);
}

static bool has_little_to_do(const struct job *j)
{
    int64_t more = fxe_held_count(j->o) - j->have;
    return j->o->training->changes == j->seen && more >= 0 && more <= FEW;
}

/* Carries over what has changed since the index was copied.  With the lock at the end, and nothing
 * left to do. */
static int catch_up(struct job *j)
{
    for (int round = 0;; round++) {
        struct fxe_held h = {.n = 0};
        bool all = false;
        if (hold(j) != 0)
            return -1;
        bool last = has_little_to_do(j) || round == ROUNDS;
        int rc = read_changes(j, &h, &all);
        if (!last)
            release(j);
        if (rc == 0 && all)
            rc = reset(j);
        if (rc == 0)
            rc = add(j, &h);
        fxe_held_free(&h);
        if (rc == 0 && last)
            fxe_held_count_lost(&j->r, j->o, &j->next);
        if (rc != 0 || last)
            return rc;
    }
}

static int make_next(struct job *j)
{
    struct fxe_held h = {.n = 0};
    int rc = hold(j) != 0 || check_room_for_all(j) != 0 ? -1 : 0;
    if (rc == 0) {
        int64_t d = fxe_index_d(j->o);
        int64_t metric =
            fxe_is_binary(j->o) ? METRIC_L2 : (int64_t)fxe_api()->Index_metric_type(j->o->ptr);
        j->seen = j->o->training->changes;
        rc = fxe_held_read(&j->r, j->o, 0, &h);
        release(j);
        if (rc == 0)
            j->next.ptr = fxe_training_make(&j->r, j->next.cls, d, metric, j->plan->description);
        j->next.odd = fxe_is_odd_description(j->plan->description);
    }
    if (rc == 0)
        rc = j->next.ptr && check_wanted(j) == 0 && train(j, &h) == 0 && add(j, &h) == 0 ? 0 : -1;
    fxe_held_free(&h);
    return rc;
}

/* The snapshot of what it becomes is the only one from here on. */
static int store(struct job *j)
{
    char why[FXS_STORE_WHY];
    struct fxe_req *asked = j->asked && !j->asked->failed ? j->asked : NULL;
    fxe_lock();
    if (j->kept)
        j->kept->replacing = true;
    fxe_unlock();
    if (!j->kept || fxe_snapshot_next(j->kept, &j->next, asked, why) == 0)
        return 0;
    if (asked)
        msgpack_sbuffer_clear(&asked->reply); /* it was packed for the snapshot */
    return fxe_fail(&j->r, "limit", "%s: the trained index could not be stored: %s",
                    j->r.operation->name, why);
}

/* The caller has locked the index for writing. */
static void put_in_place(struct job *j)
{
    struct fxe_obj *doomed = NULL, *o = j->o;
    fxe_lock();
    struct fxe_training *t = o->training;
    LL_CONCAT(j->asked, t->asked); /* those that came meanwhile */
    t->asked = NULL;
    o->training = NULL;
    j->old = fxe_obj_replace(o, j->next.ptr, &doomed);
    fxe_obj_forget_class(o);
    o->odd = j->next.odd;
    o->planned = 1;
    fxe_unlock();
    j->next.ptr = NULL;
    fxe_obj_destroy_list(doomed);
    free(t);
}

static int replace(struct job *j)
{
    j->next.planned = 1;
    fxe_nprobe_copy(j->o, &j->next);
    pthread_mutex_lock(&replacing.lock);
    while (replacing.stopped) /* the process is about to end */
        pause();
    int rc = store(j);
    bool ends = rc == 0 && !fxe_hold_raise(j->hold);
    if (rc == 0 && !ends)
        put_in_place(j);
    if (!ends)
        release(j);
    pthread_mutex_unlock(&replacing.lock);
    while (ends) /* the process: what is on disk has been trained */
        pause();
    return rc;
}

/* --- the outcome --- */

static void answer(struct job *j)
{
    for (struct fxe_req *q = j->asked, *next; q; q = next) {
        next = q->next;
        q->next = NULL;
        if (j->r.failed) {
            q->failed = true;
            q->code = j->r.code;
            q->kind = j->r.kind;
            q->message = j->r.message ? strdup(j->r.message) : NULL;
        }
        fxe_req_finish(q);
    }
    j->asked = NULL;
}

/* Whoever asked is told why, and the index goes on waiting. */
static void give_up(struct job *j)
{
    const char *why = j->r.message ? j->r.message : "out of memory";
    fxe_lock();
    struct fxe_training *t = j->o->training;
    t->runs = false;
    if (!j->asked && !j->gone && !j->dropped && !j->within)
        snprintf(t->why, sizeof t->why, "%s", why);
    fxe_unlock();
    fxs_log(FXS_WARN, "engine", "event=training-failed description=\"%s\" why=\"%s\"",
            j->plan->description, why);
}

static uint64_t entry_of(const struct job *j)
{
    fxe_lock();
    const struct fxe_kept *k = j->o->kept;
    uint64_t entry = k ? k->entry : 0;
    fxe_unlock();
    return entry;
}

bool fxe_training_run(struct fxe_obj *o, struct fxe_req *asked)
{
    static const struct fxe_operation operation = {"index_train", 0, NULL, NULL, NULL};
    int64_t began = fxe_now_ms();
    struct fxs_plan plan = o->training->plan; /* only this thread takes it away */
    struct job j = {.o = o, .plan = &plan, .asked = asked, .next.cls = fx_root(o->cls)};
    j.r.operation = &operation;
    msgpack_sbuffer_init(&j.r.extra);
    msgpack_sbuffer_init(&j.r.reply);
    /* A training that ends the engine is tried again only if a request asks for it. */
    uint64_t entry = entry_of(&j);
    fxe_load_mark_training(entry, false);
    int rc = make_next(&j) != 0 || catch_up(&j) != 0 || replace(&j) != 0 ? -1 : 0;
    release(&j);
    fxe_load_mark_training(rc == 0 ? entry : 0, rc == 0);
    fxe_obj_free_temporary(&j.next);
    fxe_obj_free_temporary(&j.old);
    if (rc != 0)
        give_up(&j);
    else
        fxs_log(FXS_INFO, "engine", "event=trained description=\"%s\" ntotal=%lld ms=%lld",
                plan.description, (long long)j.have, (long long)(fxe_now_ms() - began));
    bool later = rc != 0 && j.within && !asked;
    answer(&j);
    fxe_req_clear(&j.r);
    return later;
}

void fxe_trainer_stop(void)
{
    pthread_mutex_lock(&replacing.lock);
    replacing.stopped = true;
    pthread_mutex_unlock(&replacing.lock);
}
