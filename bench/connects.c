/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures how many clients per second can connect, send hello, make one call, send bye and
 * disconnect, if each is followed by another.  A worker (see bench.h).
 *
 *     connects ENDPOINT SERVER_PID [CLIENTS AT A TIME] [SECONDS]
 *
 * Uses one thread and non-blocking sockets, so that the server is the bottleneck.  Each client acts
 * like the shim: it sends greeting and READY at once, hello after the server's READY, and the call
 * when it has its session.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "hello.h"
#include "usage.h"

enum { GREETING = 64, MORE = 1, LONG = 2, COMMAND = 4, REPLY_MAX = 8192, EVENTS = 64 };

/* What a client waits for: the server's greeting and READY, then three replies. */
enum phase { SHAKE, HELLO, CALL, BYE };

struct client {
    int fd;
    enum phase phase;
    int greeted;
    int64_t start;
    uint8_t token[FX_TOKEN_SIZE];
    size_t have;
    uint8_t in[REPLY_MAX];
};

static struct sockaddr_in address;
static int epoll, other_host, running;
static int64_t *ns; /* of each client of this turn, from connect to the reply to bye */
static size_t done, room;
static msgpack_sbuffer buf;

static void find(const char *endpoint)
{
    char host[256];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    const char *colon = strrchr(endpoint, ':');
    if (strncmp(endpoint, "tcp://", 6) != 0 || colon < endpoint + 6)
        die("which server? (tcp://HOST:PORT)");
    snprintf(host, sizeof(host), "%.*s", (int)(colon - endpoint - 6), endpoint + 6);
    int e = getaddrinfo(host, colon + 1, &hints, &list);
    if (e != 0)
        die("%s: %s", endpoint, gai_strerror(e));
    memcpy(&address, list->ai_addr, sizeof(address));
    freeaddrinfo(list);
}

static void transmit(struct client *c, const void *data, size_t n)
{
    ssize_t r = send(c->fd, data, n, MSG_NOSIGNAL);
    die_if(r < 0, "send");
    if ((size_t)r != n)
        die("a socket takes %zd bytes only", r);
}

/* Sends the delimiter and the header in buf. */
static void transmit_header(struct client *c)
{
    uint8_t message[2 + 9 + 1024] = {MORE, 0, LONG};
    if (buf.size > 1024)
        die("a header of %zu bytes", buf.size);
    for (int i = 0; i < 8; i++)
        message[3 + i] = (uint8_t)((uint64_t)buf.size >> (56 - 8 * i));
    memcpy(message + 11, buf.data, buf.size);
    transmit(c, message, 11 + buf.size);
}

static void shake(struct client *c)
{
    static const char ready[] = "\4\51"
                                "\5READY"
                                "\13Socket-Type\0\0\0\6DEALER"
                                "\10Identity\0\0\0"; /* the terminating NUL is its last byte */
    uint8_t hello[GREETING + sizeof(ready)] = {0xff, [9] = 0x7f, [10] = 3};
    memcpy(hello + 12, "NULL", 4);
    memcpy(hello + GREETING, ready, sizeof(ready));
    transmit(c, hello, sizeof(hello));
}

static void start(struct client *c)
{
    int on = 1;
    struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    die_if(c->fd < 0, "socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->phase = SHAKE;
    c->greeted = 0;
    c->have = 0;
    c->start = now_ns();
    if (connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die_if(errno != EINPROGRESS, "connect");
    die_if(epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) != 0, "epoll");
    running++;
}

/* The socket is connected. */
static void connected(struct client *c)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    errno = error;
    die_if(error != 0, "connect");
    die_if(epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e) != 0, "epoll");
    shake(c);
}

/* The reply that the client waits for has arrived. */
static void next(struct client *c, const uint8_t *reply, size_t n)
{
    if (c->phase != SHAKE)
        read_reply(reply, n, c->phase == HELLO ? c->token : NULL, other_host);
    switch (c->phase++) {
    case SHAKE:
        pack_hello(&buf);
        break;
    case HELLO:
        pack_call(&buf, c->token, 1);
        break;
    case CALL:
        pack_bye(&buf, c->token, 2);
        break;
    case BYE:
        close(c->fd);
        running--;
        if (done == room) {
            room = room ? room * 2 : 1024;
            int64_t *more = realloc(ns, room * sizeof(*ns));
            die_if(!more, "memory");
            ns = more;
        }
        ns[done++] = now_ns() - c->start;
        return;
    }
    transmit_header(c);
}

/* Handles the frames that have arrived.  Returns the number of bytes consumed. */
static size_t frames(struct client *c)
{
    size_t at = 0;
    while (c->phase <= BYE) {
        const uint8_t *p = c->in + at;
        size_t left = c->have - at, head, size;
        if (left < 2)
            break;
        head = p[0] & LONG ? 9 : 2;
        if (left < head)
            break;
        size = p[1];
        if (p[0] & LONG)
            size = (size_t)p[7] << 8 | p[8];
        if (size > REPLY_MAX - 9)
            die("a reply of %zu bytes", size);
        if (left < head + size)
            break;
        at += head + size;
        if (c->phase == SHAKE ? p[0] & COMMAND : !(p[0] & (COMMAND | MORE)))
            next(c, p + head, size);
    }
    return at;
}

static void readable(struct client *c)
{
    ssize_t r = recv(c->fd, c->in + c->have, sizeof(c->in) - c->have, 0);
    if (r < 0 && errno == EAGAIN)
        return;
    die_if(r < 0, "receive");
    if (r == 0)
        die("the server closes the connection of a client that waits for step %d", c->phase);
    c->have += (size_t)r;
    if (!c->greeted && c->have >= GREETING) {
        c->greeted = 1;
        memmove(c->in, c->in + GREETING, c->have -= GREETING);
    }
    if (c->greeted) {
        size_t used = frames(c);
        memmove(c->in, c->in + used, c->have -= used);
    }
}

static void one_turn(struct client *clients, int n, double seconds)
{
    struct epoll_event events[EVENTS];
    struct used before = used_now();
    int64_t begin = now_ns(), end = begin + (int64_t)(seconds * 1e9);
    done = 0;
    for (int i = 0; i < n; i++)
        start(&clients[i]);
    while (running > 0) {
        int ready = epoll_wait(epoll, events, EVENTS, 10000);
        if (ready == 0)
            die("no answer for ten seconds; %d clients wait", running);
        for (int i = 0; i < ready; i++) {
            struct client *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                connected(c);
            else
                readable(c);
            if (c->phase > BYE && now_ns() < end)
                start(c);
        }
    }
    report("per_second", (double)done / ((double)(now_ns() - begin) / 1e9));
    report_used(before, (double)done);
    report_times("", ns, done);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        die("connects ENDPOINT SERVER_PID [CLIENTS] [SECONDS]");
    int n = argc > 3 ? atoi(argv[3]) : 32;
    double seconds = argc > 4 ? atof(argv[4]) : 1;
    if (n < 1 || seconds <= 0)
        die("what?");
    struct client *clients = calloc((size_t)n, sizeof(*clients));
    die_if(!clients, "memory");
    find(argv[1]);
    other_host = !is_loopback(argv[1]);
    server_pid = atoi(argv[2]);
    need_files((size_t)n);
    msgpack_sbuffer_init(&buf);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    die_if(epoll < 0, "epoll");
    one_turn(clients, n, 0); /* starts the engine, and caches the file of its library */
    while (turn())
        one_turn(clients, n, seconds);
    close(epoll);
    msgpack_sbuffer_destroy(&buf);
    free(clients);
    free(ns);
    return 0;
}
