/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the client's connection share: conn.c has its socket and its messages,
 * handshake.c what comes before them, secure.c messages under CURVE.  See conn.h.
 */
#ifndef FX_CONN_INSIDE_H
#define FX_CONN_INSIDE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "proto/client/conn.h"
#include "proto/curve.h"
#include "proto/zmtp.h"

enum { FX_COMMAND_MAX = 8192 /* bytes of a command from the peer; all known ones are short */ };

/* The messages of a connection under CURVE. */
struct fx_secure {
    struct fx_curve keys;
    struct fx_curve_frame frame; /* the frame that is being read */
    struct fx_curve_message out;
    int open;            /* the frame has not been found genuine yet */
    uint8_t *whole;      /* a large frame that is read in pieces, found genuine; or NULL */
    size_t at;           /* bytes of it that have been read */
    uint8_t small[4096]; /* where short messages are sealed: bye must not allocate */
};

struct fx_conn {
    int fd;
    dev_t dev; /* identify the socket, see fx_conn_is_ours() */
    ino_t ino;
    int64_t last_end;         /* end of the last wait for the peer, in ns */
    int in_vain;              /* waits left without spinning, see spin() */
    uint64_t heard;           /* total bytes received */
    uint64_t left;            /* unread bytes of the current frame */
    struct fx_secure *secure; /* under CURVE; else NULL */
    size_t pos, end;          /* received but unread: buf[pos..end) */
    char error[256];          /* if not empty, the connection is unusable */
    uint8_t buf[64 << 10];
};

/* Set the error, unless there is one, and return -1. */
int fx_conn_fail(struct fx_conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Send everything, in one system call if the socket has room.  fd, unless it is -1, is sent with
 * the first byte. */
int fx_conn_put(struct fx_conn *c, struct iovec *iov, size_t n, int fd, int64_t deadline);
/* Receive until the buffer holds n bytes.  Returns 0, -1, or FX_CONN_LATE, after which it may be
 * called again: nothing was consumed. */
int fx_conn_need(struct fx_conn *c, size_t n, int64_t deadline);
/* Wait for the next frame's head, or for the whole frame if it is a command, without consuming it.
 */
int fx_conn_peek(struct fx_conn *c, struct fx_zmtp_head *h, int64_t deadline);
/* Take n bytes from the buffer and then from the socket: copy them to `to`, or drop them if it is
 * NULL.  `each`, unless it is NULL, gets each part, which it may change, as it comes. */
int fx_conn_take(struct fx_conn *c, uint8_t *to, size_t n,
                 void (*each)(struct fx_conn *, uint8_t *part, size_t n, int dropped),
                 int64_t deadline);
/* Handle a command that may come at any time; ignore unknown ones, as the specification demands. */
int fx_conn_command(struct fx_conn *c, const uint8_t *p, size_t size, int64_t deadline);

/* --- secure.c --- */

struct fx_secure *fx_secure_new(const struct fx_curve *keys);
void fx_secure_free(struct fx_secure *s);

int fx_secure_send(struct fx_conn *c, const struct fx_frame *frames, int n, int fd,
                   int64_t deadline);
int fx_secure_send_command(struct fx_conn *c, const uint8_t *body, size_t n, int64_t deadline);
int fx_secure_frame(struct fx_conn *c, size_t *size, int *more, int64_t deadline);
int fx_secure_read(struct fx_conn *c, uint8_t *to, size_t n,
                   int64_t deadline); /* NULL: drop them */

#endif
