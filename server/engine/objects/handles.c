/* SPDX-License-Identifier: Apache-2.0 */
/* Second handles of an object, and handles whose FAISS object is not there yet, goes, or is another
 * one from now on. */
#include <stdlib.h>

#include "server/engine/objects/inside.h"
#include "server/engine/run/lock.h"

static struct fxe_obj *add_alias(struct fxe_session *s, struct fxe_obj *target, bool apart)
{
    struct fxe_obj *o = calloc(1, sizeof *o);
    struct fxe_obj **keeps = malloc(sizeof *keeps);
    if (!o || !keeps || (apart && fxe_group_new(o) != 0)) {
        free(o);
        free(keeps);
        return NULL;
    }
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
    fxe_table_add(o, 0);
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
        fxe_table_forget_pointer(target);
        target->ptr = NULL;
    }
    free(o->keeps);
    o->keeps = NULL;
    o->alias = o->nkeeps = 0;
    o->owns = o->inherent = 1;
    fxe_obj_point(o, ptr);
    target->naliases--;
    fxe_obj_unkeep(target, 0, doomed);
}

struct fxe_obj *fxe_obj_add_absent(struct fxe_session *s, int cls, uint64_t id)
{
    struct fxe_obj *o = calloc(1, sizeof *o);
    if (!o || fxe_table_find(id) || fxe_group_new(o) != 0) {
        free(o);
        return NULL;
    }
    o->cls = cls;
    o->session = s ? s : &fxe_tenant;
    o->owns = o->inherent = 1;
    fxe_table_add(o, id);
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
    fxe_table_renumber(o, id);
}

/* If memory is out, FAISS's object gets a second handle if a call returns it. */
void fxe_obj_point(struct fxe_obj *o, void *ptr)
{
    o->ptr = ptr;
    if (ptr)
        fxe_table_point(o);
}

struct fxe_obj fxe_obj_replace(struct fxe_obj *o, void *ptr, struct fxe_obj **doomed)
{
    struct fxe_obj old = {.cls = fx_root(o->cls), .ptr = o->ptr};
    if (!o->own_shape) /* which ends here */
        old.shape = o->shape;
    if (o->ptr)
        fxe_obj_end_borrowed(o, -1, doomed);
    while (o->nkeeps)
        fxe_obj_unkeep(o->keeps[--o->nkeeps], o->owns, doomed);
    fxe_table_forget_pointer(o);
    fxe_obj_forget_facts(o);
    o->owns = o->inherent = 1;
    fxe_obj_point(o, ptr);
    for (struct fxe_obj *a = o->naliases ? o->group->members : NULL; a; a = a->next_in_group)
        if (a->alias && a->keeps[0] == o) {
            fxe_obj_forget_facts(a);
            a->ptr = ptr;
        }
    return old;
}

void fxe_obj_forget_class(struct fxe_obj *o)
{
    o->cls = fx_root(o->cls);
    for (struct fxe_obj *a = o->naliases ? o->group->members : NULL; a; a = a->next_in_group)
        if (a->alias && a->keeps[0] == o)
            a->cls = fx_root(a->cls);
}
