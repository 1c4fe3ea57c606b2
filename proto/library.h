/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding and loading the real libfaiss_c.
 *
 * Search order: the requested path; FAISSX_FAISS_LIBRARY; a libfaiss_c that this process has
 * already mapped; then the folders of LD_LIBRARY_PATH, of the loader's configuration and of `make
 * engine`'s cache.  In each folder, the best of libfaiss_c_avx512.so, libfaiss_c_avx2.so and
 * libfaiss_c.so that this CPU can run is taken.  The shim, which has the same name, is skipped.  A
 * set-user-id program ignores the environment.
 *
 * Threads: none of these functions keeps state; a loaded library is read-only.
 */
#ifndef FX_LIBRARY_H
#define FX_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#include "proto/api.h"

struct fx_library {
    void *dl; /* never closed: FAISS's OpenMP threads may outlive any owner */
    char path[4096];
    char version[FX_VERSION_SIZE]; /* faiss_get_version(), or guessed from its symbols */
    struct fx_api api;             /* NULL where the library lacks the function */
};

/* The id of the thread that is opening the real library, or 0.  audit/audit.c reads it, and does
 * not redirect that thread. */
extern __attribute__((visibility("default"))) int faissx_opens_faiss;

/* Find the real library.  Returns 0 and an absolute path, or -1 and in `why` a text of several
 * lines: where it looked, and how to get the library. */
int fx_library_find(const char *wanted, char *path, size_t pathlen, char *why, size_t whylen);

/* Load the library at `path` and resolve its functions.  Returns 0, or -1 and a text in `why`. */
int fx_library_load(struct fx_library *lib, const char *path, char *why, size_t whylen);

/* Does the library have operation `op`? */
int fx_library_has(const struct fx_library *lib, int op);

/* Write "faissx: NAME is not in PATH (FAISS VERSION); it came with ..." into `text`. */
void fx_library_missing(const struct fx_library *lib, int op, char *text, size_t len);

#endif
