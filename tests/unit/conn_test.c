/* SPDX-License-Identifier: Apache-2.0 */
/* The client's ZMTP, with a real libzmq ROUTER and with peers that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/client/conn.h"

static char dir[] = "/tmp/fx-conn-XXXXXX";

static int64_t in_ms(int ms)
{
    return fx_now_ms() + ms;
}

/* A ROUTER in this process, and its client. */
struct pair {
    void *ctx, *router;
    char endpoint[128];
    struct fx_conn *c;
};

static void bind_router(struct pair *p, const char *where, int heartbeat)
{
    size_t len = sizeof(p->endpoint);
    p->c = NULL;
    assert_non_null(p->ctx = zmq_ctx_new());
    assert_non_null(p->router = zmq_socket(p->ctx, ZMQ_ROUTER));
    int linger = 0, hwm = 0, timeout = 10000;
    zmq_setsockopt(p->router, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_setsockopt(p->router, ZMQ_RCVHWM, &hwm, sizeof(hwm));
    zmq_setsockopt(p->router, ZMQ_SNDHWM, &hwm, sizeof(hwm));
    zmq_setsockopt(p->router, ZMQ_RCVTIMEO, &timeout, sizeof(timeout));
    zmq_setsockopt(p->router, ZMQ_HEARTBEAT_IVL, &heartbeat, sizeof(heartbeat));
    assert_int_equal(zmq_bind(p->router, where), 0);
    assert_int_equal(zmq_getsockopt(p->router, ZMQ_LAST_ENDPOINT, p->endpoint, &len), 0);
}

static void connect_client(struct pair *p)
{
    char err[300] = "";
    p->c = fx_conn_open(p->endpoint, NULL, in_ms(5000), err, sizeof(err));
    if (!p->c)
        fail_msg("%s", err);
}

static void close_pair(struct pair *p)
{
    fx_conn_close(p->c);
    if (p->router)
        zmq_close(p->router);
    zmq_ctx_term(p->ctx);
}

/* Receive one message at the router and send it back.  Returns the number of its frames after the
 * peer's identity. */
static int echo(void *router)
{
    int frames = -1, more = 1;
    while (more) {
        zmq_msg_t m;
        zmq_msg_init(&m);
        assert_int_not_equal(zmq_msg_recv(&m, router, 0), -1);
        more = zmq_msg_more(&m);
        if (frames == 0)
            assert_int_equal(zmq_msg_size(&m), 0); /* the delimiter */
        assert_int_not_equal(zmq_msg_send(&m, router, more ? ZMQ_SNDMORE : 0), -1);
        frames++;
    }
    return frames;
}

static void expect_frame(struct fx_conn *c, size_t want, int want_more)
{
    size_t size = 12345;
    int more = -1;
    int r = fx_conn_frame(c, &size, &more, in_ms(10000));
    if (r != 0)
        fail_msg("%d: %s", r, fx_conn_error(c));
    assert_int_equal(size, want);
    assert_int_equal(!!more, want_more);
}

static void expect_message(struct fx_conn *c, const struct fx_frame *f, int n)
{
    expect_frame(c, 0, 1);
    for (int i = 0; i < n; i++) {
        char *got = malloc(f[i].size + 1);
        expect_frame(c, f[i].size, i + 1 < n);
        assert_int_equal(fx_conn_read(c, got, f[i].size, in_ms(10000)), 0);
        assert_memory_equal(got, f[i].data, f[i].size);
        free(got);
    }
}

static void expect_error(struct fx_conn *c, int r, const char *text)
{
    assert_int_equal(r, -1);
    if (!strstr(fx_conn_error(c), text))
        fail_msg("'%s' does not say '%s'", fx_conn_error(c), text);
}

static char *pattern(size_t n)
{
    char *p = malloc(n + 1);
    uint32_t x = 2463534242u;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        p[i] = (char)x;
    }
    return p;
}

