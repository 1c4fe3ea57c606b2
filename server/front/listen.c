/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints that the front listens on. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/tcp.h"
#include "server/front/state.h"
#include "server/log.h"

enum {
    BACKLOG = 4096,
    ACCEPTS = 64, /* connections to accept before other events have their turn */
    PAUSE_MS = 100
};

/* Logs why an endpoint cannot be used.  Returns -1. */
static int refuse(const char *endpoint, const char *why)
{
    fxs_log(FXS_ERROR, "front", "event=cannot-listen endpoint=%s why=\"%s\"", endpoint, why);
    return -1;
}

static void on_listener(void *ctx, struct fxs_event *s, uint32_t events)
{
    (void)events;
    fxs_accept(ctx, (struct fxs_listener *)s);
}

/* Listens on a bound socket.  Takes fd.  `path`: the socket file to remove at the end, or "". */
static int add(struct fxs_front *f, const char *endpoint, int fd, bool tcp, const char *path)
{
    struct fxs_listener *l = &f->listeners[f->nlisteners];
    if (f->nlisteners == FXS_LISTENERS_MAX) {
        close(fd);
        return refuse(endpoint, "too many addresses to listen on");
    }
    if (listen(fd, BACKLOG) != 0) {
        int why = errno;
        close(fd);
        return refuse(endpoint, strerror(why));
    }
    *l = (struct fxs_listener){.source = {fd, on_listener}, .tcp = tcp};
    snprintf(l->path, sizeof l->path, "%s", path);
    f->nlisteners++;
    return fxs_watch(f, &l->source, EPOLL_CTL_ADD, EPOLLIN) == 0
               ? 0
               : refuse(endpoint, strerror(errno));
}

/* --- Unix sockets --- */

int fxs_connect_error(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error =
        fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0 ? 0 : errno;
    if (fd >= 0)
        close(fd);
    return error;
}

/* Removes a socket file that a dead server has left behind.  Returns 0 if the path is free now, or
 * -1 if it is the socket of a live server or not a socket. */
static int clear_path(const char *endpoint, const struct sockaddr_un *addr)
{
    struct stat st;
    if (lstat(addr->sun_path, &st) != 0)
        return errno == ENOENT ? 0 : refuse(endpoint, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return refuse(endpoint, "a file of that name exists, and it is not a socket");
    int error = fxs_connect_error(addr);
    if (error == 0 || error == EAGAIN) /* EAGAIN: a server listens, and its backlog is full */
        return refuse(endpoint, "address already in use");
    if (error != ECONNREFUSED)
        return refuse(endpoint, strerror(error));
    unlink(addr->sun_path);
    return 0;
}

static int listen_unix(struct fxs_front *f, const char *endpoint)
{
    const char *path = endpoint + strlen("ipc://");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || strcmp(path, "*") == 0)
        return refuse(endpoint, "the path is missing; expected ipc://PATH");
    if (len >= sizeof addr.sun_path)
        return refuse(endpoint, "the path is too long for a socket");
    memcpy(addr.sun_path, path, len);
    if (path[0] == '@') /* the abstract namespace */
        addr.sun_path[0] = '\0';
    else if (clear_path(endpoint, &addr) != 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, size) != 0) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return refuse(endpoint, why == EADDRINUSE ? "address already in use" : strerror(why));
    }
    return add(f, endpoint, fd, false, path[0] == '@' ? "" : path);
}

/* For clients on this host that have connected over TCP.  If it fails, they stay on that. */
static void listen_near(struct fxs_front *f)
{
    mode_t mask = umask(0111); /* any user who can reach the TCP port may use this socket */
    if (fxs_near_name(f) != 0 || listen_unix(f, f->near) != 0) {
        f->near[0] = '\0';
        fxs_log(FXS_WARN, "front", "event=no-unix-socket why=\"clients on this host stay on TCP\"");
    }
    umask(mask);
}

/* --- TCP --- */

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)a)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

