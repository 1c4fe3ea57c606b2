/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that OpenBLAS works in.
 *
 * Each call under way needs a buffer: 32 to 128 MiB of addresses, of which it touches a few.
 * OpenBLAS maps one when all that it has are in use and, where there is no memory for it, tries
 * again for ever.  So there is one for every thread that may call it, from before its first
 * call, and as they are hardly used, they do not count as memory of the tenant (RLIMIT_DATA).
 * Another BLAS is left alone.
 */
#ifndef FXE_BLAS_H
#define FXE_BLAS_H

#include <stddef.h>

/* `dl`: the FAISS library, which is linked with it.  Before there are other threads. */
void fxe_blas_init(void *dl);

/* So many threads more may call it: buffers for them, as far as there is memory.  With
 * engine.lock, or before there are other threads. */
void fxe_blas_reserve(int threads);

/* Bytes that must be free for one more, for a moment; 0 when nothing is known of this BLAS. */
size_t fxe_blas_buffer(void);

#endif
