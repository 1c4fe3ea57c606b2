/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/lock.h"

#include <stdlib.h>

#include "server/engine/run/ready.h"
#include "server/engine/run/request.h"
#include "server/engine/run/watch.h"

/* So often a request waits before it keeps what it has. */
enum { PATIENCE = 3 };

int fxe_group_new(struct fxe_obj *o)
{
    static uint64_t last; /* engine.lock */
    struct fxe_group *g = calloc(1, sizeof *g);
    if (!g)
        return -1;
    g->serial = ++last;
    fxe_group_join(g, o);
    return 0;
}

void fxe_group_join(struct fxe_group *g, struct fxe_obj *o)
{
    o->group = g;
    o->next_in_group = g->members;
    g->members = o;
}

static void free_if_empty(struct fxe_group *g)
{
    if (!g->members && !g->readers && !g->writer && !g->waiting)
        free(g);
}

void fxe_group_leave(struct fxe_obj *o)
{
    struct fxe_group *g = o->group;
    struct fxe_obj **at = &g->members;
    if (!g)
        return;
    while (*at != o)
        at = &(*at)->next_in_group;
    *at = o->next_in_group;
    g->nkept -= o->kept != NULL;
    o->group = NULL;
    free_if_empty(g);
}

void fxe_group_merge(struct fxe_obj *a, struct fxe_obj *b)
{
    struct fxe_group *from = b->group, *to = a->group;
    if (from == to)
        return;
    /* A request that waits for one of them has groups of smaller numbers only: so it stays. */
    if (to->serial < from->serial)
        to->serial = from->serial;
    to->nkept += from->nkept;
    from->nkept = 0;
    while (from->members) {
        struct fxe_obj *o = from->members;
        from->members = o->next_in_group;
        fxe_group_join(to, o);
    }
    /* Requests that wait for the old group find the new one when the old one is given back. */
    free_if_empty(from);
}

int fxe_needs_add(struct fxe_needs *n, struct fxe_obj *o, bool write)
{
    for (int i = 0; i < n->n; i++)
        if (n->need[i].obj == o) {
            n->need[i].write |= write;
            return 0;
        }
    if (n->n == FX_OBJECTS_MAX)
        return -1;
    n->need[n->n++] = (struct fxe_need){o, NULL, write, false};
    return 0;
}

static bool is_free_for(const struct fxe_group *g, bool write)
{
    return !g->writer && !g->raising && !(write && g->readers);
}

/* Groups may have been merged since they were added: keeps one entry for each.  Nobody merges those
 * that the request has. */
static void find_groups(struct fxe_needs *n)
{
    for (int i = 0; i < n->n; i++) {
        if (n->need[i].taken)
            continue;
        n->need[i].group = n->need[i].obj->group;
        for (int j = 0; j < i; j++)
            if (n->need[j].group == n->need[i].group) {
                n->need[j].write |= n->need[i].write;
                n->need[i].group = NULL;
            }
    }
}

/* Returns what to take next, or NULL: the request has all groups. */
static struct fxe_need *next_need(struct fxe_needs *n)
{
    struct fxe_need *next = NULL;
    for (int i = 0; i < n->n; i++) {
        struct fxe_need *at = &n->need[i];
        if (at->group && !at->taken && (!next || at->group->serial < next->group->serial))
            next = at;
    }
    return next;
}

static bool must_wait(const struct fxe_group *g, bool write, bool again)
{
    return !is_free_for(g, write) || (g->waiting && !again);
}

static void wait_at(struct fxe_group *g, struct fxe_req *r)
{
    r->next = NULL;
    if (g->waiting)
        g->last_waiting->next = r;
    else
        g->waiting = r;
    g->last_waiting = r;
}

bool fxe_needs_take(struct fxe_req *r, struct fxe_needs *n, bool again)
{
    struct fxe_need *next;
    bool keeps = n->tries == PATIENCE;
    find_groups(n);
    for (int i = 0; i < n->n && !keeps; i++) {
        struct fxe_group *g = n->need[i].group;
        if (g && must_wait(g, n->need[i].write, again)) {
            n->tries++;
            wait_at(g, r);
            return false;
        }
    }
    while ((next = next_need(n))) {
        struct fxe_group *g = next->group;
        if (must_wait(g, next->write, again)) {
            wait_at(g, r);
            return false;
        }
        if (next->write)
            g->writer = true;
        else
            g->readers++;
        next->taken = true;
        again &= !keeps; /* it has not waited for the others */
    }
    return true;
}

bool fxe_needs_leave(struct fxe_req *r, struct fxe_needs *n)
{
    struct fxe_group *g = n->need[0].group; /* as it was when the request was queued */
    struct fxe_req *before = NULL, *at = g->waiting;
    while (at && at != r) {
        before = at;
        at = at->next;
    }
    if (!at)
        return false;
    if (before)
        before->next = r->next;
    else
        g->waiting = r->next;
    if (g->last_waiting == r)
        g->last_waiting = before;
    r->next = NULL;
    n->n = 0;
    free_if_empty(g);
    return true;
}

bool fxe_needs_raise(struct fxe_req *r, struct fxe_needs *n)
{
    struct fxe_group *g = n->need[0].group;
    n->need[0].write = true;
    g->readers--;
    g->writer = !g->readers;
    if (!g->writer)
        g->raising = r;
    return g->writer;
}

static void run_raising(struct fxe_group *g)
{
    struct fxe_req *r = g->raising;
    g->raising = NULL;
    g->writer = true;
    fxe_ready_add(r);
    fxe_watch_wake();
}

/* Once a request waits for the group again, those behind it do too: readers that came after a
 * writer would otherwise keep it waiting for ever. */
static void wake(struct fxe_group *g)
{
    struct fxe_req *r = g->waiting, *last = g->last_waiting;
    g->waiting = g->last_waiting = NULL;
    while (r && !g->waiting) {
        struct fxe_req *next = r->next;
        r->next = NULL;
        fxe_ready_retry(r); /* takes its groups, or waits again */
        r = next;
    }
    if (r) {
        g->last_waiting->next = r;
        g->last_waiting = last;
    }
}

void fxe_needs_give(struct fxe_needs *n)
{
    for (int i = 0; i < n->n; i++) {
        struct fxe_group *g = n->need[i].group;
        if (!g)
            continue;
        if (n->need[i].write)
            g->writer = false;
        else
            g->readers--;
        n->need[i].group = NULL;
        n->need[i].taken = false;
        if (g->raising && !g->readers)
            run_raising(g);
        if (g->waiting && !g->writer)
            wake(g);
        free_if_empty(g);
    }
    n->n = n->tries = 0;
}
