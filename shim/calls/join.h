/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small adds in a row are sent together.
 *
 * A program that adds one vector at a time would wait for the server each time.  So once some adds
 * to an index have succeeded in a row, those that follow are kept here.  They are sent, and the
 * server makes one call of FAISS for each of them, in their order, when
 *
 *     - there are FAISSX_JOIN bytes or JOIN_CALLS calls of them;
 *     - the process calls any other function on the server, in any thread: nobody may see an index
 *       that lacks what was added to it;
 *     - the process forks.
 *
 * If one of them fails, those after it are not made, and the next call that returns a code reports
 * the error instead of being made.  An add that fails here almost always fails for lack of memory
 * or because the engine died: any other cause would have failed the adds before it.
 *
 * Adds to an index that another process may see, by a name or since a fork, are not joined.
 *
 * The object owns the adds that are kept for it.  Any thread may call these functions.  They return
 * 0, or -1 with the error set, unless it says otherwise.
 */
#ifndef FX_JOIN_H
#define FX_JOIN_H

#include "shim/object.h"

struct fx_join;

/* Is it one of the functions that add? */
int fx_join_is_add(int op);

/* Keep the add of `op` with arguments v, if it may be joined to others.  Returns 1 when it is kept,
 * or was sent with others; 0 when it is still to be made. */
int fx_join_add(struct fx_obj *o, int op, const union fx_val *v);

/* A call of `op` that names `o` has succeeded. */
void fx_join_note(struct fx_obj *o, int op);

/* Send all adds that are kept.  Fails when one of them has failed, now or earlier; with `tell`,
 * that is reported only this time. */
int fx_join_settle(int tell);

/* From now on, nothing is joined: this process uses names. */
void fx_join_never(void);

/* Set how many bytes are kept for an index; 0: nothing is joined. */
void fx_join_configure(size_t limit);

void fx_join_free(struct fx_join *j); /* with its object; NULL is ignored */

void fx_join_fork_prepare(void);
void fx_join_fork_done(int in_child);

#endif
