/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks with one or a few connections: endless, huge, slow and truncated messages. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

enum { STALL_MS = 3000, CLOSED_MS = 40000 };

/* Opens a connection; with a key, says hello, so that an engine has it. */
static void open_with(struct peer *p, const char *endpoint, const char *key, uint8_t *token)
{
    if (key)
        peer_hello(p, endpoint, key, token);
    else if (peer_open(p, endpoint) != 0)
        die("cannot connect to %s: %s", endpoint, strerror(errno));
}

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* --- endless --- */

/* Makes the beginning of an endless stream, 64 KiB or more. */
static void endless(struct bytes *b, const char *kind)
{
    static const uint8_t zeros[1000];
    while (b->n < 64 << 10) {
        if (strcmp(kind, "more") == 0)
            put_frame(b, MORE, zeros, sizeof zeros);
        else if (strcmp(kind, "empty") == 0)
            put_frame(b, MORE, "", 0);
        else if (strcmp(kind, "messages") == 0)
            put_frame(b, 0, "", 0);
        else if (strcmp(kind, "commands") == 0)
            put_command(b, "XYZZY", zeros, b->n % 200);
        else if (strcmp(kind, "pings") == 0)
            put_command(b, "PING", "\0\0sixteen bytes...", 18);
        else
            die("unknown kind of flood: %s", kind);
    }
}

static void flood(char **argv)
{
    const char *kind = argv[1];
    size_t total = strtoul(argv[2], NULL, 10) << 20, sent = 0;
    uint8_t token[TOKEN];
    struct peer p;
    struct bytes b = {0};
    int64_t since = now_ms();
    long n = 0;
    open_with(&p, argv[0], argv[3], token);
    endless(&b, kind);
    while (sent < total && n >= 0 && now_ms() - since < STALL_MS) {
        size_t at = sent % b.n;
        n = peer_send_now(&p, b.p + at, b.n - at);
        if (n > 0) {
            sent += (size_t)n;
            since = now_ms();
        } else if (n == 0) {
            sleep_ms(1);
        }
    }
    const char *end = n < 0 ? "closed" : sent < total ? "stalled" : "all sent";
    /* A connection with an endless message, or one of too many frames, must be closed. */
    if (strcmp(kind, "more") == 0 || strcmp(kind, "empty") == 0)
        if (peer_drain(&p, CLOSED_MS) != 0)
            fault("%s: the connection is still open", kind);
    printf("%s sent=%zu %s error=%s\n", kind, sent, end, p.error);
    bytes_free(&b);
    peer_close(&p);
}

/* N floods at once, each from its own process. */
int attack_flood(char **argv)
{
    int n = argv[3] && argv[4] ? atoi(argv[4]) : 1, status;
    for (int i = 0; i < n; i++)
        if (n > 1 && fork() == 0) {
            flood(argv);
            fflush(stdout);
            _exit(faults ? 1 : 0);
        }
    if (n == 1)
        flood(argv);
    while (wait(&status) > 0)
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            faults++;
    return 0;
}

/* --- huge --- */

int attack_huge(char **argv)
{
    static const uint64_t sizes[] = {(8 << 20) + 1, 1ull << 31, 1ull << 32,
                                     1ull << 60,    1ull << 63, UINT64_MAX};
    enum { SIZES = sizeof sizes / sizeof *sizes, PLACES = 5 };
    static const char *const places[PLACES] = {"READY", "delimiter", "header", "payload",
                                               "command"};
    struct peer peers[SIZES * PLACES];
    uint8_t token[TOKEN], some[100] = "";
    for (int i = 0; i < SIZES * PLACES; i++) {
        struct peer *p = &peers[i];
        struct bytes b = {0};
        int place = i % PLACES;
        if (place == 0) { /* during the handshake, where a key makes no difference */
            if (peer_connect(p, argv[0]) != 0)
                die("cannot connect to %s: %s", argv[0], strerror(errno));
            put_greeting(&b, 3, "NULL");
        } else {
            open_with(p, argv[0], argv[1], token);
        }
        if (place >= 2 && place < 4)
            put_frame(&b, MORE, "", 0);
        if (place == 3)
            put_frame(&b, MORE, "\x81\xa9operation\xa4ping", 16);
        put_head(&b, place == 0 || place == 4 ? COMMAND : MORE, sizes[i / PLACES]);
        put(&b, some, sizeof some);
        peer_send(p, &b); /* may fail: closed already */
        bytes_free(&b);
    }
    for (int i = 0; i < SIZES * PLACES; i++) {
        if (peer_drain(&peers[i], CLOSED_MS) != 0)
            fault("a %s of %llu bytes: the connection is still open", places[i % PLACES],
                  (unsigned long long)sizes[i / PLACES]);
        peer_close(&peers[i]);
    }
    printf("%d frames refused\n", SIZES * PLACES);
    return 0;
}

/* --- announced --- */

