/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "link_fd.h"

void fx_link_init(struct fx_link *l, int fd)
{
    l->fd = fd;
    pthread_mutex_init(&l->send_lock, NULL);
}

/* Send all of iov.  The descriptors go with the first byte. */
static int send_all(int sock, struct iovec *iov, int niov, const int *fds, int nfds)
{
    while (niov) {
        ssize_t n = fx_fds_send(sock, iov, niov, fds, nfds, 0);
        if (n < 0 && errno == ETOOMANYREFS) {
            /* The kernel holds too many passed descriptors of this user until the
             * receiver takes some; there is nothing to poll for. */
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            continue;
        }
        if (n < 0)
            return -1;
        nfds = 0;
        niov = fx_iov_advance(iov, niov, (size_t)n);
    }
    return 0;
}

int fx_link_send(struct fx_link *l, struct fx_link_head *head, const struct fx_frame *frames)
{
    struct iovec iov[1 + FX_FRAMES_MAX];
    int fds[FX_FRAMES_MAX], nfds = 0, niov = 1, big, rc = -1;
    size_t inl;

    head->magic = FX_LINK_MAGIC;
    memset(head->size, 0, sizeof(head->size));
    for (int i = 0; i < head->nframes && i < FX_FRAMES_MAX; i++)
        head->size[i] = frames[i].size;
    if (fx_link_head_check(head, &big, &inl) != 0) {
        errno = EMSGSIZE;
        return -1;
    }
    /* Before the lock: copying megabytes must not hold up other threads' replies. */
    for (int i = 0; i < head->nframes; i++) {
        if (frames[i].size >= FX_LINK_BIG) {
            int fd = fx_memfd_make(frames[i].data, frames[i].size);
            if (fd < 0)
                goto out;
            fds[nfds++] = fd;
        } else if (frames[i].size) {
            iov[niov++] = (struct iovec){(void *)frames[i].data, frames[i].size};
        }
    }
    iov[0] = (struct iovec){head, sizeof(*head)};
    pthread_mutex_lock(&l->send_lock);
    rc = send_all(l->fd, iov, niov, fds, nfds);
    pthread_mutex_unlock(&l->send_lock);
out:;
    int error = errno;
    fx_fds_close(fds, nfds);
    errno = error;
    return rc;
}

/* Receive exactly n bytes.  `flags` holds for the first of them only: once a message
 * has begun, the rest is on its way. */
static int recv_all(int sock, void *buf, size_t n, int *fds, int *nfds, int flags)
{
    for (size_t done = 0; done < n;) {
        struct iovec iov = {(char *)buf + done, n - done};
        ssize_t got = fx_fds_recv(sock, &iov, 1, fds, nfds, done ? 0 : flags);
        if (got < 0)
            return -1;
        if (got == 0) {
            errno = ECONNRESET;
            return -1;
        }
        done += (size_t)got;
    }
    return 0;
}

static int recv_frames(struct fx_link *l, struct fx_link_msg *m, int *fds, int *nfds)
{
    int used = 0, big;
    size_t inl;
    int nmemfds = *nfds;
    if (fx_link_head_check(&m->head, &big, &inl) != 0 || big != nmemfds) {
        m->head.nframes = 0;
        errno = EPROTO;
        return -1;
    }
    for (int i = 0; i < m->head.nframes; i++) {
        size_t size = (size_t)m->head.size[i];
        m->frames[i].size = size;
        if (size >= FX_LINK_BIG) {
            int fd = fds[used];
            fds[used++] = -1;
            m->frames[i].data = fx_memfd_map(fd, size, PROT_READ | PROT_WRITE);
            m->frames[i].mapped = m->frames[i].data != NULL;
            if (!m->frames[i].data)
                return -1;
        } else {
            /* Not NULL when empty: that means "no array" to many callers. */
            m->frames[i].data = malloc(size ? size : 1);
            if (!m->frames[i].data)
                return -1;
            if (recv_all(l->fd, m->frames[i].data, size, fds, nfds, 0) != 0)
                return -1;
        }
    }
    return 0;
}

static int receive(struct fx_link *l, struct fx_link_msg *m, int flags)
{
    int fds[FX_FRAMES_MAX], nfds = 0, rc;
    memset(m, 0, sizeof(*m));
    rc = recv_all(l->fd, &m->head, sizeof(m->head), fds, &nfds, flags);
    if (rc == 0)
        rc = recv_frames(l, m, fds, &nfds);
    else
        m->head.nframes = 0;
    int error = errno;
    fx_fds_close(fds, nfds);
    if (rc != 0)
        fx_link_msg_free(m);
    errno = error;
    return rc;
}

int fx_link_recv(struct fx_link *l, struct fx_link_msg *m)
{
    return receive(l, m, 0);
}

int fx_link_try_recv(struct fx_link *l, struct fx_link_msg *m)
{
    if (receive(l, m, MSG_DONTWAIT) == 0)
        return 0;
    return errno == EAGAIN || errno == EWOULDBLOCK ? 1 : -1;
}

void fx_buffer_free(struct fx_buffer *b)
{
    if (b->mapped && b->data)
        munmap(b->data, b->size);
    else if (!b->mapped)
        free(b->data);
    *b = (struct fx_buffer){0};
}

void fx_link_msg_free(struct fx_link_msg *m)
{
    for (int i = 0; i < m->head.nframes && i < FX_FRAMES_MAX; i++)
        fx_buffer_free(&m->frames[i]);
    m->head.nframes = 0;
}
