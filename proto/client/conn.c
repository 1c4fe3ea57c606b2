/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/client/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "proto/client/connect.h"
#include "proto/client/inside.h"

enum {
    TICK_MS = 1000,     /* longest time that recv() blocks */
    AT_ONCE_NS = 50000, /* time for which the engine spins for the next request */
    JUST_NOW_NS = 1000000,
    GIVE_UP = 16 /* waits without spinning after spinning was in vain */
};

int64_t fx_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int fx_conn_fail(struct fx_conn *c, const char *fmt, ...)
{
    if (c->error[0] == '\0') { /* keep the first error: it caused the others */
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(c->error, sizeof(c->error), fmt, ap);
        va_end(ap);
    }
    return -1;
}

static int fail_errno(struct fx_conn *c)
{
    char text[120];
    if (errno == EPIPE || errno == ECONNRESET)
        return fx_conn_fail(c, "the server closed the connection");
    return fx_conn_fail(c, "%s", strerror_r(errno, text, sizeof(text)));
}

int fx_conn_is_ours(const struct fx_conn *c)
{
    struct stat st;
    return fstat(c->fd, &st) == 0 && st.st_ino == c->ino && st.st_dev == c->dev;
}

/* Check again after a wait, since another thread may have closed the descriptor. */
static int check_ours(struct fx_conn *c)
{
    return fx_conn_is_ours(c)
               ? 0
               : fx_conn_fail(c, "this program closed the descriptor of the connection");
}

int fx_conn_put(struct fx_conn *c, struct iovec *iov, size_t n, int fd, int64_t deadline)
{
    union {
        struct cmsghdr head;
        char buf[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = n};
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
    }
    while (m.msg_iovlen > 0) {
        ssize_t sent = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            int r = fx_wait_fd(c->fd, POLLOUT, deadline);
            if (r == 0)
                return fx_conn_fail(c, "timed out sending to the server");
            if (r < 0)
                return fail_errno(c);
            if (check_ours(c) != 0)
                return -1;
            continue;
        }
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return fail_errno(c);
        m.msg_control = NULL;
        m.msg_controllen = 0;
        m.msg_iovlen = (size_t)fx_iov_advance(iov, (int)m.msg_iovlen, (size_t)sent);
    }
    return 0;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t fx_conn_spin_ns = 300000;

/* Poll for the answer before sleeping, because waking a sleeping core costs a virtual machine 50 us
 * or more.  Spin only if
 * - this request followed the last answer at once: then the engine is still polling, too.  (If it
 *   sleeps, the kernel wakes it on the sender's core, which it expects to become idle.)
 * - no other thread of the process waits, since it could use the core;
 * - spinning was not in vain within the last GIVE_UP waits. */
static ssize_t spin(struct fx_conn *c, struct msghdr *m, int64_t start)
{
    static const struct fx_conn *latest; /* atomic; only compared */
    const struct fx_conn *before = __atomic_exchange_n(&latest, c, __ATOMIC_RELAXED);
    ssize_t r;
    errno = EAGAIN;
    if (fx_conn_spin_ns <= 0 || start - c->last_end >= AT_ONCE_NS || before != c)
        return -1;
    if (c->in_vain > 0) {
        c->in_vain--;
        return -1;
    }
    /* Yield, since the engine's thread may need this core. */
    while ((r = recvmsg(c->fd, m, MSG_DONTWAIT)) < 0 && errno == EAGAIN &&
           now_ns() - start < fx_conn_spin_ns && __atomic_load_n(&latest, __ATOMIC_RELAXED) == c)
        sched_yield();
    if (r < 0 && errno == EAGAIN)
        c->in_vain = GIVE_UP;
    return r;
}

/*
 * Receive the bytes that are there, waiting for at least one.  Returns their number, -1, or
 * FX_CONN_LATE.  recv() itself blocks for at most TICK_MS (SO_RCVTIMEO), so with a distant deadline
 * a reply takes one system call and no poll().
 */
