/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/objects/inside.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "server/engine/guard/guard.h"
#include "server/engine/keep/unnamed.h"
#include "server/engine/objects/shared.h"
#include "server/engine/run/lock.h"

struct fxe_obj *fxe_obj_find(struct fxe_session *s, uint64_t id)
{
    struct fxe_obj *o = fxe_table_find(id);
    return o && (o->session == s || o->session == &fxe_tenant) && !o->released ? o : NULL;
}

int fxe_obj_is(struct fxe_obj *o, int cls)
{
    if (fx_is_a(o->cls, cls))
        return 1;
    int op = fx_classes[cls].cast_op;
    if (fx_root(o->cls) != fx_root(cls) || !op || !fx_library_has(&fxe_engine.lib, op))
        return 0;
    union fx_val v[2] = {{.p = o->ptr}};
    fx_invoke(&fxe_engine.lib.api, op, v);
    if (!v[1].p)
        return 0;
    if (fx_is_a(cls, o->cls))
        o->cls = cls; /* saves asking FAISS again */
    return 1;
}

struct fxe_obj *fxe_obj_add(struct fxe_session *s, int cls, void *ptr, struct fxe_obj *lender,
                            int inherent)
{
    struct fxe_obj *there = fxe_table_at(ptr, cls);
    if (lender) /* the part's life depends on the object, not on a handle of it */
        lender = fxe_obj_target(lender);
    if (there && !there->released && there->session == s)
        return there;
    struct fxe_obj *o = calloc(1, sizeof *o);
    if (!o || (!lender && fxe_group_new(o) != 0)) {
        free(o);
        return NULL;
    }
    o->ptr = ptr;
    o->cls = cls;
    o->session = s;
    o->owns = o->inherent = inherent;
    if (!fxe_table_point(o)) {
        fxe_group_leave(o);
        free(o);
        return NULL;
    }
    o->lender = lender;
    if (lender) {
        lender->nborrowed++;
        fxe_group_join(lender->group, o);
    }
    fxe_table_add(o, 0);
    return o;
}

struct fxe_obj *fxe_obj_around(const struct fxe_obj *o)
{
    return o->nborrowed && o->group ? o->group->members : NULL;
}

static uint64_t walks; /* engine.lock */

/* An object may be reached in many ways, each level of parts doubling them: it is looked at once.
 */
static int leads_to(const struct fxe_obj *part, struct fxe_obj *whole)
{
    if (whole->walk == walks)
        return 0;
    whole->walk = walks;
    for (const struct fxe_obj *o = part; o; o = o->lender)
        if (o == whole)
            return 1;
    for (int i = 0; i < whole->nkeeps; i++)
        if (leads_to(part, whole->keeps[i]))
            return 1;
    for (struct fxe_obj *b = fxe_obj_around(whole); b; b = b->next_in_group)
        if (b->lender == whole && leads_to(part, b))
            return 1;
    return 0;
}

int fxe_obj_within(const struct fxe_obj *part, struct fxe_obj *whole)
{
    walks++;
    return leads_to(part->alias ? part->keeps[0] : part, whole);
}

int fxe_obj_may_keep(const struct fxe_obj *whole, const struct fxe_obj *part)
{
    if (whole->alias)
        whole = whole->keeps[0];
    if (part->alias)
        part = part->keeps[0];
    return !(whole->inherent && whole->owns) || (!part->lender && !part->nkeepers);
}

int fxe_obj_keep(struct fxe_obj *whole, struct fxe_obj *part)
{
    whole = fxe_obj_target(whole);
    if (whole->inherent && whole->owns) {
        /* FAISS will free it with the whole, like the parts that it created itself. */
        part->lender = whole;
        whole->nborrowed++;
        for (struct fxe_obj *o = whole; o; o = o->lender)
            o->calls += part->calls; /* fxe_obj_let_go subtracts them */
        fxe_group_merge(whole, part);
        return 0;
    }
    struct fxe_obj **more = realloc(whole->keeps, (size_t)(whole->nkeeps + 1) * sizeof *more);
    if (!more)
        return -1;
    whole->keeps = more;
    more[whole->nkeeps++] = part;
    /* The part's lenders must live as long. */
    for (struct fxe_obj *o = part; o; o = o->lender)
        o->nkeepers++;
    fxe_group_merge(whole, part);
    return 0;
}

static void remove_object(struct fxe_obj *o)
{
    fxe_table_remove(o);
    fxe_shared_forget(o);
    if (o->kept)
        fxe_keep_forget(o);
    fxe_unnamed_forget(o);
    fxe_group_leave(o);
}

void fxe_obj_unkeep(struct fxe_obj *part, int owned, struct fxe_obj **doomed)
{
    struct fxe_obj *lender = part->lender;
    for (struct fxe_obj *o = part; o; o = o->lender)
        o->nkeepers--;
    if (owned)
        part->released = 1;
    fxe_obj_reap(part, doomed);
    if (lender)
        fxe_obj_reap(lender, doomed);
}

/* Returns an object that `o` has lent, of class cls (-1: of any class); or NULL. */
static struct fxe_obj *lent_by(const struct fxe_obj *o, int cls)
{
    for (struct fxe_obj *b = fxe_obj_around(o); b; b = b->next_in_group)
        if (b->lender == o && (cls < 0 || b->cls == cls))
            return b;
    return NULL;
}

