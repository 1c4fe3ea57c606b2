/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the indexes of sessions on disk (--keep sessions), so that a program goes on with its
 * handles when the server has been restarted.
 *
 * In the store a handle is a name of its index that no user can give, because it begins with a
 * control character:
 *
 *     1 TOKEN/ID                   the handle ID of the session TOKEN is the index itself
 *     2 TOKEN/ID                   it is a second handle, of an index that was opened by its name
 *     3 TOKEN/ID/OF/FUNCTION       it is the part of object OF that FUNCTION returns; OF is 0 for
 * the index itself
 *
 * with TOKEN, ID and OF in hexadecimal.  Indexes that FAISS cannot write, and objects that are no
 * indexes, are not kept.
 */
#ifndef FXE_UNNAMED_H
#define FXE_UNNAMED_H

#include "server/engine/keep/keep.h"

/* Is it such a name? */
static inline bool fxe_is_handle_name(const char *name)
{
    return *name >= 1 && *name <= 3;
}

/* The request has created objects: stores them, before its reply.  May set an error as the reply.
 */
void fxe_unnamed_commit(struct fxe_req *r);
/* Parts that a kept index has got by a call are parts of it in the store, too. */
void fxe_unnamed_link_parts(struct fxe_kept *k);
/* A session has opened an index by its name.  Returns 0, or -1 with the reply set. */
int fxe_unnamed_opened(struct fxe_req *r, struct fxe_obj *alias);

/* At start.  fxe_unnamed_object: returns the object of the entry if one of its names is a session's
 * handle of it; NULL if none is, or if memory is out.  fxe_unnamed_handles: adds the other handles;
 * returns 0, or -1 if memory is out.  The caller holds engine.lock. */
struct fxe_obj *fxe_unnamed_object(int cls, const struct fxs_entry *e);
int fxe_unnamed_handles(struct fxe_obj *o, const struct fxs_entry *e);

/* The index has been read: finds FAISS's objects for the handles of its parts. */
void fxe_unnamed_resolve(struct fxe_kept *k);

/* The object is about to be removed from the table: its name in the store is removed soon.  The
 * caller holds engine.lock. */
void fxe_unnamed_forget(struct fxe_obj *o);
/* Removes one such name; returns false if there is none, or if the last one could not be removed a
 * moment ago.  For the thread that takes snapshots, and the end of the engine. */
bool fxe_unnamed_remove_one(void);

#endif
