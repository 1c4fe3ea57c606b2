/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of ZMTP 3.0 (https://rfc.zeromq.org/spec/23/, mechanisms NULL and CURVE) over a
 * plain blocking socket.  Any ZeroMQ ROUTER or REP can be the peer.
 *
 * Why not libzmq: the shim runs in other people's processes.  libzmq starts threads, aborts the
 * process if an internal check fails, and does not survive fork().  Its thread switches also make a
 * small call take 50 % longer and three times the processor time (docs/decisions.md).
 *
 * A connection belongs to one thread at a time.  Every function that can wait takes a deadline
 * (CLOCK_MONOTONIC, milliseconds; see fx_now_ms) and returns 0, or -1 with a text in
 * fx_conn_error(); after an error the connection can only be closed.  No function raises SIGPIPE;
 * EINTR is retried; descriptors are close-on-exec.
 */
#ifndef FX_CONN_H
#define FX_CONN_H

#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

struct fx_conn;
struct fx_curve_keys; /* proto/curve_shake.h */

/* Returned by fx_conn_frame() if the deadline passes before the first byte of a frame.  The
 * connection is still usable. */
enum { FX_CONN_LATE = -2 };

int64_t fx_now_ms(void);

/* How long a thread polls for an answer before it sleeps, at most, in ns; 0: not at all.  Set it
 * before opening connections. */
extern int64_t fx_conn_spin_ns;

/* Connect to tcp://HOST:PORT (names, IPv4, [IPv6]) or ipc://PATH (ipc://@NAME: the
 * abstract namespace) as a DEALER and shake hands: with CURVE and these keys, or with NULL
 * if `keys` is NULL.  The peer must speak that mechanism: there is no other that is tried.  Returns
 * the connection, which the caller closes, or NULL and a text in err that names the endpoint. */
struct fx_conn *fx_conn_open(const char *endpoint, const struct fx_curve_keys *keys,
                             int64_t deadline, char *err, size_t errlen);

/* Is the descriptor still the socket that was opened?  Some programs close all descriptors, for
 * example to become daemons, and their next files get the same numbers. */
int fx_conn_is_ours(const struct fx_conn *c);

/* Nothing is sent or received any more, by another process that has the descriptor neither.  NULL
 * is ignored. */
void fx_conn_shut(struct fx_conn *c);

/* Close and free; NULL is ignored.  If the program has closed the descriptor, and perhaps reused
 * its number, it is left alone.  Nothing is sent, so a child may close its copy of its parent's
 * connection after fork(). */
void fx_conn_close(struct fx_conn *c);

/* Send one message: the empty delimiter, then `n` frames. */
int fx_conn_send(struct fx_conn *c, const struct fx_frame *frames, int n, int64_t deadline);

/* The same with a descriptor, unless fd is -1; needs a Unix socket.  The caller still owns fd. */
int fx_conn_send_fd(struct fx_conn *c, const struct fx_frame *frames, int n, int fd,
                    int64_t deadline);

/* Begin the next frame of the incoming message: its size, and whether more frames follow.  The body
 * of the previous frame must have been read or skipped.  A message's delimiter is a frame like any
 * other, of size 0.  May return FX_CONN_LATE. */
int fx_conn_frame(struct fx_conn *c, size_t *size, int *more, int64_t deadline);

/* Connect to an endpoint of this host, with NULL, send one message and close, without waiting.
 * Returns 0 if the kernel has taken all of it.  Allocates nothing. */
int fx_conn_post(const char *endpoint, const struct fx_frame *frames, int n);

/* Send PING.  A change of fx_conn_heard(), the total of bytes received, shows that the peer
 * answered. */
int fx_conn_ping(struct fx_conn *c, int64_t deadline);
uint64_t fx_conn_heard(const struct fx_conn *c);

/* Read n bytes of the current frame's body directly into buf, or drop them. */
int fx_conn_read(struct fx_conn *c, void *buf, size_t n, int64_t deadline);
int fx_conn_skip(struct fx_conn *c, size_t n, int64_t deadline);

/* Is the peer on this host, at a Unix socket or a loopback address? */
int fx_conn_is_local(const struct fx_conn *c);

/* Has the peer closed the connection, or this program closed its descriptor?  Does not wait.  Does
 * not notice a close until a millisecond after the last answer. */
int fx_conn_is_dead(struct fx_conn *c);

const char *fx_conn_error(const struct fx_conn *c);

/* For tests, the two steps of fx_conn_open after connect(): make a connection over a connected
 * stream socket, which it then owns unless NULL is returned; and shake hands.  A test that skips
 * the handshake may send messages at once. */
struct fx_conn *fx_conn_from_fd(int fd);
int fx_conn_handshake(struct fx_conn *c, const struct fx_curve_keys *keys, int64_t deadline);

#endif
