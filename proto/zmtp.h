/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZMTP 3.x framing (https://rfc.zeromq.org/spec/23/ and /37/), for both ends: the client's
 * connection (proto/client/conn.c), the front's handshake (server/front/handshake.c) and the
 * engine's connections (server/engine/run/conn.c).  curve.h has what the CURVE mechanism puts in
 * the frames.
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
    FX_ZMTP_VERSION = 12,      /* bytes of a greeting before its mechanism */
    FX_ZMTP_READY_MAX = 64,    /* most bytes that fx_zmtp_ready and fx_zmtp_metadata write */
    FX_ZMTP_PING = 2 + 5 + 2,  /* the PING that fx_zmtp_ping writes */
    FX_ZMTP_PING_MAX = 2 + 16, /* body of a PING: time to live and context */
    FX_ZMTP_PONG_MAX = 2 + 5 + 16,
    FX_ZMTP_REASON_MAX = 200, /* bytes of an ERROR command's reason; longer ones are cut */
    FX_ZMTP_ERROR_MAX = 2 + 7 + FX_ZMTP_REASON_MAX,
    FX_ZMTP_TYPE_MAX = 7 /* the longest name of a socket type */
};

/* The beginning of a frame. */
struct fx_zmtp_head {
    int flags;
    size_t len; /* bytes of the head itself: 2 or 9 */
    uint64_t size;
};

/* Decode the head at p.  Returns 1, 0 if more bytes are needed, or -1 if the flags are not valid
 * in ZMTP 3. */
int fx_zmtp_head(const uint8_t *p, size_t have, struct fx_zmtp_head *h);

/* Encode a head, setting FX_ZMTP_LONG if needed.  Returns its length. */
size_t fx_zmtp_put_head(uint8_t to[FX_ZMTP_HEAD_MAX], int flags, uint64_t size);

/* Security mechanisms; a bit each. */
enum fx_zmtp_mechanism { FX_ZMTP_NULL = 1, FX_ZMTP_CURVE = 2 };

/* Write the greeting that opens a connection.  `server`: with CURVE, this side is the server. */
void fx_zmtp_greeting(uint8_t to[FX_ZMTP_GREETING], enum fx_zmtp_mechanism mechanism, int server);

/* Check the part of the peer's greeting that has arrived.  Returns its mechanism, one of `allowed`,
 * if it is complete and valid, 0 if more bytes are needed, or -1 and the reason as soon as a byte
 * is wrong. */
int fx_zmtp_check_greeting(const uint8_t *p, size_t have, int allowed, const char **why);

/* Encode a READY command frame.  `identity`: add an empty Identity, as clients do.  Returns its
 * length. */
size_t fx_zmtp_ready(uint8_t to[FX_ZMTP_READY_MAX], const char *socket_type, int identity);

/* Write the metadata that READY, or CURVE's INITIATE and READY, carry: at most FX_ZMTP_READY_MAX -
 * 8 bytes.  Returns its length. */
size_t fx_zmtp_metadata(uint8_t *to, const char *socket_type, int identity);

/* If `body`, of *n bytes, is the command `name`, returns the rest of the body and sets *n to its
 * length.  Else returns NULL and leaves *n unchanged. */
const uint8_t *fx_zmtp_command(const uint8_t *body, size_t *n, const char *name);

/* Find the socket type in READY's metadata.  Returns 0, or -1 if the metadata is malformed or
 * lacks it. */
int fx_zmtp_socket_type(const uint8_t *metadata, size_t n, char type[FX_ZMTP_TYPE_MAX + 1]);

/* Encode a PING command frame without a context. */
void fx_zmtp_ping(uint8_t to[FX_ZMTP_PING]);

/* Encode the PONG for a PING, given the n bytes after the PING's name.  Returns its length, or 0
 * if the PING is malformed. */
size_t fx_zmtp_pong(uint8_t to[FX_ZMTP_PONG_MAX], const uint8_t *ping, size_t n);

/* Encode an ERROR command.  Returns its length. */
size_t fx_zmtp_error(uint8_t to[FX_ZMTP_ERROR_MAX], const char *reason);

/* A message ready to be sent: the empty delimiter, then `n` frames (at most FX_FRAMES_MAX).  The
 * caller still owns the frames' memory. */
struct fx_zmtp_message {
    struct iovec iov[2 * FX_FRAMES_MAX];
    int niov;
    uint8_t heads[2 + FX_FRAMES_MAX * FX_ZMTP_HEAD_MAX];
};

void fx_zmtp_message(struct fx_zmtp_message *m, const struct fx_frame *frames, int n);

/* Drop the first n bytes of an array of iovecs and move the remaining iovecs to the front.  Returns
 * how many remain. */
int fx_iov_advance(struct iovec *iov, int niov, size_t n);

#endif
