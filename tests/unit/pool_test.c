/* SPDX-License-Identifier: Apache-2.0 */
/* The workers of an engine, without FAISS: handed-over connections, consecutive requests, and the
 * cost of idle connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "proto/zmtp.h"
#include "server/engine/engine.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/house.h"

static int front; /* the other end of the engine's link */

static void *run_house(void *link)
{
    fxe_house_run(*(int *)link);
    return NULL;
}

static int start_engine(void **state)
{
    static int ends[2];
    static struct fxs_handover ready;
    struct pollfd p;
    pthread_t t;
    int fd;
    (void)state;
    fxe_engine.options.tenant = "acme";
    fxe_engine.options.near = "ipc:///near";
    fxe_engine.options.previous = "signal 9, Killed";
    fxe_engine.options.threads = 2;
    fxe_engine.cores = 1;
    fxe_engine.options.lease = 1000;
    fxe_engine.max_pending = 64 << 20;
    fxe_engine.instance = 77;
    if (fxs_handover_pair(ends) != 0 || pthread_create(&t, NULL, run_house, &ends[1]) != 0)
        return -1;
    pthread_detach(t);
    front = ends[0];
    p = (struct pollfd){.fd = front, .events = POLLIN};
    return poll(&p, 1, 10000) == 1 && fxs_handover_recv(front, &ready, &fd) == 1 &&
                   ready.kind == FXS_READY
               ? 0
               : -1;
}

/* Hand over a connection, with n bytes that the front has read.  Returns the client's end. */
static int hand_over(const void *bytes, size_t n, int near)
{
    static struct fxs_handover h;
    struct timeval patience = {.tv_sec = 10};
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    setsockopt(fd[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    memset(&h, 0, sizeof(h));
    h.kind = FXS_CONNECTION;
    h.near = (uint32_t)near;
    strcpy(h.peer, "test");
    h.size = (uint32_t)n;
    memcpy(h.bytes, bytes, n);
    assert_int_equal(fxs_handover_send(front, &h, fd[0]), 0);
    close(fd[0]);
    return fd[1];
}

/* Write a request to `to`, with `session` unless it is NULL.  Returns its length. */
static size_t put_request(uint8_t *to, const char *operation, uint64_t id, const uint8_t *session)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    msgpack_sbuffer_init(&buf);
    msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 3 + !!session);
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, operation);
    fx_pack_str(&pk, "request_id");
    msgpack_pack_uint64(&pk, id);
    fx_pack_str(&pk, "protocol");
    msgpack_pack_int(&pk, FX_PROTOCOL);
    if (session) {
        fx_pack_str(&pk, "session");
        fx_pack_bin(&pk, session, FX_TOKEN_SIZE);
    }
    struct fx_zmtp_message m;
    struct fx_frame frame = {buf.data, buf.size};
    size_t n = 0;
    fx_zmtp_message(&m, &frame, 1);
    for (int i = 0; i < m.niov; i++) {
        memcpy(to + n, m.iov[i].iov_base, m.iov[i].iov_len);
        n += m.iov[i].iov_len;
    }
    msgpack_sbuffer_destroy(&buf);
    return n;
}

static void say(int fd, const char *operation, uint64_t id, const uint8_t *session)
{
    uint8_t b[300];
    size_t n = put_request(b, operation, id, session);
    assert_int_equal(send(fd, b, n, MSG_NOSIGNAL), n);
}

static void read_all(int fd, void *to, size_t n)
{
    assert_int_equal(recv(fd, to, n, MSG_WAITALL), n);
}

/* Receive the next reply, of one frame.  Its strings are valid until the next call. */
static struct fx_header *hear(int fd, uint64_t want_id)
{
    static struct fx_header h;
    static uint8_t body[4096];
    struct fx_zmtp_head head;
    uint8_t b[2 + FX_ZMTP_HEAD_MAX];
    const char *why = "";
    uint64_t id = 0;
    fx_header_free(&h);
    h = (struct fx_header){0};
    read_all(fd, b, 4);
    assert_memory_equal(b, "\1", 2);
    if (b[2] & FX_ZMTP_LONG)
        read_all(fd, b + 4, FX_ZMTP_HEAD_MAX - 2);
    assert_int_equal(fx_zmtp_head(b + 2, FX_ZMTP_HEAD_MAX, &head), 1);
    assert_int_equal(head.flags & ~FX_ZMTP_LONG, 0);
    assert_in_range(head.size, 1, sizeof(body));
    read_all(fd, body, head.size);
    if (fx_header_read(&h, body, head.size, &why) != 0)
        fail_msg("%s", why);
    assert_int_equal(fx_header_uint(&h, "request_id", &id), 1);
    assert_int_equal(id, want_id);
    return &h;
}

