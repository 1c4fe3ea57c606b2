/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/keep/keep.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/guard.h"
#include "server/engine/keep/unnamed.h"
#include "server/engine/objects/named.h"
#include "server/engine/run/answers.h"
#include "server/engine/run/overdue.h"
#include "server/engine/training/training.h"
#include "server/handover.h"
#include "server/log.h"

enum {
    BUSY_MS = 5000,
    EACH_MS = 20,
    ANSWERS_MS = 7 * 24 * 3600 * 1000, /* a client that has not asked again by then never will */
    UNKNOWN = -1 /* note.d: after a repair (server/store/repair.c) there is no note */
};

static struct fxs_store *store;
static struct fxe_kept *all; /* engine.lock */

struct fxs_store *fxe_keep_store(void)
{
    return store;
}

struct fxe_kept *fxe_keep_first(void)
{
    return all;
}

/* --- start --- */

/* What is on disk is not known, and nothing more may be promised.  The next engine finds out. */
static void store_failed(void *ctx, const char *why)
{
    (void)ctx;
    fxs_log(FXS_ERROR, "engine", "event=store-failed why=\"%s\"", why);
    _exit(4);
}

int fxe_keep_open(void)
{
    const struct fxs_options *o = &fxe_engine.options;
    static const enum fxs_durability durability[] = {[FXS_ALWAYS] = FXS_DURABLE_ALWAYS,
                                                     [FXS_INTERVAL] = FXS_DURABLE_INTERVAL,
                                                     [FXS_SNAPSHOT] = FXS_DURABLE_SNAPSHOT};
    struct fxs_store_options options = {.durability = durability[o->durability.mode],
                                        .interval_ms = o->durability.interval_ms,
                                        .keep_answers_ms = ANSWERS_MS,
                                        .failed = store_failed};
    char why[FXS_STORE_WHY];
    if (!*o->store_dir)
        return 0;
    enum fxs_store_rc rc = fxs_store_open(&store, o->store_dir, &options, why);
    /* The engine before this one may be about to end. */
    for (int i = 0; rc == FXS_STORE_BUSY && i < BUSY_MS / EACH_MS; i++) {
        usleep(EACH_MS * 1000);
        rc = fxs_store_open(&store, o->store_dir, &options, why);
    }
    if (rc == FXS_STORE_OK)
        return 0;
    fxs_log(FXS_ERROR, "engine", "event=no-store dir=%s why=\"%s\"", o->store_dir, why);
    return -1;
}

static int class_of(const char *name)
{
    static const int known[] = {FX_CLASS_Index, FX_CLASS_IndexBinary};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, fx_classes[known[i]].name) == 0)
            return known[i];
    return -1;
}

void fxe_keep_adopt(struct fxe_kept *k)
{
    k->obj->kept = k;
    k->obj->group->nkept++;
    DL_APPEND(all, k);
}

/* The entry's object, without its names.  The caller holds engine.lock. */
static struct fxe_obj *new_object(struct fxe_kept *k, const struct fxs_entry *e)
{
    int cls = class_of(e->cls);
    struct fxe_obj *o = cls < 0 ? NULL : fxe_unnamed_object(cls, e);
    if (!o && cls >= 0)
        o = fxe_obj_add_absent(NULL, cls, 0);
    if (!o)
        return NULL;
    *k = (struct fxe_kept){.entry = e->id,
                           .obj = o,
                           .applied = e->last,
                           .snapshot_bytes = e->snapshot_bytes,
                           .stored_ms = e->snapshot_ms,
                           .snapshot_ms = fxe_now_ms(),
                           .log_bytes = e->log_bytes};
    k->note.d = UNKNOWN;
    fxs_note_read(&k->note, e->note, e->note_size);
    o->odd = k->note.odd;
    o->planned = k->note.planned;
    fxe_keep_adopt(k);
    if (fxe_training_set(o, &k->note.plan) != 0)
        return NULL;
    fxe_load_set_training(k);
    return o;
}

