/* SPDX-License-Identifier: Apache-2.0 */
#include "direct.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "link_fd.h"

enum {
    IN_SIZE = 16 << 10,
    GREETING = 64,
    SEND_MS = 10000,
    SMALL = 256,
    SOCKET = 64 << 10,
    FRAME_MS = 2
};
enum { MORE = 1, LONG = 2, COMMAND = 4 }; /* flags of a ZMTP frame */

struct fxe_conn {
    struct fxe_source source;
    int refs; /* atomic */
    pthread_mutex_t send_lock;
    enum { GREET, HEAD, BODY } state; /* what is to be read next */
    char in[IN_SIZE];
    size_t have, at;
    int drained; /* the last recv left nothing in the socket */

    struct fx_link_msg msg; /* being read */
    int nframes, first;     /* first: the next frame begins a message */
    int fds[FX_FRAMES_MAX]; /* that came with it */
    int nfds;
    uint8_t flags; /* of the frame being read */
    char *body;    /* NULL: it is dropped */
    size_t left;
};

int fxe_direct_listen(char *endpoint, size_t len)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    uint64_t r = 0;
    if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
        return -1;
    int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "faissx-%d-%016llx", (int)getpid(),
                     (unsigned long long)r);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    if (bind(fd, (struct sockaddr *)&a, size) != 0 || listen(fd, 1024) != 0) {
        close(fd);
        return -1;
    }
    snprintf(endpoint, len, "ipc://@%s", a.sun_path + 1);
    return fd;
}

struct fxe_source *fxe_conn_source(struct fxe_conn *c)
{
    return &c->source;
}

struct fxe_conn *fxe_conn_accept(int listener)
{
    static const char greeting[GREETING] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL";
    static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06ROUTER";
    char hello[GREETING + sizeof ready - 1];
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return NULL;
    struct fxe_conn *c = calloc(1, sizeof *c);
    memcpy(hello, greeting, GREETING);
    memcpy(hello + GREETING, ready, sizeof ready - 1);
    /* A fresh socket has room for that. */
    if (!c || send(fd, hello, sizeof hello, MSG_NOSIGNAL) != (ssize_t)sizeof hello) {
        free(c);
        close(fd);
        return NULL;
    }
    c->source.kind = FXE_CONN;
    c->source.fd = fd;
    c->refs = 1;
    c->first = 1;
    pthread_mutex_init(&c->send_lock, NULL);
    return c;
}

void fxe_conn_ref(struct fxe_conn *c)
{
    __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
}

void fxe_conn_unref(struct fxe_conn *c)
{
    if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    c->msg.head.nframes = (uint16_t)c->nframes;
    fx_link_msg_free(&c->msg);
    fx_fds_close(c->fds, c->nfds);
    close(c->source.fd);
    pthread_mutex_destroy(&c->send_lock);
    free(c);
}

/* --- reading --- */

/* More bytes into the buffer: 1, 0 when there are none now, -1 at the end. */
static int fill(struct fxe_conn *c)
{
    if (c->drained) {
        c->drained = 0;
        return 0;
    }
    memmove(c->in, c->in + c->at, c->have - c->at);
    c->have -= c->at;
    c->at = 0;
    size_t room = IN_SIZE - c->have;
    struct iovec iov = {c->in + c->have, room};
    ssize_t n = fx_fds_recv(c->source.fd, &iov, 1, c->fds, &c->nfds, 0);
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    if (n == 0)
        return -1;
    c->have += (size_t)n;
    c->drained = (size_t)n < room;
    return 1;
}

