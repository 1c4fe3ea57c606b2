/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds arbitrary bytes to the client's connection as a peer's.  The first byte of the input says
 * how they are read.  The frames must be those that a second, simpler parser finds.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/client/conn.h"
#include "seed.h"

enum { HANDSHAKE = 1, SKIP = 2, PIECES = 4 };

/* A deadline long past: nothing may wait, since all bytes have arrived. */
#define NOW INT64_MIN

#define SEED(dir, name, text) seed((dir), (name), (text), sizeof(text) - 1)
#define ZEROS8 "\0\0\0\0\0\0\0\0"
#define GREETING "\xff" ZEROS8 "\x7f\3\0NULL" ZEROS8 ZEROS8 ZEROS8 ZEROS8 ZEROS8 ZEROS8
#define READY "\4\34\5READY\13Socket-Type\0\0\0\6ROUTER"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = seed_dir(*argc, *argv);
    if (!dir)
        return 0;
    SEED(dir, "open", "\1" GREETING READY "\1\0\0\2hi");
    SEED(dir, "refused", "\1" GREETING "\4\14\5ERROR\5sorry");
    SEED(dir, "metadata", "\1" GREETING "\4\46\5READY\1X\0\0\0\4abcd\13Socket-Type\0\0\0\6ROUTER");
    SEED(dir, "message", "\0\1\0\1\3abc\0\2de\1\0\0\1x");
    SEED(dir, "ping", "\4\4\11\4PING\0\1ab\1\0\4\3\2XX\0\3end");
    SEED(dir, "long", "\2\1\0\2\0\0\0\0\0\0\0\5hello");
    SEED(dir, "huge", "\0\2\xff\xff\xff\xff\xff\xff\xff\xff");
    return 0;
}

/* The input that the simple parser has not read yet. */
struct rest {
    const uint8_t *p;
    size_t n;
};

/* Reads the next frame, whose body may be incomplete.  Returns its flags, or -1 if there are no
 * more frames. */
static int simple(struct rest *r, uint64_t *size, struct rest *body)
{
    size_t head = r->n > 0 && r->p[0] & 2 ? 9 : 2;
    if (r->n < head)
        return -1;
    int flags = r->p[0];
    *size = 0;
    for (size_t i = 1; i < head; i++)
        *size = *size << 8 | r->p[i];
    *body = (struct rest){r->p + head, r->n - head};
    if (body->n > *size)
        body->n = *size;
    r->p += head + body->n;
    r->n -= head + body->n;
    return flags;
}

/* Reads the next frame of a message, skipping commands. */
static int simple_message(struct rest *r, uint64_t *size, struct rest *body)
{
    int flags;
    do
        flags = simple(r, size, body);
    while (flags >= 0 && flags & 4 && body->n == *size);
    return flags;
}

static void read_frames(struct fx_conn *c, struct rest r, int how)
{
    size_t size;
    int more;
    while (fx_conn_frame(c, &size, &more, NOW) == 0) {
        struct rest body;
        uint64_t want;
        int flags = simple_message(&r, &want, &body);
        require(flags >= 0 && (flags & ~3) == 0 && size == want && !!more == (flags & 1));
        size_t n = size < 8192 ? size : 8192; /* no more than this was sent */
        if (how & SKIP) {
            if (fx_conn_skip(c, size, NOW) != 0)
                require(body.n < size);
            continue;
        }
        char *to = malloc(n ? n : 1); /* exact size, so that a sanitizer sees any overrun */
        size_t got = 0, step = how & PIECES ? 1 + (n >> 3) : n;
        int ok = 1;
        while (ok && got < n) {
            size_t take = step < n - got ? step : n - got;
            ok = fx_conn_read(c, to + got, take, NOW) == 0;
            got += ok ? take : 0;
        }
        require(got <= body.n && memcmp(to, body.p, got) == 0);
        require(ok ? body.n == size : body.n < size);
        free(to);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int fd[2], more;
    size_t size;
    if (n < 1 || n > 8192)
        return 0;
    int how = data[0];
    struct rest r = {data + 1, n - 1};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
        return 0;
    require(send(fd[1], r.p, r.n, MSG_DONTWAIT) == (ssize_t)r.n);
    shutdown(fd[1], SHUT_WR);
    struct fx_conn *c = fx_conn_from_fd(fd[0]);
    require(c != NULL);
    if (!(how & HANDSHAKE)) {
        read_frames(c, r, how);
    } else if (fx_conn_handshake(c, NULL, NOW) == 0) {
        struct rest body;
        uint64_t ready;
        require(r.n > 64);
        r.p += 64;
        r.n -= 64;
        do /* skip up to READY */
            require(simple(&r, &ready, &body) == 4 || r.n > 0);
        while (body.n < 6 || memcmp(body.p, "\5READY", 6) != 0);
        read_frames(c, r, how);
    }
    /* All of the peer's bytes are read: the connection must have ended, with a reason. */
    require(fx_conn_frame(c, &size, &more, NOW) == -1);
    require(fx_conn_error(c)[0] != '\0');
    require(fx_conn_is_dead(c) == 1);
    fx_conn_close(c);
    close(fd[1]);
    return 0;
}
