/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that FAISS reads through a FILE, from memory or from a client.
 *
 * Before v1.11 FAISS's C API reads only from a FILE *, with fread().  glibc reads a custom stream
 * (fopencookie) byte by byte or, if it is buffered, beyond what FAISS asked for, and a client's
 * stream cannot take bytes back.  So the server defines its own fread(): for a stream opened here
 * it calls `read` with exactly the size that FAISS asked for; any other stream goes to the C
 * library's fread().
 */
#ifndef FXE_SOURCE_H
#define FXE_SOURCE_H

#include <stdio.h>

/* Reads n bytes, or fewer at the end; returns how many. */
typedef size_t (*fxe_read_fn)(void *ctx, void *buf, size_t n);

/* Returns a stream that reads through `read`, or NULL if it cannot be opened.  Only the calling
 * thread may use it, and a thread may have only one.  Close it with fxe_source_close. */
FILE *fxe_source_open(fxe_read_fn read, void *ctx);
void fxe_source_close(FILE *f);

#endif
