/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <msgpack.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attack.h"

static int connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof a.sun_path)
        die("the path %s is too long", path);
    memcpy(a.sun_path, path, n);
    if (*path == '@')
        a.sun_path[0] = '\0';
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Connects over TCP.  Looks up an address only once, since the resolver is slow. */
static int connect_tcp(const char *where)
{
    static char last[256];
    static struct sockaddr_storage address;
    static socklen_t size;
    if (strcmp(last, where) != 0) {
        char host[200] = "", port[16] = "";
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
        if (sscanf(where, "[%199[^]]]:%15s", host, port) != 2 &&
            sscanf(where, "%199[^:]:%15s", host, port) != 2)
            die("'%s' is not HOST:PORT", where);
        if (getaddrinfo(host, port, &hints, &found) != 0)
            die("'%s' has no address", where);
        memcpy(&address, found->ai_addr, found->ai_addrlen);
        size = found->ai_addrlen;
        freeaddrinfo(found);
        snprintf(last, sizeof last, "%s", where);
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int peer_connect(struct peer *p, const char *endpoint)
{
    *p = (struct peer){.local = strncmp(endpoint, "ipc://", 6) == 0};
    p->fd = p->local ? connect_unix(endpoint + 6) : connect_tcp(endpoint + 6);
    return p->fd < 0 ? -1 : 0;
}

void peer_close(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    free(p->in);
    *p = (struct peer){.fd = -1};
}

void peer_reset(struct peer *p)
{
    struct linger now = {1, 0};
    if (!p->local)
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    peer_close(p);
}

/* --- sending --- */

long peer_send_now(struct peer *p, const void *data, size_t n)
{
    ssize_t sent = send(p->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    return (long)sent;
}

int peer_send_raw(struct peer *p, const void *data, size_t n)
{
    const uint8_t *at = data;
    while (n) {
        long sent = peer_send_now(p, at, n);
        struct pollfd w = {.fd = p->fd, .events = POLLOUT};
        if (sent < 0 || (sent == 0 && poll(&w, 1, WAIT_MS) == 0))
            return -1;
        at += sent;
        n -= (size_t)sent;
    }
    return 0;
}

int peer_send(struct peer *p, const struct bytes *b)
{
    return peer_send_raw(p, b->p, b->n);
}

/* --- receiving --- */

/* Reads until n bytes are in the buffer.  Returns 1, 0 at the deadline, or -1 at the end. */
static int need(struct peer *p, size_t n, int64_t deadline)
{
    while (p->have - p->at < n) {
        if (p->at) {
            memmove(p->in, p->in + p->at, p->have - p->at);
            p->have -= p->at;
            p->at = 0;
        }
        size_t room = n < 4096 ? 4096 : n;
        if (room > p->room) {
            p->in = realloc(p->in, p->room = room);
            if (!p->in)
                die("out of memory for a reply of %zu bytes", room);
        }
        ssize_t got = recv(p->fd, p->in + p->have, p->room - p->have, MSG_DONTWAIT);
        if (got > 0) {
            p->have += (size_t)got;
            continue;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return -1;
        int64_t left = deadline - now_ms();
        struct pollfd w = {.fd = p->fd, .events = POLLIN};
        if (left < 0 || (poll(&w, 1, (int)left) == 0 && left == 0))
            return 0;
    }
    return 1;
}

static void command(struct peer *p, const uint8_t *body, size_t n)
{
    if (n >= 5 && memcmp(body, "\4PONG", 5) == 0) {
        p->pongs++;
        snprintf(p->pong, sizeof p->pong, "%.*s", (int)(n - 5), (const char *)body + 5);
    } else if (n >= 7 && memcmp(body, "\5ERROR", 6) == 0) {
        size_t text = body[6] < n - 7 ? body[6] : n - 7;
        snprintf(p->error, sizeof p->error, "%.*s", (int)text, (const char *)body + 7);
    }
}

/* Reads the next frame, but consumes it only when it is complete, so that a timeout loses nothing.
 */
static int frame(struct peer *p, int *flags, const uint8_t **body, size_t *n, int64_t deadline)
{
    int rc = need(p, 2, deadline);
    if (rc <= 0)
        return rc;
    size_t head = p->in[p->at] & LONG ? 9 : 2;
    if ((rc = need(p, head, deadline)) <= 0)
        return rc;
    uint64_t size = p->in[p->at + 1];
    for (size_t i = 2; i < head; i++)
        size = size << 8 | p->in[p->at + i];
    if (p->in[p->at] & ~(MORE | LONG | COMMAND) || size > (1u << 30))
        return -1; /* the server's framing is wrong */
    if ((rc = need(p, head + (size_t)size, deadline)) <= 0)
        return rc;
    *flags = p->in[p->at];
    *body = p->in + p->at + head;
    *n = (size_t)size;
    p->at += head + (size_t)size;
    return 1;
}

static int greeting(struct peer *p, int64_t deadline)
{
    int rc = p->greeted ? 1 : need(p, 64, deadline);
    if (rc <= 0 || p->greeted)
        return rc;
    if (p->in[p->at] != 0xff || p->in[p->at + 9] != 0x7f)
        return -1;
    p->at += 64;
    p->greeted = 1;
    return 1;
}

int peer_shake(struct peer *p)
{
    int64_t deadline = now_ms() + WAIT_MS;
    const uint8_t *body;
    size_t n;
    int flags = 0, rc = greeting(p, deadline);
    while (rc > 0 && (rc = frame(p, &flags, &body, &n, deadline)) > 0) {
        if (!(flags & COMMAND))
            return -1;
        command(p, body, n);
        if (n >= 6 && memcmp(body, "\5READY", 6) == 0)
            return 0;
    }
    return -1;
}

int peer_open_as(struct peer *p, const char *endpoint, const void *identity, size_t n)
{
    struct bytes b = {0};
    if (peer_connect(p, endpoint) != 0)
        return -1;
    put_greeting(&b, 3, "NULL");
    put_ready(&b, "DEALER", identity, n);
    int rc = peer_send(p, &b) == 0 ? peer_shake(p) : -1;
    bytes_free(&b);
    return rc;
}

int peer_open(struct peer *p, const char *endpoint)
{
    int rc = peer_open_as(p, endpoint, NULL, 0);
    if (rc != 0)
        peer_close(p);
    return rc;
}

int peer_recv(struct peer *p, struct reply *r, int ms)
{
    int64_t deadline = now_ms() + ms;
    const uint8_t *body;
    size_t n;
    int flags = 0, rc = greeting(p, deadline);
    r->n = 0;
    while (rc > 0) {
        /* The rest of a message must come. */
        rc = frame(p, &flags, &body, &n, r->n ? now_ms() + WAIT_MS : deadline);
        if (rc <= 0)
            break;
        if (flags & COMMAND) {
            command(p, body, n);
            continue;
        }
        if (r->n == FRAMES_MAX)
            rc = -1;
        if (rc < 0)
            break;
        r->frame[r->n].p = malloc(n + 1);
        if (!r->frame[r->n].p)
            die("out of memory for a frame of %zu bytes", n);
        memcpy(r->frame[r->n].p, body, n);
        r->frame[r->n++].n = n;
        if (!(flags & MORE))
            return 1;
    }
    reply_free(r);
    return rc;
}

int peer_drain(struct peer *p, int ms)
{
    int64_t deadline = now_ms() + ms;
    struct reply r;
    int rc;
    /* Read messages first, to get the reason in an ERROR; then any other bytes. */
    while ((rc = peer_recv(p, &r, (int)(deadline > now_ms() ? deadline - now_ms() : 0))) > 0)
        reply_free(&r);
    while (rc < 0) {
        p->have = p->at = 0;
        int got = need(p, 1, deadline);
        if (got < 0)
            return 0;
        if (got == 0)
            return -1;
    }
    return -1;
}

int peer_closed(struct peer *p)
{
    char c;
    ssize_t n = recv(p->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    struct pollfd w = {.fd = p->fd, .events = POLLRDHUP};
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        return 1;
    return poll(&w, 1, 0) == 1 && w.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

void peer_hello(struct peer *p, const char *endpoint, const char *key, uint8_t *token)
{
    struct bytes b = {0};
    struct reply r;
    if (peer_open(p, endpoint) != 0)
        die("cannot connect to %s: %s", endpoint, strerror(errno));
    put_hello(&b, key, 1);
    peer_ask(p, &b, &r);
    char text[200] = "";
    if (!reply_ok(&r))
        reply_str(&r, "message", text, sizeof text);
    if (reply_str(&r, "session", (char *)token, TOKEN) != TOKEN)
        die("hello: no session: %d frames, %s", r.n, text);
    reply_free(&r);
}

void peer_ask(struct peer *p, struct bytes *b, struct reply *r)
{
    if (peer_send(p, b) != 0)
        die("the server closed the connection before a request was sent (%s)", p->error);
    int rc = peer_recv(p, r, WAIT_MS);
    if (rc <= 0)
        die("no reply: %s (%s)", rc ? "the connection was closed" : "too late", p->error);
    bytes_free(b);
}

/* --- replies --- */

void reply_free(struct reply *r)
{
    for (int i = 0; i < r->n; i++)
        free(r->frame[i].p);
    r->n = 0;
}

/* The value of that key, or NULL.  It is in *u, which the caller destroys. */
static const msgpack_object *lookup(const struct reply *r, const char *key, msgpack_unpacked *u)
{
    msgpack_unpacked_init(u);
    if (r->n < 2 || msgpack_unpack_next(u, (const char *)r->frame[1].p, r->frame[1].n, NULL) !=
                        MSGPACK_UNPACK_SUCCESS)
        return NULL;
    if (u->data.type != MSGPACK_OBJECT_MAP)
        return NULL;
    for (uint32_t i = 0; i < u->data.via.map.size; i++) {
        const msgpack_object_kv *kv = &u->data.via.map.ptr[i];
        if (kv->key.type == MSGPACK_OBJECT_STR && kv->key.via.str.size == strlen(key) &&
            memcmp(kv->key.via.str.ptr, key, strlen(key)) == 0)
            return &kv->val;
    }
    return NULL;
}

long reply_str(const struct reply *r, const char *key, char *out, size_t room)
{
    msgpack_unpacked u;
    const msgpack_object *o = lookup(r, key, &u);
    long n = -1;
    if (o && (o->type == MSGPACK_OBJECT_STR || o->type == MSGPACK_OBJECT_BIN)) {
        n = (long)o->via.str.size;
        size_t copied = (size_t)n < room ? (size_t)n : room;
        memcpy(out, o->via.str.ptr, copied);
        if (copied < room)
            out[copied] = '\0';
    }
    msgpack_unpacked_destroy(&u);
    return n;
}

int reply_ok(const struct reply *r)
{
    char status[16] = "";
    return reply_str(r, "status", status, sizeof status) == 2 && memcmp(status, "ok", 2) == 0;
}

uint64_t reply_id(const struct reply *r)
{
    msgpack_unpacked u;
    const msgpack_object *o = lookup(r, "request_id", &u);
    uint64_t id = o && o->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? o->via.u64 : UINT64_MAX;
    msgpack_unpacked_destroy(&u);
    return id;
}

uint64_t reply_handle(const struct reply *r)
{
    msgpack_unpacked u;
    const msgpack_object *o = lookup(r, "out", &u);
    while (o && o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size)
        o = o->via.array.ptr;
    uint64_t h = o && o->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? o->via.u64 : 0;
    msgpack_unpacked_destroy(&u);
    return h;
}
