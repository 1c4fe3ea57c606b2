/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read and write locks of groups of objects.  No thread waits for a lock: a request that cannot
 * have all its locks is queued at a group that it lacks, and fxe_ready_retry runs it later.
 *
 * At first it takes all groups or none: one of them may be busy for long, and others need not wait
 * for that.  When it has waited several times, it keeps those that it gets: groups whose readers
 * come again and again would otherwise never be free at the same moment.  It takes them in the
 * order of their serial numbers, as all do, so none waits for one that waits for it.
 *
 * The caller of every function here holds engine.lock.
 */
#ifndef FXE_LOCK_H
#define FXE_LOCK_H

#include <stdbool.h>

#include "server/engine/objects/object.h"

/* One group that a request needs. */
struct fxe_need {
    struct fxe_obj *obj;     /* the request needs its group, which a merge may change */
    struct fxe_group *group; /* as taken or waited for; NULL: another entry has the same group */
    bool write, taken;
};

struct fxe_needs {
    struct fxe_need need[FX_OBJECTS_MAX];
    int n;
    int tries; /* how often it has waited for all of them at once */
};

/* Adds the group of `o`.  A request that both reads and writes a group locks it for writing.
 * Returns 0, or -1 if there are more than FX_OBJECTS_MAX. */
int fxe_needs_add(struct fxe_needs *n, struct fxe_obj *o, bool write);

/* Takes all groups and returns true; or takes none or some of them, queues the request at one that
 * it lacks and returns false.  `again`: it has waited for that one before, and so need not wait
 * behind those that wait. */
bool fxe_needs_take(struct fxe_req *r, struct fxe_needs *n, bool again);
/* A request that waits to lock its one group for reading waits no more.  Returns false if it has
 * the group already, and is run soon. */
bool fxe_needs_leave(struct fxe_req *r, struct fxe_needs *n);
/* The one group of the request, locked for reading, becomes locked for writing, and no other writer
 * comes in between.  Returns true; or false, and the request is run when the readers that there are
 * have ended.  There is one such request for a group at a time. */
bool fxe_needs_raise(struct fxe_req *r, struct fxe_needs *n);
/* Gives all groups back, and calls fxe_ready_retry for the requests that waited for them. */
void fxe_needs_give(struct fxe_needs *n);

/* Gives a new object a group of its own.  Returns 0, or -1 if memory is out. */
int fxe_group_new(struct fxe_obj *o);
void fxe_group_join(struct fxe_group *g, struct fxe_obj *o);
void fxe_group_leave(struct fxe_obj *o);
/* Merges the groups of `a` and `b`.  The caller has locked both for writing. */
void fxe_group_merge(struct fxe_obj *a, struct fxe_obj *b);

#endif
