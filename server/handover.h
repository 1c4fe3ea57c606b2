/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that the front and an engine exchange over a SOCK_SEQPACKET socketpair.  The front hands
 * over a connection whose key it has checked, with the bytes that it has read from it, or tells the
 * engine to stop; the engine says that it is ready.  Later requests and replies do not pass here.
 *
 * A record is sent whole or not at all, and no call blocks.  One thread at a time uses an end.
 */
#ifndef FXS_HANDOVER_H
#define FXS_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#include "proto/curve.h"

enum { FXS_HANDOVER_BYTES = 6 << 10, FXS_PEER_MAX = 63 };

enum fxs_handover_kind {
    FXS_CONNECTION = 1, /* front to engine, with a descriptor */
    FXS_STOP,           /* front to engine: finish what is under way, then exit */
    FXS_READY,          /* engine to front: the library is loaded */
    FXS_IDLE,           /* engine to front: it could end, unless more than `key` connections have
                           been handed to it */
    FXS_END             /* front to engine: do so; requests that still come are answered */
};

struct fxs_handover {
    uint32_t magic;
    uint32_t kind;
    uint32_t key;                /* number of the API key, from 1; 0: the server has no keys */
    uint32_t near;               /* 1: the client has connected over TCP from this host */
    uint32_t dialect;            /* 1: its first message is of FAISSx's Python client */
    char peer[FXS_PEER_MAX + 1]; /* the client's address, as text */
    uint32_t curve;              /* 1: it is encrypted, with `keys` */
    uint32_t clear; /* then the first bytes of `bytes` are whole frames that have been opened */
    struct fx_curve keys;
    uint32_t size;                     /* of `bytes` */
    uint8_t bytes[FXS_HANDOVER_BYTES]; /* read by the front, from the first message on */
};

/* Makes the two connected ends, close-on-exec and non-blocking.  Returns 0, or -1 and errno. */
int fxs_handover_pair(int ends[2]);

/* Sends a record with descriptor `fd`, or none if that is -1; the caller still owns fd.  The caller
 * fills all of `h` but magic.  Returns 0, or -1 and errno: EAGAIN if the other end has to read
 * first; any other means that it is gone. */
int fxs_handover_send(int sock, struct fxs_handover *h, int fd);

/* Receives a record.  Returns 1, and in *fd a descriptor that the caller owns, or -1 if there is
 * none or this process has too many open; 0 if no record is waiting; -1 if the other end is gone or
 * has sent something else. */
int fxs_handover_recv(int sock, struct fxs_handover *h, int *fd);

#endif
