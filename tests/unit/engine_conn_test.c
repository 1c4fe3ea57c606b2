/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection in an engine: how it reads requests, and how much memory they take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "descriptors.h"
#include "server/engine/engine.h"
#include "server/engine/run/conn.h"
#include "server/engine/run/kept.h"
#include "server/engine/run/request.h"

#define LITERAL(s) (s), sizeof(s) - 1

enum { MIB = 1 << 20 };

/* A connection, and the client's end of it. */
struct pair {
    struct fxe_conn *c;
    int client, before;
};

static void open_pair(struct pair *p, const void *read_by_front, size_t n)
{
    static struct fxs_handover h;
    struct timeval patience = {.tv_sec = 10}; /* a blocked test fails */
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    setsockopt(fd[1], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    memset(&h, 0, sizeof(h));
    h.kind = FXS_CONNECTION;
    h.key = 3;
    strcpy(h.peer, "unix");
    h.size = (uint32_t)n;
    memcpy(h.bytes, read_by_front, n);
    p->c = fxe_conn_new(fd[0], &h);
    assert_non_null(p->c);
    p->client = fd[1];
}

static int set_up(void **state)
{
    static struct pair p;
    p.before = descriptors();
    fxe_engine.max_pending = SIZE_MAX;
    open_pair(&p, "", 0);
    *state = &p;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *p = *state;
    int nothing_is_kept;
    if (p->client >= 0)
        close(p->client);
    fxe_conn_unref(p->c);
    fxe_engine.max_pending = 0;
    nothing_is_kept = !fxe_kept_is_full(SIZE_MAX / 2, 0);
    return nothing_is_kept && descriptors() == p->before ? 0 : -1;
}

static void say(struct pair *p, const void *data, size_t n)
{
    assert_int_equal(send(p->client, data, n, MSG_NOSIGNAL), n);
}

static void say_head(struct pair *p, int flags, uint64_t size)
{
    uint8_t head[FX_ZMTP_HEAD_MAX];
    say(p, head, fx_zmtp_put_head(head, flags, size));
}

/* Send a whole message in one call, with a descriptor unless fd is -1. */
static void say_message(struct pair *p, const struct fx_frame *frames, int n, int fd)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct fx_zmtp_message m;
    fx_zmtp_message(&m, frames, n);
    struct msghdr msg = {.msg_iov = m.iov, .msg_iovlen = (size_t)m.niov};
    if (fd >= 0) {
        msg.msg_control = control.buf;
        msg.msg_controllen = sizeof(control.buf);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    size_t want = 0;
    for (int i = 0; i < m.niov; i++)
        want += m.iov[i].iov_len;
    assert_int_equal(sendmsg(p->client, &msg, MSG_NOSIGNAL), want);
}

/* Wait for bytes, as epoll would, and return the result of fxe_conn_read. */
static int read_it(struct pair *p, struct fxe_msg **m)
{
    *m = NULL;
    int rc = fxe_conn_read(p->c, m);
    return rc == 0 && p->c->drained == 0 ? fxe_conn_read(p->c, m) : rc;
}

static void expect_frames(const struct fxe_msg *m, const struct fx_frame *frames, int n)
{
    assert_null(m->kind);
    assert_int_equal(m->nframes, n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(m->frames[i].size, frames[i].size);
        assert_non_null(m->frames[i].data);
        assert_memory_equal(m->frames[i].data, frames[i].data, frames[i].size);
    }
}

static void expect_message(struct pair *p, const struct fx_frame *frames, int n)
{
    struct fxe_msg *m;
    assert_int_equal(read_it(p, &m), 1);
    expect_frames(m, frames, n);
    fxe_msg_free(m);
}

static void expect_nothing(struct pair *p)
{
    struct fxe_msg *m;
    assert_int_equal(read_it(p, &m), 0);
    assert_null(m);
}

/* The message is refused with this kind of error and this text. */
static void expect_refusal(struct pair *p, const char *kind, const char *why)
{
    struct fxe_msg *m;
    assert_int_equal(read_it(p, &m), 1);
    assert_non_null(m->kind);
    assert_string_equal(m->kind, kind);
    if (!strstr(m->why, why))
        fail_msg("'%s' does not say '%s'", m->why, why);
    fxe_msg_free(m);
}

static void expect_end(struct pair *p)
{
    struct fxe_msg *m;
    assert_int_equal(read_it(p, &m), -1);
    assert_null(m);
}

/* The client has received exactly these bytes. */
static void expect_heard(struct pair *p, const void *data, size_t n)
{
    char got[600];
    assert_int_equal(recv(p->client, got, sizeof(got), MSG_DONTWAIT), n ? (ssize_t)n : -1);
    assert_memory_equal(got, data, n);
}

/* --- reading --- */

static void a_message_byte_by_byte(void **state)
{
    struct pair *p = *state;
    static char body[700];
    struct fx_frame frames[] = {{"header", 6}, {"", 0}, {body, 300}, {body, 255}, {"x", 1}};
    struct fx_zmtp_message m;
    uint8_t bytes[2000];
    size_t n = 0;
    for (int i = 0; i < 700; i++)
        body[i] = (char)(i * 13);
    fx_zmtp_message(&m, frames, 5);
    for (int i = 0; i < m.niov; i++) {
        memcpy(bytes + n, m.iov[i].iov_base, m.iov[i].iov_len);
        n += m.iov[i].iov_len;
    }
    for (size_t step = 1; step < n; step = step * 2 + 1) {
        for (size_t at = 0; at < n; at += step) {
            expect_nothing(p);
            say(p, bytes + at, step < n - at ? step : n - at);
        }
        expect_message(p, frames, 5);
        expect_nothing(p);
        fxe_conn_rest(p->c); /* an idle connection has no buffer */
        assert_null(p->c->in);
    }
}

/* Bytes that the front has read come before those in the socket. */
static void bytes_read_by_the_front_are_used_first(void **state)
{
    struct pair *p = *state, q;
    struct fx_frame first = {"first", 5}, second = {"second", 6};
    (void)p;
    for (size_t have = 0; have <= 18; have++) { /* of 19 bytes, followed by more */
        char bytes[] = "\1\0\0\5first\1\0\0\6second";
        open_pair(&q, bytes, have);
        assert_int_equal(q.c->key, 3);
        assert_string_equal(q.c->peer, "unix");
        say(&q, bytes + have, 19 - have);
        expect_message(&q, &first, 1);
        expect_message(&q, &second, 1);
        expect_nothing(&q);
        close(q.client);
        expect_end(&q);
        fxe_conn_unref(q.c);
    }
}

static void requests_in_a_row_are_read_one_by_one(void **state)
{
    struct pair *p = *state;
    enum { COUNT = 150 }; /* as many as a Unix socket holds */
    for (int i = 0; i < COUNT; i++) {
        struct fx_frame frames[] = {{&i, sizeof(i)}, {p, (size_t)i % 7}};
        say_message(p, frames, 2, -1);
    }
    for (int i = 0; i < COUNT; i++) {
        struct fx_frame frames[] = {{&i, sizeof(i)}, {p, (size_t)i % 7}};
        expect_message(p, frames, 2);
    }
    expect_nothing(p);
    assert_int_equal(fxe_conn_has_more(p->c), 0);
}

static void a_large_frame_in_parts(void **state)
{
    struct pair *p = *state;
    char *data = malloc(FX_FRAME_MAX);
    struct fx_frame frames[] = {{"h", 1}, {data, FX_FRAME_MAX}, {"t", 1}};
    struct fxe_msg *m = NULL;
    int rc = 0;
    for (size_t i = 0; i < FX_FRAME_MAX; i++)
        data[i] = (char)(i * 31 + i / 4096);
    say(p, LITERAL("\1\0\1\1h"));
    say_head(p, FX_ZMTP_MORE, FX_FRAME_MAX);
    for (size_t at = 0; at < FX_FRAME_MAX;) {
        size_t n = FX_FRAME_MAX - at < 50001 ? FX_FRAME_MAX - at : 50001;
        assert_int_equal(rc, 0);
        say(p, data + at, n);
        at += n;
        rc = fxe_conn_read(p->c, &m);
    }
    assert_int_equal(rc, 0);
    say(p, LITERAL("\0\1t"));
    assert_int_equal(read_it(p, &m), 1);
    expect_frames(m, frames, 3);
    fxe_msg_free(m);
    free(data);
}

static void the_end_is_reported_after_all_requests(void **state)
{
    struct pair *p = *state;
    struct fx_frame one = {"a", 1};
    say(p, LITERAL("\1\0\0\1a\1\0\0\2b")); /* the second is incomplete */
    assert_int_equal(fxe_conn_is_gone(p->c), 0);
    close(p->client);
    p->client = -1;
    assert_int_equal(fxe_conn_is_gone(p->c), 1);
    expect_message(p, &one, 1);
    expect_end(p);
}

static void a_connection_that_was_killed_is_gone(void **state)
{
    struct pair *p = *state;
    char b;
    fxe_conn_kill(p->c);
    fxe_conn_kill(p->c);
    assert_int_equal(fxe_conn_is_gone(p->c), 1);
    assert_int_equal(recv(p->client, &b, 1, 0), 0);
}

/* --- commands --- */

#define PING "\4\11\4PING\0\1ab"
#define PONG "\4\7\4PONGab"

static void pings_are_answered(void **state)
{
    struct pair *p = *state;
    struct fx_frame one = {"a", 1};
    say(p, LITERAL(PING "\4\3\2XX" PING "\1\0\0\1a"));
    expect_message(p, &one, 1);
    expect_heard(p, LITERAL(PONG PONG));
    /* libzmq also sends PING between the frames of a message. */
    struct fx_frame two[] = {{"a", 1}, {"b", 1}};
    say(p, LITERAL("\1\0" PING "\1\1a" PING "\0\1b"));
    p->c->drained = 0;
    expect_message(p, two, 2);
    expect_heard(p, LITERAL(PONG PONG));
    for (size_t i = 0; i < sizeof(PING) - 1; i++) {
        say(p, &PING[i], 1);
        expect_nothing(p);
    }
    expect_heard(p, LITERAL(PONG));
}

/* While a request is in progress, the next request waits, but PING is answered. */
static void pings_are_answered_while_busy(void **state)
{
    struct pair *p = *state;
    struct fx_frame one = {"a", 1}, two = {"b", 1};
    say(p, LITERAL("\1\0\0\1a"));
    expect_message(p, &one, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fxe_conn_commands(p->c), 0);
        say(p, LITERAL(PING));
        p->c->drained = 0; /* as after an epoll event */
        assert_int_equal(fxe_conn_commands(p->c), 0);
        expect_heard(p, LITERAL(PONG));
    }
    p->c->drained = 0;
    say(p, LITERAL(PING "\1\0\0\1b" PING));
    assert_int_equal(fxe_conn_commands(p->c), 1);
    expect_heard(p, LITERAL(PONG));
    assert_int_equal(fxe_conn_commands(p->c), 1);
    expect_heard(p, "", 0); /* the PING after the message is answered after it */
    assert_int_equal(fxe_conn_has_more(p->c), 1);
    expect_message(p, &two, 1);
    expect_nothing(p);
    expect_heard(p, LITERAL(PONG));
    p->c->drained = 0;
    close(p->client);
    p->client = -1;
    assert_int_equal(fxe_conn_commands(p->c), -1);
}

