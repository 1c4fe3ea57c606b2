/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds arbitrary bytes to an engine as a client's.  The first two bytes of the input say how the
 * rest arrives.  The engine must read the messages that a second, simpler parser finds, and must
 * return all memory that it counted for them.
 */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "no_uploads.h"
#include "proto/zmtp.h"
#include "seed.h"
#include "server/engine/engine.h"
#include "server/engine/run/conn.h"
#include "server/engine/run/kept.h"

struct fxe_engine fxe_engine;

enum { LIMITED = 1, BUSY = 2, REST = 4 }; /* the other bits: how many bytes arrive together */

#define SEED(dir, name, text) seed((dir), (name), (text), sizeof(text) - 1)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = seed_dir(*argc, *argv);
    if (!dir)
        return 0;
    SEED(dir, "message", "\0\0\1\0\1\3abc\0\2de\1\0\0\1x");
    SEED(dir, "slowly", "\10\3\1\0\1\3abc\0\2de\1\0\0\1x");
    SEED(dir, "ping", "\2\0\4\11\4PING\0\1ab\1\0\0\2hi\4\3\2XX");
    SEED(dir, "long", "\0\0\1\0\3\0\0\0\0\0\0\0\5hello\2\0\0\0\0\0\0\0\1x");
    SEED(dir, "huge", "\0\0\1\0\1\1h\2\0\1\0\0\0\0\0\0xx");
    SEED(dir, "header", "\0\0\1\0\2\0\0\0\0\0\2\0\0");
    SEED(dir, "no delimiter", "\0\0\1\3abc\1\2de\0\0\1\0\0\1x");
    SEED(dir, "many",
         "\1\0\1\0\1\1h\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\0\0");
    SEED(dir, "error", "\0\0\4\7\5ERROR\0");
    return 0;
}

/* --- the simple parser: all bytes are there --- */

struct rest {
    const uint8_t *p;
    size_t n;
};

struct expected {
    int refused, last; /* last: nothing after it can be parsed */
    int nframes;
    struct rest frames[FX_FRAMES_MAX];
};

/* Reads a frame's head.  Returns its flags, or -1 if it is incomplete or invalid. */
static int head(struct rest *r, uint64_t *size)
{
    size_t len = r->n > 0 && r->p[0] & 2 ? 9 : 2;
    if (r->n < 1 || r->p[0] & ~7 || (r->p[0] & 5) == 5 || r->n < len)
        return -1;
    int flags = r->p[0];
    *size = 0;
    for (size_t i = 1; i < len; i++)
        *size = *size << 8 | r->p[i];
    r->p += len;
    r->n -= len;
    return flags;
}

/* Skips commands up to the next frame of a message.  Returns 0, or -1 if the connection ends. */
static int skip_commands(struct rest *r)
{
    for (;;) {
        struct rest at = *r;
        uint64_t size = 0;
        int flags = head(&at, &size);
        if (flags < 0 || !(flags & 4))
            return 0;
        if (size > at.n)
            return -1;
        if (size >= 5 && memcmp(at.p, "\4PING", 5) == 0 && (size < 7 || size > 5 + 18))
            return -1;
        if (size >= 6 && memcmp(at.p, "\5ERROR", 6) == 0)
            return -1;
        r->p = at.p + size;
        r->n = at.n - size;
    }
}

/* Reads the next message.  Returns 1, or 0 if there are no more. */
static int simple_message(struct rest *r, struct expected *e)
{
    memset(e, 0, sizeof(*e));
    for (int frame = 0, seen = 0;; frame++) {
        uint64_t size = 0;
        if (skip_commands(r) != 0)
            return 0;
        int flags = head(r, &size);
        if (flags < 0 || flags & 4)
            return 0;
        if (frame == 0 && size == 0) {
            e->refused = !(flags & 1);
        } else {
            e->refused |= frame == 0;
            e->last = (seen++ == 0 && size > FX_HEADER_MAX) || seen > FX_FRAMES_MAX ||
                      size > FX_FRAME_MAX;
            if (e->last)
                return e->refused = 1;
            if (size > r->n)
                return 0;
            if (seen == 1 || !e->refused)
                e->frames[e->nframes++] = (struct rest){r->p, size};
            r->p += size;
            r->n -= size;
        }
        if (!(flags & 1))
            return 1;
    }
}

/* --- */

static void compare(const struct fxe_msg *m, struct rest *r, int *last)
{
    struct expected e;
    require(simple_message(r, &e) == 1);
    require((m->kind != NULL) == e.refused && m->nframes == e.nframes);
    for (int i = 0; i < e.nframes; i++)
        require(m->frames[i].size == e.frames[i].n &&
                memcmp(m->frames[i].data, e.frames[i].p, e.frames[i].n) == 0);
    *last = e.last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct fxs_handover h;
    char drop[4096];
    int fd[2], rc = 0, last = 0;
    if (n < 2 || n > 8192)
        return 0;
    int how = data[0];
    size_t at = data[1] * 8u, step = how >> 3 ? (size_t)(how >> 3) : 8192;
    struct rest r = {data + 2, n - 2}, simple = r;
    if (at > r.n)
        at = r.n;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
        return 0;
    h.size = (uint32_t)at;
    memcpy(h.bytes, r.p, at);
    fxe_engine.max_pending = how & LIMITED ? 100 : SIZE_MAX;
    fxe_kept_add(60); /* as if by other connections */
    struct fxe_conn *c = fxe_conn_new(fd[0], &h);
    require(c != NULL);
    for (;;) {
        struct fxe_msg *m = NULL;
        while ((rc = fxe_conn_read(c, &m)) == 1) {
            require(m && !last);
            if (!(how & LIMITED))
                compare(m, &simple, &last);
            fxe_msg_free(m);
            m = NULL;
            if (how & BUSY)
                fxe_conn_commands(c);
        }
        require(!m);
        if (rc < 0)
            break;
        if (how & REST && !fxe_conn_has_more(c) && !c->msg)
            fxe_conn_rest(c);
        if (at == r.n && fd[1] < 0)
            continue; /* it will notice the end */
        if (at == r.n) {
            close(fd[1]);
            fd[1] = -1;
            continue;
        }
        size_t take = step < r.n - at ? step : r.n - at;
        require(send(fd[1], r.p + at, take, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)take);
        while (recv(fd[1], drop, sizeof(drop), MSG_DONTWAIT) > 0) /* PONG */
            ;
        at += take;
    }
    /* All bytes were read, or nothing more can be parsed. */
    struct expected e;
    if (!(how & LIMITED) && !last && at == r.n && fd[1] < 0)
        require(simple_message(&simple, &e) == 0);
    fxe_conn_unref(c);
    if (fd[1] >= 0)
        close(fd[1]);
    fxe_kept_sub(60);
    fxe_engine.max_pending = 0;
    require(!fxe_kept_is_full(SIZE_MAX / 2, 0)); /* all counted memory has been returned */
    return 0;
}
