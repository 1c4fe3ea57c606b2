/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers and writers of groups of objects.  No thread ever waits for a group: a request
 * that cannot have all it needs is put aside, in order, and comes back through
 * fxe_pool_ready when it can.  Everything here needs engine.lock.
 */
#ifndef FXE_LOCK_H
#define FXE_LOCK_H

#include "server/engine/objects/object.h"

/* One group that a request needs. */
struct fxe_need {
    struct fxe_obj *obj; /* its group at the time */
    struct fxe_group *group;
    int write;
};

struct fxe_needs {
    struct fxe_need need[FX_OBJECTS_MAX];
    int n;
};

/* Add the group of `o`; reading and writing it is writing it.  -1: too many. */
int fxe_needs_add(struct fxe_needs *n, struct fxe_obj *o, int write);

/* Take all groups: 1, or 0 and the request waits for one of them.  `again`: the request
 * has waited already, and does not go behind others. */
int fxe_needs_take(struct fxe_req *r, struct fxe_needs *n, int again);
void fxe_needs_give(struct fxe_needs *n);

int fxe_group_new(struct fxe_obj *o); /* 1, or 0 when memory is out */
void fxe_group_join(struct fxe_group *g, struct fxe_obj *o);
void fxe_group_leave(struct fxe_obj *o);
/* One group from now on.  The caller writes both. */
void fxe_group_merge(struct fxe_obj *a, struct fxe_obj *b);

#endif