/* The rest of the frame's body: 1 when it is complete. */
static int fill_body(struct fxe_conn *c)
{
    size_t n = c->have - c->at < c->left ? c->have - c->at : c->left;
    if (c->body) {
        memcpy(c->body, c->in + c->at, n);
        c->body += n;
    }
    c->at += n;
    c->left -= n;
    while (c->left) {
        if (!c->body || c->left < SMALL) { /* through the buffer */
            int rc = fill(c);
            return rc <= 0 ? rc : fill_body(c);
        }
        ssize_t got = recv(c->source.fd, c->body, c->left, 0);
        /* The rest of a large frame is on its way: waiting a moment is cheaper than handing
         * the connection to another worker every 200 KB that a socket holds. */
        struct pollfd p = {.fd = c->source.fd, .events = POLLIN};
        if (got < 0 && errno == EAGAIN && c->left >= SOCKET && poll(&p, 1, FRAME_MS) == 1)
            continue;
        if (got < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        if (got == 0)
            return -1;
        c->body += got;
        c->left -= (size_t)got;
    }
    return 1;
}

/* A frame begins: make room for it in the message. */
static int begin_frame(struct fxe_conn *c, uint64_t size)
{
    if (size > FX_FRAME_MAX)
        return -1;
    c->left = (size_t)size;
    c->body = NULL;
    int delimiter = c->first && size == 0;
    c->first = 0;
    if (c->flags & COMMAND || delimiter)
        return 0;
    if (c->nframes == FX_FRAMES_MAX)
        return -1;
    /* FAISS reads arrays in place: malloc's alignment is enough for all of them. */
    c->body = malloc(size ? size : 1);
    if (!c->body)
        return -1;
    c->msg.frames[c->nframes].data = c->body;
    c->msg.frames[c->nframes].size = (size_t)size;
    c->msg.frames[c->nframes++].mapped = 0;
    return 0;
}

/* The head of the next frame, out of the buffer: 1 when it was there. */
static int frame_head(struct fxe_conn *c)
{
    const uint8_t *p = (const uint8_t *)c->in + c->at;
    size_t have = c->have - c->at;
    uint64_t size = 0;
    if (have < 2 || (p[0] & LONG && have < 9))
        return 0;
    c->flags = p[0];
    if (c->flags & LONG)
        for (int i = 1; i < 9; i++)
            size = size << 8 | p[i];
    else
        size = p[1];
    c->at += c->flags & LONG ? 9 : 2;
    c->state = BODY;
    return begin_frame(c, size) == 0 ? 1 : -1;
}

static int greeting(struct fxe_conn *c)
{
    const uint8_t *p = (const uint8_t *)c->in;
    if (c->have < GREETING)
        return 0;
    if (p[0] != 0xff || p[9] != 0x7f || p[10] < 3 || memcmp(p + 12, "NULL", 5) != 0)
        return -1;
    c->at = GREETING;
    c->state = HEAD;
    return 1;
}

/* A client of this host need not send a large array through the socket: the descriptor of
 * a memfd that comes with a message is its last frame. */
static void take_memfd(struct fxe_conn *c)
{
    size_t size = c->nfds == 1 ? fx_memfd_sealed_size(c->fds[0]) : 0;
    struct fx_buffer *b = &c->msg.frames[c->nframes];
    if (size && c->nframes < FX_FRAMES_MAX) {
        b->data = fx_memfd_map(c->fds[0], size, PROT_READ);
        c->fds[0] = -1;
        b->size = size;
        b->mapped = 1;
        c->nframes++;
        if (b->data)                                    /* else the request fails, fxe_req_frame */
            madvise(b->data, size, MADV_POPULATE_READ); /* cheaper than page by page */
    }
    fx_fds_close(c->fds, c->nfds);
    c->nfds = 0;
}

static int message_done(struct fxe_conn *c, struct fx_link_msg *m)
{
    if (c->nframes == 0)
        return -1;
    if (c->nfds)
        take_memfd(c);
    *m = c->msg;
    m->head.kind = FX_LINK_REQUEST;
    m->head.nframes = (uint16_t)c->nframes;
    memset(m->head.token, 0, FX_TOKEN_SIZE);
    c->nframes = 0;
    c->first = 1;
    return 1;
}

int fxe_conn_read(struct fxe_conn *c, struct fx_link_msg *m)
{
    for (;;) {
        int rc = c->state == GREET ? greeting(c) : c->state == HEAD ? frame_head(c) : fill_body(c);
        if (rc == 0 && c->state != BODY)
            rc = fill(c); /* then look again */
        if (rc <= 0)
            return rc;
        if (c->state != BODY || c->left)
            continue;
        c->state = HEAD;
        if (c->flags & COMMAND)
            c->first = 1; /* READY, or one that has no meaning here */
        else if (!(c->flags & MORE))
            return message_done(c, m);
    }
}

int fxe_conn_has_more(const struct fxe_conn *c)
{
    return c->have > c->at;
}

/* --- sending --- */

static int wait_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int rc;
    do
        rc = poll(&p, 1, SEND_MS);
    while (rc < 0 && errno == EINTR);
    return rc == 1 ? 0 : -1;
}

static int send_all(int fd, struct iovec *iov, int n)
{
    while (n) {
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n};
        ssize_t sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno != EAGAIN || wait_writable(fd) != 0))
            return -1;
        for (; sent > 0; iov++, n--) {
            if ((size_t)sent < iov->iov_len) {
                iov->iov_base = (char *)iov->iov_base + sent;
                iov->iov_len -= (size_t)sent;
                break;
            }
            sent -= (ssize_t)iov->iov_len;
        }
        for (; n && iov->iov_len == 0; iov++, n--)
            ;
    }
    return 0;
}

int fxe_conn_send(struct fxe_conn *c, const struct fx_frame *frames, int n)
{
    struct iovec iov[1 + 2 * FX_FRAMES_MAX];
    uint8_t heads[FX_FRAMES_MAX][9];
    int niov = 0;
    iov[niov++] = (struct iovec){(void *)(uintptr_t) "\1\0", 2}; /* the delimiter */
    for (int i = 0; i < n; i++) {
        uint8_t *h = heads[i];
        h[0] = i < n - 1 ? MORE : 0;
        if (frames[i].size < 256) {
            h[1] = (uint8_t)frames[i].size;
        } else {
            h[0] |= LONG;
            for (int k = 0; k < 8; k++)
                h[1 + k] = (uint8_t)((uint64_t)frames[i].size >> (56 - 8 * k));
        }
        iov[niov++] = (struct iovec){h, h[0] & LONG ? 9 : 2};
        if (frames[i].size)
            iov[niov++] = (struct iovec){(void *)(uintptr_t)frames[i].data, frames[i].size};
    }
    pthread_mutex_lock(&c->send_lock);
    int rc = send_all(c->source.fd, iov, niov);
    if (rc != 0)
        shutdown(c->source.fd, SHUT_RDWR); /* half a message: nothing may follow */
    pthread_mutex_unlock(&c->send_lock);
    return rc;
}
