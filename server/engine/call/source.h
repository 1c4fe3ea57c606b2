/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that FAISS reads through a FILE, from memory or from a client.
 *
 * FAISS's C API of before v1.11 reads from a FILE * only, with fread().  glibc hands a
 * custom stream (fopencookie) over in single bytes or, with a buffer, reads beyond what
 * FAISS asked for, which a client's stream cannot take back.  So the server's program has
 * an fread() of its own, in front of the C library's: for a stream made here it calls the
 * source with the very size that FAISS wants; for all others it goes on to the C library.
 */
#ifndef FXE_SOURCE_H
#define FXE_SOURCE_H

#include <stdio.h>

/* Deliver n bytes, or fewer at the end. */
typedef size_t (*fxe_read_fn)(void *ctx, void *buf, size_t n);

/* A stream that reads from `read`, for the calling thread only, and one at a time.
 * Close with fxe_source_close.  NULL when memory is out. */
FILE *fxe_source_open(fxe_read_fn read, void *ctx);
void fxe_source_close(FILE *f);

#endif
