/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that end or hang the process of FAISS although nothing is wrong with them: a metric
 * that a class cannot search with, an index that is empty, vectors that are not finite.
 *
 * refusals.h lists them by release, as a run of tests/crash found them: calls that always
 * end the process are refused with a text, and those that sometimes do are tried in a child
 * first, every time (trial.h).  What the list does not know is tried in a child the first
 * time that an index of this shape (shape.h) is used in this way.
 *
 * Any thread; the objects of the request are locked.  No lock of the engine is held.
 */
#ifndef FXE_GUARD_H
#define FXE_GUARD_H

struct fxe_req;
struct fxe_obj;

/* All arguments are in place: -1 and the reply set if the call must not be made. */
int fxe_guard_call(struct fxe_req *r);

/* The same for saving `o`, and for loading, which load(arg) does. */
int fxe_guard_save(struct fxe_req *r, struct fxe_obj *o);
int fxe_guard_load(struct fxe_req *r, void (*load)(void *), void *arg);

/* Are loads tried?  Old releases check little of what they read.  And the error of one that
 * was, and died. */
int fxe_guard_loads(void);
int fxe_guard_unloadable(struct fxe_req *r, const char *why);

/* The object is freed. */
void fxe_guard_forget(struct fxe_obj *o);

#endif
