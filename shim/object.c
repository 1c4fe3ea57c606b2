/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/object.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uthash.h>

#include "shim/calls/join.h"
#include "shim/transport/session.h"
#include "shim/values/values.h"

enum { STRIDE = 16 };

struct lent {
    struct lent *next;
    int op, param;
    void *data;
    size_t size;
};

struct fixed {
    struct fixed *next;
    int op;
    union fx_val val;
};

struct fx_obj {
    uintptr_t token; /* the handle */
    uint64_t id;     /* atomic */
    int cls;
    const char *made_by;
    char *name;
    int refs; /* the table's own, and one for each call in progress */
    int ended;
    int waits; /* atomic; see fx_obj_waits */
    unsigned generation, ancestors,
        forks; /* when it was made; see session.h; the first is atomic */
    struct fx_value *value;
    struct fx_obj *lender;
    struct fx_obj *borrowed, *next_borrowed;
    struct lent *lent;
    struct fixed *fixed;
    struct fx_join *join;
    int8_t casts[FX_NCLASSES]; /* 0 unknown, 1 yes, 2 no */
    UT_hash_handle by_token, by_id;
};

static struct {
    pthread_mutex_t lock;
    uintptr_t base, size, next;
    struct fx_obj *by_token, *by_id;
    unsigned ancestors, forks; /* see session.h */
} objects = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A smaller range where the address space is limited. */
static int reserve_range(void)
{
    for (size_t size = (size_t)1 << 40; size >= (size_t)1 << 24; size >>= 2) {
        void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            continue;
        objects.next = (uintptr_t)p + STRIDE;
        __atomic_store_n(&objects.size, size, __ATOMIC_RELAXED);
        __atomic_store_n(&objects.base, (uintptr_t)p, __ATOMIC_RELEASE);
        return 0;
    }
    return -1;
}

int fx_obj_is_ours(const void *handle)
{
    uintptr_t base = __atomic_load_n(&objects.base, __ATOMIC_ACQUIRE);
    return base && (uintptr_t)handle - base < __atomic_load_n(&objects.size, __ATOMIC_RELAXED);
}

static void destroy(struct fx_obj *o)
{
    for (struct lent *l = o->lent, *next; l; l = next) {
        next = l->next;
        free(l->data);
        free(l);
    }
    for (struct fixed *f = o->fixed, *next; f; f = next) {
        next = f->next;
        free(f);
    }
    free(o->name);
    fx_value_free(o->value);
    fx_join_free(o->join);
    free(o);
}

static void unref(struct fx_obj *o)
{
    if (--o->refs == 0)
        destroy(o);
}

static void end(struct fx_obj *o)
{
    if (o->ended)
        return;
    o->ended = 1;
    while (o->borrowed) {
        struct fx_obj *b = o->borrowed;
        o->borrowed = b->next_borrowed;
        b->lender = NULL;
        end(b);
    }
    if (o->lender) {
        struct fx_obj **at = &o->lender->borrowed;
        while (*at != o)
            at = &(*at)->next_borrowed;
        *at = o->next_borrowed;
        o->lender = NULL;
    }
    HASH_DELETE(by_token, objects.by_token, o);
    if (o->id)
        HASH_DELETE(by_id, objects.by_id, o);
    unref(o);
}

