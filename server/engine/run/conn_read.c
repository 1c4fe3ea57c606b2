/* SPDX-License-Identifier: Apache-2.0 */
/* Reading requests from a connection. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/zmtp.h"
#include "server/engine/dialect/dialect.h"
#include "server/engine/engine.h"
#include "server/engine/guard/room.h"
#include "server/engine/objects/upload.h"
#include "server/engine/run/conn.h"
#include "server/engine/run/kept.h"
#include "server/engine/run/secure.h"

enum {
    SMALL = 256,           /* if fewer bytes of a body are missing, they go through the buffer */
    FIRST_ROOM = 64 << 10, /* first allocation for a body whose announced size is not trusted */
    SOCKET = 64 << 10,     /* wait for a body only if this many bytes are missing, */
    BURST = 32 << 10,      /* and this many have come since the last wait, */
    FRAME_MS = 2,          /* and for so long */
    COMMANDS = 4096,       /* at a time: PINGs come one at a time, and a worker is not theirs */
    SEALED = 256 << 10,    /* under CURVE: bytes to receive before they are opened, in the cache */
    DISCARD = 2 * FX_FRAME_MAX, /* bytes to drop from a refused connection before it is closed; */
    DISCARD_MOST = 1 << 30      /* its client may send a whole message before it reads */
};

/* --- receiving --- */

/* Keeps the last descriptor that came with a message and closes the others: the protocol has no use
 * for more than one.  Under CURVE it has none: nothing says that a descriptor is the client's. */
static void keep_fd(struct fxe_conn *c, struct msghdr *msg)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i + sizeof(int) <= h->cmsg_len - CMSG_LEN(0); i += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i, sizeof fd);
            if (c->secure) {
                close(fd);
                continue;
            }
            if (c->fd >= 0)
                close(c->fd);
            c->fd = fd;
            c->fd_end = c->received;
        }
    }
}

/* Reads more bytes into the buffer.  Returns 1 if it has, 0 if there are none now, -1 if the
 * connection has ended. */
static int fill(struct fxe_conn *c)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(16 * sizeof(int))];
    } control;
    if (c->drained) {
        c->drained = false;
        return 0;
    }
    if (!c->in && !(c->in = malloc(FXE_CONN_IN)))
        return -1;
    if (c->at) {
        memmove(c->in, c->in + c->at, c->have - c->at);
        c->have -= c->at;
        c->at = 0;
    }
    size_t room = FXE_CONN_IN - c->have;
    struct iovec iov = {c->in + c->have, room};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = sizeof control.buf};
    ssize_t n = recvmsg(c->source.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (n == 0)
        return -1;
    c->have += (size_t)n;
    c->received += (size_t)n;
    keep_fd(c, &msg);
    c->drained = (size_t)n < room;
    return 1;
}

static void use(struct fxe_conn *c, size_t n)
{
    c->at += n;
    c->consumed += n;
    if (c->secure)
        fxe_secure_used(c, n);
}

/* --- refusing while reading --- */

/* Marks the message that is being read as refused: the request is answered with this error. */
__attribute__((format(printf, 3, 4))) static void refuse(struct fxe_conn *c, const char *kind,
                                                         const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->msg->why, sizeof c->msg->why, fmt, ap);
    va_end(ap);
    c->msg->kind = kind;
}

static int discard(struct fxe_conn *c)
{
    for (;;) {
        c->at = c->have = 0;
        int rc = fill(c);
        if (rc <= 0)
            return rc;
        if (c->have >= c->discard)
            return -1;
        c->discard -= c->have;
    }
}

/* --- frames --- */

/* Allocates memory for the frame's body: all of the announced size while fxe_ahead_take allows it,
 * otherwise a first part, which grows as bytes arrive.  Returns 0, or -1 if there is no memory and
 * the message is refused. */
static int make_room(struct fxe_conn *c, size_t size)
{
    struct fx_buffer *b = &c->msg->frames[c->msg->nframes];
    c->room = size;
    if (size > FIRST_ROOM) {
        if (fxe_ahead_take(size))
            c->advanced = size;
        else
            c->room = FIRST_ROOM;
    }
    if (fxe_kept_is_full(c->room, c->msg->kept)) {
        refuse(c, "limit",
               "requests and replies of this tenant already take more than %zu MiB; see "
               "--max-pending",
               fxe_engine.max_pending >> 20);
        if (c->msg->nframes || c->dialect)
            return -1; /* read a header all the same: the answer needs its request_id */
    }
    /* FAISS reads arrays in place: malloc's alignment is enough for all types.  Not NULL for an
     * empty frame, because many callers take NULL for "no array". */
    b->data = fxe_room_realloc(NULL, c->room ? c->room : 1);
    if (!b->data) {
        refuse(c, "limit", "the server has no memory for an array of %zu bytes", size);
        return -1;
    }
    b->size = size;
    b->mapped = 0;
    c->msg->kept += c->room;
    fxe_kept_add(c->room);
    c->msg->nframes++;
    c->body = b->data;
    return 0;
}

