/* SPDX-License-Identifier: Apache-2.0 */
/* CURVE: keys as text, the handshake and the messages, alone and with libzmq as the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/client/conn.h"
#include "proto/curve_keys.h"
#include "proto/sodium.h"
#include "proto/zmtp.h"

static void make_keys(struct fx_curve_keys *k)
{
    char why[300];
    assert_int_equal(fx_curve_keys_load(k, NULL, why, sizeof why), 0);
}

/* Client and server, each with its keys. */
struct sides {
    struct fx_curve_keys client, server;
    struct fx_curve_shake c, s;
    struct fx_curve at_client, at_server;
};

static void set_sides(struct sides *t)
{
    memset(t, 0, sizeof *t);
    make_keys(&t->client);
    make_keys(&t->server);
    memcpy(t->client.server, t->server.own_public, FX_CURVE_KEY);
}

static const uint8_t meta_of_client[] = "metadata of the client",
                     meta_of_server[] = "of the server";
enum { C_META = sizeof meta_of_client, S_META = sizeof meta_of_server };

/* The commands of a handshake. */
struct commands {
    uint8_t hello[FX_CURVE_HELLO], welcome[FX_CURVE_WELCOME];
    uint8_t initiate[FX_CURVE_INITIATE + C_META], ready[FX_CURVE_READY + S_META];
};

/* Each step is done; returns the step that failed, from 1, or 0. */
static int shake_hands(struct sides *t, struct commands *m, const char **why)
{
    uint8_t copy[sizeof m->initiate], who[FX_CURVE_KEY];
    size_t n;
    const uint8_t *metadata;
    assert_int_equal(fx_curve_put_hello(&t->c, &t->client, m->hello, why), 0);
    if (fx_curve_take_hello(&t->s, &t->server, m->hello, sizeof m->hello, why) != 0)
        return 1;
    fx_curve_put_welcome(&t->s, m->welcome);
    if (fx_curve_take_welcome(&t->c, m->welcome, sizeof m->welcome, why) != 0)
        return 2;
    assert_int_equal(
        fx_curve_put_initiate(&t->c, &t->client, m->initiate, meta_of_client, C_META, why), 0);
    memcpy(copy, m->initiate, sizeof copy);
    n = sizeof copy;
    if (!(metadata = fx_curve_take_initiate(&t->s, &t->server, copy, &n, who, why)))
        return 3;
    assert_int_equal(n, C_META);
    assert_memory_equal(metadata, meta_of_client, n);
    assert_memory_equal(who, t->client.own_public, FX_CURVE_KEY);
    fx_curve_put_ready(&t->s, m->ready, meta_of_server, S_META, &t->at_server);
    memcpy(copy, m->ready, sizeof m->ready);
    n = sizeof m->ready;
    if (!(metadata = fx_curve_take_ready(&t->c, copy, &n, &t->at_client, why)))
        return 4;
    assert_int_equal(n, S_META);
    assert_memory_equal(metadata, meta_of_server, n);
    return 0;
}

static void both_sides_get_the_same_keys(void **state)
{
    struct sides t;
    struct commands m;
    const char *why = NULL;
    (void)state;
    set_sides(&t);
    assert_int_equal(shake_hands(&t, &m, &why), 0);
    assert_memory_equal(t.at_client.out.key, t.at_server.in.key, FX_CURVE_KEY);
    assert_memory_equal(t.at_client.in.key, t.at_server.out.key, FX_CURVE_KEY);
    assert_memory_not_equal(t.at_client.in.key, t.at_client.out.key, FX_CURVE_KEY);
    assert_int_equal(t.at_client.out.nonce, t.at_server.in.nonce);
    assert_int_equal(t.at_client.in.nonce, t.at_server.out.nonce);
}

static void a_client_with_another_server_key_is_refused(void **state)
{
    struct sides t;
    struct commands m;
    const char *why = NULL;
    (void)state;
    set_sides(&t);
    memcpy(t.client.server, t.client.own_public, FX_CURVE_KEY);
    assert_int_equal(shake_hands(&t, &m, &why), 1);
    assert_non_null(strstr(why, "another key"));
}