int attack_announce(char **argv)
{
    int n = atoi(argv[1]), open = 0;
    const char *key = argv[2];
    struct peer *peers = calloc((size_t)n, sizeof *peers);
    uint8_t token[TOKEN], some[32] = "";
    for (int i = 0; i < n; i++) {
        struct bytes b = {0}, h = {0};
        open_with(&peers[i], argv[0], key, token);
        if (key) {
            h = call_header("faiss_Index_ntotal", token, 9, 1);
            mp_uint(&h, 1);
        } else {
            put(&h, "\x81\xa9operation\xa4ping", 16);
        }
        put_frame(&b, MORE, "", 0);
        put_frame(&b, MORE, h.p, h.n);
        put_head(&b, 0, 8 << 20);
        put(&b, some, sizeof some);
        open += peer_send(&peers[i], &b) == 0;
        bytes_free(&b);
        bytes_free(&h);
    }
    printf("announced %d times\n", open);
    if (open < n)
        fault("%d could not be sent", n - open);
    hold();
    for (int i = 0; i < n; i++)
        peer_close(&peers[i]);
    free(peers);
    return 0;
}

/* --- slow --- */

static struct bytes opening(const char *key)
{
    struct bytes b = {0};
    put_greeting(&b, 3, "NULL");
    put_ready(&b, "DEALER", NULL, 0);
    put_hello(&b, key, 1);
    return b;
}

/* A slow client is served if it finishes in time. */
static void quick_bytes(const char *endpoint, const struct bytes *b)
{
    struct peer p;
    struct reply r;
    int one = 1;
    if (peer_connect(&p, endpoint) != 0)
        die("cannot connect to %s: %s", endpoint, strerror(errno));
    if (!p.local)
        setsockopt(p.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (size_t i = 0; i < b->n; i++)
        if (peer_send_raw(&p, b->p + i, 1) != 0)
            die("byte by byte: closed after %zu bytes (%s)", i, p.error);
    if (peer_recv(&p, &r, WAIT_MS) <= 0 || !reply_ok(&r))
        fault("byte by byte: no good reply (%s)", p.error);
    reply_free(&r);
    peer_close(&p);
}

int attack_slow(char **argv)
{
    enum { N = 50, STEP_MS = 250, GIVE_UP_MS = 60000 };
    struct bytes b = opening(argv[1]);
    struct peer peers[N];
    int open = N;
    int64_t end = now_ms() + GIVE_UP_MS;
    quick_bytes(argv[0], &b);
    for (int i = 0; i < N; i++)
        if (peer_connect(&peers[i], argv[0]) != 0)
            die("cannot connect to %s: %s", argv[0], strerror(errno));
    for (size_t at = 0; open && at < b.n && now_ms() < end; at++, sleep_ms(STEP_MS))
        for (int i = 0; i < N; i++)
            if (peers[i].fd >= 0 &&
                (peer_send_now(&peers[i], b.p + at, 1) < 0 || peer_drain(&peers[i], 0) == 0)) {
                peer_close(&peers[i]);
                open--;
            }
    if (open)
        fault("%d of %d slow openers were never closed", open, N);
    printf("slow closed=%d\n", N - open);
    for (int i = 0; i < N; i++)
        if (peers[i].fd >= 0)
            peer_close(&peers[i]);
    bytes_free(&b);
    return 0;
}

/* --- cut off --- */

static void cut(struct peer *p, const struct bytes *b, size_t n)
{
    peer_send_raw(p, b->p, n);
    if (n % 2)
        peer_reset(p);
    else
        peer_close(p);
}

int attack_cut(char **argv)
{
    struct bytes b = opening(argv[1]);
    struct peer p;
    for (size_t n = 0; n <= b.n; n++) {
        if (peer_connect(&p, argv[0]) != 0)
            die("cannot connect to %s: %s", argv[0], strerror(errno));
        cut(&p, &b, n);
    }
    size_t total = b.n;
    bytes_free(&b);
    /* The same on a connection of an engine. */
    uint8_t token[TOKEN];
    float *x = vectors(4, 1);
    for (size_t n = 0, size = 1; n <= size; n++, total++) {
        peer_hello(&p, argv[0], argv[1], token);
        put_factory(&b, token, 2);
        put_add(&b, token, 3, 1, x, 4);
        put_command(&b, "PING", "\0\0context", 9);
        size = b.n;
        cut(&p, &b, n);
        bytes_free(&b);
    }
    free(x);
    printf("cut %zu times\n", total);
    return 0;
}

int attack_storm(char **argv)
{
    int n = atoi(argv[1]);
    struct peer p;
    for (int i = 0; i < n; i++) {
        if (peer_connect(&p, argv[0]) != 0)
            die("cannot connect to %s: %s", argv[0], strerror(errno));
        if (i % 2)
            peer_reset(&p);
        else
            peer_close(&p);
    }
    printf("%d connections\n", n);
    return 0;
}
