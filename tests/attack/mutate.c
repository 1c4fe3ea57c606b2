/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that are nearly valid: requests of every kind, with changed bytes, numbers, types,
 * lengths or frames.  Six of ten keep the framing, and each must get one reply or end the
 * connection.  Three break the framing, one of them before the key is sent; they then close the
 * sending side, so that the server does not wait for more.  The same seed makes the same changes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "attack.h"
#include "recipes.h"

enum { SESSION_REQUESTS = 500, CLOSED_MS = 60000 };

struct run {
    const char *endpoint, *key;
    struct peer p;
    struct recipe_context c;
    int open;
    long in_session, at, ok, errors, faiss, closed;
};

static uint32_t below(uint32_t n)
{
    return n ? random32() % n : 0;
}

/* --- changes --- */

static const uint64_t numbers[] = {
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    31,
    32,
    127,
    128,
    255,
    256,
    65535,
    65536,
    1ull << 40,
    1ull << 59,
    (1ull << 59) + 2,
    (1ull << 60) + 1,
    1ull << 61,
    (1ull << 62) - 1,
    1ull << 62,
    INT64_MAX,
    1ull << 63,
    UINT64_MAX - 1,
    UINT64_MAX,
};

/* Replaces `old` bytes at offset `at` with n other bytes. */
static void splice(struct bytes *b, size_t at, size_t old, const void *p, size_t n)
{
    struct bytes tail = {0};
    put(&tail, b->p + at + old, b->n - at - old);
    b->n = at;
    put(b, p, n);
    put(b, tail.p, tail.n);
    bytes_free(&tail);
}

static void change_number(struct bytes *b, size_t at)
{
    struct bytes v = {0};
    uint64_t n = numbers[below(sizeof numbers / sizeof *numbers)];
    if (below(2))
        mp_uint(&v, n);
    else
        mp_int(&v, (int64_t)n);
    splice(b, at, 1, v.p, v.n);
    bytes_free(&v);
}

static void change(struct bytes *b)
{
    static const uint8_t types[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1,
                                    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb,
                                    0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd8,
                                    0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff};
    uint8_t noise[16];
    if (!b->n)
        return;
    size_t at = below((uint32_t)b->n), n = 1 + below(16), from = below((uint32_t)b->n);
    if (n > b->n - at)
        n = b->n - at;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)random32();
    switch (below(8)) {
    case 0:
        b->p[at] ^= (uint8_t)(1 << below(8));
        break;
    case 1:
        b->p[at] = noise[0];
        break;
    case 2:
        b->p[at] = types[below(sizeof types)];
        break;
    case 3:
        splice(b, at, n, "", 0);
        break;
    case 4:
        splice(b, at, 0, noise, n);
        break;
    case 5: { /* a copy of other bytes */
        struct bytes piece = {0};
        put(&piece, b->p + from, n < b->n - from ? n : b->n - from);
        splice(b, at, 0, piece.p, piece.n);
        bytes_free(&piece);
        break;
    }
    case 6:
        b->n = below(4) ? b->n : at;
        break;
    default: /* a small number, or bytes that look like one */
        for (size_t i = at; i < b->n; i++)
            if (b->p[i] < 0x80) {
                change_number(b, i);
                break;
            }
    }
}

/* Changes one of the arguments, which are at the end of the header. */
static void change_argument(struct recipe *r)
{
    if (r->nargs == 0)
        return;
    size_t at = r->args[below((uint32_t)r->nargs)];
    if (at < r->header.n)
        change_number(&r->header, at);
}

static void change_frames(struct recipe *r)
{
    static const uint8_t zeros[70000];
    uint32_t which = below(RECIPE_FRAMES);
    switch (below(5)) {
    case 0:
        r->nframes = (int)which;
        break;
    case 1:
        r->nframes = r->nframes < RECIPE_FRAMES ? r->nframes + 1 : 0;
        break;
    case 2:
        put(&r->frames[which], zeros, below(sizeof zeros));
        break;
    case 3:
        r->frames[which].n -= below((uint32_t)r->frames[which].n);
        break;
    default:
        if (r->payload_is_data)
            change(&r->frames[which]);
    }
}

/* --- connections --- */

