/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers and writers of groups of objects.  No thread waits for a group: a request that cannot
 * have all that it needs is put aside, in order, and comes back through fxe_ready_retry when it
 * can.
 *
 * The caller of every function here holds engine.lock.
 */
#ifndef FXE_LOCK_H
#define FXE_LOCK_H

#include <stdbool.h>

#include "server/engine/objects/object.h"

/* One group that a request needs. */
struct fxe_need {
    struct fxe_obj *obj; /* its group at the time */
    struct fxe_group *group;
    bool write;
};

struct fxe_needs {
    struct fxe_need need[FX_OBJECTS_MAX];
    int n;
};

/* Adds the group of `o`.  A request that reads and writes a group writes it.  Returns -1 if there
 * are too many. */
int fxe_needs_add(struct fxe_needs *n, struct fxe_obj *o, bool write);

/* Takes all groups and returns true; or returns false, and the request waits for one of them.
 * `again`: the request has waited already, and does not go behind others. */
bool fxe_needs_take(struct fxe_req *r, struct fxe_needs *n, bool again);
/* Gives all groups back; requests that waited for them come back through fxe_ready_retry. */
void fxe_needs_give(struct fxe_needs *n);

/* A group of its own for a new object.  Returns -1 if memory is out. */
int fxe_group_new(struct fxe_obj *o);
void fxe_group_join(struct fxe_group *g, struct fxe_obj *o);
void fxe_group_leave(struct fxe_obj *o);
/* One group from now on.  The caller writes both. */
void fxe_group_merge(struct fxe_obj *a, struct fxe_obj *b);

#endif
