/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZMTP 3.x framing (https://rfc.zeromq.org/spec/23/ and /37/, NULL mechanism), for both ends:
 * the client's connection (proto/client/conn.c), the front's handshake (server/front/guest.c) and
 * the engine's connections (server/engine/run/conn.c).
 *
 * These functions work on the caller's memory: none of them reads a socket, allocates, or keeps
 * state.  Any thread.
 */
#ifndef FX_ZMTP_H
#define FX_ZMTP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "proto/wire.h"

enum { FX_ZMTP_MORE = 1, FX_ZMTP_LONG = 2, FX_ZMTP_COMMAND = 4 }; /* flags of a frame */

enum {
    FX_ZMTP_GREETING = 64,
    FX_ZMTP_HEAD_MAX = 9,      /* flags and a long size */
    FX_ZMTP_READY_MAX = 64,    /* bytes that fx_zmtp_ready writes at most */
    FX_ZMTP_PING = 2 + 5 + 2,  /* a PING as fx_zmtp_ping writes it */
    FX_ZMTP_PING_MAX = 2 + 16, /* body of a PING: time to live and context */
    FX_ZMTP_PONG_MAX = 2 + 5 + 16,
    FX_ZMTP_REASON_MAX = 200, /* bytes of an ERROR command's reason: more is cut */
    FX_ZMTP_ERROR_MAX = 2 + 7 + FX_ZMTP_REASON_MAX,
    FX_ZMTP_TYPE_MAX = 7 /* the longest name of a socket type */
};

/* The beginning of a frame. */
struct fx_zmtp_head {
    int flags;
    size_t len; /* bytes of the head itself: 2 or 9 */
    uint64_t size;
};

/* Decode the head at p.  Returns 1, 0 when more bytes are needed, or -1 when the flags are not
 * those of ZMTP 3. */
int fx_zmtp_head(const uint8_t *p, size_t have, struct fx_zmtp_head *h);

/* Encode a head; FX_ZMTP_LONG is set as needed.  Returns its length. */
size_t fx_zmtp_put_head(uint8_t to[FX_ZMTP_HEAD_MAX], int flags, uint64_t size);

/* The greeting that opens a connection. */
void fx_zmtp_greeting(uint8_t to[FX_ZMTP_GREETING]);

/* Check the part of the peer's greeting that has arrived.  Returns 1 when it is complete and right,
 * 0 when more bytes are needed, or -1 and the reason as soon as it is wrong. */
int fx_zmtp_check_greeting(const uint8_t *p, size_t have, const char **why);

/* Encode READY as the frame of a command.  `identity`: with an empty Identity, as clients send
 * it.  Returns its length. */
size_t fx_zmtp_ready(uint8_t to[FX_ZMTP_READY_MAX], const char *socket_type, int identity);

/* If the command with that body has that name: the rest of the body and, in *n, its length.  Else
 * NULL, and *n is not changed. */
const uint8_t *fx_zmtp_command(const uint8_t *body, size_t *n, const char *name);

/* Find the socket type in READY's metadata.  Returns 0, or -1 when the metadata is malformed or
 * has none. */
int fx_zmtp_socket_type(const uint8_t *metadata, size_t n, char type[FX_ZMTP_TYPE_MAX + 1]);

/* Encode a PING without a context, as the frame of a command. */
void fx_zmtp_ping(uint8_t to[FX_ZMTP_PING]);

/* Encode the answer to a PING, given the PING's body behind its name.  Returns its length, or 0
 * when the PING is malformed. */
size_t fx_zmtp_pong(uint8_t to[FX_ZMTP_PONG_MAX], const uint8_t *ping, size_t n);

/* Encode an ERROR command.  Returns its length. */
size_t fx_zmtp_error(uint8_t to[FX_ZMTP_ERROR_MAX], const char *reason);

/* A message ready to be sent: the empty delimiter, then `n` frames (at most FX_FRAMES_MAX),
 * whose memory stays the caller's. */
struct fx_zmtp_message {
    struct iovec iov[2 * FX_FRAMES_MAX];
    int niov;
    uint8_t heads[2 + FX_FRAMES_MAX * FX_ZMTP_HEAD_MAX];
};

void fx_zmtp_message(struct fx_zmtp_message *m, const struct fx_frame *frames, int n);

/* Drop the first n bytes of an array of iovecs.  Returns how many of them remain, moved to the
 * front. */
int fx_iov_advance(struct iovec *iov, int niov, size_t n);

#endif