static void test_small(void **state)
{
    static const size_t sizes[] = {0, 1, 254, 255, 256, 257, 65535, 65536, 65537, 100001};
    struct pair *p = *state;
    char *data = pattern(100001);
    struct fx_frame f[10], one = {"x", 1};
    for (int i = 0; i < 10; i++)
        f[i] = (struct fx_frame){data, sizes[i]};
    assert_int_equal(fx_conn_send(p->c, f, 10, in_ms(5000)), 0);
    assert_int_equal(echo(p->router), 11);
    expect_message(p->c, f, 10);
    for (int i = 0; i < 10; i++) { /* each size alone, so as the last frame */
        assert_int_equal(fx_conn_send(p->c, f + i, 1, in_ms(5000)), 0);
        assert_int_equal(echo(p->router), 2);
        expect_message(p->c, f + i, 1);
    }
    assert_int_equal(fx_conn_send(p->c, &one, 1, INT64_MAX), 0);
    echo(p->router);
    expect_message(p->c, &one, 1);
    assert_string_equal(fx_conn_error(p->c), "");
    free(data);
}

static void test_large(void **state)
{
    struct pair *p = *state;
    char *data = pattern(8 << 20);
    struct fx_frame f[5] = {
        {"head", 4}, {data, 8 << 20}, {NULL, 0}, {data, (8 << 20) - 1}, {data, (4 << 20) + 1}};
    for (int round = 0; round < 3; round++) {
        assert_int_equal(fx_conn_send(p->c, f, 5, in_ms(20000)), 0);
        assert_int_equal(echo(p->router), 6);
        expect_message(p->c, f, 5);
    }
    free(data);
}

/* The body arrives complete in the caller's memory, and nothing around it is overwritten. */
static void test_guards(void **state)
{
    enum { SIZE = 3000001, GUARD = 64 };
    struct pair *p = *state;
    char *data = pattern(SIZE), *got = malloc(SIZE + 2 * GUARD);
    char guard[GUARD];
    struct fx_frame f[2] = {{data, SIZE}, {"end", 3}};
    memset(got, 0x5a, SIZE + 2 * GUARD);
    memset(guard, 0x5a, GUARD);
    assert_int_equal(fx_conn_send(p->c, f, 2, in_ms(20000)), 0);
    echo(p->router);
    expect_frame(p->c, 0, 1);
    expect_frame(p->c, SIZE, 1);
    size_t at = 0, step = 1;
    while (at < SIZE) {
        size_t n = step < SIZE - at ? step : SIZE - at;
        assert_int_equal(fx_conn_read(p->c, got + GUARD + at, n, in_ms(5000)), 0);
        at += n;
        step = step * 7 + 1;
        assert_true(at == SIZE || got[GUARD + at] == 0x5a); /* nothing is written early */
    }
    assert_memory_equal(got, guard, GUARD);
    assert_memory_equal(got + GUARD + SIZE, guard, GUARD);
    assert_memory_equal(got + GUARD, data, SIZE);
    expect_frame(p->c, 3, 0);
    assert_int_equal(fx_conn_skip(p->c, 2, in_ms(5000)), 0);
    assert_int_equal(fx_conn_read(p->c, got, 1, in_ms(5000)), 0);
    assert_int_equal(got[0], 'd');

    /* Skip all of a large body, and the rest of another. */
    assert_int_equal(fx_conn_send(p->c, f, 2, in_ms(20000)), 0);
    echo(p->router);
    expect_frame(p->c, 0, 1);
    expect_frame(p->c, SIZE, 1);
    assert_int_equal(fx_conn_read(p->c, got, 1000, in_ms(5000)), 0);
    assert_int_equal(fx_conn_skip(p->c, SIZE - 1000, in_ms(5000)), 0);
    expect_frame(p->c, 3, 0);
    free(got);
    free(data);
}

