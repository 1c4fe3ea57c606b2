/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FX_TARGET_H
#define FX_TARGET_H

#include <stddef.h>

/*
 * Returns the path of the file that an export to `name` replaces or creates: symbolic links are
 * followed, because rename() would replace the link itself.  The caller frees it.  Returns NULL,
 * and the reason in `why`, if something other than a regular file is there: rename() would replace
 * a device or a FIFO by a file.
 */
char *fx_target(const char *name, char *why, size_t size);

#endif
