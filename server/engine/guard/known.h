/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What trials have shown, and what they need not show: one state for each shape of index, act and
 * circumstances, for as long as the engine lives.  fxe_guard_forget (guard.h) frees what is known
 * of one object.
 *
 * Any thread.
 */
#ifndef FXE_KNOWN_H
#define FXE_KNOWN_H

#include "server/engine/guard/refusal.h"
#include "server/engine/objects/object.h"

/* Of an act in given circumstances: nothing is known; it works; it must be tried before each call;
 * it is refused. */
enum { FXE_UNKNOWN, FXE_FINE, FXE_ASK, FXE_REFUSED };

struct fxe_shape {
    uint8_t *known[FXE_NACTS]; /* FXE_CIRCUMSTANCES states each, allocated when needed */
    bool spoils;               /* it may write outside of its memory, without crashing at once */
    bool decodes;              /* all that decodes vectors is in a file of it */
    bool searches;             /* how many lists a search of it may look at is seen */
    bool lattice;              /* there is one in it, of which a file lacks tables */
    bool encodes_finite;       /* its residual quantizer finds no code for other numbers, */
    bool finds_finite;         /* nor a list */
    bool uneven;               /* a refined index has fewer vectors than the index in it */
    UT_hash_handle hh;
    char text[]; /* see shape.h */
};

/* Returns what is known of indexes like this one, which does not change meanwhile; or NULL if that
 * cannot be remembered. */
struct fxe_shape *fxe_known_shape(struct fxe_obj *o);

/* Returns the state, which is read and written atomically; or NULL if memory is out. */
uint8_t *fxe_known(struct fxe_shape *s, enum fxe_act act, unsigned given);

#endif
