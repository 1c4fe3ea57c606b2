/* SPDX-License-Identifier: Apache-2.0 */
#include "link_front.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link_fd.h"

struct fxs_outgoing {
    struct fxs_outgoing *next;
    struct fx_link_head head;
    size_t sent; /* bytes of the stream that are out */
    zmq_msg_t frames[FX_FRAMES_MAX];
};

struct fxs_incoming {
    struct fxs_link_msg msg;
    size_t got_head; /* bytes of the head that are here */
    int fds[FX_FRAMES_MAX], nfds;
    bool has_frames; /* the head is complete, msg.frames are initialised */
    struct iovec iov[FX_FRAMES_MAX];
    int niov; /* what is still to be read of the small frames */
};

int fxs_link_init(struct fxs_link *l, int fd)
{
    *l = (struct fxs_link){.fd = fd};
    l->last = &l->first;
    l->in = calloc(1, sizeof(*l->in));
    return l->in ? 0 : -1;
}

static void drop(struct fxs_outgoing *o)
{
    for (int i = 0; i < o->head.nframes; i++)
        zmq_msg_close(&o->frames[i]);
    free(o);
}

static void incoming_reset(struct fxs_incoming *in)
{
    fx_fds_close(in->fds, in->nfds);
    if (in->has_frames)
        fxs_link_msg_close(&in->msg);
    in->got_head = 0;
    in->nfds = in->niov = 0;
    in->has_frames = false;
}

void fxs_link_close(struct fxs_link *l)
{
    struct fxs_outgoing *o;
    while ((o = l->first)) {
        l->first = o->next;
        drop(o);
    }
    l->last = &l->first;
    if (l->in)
        incoming_reset(l->in);
    free(l->in);
    l->in = NULL;
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

/* Write what is left of one message.  *sent counts the bytes of the stream. */
static int write_message(int sock, const struct fx_link_head *head, zmq_msg_t *frames, size_t *sent)
{
    struct iovec iov[1 + FX_FRAMES_MAX];
    int fds[FX_FRAMES_MAX], nfds = 0, niov = 1, rc = FXS_SENT;

    iov[0] = (struct iovec){(void *)head, sizeof(*head)};
    for (int i = 0; i < head->nframes; i++) {
        size_t size = zmq_msg_size(&frames[i]);
        if (size >= FX_LINK_BIG) {
            if (*sent)
                continue; /* went with the first byte */
            int fd = fx_memfd_make(zmq_msg_data(&frames[i]), size);
            if (fd < 0) {
                rc = FXS_SENT_LATER;
                goto out;
            }
            fds[nfds++] = fd;
        } else if (size) {
            iov[niov++] = (struct iovec){zmq_msg_data(&frames[i]), size};
        }
    }
    niov = fx_iov_advance(iov, niov, *sent);
    int passed = nfds;
    while (niov) {
        ssize_t n = fx_fds_send(sock, iov, niov, fds, passed, MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                rc = FXS_SENT_POLL;
            else if (errno == ETOOMANYREFS || errno == ENOMEM || errno == ENOBUFS)
                rc = FXS_SENT_LATER;
            else
                rc = -1;
            break;
        }
        passed = 0;
        *sent += (size_t)n;
        niov = fx_iov_advance(iov, niov, (size_t)n);
    }
out:;
    int error = errno;
    fx_fds_close(fds, nfds);
    errno = error;
    return rc;
}

int fxs_link_flush(struct fxs_link *l)
{
    struct fxs_outgoing *o;
    while ((o = l->first)) {
        int rc = write_message(l->fd, &o->head, o->frames, &o->sent);
        if (rc != FXS_SENT)
            return rc;
        l->first = o->next;
        if (!l->first)
            l->last = &l->first;
        drop(o);
    }
    return FXS_SENT;
}

int fxs_link_send(struct fxs_link *l, struct fx_link_head *head, zmq_msg_t *frames)
{
    size_t sent = 0;
    int rc = FXS_SENT_POLL;

    head->magic = FX_LINK_MAGIC;
    memset(head->size, 0, sizeof(head->size));
    for (int i = 0; i < head->nframes; i++)
        head->size[i] = zmq_msg_size(&frames[i]);
    if (!l->first) {
        rc = write_message(l->fd, head, frames, &sent);
        if (rc <= 0) {
            for (int i = 0; i < head->nframes; i++) {
                zmq_msg_close(&frames[i]);
                zmq_msg_init(&frames[i]);
            }
            return rc;
        }
    }
    struct fxs_outgoing *o = malloc(sizeof(*o));
    if (!o)
        abort(); /* half a message may be out: nothing sensible can follow */
    o->next = NULL;
    o->head = *head;
    o->sent = sent;
    for (int i = 0; i < head->nframes; i++) {
        zmq_msg_init(&o->frames[i]);
        zmq_msg_move(&o->frames[i], &frames[i]);
    }
    *l->last = o;
    l->last = &o->next;
    return rc;
}

/* libzmq calls this in whichever thread sends the last byte. */
static void unmap(void *data, void *size)
{
    munmap(data, (size_t)(uintptr_t)size);
}

static int adopt_memfd(zmq_msg_t *frame, int fd, size_t size)
{
    void *at = fx_memfd_map(fd, size, PROT_READ);
    if (!at)
        return -1;
    if (zmq_msg_init_data(frame, at, size, unmap, (void *)(uintptr_t)size) == 0)
        return 0;
    munmap(at, size);
    errno = ENOMEM;
    return -1;
}

/* The head is here: make room for the frames. */
static int begin_frames(struct fxs_incoming *in)
{
    struct fx_link_head *head = &in->msg.head;
    int big, used = 0, error = 0;
    size_t inl;
    if (fx_link_head_check(head, &big, &inl) != 0 || in->nfds > big) {
        errno = EPROTO;
        return -1;
    }
    /* The kernel leaves out descriptors that this process has no room for. */
    in->msg.lost = in->nfds < big;
    for (int i = 0; i < head->nframes; i++) {
        size_t size = (size_t)head->size[i];
        zmq_msg_t *frame = &in->msg.frames[i];
        zmq_msg_init(frame);
        if (error)
            continue; /* all frames are initialised, whatever happens */
        if (size < FX_LINK_BIG) {
            if (zmq_msg_init_size(frame, size) != 0) {
                error = ENOMEM;
                zmq_msg_init(frame);
            } else if (size) {
                in->iov[in->niov++] = (struct iovec){zmq_msg_data(frame), size};
            }
        } else if (!in->msg.lost) {
            int fd = in->fds[used];
            in->fds[used++] = -1;
            if (adopt_memfd(frame, fd, size) != 0) {
                error = errno;
                zmq_msg_init(frame);
            }
        }
    }
    in->has_frames = true;
    fx_fds_close(in->fds, in->nfds);
    in->nfds = 0;
    errno = error;
    return error ? -1 : 0;
}

/* One read: returns bytes, 0 when nothing is there, -1 and errno. */
static ssize_t pull(int sock, struct fxs_incoming *in, struct iovec *iov, int niov)
{
    ssize_t n = fx_fds_recv(sock, iov, niov, in->fds, &in->nfds, MSG_DONTWAIT);
    if (n > 0)
        return n;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n == 0)
        errno = ECONNRESET;
    return -1;
}

