/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays in sealed memfds: how a client passes a large array to an engine of the same host without
 * copying it through a socket.  And memory that is freed by whoever holds its struct fx_buffer.
 *
 * A memfd is sealed against writing, growing and shrinking before it is sent, and the receiver
 * checks the seals.  Otherwise the sender could change what FAISS reads, or cut it short, and the
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
    int mapped; /* free it with munmap() */
};

void fx_buffer_free(struct fx_buffer *b); /* and clear *b */

/* Make a sealed memfd with a copy of the data.  Returns -1 when there is no room for one. */
int fx_memfd_make(const void *data, size_t size);

/* The size of a received memfd that nobody can change any more and that has no holes, for which
 * reading would take memory.  0 for any other descriptor. */
size_t fx_memfd_sealed_size(int fd);

/* Map `size` bytes of a descriptor that fx_memfd_sealed_size has approved, for reading.  NULL when
 * there is no memory.  The caller keeps owning the descriptor. */
void *fx_memfd_map(int fd, size_t size);

#endif
