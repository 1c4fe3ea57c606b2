/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded requests.
 *
 * Many may be on their way to the disk for one index, so that one fsync serves them all; their
 * records become durable in the order in which they were appended.  Each then joins the queue of
 * the index.  Only the first of that queue asks for the index's lock: so they run in that order,
 * and searches get the lock in between.
 *
 * An index that is, or could be, left in its snapshot's file (mapped.c) is read into memory before
 * its first record is made.  There may be no memory for it: then the change is refused, and the
 * index can still be searched in the file, which it could not be if it had a record.
 */
#include <stdlib.h>
#include <string.h>

#include "server/engine/keep/keep.h"
#include "server/engine/run/answers.h"
#include "server/engine/run/ready.h"
#include "server/engine/run/watch.h"

/* SQLite's limit for one value is 1,000,000,000 bytes. */
enum { RECORD_MAX = 512 << 20 };

struct fxe_change {
    struct fxs_change store; /* first: `done` gets its address */
    struct fxe_req *r;
    struct fxe_kept *kept;
    struct fxe_record record;
    size_t bytes;
    uint64_t oldest; /* the caller asks for no older answer */
    uint64_t number;
    int64_t began_ms; /* to run it */
    struct fxe_change *next;
};

void fxe_change_run_first(struct fxe_kept *k)
{
    if (!k->due || k->running || k->still)
        return;
    k->running = true;
    k->due->began_ms = fxe_now_ms();
    fxe_ready_retry(k->due->r);
}

static void queue_again(struct fxe_req *r)
{
    fxe_ready_add(r);
    fxe_watch_wake();
}

/* The request goes another way, and takes its locks now.  The caller holds engine.lock. */
static void go(struct fxe_req *r, enum fxe_keep way)
{
    r->keep = way;
    if (fxe_needs_take(r, &r->needs, false))
        queue_again(r);
}

static void refused(struct fxe_change *c, enum fxs_store_rc rc, const char *why)
{
    fxe_fail(c->r, "limit", "%s: the change could not be stored, and was not made: %s",
             fxe_req_name(c->r), rc == FXS_STORE_FULL ? "the server's disk is full" : why);
    c->r->keep = FXE_KEEP_REFUSED;
    c->r->lane = FXE_SMALL;
    queue_again(c->r);
}

/* Called by the store's thread, or by fxs_store_append. */
static void recorded(struct fxs_change *s, enum fxs_store_rc rc, uint64_t number, const char *why)
{
    struct fxe_change *c = (struct fxe_change *)s;
    fxe_lock();
    if (rc == FXS_STORE_OK) {
        struct fxe_kept *k = c->kept;
        c->number = number;
        c->r->keep = FXE_KEEP_RECORDED;
        if (k->due)
            k->last_due->next = c;
        else
            k->due = c;
        k->last_due = c;
        fxe_change_run_first(k);
    } else {
        /* It is not kept any more, or is about to be `gone`: the store knows first. */
        if (c->kept->gone || rc == FXS_STORE_NONE)
            go(c->r, FXE_KEEP_BY_STATE);
        else
            refused(c, rc, why);
        fxe_keep_leave(c->kept);
    }
    fxe_unlock();
}

/* Returns why the request is not recorded: the way it goes instead; or FXE_KEEP_RECORD. */
static enum fxe_keep prepare(struct fxe_req *r, struct fxe_change *c)
{
    if (!c) {
        fxe_fail(r, "limit", "the server is out of memory");
        return FXE_KEEP_REFUSED;
    }
    c->r = r;
    if (fxe_record_make(r, &c->record) != 0)
        return FXE_KEEP_REFUSED;
    for (int i = 0; i < c->record.nparts; i++)
        c->bytes += c->record.parts[i].iov_len;
    if (c->bytes > RECORD_MAX)
        return FXE_KEEP_BY_STATE;
    c->store =
        (struct fxs_change){.parts = c->record.parts, .nparts = c->record.nparts, .done = recorded};
    if (fxe_answers_caller(r, &c->store.caller)) {
        c->oldest = c->store.caller.number;
        fx_header_uint(&r->header, "oldest", &c->oldest);
        if (c->oldest > c->store.caller.number)
            c->oldest = c->store.caller.number;
    }
    return FXE_KEEP_RECORD;
}

/* The index may have been unpublished meanwhile.  From here on it is not unloaded.  Returns what
 * prepare() does. */
static enum fxe_keep find_kept(struct fxe_req *r, struct fxe_change *c)
{
    enum fxe_keep way = FXE_KEEP_BY_STATE;
    int n = r->needs.n;
    fxe_lock();
    c->kept = fxe_kept_of(r->obj[r->kept_param]);
    if (c->kept && r->keep == FXE_KEEP_RECORD && fxe_may_stay_mapped(c->kept)) {
        way = FXE_KEEP_READ;
    } else if (c->kept) {
        fxe_keep_use(c->kept);
        c->store.entry = c->kept->entry;
        way = FXE_KEEP_RECORD;
    }
    if (r->keep == FXE_KEEP_READ) {
        fxe_needs_give(&r->needs);
        r->needs.n = n;
    }
    fxe_unlock();
    return way;
}

void fxe_change_record(struct fxe_req *r)
{
    enum fxe_keep way = FXE_KEEP_RECORD;
    enum fxe_asked asked = r->change ? FXE_ASKED_NEW : fxe_keep_asked(r);
    if (asked == FXE_ASKED_KNOWN)
        way = FXE_KEEP_REFUSED;
    else if (asked == FXE_ASKED_RECORD)
        way = FXE_KEEP_ASKED;
    else if (!r->change)
        way = prepare(r, r->change = calloc(1, sizeof *r->change));
    if (way == FXE_KEEP_RECORD)
        way = find_kept(r, r->change);
    if (way == FXE_KEEP_RECORD) {
        fxs_store_append(fxe_keep_store(), &r->change->store);
    } else if (way == FXE_KEEP_REFUSED) {
        r->keep = way;
        fxe_req_finish(r);
    } else {
        fxe_lock();
        go(r, way);
        fxe_unlock();
    }
}

struct fxe_kept *fxe_change_kept(const struct fxe_req *r)
{
    return r->change->kept;
}

void fxe_change_answer(struct fxe_req *r, const struct fx_frame *frames, int n)
{
    struct fxe_change *c = r->change;
    const struct fxs_caller *caller = &c->store.caller;
    size_t size = 0;
    bool made = !r->failed || r->made;
    if (r->keep != FXE_KEEP_RECORDED || (r->failed && made && !c->kept->obj->ptr))
        return; /* it could not be read, and the call is made when it can */
    void *answer = caller->number ? fxe_answer_pack(frames, n, &size) : NULL;
    fxs_store_answer(fxe_keep_store(), caller, c->oldest, c->kept->entry, c->number, !made,
                     answer ? answer : "", size);
    free(answer);
}

void fxe_change_end(struct fxe_req *r)
{
    struct fxe_change *c = r->change;
    struct fxe_kept *k = c->kept;
    k->applied = c->number;
    k->busy_ms += fxe_now_ms() - c->began_ms;
    k->log_bytes += c->bytes;
    k->due = c->next;
    k->running = false;
    fxe_change_run_first(k);
    fxe_snapshot_if_due(k);
    fxe_keep_leave(k);
}

void fxe_change_free(struct fxe_change *c)
{
    if (!c)
        return;
    fxe_record_free(&c->record);
    free(c);
}
