/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that speak CURVE to a server, by the rules or not.
 *
 *     curve ENDPOINT SERVER-KEY CASE [FILE OF A SECRET KEY] [API KEY]
 *
 * ENDPOINT is tcp://ADDRESS:PORT or ipc://PATH.  Prints how the server has reacted, one line for
 * each step: "ok", the text of an error, or "closed".  The cases are in the table at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <msgpack.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/curve_keys.h"
#include "proto/sodium.h"
#include "proto/wire.h"
#include "proto/zmtp.h"

enum { ROOM = 64 << 10 };

static const char *endpoint, *api_key;
static struct fx_curve_keys keys;

/* A connection, and what was sent over it. */
struct peer {
    int fd;
    struct fx_curve_shake shake;
    struct fx_curve curve;
    uint8_t sent[ROOM];
    size_t nsent;
    int step; /* 0, or how many bytes to send at a time */
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "curve: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void dial(struct peer *p)
{
    struct timeval patience = {.tv_sec = 20};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET};
    char host[64];
    int port, rc;
    memset(p, 0, sizeof *p);
    if (sscanf(endpoint, "tcp://%63[^:]:%d", host, &port) == 2) {
        in.sin_port = htons((uint16_t)port);
        inet_pton(AF_INET, host, &in.sin_addr);
        p->fd = socket(AF_INET, SOCK_STREAM, 0);
        rc = connect(p->fd, (struct sockaddr *)&in, sizeof in);
    } else {
        snprintf(un.sun_path, sizeof un.sun_path, "%s", endpoint + strlen("ipc://"));
        p->fd = socket(AF_UNIX, SOCK_STREAM, 0);
        rc = connect(p->fd, (struct sockaddr *)&un, sizeof un);
    }
    if (rc != 0)
        die(endpoint);
    setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

static void put(struct peer *p, const void *data, size_t n)
{
    size_t step = p->step ? (size_t)p->step : n;
    if (p->nsent + n <= ROOM) {
        memcpy(p->sent + p->nsent, data, n);
        p->nsent += n;
    }
    for (size_t at = 0; at < n; at += step) {
        size_t part = n - at < step ? n - at : step;
        if (send(p->fd, (const uint8_t *)data + at, part, MSG_NOSIGNAL) < 0)
            return; /* what comes back tells */
        if (p->step)
            usleep(500);
    }
}

/* Reads n bytes.  Returns 0, or -1 if the server has closed the connection. */
static int get(struct peer *p, uint8_t *to, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t r = recv(p->fd, to + at, n - at, 0);
        if (r < 0 && errno == EAGAIN)
            die("no answer");
        if (r <= 0)
            return -1;
        at += (size_t)r;
    }
    return 0;
}

/* Reads a frame.  Returns its size, or -1. */
static ssize_t get_frame(struct peer *p, uint8_t *to, int *flags)
{
    uint8_t head[FX_ZMTP_HEAD_MAX];
    struct fx_zmtp_head h;
    if (get(p, head, 2) != 0)
        return -1;
    if (fx_zmtp_head(head, 2, &h) == 0 && get(p, head + 2, 7) != 0)
        return -1;
    if (fx_zmtp_head(head, sizeof head, &h) != 1 || h.size > ROOM || get(p, to, h.size) != 0)
        return -1;
    *flags = h.flags;
    return (ssize_t)h.size;
}

/* Prints an ERROR command, and "closed" if nothing follows it. */
static void show_error(const uint8_t *body, size_t n)
{
    const uint8_t *reason = fx_zmtp_command(body, &n, "ERROR");
    if (reason && n)
        printf("refused: %.*s\n", (int)n - 1, reason + 1);
    else
        puts("an unexpected frame");
}

static void greet(struct peer *p, enum fx_zmtp_mechanism mechanism)
{
    uint8_t b[FX_ZMTP_GREETING];
    fx_zmtp_greeting(b, mechanism, 0);
    put(p, b, sizeof b);
}

