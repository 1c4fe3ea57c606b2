/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published indexes: they belong to the tenant under a name, not to a session, and live until they
 * are unpublished or the engine ends.  Every session of the tenant can open them, and all that have
 * opened one use the same live index.
 */
#ifndef FXE_NAMED_H
#define FXE_NAMED_H

#include <stddef.h>

struct fxe_operation;
extern const struct fxe_operation fxe_publish_operation, fxe_open_operation, fxe_list_operation,
    fxe_unpublish_operation;

/* Returns how many names there are.  The caller holds engine.lock. */
size_t fxe_named_count(void);

#endif