void fxe_obj_forget_facts(struct fxe_obj *o)
{
    fxe_guard_forget(o);
    o->shape = NULL;
    o->own_shape = o->flat = o->separable = o->query_ns = o->hollow = o->mapped = 0;
    o->proven = 0;
}

/* Requests that wait for a lock have the handle still: they find that there is no object any more,
 * and the last of them frees it. */
static void outlive(struct fxe_obj *b)
{
    fxe_table_forget_pointer(b);
    fxe_obj_forget_facts(b);
    for (struct fxe_obj *o = b->lender; o; o = o->lender)
        o->calls -= b->calls;
    b->lender = NULL;
    b->ptr = NULL;
    b->ended = b->released = 1;
}

void fxe_obj_end_lent(struct fxe_obj *b, struct fxe_obj **doomed)
{
    fxe_obj_end_borrowed(b, -1, doomed);
    b->lender->nborrowed--;
    for (int i = 0; i < b->nkeeps; i++)
        fxe_obj_unkeep(b->keeps[i], b->owns, doomed);
    free(b->keeps);
    b->keeps = NULL;
    b->nkeeps = 0;
    if (b->calls) {
        outlive(b);
        return;
    }
    remove_object(b);
    fxe_guard_forget(b);
    free(b);
}

void fxe_obj_end_borrowed(struct fxe_obj *lender, int cls, struct fxe_obj **doomed)
{
    struct fxe_obj *b;
    while ((b = lent_by(lender, cls)))
        fxe_obj_end_lent(b, doomed);
}

/* The client set own_fields to 0, so FAISS will not free the parts: they outlive `o`. */
static void leave_borrowed(struct fxe_obj *o, struct fxe_obj **doomed)
{
    struct fxe_obj *b;
    while ((b = lent_by(o, -1))) {
        b->lender = NULL;
        o->nborrowed--;
        fxe_obj_reap(b, doomed);
    }
}

static bool lent_is_used(const struct fxe_obj *o)
{
    for (const struct fxe_obj *b = fxe_obj_around(o); b; b = b->next_in_group)
        if (b->lender == o && (b->calls || b->nkeepers || lent_is_used(b)))
            return true;
    return false;
}

bool fxe_obj_is_wanted(const struct fxe_obj *o)
{
    return !o->released || o->calls || o->nkeepers || o->lender || lent_is_used(o);
}

void fxe_obj_reap(struct fxe_obj *o, struct fxe_obj **doomed)
{
    if (fxe_obj_is_wanted(o))
        return;
    DL_APPEND2(*doomed, o, prev_doomed, next_doomed);
    if (o->inherent && !o->owns && !o->alias) /* not an alias: its object still has the parts */
        leave_borrowed(o, doomed);
    fxe_obj_end_borrowed(o, -1, doomed);
    remove_object(o);
    if (o->alias)
        o->keeps[0]->naliases--;
    for (int i = 0; i < o->nkeeps; i++)
        fxe_obj_unkeep(o->keeps[i], o->owns, doomed);
}

void fxe_obj_drop(struct fxe_obj *whole, struct fxe_obj *part, struct fxe_obj **doomed)
{
    whole = fxe_obj_target(whole);
    for (int i = 0; i < whole->nkeeps; i++) {
        struct fxe_obj *kept = whole->keeps[i];
        if (fxe_obj_target(kept) == fxe_obj_target(part)) {
            whole->keeps[i] = whole->keeps[--whole->nkeeps];
            fxe_obj_unkeep(kept, whole->owns, doomed);
            return;
        }
    }
}

void fxe_obj_hold(struct fxe_obj *o)
{
    for (; o; o = o->lender)
        o->calls++;
}

void fxe_obj_let_go(struct fxe_obj *o, struct fxe_obj **doomed)
{
    while (o) {
        struct fxe_obj *lender = o->lender;
        o->calls--;
        fxe_obj_reap(o, doomed);
        o = lender;
    }
}

void fxe_obj_release(struct fxe_obj *o, struct fxe_obj **doomed)
{
    o->released = 1;
    fxe_obj_reap(o, doomed);
}

/* Calls the _free function of the class or, if it has none, of its nearest base class. */
void fxe_obj_free_faiss(int cls, void *ptr)
{
    char name[96];
    for (;; cls = fx_classes[cls].base) {
        snprintf(name, sizeof name, "faiss_%s_free", fx_classes[cls].name);
        int op = fx_op_by_name(name, strlen(name));
        if (op && fx_library_has(&fxe_engine.lib, op)) {
            union fx_val v[2] = {{.p = ptr}};
            fx_invoke(&fxe_engine.lib.api, op, v);
            return;
        }
        if (fx_classes[cls].base == cls)
            return;
    }
}

static void free_object(void *arg)
{
    const struct fxe_obj *o = arg;
    fxe_obj_free_faiss(o->cls, o->ptr);
}

void fxe_obj_free_temporary(struct fxe_obj *o)
{
    if (o->ptr && fxe_guard_free(o, free_object) == 0)
        free_object(o);
    fxe_guard_forget(o);
    o->ptr = NULL;
    o->shape = NULL;
    o->own_shape = 0;
}

void fxe_obj_destroy_list(struct fxe_obj *doomed)
{
    while (doomed) {
        struct fxe_obj *next = doomed->next_doomed;
        if (doomed->ptr && !doomed->alias && fxe_guard_free(doomed, free_object) == 0)
            free_object(doomed);
        fxe_guard_forget(doomed);
        free(doomed->keeps);
        free(doomed->training);
        free(doomed);
        doomed = next;
    }
}