static void a_server_without_its_key_is_refused(void **state)
{
    struct sides t;
    struct fx_curve_keys other;
    struct commands m;
    const char *why = NULL;
    (void)state;
    set_sides(&t);
    make_keys(&other);
    assert_int_equal(fx_curve_put_hello(&t.c, &t.client, m.hello, &why), 0);
    assert_int_equal(fx_curve_take_hello(&t.s, &t.server, m.hello, sizeof m.hello, &why), 0);
    /* An impostor knows HELLO, but not the server's secret. */
    fx_sodium()->shared(t.s.shared, t.s.peer, other.own_secret);
    fx_curve_put_welcome(&t.s, m.welcome);
    assert_int_equal(fx_curve_take_welcome(&t.c, m.welcome, sizeof m.welcome, &why), -1);
    assert_non_null(strstr(why, "does not have the key"));
}

static void keys_that_fix_the_secret_are_refused(void **state)
{
    static const uint8_t zero[FX_CURVE_KEY], one[FX_CURVE_KEY] = {1};
    struct sides t;
    struct commands m;
    const char *why = NULL;
    (void)state;
    for (int i = 0; i < 2; i++) {
        set_sides(&t);
        memcpy(t.client.server, i ? one : zero, FX_CURVE_KEY);
        assert_int_equal(fx_curve_put_hello(&t.c, &t.client, m.hello, &why), -1);
        set_sides(&t);
        assert_int_equal(fx_curve_put_hello(&t.c, &t.client, m.hello, &why), 0);
        memcpy(m.hello + 80, i ? one : zero, FX_CURVE_KEY);
        assert_int_equal(fx_curve_take_hello(&t.s, &t.server, m.hello, sizeof m.hello, &why), -1);
    }
}

static void an_initiate_of_another_connection_is_refused(void **state)
{
    struct sides t;
    struct commands first, second;
    const char *why = NULL;
    uint8_t who[FX_CURVE_KEY];
    size_t n = sizeof first.initiate;
    (void)state;
    set_sides(&t);
    assert_int_equal(shake_hands(&t, &first, &why), 0);
    /* All of a client's commands are recorded, and sent once more. */
    assert_int_equal(fx_curve_take_hello(&t.s, &t.server, first.hello, sizeof first.hello, &why),
                     0);
    fx_curve_put_welcome(&t.s, second.welcome);
    assert_null(fx_curve_take_initiate(&t.s, &t.server, first.initiate, &n, who, &why));
    assert_non_null(strstr(why, "cookie"));
}

static void a_vouch_of_another_client_is_refused(void **state)
{
    struct sides t;
    struct fx_curve_keys other;
    struct commands m;
    const char *why = NULL;
    uint8_t who[FX_CURVE_KEY];
    size_t n = sizeof m.initiate;
    (void)state;
    set_sides(&t);
    make_keys(&other);
    assert_int_equal(fx_curve_put_hello(&t.c, &t.client, m.hello, &why), 0);
    assert_int_equal(fx_curve_take_hello(&t.s, &t.server, m.hello, sizeof m.hello, &why), 0);
    fx_curve_put_welcome(&t.s, m.welcome);
    assert_int_equal(fx_curve_take_welcome(&t.c, m.welcome, sizeof m.welcome, &why), 0);
    /* It claims a public key without having its secret one. */
    memcpy(t.client.own_public, other.own_public, FX_CURVE_KEY);
    assert_int_equal(
        fx_curve_put_initiate(&t.c, &t.client, m.initiate, meta_of_client, C_META, &why), 0);
    assert_null(fx_curve_take_initiate(&t.s, &t.server, m.initiate, &n, who, &why));
    assert_non_null(strstr(why, "prove"));
}

