/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share about objects and their parts; object.c has these functions.
 * The caller holds engine.lock.
 */
#ifndef FXE_OBJECTS_INSIDE_H
#define FXE_OBJECTS_INSIDE_H

#include "server/engine/objects/table.h"

/* Returns the members of o's group if `o` has lent any object, else NULL.  They may belong to
 * several sessions. */
struct fxe_obj *fxe_obj_around(const struct fxe_obj *o);

/* Drops what was found out about FAISS's object. */
void fxe_obj_forget_facts(struct fxe_obj *o);

/* Does anybody need it still? */
bool fxe_obj_is_wanted(const struct fxe_obj *o);
/* Puts `o` on *doomed, with everything that depends on it, unless it is still wanted. */
void fxe_obj_reap(struct fxe_obj *o, struct fxe_obj **doomed);
/* Its whole no longer has a pointer to `part`.  `owned`: nor has the program. */
void fxe_obj_unkeep(struct fxe_obj *part, int owned, struct fxe_obj **doomed);
/* Ends the handle of a lent object; FAISS frees the object with its lender. */
void fxe_obj_end_lent(struct fxe_obj *b, struct fxe_obj **doomed);

#endif