void *fx_obj_new(int cls, uint64_t id, struct fx_value *value, struct fx_obj *lender)
{
    struct fx_obj *o = NULL;
    pthread_mutex_lock(&objects.lock);
    if (id)
        HASH_FIND(by_id, objects.by_id, &id, sizeof id, o);
    if (o && o->generation != fx_session_generation()) {
        if (!o->name)
            end(o); /* a session that is gone had the same id */
        o = NULL;
    }
    if (o || (!objects.base && reserve_range() != 0) ||
        objects.next + STRIDE > objects.base + objects.size || !(o = calloc(1, sizeof *o)))
        goto out;
    o->token = objects.next;
    objects.next += STRIDE;
    o->id = id;
    o->cls = cls;
    o->refs = 1;
    o->value = value;
    o->generation = fx_session_generation();
    o->ancestors = objects.ancestors;
    o->forks = objects.forks;
    HASH_ADD(by_token, objects.by_token, token, sizeof o->token, o);
    if (id)
        HASH_ADD(by_id, objects.by_id, id, sizeof o->id, o);
    if (lender && !lender->ended) {
        o->lender = lender;
        o->next_borrowed = lender->borrowed;
        lender->borrowed = o;
    }
out:
    pthread_mutex_unlock(&objects.lock);
    return o ? (void *)o->token : NULL;
}

struct fx_obj *fx_obj_get(const void *handle)
{
    struct fx_obj *o = NULL;
    uintptr_t token = (uintptr_t)handle;
    pthread_mutex_lock(&objects.lock);
    HASH_FIND(by_token, objects.by_token, &token, sizeof token, o);
    if (o)
        o->refs++;
    pthread_mutex_unlock(&objects.lock);
    return o;
}

void fx_obj_hold(struct fx_obj *o)
{
    pthread_mutex_lock(&objects.lock);
    o->refs++;
    pthread_mutex_unlock(&objects.lock);
}

void fx_obj_release(struct fx_obj *o)
{
    if (!o)
        return;
    pthread_mutex_lock(&objects.lock);
    unref(o);
    pthread_mutex_unlock(&objects.lock);
}

void fx_obj_end(struct fx_obj *o)
{
    pthread_mutex_lock(&objects.lock);
    end(o);
    pthread_mutex_unlock(&objects.lock);
}

void fx_obj_end_borrowed(struct fx_obj *lender, int cls)
{
    pthread_mutex_lock(&objects.lock);
    for (struct fx_obj *b = lender->borrowed, *next; b; b = next) {
        next = b->next_borrowed;
        if (b->cls == cls)
            end(b);
    }
    pthread_mutex_unlock(&objects.lock);
}

int fx_obj_class(const struct fx_obj *o)
{
    return o->cls;
}
uint64_t fx_obj_id(const struct fx_obj *o)
{
    return __atomic_load_n(&o->id, __ATOMIC_RELAXED);
}
struct fx_value *fx_obj_value(const struct fx_obj *o)
{
    return o->value;
}

int fx_obj_current(const struct fx_obj *o)
{
    return fx_obj_id(o) == 0 || fx_obj_generation(o) == fx_session_generation();
}

unsigned fx_obj_generation(const struct fx_obj *o)
{
    return __atomic_load_n(&o->generation, __ATOMIC_ACQUIRE);
}

/* --- where it is from --- */

const char *fx_obj_made_by(const struct fx_obj *o)
{
    return o->made_by;
}

const char *fx_obj_name(const struct fx_obj *o)
{
    return o->name;
}

int fx_obj_set_origin(const void *handle, const char *made_by, const char *name)
{
    struct fx_obj *o = fx_obj_get(handle);
    char *copy = name ? strdup(name) : NULL;
    if (!o || (name && !copy)) {
        free(copy);
        fx_obj_release(o);
        return -1;
    }
    pthread_mutex_lock(&objects.lock);
    if (!o->made_by) /* it may have had a handle before */
        o->made_by = made_by;
    if (copy && !o->name) {
        o->name = copy;
        copy = NULL;
    }
    unref(o);
    pthread_mutex_unlock(&objects.lock);
    free(copy);
    return 0;
}

