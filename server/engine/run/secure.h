/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is different about a client's connection under CURVE.  Bytes are opened where they end up:
 * in the receive buffer or in the memory of the request, which nobody sees before all of its frames
 * have been found genuine.  A reply is sealed in parts of OUT bytes, so that a client that does not
 * read it costs no copy of it.
 *
 * The functions belong to conn_read.c and conn_send.c.  The caller holds conn.lock.
 */
#ifndef FXE_SECURE_H
#define FXE_SECURE_H

#include "proto/curve.h"
#include "proto/zmtp.h"
#include "server/engine/run/conn.h"

enum { FXE_SECURE_COMMAND_MAX = FX_ZMTP_HEAD_MAX + FX_CURVE_BEGIN + FX_ZMTP_PONG_MAX };

/* Returns what a connection that the front has handed over needs, or NULL if memory is out. */
struct fxe_secure *fxe_secure_new(const struct fxs_handover *h);
void fxe_secure_free(struct fxe_secure *s);

/* --- reading --- */

/* As fx_zmtp_head, for the frame at the beginning of the receive buffer: h->len bytes are before
 * its data, of h->size bytes.  The same frame may be asked for again. */
int fxe_secure_head(struct fxe_conn *c, struct fx_zmtp_head *h);
/* Opens a command, which is in the buffer whole.  Returns -1 if it is not genuine. */
int fxe_secure_open_command(struct fxe_conn *c, const struct fx_zmtp_head *h);
/* n bytes of the receive buffer have been consumed. */
void fxe_secure_used(struct fxe_conn *c, size_t n);
/* Opens the next n bytes of a frame's data in place. */
void fxe_secure_body(struct fxe_conn *c, char *data, size_t n);
/* All of the frame's data has been opened.  Returns 1, or -1 if it is not genuine. */
int fxe_secure_body_done(struct fxe_conn *c);

/* --- sending --- */

/* Seals a command in place, in a buffer of FXE_SECURE_COMMAND_MAX bytes.  Returns its size. */
size_t fxe_secure_command(struct fxe_conn *c, uint8_t *frame, size_t n);
/* Begins a reply, whose frames stay as they are until fxe_secure_sent.  Returns 1, or -1. */
int fxe_secure_send(struct fxe_conn *c, const struct fx_frame *frames, int n);
/* Sends what the socket accepts.  Returns 1 if all of it has been sent, 0 if not, -1 if the
 * connection is broken. */
int fxe_secure_flush(struct fxe_conn *c);
/* Bytes of the reply that have not been sent. */
size_t fxe_secure_left(const struct fxe_conn *c);
void fxe_secure_sent(struct fxe_conn *c);

#endif
