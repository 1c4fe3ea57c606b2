/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both ends of a link share: large frames in memfds, the passing of descriptors,
 * and the check of a received head.
 *
 * A memfd is sealed against shrinking before it is sent, and the receiver looks for
 * the seal: otherwise the sender could cut it later, and the receiver would die of
 * SIGBUS when it touches its mapping.
 *
 * No state; any thread.
 */
#ifndef FX_LINK_FD_H
#define FX_LINK_FD_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "link.h"

enum { FX_LINK_MAGIC = 0x314c5846 }; /* "FXL1" */

/* A new sealed memfd with a copy of the data, or -1 and errno. */
int fx_memfd_make(const void *data, size_t size);

/* The bytes of a received memfd that nobody can change any more, and that are there (none is
 * a hole, whose memory would be taken only when it is read); 0 for any other descriptor. */
size_t fx_memfd_sealed_size(int fd);

/* Map `size` bytes of a received memfd (PROT_READ, or with PROT_WRITE) and close it.
 * Returns NULL and errno (EPROTO: not a sealed memfd of at least that size). */
void *fx_memfd_map(int fd, size_t size, int prot);

/* Close n descriptors and forget them. */
void fx_fds_close(int *fds, int n);

/* sendmsg() with descriptors, without SIGPIPE; EINTR is retried. */
ssize_t fx_fds_send(int sock, struct iovec *iov, int niov, const int *fds, int nfds, int flags);

/* recvmsg(): up to FX_FRAMES_MAX descriptors come close-on-exec behind the *nfds that
 * fds holds already.  Those that do not fit are closed. */
ssize_t fx_fds_recv(int sock, struct iovec *iov, int niov, int *fds, int *nfds, int flags);

/* Does the head make sense?  Counts its memfds into *big and its bytes in the stream
 * into *inl. */
int fx_link_head_check(const struct fx_link_head *head, int *big, size_t *inl);

/* Drop the first n bytes of an array of iovecs: returns how many of them remain, moved
 * to the front. */
int fx_iov_advance(struct iovec *iov, int niov, size_t n);

#endif
