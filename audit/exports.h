/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The symbols that a mapped object exports, looked up in its own hash table: before it is
 * relocated, and without a C library.
 *
 * Threads: keeps no state.
 */
#ifndef FX_EXPORTS_H
#define FX_EXPORTS_H

#include <link.h>

/* Where the object has `name`, which it defines for others, or NULL where it does not. */
const void *fx_exported(const struct link_map *map, const char *name);

/* What a program without a C library has to bring along. */
int fx_same(const char *a, const char *b);

#endif