static void broken(const void *bytes, size_t n)
{
    struct pair p;
    open_pair(&p, "", 0);
    say(&p, bytes, n);
    expect_end(&p);
    close(p.client);
    fxe_conn_unref(p.c);
}

static void bytes_that_are_not_zmtp_end_the_connection(void **state)
{
    (void)state;
    broken(LITERAL("\10\0"));                /* unknown flags */
    broken(LITERAL("\5\0"));                 /* a command with the flag MORE */
    broken(LITERAL("\4\6\4PING\0"));         /* half a time to live, no context */
    broken(LITERAL("\4\7\5ERROR\0"));        /* the client gives up */
    broken(LITERAL("\6\0\0\0\0\0\0\100\0")); /* a command of 16 KiB */
    broken(LITERAL("\6\377\377\377\377\377\377\377\377"));
}

/* --- what is refused --- */

static void a_header_that_is_too_large(void **state)
{
    struct pair *p = *state;
    say(p, LITERAL("\1\0"));
    say_head(p, 0, FX_HEADER_MAX + 1);
    expect_refusal(p, "limit", "the header has 65537 bytes, at most 65536 are allowed");
}

static void a_frame_that_is_too_large(void **state)
{
    struct pair *p = *state;
    struct fxe_msg *m;
    say(p, LITERAL("\1\0\1\3abc"));
    say_head(p, 0, UINT64_C(1) << 60);
    assert_int_equal(read_it(p, &m), 1);
    assert_string_equal(m->kind, "limit");
    assert_non_null(strstr(m->why, "frame 1 has 1152921504606846976 bytes"));
    assert_int_equal(m->nframes, 1); /* the header, for its request_id */
    assert_memory_equal(m->frames[0].data, "abc", 3);
    fxe_msg_free(m);
}

