/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guards against calls that end or hang FAISS's process although their arguments are valid: a
 * search with a metric that the class lacks, a search in an empty index, vectors that are not
 * finite.
 *
 * refusals.h lists such calls by release, as found by tests/crash.  Calls that always end the
 * process are refused.  Calls that sometimes do are tried in a child first, every time (trial.h).
 * Calls that the list does not know are tried the first time that an index of this shape (shape.h)
 * is used in this way.
 *
 * Any thread may call these functions, with the request's objects locked and none of the engine's
 * locks held.
 */
#ifndef FXE_GUARD_H
#define FXE_GUARD_H

struct fxe_req;
struct fxe_obj;

/* Call when all arguments are in place.  Returns 0, or -1 with the reply set if the call must not
 * be made. */
int fxe_guard_call(struct fxe_req *r);

/* Call when FAISS has returned from the call, without an exception. */
void fxe_guard_called(const struct fxe_req *r);

/* The same as fxe_guard_call for saving `o`, and for loading an index by load(arg). */
int fxe_guard_save(struct fxe_req *r, struct fxe_obj *o);
int fxe_guard_load(struct fxe_req *r, void (*load)(void *), void *arg);

/* fxe_guard_loads: whether loads are tried, because this release checks little of what it reads.
 * fxe_guard_unloadable: sets the reply for a load that died in its trial, and returns -1. */
int fxe_guard_loads(void);
int fxe_guard_unloadable(struct fxe_req *r, const char *why);

/* For freeing an object by free_object(o).  Returns 0, or -1 if that would end the process; then
 * the object must stay in memory. */
int fxe_guard_free(struct fxe_obj *o, void (*free_object)(void *));

/* Call when the object is freed: frees what is known of this object alone. */
void fxe_guard_forget(struct fxe_obj *o);

#endif