static ssize_t receive_bytes(struct fx_conn *c, struct iovec *iov, size_t n, int64_t deadline)
{
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = n};
    int64_t start = now_ns();
    for (;;) {
        int near = deadline < fx_now_ms() + TICK_MS;
        ssize_t r = spin(c, &m, start);
        if (r < 0 && errno == EAGAIN)
            r = recvmsg(c->fd, &m, near ? MSG_DONTWAIT : 0);
        c->last_end = now_ns();
        if (r > 0) {
            c->heard += (uint64_t)r;
            return r;
        }
        if (r == 0)
            return fx_conn_fail(c, "the server closed the connection");
        if (errno != EINTR && errno != EAGAIN)
            return fail_errno(c);
        int ready = errno == EAGAIN && near ? fx_wait_fd(c->fd, POLLIN, deadline) : 1;
        if (ready == 0)
            return FX_CONN_LATE;
        if (ready < 0)
            return fail_errno(c);
        if (check_ours(c) != 0)
            return -1;
    }
}

int fx_conn_need(struct fx_conn *c, size_t n, int64_t deadline)
{
    if (c->pos == c->end) {
        c->pos = c->end = 0;
    } else if (sizeof(c->buf) - c->pos < n) {
        memmove(c->buf, c->buf + c->pos, c->end - c->pos);
        c->end -= c->pos;
        c->pos = 0;
    }
    while (c->end - c->pos < n) {
        struct iovec iov = {c->buf + c->end, sizeof(c->buf) - c->end};
        ssize_t r = receive_bytes(c, &iov, 1, deadline);
        if (r < 0)
            return (int)r;
        c->end += (size_t)r;
    }
    return 0;
}

int fx_conn_peek(struct fx_conn *c, struct fx_zmtp_head *h, int64_t deadline)
{
    int r, found;
    for (size_t n = 2;; n = FX_ZMTP_HEAD_MAX) {
        if ((r = fx_conn_need(c, n, deadline)) != 0)
            return r;
        if ((found = fx_zmtp_head(c->buf + c->pos, c->end - c->pos, h)) != 0)
            break;
    }
    if (found < 0)
        return fx_conn_fail(c, "protocol error: the server sent a frame with flags 0x%02x",
                            h->flags);
    if (h->size > (h->flags & FX_ZMTP_COMMAND ? (uint64_t)FX_COMMAND_MAX : (uint64_t)PTRDIFF_MAX))
        return fx_conn_fail(c, "protocol error: the server sent a frame that claims %llu bytes",
                            (unsigned long long)h->size);
    return h->flags & FX_ZMTP_COMMAND ? fx_conn_need(c, h->len + h->size, deadline) : 0;
}

/* Send a command; frame is one whose size fits a byte. */
static int put_command(struct fx_conn *c, uint8_t *frame, size_t n, int64_t deadline)
{
    struct iovec iov = {frame, n};
    return c->secure ? fx_secure_send_command(c, frame + 2, n - 2, deadline)
                     : fx_conn_put(c, &iov, 1, -1, deadline);
}

static int pong(struct fx_conn *c, const uint8_t *ping, size_t n, int64_t deadline)
{
    uint8_t msg[FX_ZMTP_PONG_MAX];
    size_t size = fx_zmtp_pong(msg, ping, n);
    if (!size)
        return fx_conn_fail(c, "protocol error: the server sent a bad PING");
    return put_command(c, msg, size, deadline);
}

static int fail_error(struct fx_conn *c, const uint8_t *reason, size_t n)
{
    char text[160] = "no reason given";
    if (n >= 1 && reason[0] > 0 && reason[0] < n) {
        size_t len = reason[0] < sizeof(text) ? reason[0] : sizeof(text) - 1;
        for (size_t i = 0; i < len; i++) {
            uint8_t ch = reason[1 + i];
            text[i] = ch >= ' ' && ch < 0x7f ? (char)ch : '?';
        }
        text[len] = '\0';
    }
    return fx_conn_fail(c, "the server refused the connection: %s", text);
}