static int take_greeting(struct peer *p)
{
    uint8_t b[FX_ZMTP_GREETING];
    if (get(p, b, sizeof b) != 0) {
        puts("closed");
        return -1;
    }
    return 0;
}

static void put_hello(struct peer *p)
{
    uint8_t b[2 + FX_CURVE_HELLO];
    const char *why = "";
    fx_zmtp_put_head(b, FX_ZMTP_COMMAND, FX_CURVE_HELLO);
    if (fx_curve_put_hello(&p->shake, &keys, b + 2, &why) != 0)
        die(why);
    put(p, b, sizeof b);
}

static int take_welcome(struct peer *p)
{
    static uint8_t b[ROOM];
    const char *why = "";
    int flags;
    ssize_t n = get_frame(p, b, &flags);
    if (n < 0) {
        puts("closed");
        return -1;
    }
    if (fx_curve_take_welcome(&p->shake, b, (size_t)n, &why) != 0) {
        show_error(b, (size_t)n);
        return -1;
    }
    return 0;
}

static size_t make_initiate(struct peer *p, uint8_t *b)
{
    uint8_t metadata[FX_ZMTP_READY_MAX];
    const char *why = "";
    size_t n = fx_zmtp_metadata(metadata, "DEALER", 1);
    size_t head = fx_zmtp_put_head(b, FX_ZMTP_COMMAND, FX_CURVE_INITIATE + n);
    if (fx_curve_put_initiate(&p->shake, &keys, b + head, metadata, n, &why) != 0)
        die(why);
    return head + FX_CURVE_INITIATE + n;
}

static int take_ready(struct peer *p)
{
    static uint8_t b[ROOM];
    const char *why = "";
    int flags;
    ssize_t n = get_frame(p, b, &flags);
    size_t size = (size_t)n;
    if (n < 0) {
        puts("closed");
        return -1;
    }
    if (!fx_curve_take_ready(&p->shake, b, &size, &p->curve, &why)) {
        show_error(b, (size_t)n);
        return -1;
    }
    return 0;
}

static int shake_hands(struct peer *p)
{
    uint8_t b[512];
    greet(p, FX_ZMTP_CURVE);
    put_hello(p);
    if (take_greeting(p) != 0 || take_welcome(p) != 0)
        return -1;
    put(p, b, make_initiate(p, b));
    return take_ready(p);
}

/* Seals a request with an operation. */
static size_t make_request(struct peer *p, const char *operation, uint8_t *b)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    msgpack_sbuffer_init(&buf);
    msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 3 + !!api_key);
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, operation);
    fx_pack_str(&pk, "protocol");
    msgpack_pack_int(&pk, FX_PROTOCOL);
    fx_pack_str(&pk, "request_id");
    msgpack_pack_int(&pk, 7);
    if (api_key) {
        fx_pack_str(&pk, "api_key");
        fx_pack_str(&pk, api_key);
    }
    size_t n = fx_curve_seal(&p->curve, b, FX_CURVE_MORE, "", 0);
    n += fx_curve_seal(&p->curve, b + n, 0, buf.data, buf.size);
    msgpack_sbuffer_destroy(&buf);
    return n;
}

/* Reads a reply and prints it. */
static int show_reply(struct peer *p)
{
    static uint8_t b[ROOM];
    struct fx_curve_frame f;
    struct fx_header h = {0};
    const char *why = "", *text;
    size_t len;
    int flags = FX_CURVE_MORE, outer;
    for (int frame = 0; flags & FX_CURVE_MORE; frame++) {
        ssize_t n = get_frame(p, b, &outer);
        if (n < 0) {
            puts("closed");
            return -1;
        }
        if (n < FX_CURVE_BEGIN || fx_curve_open(&p->curve, &f, b, &flags, &why) != 0) {
            puts("a frame in the clear");
            return -1;
        }
        n -= FX_CURVE_BEGIN;
        fx_curve_open_more(&f, b + FX_CURVE_BEGIN, (size_t)n);
        if (fx_curve_opened(&f, &why) != 0) {
            puts(why);
            return -1;
        }
        if (flags & FX_CURVE_COMMAND) {
            puts("a command");
            return 0;
        }
        if (frame == 1) {
            if (fx_header_read(&h, b + FX_CURVE_BEGIN, (size_t)n, &why) != 0)
                puts(why);
            else if (fx_header_str(&h, "message", &text, &len))
                printf("error: %.*s\n", (int)len, text);
            else
                puts(fx_header_is(&h, "status", "ok") ? "ok" : "neither ok nor an error");
            fx_header_free(&h);
        }
    }
    return 0;
}