/* Splits "HOST:PORT", "[IPv6]:PORT" or "*:PORT" after tcp://.  A port of "*" means any free one. */
static int split(const char *endpoint, char *host, size_t len, const char **port)
{
    const char *rest = endpoint + strlen("tcp://"), *colon = strrchr(rest, ':');
    size_t n = (size_t)(colon - rest);
    if (n >= 2 && rest[0] == '[' && rest[n - 1] == ']') {
        rest++;
        n -= 2;
    }
    if (n == 0 || n >= len)
        return refuse(endpoint, "the host is missing or too long; expected tcp://HOST:PORT");
    memcpy(host, rest, n);
    host[n] = '\0';
    *port = strcmp(colon + 1, "*") == 0 ? "0" : colon + 1;
    return 0;
}

static int bind_to(const struct addrinfo *ai)
{
    int on = 1, off = 0;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    fx_tcp_watch_clients(fd);
    if (ai->ai_family == AF_INET6) /* [::] accepts IPv4, too */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static void log_tcp(struct fxs_front *f, int fd, const char *endpoint)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0 ||
        getnameinfo((struct sockaddr *)&a, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    fxs_log(FXS_INFO, "front",
            a.ss_family == AF_INET6 ? "event=listening endpoint=tcp://[%s]:%s"
                                    : "event=listening endpoint=tcp://%s:%s",
            host, port);
    if (!f->auth && !is_loopback((struct sockaddr *)&a))
        fxs_log(FXS_WARN, "front",
                "event=no-keys endpoint=%s why=\"anyone who reaches it can use the server; see "
                "--auth-file\"",
                endpoint);
    if (!is_loopback((struct sockaddr *)&a) && !f->options->insecure &&
        !f->options->require_encryption)
        fxs_log(FXS_WARN, "front",
                f->secure
                    ? "event=encryption-optional endpoint=%s why=\"a client that does not ask "
                      "for CURVE is not encrypted; see --require-encryption, or --insecure if "
                      "the network can be trusted\""
                    : "event=not-encrypted endpoint=%s why=\"whoever is on the way can read "
                      "and change everything, API keys too; see --curve-secret-file, or "
                      "--insecure if the network can be trusted\"",
                endpoint);
}

/* A name may have the same address twice in /etc/hosts. */
static bool is_repeated(const struct addrinfo *list, const struct addrinfo *ai)
{
    while (list != ai && (list->ai_addrlen != ai->ai_addrlen ||
                          memcmp(list->ai_addr, ai->ai_addr, ai->ai_addrlen)))
        list = list->ai_next;
    return list != ai;
}

/* All addresses of a name get the port that the first one got.  (It is at the same place in both
 * kinds of address.) */
static void set_port(const struct addrinfo *list, int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        return;
    for (; list; list = list->ai_next)
        ((struct sockaddr_in *)list->ai_addr)->sin_port = ((struct sockaddr_in *)&a)->sin_port;
}

/* Listens on every address of the name: clients may use any of them.  Addresses that this machine
 * does not have, such as ::1 without IPv6, are skipped if another one can be used. */
static int listen_tcp(struct fxs_front *f, const char *endpoint)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *list, *ai;
    char host[256];
    const char *port;
    int fd = -1, why = 0, bound = 0, failed = 0;
    if (split(endpoint, host, sizeof host, &port) != 0)
        return -1;
    bool any = strcmp(host, "*") == 0;
    if ((why = getaddrinfo(any ? NULL : host, port, &hints, &list)) != 0)
        return refuse(endpoint, why == EAI_NONAME ? "not an address or name of this machine"
                                                  : gai_strerror(why));
    /* IPv6 first: for "*" that address accepts IPv4, too. */
    for (int v6 = 1; v6 >= 0 && !failed && !(any && bound); v6--)
        for (ai = list; ai && !failed; ai = ai->ai_next) {
            if ((ai->ai_family == AF_INET6) != v6 || is_repeated(list, ai))
                continue;
            if ((fd = bind_to(ai)) < 0) {
                why = errno;
                failed = !any && why != EADDRNOTAVAIL && why != EAFNOSUPPORT;
                continue;
            }
            if (!bound++)
                set_port(list, fd);
            if (add(f, endpoint, fd, true, "") != 0) {
                freeaddrinfo(list);
                return -1;
            }
            log_tcp(f, fd, endpoint);
        }
    freeaddrinfo(list);
    if (failed || !bound)
        return refuse(endpoint, why == EADDRINUSE      ? "address already in use"
                                : why == EADDRNOTAVAIL ? "not an address or name of this machine"
                                                       : strerror(why));
    return 0;
}