static void test_pipelined(void **state)
{
    enum { COUNT = 3000 };
    struct pair *p = *state;
    for (int i = 0; i < COUNT; i++) {
        struct fx_frame f[3] = {{&i, sizeof(i)}, {NULL, 0}, {p, (size_t)i % 300 % sizeof(*p)}};
        assert_int_equal(fx_conn_send(p->c, f, 3, in_ms(5000)), 0);
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(echo(p->router), 4);
    for (int i = 0; i < COUNT; i++) {
        struct fx_frame f[3] = {{&i, sizeof(i)}, {NULL, 0}, {p, (size_t)i % 300 % sizeof(*p)}};
        expect_message(p->c, f, 3);
    }
}

static void ignore(int sig)
{
    (void)sig;
}

/* After a deadline the connection is still usable, even if signals keep arriving. */
static void test_deadline(void **state)
{
    struct pair *p = *state;
    struct itimerval often = {{0, 3000}, {0, 3000}}, never = {{0, 0}, {0, 0}};
    struct sigaction sa = {.sa_handler = ignore};
    struct fx_frame f = {"late", 4};
    size_t size;
    int more;
    sigaction(SIGALRM, &sa, NULL);
    for (int round = 0; round < 2; round++) {
        static const int waits[] = {0, 40, 1150};
        setitimer(ITIMER_REAL, round ? &often : &never, NULL);
        for (int i = 0; i < 3; i++) {
            int64_t start = fx_now_ms();
            assert_int_equal(fx_conn_frame(p->c, &size, &more, start + waits[i]), FX_CONN_LATE);
            assert_in_range(fx_now_ms() - start, waits[i], waits[i] + 700);
        }
        setitimer(ITIMER_REAL, &never, NULL);
        assert_int_equal(fx_conn_frame(p->c, &size, &more, INT64_MIN), FX_CONN_LATE);
        assert_int_equal(fx_conn_is_dead(p->c), 0);
        assert_int_equal(fx_conn_send(p->c, &f, 1, in_ms(5000)), 0);
        echo(p->router);
        expect_message(p->c, &f, 1);
    }
}

static void test_peer_closes(void **state)
{
    struct pair *p = *state;
    struct fx_frame f = {"unread", 6};
    size_t size;
    int more, r = 0;
    assert_int_equal(fx_conn_is_dead(p->c), 0);
    assert_int_equal(fx_conn_send(p->c, &f, 1, in_ms(5000)), 0);
    echo(p->router);
    expect_frame(p->c, 0, 1); /* unread bytes must not hide the close */
    zmq_close(p->router);
    p->router = NULL;
    int64_t deadline = in_ms(5000);
    while (!fx_conn_is_dead(p->c) && fx_now_ms() < deadline)
        usleep(1000);
    assert_int_equal(fx_conn_is_dead(p->c), 1);
    expect_frame(p->c, 6, 0);
    assert_int_equal(fx_conn_skip(p->c, 6, in_ms(1000)), 0);
    r = fx_conn_frame(p->c, &size, &more, in_ms(5000));
    expect_error(p->c, r, "closed the connection");
    expect_error(p->c, fx_conn_send(p->c, &f, 1, in_ms(1000)), "closed the connection");
    expect_error(p->c, fx_conn_frame(p->c, &size, &more, in_ms(1000)), "closed");
}

/* A child's use of its copy of a connection does not affect its parent. */
static void test_fork(void **state)
{
    struct pair *p = *state;
    struct fx_frame f = {"still here", 10};
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        fx_conn_close(p->c);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(fx_conn_send(p->c, &f, 1, in_ms(5000)), 0);
    echo(p->router);
    expect_message(p->c, &f, 1);
}

static int setup_tcp(void **state)
{
    struct pair *p = *state = malloc(sizeof(*p));
    bind_router(p, "tcp://127.0.0.1:*", 0);
    connect_client(p);
    return 0;
}

static int setup_ipc(void **state)
{
    static int count;
    char where[100];
    struct pair *p = *state = malloc(sizeof(*p));
    snprintf(where, sizeof(where), "ipc://%s/%d", dir, count++);
    bind_router(p, where, 0);
    connect_client(p);
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    close_pair(p);
    if (strncmp(p->endpoint, "ipc://", 6) == 0)
        unlink(p->endpoint + 6); /* libzmq does not remove the path it was given */
    free(p);
    return 0;
}

static void test_abstract(void **state)
{
    struct pair p;
    char where[60];
    struct fx_frame f = {"hidden", 6};
    (void)state;
    snprintf(where, sizeof(where), "ipc://@fx-conn-test-%d", (int)getpid());
    bind_router(&p, where, 0);
    connect_client(&p);
    assert_int_equal(fx_conn_send(p.c, &f, 1, in_ms(5000)), 0);
    echo(p.router);
    expect_message(p.c, &f, 1);
    close_pair(&p);
}

/* A router that disconnects peers which do not answer its PINGs. */
static void test_heartbeat(void **state)
{
    struct pair p;
    struct fx_frame f = {"alive", 5};
    size_t size;
    int more;
    (void)state;
    bind_router(&p, "tcp://127.0.0.1:*", 50);
    connect_client(&p);
    assert_int_equal(fx_conn_frame(p.c, &size, &more, in_ms(400)), FX_CONN_LATE);
    assert_int_equal(fx_conn_send(p.c, &f, 1, in_ms(5000)), 0);
    echo(p.router);
    expect_message(p.c, &f, 1);
    close_pair(&p);
}

/* --- endpoints ------------------------------------------------------------------ */

static int listener(char *endpoint, size_t len)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    snprintf(endpoint, len, "tcp://127.0.0.1:%d", ntohs(a.sin_port));
    return fd;
}

