/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks up the symbols that a mapped object exports, in the object's own hash table.  Works before
 * the object is relocated, and without a C library.
 *
 * No state; any thread.
 */
#ifndef FX_EXPORTS_H
#define FX_EXPORTS_H

#include <link.h>

/* The address of the symbol `name`, if the object defines and exports it, or NULL. */
const void *fx_exported(const struct link_map *map, const char *name);

/* Are two strings equal?  (There is no C library for strcmp.) */
int fx_same(const char *a, const char *b);

#endif