static void too_many_frames(void **state)
{
    struct pair *p = *state;
    struct fx_frame frames[FX_FRAMES_MAX];
    for (int i = 0; i < FX_FRAMES_MAX; i++)
        frames[i] = (struct fx_frame){"f", 1};
    say_message(p, frames, FX_FRAMES_MAX, -1);
    expect_message(p, frames, FX_FRAMES_MAX);
    say(p, LITERAL("\1\0"));
    for (int i = 0; i < FX_FRAMES_MAX; i++)
        say(p, LITERAL("\1\1f"));
    expect_nothing(p);
    say(p, LITERAL("\0\0"));
    expect_refusal(p, "limit", "more than 16 frames");
}

static void messages_that_are_malformed(void **state)
{
    struct pair *p = *state;
    struct fx_frame one = {"a", 1};
    struct fxe_msg *m;
    say(p, LITERAL("\0\0"));
    expect_refusal(p, "protocol", "no header");
    say(p, LITERAL("\1\3abc\1\2de\0\0"));
    assert_int_equal(read_it(p, &m), 1);
    assert_string_equal(m->kind, "protocol");
    assert_non_null(strstr(m->why, "does not begin with an empty frame"));
    assert_int_equal(m->nframes, 1);
    assert_memory_equal(m->frames[0].data, "abc",
                        3); /* kept, since it may be a header with a request_id */
    fxe_msg_free(m);
    say(p, LITERAL("\1\0\0\1a")); /* the connection accepts the next message */
    expect_message(p, &one, 1);
}

