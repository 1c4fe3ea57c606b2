/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory with an owner, and arrays in sealed memfds: how a client passes a large array to an
 * engine of the same host without a copy through a socket.
 *
 * A memfd is sealed against writing, growing and shrinking before it is sent, and the receiver
 * looks for the seals: otherwise the sender could change what FAISS reads, or cut it, and the
 * receiver would die of SIGBUS when it touches its mapping.
 *
 * No state; any thread.
 */
#ifndef FX_MEMFD_H
#define FX_MEMFD_H

#include <stddef.h>

struct fx_buffer {
    void *data;
    size_t size;
    int mapped; /* munmap rather than free */
};

void fx_buffer_free(struct fx_buffer *b); /* and forget it */

/* A new sealed memfd with a copy of the data, or -1 when there is no room for one. */
int fx_memfd_make(const void *data, size_t size);

/* The bytes of a received memfd that nobody can change any more, and that are there (none is
 * a hole, whose memory would be taken only when it is read); 0 for any other descriptor. */
size_t fx_memfd_sealed_size(int fd);

/* Map `size` bytes of a descriptor that fx_memfd_sealed_size approved, to be read.  NULL when
 * there is no memory.  The descriptor stays the caller's. */
void *fx_memfd_map(int fd, size_t size);

#endif