/* Every bit of each command matters, and so does its length. */
static void changed_and_cut_commands_are_refused(void **state)
{
    struct sides t, u;
    struct commands m, bad;
    const char *why = NULL;
    uint8_t who[FX_CURVE_KEY];
    size_t n;
    (void)state;
    set_sides(&t);
    assert_int_equal(fx_curve_put_hello(&t.c, &t.client, m.hello, &why), 0);
    for (size_t i = 0; i < sizeof m.hello; i++) {
        if (i >= 8 && i < 80)
            continue; /* padding */
        bad = m;
        bad.hello[i] ^= (uint8_t)(1 << i % 8);
        /* The top bit of a public key means nothing. */
        if (i != 80 + 31 || i % 8 != 7)
            assert_int_equal(
                fx_curve_take_hello(&t.s, &t.server, bad.hello, sizeof bad.hello, &why), -1);
    }
    for (size_t k = 0; k < sizeof m.hello; k++)
        assert_int_equal(fx_curve_take_hello(&t.s, &t.server, m.hello, k, &why), -1);
    assert_int_equal(fx_curve_take_hello(&t.s, &t.server, m.hello, sizeof m.hello, &why), 0);
    fx_curve_put_welcome(&t.s, m.welcome);
    for (size_t i = 0; i < sizeof m.welcome; i++) {
        u = t;
        bad = m;
        bad.welcome[i] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(fx_curve_take_welcome(&u.c, bad.welcome, sizeof bad.welcome, &why), -1);
        assert_int_equal(fx_curve_take_welcome(&u.c, m.welcome, i, &why), -1);
    }
    assert_int_equal(fx_curve_take_welcome(&t.c, m.welcome, sizeof m.welcome, &why), 0);
    assert_int_equal(
        fx_curve_put_initiate(&t.c, &t.client, m.initiate, meta_of_client, C_META, &why), 0);
    for (size_t i = 0; i < sizeof m.initiate; i++) {
        u = t;
        bad = m;
        bad.initiate[i] ^= (uint8_t)(1 << i % 8);
        n = sizeof bad.initiate;
        assert_null(fx_curve_take_initiate(&u.s, &u.server, bad.initiate, &n, who, &why));
        u = t;
        bad = m;
        n = i;
        assert_null(fx_curve_take_initiate(&u.s, &u.server, bad.initiate, &n, who, &why));
    }
    n = sizeof m.initiate;
    assert_non_null(fx_curve_take_initiate(&t.s, &t.server, m.initiate, &n, who, &why));
    fx_curve_put_ready(&t.s, m.ready, meta_of_server, S_META, &t.at_server);
    for (size_t i = 0; i < sizeof m.ready; i++) {
        u = t;
        bad = m;
        bad.ready[i] ^= (uint8_t)(1 << i % 8);
        n = sizeof bad.ready;
        assert_null(fx_curve_take_ready(&u.c, bad.ready, &n, &u.at_client, &why));
        u = t;
        bad = m;
        n = i;
        assert_null(fx_curve_take_ready(&u.c, bad.ready, &n, &u.at_client, &why));
    }
}

/* --- messages --- */

/* Opens the frame at p, in pieces of `step` bytes.  Returns its data's size, or -1. */
static ssize_t open_frame(struct fx_curve *c, uint8_t *p, size_t have, size_t step, int *flags,
                          size_t *used, const char **why)
{
    struct fx_curve_frame f;
    struct fx_zmtp_head h;
    assert_int_equal(fx_zmtp_head(p, have, &h), 1);
    assert_true(h.len + h.size <= have);
    size_t n = h.size - FX_CURVE_BEGIN;
    uint8_t *data = p + h.len + FX_CURVE_BEGIN;
    if (fx_curve_open(c, &f, p + h.len, flags, why) != 0)
        return -1;
    for (size_t at = 0; at < n; at += step)
        fx_curve_open_more(&f, data + at, n - at < step ? n - at : step);
    if (fx_curve_opened(&f, why) != 0)
        return -1;
    memmove(p, data, n);
    *used = h.len + h.size;
    return (ssize_t)n;
}

static void connect_sides(struct sides *t)
{
    struct commands m;
    const char *why = NULL;
    set_sides(t);
    assert_int_equal(shake_hands(t, &m, &why), 0);
}

/* What one side seals is what libsodium's own box is, and what the other side opens. */
static void frames_are_opened_as_they_were_sealed(void **state)
{
    static const size_t sizes[] = {0, 1, 30, 31, 32, 33, 63, 95, 96, 255, 4096, 70000, 300001};
    struct sides t;
    const char *why = NULL;
    (void)state;
    connect_sides(&t);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i], used;
        uint8_t *data = malloc(n + 1), *sealed = malloc(n + 9 + FX_CURVE_BEGIN);
        for (size_t j = 0; j < n; j++)
            data[j] = (uint8_t)(j * 7 + i);
        for (size_t step = 1; step < 200000; step = step * 5 + 1) {
            int flags = -1;
            size_t len = fx_curve_seal(&t.at_client, sealed, FX_CURVE_MORE, data, n);
            assert_int_equal(open_frame(&t.at_server, sealed, len, step, &flags, &used, &why), n);
            assert_int_equal(used, len);
            assert_int_equal(flags, FX_CURVE_MORE);
            assert_memory_equal(sealed, data, n);
        }
        free(data);
        free(sealed);
    }
}

