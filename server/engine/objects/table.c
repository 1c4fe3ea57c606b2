/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/objects/table.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <utlist.h>

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

static struct {
    struct fxe_obj *by_id;
    struct pointer_entry *by_ptr;
    uint64_t next_id;
    struct fxe_obj *next; /* of the walk (fxe_table_first), or NULL */
} table;

struct fxe_session fxe_tenant;

size_t fxe_obj_count(void)
{
    return HASH_COUNT(table.by_id);
}

/* --- ids --- */

struct fxe_obj *fxe_table_find(uint64_t id)
{
    struct fxe_obj *o;
    HASH_FIND(hh, table.by_id, &id, sizeof id, o);
    return o;
}

/* Ids start at a random number, so an engine does not know the ids of its predecessor, but for
 * those that it has restored. */
static uint64_t new_id(void)
{
    if (!table.next_id) {
        uint64_t r = 0;
        if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
            r = (uint64_t)time(NULL) << 20;
        table.next_id = (r & 0xffffffffffffu) << 8 | 1;
    }
    while (fxe_table_find(table.next_id))
        table.next_id++;
    return table.next_id++;
}

void fxe_table_add(struct fxe_obj *o, uint64_t id)
{
    o->id = id ? id : new_id();
    DL_PREPEND(o->session->objects, o);
    HASH_ADD(hh, table.by_id, id, sizeof o->id, o);
}

static void leave_session(struct fxe_obj *o)
{
    if (table.next == o)
        table.next = o->next;
    DL_DELETE(o->session->objects, o);
}

struct fxe_obj *fxe_table_first(const struct fxe_session *s)
{
    table.next = s->objects;
    return fxe_table_next();
}

struct fxe_obj *fxe_table_next(void)
{
    struct fxe_obj *o = table.next;
    if (o)
        table.next = o->next;
    return o;
}

void fxe_table_remove(struct fxe_obj *o)
{
    leave_session(o);
    HASH_DELETE(hh, table.by_id, o);
    fxe_table_forget_pointer(o);
}

void fxe_table_move(struct fxe_obj *o, struct fxe_session *to)
{
    leave_session(o);
    DL_PREPEND(to->objects, o);
    o->session = to;
}

void fxe_table_renumber(struct fxe_obj *o, uint64_t id)
{
    HASH_DELETE(hh, table.by_id, o);
    o->id = id;
    HASH_ADD(hh, table.by_id, id, sizeof o->id, o);
}

/* --- addresses --- */

static struct pointer_entry *entry_of(void *ptr, int cls)
{
    struct ptr_key key = {ptr, (uintptr_t)fx_root(cls)};
    struct pointer_entry *e;
    HASH_FIND(hh, table.by_ptr, &key, sizeof key, e);
    return e;
}

struct fxe_obj *fxe_table_at(void *ptr, int cls)
{
    const struct pointer_entry *e = entry_of(ptr, cls);
    return e ? e->obj : NULL;
}

bool fxe_table_point(struct fxe_obj *o)
{
    struct pointer_entry *e = entry_of(o->ptr, o->cls);
    if (!e) {
        e = calloc(1, sizeof *e);
        if (!e)
            return false;
        e->key = (struct ptr_key){o->ptr, (uintptr_t)fx_root(o->cls)};
        HASH_ADD(hh, table.by_ptr, key, sizeof e->key, e);
    }
    e->obj = o;
    return true;
}

/* A part may have its whole's address, so the entry may be another object's. */
void fxe_table_forget_pointer(struct fxe_obj *o)
{
    struct pointer_entry *e = o->ptr ? entry_of(o->ptr, o->cls) : NULL;
    if (e && e->obj == o) {
        HASH_DELETE(hh, table.by_ptr, e);
        free(e);
    }
}
