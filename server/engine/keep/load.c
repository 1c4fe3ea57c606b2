/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "server/engine/call/files.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/room.h"
#include "server/engine/keep/keep.h"
#include "server/engine/keep/unnamed.h"
#include "server/engine/run/ready.h"
#include "server/engine/training/training.h"
#include "server/log.h"

enum { SPARE = 64 << 20 }; /* bytes to leave for requests */

struct replay {
    struct fxe_kept *k;
    int64_t n;
    bool again;   /* a record turned out to have failed: it is skipped next time; */
    bool may_map; /* or the index was mapped, and has to be changed */
    bool failed;
    /* Those records, by number.  The store may not be able to note it. */
    uint64_t *skipped;
    size_t nskipped;
    char *why;
};

/* From now on readers see what was made, so it counts as made, like what a caller was told. */
static void store_outcome(struct replay *p, const struct fxs_record *rec, int failed,
                          const struct fxe_outcome *end)
{
    static const struct fxs_caller nobody;
    if (!rec->made || end->answer)
        fxs_store_answer(fxe_keep_store(), end->answer ? &rec->caller : &nobody, rec->caller.number,
                         p->k->entry, rec->number, failed, end->answer, end->answer_size);
}

static bool is_skipped(const struct replay *p, uint64_t number)
{
    size_t i = 0;
    while (i < p->nskipped && p->skipped[i] != number)
        i++;
    return i < p->nskipped;
}

/* Returns -1 if memory is out. */
static int skip(struct replay *p, uint64_t number)
{
    uint64_t *list = realloc(p->skipped, (p->nskipped + 1) * sizeof *list);
    if (!list)
        return -1;
    p->skipped = list;
    list[p->nskipped++] = number;
    return 0;
}

/* A record may fail for good as it may have when it was made, unless it is known that it did not:
 * its caller may have been told of the success, although no answer is kept any more. */
static int record_failed(struct replay *p, const struct fxs_record *rec,
                         const struct fxe_outcome *end)
{
    if (end->temporary || rec->made || skip(p, rec->number) != 0) {
        snprintf(p->why, FXS_STORE_WHY, "change %llu cannot be made again: %s",
                 (unsigned long long)rec->number, end->why);
        p->failed = true;
    } else {
        fxs_log(FXS_WARN, "engine", "event=change-failed entry=%llu number=%llu why=\"%s\"",
                (unsigned long long)p->k->entry, (unsigned long long)rec->number, end->why);
        store_outcome(p, rec, 1, end);
        p->again = true;
    }
    return 1;
}

static bool alone; /* see fxe_load_alone */

/* Records that are being made again, the newest first.  The store has one mark, which is that
 * one's: it is the likeliest to end the engine, and one that takes for ever must not keep others
 * from being found.  The engine after the next finds those that end it beside others: what is a
 * suspect is loaded first, and is in nobody's way then. */
struct running {
    struct running *next;
    uint64_t entry, number;
};

static pthread_mutex_t marking = PTHREAD_MUTEX_INITIALIZER;
static struct running *running;

/* The caller has locked `marking`. */
static void mark_newest(void)
{
    if (running)
        fxs_store_mark(fxe_keep_store(), running->entry, running->number, alone);
    else
        fxs_store_mark(fxe_keep_store(), 0, 0, 0);
}

static int run_marked(const struct replay *p, const struct fxs_record *rec, struct fxe_outcome *end)
{
    struct running this = {.entry = p->k->entry, .number = rec->number};
    pthread_mutex_lock(&marking);
    LL_PREPEND(running, &this);
    mark_newest();
    pthread_mutex_unlock(&marking);
    int rc = fxe_record_run(rec, p->k->obj, end);
    pthread_mutex_lock(&marking);
    LL_DELETE(running, &this);
    mark_newest();
    pthread_mutex_unlock(&marking);
    return rc;
}

static int replay(void *ctx, const struct fxs_record *rec)
{
    struct replay *p = ctx;
    struct fxe_outcome end;
    if (rec->number > p->k->applied)
        return 1;
    if (is_skipped(p, rec->number))
        return 0;
    if (p->k->obj->mapped) {
        p->may_map = false;
        p->again = true;
        return 1;
    }
    int rc = run_marked(p, rec, &end);
    if (rc == 0) {
        store_outcome(p, rec, 0, &end);
        p->n++;
    } else {
        rc = record_failed(p, rec, &end);
    }
    free(end.answer);
    return rc;
}