static int attached(struct run *x)
{
    struct bytes b = {0};
    struct reply r;
    if (x->open && x->in_session < SESSION_REQUESTS)
        return 1;
    if (x->open) {
        recipe_bye(&x->c, &b);
        if (peer_send(&x->p, &b) == 0 && peer_recv(&x->p, &r, WAIT_MS) == 1)
            reply_free(&r);
        bytes_free(&b);
        peer_close(&x->p);
    }
    peer_hello(&x->p, x->endpoint, x->key, x->c.token);
    x->c.index = make_index(&x->p, x->c.token, 100, 1);
    x->open = 1;
    x->in_session = 0;
    return 1;
}

static void lost(struct run *x)
{
    peer_close(&x->p);
    x->open = 0;
    x->closed++;
}

/* Sends a request with valid framing: one reply must come, or the end of the connection. */
static void framed(struct run *x)
{
    struct recipe m = {0};
    struct bytes b = {0};
    struct reply r;
    char kind[16];
    attached(x);
    recipe_random(&m, &x->c);
    for (uint32_t n = 1 + below(2); n; n--) {
        uint32_t how = below(10);
        if (how < 4)
            change_argument(&m);
        else if (how < 8)
            change(&m.header);
        else
            change_frames(&m);
    }
    recipe_message(&m, &b);
    int rc = peer_send(&x->p, &b) == 0 ? peer_recv(&x->p, &r, WAIT_MS) : -1;
    if (rc == 0)
        die("request %ld (%s): no reply and no end", x->at, m.name);
    if (rc < 0) {
        lost(x);
    } else {
        x->ok += reply_ok(&r);
        x->errors += !reply_ok(&r);
        x->faiss += !reply_ok(&r) && reply_str(&r, "kind", kind, sizeof kind) < 0;
        reply_free(&r);
    }
    x->in_session++;
    bytes_free(&b);
    recipe_free(&m);
}

/* Sends the rest of the bytes and closes the sending side. */
static void finish(struct run *x, struct peer *p, struct bytes *b)
{
    peer_send(p, b);
    shutdown(p->fd, SHUT_WR);
    if (peer_drain(p, CLOSED_MS) != 0)
        fault("request %ld: the connection is still open", x->at);
    peer_close(p);
    bytes_free(b);
    x->closed++;
}

static void unframed(struct run *x)
{
    struct recipe m = {0};
    struct bytes b = {0}, first = {0};
    struct peer p;
    struct reply r;
    attached(x);
    recipe_random(&m, &x->c);
    recipe_message(&m, &b);
    for (uint32_t n = 1 + below(4); n; n--)
        change(&b);
    if (peer_open(&p, x->endpoint) != 0)
        die("request %ld: cannot connect: %s", x->at, strerror(errno));
    put_attach(&first, x->key, x->c.token, 1);
    peer_ask(&p, &first, &r);
    reply_free(&r);
    finish(x, &p, &b);
    recipe_free(&m);
    x->in_session++;
}

static void opening(struct run *x)
{
    struct bytes b = {0};
    struct peer p;
    put_greeting(&b, 3, "NULL");
    put_ready(&b, below(2) ? "DEALER" : "REQ", below(2) ? "id" : NULL, 2);
    if (below(2))
        put_command(&b, "PING", "\0\0context", 9);
    if (below(2))
        put_hello(&b, x->key, 1);
    else
        put_attach(&b, x->key, x->c.token, 1);
    put_simple(&b, "ping", NULL, 2);
    for (uint32_t n = 1 + below(4); n; n--)
        change(&b);
    if (peer_connect(&p, x->endpoint) != 0)
        die("request %ld: cannot connect: %s", x->at, strerror(errno));
    finish(x, &p, &b);
}

int attack_mutate(char **argv)
{
    long n = strtol(argv[2], NULL, 10);
    struct run x = {.endpoint = argv[0], .key = argv[1]};
    setenv("ATTACK_SEED", argv[3], 1);
    for (x.at = 0; x.at < n; x.at++) {
        uint32_t how = below(100);
        if (how < 60)
            framed(&x);
        else if (how < 90)
            unframed(&x);
        else
            opening(&x);
    }
    if (x.open)
        peer_close(&x.p);
    printf("requests=%ld seed=%s ok=%ld errors=%ld (%ld of FAISS) closed=%ld\n", n, argv[3], x.ok,
           x.errors, x.faiss, x.closed);
    return 0;
}