static void changed_messages_and_old_nonces_are_refused(void **state)
{
    struct sides t, u;
    const char *why = NULL;
    uint8_t first[200], second[200], bad[200];
    int flags;
    size_t used;
    (void)state;
    connect_sides(&t);
    size_t n = fx_curve_seal(&t.at_client, first, 0, "hello", 5);
    size_t m = fx_curve_seal(&t.at_client, second, 0, "world", 5);
    for (size_t i = 2; i < n; i++) {
        u = t;
        memcpy(bad, first, n);
        bad[i] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(open_frame(&u.at_server, bad, n, 8, &flags, &used, &why), -1);
    }
    /* In another order: the second one is opened, and the first one is late. */
    u = t;
    memcpy(bad, second, m);
    assert_int_equal(open_frame(&u.at_server, bad, m, 8, &flags, &used, &why), 5);
    memcpy(bad, first, n);
    assert_int_equal(open_frame(&u.at_server, bad, n, 8, &flags, &used, &why), -1);
    assert_non_null(strstr(why, "nonce"));
    /* The same one again. */
    u = t;
    memcpy(bad, first, n);
    assert_int_equal(open_frame(&u.at_server, bad, n, 8, &flags, &used, &why), 5);
    memcpy(bad, first, n);
    assert_int_equal(open_frame(&u.at_server, bad, n, 8, &flags, &used, &why), -1);
    assert_non_null(strstr(why, "nonce"));
    /* Sent back to the one who made it. */
    u = t;
    u.at_client.in.nonce = 0;
    memcpy(bad, first, n);
    assert_int_equal(open_frame(&u.at_client, bad, n, 8, &flags, &used, &why), -1);
}

static void the_last_nonce_is_not_passed(void **state)
{
    struct sides t;
    struct fx_curve_message m;
    struct fx_frame frame = {"x", 1};
    uint8_t sealed[100];
    (void)state;
    connect_sides(&t);
    t.at_client.out.nonce = UINT64_MAX - 1;
    assert_true(fx_curve_seal(&t.at_client, sealed, 0, "x", 1) > 0);
    assert_int_equal(fx_curve_seal(&t.at_client, sealed, 0, "x", 1), 0);
    assert_int_equal(fx_curve_message(&m, &frame, 1, NULL, 0, 1000), 0);
    assert_int_equal(fx_curve_message_next(&t.at_client, &m), -1);
    fx_curve_message_end(&m);
}

/* Messages of several frames, sealed with buffers of several sizes. */
static void messages_are_sealed_in_parts(void **state)
{
    static const size_t rooms[] = {100, 101, 1000, 5000, 1 << 20};
    static uint8_t data[20000], all[3 * sizeof data];
    struct fx_frame frames[] = {{data, 10}, {data, sizeof data}, {data, 0}, {data, 150}};
    struct fx_curve_message m;
    struct sides t;
    const char *why = NULL;
    (void)state;
    connect_sides(&t);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 11);
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        size_t n = 0, used = 0;
        int rc, flags;
        assert_int_equal(fx_curve_message(&m, frames, 4, NULL, 0, rooms[i]), 0);
        size_t left = fx_curve_message_left(&m);
        while ((rc = fx_curve_message_next(&t.at_client, &m)) == 1) {
            assert_true(m.to <= rooms[i]);
            memcpy(all + n, m.buf, m.to);
            n += m.to;
            assert_true(fx_curve_message_left(&m) <= left + 5 * (9 + FX_CURVE_BEGIN));
        }
        assert_int_equal(rc, 0);
        fx_curve_message_end(&m);
        uint8_t *p = all;
        for (int f = -1; f < 4; f++) {
            size_t want = f < 0 ? 0 : frames[f].size;
            assert_int_equal(
                open_frame(&t.at_server, p, (size_t)(all + n - p), 777, &flags, &used, &why), want);
            assert_int_equal(flags, f < 3 ? FX_CURVE_MORE : 0);
            assert_memory_equal(p, data, want);
            p += used;
        }
        assert_ptr_equal(p, all + n);
    }
}

/* --- keys as text --- */

static void keys_are_written_as_libzmq_writes_them(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        char text[FX_CURVE_TEXT + 1], theirs[FX_CURVE_TEXT + 1], secret[FX_CURVE_TEXT + 1];
        uint8_t key[FX_CURVE_KEY], back[FX_CURVE_KEY];
        assert_int_equal(zmq_curve_keypair(theirs, secret), 0);
        assert_int_equal(fx_curve_key_parse(theirs, FX_CURVE_TEXT, key), 0);
        assert_non_null(zmq_z85_decode(back, theirs));
        assert_memory_equal(key, back, sizeof key);
        fx_curve_key_text(key, text);
        assert_string_equal(text, theirs);
    }
}

