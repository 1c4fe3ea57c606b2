/* SPDX-License-Identifier: Apache-2.0 */
/* Acts of which neither the table (refusal.h) nor what is known of the shape (known.h) tells
 * enough. Any thread, as in guard.h. */
#ifndef FXE_DOUBT_H
#define FXE_DOUBT_H

#include "server/engine/guard/known.h"

/* Some objects end the process although others of the same shape do not: those from a file that
 * lacks what decodes vectors, and their copies, those with a parameter that does not fit, and some
 * that were reset.  So each is tried until the act has succeeded
 * (fxe_guard_called).  Returns whether this one has to be. */
bool fxe_is_unproven(const struct fxe_obj *o, enum fxe_act act, const struct fxe_shape *s);

/* FAISS's beam search uses -1, the number of a neighbour that was not found, as an index into its
 * arrays.  What crashes then may be a later call, so a trial of this one shows nothing.
 * Returns whether the act must not get numbers that are not finite, or huge. */
bool fxe_needs_finite(const struct fxe_shape *s, enum fxe_act act);

#endif