int fxs_link_recv(struct fxs_link *l, struct fxs_link_msg *m)
{
    struct fxs_incoming *in = l->in;
    ssize_t n;
    while (in->got_head < sizeof(in->msg.head)) {
        struct iovec iov = {(char *)&in->msg.head + in->got_head,
                            sizeof(in->msg.head) - in->got_head};
        n = pull(l->fd, in, &iov, 1);
        if (n <= 0)
            return (int)n;
        in->got_head += (size_t)n;
    }
    if (!in->has_frames && begin_frames(in) != 0)
        return -1;
    while (in->niov) {
        n = pull(l->fd, in, in->iov, in->niov);
        if (n <= 0)
            return (int)n;
        if (in->nfds) { /* descriptors belong to heads */
            errno = EPROTO;
            return -1;
        }
        in->niov = fx_iov_advance(in->iov, in->niov, (size_t)n);
    }
    m->head = in->msg.head;
    m->lost = in->msg.lost;
    for (int i = 0; i < m->head.nframes; i++) {
        zmq_msg_init(&m->frames[i]);
        zmq_msg_move(&m->frames[i], &in->msg.frames[i]);
    }
    in->has_frames = false; /* their messages are empty: nothing to close */
    in->got_head = 0;
    return 1;
}

void fxs_link_msg_close(struct fxs_link_msg *m)
{
    for (int i = 0; i < m->head.nframes; i++)
        zmq_msg_close(&m->frames[i]);
    m->head.nframes = 0;
}
