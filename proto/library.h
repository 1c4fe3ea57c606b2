/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real libfaiss_c: where it is, and its functions.
 *
 * Search order: the path asked for; FAISSX_FAISS_LIBRARY; one that this process has
 * mapped already; then, in each folder of LD_LIBRARY_PATH, of the loader's
 * configuration and of `make engine`'s cache, the best that this CPU can run of
 * libfaiss_c_avx512.so, libfaiss_c_avx2.so and libfaiss_c.so.  The shim itself, which
 * has the same name, is never taken.  A set-user-id program ignores the environment.
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
    char version[FX_VERSION_SIZE]; /* faiss_get_version(), or told from the symbols it has */
    struct fx_api api;             /* NULL where the library lacks the function */
};

/* The thread that opens the real library at this moment, or 0: audit/audit.c reads it, and
 * lets that thread have what it asks for. */
extern __attribute__((visibility("default"))) int faissx_opens_faiss;

/* Find it.  Returns 0 and an absolute path, or -1 and in `why` a text of several
 * lines: where was looked, and how to get one. */
int fx_library_find(const char *wanted, char *path, size_t pathlen, char *why, size_t whylen);

/* Load and resolve.  Returns 0, or -1 and a text. */
int fx_library_load(struct fx_library *lib, const char *path, char *why, size_t whylen);

/* Does the library have operation `op`? */
int fx_library_has(const struct fx_library *lib, int op);

/* "faissx: NAME is not in PATH (FAISS VERSION); it came with ..." */
void fx_library_missing(const struct fx_library *lib, int op, char *text, size_t len);

#endif