static void expect_ok(int fd, uint64_t id)
{
    assert_int_equal(fx_header_is(hear(fd, id), "status", "ok"), 1);
}

static void expect_error(int fd, uint64_t id, const char *kind)
{
    struct fx_header *h = hear(fd, id);
    assert_int_equal(fx_header_is(h, "status", "error"), 1);
    assert_int_equal(fx_header_is(h, "kind", kind), 1);
}

/* Send hello.  Returns the session's token. */
static const uint8_t *hello(int fd, uint8_t token[FX_TOKEN_SIZE])
{
    const char *s;
    size_t n;
    say(fd, "hello", 1, NULL);
    struct fx_header *h = hear(fd, 1);
    assert_int_equal(fx_header_str(h, "session", &s, &n), 1);
    assert_int_equal(n, FX_TOKEN_SIZE);
    memcpy(token, s, n);
    return token;
}

static void the_first_message_was_read_by_the_front(void **state)
{
    uint8_t b[300];
    size_t n = put_request(b, "ping", 5, NULL);
    (void)state;
    for (size_t have = 0; have <= n; have += have == 0 || have + 7 >= n ? 1 : 7) {
        int fd = hand_over(b, have, 0);
        if (have < n)
            assert_int_equal(send(fd, b + have, n - have, MSG_NOSIGNAL), n - have);
        expect_ok(fd, 5);
        close(fd);
    }
}

static void requests_in_a_row_are_answered_in_order(void **state)
{
    enum { CLIENTS = 8, COUNT = 40 };
    static uint8_t b[CLIENTS][COUNT * 100];
    int fd[CLIENTS];
    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        size_t n = 0;
        for (int j = 0; j < COUNT; j++)
            n += put_request(b[i] + n, j % 3 ? "ping" : "nonsense", 1000u * (unsigned)i + j, NULL);
        /* The front has read some bytes; the rest is in the socket. */
        size_t have = n < 500u * (unsigned)i ? n : 500u * (unsigned)i;
        fd[i] = hand_over(b[i], have, 0);
        assert_int_equal(send(fd[i], b[i] + have, n - have, MSG_NOSIGNAL), n - have);
    }
    for (int j = 0; j < COUNT; j++)
        for (int i = 0; i < CLIENTS; i++) {
            if (j % 3)
                expect_ok(fd[i], 1000u * (unsigned)i + j);
            else
                expect_error(fd[i], 1000u * (unsigned)i + j, "unsupported");
        }
    for (int i = 0; i < CLIENTS; i++)
        close(fd[i]);
}

static int64_t cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
           u.ru_stime.tv_usec;
}

/* No thread spins while the rest of a request is missing. */
static void half_a_request_costs_nothing(void **state)
{
    uint8_t b[600];
    size_t n = put_request(b, "ping", 1, NULL), all = n + put_request(b + n, "ping", 2, NULL);
    (void)state;
    for (size_t extra = 1; extra < 12; extra += 5) { /* part of a head, and part of a body */
        int fd[2];
        fd[0] = hand_over(b, n + extra, 0);
        fd[1] = hand_over("", 0, 0);
        assert_int_equal(send(fd[1], b, n + extra, MSG_NOSIGNAL), n + extra);
        for (int i = 0; i < 2; i++)
            expect_ok(fd[i], 1);
        usleep(20000);
        int64_t least = INT64_MAX; /* something else may be done in one of them */
        for (int i = 0; i < 3; i++) {
            int64_t before = cpu_us();
            usleep(100000);
            before = cpu_us() - before;
            least = before < least ? before : least;
        }
        assert_in_range(least, 0, 20000); /* a spinning thread would use far more */
        for (int i = 0; i < 2; i++) {
            assert_int_equal(send(fd[i], b + n + extra, all - n - extra, 0), all - n - extra);
            expect_ok(fd[i], 2);
            close(fd[i]);
        }
    }
}