int fx_conn_command(struct fx_conn *c, const uint8_t *p, size_t size, int64_t deadline)
{
    const uint8_t *body;
    size_t n = size;
    if ((body = fx_zmtp_command(p, &n, "PING")))
        return pong(c, body, n, deadline);
    if ((body = fx_zmtp_command(p, &n, "ERROR")))
        return fail_error(c, body, n);
    return 0;
}

struct fx_conn *fx_conn_from_fd(int fd)
{
    struct timeval tick = {.tv_sec = TICK_MS / 1000};
    int flags = fcntl(fd, F_GETFL);
    struct stat st;
    struct fx_conn *c = malloc(sizeof(*c));
    if (!c || flags < 0 || fstat(fd, &st) != 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick)) != 0) {
        free(c);
        return NULL;
    }
    c->fd = fd;
    c->dev = st.st_dev;
    c->ino = st.st_ino;
    c->last_end = 0;
    c->heard = 0;
    c->in_vain = 0;
    c->left = 0;
    c->secure = NULL;
    c->pos = c->end = 0;
    c->error[0] = '\0';
    return c;
}

struct fx_conn *fx_conn_open(const char *endpoint, const struct fx_curve_keys *keys,
                             int64_t deadline, char *err, size_t errlen)
{
    int fd = fx_connect(endpoint, deadline, err, errlen);
    if (fd < 0)
        return NULL;
    struct fx_conn *c = fx_conn_from_fd(fd);
    if (!c) {
        snprintf(err, errlen, "cannot connect to %s: out of memory", endpoint);
        close(fd);
        return NULL;
    }
    if (fx_conn_handshake(c, keys, deadline) != 0) {
        snprintf(err, errlen, "cannot connect to %s: %s", endpoint, c->error);
        fx_conn_close(c);
        return NULL;
    }
    return c;
}

void fx_conn_close(struct fx_conn *c)
{
    if (!c)
        return;
    if (fx_conn_is_ours(c))
        close(c->fd);
    fx_secure_free(c->secure);
    free(c);
}

void fx_conn_shut(struct fx_conn *c)
{
    if (c && fx_conn_is_ours(c))
        shutdown(c->fd, SHUT_RDWR);
}

int fx_conn_send(struct fx_conn *c, const struct fx_frame *frames, int n, int64_t deadline)
{
    return fx_conn_send_fd(c, frames, n, -1, deadline);
}

int fx_conn_send_fd(struct fx_conn *c, const struct fx_frame *frames, int n, int fd,
                    int64_t deadline)
{
    struct fx_zmtp_message m;
    if (c->error[0] != '\0')
        return -1;
    if (n < 1 || n > FX_FRAMES_MAX)
        return fx_conn_fail(c, "a message has %d frames; 1 to %d are allowed", n, FX_FRAMES_MAX);
    if (c->secure)
        return fx_secure_send(c, frames, n, fd, deadline);
    fx_zmtp_message(&m, frames, n);
    return fx_conn_put(c, m.iov, (size_t)m.niov, fd, deadline);
}

int fx_conn_post(const char *endpoint, const struct fx_frame *frames, int n)
{
    uint8_t hello[FX_ZMTP_GREETING + FX_ZMTP_READY_MAX];
    struct fx_zmtp_message m;
    char err[128];
    int fd = fx_connect(endpoint, 0, err, sizeof(err));
    if (fd < 0)
        return -1;
    fx_zmtp_greeting(hello, FX_ZMTP_NULL, 0);
    size_t size = FX_ZMTP_GREETING + fx_zmtp_ready(hello + FX_ZMTP_GREETING, "DEALER", 1), all = 0;
    fx_zmtp_message(&m, frames, n);
    for (int i = 0; i < m.niov; i++)
        all += m.iov[i].iov_len;
    struct msghdr msg = {.msg_iov = m.iov, .msg_iovlen = (size_t)m.niov};
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    int taken =
        send(fd, hello, size, flags) == (ssize_t)size && sendmsg(fd, &msg, flags) == (ssize_t)all;
    close(fd);
    return taken ? 0 : -1;
}

int fx_conn_ping(struct fx_conn *c, int64_t deadline)
{
    uint8_t ping[FX_ZMTP_PING];
    fx_zmtp_ping(ping);
    return put_command(c, ping, sizeof(ping), deadline);
}

