/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles of objects, and what the client remembers of each object.
 *
 * A handle is an address in a range that is reserved and never mapped, so it can neither be
 * dereferenced nor be confused with a pointer of the real library.  No address is used twice (the
 * range lasts for 2^36 objects): a handle stays invalid once it was freed.
 *
 * The table owns objects until they are ended.  fx_obj_get() holds one for its caller, who releases
 * it; an object that was ended while it was held is freed with the last release.  One lock protects
 * all objects; any thread may call any of these functions.
 */
#ifndef FX_OBJECT_H
#define FX_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "proto/api.h"

struct fx_obj;
struct fx_join;
struct fx_value;

/* Make a handle.  `id` is the server's name for the object; 0 for a value object, which then owns
 * `value`.  `lender` is the object that it was borrowed from, or NULL.  If the id has a handle
 * already, that one is returned.  NULL when memory or the range is used up. */
void *fx_obj_new(int cls, uint64_t id, struct fx_value *value, struct fx_obj *lender);

/* Find the object and hold it.  NULL if the handle is not one of ours, or was freed. */
struct fx_obj *fx_obj_get(const void *handle);
void fx_obj_hold(struct fx_obj *o);
void fx_obj_release(struct fx_obj *o); /* NULL is ignored */

/* End the handle, and those that were borrowed from it. */
void fx_obj_end(struct fx_obj *o);

/* End the handles of class `cls` that were borrowed from `lender`. */
void fx_obj_end_borrowed(struct fx_obj *lender, int cls);

/* Is the handle in our address range? */
int fx_obj_is_ours(const void *handle);

int fx_obj_class(const struct fx_obj *o);
uint64_t fx_obj_id(const struct fx_obj *o);
struct fx_value *fx_obj_value(const struct fx_obj *o);

/* Does it belong to the present session?  A value object always does. */
int fx_obj_current(const struct fx_obj *o);

/* The session that it belongs to: its generation, see session.h. */
unsigned fx_obj_generation(const struct fx_obj *o);

/* Where it is from: the function that made it, a constant or NULL, and the name by which it was
 * opened, or NULL.  fx_obj_set_origin returns -1 if memory is out. */
const char *fx_obj_made_by(const struct fx_obj *o);
const char *fx_obj_name(const struct fx_obj *o);
int fx_obj_set_origin(const void *handle, const char *made_by, const char *name);

/* The object was opened again, in the session of `generation`, where the server calls it `id`.
 * Nothing that was borrowed from it is valid any more. */
void fx_obj_renew(struct fx_obj *o, uint64_t id, unsigned generation);

/* How many objects belong to sessions before `generation`: those that are gone, and those that can
 * be opened again by their names. */
void fx_obj_count_lost(unsigned generation, unsigned *gone, unsigned *named);

/* Was it made by a process that this one was forked from? */
int fx_obj_inherited(const struct fx_obj *o);

/* May another process have the handle, by a fork since it was made? */
int fx_obj_shared(const struct fx_obj *o);

/* The index was opened by its name and waits for its training, by which it becomes one of another
 * class: what is asked about its class is not remembered. */
int fx_obj_waits(const struct fx_obj *o);
void fx_obj_set_waits(struct fx_obj *o, int waits);

/* The remembered answer of a cast: 1 yes, 0 no, -1 unknown. */
int fx_obj_cast(const struct fx_obj *o, int cls);
void fx_obj_set_cast(struct fx_obj *o, int cls, int yes);

/* The remembered results of getters whose value does not change.  fx_obj_fixed returns 1 if there
 * is one. */
int fx_obj_fixed(const struct fx_obj *o, int op, union fx_val *val);
void fx_obj_set_fixed(struct fx_obj *o, int op, union fx_val val);
void fx_obj_forget(struct fx_obj *o);

/* Where join.c keeps adds to the object; atomic. */
struct fx_join **fx_obj_join(struct fx_obj *o);

/* Memory of `size` bytes that a call lends to the program, for parameter `param` of function `op`.
 * The object owns it, and it lasts until the object is freed or the same is lent with another
 * size. */
void *fx_obj_lend(struct fx_obj *o, int op, int param, size_t size);

void fx_obj_fork_prepare(void);
void fx_obj_fork_done(int in_child);

#endif