/* An endless message is refused, even while its frames are being dropped. */
static void endless_frames_are_refused(void **state)
{
    struct pair *p = *state;
    say(p, LITERAL("\1\3abc"));
    for (int i = 0; i < FX_FRAMES_MAX; i++)
        say(p, LITERAL("\1\0"));
    expect_refusal(p, "limit", "more than 16 frames");
}

/* After a fatal refusal, a bounded number of bytes is read and dropped. */
static void after_a_refused_message_bytes_are_discarded_and_the_connection_ends(void **state)
{
    struct pair *p = *state;
    static char rest[MIB];
    struct fxe_msg *m = NULL;
    size_t sent = 0;
    say(p, LITERAL("\1\0"));
    say_head(p, 0, FX_HEADER_MAX + 1);
    expect_refusal(p, "limit", "the header");
    assert_int_equal(fxe_conn_commands(p->c), 1); /* no more commands are read from it */
    memset(rest, 'r', sizeof(rest));
    int rc = 0;
    while (rc == 0) {
        ssize_t n = send(p->client, rest, sizeof(rest), MSG_DONTWAIT | MSG_NOSIGNAL);
        assert_true(n > 0);
        sent += (size_t)n;
        assert_in_range(sent, 1, 4 * FX_FRAME_MAX);
        p->c->drained = 0;
        rc = fxe_conn_read(p->c, &m);
        assert_null(m);
    }
    assert_int_equal(rc, -1);
    assert_in_range(sent, FX_FRAME_MAX, 4 * FX_FRAME_MAX);
}

/* --- memory --- */

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void);

static size_t in_use(void)
{
    return __sanitizer_get_current_allocated_bytes();
}
#else
static size_t in_use(void)
{
    struct mallinfo2 i = mallinfo2();
    return i.uordblks + i.hblkhd;
}
#endif

static size_t peak(struct pair *p, int n)
{
    struct fxe_msg *m;
    size_t before = in_use();
    for (int i = 0; i < n; i++) {
        say(p + i, LITERAL("\1\0\1\3abc"));
        say_head(p + i, 0, FX_FRAME_MAX);
        assert_int_equal(fxe_conn_read(p[i].c, &m), 0);
    }
    return in_use() - before;
}