static void hello_returns_the_session_and_versions(void **state)
{
    static const char *const here[] = {"protocol", "lease",   "table",
                                       "version",  "library", "faiss_version"};
    uint8_t token[FX_TOKEN_SIZE];
    uint64_t instance = 0;
    (void)state;
    for (int near = 0; near < 2; near++) {
        int fd = hand_over("", 0, near);
        say(fd, "hello", 9, NULL);
        struct fx_header *h = hear(fd, 9);
        for (size_t i = 0; i < sizeof(here) / sizeof(*here); i++)
            assert_non_null(fx_header_get(h, here[i]));
        assert_int_equal(fx_header_uint(h, "instance", &instance), 1);
        assert_int_equal(instance, 77);
        assert_int_equal(fx_header_is(h, "tenant", "acme"), 1);
        assert_int_equal(fx_header_is(h, "near", "ipc:///near"), near);
        hello(fd, token);
        say(fd, "bye", 2, token);
        expect_ok(fd, 2);
        close(fd);
    }
}

/* For an unknown session, an engine reports how the previous engine ended. */
static void a_lost_session_is_explained(void **state)
{
    int fd = hand_over("", 0, 0);
    (void)state;
    say(fd, "attach", 3, (const uint8_t *)"0123456789abcdef");
    struct fx_header *h = hear(fd, 3);
    assert_int_equal(fx_header_is(h, "kind", "session"), 1);
    assert_int_equal(fx_header_is(h, "tenant", "acme"), 1);
    assert_int_equal(fx_header_is(h, "previous", "signal 9, Killed"), 1);
    say(fd, "attach", 4, NULL);
    expect_error(fd, 4, "session");
    close(fd);
}

static size_t sessions(void)
{
    fxe_lock();
    size_t n = fxe_sessions_count();
    fxe_unlock();
    return n;
}

static int has_lease(const uint8_t *token)
{
    fxe_lock();
    struct fxe_session *s = fxe_session_find(token);
    int ending = s && s->ends_ms;
    fxe_unlock();
    return ending;
}

/* Wait until the session has a lease: the engine notices the end of a connection soon, but not at
 * once. */
static void expect_lease(const uint8_t *token)
{
    for (int i = 0; i < 1000 && !has_lease(token); i++)
        usleep(10000);
    assert_int_equal(has_lease(token), 1);
}

static bool exists(const uint8_t *token)
{
    fxe_lock();
    const struct fxe_session *s = fxe_session_find(token);
    fxe_unlock();
    return s != NULL;
}

static void a_session_lives_while_it_has_a_connection(void **state)
{
    uint8_t token[FX_TOKEN_SIZE];
    fxe_engine.options.lease = 60000; /* this test is not about its end */
    size_t before = sessions();       /* the leases of some may end meanwhile */
    int a = hand_over("", 0, 0), b = hand_over("", 0, 0);
    (void)state;
    hello(a, token);
    say(b, "attach", 2, token);
    expect_ok(b, 2);
    assert_true(exists(token) && sessions() <= before + 1);
    close(a);
    say(b, "attach", 3, token);
    expect_ok(b, 3);
    assert_int_equal(has_lease(token), 0);
    close(b);
    expect_lease(token);
    a = hand_over("", 0, 0);
    say(a, "attach", 4, token); /* before the lease ends */
    expect_ok(a, 4);
    assert_int_equal(has_lease(token), 0);
    /* A connection belongs to the session that its last request named. */
    uint8_t other[FX_TOKEN_SIZE];
    hello(a, other);
    expect_lease(token);
    assert_true(exists(token) && exists(other) && sessions() <= before + 2);
    say(a, "bye", 5, token);
    expect_ok(a, 5);
    say(a, "bye", 6, token);
    expect_error(a, 6, "session");
    say(a, "bye", 7, other);
    expect_ok(a, 7);
    for (int i = 0; i < 1000 && exists(other); i++) /* soon after the answer */
        usleep(10000);
    assert_true(!exists(token) && !exists(other));
    close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_message_was_read_by_the_front),
        cmocka_unit_test(requests_in_a_row_are_answered_in_order),
        cmocka_unit_test(half_a_request_costs_nothing),
        cmocka_unit_test(hello_returns_the_session_and_versions),
        cmocka_unit_test(a_lost_session_is_explained),
        cmocka_unit_test(a_session_lives_while_it_has_a_connection),
    };
    return cmocka_run_group_tests_name("pool", tests, start_engine, NULL);
}
