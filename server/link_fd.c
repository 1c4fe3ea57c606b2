/* SPDX-License-Identifier: Apache-2.0 */
#include "link_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int fx_memfd_make(const void *data, size_t size)
{
    int fd = memfd_create("faissx-frame", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            goto fail;
        done += (size_t)n;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0)
        return fd;
fail:;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

size_t fx_memfd_sealed_size(int fd)
{
    struct stat st;
    int want = F_SEAL_WRITE | F_SEAL_SHRINK, seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & want) != want || fstat(fd, &st) != 0 || st.st_size <= 0 ||
        (uint64_t)st.st_blocks * 512 < (uint64_t)st.st_size)
        return 0;
    return (size_t)st.st_size;
}

void *fx_memfd_map(int fd, size_t size, int prot)
{
    struct stat st;
    void *at = NULL;
    int seals = fcntl(fd, F_GET_SEALS);
    int error = EPROTO;
    if (seals >= 0 && (seals & F_SEAL_SHRINK) && fstat(fd, &st) == 0 && st.st_size >= 0 &&
        (uint64_t)st.st_size >= size) {
        at = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED) {
            error = errno;
            at = NULL;
        }
    }
    close(fd);
    errno = error;
    return at;
}

void fx_fds_close(int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

union control {
    struct cmsghdr align;
    char buf[CMSG_SPACE(FX_FRAMES_MAX * sizeof(int))];
};

ssize_t fx_fds_send(int sock, struct iovec *iov, int niov, const int *fds, int nfds, int flags)
{
    union control control;
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)niov};
    if (nfds) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = control.buf;
        msg.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, (size_t)nfds * sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

static void keep_fds(struct cmsghdr *c, int *fds, int *nfds)
{
    int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int i = 0; i < n; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + (size_t)i * sizeof(int), sizeof(fd));
        if (*nfds < FX_FRAMES_MAX)
            fds[(*nfds)++] = fd;
        else
            close(fd);
    }
}

ssize_t fx_fds_recv(int sock, struct iovec *iov, int niov, int *fds, int *nfds, int flags)
{
    union control control;
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)niov};
    msg.msg_control = control.buf;
    msg.msg_controllen = sizeof(control.buf);
    ssize_t n;
    do
        n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            keep_fds(c, fds, nfds);
    return n;
}

int fx_link_head_check(const struct fx_link_head *head, int *big, size_t *inl)
{
    *big = 0;
    *inl = 0;
    if (head->magic != FX_LINK_MAGIC || head->kind < FX_LINK_REQUEST || head->kind > FX_LINK_STOP ||
        head->nframes > FX_FRAMES_MAX)
        return -1;
    for (int i = 0; i < head->nframes; i++) {
        if (head->size[i] > FX_FRAME_MAX)
            return -1;
        if (head->size[i] >= FX_LINK_BIG)
            ++*big;
        else
            *inl += head->size[i];
    }
    return 0;
}

int fx_iov_advance(struct iovec *iov, int niov, size_t n)
{
    int gone = 0;
    while (gone < niov && n >= iov[gone].iov_len)
        n -= iov[gone++].iov_len;
    niov -= gone;
    memmove(iov, iov + gone, (size_t)niov * sizeof(*iov));
    if (niov) {
        iov[0].iov_base = (char *)iov[0].iov_base + n;
        iov[0].iov_len -= n;
    }
    return niov;
}