static int ask(struct peer *p, const char *operation)
{
    uint8_t b[1024];
    put(p, b, make_request(p, operation, b));
    return show_reply(p);
}

/* The server has had enough of it. */
static void show_end(struct peer *p)
{
    static uint8_t b[ROOM];
    ssize_t n;
    while ((n = recv(p->fd, b, sizeof b, 0)) > 0)
        puts("more bytes");
    puts(n < 0 && errno == EAGAIN ? "still open" : "closed");
}

/* --- cases --- */

static struct peer p, q;

/* With a request that the front hands over, the rest of the case is the engine's; else the front's.
 */
static const char *first;
static void connect_and_ask(void)
{
    dial(&p);
    if (shake_hands(&p) != 0)
        exit(1);
    if (first && ask(&p, first) != 0)
        exit(1);
}

static void well_behaved(void)
{
    connect_and_ask();
    ask(&p, "stats");
    ask(&p, "stats");
}

static void by_single_bytes(void)
{
    dial(&p);
    p.step = 1;
    if (shake_hands(&p) == 0) {
        ask(&p, "hello");
        ask(&p, "stats");
    }
}

/* INITIATE and three requests in one segment: the front opens the first and hands on the rest. */
static void in_one_segment(void)
{
    uint8_t b[8192];
    static const uint8_t of_client[] = "CurveZMQMESSAGEC";
    dial(&p);
    greet(&p, FX_ZMTP_CURVE);
    put_hello(&p);
    if (take_greeting(&p) != 0 || take_welcome(&p) != 0)
        return;
    size_t n = make_initiate(&p, b);
    fx_sodium()->subkey(p.curve.out.key, of_client, p.shake.shared, NULL);
    p.curve.out.nonce = p.shake.nonce;
    n += make_request(&p, "hello", b + n);
    n += make_request(&p, "stats", b + n);
    n += make_request(&p, "stats", b + n);
    put(&p, b, n);
    uint64_t nonce = p.curve.out.nonce;
    if (take_ready(&p) == 0) {
        p.curve.out.nonce = nonce;
        for (int i = 0; i < 3; i++)
            show_reply(&p);
    }
}

static void ping(void)
{
    uint8_t b[200], frame[FX_ZMTP_PING];
    connect_and_ask();
    fx_zmtp_ping(frame);
    put(&p, b, fx_curve_seal(&p.curve, b, FX_CURVE_COMMAND, frame + 2, sizeof frame - 2));
    show_reply(&p);
    ask(&p, "stats");
}

static void clear_message(void)
{
    connect_and_ask();
    put(&p, "\1\0\0\5hello", 9);
    show_end(&p);
}

static void clear_ping(void)
{
    connect_and_ask();
    put(&p, "\4\7\4PING\0\0", 9);
    show_end(&p);
}

static void repeated(void)
{
    uint8_t b[1024];
    connect_and_ask();
    size_t n = make_request(&p, "ping", b);
    put(&p, b, n);
    show_reply(&p);
    put(&p, b, n);
    show_end(&p);
}

static void swapped(void)
{
    uint8_t b[1024], c[1024];
    connect_and_ask();
    size_t n = make_request(&p, "ping", b), m = make_request(&p, "ping", c);
    put(&p, c, m);
    show_reply(&p);
    put(&p, b, n);
    show_end(&p);
}

/* The nonce of one frame counts on to the next one. */
static void same_nonce(void)
{
    uint8_t b[1024];
    connect_and_ask();
    size_t n = fx_curve_seal(&p.curve, b, FX_CURVE_MORE, "", 0);
    p.curve.out.nonce--;
    n += fx_curve_seal(&p.curve, b + n, 0, "x", 1);
    put(&p, b, n);
    show_end(&p);
}