/* An announced size is allocated only up to 32 MiB, and beyond that as bytes arrive. */
static void memory_grows_with_what_has_arrived(void **state)
{
    enum { N = 100 };
    static struct pair p[N];
    static char part[MIB];
    struct fxe_msg *m;
    (void)state;
    for (int i = 0; i < N; i++)
        open_pair(&p[i], "", 0);
    size_t all = peak(p, N); /* 800 MiB are announced */
    assert_in_range(all, 8 * MIB, 48 * MIB);
    /* Nothing is allocated ahead for the last one: its memory grows with the bytes it sends. */
    size_t before = in_use();
    for (size_t sent = 0; sent < 4 * MIB; sent += 100000) {
        say(&p[N - 1], part, 100000);
        p[N - 1].c->drained = 0;
        assert_int_equal(fxe_conn_read(p[N - 1].c, &m), 0);
        assert_in_range(in_use() - before, 0, 4 * (sent + 100000) + MIB);
    }
    for (int i = 0; i < N; i++) {
        close(p[i].client);
        fxe_conn_unref(p[i].c);
    }
    /* The memory allocated ahead has been returned. */
    for (int i = 0; i < 3; i++)
        open_pair(&p[i], "", 0);
    before = peak(p, 3);
    assert_in_range(before, 3 * FX_FRAME_MAX, 3 * FX_FRAME_MAX + MIB);
    for (int i = 0; i < 3; i++) {
        close(p[i].client);
        fxe_conn_unref(p[i].c);
    }
}

static void say_half(struct pair *p, const char *data)
{
    say(p, LITERAL("\1\0\1\3abc"));
    say_head(p, 0, MIB);
    say(p, data, 1000);
}

/* Beyond --max-pending a request is refused with its request_id, but a lone request never is. */
static void memory_of_requests_and_replies_is_limited(void **state)
{
    struct pair *p = *state, q, r;
    static char data[MIB];
    struct fx_frame frames[] = {{"abc", 3}, {data, MIB}};
    struct fxe_msg *m, *whole;
    fxe_engine.max_pending = MIB;
    open_pair(&q, "", 0);
    open_pair(&r, "", 0);
    say_half(p, data); /* larger than the limit, but the only one */
    expect_nothing(p);
    say(&q, LITERAL("\1\0\1\3abc\0\3def"));
    assert_int_equal(read_it(&q, &m), 1);
    assert_string_equal(m->kind, "limit");
    assert_non_null(strstr(m->why, "--max-pending"));
    assert_int_equal(m->nframes, 1);
    assert_memory_equal(m->frames[0].data, "abc", 3);
    fxe_msg_free(m);
    for (size_t at = 1000; at < MIB;) {
        size_t n = MIB - at < 100000 ? MIB - at : 100000;
        say(p, data + at, n);
        at += n;
        p->c->drained = 0;
        m = NULL;
        assert_int_equal(fxe_conn_read(p->c, &m), at == MIB);
    }
    expect_frames(m, frames, 2);
    whole = m;
    say(&r, LITERAL("\1\0\0\3abc"));
    expect_refusal(&r, "limit", "--max-pending");
    fxe_msg_free(whole); /* it has been answered, so there is room */
    say(&q, LITERAL("\1\0\0\3abc"));
    expect_message(&q, frames, 1);
    close(q.client);
    close(r.client);
    fxe_conn_unref(q.c);
    fxe_conn_unref(r.c);
}

/* --- descriptors --- */

static int memfd(const char *text)
{
    int fd = fx_memfd_make(text, strlen(text));
    assert_true(fd >= 0);
    return fd;
}

static void a_descriptor_belongs_to_its_message(void **state)
{
    /* Each character is a message of a group that is read together; an 'x' has a descriptor. */
    static const char *const patterns[] = {"x",   "-x",  "x-",  "xx",   "-x-",
                                           "--x", "x-x", "xxx", "-xx-x"};
    struct pair *p = *state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
        const char *pattern = patterns[i];
        for (int j = 0; pattern[j]; j++) {
            struct fx_frame header = {&"0123456789"[j], 1};
            int fd =
                pattern[j] == 'x' ? memfd("an array of some other memory"[j] ? "array" : "") : -1;
            say_message(p, &header, 1, fd);
            if (fd >= 0)
                close(fd);
        }
        for (int j = 0; pattern[j]; j++) {
            struct fx_frame frames[] = {{&"0123456789"[j], 1}, {"array", 5}};
            expect_message(p, frames, pattern[j] == 'x' ? 2 : 1);
        }
        assert_int_equal(p->c->fd, -1);
        p->c->drained = 0;
    }
}

