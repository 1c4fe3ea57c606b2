/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths that are names of indexes on the server: faissx://NAME, and those that FAISSX_PATH_MAP
 * turns into one (PREFIX=faissx://PREFIX, several separated by commas).  Writing to such a path
 * publishes the index; reading it opens the index that is live.
 *
 * No state; any thread.
 */
#ifndef FX_NAMED_H
#define FX_NAMED_H

#include <stddef.h>

/* The name that a path stands for, perhaps in buf; NULL when the path is that of a file.  One that
 * does not fit is cut short, so buf has to be longer than the server lets a name be. */
const char *fx_named(const char *fname, char *buf, size_t len);

/* Returns 0, or -1 with a text that says what is wrong with FAISSX_PATH_MAP. */
int fx_named_check_map(char *why, size_t len);

/* Return 0, or -1 with the error set in the name of `function`. */
int fx_named_write(const void *index, int cls, const char *name, const char *function);
int fx_named_read(const char *name, int cls, void **p_out, const char *function);

struct fx_obj;

/* The session of an index that was opened by its name is gone: open it in the present one.  Fails
 * if the index that has the name now has vectors of another kind. */
int fx_named_reopen(struct fx_obj *o);

#endif