static int add_entry(void *ctx, const struct fxs_entry *e)
{
    struct fxe_kept *k = calloc(1, sizeof *k);
    int *failed = ctx;
    fxe_lock();
    struct fxe_obj *o = k ? new_object(k, e) : NULL;
    *failed = !o;
    for (uint32_t i = 0; o && i < e->nnames && !*failed; i++)
        *failed = !fxe_is_handle_name(e->names[i]) && fxe_named_add(e->names[i], o) != 0;
    if (!*failed)
        *failed = fxe_unnamed_handles(o, e) != 0;
    if (o && !o->named && !o->stored_as)
        o->released = 1; /* only second handles are left */
    fxe_unlock();
    if (!o)
        free(k);
    return *failed;
}

/* Before an engine is ready, the front takes its end for a reason not to start another one soon,
 * and refuses clients.  But this one may be about to end once, and the next one will work. */
static void tell_ready(void)
{
    struct fxs_handover ready = {.kind = FXS_READY};
    fxs_handover_send(fxe_engine.options.link, &ready, -1);
}

int fxe_keep_start(void)
{
    char why[FXS_STORE_WHY];
    int failed = 0;
    if (!store)
        return 0;
    fxe_load_check_mark();
    if (fxs_store_entries(store, add_entry, &failed, why) != FXS_STORE_OK) {
        fxs_log(FXS_ERROR, "engine", "event=store-unreadable why=\"%s\"", why);
        return -1;
    }
    if (failed) {
        fxs_log(FXS_ERROR, "engine", "event=store-unreadable why=\"an entry cannot be added\"");
        return -1;
    }
    for (struct fxe_kept *k = all; k; k = k->next) {
        if (fxe_load_is_suspect(k))
            tell_ready();
        if (k->note.d == UNKNOWN || fxe_load_is_suspect(k))
            fxe_load_alone(k);
    }
    fxe_snapshots_start();
    return 0;
}

/* A call that nobody waits for, or a training, may end at any time, and use the store. */
static bool is_in_use(void)
{
    fxe_lock();
    bool in_use = fxe_overdue_runs() || fxe_trainer_works();
    fxe_unlock();
    return in_use;
}

void fxe_keep_stop(void)
{
    if (!store)
        return;
    fxe_holds_stop();
    fxe_trainer_stop();
    fxe_snapshots_stop();
    while (fxe_unnamed_remove_one()) /* else an index that was freed would be there again */
        ;
    fxe_snapshots_at_end();
    if (is_in_use())
        fxs_store_stop(store);
    else
        fxs_store_close(store);
}

/* --- the way a request goes --- */

struct fxe_kept *fxe_kept_of(const struct fxe_obj *o)
{
    return o ? fxe_obj_target((struct fxe_obj *)(uintptr_t)o)->kept : NULL;
}

/* May parameter i, another handle than that of the index, be in a record? */
static bool is_neutral(const struct fx_fn *fn, int i)
{
    const struct fx_param *p = &fn->params[i];
    return fx_classes[p->cls].value ||
           (p->cls == FX_CLASS_ParameterSpace && fn->act == FX_ACT_set && !p->changed);
}

/* Returns the parameter that is the kept index if the call can be made again from its request, and
 * leads to the same state; else -1. */
static int recordable(const struct fxe_req *r)
{
    static const unsigned never =
        FX_FREE | FX_OWN | FX_OWNED | FX_BORROW | FX_NEW | FX_CAST | FX_GPU | FX_PRINTS | FX_RENEW;
    int index = -1;
    if (!r->fn || r->fn->flags & never || r->fn->act == FX_ACT_train || r->fn->act == FX_ACT_merge)
        return -1;
    for (int i = 0; i < r->fn->nparams; i++) {
        const struct fx_param *p = &r->fn->params[i];
        if (p->kind == FX_HANDLES || p->kind == FX_OUT_HANDLE || p->kind == FX_LENT || p->kept)
            return -1;
        if (p->kind != FX_HANDLE || (!r->obj[i] && is_neutral(r->fn, i)))
            continue;
        if (p->changed && index < 0 && fxe_kept_of(r->obj[i]) && r->obj[i]->group->nkept == 1)
            index = i;
        else if (!is_neutral(r->fn, i))
            return -1;
    }
    return index;
}

