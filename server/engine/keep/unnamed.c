/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/keep/unnamed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "server/engine/guard/guard.h"
#include "server/engine/run/house.h"
#include "server/log.h"

enum { ITSELF = 1, SECOND, PART };
enum { PAUSE_MS = 1000 }; /* after a name that could not be removed */

static bool is_on(void)
{
    return fxe_keep_store() && fxe_engine.options.keep == FXS_KEEP_SESSIONS;
}

static int is_index(int cls)
{
    return fx_root(cls) == FX_CLASS_Index || fx_root(cls) == FX_CLASS_IndexBinary;
}

/* --- names --- */

static int print_name(char *to, size_t len, int kind, const struct fxe_session *s, uint64_t id)
{
    int n = snprintf(to, len, "%c", kind);
    for (int i = 0; i < FX_TOKEN_SIZE; i++)
        n += snprintf(to + n, len - (size_t)n, "%02x", s->token[i]);
    return n + snprintf(to + n, len - (size_t)n, "/%" PRIx64, id);
}

struct handle_name {
    int kind;
    uint8_t token[FX_TOKEN_SIZE];
    uint64_t id, of;
    char function[FXS_NAME_MAX + 1];
};

static int parse_name(const char *name, struct handle_name *h)
{
    *h = (struct handle_name){.kind = name[0]};
    name++;
    for (int i = 0; i < FX_TOKEN_SIZE; i++, name += 2) {
        unsigned byte;
        if (sscanf(name, "%2x", &byte) != 1)
            return -1;
        h->token[i] = (uint8_t)byte;
    }
    int n = sscanf(name, "/%" SCNx64 "/%" SCNx64 "/%200s", &h->id, &h->of, h->function);
    return n == (h->kind == PART ? 3 : 1) ? 0 : -1;
}

/* The name of a part of `of`, or of the kept index itself if that is its lender. */
static void print_part(char *to, size_t len, const struct fxe_obj *o, const struct fxe_kept *k,
                       const struct fxe_obj *of, const char *function)
{
    int n = print_name(to, len, PART, o->session, o->id);
    snprintf(to + n, len - (size_t)n, "/%" PRIx64 "/%s", of == k->obj ? 0 : of->id, function);
}

/* Gives the entry a name that stands for the handle `o`; and takes away another, if not NULL. */
static int store_name(uint64_t entry, struct fxe_obj *o, const char *name, const char *instead,
                      char *why)
{
    if (fxs_store_name_instead(fxe_keep_store(), entry, name, instead, why) != FXS_STORE_OK)
        return -1;
    fxe_lock();
    o->stored_as = strdup(name);
    fxe_unlock();
    return 0;
}

/* --- objects that a request has made --- */

static void not_kept(const struct fxe_obj *o, const char *why)
{
    fxs_log(FXS_INFO, "engine", "event=not-kept object=%" PRIu64 " class=%s why=\"%s\"", o->id,
            fx_classes[o->cls].name, why);
}

static int cannot_store(struct fxe_req *r, const char *why)
{
    msgpack_sbuffer_clear(&r->reply); /* it may have been packed for the snapshot */
    return fxe_fail(r, "limit", "%s: the index could not be stored: %s", fxe_req_name(r), why);
}

/* Returns 1 if FAISS cannot write the index, as its guard knows; the reply stays as it is. */
static int is_unwritable(struct fxe_req *r, struct fxe_obj *o)
{
    if (o->hollow)
        return 1;
    if (fxe_guard_save(r, o) == 0)
        return 0;
    r->failed = 0;
    free(r->message);
    r->message = NULL;
    r->kind = NULL;
    return 1;
}

static int keep_itself(struct fxe_req *r, struct fxe_obj *o)
{
    char name[FXS_NAME_MAX + 1], why[FXS_STORE_WHY];
    struct fxe_kept *k;
    if (!is_index(o->cls) || is_unwritable(r, o)) {
        not_kept(o, "FAISS cannot write it");
        return 0;
    }
    if (!(k = calloc(1, sizeof *k)))
        return fxe_fail(r, "limit", "the server is out of memory");
    k->obj = o;
    print_name(name, sizeof name, ITSELF, r->session, o->id);
    int rc = fxe_snapshot_now(k, name, r, why);
    if (rc != 0) {
        free(k);
        if (rc > 0) {
            not_kept(o, why);
            return 0;
        }
        return cannot_store(r, why);
    }
    fxe_lock();
    o->stored_as = strdup(name);
    fxe_keep_adopt(k);
    fxe_unlock();
    fxe_unnamed_link_parts(k);
    return 0;
}