/* A piece of an upload goes where FAISS will read it. */
static bool receive_in_place(struct fxe_conn *c)
{
    struct fxe_msg *m = c->msg;
    void *to;
    if (m->seen != 2 || m->nframes != 1 || c->left <= FIRST_ROOM)
        return false;
    if (!(m->place = fxe_place_find(c, &m->frames[0], c->left, &to)))
        return false;
    m->frames[m->nframes++] = (struct fx_buffer){to, c->left, 0};
    c->room = c->left;
    c->body = to;
    return true;
}

/* Enlarges the memory of a body that is full and not complete. */
static int grow(struct fxe_conn *c)
{
    struct fx_buffer *b = &c->msg->frames[c->msg->nframes - 1];
    size_t used = c->room, more = b->size - used < 3 * used ? b->size - used : 3 * used;
    void *data =
        fxe_kept_is_full(more, c->msg->kept) ? NULL : fxe_room_realloc(b->data, used + more);
    if (!data) {
        refuse(c, "limit", "the server has no memory for an array of %zu bytes at present",
               b->size);
        fx_buffer_free(b);
        c->msg->nframes--;
        c->body = NULL;
        return -1;
    }
    b->data = data;
    c->room += more;
    c->body = (char *)data + used;
    c->msg->kept += more;
    fxe_kept_add(more);
    return 0;
}

/* The same for the dialect: a message is one frame, which may be large. */
static int begin_dialect(struct fxe_conn *c, const struct fx_zmtp_head *h, int first)
{
    if (!first) {
        if (!c->msg->kind)
            refuse(c, "protocol", "Malformed request");
        return c->msg->seen > FX_FRAMES_MAX || h->size > FX_FRAME_MAX ? -1 : 0;
    }
    if (h->size > (uint64_t)fxe_engine.options.faissx.message << 20) {
        refuse(c, "limit", "Request too large");
        return -1;
    }
    make_room(c, c->left); /* if there is none, the message is read and dropped */
    return 0;
}

/* Begins a frame of a message.  Returns -1 if the connection has to end: the rest of the message
 * cannot be read. */
static int begin_frame(struct fxe_conn *c, const struct fx_zmtp_head *h)
{
    int first = !c->msg;
    if (first && !(c->msg = calloc(1, sizeof *c->msg)))
        return -1;
    c->left = (size_t)h->size;
    c->body = NULL;
    if (first && h->size == 0)
        return 0; /* the delimiter */
    if (first)
        refuse(c, "protocol", "the message does not begin with an empty frame");
    int is_header = c->msg->seen++ == 0;
    if (c->dialect)
        return begin_dialect(c, h, is_header);
    if (is_header && h->size > FX_HEADER_MAX) {
        refuse(c, "limit", "the header has %llu bytes, at most %d are allowed",
               (unsigned long long)h->size, FX_HEADER_MAX);
        return -1;
    }
    if (c->msg->seen > FX_FRAMES_MAX) {
        refuse(c, "limit", "the message has more than %d frames", FX_FRAMES_MAX);
        return -1;
    }
    if (h->size > FX_FRAME_MAX) {
        refuse(c, "limit", "frame %d has %llu bytes, at most %d are allowed", c->msg->seen - 1,
               (unsigned long long)h->size, FX_FRAME_MAX);
        return -1;
    }
    /* If the message is refused, or there is no memory, its frames are read and dropped. */
    if (is_header)
        return make_room(c, c->left);
    if (!c->msg->kind && !receive_in_place(c))
        make_room(c, c->left);
    return 0;
}

/* Reads the rest of the frame's body.  Returns 1 if it is complete, 0 if bytes are missing, -1 if
 * the connection has ended. */