bool fxe_keep_prepare(struct fxe_req *r)
{
    if (!store)
        return false;
    for (int i = 0; i < r->nheld; i++)
        if (fxe_kept_of(r->held[i]))
            fxe_kept_of(r->held[i])->used_ms = r->began_ms;
    r->kept_param = recordable(r);
    if (r->kept_param < 0)
        return false;
    r->keep = FXE_KEEP_RECORD;
    return true;
}

/* --- commit --- */

static bool changes(const struct fxe_req *r)
{
    if (r->unchanged || !r->fn || r->fn->flags & (FX_FREE | FX_OWN | FX_OWNED))
        return false;
    for (int i = 0; i < r->fn->nparams; i++)
        if (r->fn->params[i].changed && (r->obj[i] || r->fn->params[i].kind == FX_HANDLES))
            return true;
    return false;
}

/* A call that puts objects into another one, or takes them out, changes only that one, which may be
 * new, and what contains it.  The caller holds engine.lock. */
static bool may_have_changed(const struct fxe_req *r, struct fxe_obj *o)
{
    bool creates = false, parts = false;
    for (int i = 0; i < r->fn->nparams; i++) {
        creates |= r->fn->params[i].kind == FX_OUT_HANDLE;
        parts |= r->fn->params[i].kept != 0;
    }
    return !parts || (!creates && fxe_obj_within(fxe_call_first(r), o));
}

/* Calls `each` for the kept indexes that the request may have changed, in the groups that it has
 * locked for writing; returns how many there are.  The caller holds engine.lock. */
static int each_changed(const struct fxe_req *r, void (*each)(struct fxe_kept *, void *), void *ctx)
{
    int n = 0;
    for (int i = 0; i < r->needs.n; i++) {
        const struct fxe_group *g = r->needs.need[i].group;
        if (!g || !r->needs.need[i].write || !g->nkept)
            continue;
        for (struct fxe_obj *o = g->members; o; o = o->next_in_group)
            if (o->kept && may_have_changed(r, o)) {
                if (each)
                    each(o->kept, ctx);
                n++;
            }
    }
    return n;
}

static void add_used(struct fxe_kept *k, void *ctx)
{
    struct fxe_kept ***next = ctx;
    fxe_keep_use(k);
    *(*next)++ = k;
}

/* Returns *n of them, to be used, in memory that the caller frees; or NULL if memory is out. */
static struct fxe_kept **kept_by(const struct fxe_req *r, int *n)
{
    fxe_lock();
    *n = each_changed(r, NULL, NULL);
    struct fxe_kept **some = calloc((size_t)*n + 1, sizeof(struct fxe_kept *)), **next = some;
    if (some)
        each_changed(r, add_used, &next);
    fxe_unlock();
    return some;
}

/* Memory may be out when an IDMap writes down the ids of vectors that are in the index in it. */
static bool is_halfway(const struct fxe_kept *k, const struct fxe_req *r)
{
    return k->obj->ptr && (r->halfway || r->trained || fxe_ntotal_of(k->obj) != k->note.ntotal ||
                           fxe_is_uneven(k->obj));
}

static bool is_known_gone(const struct fxe_kept *k)
{
    fxe_lock();
    bool gone = k->gone;
    fxe_unlock();
    return gone;
}

/* The store has forgotten an index before k->gone is set.  To wait for that may take as long as
 * another index is being published, so only a change that has failed does. */
static bool is_gone(const struct fxe_kept *k)
{
    fxe_named_settle();
    return is_known_gone(k);
}

/* Reading the index again frees it, and another object of FAISS, such as an IndexShards, would
 * still point to it or to a part of it. */
static bool is_within_others(const struct fxe_kept *k)
{
    fxe_lock();
    bool within = fxe_obj_is_within_others(k->obj);
    fxe_unlock();
    return within;
}

/* A call that failed may have changed something halfway: then the index is read again; or it keeps
 * that, too, which records of other changes do not know of. */
static void after_failure(struct fxe_kept *k, const struct fxe_req *r)
{
    if (!is_halfway(k, r) || is_gone(k))
        return;
    if (fxe_is_only_copy(k) || is_within_others(k)) {
        fxs_log(FXS_WARN, "engine", "event=kept-halfway entry=%llu why=\"%s failed halfway\"",
                (unsigned long long)k->entry, fxe_req_name(r));
        k->note.ntotal = fxe_ntotal_of(k->obj);
        fxe_snapshot_later(k);
        return;
    }
    fxs_log(FXS_WARN, "engine", "event=index-dropped entry=%llu why=\"%s failed halfway\"",
            (unsigned long long)k->entry, fxe_req_name(r));
    fxe_keep_drop(k);
}