static void texts_that_are_no_keys_are_refused(void **state)
{
    char text[FX_CURVE_TEXT + 2];
    uint8_t key[FX_CURVE_KEY];
    (void)state;
    memset(text, '#', sizeof text);
    assert_int_equal(fx_curve_key_parse(text, FX_CURVE_TEXT, key), -1); /* more than 32 bits */
    memset(text, '0', sizeof text);
    assert_int_equal(fx_curve_key_parse(text, FX_CURVE_TEXT, key), 0);
    assert_int_equal(fx_curve_key_parse(text, FX_CURVE_TEXT - 1, key), -1);
    assert_int_equal(fx_curve_key_parse(text, FX_CURVE_TEXT + 1, key), -1);
    for (int c = 0; c < 256; c++) {
        text[7] = (char)c;
        int valid = c && strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                ".-:+=^!/*?&<>()[]{}@%$#",
                                c) != NULL;
        assert_int_equal(fx_curve_key_parse(text, FX_CURVE_TEXT, key), valid ? 0 : -1);
    }
}

static void files_of_secret_keys_are_read_if_others_cannot(void **state)
{
    char path[] = "/tmp/fx-curve-XXXXXX", text[FX_CURVE_TEXT + 1], why[300];
    struct fx_curve_keys k, back;
    int fd = mkstemp(path);
    (void)state;
    make_keys(&k);
    fx_curve_key_text(k.own_secret, text);
    dprintf(fd, "# a comment\n\n%s\r\n", text);
    assert_int_equal(fx_curve_keys_load(&back, path, why, sizeof why), 0);
    assert_memory_equal(&back, &k, 2 * FX_CURVE_KEY);
    static const mode_t refused[] = {0604, 0602, 0620, 0666, 0601};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        fchmod(fd, refused[i]);
        assert_int_equal(fx_curve_keys_load(&back, path, why, sizeof why), -1);
        assert_non_null(strstr(why, "chmod 600"));
    }
    fchmod(fd, 0640);
    assert_int_equal(fx_curve_keys_load(&back, path, why, sizeof why), 0);
    assert_int_equal(ftruncate(fd, 20), 0);
    assert_int_equal(fx_curve_keys_load(&back, path, why, sizeof why), -1);
    assert_non_null(strstr(why, "40 characters"));
    assert_null(strstr(why, text));
    close(fd);
    unlink(path);
    assert_int_equal(fx_curve_keys_load(&back, path, why, sizeof why), -1);
}

static void settings_of_a_client_are_checked(void **state)
{
    struct fx_curve_keys k;
    char why[400], text[FX_CURVE_TEXT + 1];
    (void)state;
    make_keys(&k);
    fx_curve_key_text(k.own_public, text);
    assert_int_equal(fx_curve_keys_configure(&k, NULL, NULL, why, sizeof why), 0);
    assert_int_equal(fx_curve_keys_configure(&k, "", "", why, sizeof why), 0);
    assert_int_equal(fx_curve_keys_configure(&k, text, NULL, why, sizeof why), 1);
    assert_int_equal(fx_curve_keys_configure(&k, NULL, "/f", why, sizeof why), -1);
    assert_non_null(strstr(why, "FAISSX_CURVE_SERVER_KEY is not"));
    assert_int_equal(fx_curve_keys_configure(&k, "abc", NULL, why, sizeof why), -1);
    assert_non_null(strstr(why, "FAISSX_CURVE_SERVER_KEY (3 characters) must be"));
    assert_int_equal(fx_curve_keys_configure(&k, text, "/nonexistent/f", why, sizeof why), -1);
    assert_non_null(strstr(why, "FAISSX_CURVE_KEY_FILE is '/nonexistent/f'"));
}

/* --- with libzmq --- */

struct zmq_server {
    void *ctx, *router;
    char endpoint[128];
    struct fx_curve_keys keys; /* of the client */
};

