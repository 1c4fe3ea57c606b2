/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/objects/object.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <utlist.h>

#include "server/engine/guard/guard.h"
#include "server/engine/keep/unnamed.h"
#include "server/engine/objects/shared.h"
#include "server/engine/run/lock.h"

/* Address and family: a part may have the same address as the whole. */
struct ptr_key {
    void *ptr;
    uintptr_t root;
};

struct pointer_entry { /* in table.by_ptr */
    struct ptr_key key;
    struct fxe_obj *obj;
    UT_hash_handle hh;
};

/* Owns published objects; never ends. */
static struct fxe_session tenant;

static struct {
    struct fxe_obj *by_id;
    struct pointer_entry *by_ptr;
    uint64_t next_id;
} table;

size_t fxe_obj_count(void)
{
    return HASH_COUNT(table.by_id);
}

static struct pointer_entry *entry_of(void *ptr, int cls)
{
    struct ptr_key key = {ptr, (uintptr_t)fx_root(cls)};
    struct pointer_entry *e;
    HASH_FIND(hh, table.by_ptr, &key, sizeof key, e);
    return e;
}

struct fxe_obj *fxe_obj_find(struct fxe_session *s, uint64_t id)
{
    struct fxe_obj *o;
    HASH_FIND(hh, table.by_id, &id, sizeof id, o);
    return o && (o->session == s || o->session == &tenant) && !o->released ? o : NULL;
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

/* Ids start at a random number, so an engine does not know the ids of its predecessor, but for
 * those that it has restored. */
static uint64_t new_id(void)
{
    struct fxe_obj *other;
    if (!table.next_id) {
        uint64_t r = 0;
        if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
            r = (uint64_t)time(NULL) << 20;
        table.next_id = (r & 0xffffffffffffu) << 8 | 1;
    }
    do {
        HASH_FIND(hh, table.by_id, &table.next_id, sizeof table.next_id, other);
        table.next_id += other != NULL;
    } while (other);
    return table.next_id++;
}

struct fxe_obj *fxe_obj_add(struct fxe_session *s, int cls, void *ptr, struct fxe_obj *lender,
                            int inherent)
{
    struct pointer_entry *e = entry_of(ptr, cls);
    if (lender) /* the part's life depends on the object, not on a handle of it */
        lender = fxe_obj_target(lender);
    if (e && !e->obj->released && e->obj->session == s)
        return e->obj;
    struct fxe_obj *o = calloc(1, sizeof *o);
    struct pointer_entry *fresh = e ? NULL : calloc(1, sizeof *fresh);
    if (!o || (!e && !fresh) || (!lender && fxe_group_new(o) != 0)) {
        free(o);
        free(fresh);
        return NULL;
    }
    o->id = new_id();
    o->ptr = ptr;
    o->cls = cls;
    o->session = s;
    o->owns = o->inherent = inherent;
    o->lender = lender;
    if (lender) {
        lender->nborrowed++;
        fxe_group_join(lender->group, o);
    }
    DL_PREPEND(s->objects, o);
    HASH_ADD(hh, table.by_id, id, sizeof o->id, o);
    if (fresh) {
        fresh->key = (struct ptr_key){ptr, (uintptr_t)fx_root(cls)};
        fresh->obj = o;
        HASH_ADD(hh, table.by_ptr, key, sizeof fresh->key, fresh);
    } else {
        e->obj = o;
    }
    return o;
}

/* A part may have its whole's address, so the entry may be another object's. */
static void forget_pointer(struct fxe_obj *o)
{
    struct pointer_entry *e = o->ptr ? entry_of(o->ptr, o->cls) : NULL;
    if (e && e->obj == o) {
        HASH_DELETE(hh, table.by_ptr, e);
        free(e);
    }
}

/* Returns the members of o's group if `o` has lent any object, else NULL.  They may belong to
 * several sessions. */
static struct fxe_obj *around(const struct fxe_obj *o)
{
    return o->nborrowed && o->group ? o->group->members : NULL;
}

int fxe_obj_within(const struct fxe_obj *part, const struct fxe_obj *whole)
{
    if (part->alias)
        part = part->keeps[0];
    for (const struct fxe_obj *o = part; o; o = o->lender)
        if (o == whole)
            return 1;
    for (int i = 0; i < whole->nkeeps; i++)
        if (fxe_obj_within(part, whole->keeps[i]))
            return 1;
    for (const struct fxe_obj *b = around(whole); b; b = b->next_in_group)
        if (b->lender == whole && fxe_obj_within(part, b))
            return 1;
    return 0;
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
    DL_DELETE(o->session->objects, o);
    HASH_DELETE(hh, table.by_id, o);
    forget_pointer(o);
    fxe_shared_forget(o);
    if (o->kept)
        fxe_keep_forget(o);
    fxe_unnamed_forget(o);
    fxe_group_leave(o);
}

static void reap(struct fxe_obj *o, struct fxe_obj **doomed);

static void unkeep(struct fxe_obj *part, int owned, struct fxe_obj **doomed)
{
    struct fxe_obj *lender = part->lender;
    for (struct fxe_obj *o = part; o; o = o->lender)
        o->nkeepers--;
    if (owned)
        part->released = 1;
    reap(part, doomed);
    if (lender)
        reap(lender, doomed);
}

/* Returns an object that `o` has lent, of class cls (-1: of any class); or NULL. */
static struct fxe_obj *lent_by(const struct fxe_obj *o, int cls)
{
    for (struct fxe_obj *b = around(o); b; b = b->next_in_group)
        if (b->lender == o && (cls < 0 || b->cls == cls))
            return b;
    return NULL;
}

static void end_borrowed(struct fxe_obj *o, int cls, struct fxe_obj **doomed);

/* What was found out about FAISS's object. */
static void forget_facts(struct fxe_obj *o)
{
    fxe_guard_forget(o);
    o->shape = NULL;
    o->own_shape = o->flat = o->separable = o->query_ns = o->hollow = o->mapped = 0;
}

/* Requests that wait for a lock have the handle still: they find that there is no object any more,
 * and the last of them frees it. */
static void outlive(struct fxe_obj *b)
{
    forget_pointer(b);
    forget_facts(b);
    for (struct fxe_obj *o = b->lender; o; o = o->lender)
        o->calls -= b->calls;
    b->lender = NULL;
    b->ptr = NULL;
    b->ended = b->released = 1;
}

/* Ends the handle of a lent object; FAISS frees the object with its lender. */
static void end_lent(struct fxe_obj *b, struct fxe_obj **doomed)
{
    end_borrowed(b, -1, doomed);
    b->lender->nborrowed--;
    for (int i = 0; i < b->nkeeps; i++)
        unkeep(b->keeps[i], b->owns, doomed);
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

/* Ends all handles of class cls (-1: of any class) that `o` has lent. */
static void end_borrowed(struct fxe_obj *o, int cls, struct fxe_obj **doomed)
{
    struct fxe_obj *b;
    while ((b = lent_by(o, cls)))
        end_lent(b, doomed);
}

void fxe_obj_end_borrowed(struct fxe_obj *lender, int cls, struct fxe_obj **doomed)
{
    end_borrowed(lender, cls, doomed);
}

/* The client set own_fields to 0, so FAISS will not free the parts: they outlive `o`. */
static void leave_borrowed(struct fxe_obj *o, struct fxe_obj **doomed)
{
    struct fxe_obj *b;
    while ((b = lent_by(o, -1))) {
        b->lender = NULL;
        o->nborrowed--;
        reap(b, doomed);
    }
}

static bool lent_is_used(const struct fxe_obj *o)
{
    for (const struct fxe_obj *b = around(o); b; b = b->next_in_group)
        if (b->lender == o && (b->calls || b->nkeepers || lent_is_used(b)))
            return true;
    return false;
}

static bool is_wanted(const struct fxe_obj *o)
{
    return !o->released || o->calls || o->nkeepers || o->lender || lent_is_used(o);
}

/* Puts `o` on *doomed, with everything that depends on it, unless it is still wanted. */
static void reap(struct fxe_obj *o, struct fxe_obj **doomed)
{
    if (is_wanted(o))
        return;
    while (*doomed)
        doomed = &(*doomed)->next_doomed;
    *doomed = o;
    o->next_doomed = NULL;
    if (o->inherent && !o->owns && !o->alias) /* not an alias: its object still has the parts */
        leave_borrowed(o, &o->next_doomed);
    end_borrowed(o, -1, &o->next_doomed);
    remove_object(o);
    if (o->alias)
        o->keeps[0]->naliases--;
    for (int i = 0; i < o->nkeeps; i++)
        unkeep(o->keeps[i], o->owns, &o->next_doomed);
}

void fxe_obj_drop(struct fxe_obj *whole, struct fxe_obj *part, struct fxe_obj **doomed)
{
    whole = fxe_obj_target(whole);
    for (int i = 0; i < whole->nkeeps; i++) {
        struct fxe_obj *kept = whole->keeps[i];
        if (fxe_obj_target(kept) == fxe_obj_target(part)) {
            whole->keeps[i] = whole->keeps[--whole->nkeeps];
            unkeep(kept, whole->owns, doomed);
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
        reap(o, doomed);
        o = lender;
    }
}

void fxe_obj_release(struct fxe_obj *o, struct fxe_obj **doomed)
{
    o->released = 1;
    reap(o, doomed);
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

/* --- objects of the tenant --- */

int fxe_obj_is_shared(const struct fxe_obj *o)
{
    return o->session == &tenant;
}

bool fxe_obj_is_within_others(const struct fxe_obj *o)
{
    if (o->lender || o->nkeepers > o->named + o->naliases)
        return true;
    for (const struct fxe_obj *a = o->naliases ? o->group->members : NULL; a; a = a->next_in_group)
        if (a->alias && a->keeps[0] == o && a->nkeepers)
            return true;
    return false;
}

bool fxe_obj_is_part(const struct fxe_obj *o)
{
    if (o->alias)
        o = o->keeps[0];
    return o->lender || o->nkeepers > o->named + o->naliases;
}

static void move_to_tenant(struct fxe_obj *o)
{
    struct fxe_session *from = o->session;
    if (from == &tenant)
        return;
    DL_DELETE(from->objects, o);
    DL_PREPEND(tenant.objects, o);
    o->session = &tenant;
    o->creator = from;
    for (int i = 0; i < o->nkeeps; i++)
        move_to_tenant(o->keeps[i]);
    for (struct fxe_obj *b = around(o); b; b = b->next_in_group)
        if (b->lender == o)
            move_to_tenant(b);
}

void fxe_obj_share(struct fxe_obj *o)
{
    if (o->alias)
        o = o->keeps[0];
    move_to_tenant(o);
    o->named++;
    o->nkeepers++;
}

/* Moves an object without a name back to its creator, with its unnamed parts of that creator. */
static void move_to_creator(struct fxe_obj *o)
{
    struct fxe_session *to = o->creator;
    if (!to || o->named || o->session != &tenant)
        return;
    DL_DELETE(tenant.objects, o);
    DL_PREPEND(to->objects, o);
    o->session = to;
    o->creator = NULL;
    for (int i = 0; i < o->nkeeps; i++)
        if (o->keeps[i]->creator == to)
            move_to_creator(o->keeps[i]);
    for (struct fxe_obj *b = around(o); b; b = b->next_in_group)
        if (b->lender == o && b->creator == to)
            move_to_creator(b);
}

void fxe_obj_unkeep_shared(struct fxe_obj *o, struct fxe_obj **doomed)
{
    if (o->alias)
        o = o->keeps[0];
    o->named--;
    o->nkeepers--;
    if (o->creator)
        move_to_creator(o);
    else if (o->named == 0)
        o->released = 1; /* cannot be opened again; open handles keep it alive */
    reap(o, doomed);
}

/* The creator no longer needs the object, so it is released unless it has a name. */
static void lose_creator(struct fxe_obj *o)
{
    o->creator = NULL;
    if (!o->named)
        o->released = 1;
}

void fxe_obj_disown(struct fxe_obj *o, const struct fxe_session *creator, struct fxe_obj **doomed)
{
    if (o->creator != creator)
        return;
    lose_creator(o);
    reap(o, doomed);
}

static struct fxe_obj *add_alias(struct fxe_session *s, struct fxe_obj *target, bool apart)
{
    struct fxe_obj *o = calloc(1, sizeof *o);
    struct fxe_obj **keeps = malloc(sizeof *keeps);
    if (!o || !keeps || (apart && fxe_group_new(o) != 0)) {
        free(o);
        free(keeps);
        return NULL;
    }
    o->id = new_id();
    o->ptr = target->ptr;
    o->cls = target->cls;
    o->session = s;
    o->inherent = target->inherent;
    o->alias = 1;
    o->keeps = keeps;
    keeps[0] = target;
    o->nkeeps = 1;
    target->nkeepers++;
    target->naliases++;
    if (!apart)
        fxe_group_join(target->group, o);
    DL_PREPEND(s->objects, o);
    HASH_ADD(hh, table.by_id, id, sizeof o->id, o);
    return o;
}

struct fxe_obj *fxe_obj_alias(struct fxe_session *s, struct fxe_obj *target)
{
    return add_alias(s, fxe_obj_target(target), false);
}

struct fxe_obj *fxe_obj_alias_apart(struct fxe_session *s, struct fxe_obj *target)
{
    return add_alias(s, target, true);
}

void fxe_obj_set_apart(struct fxe_obj *o, void *ptr, struct fxe_obj **doomed)
{
    struct fxe_obj *target = o->keeps[0];
    if (!ptr) {
        ptr = target->ptr;
        forget_pointer(target);
        target->ptr = NULL;
    }
    free(o->keeps);
    o->keeps = NULL;
    o->alias = o->nkeeps = 0;
    o->owns = o->inherent = 1;
    fxe_obj_point(o, ptr);
    target->naliases--;
    unkeep(target, 0, doomed);
}

struct fxe_obj *fxe_obj_add_absent(struct fxe_session *s, int cls, uint64_t id)
{
    struct fxe_obj *o = calloc(1, sizeof *o), *other = NULL;
    if (id)
        HASH_FIND(hh, table.by_id, &id, sizeof id, other);
    if (!o || other || fxe_group_new(o) != 0) {
        free(o);
        return NULL;
    }
    o->id = id ? id : new_id();
    o->cls = cls;
    o->session = s ? s : &tenant;
    o->owns = o->inherent = 1;
    DL_PREPEND(o->session->objects, o);
    HASH_ADD(hh, table.by_id, id, sizeof o->id, o);
    return o;
}

void fxe_obj_lend(struct fxe_obj *lender, struct fxe_obj *o)
{
    lender = fxe_obj_target(lender);
    o->lender = lender;
    lender->nborrowed++;
    fxe_group_leave(o);
    fxe_group_join(lender->group, o);
}

void fxe_obj_renumber(struct fxe_obj *o, uint64_t id)
{
    HASH_DELETE(hh, table.by_id, o);
    o->id = id;
    HASH_ADD(hh, table.by_id, id, sizeof o->id, o);
}

/* Without the entry, FAISS's object would get a second handle if a call returned it. */
void fxe_obj_point(struct fxe_obj *o, void *ptr)
{
    struct pointer_entry *e = ptr ? calloc(1, sizeof *e) : NULL;
    o->ptr = ptr;
    if (e) {
        e->key = (struct ptr_key){ptr, (uintptr_t)fx_root(o->cls)};
        e->obj = o;
        HASH_ADD(hh, table.by_ptr, key, sizeof e->key, e);
    }
}

void fxe_obj_replace(struct fxe_obj *o, void *ptr, struct fxe_obj **doomed)
{
    if (o->ptr)
        end_borrowed(o, -1, doomed);
    while (o->nkeeps)
        unkeep(o->keeps[--o->nkeeps], o->owns, doomed);
    forget_pointer(o);
    forget_facts(o);
    o->owns = o->inherent = 1;
    fxe_obj_point(o, ptr);
    for (struct fxe_obj *a = o->naliases ? o->group->members : NULL; a; a = a->next_in_group)
        if (a->alias && a->keeps[0] == o) {
            forget_facts(a);
            a->ptr = ptr;
        }
}

void fxe_obj_forget_class(struct fxe_obj *o)
{
    o->cls = fx_root(o->cls);
    for (struct fxe_obj *a = o->naliases ? o->group->members : NULL; a; a = a->next_in_group)
        if (a->alias && a->keeps[0] == o)
            a->cls = fx_root(a->cls);
}

/* --- sessions --- */

/* Frees all unwanted objects, wholes before parts.  Freeing one may free others, so the search
 * starts again each time. */
static void reap_all(struct fxe_session *s, struct fxe_obj **doomed)
{
    for (struct fxe_obj *o = s->objects; o;) {
        if (is_wanted(o)) {
            o = o->next;
            continue;
        }
        reap(o, doomed);
        o = s->objects;
    }
}

/* Ends the session's handles of lent objects that are idle and that nothing depends on. */
static void end_idle_lent(struct fxe_session *s, struct fxe_obj **doomed)
{
    for (struct fxe_obj *o = s->objects; o;) {
        if (!o->lender || o->calls || o->nkeepers || o->nkeeps || o->nborrowed) {
            o = o->next;
            continue;
        }
        end_lent(o, doomed);
        o = s->objects;
    }
}

void fxe_obj_release_all(struct fxe_session *s, struct fxe_obj **doomed)
{
    struct fxe_obj *o;
    DL_FOREACH(tenant.objects, o)
    if (o->creator == s)
        lose_creator(o);
    DL_FOREACH(s->objects, o)
    o->released = 1;
    reap_all(s, doomed);
    reap_all(&tenant, doomed);
    end_idle_lent(s, doomed);
    /* Objects still in use, such as an index that another session has open, pass to the tenant. */
    while ((o = s->objects)) {
        DL_DELETE(s->objects, o);
        DL_PREPEND(tenant.objects, o);
        o->session = &tenant;
    }
}