static void changed(void)
{
    uint8_t b[1024];
    connect_and_ask();
    size_t n = make_request(&p, "stats", b);
    b[n - 1] ^= 1;
    put(&p, b, n);
    show_end(&p);
}

/* A large frame whose end is wrong: the engine has read most of it into the request's memory. */
static void changed_large(void)
{
    enum { BIG = 3 << 20 };
    uint8_t *b = malloc(BIG + 200), *data = calloc(1, BIG);
    connect_and_ask();
    size_t n = fx_curve_seal(&p.curve, b, FX_CURVE_MORE, "", 0);
    put(&p, b, n);
    n = make_request(&p, "stats", b); /* delimiter and header; the header says that more follows */
    p.curve.out.nonce -= 2;
    n = fx_curve_seal(&p.curve, b, FX_CURVE_MORE, "\x81\xa9operation\xa5stats", 17);
    n += fx_curve_seal(&p.curve, b + n, 0, data, BIG);
    b[n - 1] ^= 1;
    put(&p, b, n);
    show_end(&p);
    free(b);
    free(data);
}

static void cut(void)
{
    uint8_t b[1024];
    for (int i = 1; i < 60; i += 6) {
        connect_and_ask();
        put(&p, b, make_request(&p, "stats", b) - (size_t)i);
        shutdown(p.fd, SHUT_WR);
        show_end(&p);
        close(p.fd);
    }
}

static void reflected(void)
{
    uint8_t b[1024];
    ssize_t n;
    connect_and_ask();
    put(&p, b, make_request(&p, "ping", b));
    usleep(200000);
    if ((n = recv(p.fd, b, sizeof b, 0)) > 0)
        put(&p, b, (size_t)n);
    show_end(&p);
}

/* Sends once more, over another connection, all that a client has sent. */
static void recorded(void)
{
    connect_and_ask();
    dial(&q);
    greet(&q, FX_ZMTP_CURVE);
    put(&q, p.sent + FX_ZMTP_GREETING, 2 + FX_CURVE_HELLO);
    take_greeting(&q);
    uint8_t b[2 + FX_CURVE_WELCOME];
    if (get(&q, b, sizeof b) != 0) {
        puts("closed");
        return;
    }
    size_t at = FX_ZMTP_GREETING + 2 + FX_CURVE_HELLO;
    put(&q, p.sent + at, p.nsent - at);
    int flags;
    ssize_t n = get_frame(&q, b, &flags);
    if (n < 0)
        puts("closed");
    else
        show_error(b, (size_t)n);
    ask(&p, "stats"); /* the client whose messages they were is not disturbed */
}

static void initiate_first(void)
{
    uint8_t b[512];
    int flags;
    dial(&p);
    greet(&p, FX_ZMTP_CURVE);
    take_greeting(&p);
    memset(&p.shake, 1, sizeof p.shake);
    fx_sodium()->keypair(p.shake.own_public, p.shake.own_secret);
    fx_sodium()->keypair(p.shake.peer, b);
    put(&p, b, make_initiate(&p, b));
    ssize_t n = get_frame(&p, b, &flags);
    if (n < 0)
        puts("closed");
    else
        show_error(b, (size_t)n);
}

static void hello_twice(void)
{
    dial(&p);
    greet(&p, FX_ZMTP_CURVE);
    put_hello(&p);
    if (take_greeting(&p) != 0 || take_welcome(&p) != 0)
        return;
    put_hello(&p);
    take_welcome(&p);
}

static void only_hello(void)
{
    dial(&p);
    greet(&p, FX_ZMTP_CURVE);
    put_hello(&p);
    if (take_greeting(&p) == 0 && take_welcome(&p) == 0)
        puts("welcome");
}

