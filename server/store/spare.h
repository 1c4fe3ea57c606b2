/* SPDX-License-Identifier: Apache-2.0 */
/* Files that become segments: of full size, with all their blocks written before, so that a sync of
 * what is written into them has no size and no blocks to record.  That takes about half the time of
 * a sync of a file that grows.
 *
 * A segment that is not needed any more becomes a spare; if there is none, a thread writes one with
 * zeros, once so much has been written that it will be used. */
#ifndef FXS_STORE_SPARE_H
#define FXS_STORE_SPARE_H

#include "server/store/internal.h"

/* Spares are prepared from the moment that so many bytes of large records have been written; tests
 * set it. */
extern uint64_t fxs_spare_after;

struct fxs_spares *fxs_spares_new(int dir);
/* Ends the thread, and removes the spares. */
void fxs_spares_free(struct fxs_spares *p);

/* Large records of so many bytes have been written. */
void fxs_spares_wrote(struct fxs_spares *p, uint64_t bytes);
/* Gives a spare the name `name`, and returns its descriptor; or -1 if there is none. */
int fxs_spares_take(struct fxs_spares *p, const char *name);
/* Makes the file `name` a spare, or removes it. */
void fxs_spares_give(struct fxs_spares *p, const char *name);
/* There is no space: removes the spares, and makes no more for a while. */
void fxs_spares_drop(struct fxs_spares *p);
/* The same, if there is little space. */
void fxs_spares_drop_if_full(struct fxs_spares *p);

/* Is this the name of a spare, or of one that is being made? */
bool fxs_is_spare(const char *name);

#endif
