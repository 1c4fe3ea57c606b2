/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published indexes.  A published index has a name and belongs to the tenant, not to a session; it
 * lives until it is unpublished or, if nothing is kept on disk (keep/keep.h), the engine ends.  Any
 * session of the tenant can open it, and all of them use the same index, not copies.
 */
#ifndef FXE_NAMED_H
#define FXE_NAMED_H

#include <stdbool.h>
#include <stddef.h>

struct fxe_obj;
struct fxe_req;
struct fxe_operation;
extern const struct fxe_operation fxe_publish_operation, fxe_open_operation, fxe_list_operation,
    fxe_unpublish_operation;

/* Returns how many names there are.  The caller holds engine.lock. */
size_t fxe_named_count(void);

/* May an index have this name? */
bool fxe_named_allows(const char *name, size_t len);
/* Returns the index with this name, or NULL.  The caller holds engine.lock. */
struct fxe_obj *fxe_named_find(const char *name, size_t len);

/* Each returns 0, or -1 with the reply set; the caller does not hold engine.lock.
 * fxe_named_publish: gives the index this name, on disk first, with the reply to r; the caller
 * holds its lock.  If another one has the name, that loses it, or `replace` is false and the call
 * fails.
 * fxe_named_change: the index gets the name `to` instead, or has one name less if that is NULL.
 * fxe_named_taken: fails because of the name. */
int fxe_named_publish(struct fxe_req *r, const char *name, size_t len, struct fxe_obj *o,
                      bool replace);
int fxe_named_change(struct fxe_req *r, const char *name, size_t len, const char *to,
                     size_t to_len);
int fxe_named_taken(struct fxe_req *r, const char *name, size_t len);

/* Waits until a change of names that is under way is known here as well as on disk.  The caller
 * holds no lock of the engine's, and is not the store's thread, for which such a change waits. */
void fxe_named_settle(void);

/* Gives an index of the store its name.  Returns 0, or -1 if memory is out.  The caller holds
 * engine.lock. */
int fxe_named_add(const char *name, struct fxe_obj *o);

#endif