/* FAISS's vectors double their memory when they grow, and copy. */
static size_t growth(const struct fxe_kept *k)
{
    return 2 * (k->snapshot_bytes + k->log_bytes);
}

static size_t to_load(const struct fxe_kept *k)
{
    return k->snapshot_bytes + (k->log_bytes ? growth(k) : k->snapshot_bytes / 4) + SPARE;
}

bool fxe_load_has_room(const struct fxe_kept *k, char *why)
{
    fxe_unload_for(to_load(k));
    size_t room = k->snapshot_bytes > SPARE ? fxe_room() : SIZE_MAX;
    if (room >= k->snapshot_bytes)
        return true;
    snprintf(why, FXS_STORE_WHY, "it needs %llu MiB of memory, and there is room for %zu MiB",
             (unsigned long long)k->snapshot_bytes >> 20, room >> 20);
    return false;
}

enum fxs_store_rc fxe_load_snapshot(struct fxe_kept *k, void **ptr, char *why)
{
    struct fxs_snapshot_bytes b;
    *ptr = NULL;
    if (!fxe_load_has_room(k, why))
        return FXS_STORE_MEMORY;
    enum fxs_store_rc rc = fxs_snapshot_read(fxe_keep_store(), k->entry, &b, why);
    if (rc != FXS_STORE_OK)
        return rc;
    if (fxe_load_bytes(fx_root(k->obj->cls), b.data, b.size, ptr) != 0) {
        snprintf(why, FXS_STORE_WHY, "%s", fxe_api()->get_last_error());
        *ptr = NULL;
        rc = FXS_STORE_MEMORY;
    }
    fxs_snapshot_unmap(&b);
    return rc;
}

/* Reads the snapshot, or maps it.  Returns FAISS's object, or NULL. */
static void *read_snapshot(struct fxe_kept *k, bool map, bool *mapped, char *why)
{
    bool damaged = false;
    void *ptr = map ? fxe_map_snapshot(k, &damaged, why) : NULL;
    *mapped = ptr != NULL;
    if (!ptr && !damaged)
        fxe_load_snapshot(k, &ptr, why);
    return ptr;
}

static int snapshot_and_records(struct fxe_kept *k, struct replay *p)
{
    struct fxe_obj *doomed = NULL;
    bool mapped;
    void *ptr = read_snapshot(k, p->may_map && fxe_can_map(k), &mapped, p->why);
    if (!ptr)
        return -1;
    fxe_lock();
    fxe_obj_replace(k->obj, ptr, &doomed);
    k->obj->mapped = mapped;
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
    fxe_unnamed_resolve(k);
    enum fxs_store_rc rc = fxs_store_replay(fxe_keep_store(), k->entry, 0, replay, p, p->why);
    if (rc == FXS_STORE_OK && !p->failed && !p->again)
        return 0;
    fxe_keep_drop(k);
    return -1;
}

/* A snapshot in the background may have been begun before the index was dropped.  It must not be
 * committed in between: the records up to it are removed then, and the one that was read lacks
 * them. */
static int load_once(struct fxe_kept *k, struct replay *p)
{
    pthread_mutex_lock(&k->committing);
    int rc = snapshot_and_records(k, p);
    pthread_mutex_unlock(&k->committing);
    return rc;
}

void fxe_note_take(struct fxs_note *n, const struct fxe_obj *o)
{
    const struct fx_api *api = fxe_api();
    int binary = fxe_is_binary(o);
    n->d = binary ? api->IndexBinary_d(o->ptr) : api->Index_d(o->ptr);
    n->metric = binary ? (int64_t)api->IndexBinary_metric_type(o->ptr)
                       : (int64_t)api->Index_metric_type(o->ptr);
    n->ntotal = fxe_ntotal_of(o);
    n->odd = o->odd;
    n->planned = o->planned;
    n->plan = o->training ? o->training->plan : (struct fxs_plan){.enough = 0};
}