static int fill_body(struct fxe_conn *c)
{
    size_t burst = 0;
    while (c->left) {
        size_t have = c->have - c->at, n = have < c->left ? have : c->left;
        struct fx_buffer *b = c->body ? &c->msg->frames[c->msg->nframes - 1] : NULL;
        size_t room = b ? c->room - (size_t)(c->body - (char *)b->data) : 0;
        if (b && room == 0) {
            grow(c); /* if this fails, the rest of the frame is dropped */
            continue;
        }
        if (b && n > room)
            n = room;
        if (n) {
            if (c->body)
                memcpy(c->body, c->in + c->at, n);
            if (c->secure)
                fxe_secure_body(c, c->body ? c->body : (char *)c->in + c->at, n);
            use(c, n);
        } else if (!c->body || c->left < SMALL) { /* through the buffer */
            int rc = fill(c);
            if (rc <= 0)
                return rc;
            continue;
        } else {
            size_t most = room < c->left ? room : c->left;
            if (c->secure && most > SEALED)
                most = SEALED;
            ssize_t got = recv(c->source.fd, c->body, most, MSG_DONTWAIT);
            /* The rest of a large frame is probably on its way.  Waiting a moment for it is cheaper
             * than handing the connection to another worker for each 200 KB that a socket holds.
             * Only if bytes come quickly: a slow client must not occupy a worker. */
            struct pollfd p = {.fd = c->source.fd, .events = POLLIN};
            if (got < 0 && errno == EAGAIN && c->left >= SOCKET && burst >= BURST) {
                burst = 0;
                if (poll(&p, 1, FRAME_MS) == 1)
                    continue;
                errno = EAGAIN;
            }
            if (got < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -1;
            if (got == 0)
                return -1;
            n = (size_t)got;
            burst += n;
            if (c->secure)
                fxe_secure_body(c, c->body, n);
            c->received += n;
            c->consumed += n;
        }
        if (c->body)
            c->body += n;
        c->left -= n;
    }
    if (c->advanced) {
        fxe_ahead_give(c->advanced);
        c->advanced = 0;
    }
    return c->secure ? fxe_secure_body_done(c) : 1;
}

/* Maps the memfd that came with a message as its last frame: a client on this host may send a large
 * array this way instead of through the socket. */
static void take_memfd(struct fxe_conn *c)
{
    size_t size = fx_memfd_sealed_size(c->fd);
    struct fx_buffer *b = &c->msg->frames[c->msg->nframes];
    if (size && c->msg->nframes && c->msg->nframes < FX_FRAMES_MAX) {
        b->data = fx_memfd_map(c->fd, size); /* if NULL, fxe_req_frame fails the request */
        b->size = size;
        b->mapped = 1;
        c->msg->nframes++;
    }
    close(c->fd);
    c->fd = -1;
}

static int message_done(struct fxe_conn *c, struct fxe_msg **m)
{
    /* A client sends a descriptor with the first bytes of its message, and recvmsg never returns
     * bytes beyond those that a descriptor was sent with: it belongs to the first message that ends
     * at or after fd_end. */
    if (c->fd >= 0 && c->consumed >= c->fd_end)
        take_memfd(c);
    if (c->msg->nframes == 0 && !c->msg->kind)
        refuse(c, "protocol", "the message has no header");
    *m = c->msg;
    c->msg = NULL;
    return 1;
}

/* --- commands --- */

/* Handles a whole command in the buffer.  Unknown commands are ignored, as the ZMTP specification
 * requires.  Returns -1 if the connection has to end. */
static int command(struct fxe_conn *c, const struct fx_zmtp_head *h)
{
    const uint8_t *body = c->in + c->at + h->len, *rest;
    size_t n = h->size;
    uint8_t pong[FXE_SECURE_COMMAND_MAX];
    if ((rest = fx_zmtp_command(body, &n, "PING"))) {
        size_t size = fx_zmtp_pong(pong, rest, n);
        if (size && c->secure)
            size = fxe_secure_command(c, pong, size);
        /* If the socket is full, no PONG is sent: the peer is not reading. */
        ssize_t sent = size ? send(c->source.fd, pong, size, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
        if (!size || (sent >= 0 && (size_t)sent < size) || (sent < 0 && errno != EAGAIN))
            return -1;
    } else if (fx_zmtp_command(body, &n, "ERROR")) {
        return -1;
    }
    use(c, h->len + h->size);
    return 0;
}

/* Handles commands up to the next frame of a message: libzmq sends PING between those, too.
 * Returns 1 and that frame's head; 0 if bytes are missing; -1 if the connection has ended, or does
 * not stop sending commands. */
static int next_frame(struct fxe_conn *c, struct fx_zmtp_head *h)
{
    for (int commands = 0; commands < COMMANDS;) {
        int rc =
            c->secure ? fxe_secure_head(c, h) : fx_zmtp_head(c->in + c->at, c->have - c->at, h);
        if (rc < 0)
            return -1;
        if (rc == 1 && !(h->flags & FX_ZMTP_COMMAND))
            return 1;
        if (rc == 1 && h->size > FXE_CONN_IN - FX_ZMTP_HEAD_MAX)
            return -1; /* longer than any known command */
        if (rc == 1 && c->have - c->at >= h->len + h->size) {
            if ((c->secure && fxe_secure_open_command(c, h) != 0) || command(c, h) != 0)
                return -1;
            commands++;
            continue;
        }
        if ((rc = fill(c)) <= 0)
            return rc;
    }
    return -1;
}

int fxe_conn_commands(struct fxe_conn *c)
{
    struct fx_zmtp_head h;
    if (c->in_body || c->msg || c->discard)
        return 1;
    return next_frame(c, &h);
}

int fxe_conn_read(struct fxe_conn *c, struct fxe_msg **m)
{
    struct fx_zmtp_head h;
    int rc;
    if (c->discard)
        return discard(c);
    for (;;) {
        if (!c->in_body) {
            if ((rc = next_frame(c, &h)) <= 0)
                return rc;
            use(c, h.len);
            c->flags = h.flags;
            if (begin_frame(c, &h) != 0) {
                if (!c->msg)
                    return -1;
                c->discard = c->dialect ? DISCARD_MOST : DISCARD;
                return message_done(c, m);
            }
            c->in_body = true;
        }
        if ((rc = fill_body(c)) <= 0)
            return rc;
        c->in_body = false;
        if (!(c->flags & FX_ZMTP_MORE))
            return message_done(c, m);
    }
}

void fxe_conn_rest(struct fxe_conn *c)
{
    if (c->have > c->at)
        return;
    free(c->in);
    c->in = NULL;
    c->at = c->have = 0;
}