/* It comes with the first bytes of a message; the rest may come later. */
static void a_descriptor_waits_for_the_rest_of_its_message(void **state)
{
    struct pair *p = *state;
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char first = 1;
    struct iovec iov = {&first, 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = sizeof(control.buf)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    struct fx_frame frames[] = {{"a", 1}, {"b", 1}, {"array", 5}};
    int fd = memfd("array");
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    assert_int_equal(sendmsg(p->client, &msg, 0), 1);
    close(fd);
    expect_nothing(p);
    say(p, LITERAL("\0\1\1a\0\1"));
    p->c->drained = 0;
    expect_nothing(p);
    say(p, "b", 1);
    expect_message(p, frames, 3);
}

/* A descriptor that is not a sealed memfd is closed, and the message lacks that frame. */
static void other_descriptors_are_closed(void **state)
{
    struct pair *p = *state;
    struct fx_frame one = {"a", 1};
    int before = descriptors();
    say_message(p, &one, 1, p->client);
    say_message(p, &one, 1, p->client);
    expect_message(p, &one, 1);
    expect_message(p, &one, 1);
    assert_int_equal(descriptors(), before);
    say_message(p, &one, 1, p->client); /* the connection ends before this is read */
}

/* --- replies --- */

static size_t drain(struct pair *p, char *to, size_t room)
{
    size_t n = 0;
    ssize_t got;
    while (n < room && (got = recv(p->client, to + n, room - n, MSG_DONTWAIT)) > 0)
        n += (size_t)got;
    return n;
}

static void a_small_reply_is_sent_at_once(void **state)
{
    struct pair *p = *state;
    struct fxe_req *r = calloc(1, sizeof(*r));
    struct fx_frame frames[] = {{"header", 6}, {"array", 5}};
    assert_int_equal(fxe_conn_send(p->c, r, frames, 2), 1);
    assert_null(p->c->sending);
    assert_int_equal(r->unsent, 0);
    expect_heard(p, LITERAL("\1\0\1\6header\0\5array"));
    free(r);
}

/* Bytes that do not fit into the socket are kept, counted, and sent as the client reads. */
static void a_large_reply_is_sent_in_parts(void **state)
{
    struct pair *p = *state;
    enum { SIZE = 5 * MIB + 3 };
    struct fxe_req *r = calloc(1, sizeof(*r));
    char *data = malloc(SIZE), *got = malloc(2 * SIZE);
    struct fx_frame frames[] = {{"header", 6}, {data, SIZE}, {"t", 1}};
    size_t n = 0, total = 2 + 2 + 6 + 9 + SIZE + 2 + 1;
    int rc, parts = 0;
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7 + i / 4096);
    assert_int_equal(fxe_conn_send(p->c, r, frames, 3), 0);
    assert_ptr_equal(p->c->sending, r);
    assert_in_range(r->unsent, 1, total);
    fxe_engine.max_pending = r->unsent - 1;
    assert_int_equal(fxe_kept_is_full(0, 0), 1); /* it is counted */
    fxe_engine.max_pending = r->unsent;
    assert_int_equal(fxe_kept_is_full(0, 0), 0);
    assert_int_equal(fxe_conn_flush(p->c), 0); /* the client has read nothing */
    do {
        n += drain(p, got + n, 100000);
        rc = fxe_conn_flush(p->c);
        assert_in_range(++parts, 1, 100000);
    } while (rc == 0);
    assert_int_equal(rc, 1);
    assert_true(parts > 1);
    assert_null(p->c->sending);
    n += drain(p, got + n, 2 * SIZE - n);
    assert_int_equal(n, total);
    assert_memory_equal(got, "\1\0\1\6header", 10);
    assert_memory_equal(got + 19, data, SIZE);
    assert_memory_equal(got + 19 + SIZE, "\0\1t", 3);
    free(got);
    free(data);
    free(r);
}