void fx_obj_renew(struct fx_obj *o, uint64_t id, unsigned generation)
{
    pthread_mutex_lock(&objects.lock);
    if (!o->ended && o->generation != generation) {
        while (o->borrowed) {
            struct fx_obj *b = o->borrowed;
            o->borrowed = b->next_borrowed;
            b->lender = NULL;
            end(b);
        }
        HASH_DELETE(by_id, objects.by_id, o);
        __atomic_store_n(&o->id, id, __ATOMIC_RELAXED);
        HASH_ADD(by_id, objects.by_id, id, sizeof o->id, o);
        __atomic_store_n(&o->generation, generation, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&objects.lock);
}

void fx_obj_count_lost(unsigned generation, unsigned *gone, unsigned *named)
{
    *gone = *named = 0;
    pthread_mutex_lock(&objects.lock);
    for (struct fx_obj *o = objects.by_token; o; o = o->by_token.next)
        if (o->id && o->generation != generation)
            ++*(o->name ? named : gone);
    pthread_mutex_unlock(&objects.lock);
}

int fx_obj_inherited(const struct fx_obj *o)
{
    return o->ancestors != objects.ancestors;
}

int fx_obj_shared(const struct fx_obj *o)
{
    return o->forks != objects.forks;
}

/* --- remembered answers --- */

int fx_obj_waits(const struct fx_obj *o)
{
    return __atomic_load_n(&o->waits, __ATOMIC_RELAXED);
}

void fx_obj_set_waits(struct fx_obj *o, int waits)
{
    __atomic_store_n(&o->waits, waits, __ATOMIC_RELAXED);
}

int fx_obj_cast(const struct fx_obj *o, int cls)
{
    int8_t c = __atomic_load_n(&o->casts[cls], __ATOMIC_RELAXED);
    return c == 0 ? -1 : c == 1;
}

void fx_obj_set_cast(struct fx_obj *o, int cls, int yes)
{
    __atomic_store_n(&o->casts[cls], yes ? 1 : 2, __ATOMIC_RELAXED);
}

int fx_obj_fixed(const struct fx_obj *o, int op, union fx_val *val)
{
    int found = 0;
    pthread_mutex_lock(&objects.lock);
    for (struct fixed *f = o->fixed; f && !found; f = f->next)
        if (f->op == op) {
            *val = f->val;
            found = 1;
        }
    pthread_mutex_unlock(&objects.lock);
    return found;
}

void fx_obj_set_fixed(struct fx_obj *o, int op, union fx_val val)
{
    pthread_mutex_lock(&objects.lock);
    struct fixed *f = o->fixed;
    while (f && f->op != op)
        f = f->next;
    if (!f && (f = malloc(sizeof *f))) {
        f->op = op;
        f->next = o->fixed;
        o->fixed = f;
    }
    if (f)
        f->val = val;
    pthread_mutex_unlock(&objects.lock);
}

void fx_obj_forget(struct fx_obj *o)
{
    pthread_mutex_lock(&objects.lock);
    while (o->fixed) {
        struct fixed *f = o->fixed;
        o->fixed = f->next;
        free(f);
    }
    pthread_mutex_unlock(&objects.lock);
}

struct fx_join **fx_obj_join(struct fx_obj *o)
{
    return &o->join;
}

void *fx_obj_lend(struct fx_obj *o, int op, int param, size_t size)
{
    void *data = NULL;
    pthread_mutex_lock(&objects.lock);
    struct lent *l = o->lent;
    while (l && (l->op != op || l->param != param))
        l = l->next;
    if (!l && (l = calloc(1, sizeof *l))) {
        l->op = op;
        l->param = param;
        l->next = o->lent;
        o->lent = l;
    }
    if (l && (l->size != size || !l->data)) {
        data = realloc(l->data, size ? size : 1);
        if (data) {
            l->data = data;
            l->size = size;
        }
    } else if (l) {
        data = l->data;
    }
    pthread_mutex_unlock(&objects.lock);
    return data;
}

void fx_obj_fork_prepare(void)
{
    pthread_mutex_lock(&objects.lock);
}

void fx_obj_fork_done(int in_child)
{
    objects.forks++;
    if (in_child)
        objects.ancestors++;
    pthread_mutex_unlock(&objects.lock);
}