int fxe_load(struct fxe_kept *k, bool may_map, char *why)
{
    struct replay p = {.k = k, .may_map = may_map, .why = why};
    int64_t began = fxe_now_ms();
    int rc;
    do {
        p.again = false;
        p.n = 0;
        rc = load_once(k, &p);
    } while (p.again);
    free(p.skipped);
    if (rc != 0) {
        fxs_log(FXS_ERROR, "engine", "event=unreadable entry=%llu why=\"%s\"",
                (unsigned long long)k->entry, why);
        return -1;
    }
    fxe_room(); /* for those who look at what it was lately */
    fxe_note_take(&k->note, k->obj);
    fxe_lock();
    fxe_training_look(k->obj);
    fxe_unlock();
    fxs_log(FXS_INFO, "engine", "event=%s entry=%llu ntotal=%lld changes=%lld ms=%lld",
            k->obj->mapped ? "mapped" : "loaded", (unsigned long long)k->entry,
            (long long)k->note.ntotal, (long long)p.n, (long long)(fxe_now_ms() - began));
    return 0;
}

void fxe_load_alone(struct fxe_kept *k)
{
    char why[FXS_STORE_WHY];
    alone = true;
    fxe_load(k, false, why);
    alone = false;
}

/* --- requests on indexes that are absent, or that are mapped and have to be in memory --- */

static bool is_absent(const struct fxe_req *r, const struct fxe_obj *o)
{
    return !o->ptr || (fxe_is_mapped(o) && !fxe_only_reads(r));
}

static bool needs_absent(const struct fxe_req *r)
{
    bool absent = false;
    if (fxe_is_hold(r) || (r->fn && r->fn->flags & FX_FREE))
        return false;
    for (int i = 0; i < r->nheld && !absent; i++)
        absent = is_absent(r, r->held[i]);
    return absent;
}

bool fxe_keep_waits(struct fxe_req *r)
{
    bool write = true;
    if (!fxe_keep_store() || !needs_absent(r) || !r->needs.n)
        return false;
    for (int i = 0; i < r->needs.n; i++)
        write &= r->needs.need[i].write || !is_absent(r, r->needs.need[i].obj);
    if (write && r->lane == FXE_WIDE)
        return false;
    fxe_lock();
    int n = r->needs.n;
    fxe_needs_give(&r->needs);
    r->needs.n = n;
    for (int i = 0; i < n; i++)
        r->needs.need[i].write |= is_absent(r, r->needs.need[i].obj);
    r->lane = FXE_WIDE;
    if (fxe_needs_take(r, &r->needs, false))
        fxe_ready_add(r);
    fxe_unlock();
    return true;
}

static void make_room(const struct fxe_req *r)
{
    const struct fxe_kept *k = fxe_kept_of(r->obj[r->kept_param]);
    size_t need = k ? growth(k) + (k->obj->ptr ? 0 : to_load(k)) : 0;
    if (need > fxe_room_lately())
        fxe_unload_for(need);
}

/* The index was mapped until now.  What is recorded counts as made from now on: if it cannot be,
 * the index is read with it later. */
static int into_memory(const struct fxe_req *r, struct fxe_obj *o, struct fxe_kept *k, char *why)
{
    int64_t began = fxe_now_ms();
    int rc = fxe_unmap(o, k, why);
    if (rc == 0)
        fxs_log(FXS_INFO, "engine", "event=loaded entry=%llu ntotal=%lld changes=0 ms=%lld",
                (unsigned long long)(k ? k->entry : 0), (long long)fxe_ntotal_of(o),
                (long long)(fxe_now_ms() - began));
    else if (k && r->keep == FXE_KEEP_RECORDED)
        fxe_keep_drop(k);
    return rc;
}

/* Reads the object's index from the store; of a part, that which it is a part of.  Returns 0, 1 if
 * it was unpublished, or -1. */
static int load_kept(const struct fxe_req *r, struct fxe_obj *o, char *why)
{
    int rc = 1;
    fxe_lock();
    const struct fxe_obj *whole = o;
    while (!whole->kept && whole->lender)
        whole = whole->lender;
    struct fxe_kept *k = whole->kept;
    if (k)
        fxe_keep_use(k);
    fxe_unlock();
    if (o->mapped)
        rc = into_memory(r, o, k, why);
    else if (k)
        rc = fxe_load(k, o == whole && fxe_only_reads(r), why);
    if (k) {
        fxe_lock();
        fxe_keep_leave(k);
        fxe_unlock();
    }
    return rc;
}

static int unreadable(struct fxe_req *r, const char *why)
{
    bool recorded = r->keep == FXE_KEEP_RECORDED;
    r->made = recorded; /* nobody may ask for it once more */
    return fxe_fail(r, "limit", "the index cannot be read from the server's disk: %s%s", why,
                    recorded ? "; the change is stored, and will be made when it can" : "");
}

