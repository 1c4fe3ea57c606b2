/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the front and an engine tell each other, over a socketpair of records (SOCK_SEQPACKET):
 * a connection whose key is known, with the bytes of it that have been read; that the engine is
 * ready; that it is to stop.  Requests and replies never pass here.
 *
 * A record is sent whole or not at all, and nothing waits.  Each end is used by one thread at a
 * time.
 */
#ifndef FXS_HANDOVER_H
#define FXS_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

enum { FXS_HANDOVER_BYTES = 6 << 10, FXS_PEER_MAX = 63 };

enum fxs_handover_kind {
    FXS_CONNECTION = 1, /* front to engine, with a descriptor */
    FXS_STOP,           /* front to engine: finish what is under way, then exit */
    FXS_READY           /* engine to front: the library is loaded */
};

struct fxs_handover {
    uint32_t magic;
    uint32_t kind;
    uint32_t key;                /* number of the API key, from 1; 0: the server has none */
    uint32_t near;               /* the client came by TCP from an address of this host */
    char peer[FXS_PEER_MAX + 1]; /* its address, as text */
    uint32_t size;
    uint8_t bytes[FXS_HANDOVER_BYTES]; /* read already, from the first message on */
};

/* Connected ends, close-on-exec and non-blocking.  Returns 0, or -1 and errno. */
int fxs_handover_pair(int ends[2]);

/* Send a record; the caller fills all but magic.  fd is -1 where there is none, and stays the
 * caller's.  Returns 0, or -1 and errno: EAGAIN when the other end has to read first; others
 * mean that it is gone. */
int fxs_handover_send(int sock, struct fxs_handover *h, int fd);

/* Receive a record.  Returns 1 and the descriptor, which is the caller's (-1 for none, or when
 * this process has no room for it); 0 when there is none now; -1 when the other end is gone or
 * sent something else. */
int fxs_handover_recv(int sock, struct fxs_handover *h, int *fd);

#endif