/* Nothing is stored of what a call has made.  An index that is unpublished meanwhile is not kept
 * any more, and keeps the change. */
static void not_stored(struct fxe_req *r, struct fxe_kept **some, int n, const char *why)
{
    bool only_copy = false, within = false;
    int left = 0;
    for (int i = 0; i < n; i++)
        if (!is_gone(some[i])) {
            only_copy |= fxe_is_only_copy(some[i]);
            within |= is_within_others(some[i]);
            some[left++] = some[i];
        }
    if (left == 0)
        return;
    if (!only_copy) {
        fxe_fail(r, "limit",
                 within ? "%s: the change was made, but is not stored yet, and is lost if the "
                          "server ends before it can be: %s"
                        : "%s: the index could not be stored, and the change was undone: %s",
                 fxe_req_name(r), why);
        r->made = within;
        msgpack_sbuffer_clear(&r->reply); /* it was packed for the snapshot */
    }
    for (int i = 0; i < left; i++)
        if (only_copy || within) {
            fxs_log(FXS_WARN, "engine", "event=not-stored-yet entry=%llu why=\"%s\"",
                    (unsigned long long)some[i]->entry, why);
            fxe_snapshot_later(some[i]);
        } else {
            fxe_keep_drop(some[i]);
        }
}

/* What a call has made of several indexes is stored together: vectors that it has moved are in one
 * of them. */
static void commit_some(struct fxe_req *r, struct fxe_kept **some, int n)
{
    char why[FXS_STORE_WHY];
    if (r->failed) {
        for (int i = 0; i < n; i++)
            after_failure(some[i], r);
    } else if (fxe_snapshots_now(some, n, r, why) == 0) {
        for (int i = 0; i < n; i++)
            fxe_unnamed_link_parts(some[i]);
    } else {
        not_stored(r, some, n, why);
    }
}

static void commit_state(struct fxe_req *r)
{
    int n, m = 0;
    struct fxe_kept **some = kept_by(r, &n), **changed = calloc((size_t)n + 1, sizeof *changed);
    if (some && changed) {
        for (int i = 0; i < n; i++)
            if (some[i]->obj->ptr) /* else it was not read, so not changed */
                changed[m++] = some[i];
        commit_some(r, changed, m);
    } else if (!r->failed) {
        fxe_fail(r, "limit", "%s: the change was made, but there is no memory to store it",
                 fxe_req_name(r));
        r->made = 1;
    }
    fxe_lock();
    for (int i = 0; some && i < n; i++)
        fxe_keep_leave(some[i]);
    fxe_unlock();
    free(changed);
    free(some);
}

void fxe_keep_commit(struct fxe_req *r)
{
    if (!store || r->repeated) /* the first time it was sent, it was committed */
        return;
    fxe_unnamed_commit(r);
    struct fxe_kept *k = r->keep == FXE_KEEP_RECORDED ? fxe_change_kept(r) : NULL;
    if (!k) {
        if (changes(r))
            commit_state(r);
    } else if (is_known_gone(k)) {
        /* Its record has gone with it.  Meanwhile the index may have been published again. */
        commit_state(r);
    } else if (k->obj->ptr) {
        if (r->failed && !r->made)
            after_failure(k, r);
        else
            k->note.ntotal = fxe_ntotal_of(k->obj);
    }
}

/* --- what is kept of an index --- */

void fxe_keep_use(struct fxe_kept *k)
{
    k->users++;
}

void fxe_keep_leave(struct fxe_kept *k)
{
    if (--k->users == 0 && k->gone)
        free(k);
}

void fxe_keep_forget(struct fxe_obj *o)
{
    struct fxe_kept *k = o->kept;
    if (!k)
        return;
    o->kept = NULL;
    o->group->nkept--;
    DL_DELETE(all, k);
    fxe_keep_use(k);
    k->gone = true;
    fxe_keep_leave(k);
}
