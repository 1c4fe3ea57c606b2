/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays in sealed memfds, with which a client passes a large array to an engine on the same host
 * without copying it through a socket.  Also struct fx_buffer: memory, heap or mapped, that its
 * holder frees.
 *
 * The sender seals a memfd against writing, growing and shrinking, and the receiver checks the
 * seals.  Otherwise the sender could change the data while FAISS reads it, or truncate it, and the
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
    int mapped; /* freed with munmap(), not free() */
};

void fx_buffer_free(struct fx_buffer *b); /* also clears *b */

/* Copy `size` bytes into a new sealed memfd.  Returns its descriptor, which the caller owns, or -1
 * if there is no room. */
int fx_memfd_make(const void *data, size_t size);

/* The size in bytes of a received memfd that is sealed and has no holes (reading a hole would take
 * memory).  0 for any other descriptor. */
size_t fx_memfd_sealed_size(int fd);

/* Map `size` bytes of a descriptor that fx_memfd_sealed_size has approved, for reading.  Returns
 * NULL if out of memory.  The caller still owns the descriptor. */
void *fx_memfd_map(int fd, size_t size);

#endif
