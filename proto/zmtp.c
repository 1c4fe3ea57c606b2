/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/zmtp.h"

#include <string.h>
#include <strings.h>

#include "proto/bytes.h"

int fx_zmtp_head(const uint8_t *p, size_t have, struct fx_zmtp_head *h)
{
    if (have < 1)
        return 0;
    h->flags = p[0];
    if (h->flags & ~(FX_ZMTP_MORE | FX_ZMTP_LONG | FX_ZMTP_COMMAND) ||
        (h->flags & FX_ZMTP_COMMAND && h->flags & FX_ZMTP_MORE))
        return -1;
    h->len = h->flags & FX_ZMTP_LONG ? FX_ZMTP_HEAD_MAX : 2;
    if (have < h->len)
        return 0;
    h->size = fx_get_be(p + 1, (int)h->len - 1);
    return 1;
}

size_t fx_zmtp_put_head(uint8_t to[FX_ZMTP_HEAD_MAX], int flags, uint64_t size)
{
    if (size < 256) {
        to[0] = (uint8_t)flags;
        to[1] = (uint8_t)size;
        return 2;
    }
    to[0] = (uint8_t)(flags | FX_ZMTP_LONG);
    fx_put_be64(to + 1, size);
    return FX_ZMTP_HEAD_MAX;
}

/* The mechanism's field in the greeting: bytes 12 to 31. */
enum { MECHANISM = FX_ZMTP_VERSION, MECHANISM_END = 32 };
static const struct {
    enum fx_zmtp_mechanism bit;
    char name[MECHANISM_END - MECHANISM];
} mechanisms[] = {{FX_ZMTP_NULL, "NULL"}, {FX_ZMTP_CURVE, "CURVE"}};

void fx_zmtp_greeting(uint8_t to[FX_ZMTP_GREETING], enum fx_zmtp_mechanism mechanism, int server)
{
    memset(to, 0, FX_ZMTP_GREETING);
    to[0] = 0xff;
    to[9] = 0x7f;
    to[10] = 3;
    to[11] = 1; /* ZMTP 3.1: this side answers PING */
    strcpy((char *)to + MECHANISM, mechanisms[mechanism == FX_ZMTP_CURVE].name);
    to[MECHANISM_END] = mechanism == FX_ZMTP_CURVE && server;
}

/* Returns the allowed mechanism whose name begins with these bytes, or -1. */
static int mechanism_of(const uint8_t *p, size_t n, int allowed)
{
    for (int i = 0; i < 2; i++)
        if (mechanisms[i].bit & allowed && memcmp(p, mechanisms[i].name, n) == 0)
            return (int)mechanisms[i].bit;
    return -1;
}

int fx_zmtp_check_greeting(const uint8_t *p, size_t have, int allowed, const char **why)
{
    size_t n = have < MECHANISM_END ? have : MECHANISM_END;
    int found = 0;
    *why = NULL;
    /* A peer that does not speak ZeroMQ may never send 64 bytes, so check what has arrived. */
    if ((have > 0 && p[0] != 0xff) || (have > 9 && p[9] != 0x7f))
        *why = "not a ZeroMQ peer";
    else if (have > 10 && p[10] < 3)
        *why = "the peer's ZeroMQ is too old (before 4.0)";
    else if (n > MECHANISM && (found = mechanism_of(p + MECHANISM, n - MECHANISM, allowed)) < 0)
        *why = allowed == FX_ZMTP_NULL
                   ? "the peer wants a ZeroMQ security mechanism other than NULL"
               : allowed == FX_ZMTP_CURVE ? "the peer does not want to encrypt with CURVE"
                                          : "the peer wants a ZeroMQ security mechanism other than "
                                            "NULL and CURVE";
    if (*why)
        return -1;
    return have >= FX_ZMTP_GREETING ? found : 0;
}

static uint8_t *put_property(uint8_t *p, const char *name, const char *value)
{
    size_t n = strlen(name), v = strlen(value);
    *p++ = (uint8_t)n;
    memcpy(p, name, n);
    p += n;
    *p++ = 0;
    *p++ = 0;
    *p++ = 0;
    *p++ = (uint8_t)v;
    memcpy(p, value, v);
    return p + v;
}