static int keep_part(struct fxe_req *r, struct fxe_obj *o)
{
    char name[FXS_NAME_MAX + 1], why[FXS_STORE_WHY];
    if (r->fn->nparams != 1 || !is_index(o->cls))
        return 0;
    fxe_lock();
    const struct fxe_obj *whole = o;
    while (whole->lender)
        whole = whole->lender;
    const struct fxe_kept *k = whole->kept;
    uint64_t entry = k ? k->entry : 0;
    if (k)
        print_part(name, sizeof name, o, k, o->lender, r->fn->name);
    fxe_unlock();
    return !entry || store_name(entry, o, name, NULL, why) == 0 ? 0 : cannot_store(r, why);
}

void fxe_unnamed_commit(struct fxe_req *r)
{
    if (!is_on() || !r->session)
        return;
    for (int i = 0; i < r->nfresh && !r->failed; i++) {
        struct fxe_obj *o = r->fresh[i];
        if (o->stored_as)
            continue;
        if ((o->lender ? keep_part(r, o) : keep_itself(r, o)) == 0)
            continue;
        struct fxe_obj *doomed = NULL;
        fxe_lock();
        fxe_obj_release(o, &doomed);
        fxe_unlock();
        fxe_obj_destroy_list(doomed);
    }
}

int fxe_unnamed_opened(struct fxe_req *r, struct fxe_obj *alias)
{
    char name[FXS_NAME_MAX + 1], why[FXS_STORE_WHY];
    fxe_lock();
    struct fxe_kept *k = is_on() ? fxe_kept_of(alias) : NULL;
    uint64_t entry = k ? k->entry : 0;
    fxe_unlock();
    if (!k)
        return 0;
    print_name(name, sizeof name, SECOND, r->session, alias->id);
    return store_name(entry, alias, name, NULL, why) == 0 ? 0 : cannot_store(r, why);
}

/* --- parts that the client has put into an index --- */

/* Returns the function that returns `part` when it is called for `whole`; or NULL. */
static const struct fx_fn *accessor(struct fxe_obj *whole, const struct fxe_obj *part)
{
    for (int op = 1; op < FX_NOPS; op++) {
        const struct fx_fn *fn = &fx_fns[op];
        if (!(fn->flags & FX_BORROW) || fn->nparams != 1 || fn->ret.kind != FX_HANDLE ||
            !fx_library_has(&fxe_engine.lib, op))
            continue;
        fxe_lock();
        int is = fxe_obj_is(whole, fn->params[0].cls);
        fxe_unlock();
        union fx_val v[2] = {{.p = whole->ptr}};
        if (is)
            fx_invoke(fxe_api(), op, v);
        if (is && v[1].p == part->ptr)
            return fn;
    }
    return NULL;
}

/* The part is no longer an entry of its own, if it was one.  Its name goes at once: after a crash
 * it would stand for the old entry. */
static void link_part(struct fxe_kept *k, struct fxe_obj *part, const struct fx_fn *fn)
{
    char name[FXS_NAME_MAX + 1], why[FXS_STORE_WHY];
    print_part(name, sizeof name, part, k, k->obj, fn->name);
    fxe_lock();
    char *before = part->stored_as;
    part->stored_as = NULL;
    if (part->kept)
        fxe_keep_forget(part);
    fxe_unlock();
    if (store_name(k->entry, part, name, before, why) == 0) {
        free(before);
        return;
    }
    not_kept(part, why);
    fxe_lock();
    part->stored_as = before;
    fxe_unnamed_forget(part);
    fxe_unlock();
}

void fxe_unnamed_link_parts(struct fxe_kept *k)
{
    struct fxe_obj *o = k->obj;
    for (int i = 0; is_on() && i < o->nkeeps; i++) {
        struct fxe_obj *part = o->keeps[i];
        bool linked = part->stored_as && part->stored_as[0] == PART;
        const struct fx_fn *fn = linked ? NULL : accessor(o, part);
        if (fn)
            link_part(k, part, fn);
    }
}

/* --- at start --- */

