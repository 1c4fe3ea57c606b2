/* SPDX-License-Identifier: Apache-2.0 */
#include "server/handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAGIC = 0x33485846 }; /* "FXH3" */

union control {
    struct cmsghdr align;
    char buf[CMSG_SPACE(sizeof(int))];
};

int fxs_handover_pair(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
}

static size_t record_size(const struct fxs_handover *h)
{
    return offsetof(struct fxs_handover, bytes) + h->size;
}

int fxs_handover_send(int sock, struct fxs_handover *h, int fd)
{
    union control control;
    h->magic = MAGIC;
    struct iovec iov = {h, record_size(h)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = control.buf;
        msg.msg_controllen = sizeof control.buf;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    ssize_t n;
    do
        n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    /* Too many descriptors in flight, or no memory for them: works again when the other end has
     * read. */
    if (n < 0 && (errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM))
        errno = EAGAIN;
    return n < 0 ? -1 : 0;
}

/* Returns the first descriptor of a message, or -1, and closes the others. */
static int take_fd(struct msghdr *msg)
{
    int fd = -1, next;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            memcpy(&next, CMSG_DATA(c) + at, sizeof next);
            if (fd < 0)
                fd = next;
            else
                close(next);
        }
    }
    return fd;
}

int fxs_handover_recv(int sock, struct fxs_handover *h, int *fd)
{
    union control control;
    struct iovec iov = {h, sizeof *h};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = sizeof control.buf};
    ssize_t n;
    *fd = -1;
    do
        n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    *fd = take_fd(&msg);
    if (n < (ssize_t)offsetof(struct fxs_handover, bytes) || h->magic != MAGIC ||
        h->size > FXS_HANDOVER_BYTES || h->clear > h->size || (size_t)n != record_size(h) ||
        !memchr(h->peer, '\0', sizeof h->peer)) {
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
        return -1;
    }
    return 1;
}
