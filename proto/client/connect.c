/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/client/connect.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/client/conn.h"
#include "proto/fd.h"
#include "proto/tcp.h"

struct destination {
    const char *endpoint;
    char *err;
    size_t errlen;
};

__attribute__((format(printf, 2, 3))) static int cannot_connect(const struct destination *a,
                                                                const char *fmt, ...)
{
    char why[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    snprintf(a->err, a->errlen, "cannot connect to %s: %s", a->endpoint, why);
    return -1;
}

static int cannot_connect_errno(const struct destination *a, int e)
{
    char text[120];
    if (e == ETIMEDOUT)
        return cannot_connect(a, "timed out");
    return cannot_connect(a, "%s", strerror_r(e, text, sizeof(text)));
}

int fx_wait_fd(int fd, short events, int64_t deadline)
{
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        int64_t now = fx_now_ms();
        int64_t left = deadline <= now ? 0 : deadline - now;
        int r = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (r > 0)
            return 1;
        if (r < 0 && errno != EINTR)
            return -1;
        if (r == 0 && left <= INT_MAX)
            return 0;
    }
}

/* Wait for a connect() in progress.  Returns 0 or an errno. */
static int finish_connect(int fd, int64_t deadline)
{
    int e = 0;
    socklen_t len = sizeof(e);
    int r = fx_wait_fd(fd, POLLOUT, deadline);
    if (r == 0)
        return ETIMEDOUT;
    if (r < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0)
        return errno;
    return e;
}

/* Returns a descriptor, or -1 with errno. */
static int connect_to(const struct sockaddr *addr, socklen_t len, int64_t deadline)
{
    int e = 0;
    int fd = fx_fd_high(socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd < 0)
        return -1;
    while (connect(fd, addr, len) != 0) {
        e = errno;
        if (e == EINPROGRESS || e == EINTR)
            e = finish_connect(fd, deadline);
        /* A Unix socket whose queue is full fails at once, and poll() does not report when it has
         * room. */
        if (e != EAGAIN || addr->sa_family != AF_UNIX || fx_now_ms() >= deadline)
            break;
        usleep(1000);
        e = 0;
    }
    if (e != 0) {
        close(fd);
        errno = e == EAGAIN ? ETIMEDOUT : e;
        return -1;
    }
    return fd;
}

static int connect_local(const struct destination *a, const char *path, int64_t deadline)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0)
        return cannot_connect(a, "the path is empty");
    if (len >= sizeof(un.sun_path))
        return cannot_connect(a, "the path is longer than %zu bytes", sizeof(un.sun_path) - 1);
    memcpy(un.sun_path, path, len);
    if (path[0] == '@')
        un.sun_path[0] = '\0';
    /* Every byte is part of an abstract name, so do not count the NUL. */
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    int fd = connect_to((struct sockaddr *)&un, size, deadline);
    return fd < 0 ? cannot_connect_errno(a, errno) : fd;
}

/* Split "HOST:PORT" or "[IPv6]:PORT" in place.  Returns the port's text, or NULL if malformed. */
static char *split_port(char **host)
{
    char *colon = strrchr(*host, ':');
    char *end = colon;
    if (!colon || colon == *host)
        return NULL;
    *colon = '\0';
    if (**host == '[') {
        if (end[-1] != ']')
            return NULL;
        end[-1] = '\0';
        ++*host;
    }
    size_t digits = strspn(colon + 1, "0123456789");
    long port = digits > 0 && digits < 6 && colon[1 + digits] == '\0' ? atol(colon + 1) : 0;
    return port > 0 && port < 65536 ? colon + 1 : NULL;
}

static int connect_tcp(const struct destination *a, const char *rest, int64_t deadline)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list, *ai;
    char copy[300], *host = copy;
    int fd = -1, e = 0, count = 0;

    if ((size_t)snprintf(copy, sizeof(copy), "%s", rest) >= sizeof(copy))
        return cannot_connect(a, "the host name is too long");
    char *port = split_port(&host);
    if (!port)
        return cannot_connect(a, "expected tcp://HOST:PORT");
    /* The resolver ignores the deadline: it has time limits of its own. */
    if ((e = getaddrinfo(host, port, &hints, &list)) != 0)
        return cannot_connect(a, "%s", gai_strerror(e));
    for (ai = list; ai; ai = ai->ai_next)
        count++;
    /* Give each address a share of the time, since the first may drop packets. */
    for (ai = list; ai && fd < 0; ai = ai->ai_next, count--) {
        int64_t now = fx_now_ms();
        int64_t share = deadline > now ? (deadline - now) / count : 0;
        fd = connect_to(ai->ai_addr, ai->ai_addrlen, now + share);
        e = errno;
    }
    freeaddrinfo(list);
    if (fd < 0)
        return cannot_connect_errno(a, e);
    fx_tcp_watch_server(fd);
    return fd;
}

int fx_connect(const char *endpoint, int64_t deadline, char *err, size_t errlen)
{
    struct destination a = {endpoint, err, errlen};
    if (strncmp(endpoint, "tcp://", 6) == 0)
        return connect_tcp(&a, endpoint + 6, deadline);
    if (strncmp(endpoint, "ipc://", 6) == 0)
        return connect_local(&a, endpoint + 6, deadline);
    return cannot_connect(&a, "endpoint must begin with tcp:// or ipc://");
}