struct fxe_obj *fxe_unnamed_object(int cls, const struct fxs_entry *e)
{
    struct handle_name h;
    for (uint32_t i = 0; i < e->nnames; i++) {
        if (e->names[i][0] != ITSELF || parse_name(e->names[i], &h) != 0)
            continue;
        struct fxe_session *s = fxe_session_restore(h.token);
        struct fxe_obj *o = s ? fxe_obj_add_absent(s, cls, h.id) : NULL;
        if (o)
            o->stored_as = strdup(e->names[i]);
        return o;
    }
    return NULL;
}

/* A part waits for its index to be read, and then for FAISS's object.  Returns 1 if the object that
 * it is a part of is not known yet. */
static int add_part(struct fxe_obj *whole, struct fxe_session *s, const struct handle_name *h,
                    struct fxe_obj **o)
{
    int op = fx_op_by_name(h->function, strlen(h->function));
    struct fxe_obj *lender = h->of ? fxe_obj_find(s, h->of) : whole;
    if (!lender)
        return 1;
    if (!op || !(*o = fxe_obj_add_absent(s, fx_fns[op].ret.cls, h->id)))
        return -1;
    (*o)->accessor = op;
    fxe_obj_lend(lender, *o);
    return 0;
}

/* Returns 0, 1 as add_part, or -1. */
static int add_handle(struct fxe_obj *o, const char *name)
{
    struct handle_name h;
    struct fxe_obj *handle = NULL;
    if (parse_name(name, &h) != 0)
        return -1;
    struct fxe_session *s = fxe_session_restore(h.token);
    if (!s || fxe_obj_find(s, h.id))
        return s ? 0 : -1;
    if (h.kind == PART) {
        int rc = add_part(o, s, &h, &handle);
        if (rc != 0)
            return rc;
    } else if ((handle = fxe_obj_alias(s, o))) {
        fxe_obj_renumber(handle, h.id);
    } else {
        return -1;
    }
    handle->stored_as = strdup(name);
    return 0;
}

int fxe_unnamed_handles(struct fxe_obj *o, const struct fxs_entry *e)
{
    int unknown, before = (int)e->nnames + 1;
    /* A part of a part may come before that. */
    for (;; before = unknown) {
        unknown = 0;
        for (uint32_t i = 0; i < e->nnames; i++) {
            int rc = fxe_is_handle_name(e->names[i]) ? add_handle(o, e->names[i]) : 0;
            if (rc < 0)
                return -1;
            unknown += rc;
        }
        if (unknown == 0 || unknown >= before)
            return 0;
    }
}

void fxe_unnamed_resolve(struct fxe_kept *k)
{
    bool again = true;
    fxe_lock();
    while (again) {
        again = false;
        for (struct fxe_obj *o = k->obj->group->members; o; o = o->next_in_group) {
            if (!o->accessor || o->ptr || !o->lender || !o->lender->ptr)
                continue;
            union fx_val v[2] = {{.p = o->lender->ptr}};
            fx_invoke(fxe_api(), o->accessor, v);
            if (v[1].p) {
                fxe_obj_point(o, v[1].p);
                again = true;
            }
        }
    }
    fxe_unlock();
}

/* --- at the end of an object --- */

struct doomed_name {
    struct doomed_name *next;
    char name[];
};

static struct doomed_name *doomed_names; /* engine.lock */
static int64_t not_before_ms;            /* the disk is full: no other is tried before this */

void fxe_unnamed_forget(struct fxe_obj *o)
{
    if (!o->stored_as)
        return;
    size_t n = strlen(o->stored_as) + 1;
    struct doomed_name *d = malloc(sizeof *d + n);
    if (d) { /* else the name lives until its session ends after a restart */
        memcpy(d->name, o->stored_as, n);
        LL_PREPEND(doomed_names, d);
        fxe_snapshots_wake();
    }
    free(o->stored_as);
    o->stored_as = NULL;
}

bool fxe_unnamed_remove_one(void)
{
    char why[FXS_STORE_WHY];
    fxe_lock();
    struct doomed_name *d = fxe_now_ms() < not_before_ms ? NULL : doomed_names;
    if (d)
        LL_DELETE(doomed_names, d);
    fxe_unlock();
    if (!d)
        return false;
    enum fxs_store_rc rc =
        fxs_store_unname(fxe_keep_store(), d->name, &(struct fxs_caller){.number = 0}, why);
    if (rc == FXS_STORE_OK || rc == FXS_STORE_NONE) {
        free(d);
        return true;
    }
    fxe_lock();
    LL_APPEND(doomed_names, d);
    not_before_ms = fxe_now_ms() + PAUSE_MS;
    fxe_unlock();
    return false;
}