static void expect_refusal(const char *endpoint, const char *why, int ms)
{
    char err[300] = "";
    struct fx_conn *c = fx_conn_open(endpoint, NULL, in_ms(ms), err, sizeof(err));
    assert_null(c);
    if (!strstr(err, endpoint) || !strstr(err, why))
        fail_msg("'%s' does not say '%s' and '%s'", err, endpoint, why);
}

static void test_endpoints(void **state)
{
    char endpoint[64], path[160], tiny[8] = "1234567";
    (void)state;
    close(listener(endpoint, sizeof(endpoint)));
    expect_refusal(endpoint, "refused", 2000);
    expect_refusal("http://127.0.0.1:1", "endpoint must begin with tcp:// or ipc://", 100);
    expect_refusal("", "endpoint must begin with tcp:// or ipc://", 100);
    expect_refusal("tcp://", "expected tcp://HOST:PORT", 100);
    expect_refusal("tcp://127.0.0.1", "expected tcp://HOST:PORT", 100);
    expect_refusal("tcp://:1", "expected tcp://HOST:PORT", 100);
    expect_refusal("tcp://127.0.0.1:", "expected tcp://HOST:PORT", 100);
    expect_refusal("tcp://127.0.0.1:0", "expected tcp://HOST:PORT", 100);
    expect_refusal("tcp://127.0.0.1:65536", "expected tcp://HOST:PORT", 100);
    expect_refusal("tcp://127.0.0.1:1x", "expected tcp://HOST:PORT", 100);
    expect_refusal("tcp://[::1:1", "expected tcp://HOST:PORT", 100);
    expect_refusal("ipc://", "the path is empty", 100);
    /* An invalid name, which no resolver looks up. */
    expect_refusal("tcp://no..such..host:1", "", 100);
    snprintf(path, sizeof(path), "ipc://%s/nobody", dir);
    expect_refusal(path, "No such file", 100);
    memset(path + 6, 'x', 150);
    path[156] = '\0';
    expect_refusal(path, "longer than", 100);
    assert_null(fx_conn_open("tcp://127.0.0.1:0", NULL, in_ms(10), tiny, 4));
    assert_string_equal(tiny + 4, "567"); /* the text stays within its bounds */

    /* A server that sends nothing; the kernel accepts the connection. */
    int fd = listener(endpoint, sizeof(endpoint));
    expect_refusal(endpoint, "timed out", 80);
    close(fd);
}

static void test_ipv6(void **state)
{
    char err[300] = "";
    (void)state;
    /* Nothing listens on port 1, if the machine has IPv6 at all. */
    assert_null(fx_conn_open("tcp://[::1]:1", NULL, in_ms(1000), err, sizeof(err)));
    assert_null(strstr(err, "expected"));
    assert_non_null(strstr(err, "tcp://[::1]:1"));
}

