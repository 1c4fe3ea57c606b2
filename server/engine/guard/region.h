/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions in OpenMP regions.
 *
 * FAISS's parallel loops do not catch exceptions.  With one thread, the exception reaches FAISS's C
 * API, which makes an error of it.  With several, it ends the process, or leaves the loop while
 * other threads are still in it.  So the engine defines GOMP_parallel, which FAISS finds before
 * libgomp's: it calls libgomp's, catches what the loop throws in each thread, and throws the first
 * exception again when all threads have left the loop.  So several threads end as one would.
 *
 * It does not help where the compiler ends the process at any exception, however many threads there
 * are; tests/crash finds these calls.
 */
#ifndef FXE_REGION_H
#define FXE_REGION_H

/* Finds libgomp and the C++ runtime that the library `dl` uses.  Call before other threads start.
 * Before, and without libgomp, regions have one thread. */
void fxe_region_init(void *dl);

/* Stores the address of a symbol of `dl`, or NULL, in the pointer or function pointer `*at`. */
void fxe_find_symbol(void *dl, const char *name, void *at);

#endif