int fxs_listen(struct fxs_front *f)
{
    const struct fxs_options *o = f->options;
    bool tcp = false;
    for (int i = 0; i < o->nbinds; i++) {
        bool unix_socket = strncmp(o->binds[i], "ipc://", 6) == 0;
        if ((unix_socket ? listen_unix(f, o->binds[i]) : listen_tcp(f, o->binds[i])) != 0)
            return -1;
        if (unix_socket)
            fxs_log(FXS_INFO, "front", "event=listening endpoint=%s", o->binds[i]);
        tcp |= !unix_socket;
    }
    if (tcp)
        listen_near(f);
    return 0;
}

/* --- accepting --- */

/* Returns true if the connection comes from an address of this host. */
static bool is_near(int fd, const struct sockaddr_storage *peer)
{
    struct sockaddr_storage own;
    socklen_t len = sizeof own;
    if (is_loopback((const struct sockaddr *)peer))
        return true;
    if (getsockname(fd, (struct sockaddr *)&own, &len) != 0 || own.ss_family != peer->ss_family)
        return false;
    if (own.ss_family == AF_INET)
        return ((struct sockaddr_in *)&own)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)peer)->sin_addr.s_addr;
    return memcmp(&((struct sockaddr_in6 *)&own)->sin6_addr,
                  &((const struct sockaddr_in6 *)peer)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

void fxs_accept(struct fxs_front *f, struct fxs_listener *l)
{
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof peer;
        char host[NI_MAXHOST] = "unix", port[NI_MAXSERV] = "", name[FXS_PEER_MAX + 1];
        int fd =
            accept4(l->source.fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                fxs_listen_pause(f);
            return;
        }
        if (l->tcp) {
            getnameinfo((struct sockaddr *)&peer, len, host, sizeof host, port, sizeof port,
                        NI_NUMERICHOST | NI_NUMERICSERV);
        }
        snprintf(name, sizeof name, "%.48s%s%.8s", host, l->tcp ? " port " : "", port);
        fxs_guest_new(f, fd, l->tcp, l->tcp && is_near(fd, &peer), name);
    }
}

void fxs_listen_pause(struct fxs_front *f)
{
    if (f->resume)
        return;
    fxs_log(FXS_WARN, "front", "event=accept-paused ms=%d why=\"out of descriptors or memory\"",
            PAUSE_MS);
    f->resume = f->now + PAUSE_MS;
    for (int i = 0; i < f->nlisteners; i++)
        fxs_watch(f, &f->listeners[i].source, EPOLL_CTL_MOD, 0);
}

void fxs_listen_resume(struct fxs_front *f)
{
    f->resume = 0;
    for (int i = 0; i < f->nlisteners; i++)
        fxs_watch(f, &f->listeners[i].source, EPOLL_CTL_MOD, EPOLLIN);
}

void fxs_listen_end(struct fxs_front *f)
{
    while (f->nlisteners > 0) {
        struct fxs_listener *l = &f->listeners[--f->nlisteners];
        if (l->path[0])
            unlink(l->path);
        close(l->source.fd);
    }
    if (f->near_dir[0])
        rmdir(f->near_dir);
    f->near_dir[0] = '\0';
}