static void *web_server(void *arg)
{
    static const char page[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    int fd = accept(*(int *)arg, NULL, NULL);
    assert_int_equal(send(fd, page, sizeof(page) - 1, MSG_NOSIGNAL), sizeof(page) - 1);
    char drop[100];
    while (recv(fd, drop, sizeof(drop), 0) > 0) /* until the client closes, to avoid a reset */
        ;
    close(fd);
    return NULL;
}

static void test_web_server(void **state)
{
    char endpoint[64];
    pthread_t t;
    (void)state;
    int fd = listener(endpoint, sizeof(endpoint));
    pthread_create(&t, NULL, web_server, &fd);
    expect_refusal(endpoint, "not a ZeroMQ peer", 5000);
    pthread_join(t, NULL);
    close(fd);
}

/* --- scripted peers --------------------------------------------------------------- */

/* A connection whose peer has sent these bytes.  Stores the peer's end in *peer. */
static struct fx_conn *scripted(const void *bytes, size_t n, int *peer)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_int_equal(send(fd[1], bytes, n, 0), n);
    struct fx_conn *c = fx_conn_from_fd(fd[0]);
    assert_non_null(c);
    *peer = fd[1];
    return c;
}

static size_t greeting(uint8_t *to, int version, const char *mechanism, const char *then,
                       size_t then_len)
{
    memset(to, 0, 64);
    to[0] = 0xff;
    to[9] = 0x7f;
    to[10] = (uint8_t)version;
    memcpy(to + 12, mechanism, strlen(mechanism));
    memcpy(to + 64, then, then_len);
    return 64 + then_len;
}

#define LITERAL(s) (s), sizeof(s) - 1

static void check_handshake(const void *bytes, size_t n, const char *why)
{
    int peer;
    struct fx_conn *c = scripted(bytes, n, &peer);
    int r = fx_conn_handshake(c, NULL, in_ms(60));
    if (why)
        expect_error(c, r, why);
    else if (r != 0)
        fail_msg("%s", fx_conn_error(c));
    fx_conn_close(c);
    close(peer);
}

static void test_handshake(void **state)
{
    uint8_t b[600];
    size_t n;
    (void)state;
    check_handshake(LITERAL("SSH-2.0-OpenSSH_9.2\r\n"), "not a ZeroMQ peer");
    check_handshake(LITERAL("\xff"), "timed out");
    check_handshake(LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "not a ZeroMQ peer");
    n = greeting(b, 1, "NULL", "", 0);
    check_handshake(b, n, "too old");
    n = greeting(b, 3, "CURVE", "", 0);
    check_handshake(b, n, "mechanism");
    n = greeting(b, 3, "NULLIFY", "", 0);
    check_handshake(b, n, "mechanism");
    n = greeting(b, 3, "NULL", "", 0);
    check_handshake(b, n, "timed out");
    n = greeting(b, 3, "NULL", LITERAL("\4\34\5READY\13Socket-Type\0\0\0\6ROUTER"));
    check_handshake(b, n, NULL);
    check_handshake(b, n - 1, "timed out");
    n = greeting(b, 3, "NULL", LITERAL("\4\31\5READY\13socket-type\0\0\0\3REP"));
    check_handshake(b, n, NULL);
    n = greeting(b, 3, "NULL",
                 LITERAL("\4\7\6SUBMIT\4\43\5READY\1X\0\0\0\1y\13Socket-Type\0\0\0\6ROUTER"));
    check_handshake(b, n, NULL);
    n = greeting(b, 3, "NULL", LITERAL("\4\31\5READY\13Socket-Type\0\0\0\3PUB"));
    check_handshake(b, n, "not a ZeroMQ ROUTER");
    n = greeting(b, 3, "NULL", LITERAL("\4\6\5READY"));
    check_handshake(b, n, "bad READY");
    n = greeting(b, 3, "NULL", LITERAL("\4\31\5READY\13Socket-Type\0\0\0\4REP"));
    check_handshake(b, n, "bad READY");
    n = greeting(b, 3, "NULL", LITERAL("\4\31\5READY\377Socket-Type\0\0\0\3REP"));
    check_handshake(b, n, "bad READY");
    n = greeting(b, 3, "NULL", LITERAL("\4\20\5ERROR\11no \1 today"));
    check_handshake(b, n, "refused the connection: no ? toda");
    n = greeting(b, 3, "NULL", LITERAL("\0\1x"));
    check_handshake(b, n, "before READY");
    n = greeting(b, 3, "NULL", LITERAL("\6\0\0\0\0\0\1\0\0"));
    check_handshake(b, n, "claims 65536 bytes");
}

