/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where objects are found: by the id of a handle, and by the address of FAISS's object.  Of use to
 * the files of this folder only.  The caller of every function holds engine.lock.
 */
#ifndef FXE_TABLE_H
#define FXE_TABLE_H

#include "server/engine/objects/object.h"

/* Owns published objects; never ends. */
extern struct fxe_session fxe_tenant;

struct fxe_obj *fxe_table_find(uint64_t id);
/* The object that has FAISS's object of the family of `cls` at this address; or NULL. */
struct fxe_obj *fxe_table_at(void *ptr, int cls);

/* Adds the object to o->session, with this id, which no other object has; 0: a new one. */
void fxe_table_add(struct fxe_obj *o, uint64_t id);
void fxe_table_remove(struct fxe_obj *o);
/* Moves it to another session. */
void fxe_table_move(struct fxe_obj *o, struct fxe_session *to);
/* A walk over a session's objects, one walk at a time; NULL: no more.  Any of them may be removed
 * meanwhile. */
struct fxe_obj *fxe_table_first(const struct fxe_session *s);
struct fxe_obj *fxe_table_next(void);
void fxe_table_renumber(struct fxe_obj *o, uint64_t id);

/* From now on `o` is the one at o->ptr.  Returns false if memory is out. */
bool fxe_table_point(struct fxe_obj *o);
/* No longer; another one may be. */
void fxe_table_forget_pointer(struct fxe_obj *o);

#endif