int fxe_keep_load(struct fxe_req *r)
{
    char why[FXS_STORE_WHY];
    if (fxe_keep_store() && r->keep == FXE_KEEP_RECORDED)
        make_room(r);
    if (!fxe_keep_store() || !needs_absent(r))
        return 0;
    for (int i = 0; i < r->nheld; i++) {
        struct fxe_obj *o = fxe_obj_target(r->held[i]);
        if (!is_absent(r, o))
            continue;
        int rc = load_kept(r, o, why);
        if (rc > 0)
            return fxe_fail(r, "handle", "the index was unpublished before it was read from disk");
        if (rc != 0)
            return unreadable(r, why);
    }
    return 0;
}

void fxe_keep_drop(struct fxe_kept *k)
{
    struct fxe_obj *doomed = NULL;
    fxe_lock();
    struct fxe_obj old = fxe_obj_replace(k->obj, NULL, &doomed);
    fxe_unlock();
    fxe_obj_free_temporary(&old);
    fxe_obj_destroy_list(doomed);
}

/* Did the engine before this one end by itself, and not because somebody killed it?  SIGBUS may
 * come from the disk, of another index that is mapped. */
static bool has_crashed(const char *how)
{
    int number = 0;
    return sscanf(how, "signal %d", &number) == 1 && number != SIGKILL && number != SIGTERM &&
           number != SIGBUS;
}

/* An entry whose training has ended an engine, or 0.  The store's mark has it, too, with ENDED,
 * until it has been trained: so no later engine tries by itself. */
static uint64_t crashed_training; /* engine.lock */
static bool crashed_before;       /* an engine before the previous one */
#define ENDED (1ull << 63)

void fxe_load_set_training(struct fxe_kept *k)
{
    struct fxe_training *t = k->obj->training;
    if (t && crashed_training == k->entry)
        snprintf(t->why, sizeof t->why, "the engine ended%s%s while it was trained",
                 crashed_before ? "" : " with ", crashed_before ? "" : fxe_engine.options.previous);
}

void fxe_load_mark_training(uint64_t entry, bool trained)
{
    fxe_lock();
    if (trained && crashed_training == entry)
        crashed_training = 0;
    uint64_t mark = !trained && entry ? entry : crashed_training ? crashed_training | ENDED : 0;
    fxe_unlock();
    if (fxe_keep_store())
        fxs_store_mark_training(fxe_keep_store(), mark);
}

/* Returns whether the previous engine ended while it trained an index. */
static bool ended_in_training(void)
{
    uint64_t mark = fxs_store_marked_training(fxe_keep_store());
    crashed_before = (mark & ENDED) != 0;
    if (crashed_before || has_crashed(fxe_engine.options.previous))
        crashed_training = mark & ~ENDED;
    fxs_store_mark_training(fxe_keep_store(), crashed_training ? crashed_training | ENDED : 0);
    return crashed_training && !crashed_before;
}

static uint64_t suspect; /* an entry, or 0 */

bool fxe_load_is_suspect(const struct fxe_kept *k)
{
    return suspect == k->entry && k->log_bytes;
}

void fxe_load_check_mark(void)
{
    uint64_t entry, number;
    int was_alone;
    char why[FXS_STORE_WHY], reason[256];
    fxs_store_marked(fxe_keep_store(), &entry, &number, &was_alone);
    fxs_store_mark(fxe_keep_store(), 0, 0, 0);
    /* The one may have ended the other: a change is not set aside for that. */
    if (ended_in_training() || !has_crashed(fxe_engine.options.previous) || !number)
        return;
    if (!was_alone) { /* anything else may have ended the engine */
        suspect = entry;
        fxs_log(FXS_WARN, "engine", "event=change-suspected entry=%llu number=%llu why=\"%s\"",
                (unsigned long long)entry, (unsigned long long)number, fxe_engine.options.previous);
        return;
    }
    snprintf(reason, sizeof reason, "the engine ended with %s when this change was made again",
             fxe_engine.options.previous);
    enum fxs_store_rc rc = fxs_store_set_aside(fxe_keep_store(), entry, number, reason, why);
    fxs_log(FXS_ERROR, "engine", "event=change-set-aside entry=%llu number=%llu why=\"%s\"",
            (unsigned long long)entry, (unsigned long long)number,
            rc == FXS_STORE_OK ? reason : why);
}