/* The client's own handshake: version 3.1, because it answers PING, and Socket-Type DEALER. */
static void test_own_greeting(void **state)
{
    static const char ready[] = "\4\51\5READY\13Socket-Type\0\0\0\6DEALER\10Identity\0\0\0";
    uint8_t b[600];
    int peer;
    (void)state;
    size_t n = greeting(b, 3, "NULL", LITERAL("\4\34\5READY\13Socket-Type\0\0\0\6ROUTER"));
    struct fx_conn *c = scripted(b, n, &peer);
    assert_int_equal(fx_conn_handshake(c, NULL, in_ms(1000)), 0);
    n = (size_t)recv(peer, b, sizeof(b), MSG_DONTWAIT);
    assert_int_equal(n, 64 + sizeof(ready));
    assert_memory_equal(b, "\xff\0\0\0\0\0\0\0\0\x7f\3\1NULL\0", 17);
    assert_memory_equal(b + 64, ready, sizeof(ready));
    fx_conn_close(c);
    close(peer);
}

static void test_commands(void **state)
{
    int peer, more;
    size_t size;
    char got[40];
    (void)state;
    /* Commands between the frames of a message are not passed on. */
    struct fx_conn *c = scripted(LITERAL("\4\0\1\0\4\11\4PING\0\1ab\4\3\2XX\0\2hi"
                                         "\4\7\4PING\0\1\0\3end"),
                                 &peer);
    expect_frame(c, 0, 1);
    expect_frame(c, 2, 0);
    assert_int_equal(fx_conn_read(c, got, 2, in_ms(1000)), 0);
    assert_memory_equal(got, "hi", 2);
    expect_frame(c, 3, 0);
    assert_int_equal(fx_conn_read(c, got, 3, in_ms(1000)), 0);
    assert_int_equal(recv(peer, got, sizeof(got), MSG_DONTWAIT), 9 + 7);
    assert_memory_equal(got, "\4\7\4PONGab\4\5\4PONG", 16);
    fx_conn_close(c);
    close(peer);

    c = scripted(LITERAL("\4\6\4PING\0"), &peer);
    expect_error(c, fx_conn_frame(c, &size, &more, in_ms(1000)), "bad PING");
    fx_conn_close(c);
    close(peer);
    c = scripted(LITERAL("\4\7\5ERROR\0"), &peer);
    expect_error(c, fx_conn_frame(c, &size, &more, in_ms(1000)), "no reason given");
    fx_conn_close(c);
    close(peer);
    c = scripted(LITERAL("\x10\0"), &peer);
    expect_error(c, fx_conn_frame(c, &size, &more, in_ms(1000)), "flags 0x10");
    fx_conn_close(c);
    close(peer);
    c = scripted(LITERAL("\5\0"), &peer);
    expect_error(c, fx_conn_frame(c, &size, &more, in_ms(1000)), "flags 0x05");
    fx_conn_close(c);
    close(peer);
    c = scripted(LITERAL("\2\xff\xff\xff\xff\xff\xff\xff\xff"), &peer);
    expect_error(c, fx_conn_frame(c, &size, &more, in_ms(1000)), "claims");
    assert_int_equal(fx_conn_is_dead(c), 1);
    fx_conn_close(c);
    close(peer);
    fx_conn_close(NULL);
}

/* After a timeout within a frame's head the call can be repeated; within a body, the connection is
 * unusable. */
static void test_stalls(void **state)
{
    int peer, more;
    size_t size;
    char got[4];
    (void)state;
    struct fx_conn *c = scripted(LITERAL("\2\0\0\0\0"), &peer);
    assert_int_equal(fx_conn_frame(c, &size, &more, in_ms(30)), FX_CONN_LATE);
    assert_int_equal(send(peer, "\0\0\0\4ab", 6, 0), 6);
    expect_frame(c, 4, 0);
    expect_error(c, fx_conn_read(c, got, 4, in_ms(30)), "timed out");
    fx_conn_close(c);
    close(peer);

    /* A peer that reads nothing. */
    char *data = calloc(8, 1 << 20);
    struct fx_frame f = {data, 8 << 20};
    c = scripted("", 0, &peer);
    int64_t start = fx_now_ms();
    expect_error(c, fx_conn_send(c, &f, 1, start + 100), "timed out");
    assert_in_range(fx_now_ms() - start, 100, 1500);
    fx_conn_close(c);
    close(peer);
    free(data);
}

