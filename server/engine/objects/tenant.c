/* SPDX-License-Identifier: Apache-2.0 */
/* Whose objects are: of the session that made them or, once they are published, of the tenant; and
 * what becomes of them when a session ends. */
#include <stdlib.h>
#include <utlist.h>

#include "server/engine/objects/inside.h"
#include "server/engine/run/lock.h"

int fxe_obj_is_shared(const struct fxe_obj *o)
{
    return o->session == &fxe_tenant;
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
    if (from == &fxe_tenant)
        return;
    fxe_table_move(o, &fxe_tenant);
    o->creator = from;
    for (int i = 0; i < o->nkeeps; i++)
        move_to_tenant(o->keeps[i]);
    for (struct fxe_obj *b = fxe_obj_around(o); b; b = b->next_in_group)
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
    if (!to || o->named || o->session != &fxe_tenant)
        return;
    fxe_table_move(o, to);
    o->creator = NULL;
    for (int i = 0; i < o->nkeeps; i++)
        if (o->keeps[i]->creator == to)
            move_to_creator(o->keeps[i]);
    for (struct fxe_obj *b = fxe_obj_around(o); b; b = b->next_in_group)
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
    fxe_obj_reap(o, doomed);
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
    fxe_obj_reap(o, doomed);
}

/* --- sessions --- */

/* Frees all unwanted objects, wholes before parts.  Freeing one may free others or make them
 * unwanted, also those that the walk has passed: it is repeated until it finds none, and does not
 * start again at each, which would take too long if there are many. */
static void reap_all(struct fxe_session *s, struct fxe_obj **doomed)
{
    for (bool again = true; again;) {
        again = false;
        for (struct fxe_obj *o = fxe_table_first(s); o; o = fxe_table_next()) {
            if (fxe_obj_is_wanted(o))
                continue;
            fxe_obj_reap(o, doomed);
            again = true;
        }
    }
}

/* Ends the session's handles of lent objects that are idle and that nothing depends on. */
static void end_idle_lent(struct fxe_session *s, struct fxe_obj **doomed)
{
    for (bool again = true; again;) {
        again = false;
        for (struct fxe_obj *o = fxe_table_first(s); o; o = fxe_table_next()) {
            if (!o->lender || o->calls || o->nkeepers || o->nkeeps || o->nborrowed)
                continue;
            fxe_obj_end_lent(o, doomed);
            again = true;
        }
    }
}

void fxe_obj_release_all(struct fxe_session *s, struct fxe_obj **doomed)
{
    struct fxe_obj *o;
    DL_FOREACH(fxe_tenant.objects, o)
    if (o->creator == s)
        lose_creator(o);
    DL_FOREACH(s->objects, o)
    o->released = 1;
    reap_all(s, doomed);
    reap_all(&fxe_tenant, doomed);
    end_idle_lent(s, doomed);
    /* Objects still in use, such as an index that another session has open, pass to the tenant. */
    while ((o = s->objects))
        fxe_table_move(o, &fxe_tenant);
}
