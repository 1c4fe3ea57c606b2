/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indexes that belong to the tenant under a name, not to one session: they live until they
 * are unpublished or the engine ends, and every session of the tenant can open them.  All
 * that have opened one use the same live index.
 */
#ifndef FXE_NAMED_H
#define FXE_NAMED_H

#include <stddef.h>

struct fxe_operation;
extern const struct fxe_operation fxe_publish_operation, fxe_open_operation, fxe_list_operation,
    fxe_unpublish_operation;

/* How many names there are; with engine.lock. */
size_t fxe_named_count(void);

#endif