uint64_t fx_conn_heard(const struct fx_conn *c)
{
    return c->heard;
}

int fx_conn_frame(struct fx_conn *c, size_t *size, int *more, int64_t deadline)
{
    struct fx_zmtp_head h;
    int r;
    if (c->error[0] != '\0')
        return -1;
    if (c->left > 0)
        return fx_conn_fail(c, "the body of the previous frame was not read");
    if (c->secure)
        return fx_secure_frame(c, size, more, deadline);
    while ((r = fx_conn_peek(c, &h, deadline)) == 0) {
        const uint8_t *p = c->buf + c->pos + h.len;
        c->pos += h.len;
        if (!(h.flags & FX_ZMTP_COMMAND)) {
            c->left = h.size;
            *size = h.size;
            *more = h.flags & FX_ZMTP_MORE;
            return 0;
        }
        c->pos += h.size;
        if (fx_conn_command(c, p, h.size, deadline) != 0)
            return -1;
    }
    return r;
}

int fx_conn_take(struct fx_conn *c, uint8_t *to, size_t n,
                 void (*each)(struct fx_conn *, uint8_t *part, size_t n, int dropped),
                 int64_t deadline)
{
    c->left -= n;
    for (;;) {
        size_t have = c->end - c->pos < n ? c->end - c->pos : n;
        if (to && have > 0)
            memcpy(to, c->buf + c->pos, have);
        if (each && have > 0)
            each(c, to ? to : c->buf + c->pos, have, !to);
        if (to)
            to += have;
        c->pos += have;
        n -= have;
        if (n == 0)
            return 0;
        /* The buffer is empty; bytes after the body are received into it in the same call. */
        c->pos = c->end = 0;
        struct iovec iov[2] = {{to, n}, {c->buf, sizeof(c->buf)}};
        ssize_t r =
            to ? receive_bytes(c, iov, 2, deadline) : receive_bytes(c, iov + 1, 1, deadline);
        if (r == FX_CONN_LATE)
            return fx_conn_fail(c, "timed out within a message from the server");
        if (r < 0)
            return -1;
        size_t direct = !to ? 0 : (size_t)r < n ? (size_t)r : n;
        if (each && direct > 0)
            each(c, to, direct, 0);
        if (to)
            to += direct;
        n -= direct;
        c->end = (size_t)r - direct;
    }
}

static int take_body(struct fx_conn *c, uint8_t *to, size_t n, int64_t deadline)
{
    if (c->error[0] != '\0')
        return -1;
    if (n > c->left)
        return fx_conn_fail(c, "%zu bytes were to be read of a frame that has %llu left", n,
                            (unsigned long long)c->left);
    return c->secure ? fx_secure_read(c, to, n, deadline) : fx_conn_take(c, to, n, NULL, deadline);
}

int fx_conn_read(struct fx_conn *c, void *buf, size_t n, int64_t deadline)
{
    return n == 0 ? 0 : take_body(c, buf, n, deadline);
}

int fx_conn_skip(struct fx_conn *c, size_t n, int64_t deadline)
{
    return take_body(c, NULL, n, deadline);
}

int fx_conn_is_dead(struct fx_conn *c)
{
    if (c->error[0] != '\0' || !fx_conn_is_ours(c))
        return 1;
    /* Skip this right after an answer: poll() takes as long as that check, and if the peer has
     * closed since, the next request notices. */
    if (now_ns() - c->last_end < JUST_NOW_NS)
        return 0;
    /* Not recv() with MSG_PEEK, which does not see the end behind unread bytes. */
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && p.revents != 0;
}

int fx_conn_is_local(const struct fx_conn *c)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getpeername(c->fd, (struct sockaddr *)&a, &len) != 0)
        return 0;
    if (a.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&a)->sin_addr.s_addr) >> 24 == 127;
    if (a.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&a)->sin6_addr);
    return a.ss_family == AF_UNIX;
}

const char *fx_conn_error(const struct fx_conn *c)
{
    return c->error;
}
