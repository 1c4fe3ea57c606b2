/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FXS_LIBRARY_H
#define FXS_LIBRARY_H

#include <stddef.h>

/* Loads the real libfaiss_c in a process of its own: a server whose engines cannot load it should
 * not start, and the front has no use for FAISS's threads and memory.  Returns 0, or -1 with `why`.
 */
int fxs_library_try(const char *path, char *why, size_t len);

#endif