/* Even if the socket would accept all of it, so that no client gets in the way of the others. */
static void a_large_reply_is_sent_in_turns(void **state)
{
    struct pair *p = *state;
    enum { SIZE = 3 * FXE_CONN_TURN };
    int most = 4 * SIZE;
    struct fxe_req *r = calloc(1, sizeof(*r));
    char *data = calloc(1, SIZE);
    struct fx_frame frames[] = {{"header", 6}, {data, SIZE}};
    if (setsockopt(p->c->source.fd, SOL_SOCKET, SO_SNDBUFFORCE, &most, sizeof(most)) == 0) {
        assert_int_equal(fxe_conn_send(p->c, r, frames, 2), 0);
        assert_int_equal(r->unsent, 2 + 2 + 6 + 9 + SIZE - FXE_CONN_TURN);
        assert_int_equal(fxe_conn_flush(p->c), 0);
        assert_int_equal(fxe_conn_flush(p->c), 0);
        assert_int_equal(fxe_conn_flush(p->c), 1);
    }
    free(data);
    free(r);
}

static void a_reply_to_a_closed_connection_is_dropped(void **state)
{
    struct pair *p = *state;
    struct fxe_req *r = calloc(1, sizeof(*r));
    char *data = malloc(5 * MIB);
    struct fx_frame frames[] = {{"header", 6}, {data, 5 * MIB}};
    memset(data, 'd', 5 * MIB);
    assert_int_equal(fxe_conn_send(p->c, r, frames, 2), 0);
    close(p->client);
    p->client = -1;
    assert_int_equal(fxe_conn_flush(p->c), -1); /* without SIGPIPE */
    assert_null(p->c->sending);
    assert_int_equal(fxe_conn_send(p->c, r, frames, 2), -1);
    fxe_conn_kill(p->c);
    assert_int_equal(fxe_conn_send(p->c, r, frames, 1), -1);
    free(data);
    free(r);
}

/* The client receives the reason, and then the end of the connection. */
static void the_connection_ends_after_the_reply_to_a_refused_message(void **state)
{
    struct pair *p = *state;
    struct fxe_req *r = calloc(1, sizeof(*r));
    struct fx_frame why = {"why", 3};
    char got[20];
    say(p, LITERAL("\1\0"));
    say_head(p, 0, FX_HEADER_MAX + 1);
    expect_refusal(p, "limit", "the header");
    assert_int_equal(fxe_conn_send(p->c, r, &why, 1), 1);
    assert_int_equal(recv(p->client, got, sizeof(got), 0), 7);
    assert_memory_equal(got, "\1\0\0\3why", 7);
    assert_int_equal(recv(p->client, got, sizeof(got), 0), 0);
    free(r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_byte_by_byte),
        TEST(bytes_read_by_the_front_are_used_first),
        TEST(requests_in_a_row_are_read_one_by_one),
        TEST(a_large_frame_in_parts),
        TEST(the_end_is_reported_after_all_requests),
        TEST(a_connection_that_was_killed_is_gone),
        TEST(pings_are_answered),
        TEST(pings_are_answered_while_busy),
        TEST(bytes_that_are_not_zmtp_end_the_connection),
        TEST(a_header_that_is_too_large),
        TEST(a_frame_that_is_too_large),
        TEST(too_many_frames),
        TEST(messages_that_are_malformed),
        TEST(endless_frames_are_refused),
        TEST(after_a_refused_message_bytes_are_discarded_and_the_connection_ends),
        TEST(memory_grows_with_what_has_arrived),
        TEST(memory_of_requests_and_replies_is_limited),
        TEST(a_descriptor_belongs_to_its_message),
        TEST(a_descriptor_waits_for_the_rest_of_its_message),
        TEST(other_descriptors_are_closed),
        TEST(a_small_reply_is_sent_at_once),
        TEST(a_large_reply_is_sent_in_parts),
        TEST(a_large_reply_is_sent_in_turns),
        TEST(a_reply_to_a_closed_connection_is_dropped),
        TEST(the_connection_ends_after_the_reply_to_a_refused_message),
    };
    return cmocka_run_group_tests_name("engine_conn", tests, NULL, NULL);
}