static void start_zmq(struct zmq_server *z)
{
    char public_key[41], secret_key[41];
    int one = 1, zero = 0, wait = 10000, interval = 5;
    size_t len = sizeof z->endpoint;
    make_keys(&z->keys);
    assert_int_equal(zmq_curve_keypair(public_key, secret_key), 0);
    assert_int_equal(fx_curve_key_parse(public_key, 40, z->keys.server), 0);
    assert_non_null(z->ctx = zmq_ctx_new());
    assert_non_null(z->router = zmq_socket(z->ctx, ZMQ_ROUTER));
    zmq_setsockopt(z->router, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(z->router, ZMQ_RCVTIMEO, &wait, sizeof wait);
    zmq_setsockopt(z->router, ZMQ_SNDHWM, &zero, sizeof zero);
    zmq_setsockopt(z->router, ZMQ_HEARTBEAT_IVL, &interval, sizeof interval);
    zmq_setsockopt(z->router, ZMQ_HEARTBEAT_TIMEOUT, &wait, sizeof wait);
    assert_int_equal(zmq_setsockopt(z->router, ZMQ_CURVE_SERVER, &one, sizeof one), 0);
    assert_int_equal(zmq_setsockopt(z->router, ZMQ_CURVE_SECRETKEY, secret_key, 41), 0);
    assert_int_equal(zmq_bind(z->router, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(z->router, ZMQ_LAST_ENDPOINT, z->endpoint, &len), 0);
}

static void stop_zmq(struct zmq_server *z)
{
    zmq_close(z->router);
    zmq_ctx_term(z->ctx);
}

/* Receives a message of the client at libzmq's ROUTER, and sends it back. */
static void echo(struct zmq_server *z)
{
    for (int more = 1; more;) {
        zmq_msg_t m;
        zmq_msg_init(&m);
        assert_int_not_equal(zmq_msg_recv(&m, z->router, 0), -1);
        more = zmq_msg_more(&m);
        assert_int_not_equal(zmq_msg_send(&m, z->router, more ? ZMQ_SNDMORE : 0), -1);
    }
}

static void *echo_many(void *z)
{
    for (int i = 0; i < 12; i++)
        echo(z);
    return NULL;
}

static int64_t soon(void)
{
    return fx_now_ms() + 10000;
}

/* Frames of all sizes go to libzmq and come back, read whole, in pieces or not at all; libzmq's
 * PINGs, one every 5 ms, are answered, and it answers ours. */
static void the_client_speaks_to_libzmq_as_the_server(void **state)
{
    static const size_t sizes[] = {0, 1, 300, 65000, 65495, 65536, 70000, 5 << 20, 9 << 20};
    struct zmq_server z;
    pthread_t thread;
    char err[300] = "";
    (void)state;
    start_zmq(&z);
    struct fx_conn *c = fx_conn_open(z.endpoint, &z.keys, soon(), err, sizeof err);
    if (!c)
        fail_msg("%s", err);
    assert_int_equal(pthread_create(&thread, NULL, echo_many, &z), 0);
    char *data = malloc(9 << 20), *got = malloc(9 << 20);
    for (size_t i = 0; i < 9 << 20; i++)
        data[i] = (char)(i * 13 / 5);
    for (int round = 0; round < 12; round++) {
        size_t big = sizes[round % 9], size = 1;
        int more = 0;
        struct fx_frame frames[] = {{"header", 6}, {data, big}, {"end", 3}};
        assert_int_equal(fx_conn_send(c, frames, 3, soon()), 0);
        if (round % 3 == 0)
            assert_int_equal(fx_conn_ping(c, soon()), 0);
        int64_t pause = fx_now_ms() + 12;
        while (fx_now_ms() < pause) /* PINGs come meanwhile */
            usleep(1000);
        if (fx_conn_frame(c, &size, &more, soon()) != 0)
            fail_msg("round %d: %s", round, fx_conn_error(c));
        assert_int_equal(size, 0);
        assert_true(more);
        for (int f = 0; f < 3; f++) {
            if (fx_conn_frame(c, &size, &more, soon()) != 0)
                fail_msg("round %d frame %d: %s", round, f, fx_conn_error(c));
            assert_int_equal(size, frames[f].size);
            assert_int_equal(!!more, f < 2);
            size_t step = round % 2 ? size : size / 3 + 1, at = 0;
            for (; at < size && round % 4 != 3; at += step)
                assert_int_equal(
                    fx_conn_read(c, got + at, size - at < step ? size - at : step, soon()), 0);
            if (round % 4 == 3)
                assert_int_equal(fx_conn_skip(c, size, soon()), 0);
            else
                assert_memory_equal(got, frames[f].data, size);
        }
    }
    pthread_join(thread, NULL);
    free(data);
    free(got);
    fx_conn_close(c);
    stop_zmq(&z);
}

static void expect_no_connection(struct zmq_server *z, const struct fx_curve_keys *keys,
                                 const char *what)
{
    char err[300] = "";
    assert_null(fx_conn_open(z->endpoint, keys, fx_now_ms() + 1000, err, sizeof err));
    if (!strstr(err, what))
        fail_msg("'%s' does not say '%s'", err, what);
}

static void there_is_no_connection_to_libzmq_without_its_key(void **state)
{
    struct zmq_server z;
    struct fx_curve_keys wrong;
    (void)state;
    start_zmq(&z);
    wrong = z.keys;
    memcpy(wrong.server, wrong.own_public, FX_CURVE_KEY);
    expect_no_connection(&z, &wrong, "closed the connection");
    expect_no_connection(&z, NULL, "closed the connection");
    stop_zmq(&z);
}

/* A server that does not encrypt gets HELLO at most: the client does not fall back to NULL. */
static void a_client_of_curve_does_not_speak_to_a_server_of_null(void **state)
{
    struct zmq_server z;
    size_t len = sizeof z.endpoint;
    (void)state;
    start_zmq(&z);
    zmq_close(z.router);
    assert_non_null(z.router = zmq_socket(z.ctx, ZMQ_ROUTER));
    assert_int_equal(zmq_bind(z.router, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(z.router, ZMQ_LAST_ENDPOINT, z.endpoint, &len), 0);
    expect_no_connection(&z, &z.keys, "closed the connection");
    stop_zmq(&z);
}

/* --- a server that misbehaves after the handshake --- */

/* The client's connection, and the other end, whose keys the test has. */
struct pair {
    struct fx_conn *c;
    int fd;
    struct sides t;
};

static void take_bytes(int fd, void *to, size_t n)
{
    assert_int_equal(recv(fd, to, n, MSG_WAITALL), n);
}

static void *shake_as_server(void *arg)
{
    struct pair *p = arg;
    uint8_t b[512], who[FX_CURVE_KEY], metadata[FX_ZMTP_READY_MAX];
    const char *why;
    struct fx_zmtp_head h;
    fx_zmtp_greeting(b, FX_ZMTP_CURVE, 1);
    assert_int_equal(send(p->fd, b, FX_ZMTP_GREETING, 0), FX_ZMTP_GREETING);
    take_bytes(p->fd, b, FX_ZMTP_GREETING);
    take_bytes(p->fd, b, 2 + FX_CURVE_HELLO);
    assert_int_equal(fx_curve_take_hello(&p->t.s, &p->t.server, b + 2, FX_CURVE_HELLO, &why), 0);
    fx_zmtp_put_head(b, FX_ZMTP_COMMAND, FX_CURVE_WELCOME);
    fx_curve_put_welcome(&p->t.s, b + 2);
    assert_int_equal(send(p->fd, b, 2 + FX_CURVE_WELCOME, 0), 2 + FX_CURVE_WELCOME);
    take_bytes(p->fd, b, 9);
    assert_int_equal(fx_zmtp_head(b, 9, &h), 1);
    take_bytes(p->fd, b, h.size);
    size_t n = h.size;
    assert_non_null(fx_curve_take_initiate(&p->t.s, &p->t.server, b, &n, who, &why));
    n = fx_zmtp_metadata(metadata, "ROUTER", 0);
    fx_zmtp_put_head(b, FX_ZMTP_COMMAND, FX_CURVE_READY + n);
    fx_curve_put_ready(&p->t.s, b + 2, metadata, n, &p->t.at_server);
    assert_int_equal(send(p->fd, b, 2 + FX_CURVE_READY + n, 0), 2 + FX_CURVE_READY + n);
    return NULL;
}

static void open_pair(struct pair *p)
{
    pthread_t thread;
    int fd[2];
    set_sides(&p->t);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    p->fd = fd[1];
    assert_non_null(p->c = fx_conn_from_fd(fd[0]));
    assert_int_equal(pthread_create(&thread, NULL, shake_as_server, p), 0);
    if (fx_conn_handshake(p->c, &p->t.client, soon()) != 0)
        fail_msg("%s", fx_conn_error(p->c));
    pthread_join(thread, NULL);
}

static void close_pair(struct pair *p)
{
    fx_conn_close(p->c);
    close(p->fd);
}

static void expect_failure(struct pair *p, const char *what)
{
    size_t size;
    int more;
    assert_int_equal(fx_conn_frame(p->c, &size, &more, soon()), -1);
    if (!strstr(fx_conn_error(p->c), what))
        fail_msg("'%s' does not say '%s'", fx_conn_error(p->c), what);
    assert_int_equal(fx_conn_frame(p->c, &size, &more, soon()), -1); /* for good */
}

static void a_server_that_breaks_the_rules_is_left(void **state)
{
    struct pair p;
    uint8_t b[300];
    size_t size, n;
    int more;
    (void)state;
    open_pair(&p); /* a message in the clear */
    assert_int_equal(send(p.fd, "\1\0\0\5hello", 9, 0), 9);
    expect_failure(&p, "without CURVE's MESSAGE");
    close_pair(&p);

    open_pair(&p); /* a command in the clear */
    assert_int_equal(send(p.fd, "\4\7\4PING\0\0", 9, 0), 9);
    expect_failure(&p, "without CURVE's MESSAGE");
    close_pair(&p);

    open_pair(&p); /* the same message twice */
    n = fx_curve_seal(&p.t.at_server, b, 0, "hello", 5);
    assert_int_equal(send(p.fd, b, n, 0), n);
    assert_int_equal(send(p.fd, b, n, 0), n);
    assert_int_equal(fx_conn_frame(p.c, &size, &more, soon()), 0);
    assert_int_equal(size, 5);
    assert_int_equal(fx_conn_skip(p.c, 5, soon()), 0);
    expect_failure(&p, "nonce");
    close_pair(&p);

    open_pair(&p); /* a changed one */
    n = fx_curve_seal(&p.t.at_server, b, 0, "hello", 5);
    b[n - 1] ^= 1;
    assert_int_equal(send(p.fd, b, n, 0), n);
    expect_failure(&p, "changed");
    close_pair(&p);

    open_pair(&p); /* one that ends early */
    n = fx_curve_seal(&p.t.at_server, b, 0, "hello", 5);
    assert_int_equal(send(p.fd, b, n - 1, 0), n - 1);
    shutdown(p.fd, SHUT_WR);
    expect_failure(&p, "closed the connection");
    close_pair(&p);

    open_pair(&p); /* a command of any size */
    memset(b, 0, sizeof b);
    n = fx_curve_seal(&p.t.at_server, b, FX_CURVE_COMMAND, "\5ERROR\3bad", 10);
    assert_int_equal(send(p.fd, b, n, 0), n);
    expect_failure(&p, "refused the connection: bad");
    close_pair(&p);
}

/* Of a large frame that is not genuine, nothing is given out: not even its genuine beginning. */
static void nothing_of_a_large_frame_is_used_before_it_was_found_genuine(void **state)
{
    enum { BIG = 200000 };
    static char data[BIG], got[BIG];
    (void)state;
    for (int pieces = 0; pieces < 2; pieces++) {
        struct pair p;
        size_t size;
        int more;
        open_pair(&p);
        int room = 2 * BIG;
        setsockopt(p.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        memset(data, 'd', BIG);
        memset(got, 'g', BIG);
        uint8_t *b = malloc(BIG + 100);
        size_t n = fx_curve_seal(&p.t.at_server, b, 0, data, BIG);
        b[n - 1] ^= 1;
        assert_int_equal(send(p.fd, b, n, 0), n);
        assert_int_equal(fx_conn_frame(p.c, &size, &more, soon()), 0);
        assert_int_equal(size, BIG);
        assert_int_equal(fx_conn_read(p.c, got, pieces ? 1000 : BIG, soon()), -1);
        assert_non_null(strstr(fx_conn_error(p.c), "changed"));
        for (int i = 0; i < BIG; i++)
            assert_int_not_equal(got[i], 'd');
        free(b);
        close_pair(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_get_the_same_keys),
        cmocka_unit_test(a_client_with_another_server_key_is_refused),
        cmocka_unit_test(a_server_without_its_key_is_refused),
        cmocka_unit_test(keys_that_fix_the_secret_are_refused),
        cmocka_unit_test(an_initiate_of_another_connection_is_refused),
        cmocka_unit_test(a_vouch_of_another_client_is_refused),
        cmocka_unit_test(changed_and_cut_commands_are_refused),
        cmocka_unit_test(frames_are_opened_as_they_were_sealed),
        cmocka_unit_test(changed_messages_and_old_nonces_are_refused),
        cmocka_unit_test(the_last_nonce_is_not_passed),
        cmocka_unit_test(messages_are_sealed_in_parts),
        cmocka_unit_test(keys_are_written_as_libzmq_writes_them),
        cmocka_unit_test(texts_that_are_no_keys_are_refused),
        cmocka_unit_test(files_of_secret_keys_are_read_if_others_cannot),
        cmocka_unit_test(settings_of_a_client_are_checked),
        cmocka_unit_test(the_client_speaks_to_libzmq_as_the_server),
        cmocka_unit_test(there_is_no_connection_to_libzmq_without_its_key),
        cmocka_unit_test(a_client_of_curve_does_not_speak_to_a_server_of_null),
        cmocka_unit_test(a_server_that_breaks_the_rules_is_left),
        cmocka_unit_test(nothing_of_a_large_frame_is_used_before_it_was_found_genuine),
    };
    return fx_sodium() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
