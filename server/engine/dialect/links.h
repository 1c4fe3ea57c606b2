/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which IDMaps have been made over which index that was not trained yet.  They get its training
 * with it, until they have vectors.
 *
 * Not on disk: when the engine has been started again, such an IDMap trains itself when it gets its
 * first vectors.  Any thread, without engine.lock.
 */
#ifndef FXD_LINKS_H
#define FXD_LINKS_H

#include <stdbool.h>

void fxd_links_add(const char *base, const char *wrapper);
/* Forgets the wrapper, which has vectors now or is gone. */
void fxd_links_drop(const char *wrapper);
/* Copies the name of the i-th wrapper over `base`.  Returns false if there are not so many. */
bool fxd_links_next(const char *base, int i, char *wrapper);
/* Copies the name of the index that the wrapper was made over, if it is known. */
bool fxd_links_base(const char *wrapper, char *base);

#endif