static void test_misuse(void **state)
{
    int peer, more;
    size_t size;
    char got[40];
    struct fx_frame f[17];
    (void)state;
    for (int i = 0; i < 17; i++)
        f[i] = (struct fx_frame){"", 0};
    struct fx_conn *c = scripted(LITERAL("\0\4abcd"), &peer);
    expect_frame(c, 4, 0);
    expect_error(c, fx_conn_read(c, got, 5, in_ms(1000)), "5 bytes were to be read");
    fx_conn_close(c);
    close(peer);
    c = scripted(LITERAL("\0\4abcd\0\0"), &peer);
    expect_frame(c, 4, 0);
    expect_error(c, fx_conn_frame(c, &size, &more, in_ms(1000)), "was not read");
    fx_conn_close(c);
    close(peer);
    c = scripted("", 0, &peer);
    assert_int_equal(fx_conn_send(c, f, 16, in_ms(1000)), 0);
    assert_int_equal(recv(peer, got, sizeof(got), MSG_DONTWAIT), 34);
    expect_error(c, fx_conn_send(c, f, 17, in_ms(1000)), "17 frames");
    expect_error(c, fx_conn_send(c, f, 1, in_ms(1000)), "17 frames"); /* the first error is kept */
    fx_conn_close(c);
    close(peer);
    assert_null(fx_conn_from_fd(-1));
}

/* --- a network that delivers one byte at a time ----------------------------------- */

struct proxy {
    int client, server;
};

/* Copies in both directions until one side closes. */
static void *dribble(void *arg)
{
    struct proxy *x = arg;
    char b;
    for (;;) {
        struct pollfd p[2] = {{x->client, POLLIN, 0}, {x->server, POLLIN, 0}};
        poll(p, 2, -1);
        for (int i = 0; i < 2; i++) {
            if (!p[i].revents)
                continue;
            if (recv(p[i].fd, &b, 1, 0) != 1 || send(p[!i].fd, &b, 1, MSG_NOSIGNAL) != 1)
                return NULL;
        }
    }
}

static void test_byte_by_byte(void **state)
{
    struct pair p;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd[2];
    pthread_t t;
    (void)state;
    bind_router(&p, "tcp://127.0.0.1:*", 0);
    a.sin_port = htons((uint16_t)atoi(strrchr(p.endpoint, ':') + 1));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct proxy x = {fd[1], socket(AF_INET, SOCK_STREAM, 0)};
    assert_int_equal(connect(x.server, (struct sockaddr *)&a, sizeof(a)), 0);
    pthread_create(&t, NULL, dribble, &x);

    char *data = pattern(3000);
    struct fx_frame f[4] = {{"head", 4}, {data, 3000}, {NULL, 0}, {data, 255}};
    p.c = fx_conn_from_fd(fd[0]);
    assert_int_equal(fx_conn_handshake(p.c, NULL, in_ms(5000)), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fx_conn_send(p.c, f, 4, in_ms(5000)), 0);
        assert_int_equal(echo(p.router), 5);
        expect_message(p.c, f, 4);
    }
    fx_conn_close(p.c);
    p.c = NULL;
    pthread_join(t, NULL);
    close(x.client);
    close(x.server);
    close_pair(&p);
    free(data);
}

#define OVER(f, how) ((struct CMUnitTest){#f " over " #how, f, setup_##how, teardown, NULL})

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER(test_small, tcp),
        OVER(test_small, ipc),
        OVER(test_large, tcp),
        OVER(test_large, ipc),
        OVER(test_guards, tcp),
        OVER(test_guards, ipc),
        OVER(test_pipelined, tcp),
        OVER(test_pipelined, ipc),
        OVER(test_deadline, tcp),
        OVER(test_deadline, ipc),
        OVER(test_peer_closes, tcp),
        OVER(test_peer_closes, ipc),
        OVER(test_fork, tcp),
        OVER(test_fork, ipc),
        cmocka_unit_test(test_abstract),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_web_server),
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_own_greeting),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_stalls),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_byte_by_byte),
    };
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests_name("conn", tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
