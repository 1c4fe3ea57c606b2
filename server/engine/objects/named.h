/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published indexes.  A published index has a name and belongs to the tenant, not to a session; it
 * lives until it is unpublished or, if nothing is kept on disk (keep/keep.h), the engine ends.  Any
 * session of the tenant can open it, and all of them use the same index, not copies.
 */
#ifndef FXE_NAMED_H
#define FXE_NAMED_H

#include <stddef.h>

struct fxe_obj;
struct fxe_operation;
extern const struct fxe_operation fxe_publish_operation, fxe_open_operation, fxe_list_operation,
    fxe_unpublish_operation;

/* Returns how many names there are.  The caller holds engine.lock. */
size_t fxe_named_count(void);

/* Gives an index of the store its name.  Returns 0, or -1 if memory is out.  The caller holds
 * engine.lock. */
int fxe_named_add(const char *name, struct fxe_obj *o);

#endif