/* A greeting with CURVE, and then the handshake and a request as of the mechanism NULL. */
static void as_null_after_curve(void)
{
    uint8_t b[FX_ZMTP_READY_MAX];
    dial(&p);
    greet(&p, FX_ZMTP_CURVE);
    put(&p, b, fx_zmtp_ready(b, "DEALER", 1));
    if (take_greeting(&p) == 0)
        take_welcome(&p);
}

/* The mechanism NULL: does the server take it? */
static void null(void)
{
    uint8_t b[512];
    int flags;
    dial(&p);
    greet(&p, FX_ZMTP_NULL);
    put(&p, b, fx_zmtp_ready(b, "DEALER", 1));
    if (take_greeting(&p) != 0)
        return;
    ssize_t n = get_frame(&p, b, &flags);
    size_t size = (size_t)n;
    if (n < 0)
        puts("closed");
    else if (fx_zmtp_command(b, &size, "READY"))
        puts("ready");
    else
        show_error(b, (size_t)n);
}

static void large_first(void)
{
    uint8_t b[16000], data[8000] = {0};
    dial(&p);
    if (shake_hands(&p) != 0)
        return;
    size_t n = fx_curve_seal(&p.curve, b, FX_CURVE_MORE, "", 0);
    n += fx_curve_seal(&p.curve, b + n, 0, data, sizeof data);
    put(&p, b, n);
    show_reply(&p);
}

/* Connections that stop at each step, many of them: what a stranger can hold. */
static void held(void)
{
    enum { MANY = 800 };
    static struct peer some[MANY];
    int open = 0;
    for (int i = 0; i < MANY; i++) {
        dial(&some[i]);
        greet(&some[i], FX_ZMTP_CURVE);
        if (i % 3)
            put_hello(&some[i]);
        if (i % 3 == 2 && take_greeting(&some[i]) == 0 && take_welcome(&some[i]) == 0)
            open++;
    }
    printf("%d\n", open);
    fflush(stdout);
    getchar();
}

static const struct {
    const char *name, *first;
    void (*run)(void);
} cases[] = {
    {"well-behaved", "hello", well_behaved},
    {"by-single-bytes", NULL, by_single_bytes},
    {"in-one-segment", NULL, in_one_segment},
    {"ping-front", NULL, ping},
    {"ping-engine", "hello", ping},
    {"clear-front", NULL, clear_message},
    {"clear-engine", "hello", clear_message},
    {"clear-ping-front", NULL, clear_ping},
    {"clear-ping-engine", "hello", clear_ping},
    {"repeated-front", NULL, repeated},
    {"repeated-engine", "hello", repeated},
    {"swapped-front", NULL, swapped},
    {"swapped-engine", "hello", swapped},
    {"same-nonce-front", NULL, same_nonce},
    {"same-nonce-engine", "hello", same_nonce},
    {"changed-front", NULL, changed},
    {"changed-engine", "hello", changed},
    {"changed-large", "hello", changed_large},
    {"cut-front", NULL, cut},
    {"cut-engine", "hello", cut},
    {"reflected-front", NULL, reflected},
    {"reflected-engine", "hello", reflected},
    {"recorded", "hello", recorded},
    {"initiate-first", NULL, initiate_first},
    {"hello-twice", NULL, hello_twice},
    {"only-hello", NULL, only_hello},
    {"as-null-after-curve", NULL, as_null_after_curve},
    {"null", NULL, null},
    {"large-first", NULL, large_first},
    {"held", NULL, held},
};

int main(int argc, char **argv)
{
    char why[400];
    const char *file = argc > 4 && *argv[4] ? argv[4] : NULL;
    if (argc < 4 || fx_curve_keys_configure(&keys, argv[2], file, why, sizeof why) != 1) {
        fprintf(stderr, "curve: %s\n", argc < 4 ? "see the head of its source" : why);
        return 2;
    }
    endpoint = argv[1];
    api_key = argc > 5 ? argv[5] : NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].name, argv[3]) == 0) {
            first = cases[i].first;
            cases[i].run();
            return 0;
        }
    fprintf(stderr, "curve: there is no case '%s'\n", argv[3]);
    return 2;
}
