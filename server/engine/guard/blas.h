/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenBLAS's work buffers.
 *
 * Each running call needs a buffer: 32 to 128 MiB of address space, of which it touches little.
 * When all its buffers are in use, OpenBLAS maps another one, and retries for ever if there is no
 * memory for it.  So the engine maps a buffer for every thread that may call OpenBLAS, before that
 * thread's first call.  Buffers are hardly used, so they do not count towards the tenant's memory
 * limit (RLIMIT_DATA).  Any other BLAS is left alone.
 */
#ifndef FXE_BLAS_H
#define FXE_BLAS_H

#include <stddef.h>

/* `dl` is the FAISS library, which is linked with OpenBLAS.  Call before other threads start. */
void fxe_blas_init(void *dl);

/* Makes room for `threads` more threads that call OpenBLAS, as far as there is memory for their
 * buffers.  Call with engine.lock held, or before other threads start. */
void fxe_blas_reserve(int threads);

/* Returns the bytes that must be free, for a moment, to map one more buffer; 0 if this BLAS is not
 * OpenBLAS or the size of its buffers is unknown. */
size_t fxe_blas_buffer(void);

#endif