size_t fx_zmtp_metadata(uint8_t *to, const char *socket_type, int identity)
{
    uint8_t *p = put_property(to, "Socket-Type", socket_type);
    if (identity)
        p = put_property(p, "Identity", "");
    return (size_t)(p - to);
}

size_t fx_zmtp_ready(uint8_t to[FX_ZMTP_READY_MAX], const char *socket_type, int identity)
{
    size_t n = 6 + fx_zmtp_metadata(to + 8, socket_type, identity);
    to[0] = FX_ZMTP_COMMAND;
    to[1] = (uint8_t)n;
    memcpy(to + 2, "\5READY", 6);
    return 2 + n;
}

const uint8_t *fx_zmtp_command(const uint8_t *body, size_t *n, const char *name)
{
    size_t len = strlen(name);
    if (*n < 1 + len || body[0] != len || memcmp(body + 1, name, len) != 0)
        return NULL;
    *n -= 1 + len;
    return body + 1 + len;
}

int fx_zmtp_socket_type(const uint8_t *p, size_t n, char type[FX_ZMTP_TYPE_MAX + 1])
{
    int found = -1;
    while (n > 0) {
        size_t name = p[0];
        if (n < 1 + name + 4)
            return -1;
        const uint8_t *v = p + 1 + name;
        size_t len = (size_t)v[0] << 24 | (size_t)v[1] << 16 | (size_t)v[2] << 8 | v[3];
        if (len > n - (1 + name + 4))
            return -1;
        v += 4;
        if (name == 11 && strncasecmp((const char *)p + 1, "Socket-Type", 11) == 0) {
            if (len > FX_ZMTP_TYPE_MAX)
                return -1;
            memcpy(type, v, len);
            type[len] = '\0';
            found = 0;
        }
        p = v + len;
        n -= 1 + name + 4 + len;
    }
    return found;
}

void fx_zmtp_ping(uint8_t to[FX_ZMTP_PING])
{
    memcpy(to, "\4\7\4PING\0", FX_ZMTP_PING); /* the time to live is 0: this \0 and the NUL */
}

size_t fx_zmtp_pong(uint8_t to[FX_ZMTP_PONG_MAX], const uint8_t *ping, size_t n)
{
    if (n < 2 || n > FX_ZMTP_PING_MAX)
        return 0;
    to[0] = FX_ZMTP_COMMAND;
    to[1] = (uint8_t)(5 + n - 2);
    memcpy(to + 2, "\4PONG", 5);
    memcpy(to + 7, ping + 2, n - 2); /* the context, after the time to live */
    return 7 + n - 2;
}

size_t fx_zmtp_error(uint8_t to[FX_ZMTP_ERROR_MAX], const char *reason)
{
    size_t n = strlen(reason);
    if (n > FX_ZMTP_REASON_MAX)
        n = FX_ZMTP_REASON_MAX;
    to[0] = FX_ZMTP_COMMAND;
    to[1] = (uint8_t)(7 + n);
    memcpy(to + 2, "\5ERROR", 6);
    to[8] = (uint8_t)n;
    memcpy(to + 9, reason, n);
    return 9 + n;
}

void fx_zmtp_message(struct fx_zmtp_message *m, const struct fx_frame *frames, int n)
{
    uint8_t *p = m->heads, *start = p;
    m->niov = 0;
    p += fx_zmtp_put_head(p, FX_ZMTP_MORE, 0); /* shares an iovec with the first frame's head */
    for (int i = 0; i < n; i++) {
        p += fx_zmtp_put_head(p, i + 1 < n ? FX_ZMTP_MORE : 0, frames[i].size);
        m->iov[m->niov++] = (struct iovec){start, (size_t)(p - start)};
        start = p;
        if (frames[i].size)
            m->iov[m->niov++] = (struct iovec){(void *)(uintptr_t)frames[i].data, frames[i].size};
    }
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
