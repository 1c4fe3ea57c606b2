/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small adds in a row are sent together.
 *
 * A program that adds one vector a time would wait for the server each time.  Once some adds
 * to an index have succeeded in a row, those that follow are kept here, and the server makes
 * one call of FAISS for each of them, in their order, when
 *
 *     - there are JOIN_BYTES of them, or JOIN_CALLS;
 *     - the process calls any other function on the server, in any thread: nobody can see an
 *       index that lacks what was added to it;
 *     - the process forks.
 *
 * When one of them fails, those after it are not made, and its error becomes that of the next
 * call that returns one, instead of that call.  FAISS refuses an add for reasons that the
 * adds before it would have met, so in practice that is memory, or the engine's death.
 *
 * Adds to an index that another process may see, by a name or since a fork, are not joined.
 */
#ifndef FX_JOIN_H
#define FX_JOIN_H

#include "shim/shim.h"

/* Is it one of the functions that add? */
int fx_join_is_add(int op);

/* Keep the add of `op` with arguments v, if it may be joined to others.  Returns 0 when it is
 * to be made now; else its result is in *rc. */
int fx_join_add(struct fx_obj *o, int op, const union fx_val *v, int *rc);

/* A call of `op` that names `o` succeeded. */
void fx_join_note(struct fx_obj *o, int op);

/* Send all that are kept.  Returns 0, or FAISS's code and the error set when one has failed,
 * now or before; which is told only once if `tell`. */
int fx_join_settle(int tell);

/* This process uses names: nothing is joined from now on. */
void fx_join_never(void);

/* Bytes kept for an index, FAISSX_JOIN; 0: nothing is joined. */
void fx_join_configure(size_t limit);

struct fx_join;
void fx_join_free(struct fx_join *j); /* of an object that goes; NULL is fine */

void fx_join_fork_prepare(void);
void fx_join_fork_done(int in_child);

#endif
