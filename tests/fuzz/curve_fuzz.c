/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CURVE, before and after the handshake.
 *
 * Before: the commands of a handshake are changed as the input says, or replaced by it.  A command
 * that was changed must be refused, and one that was not must be accepted.
 *
 * After: the input describes frames.  An engine reads them under CURVE and, on another connection,
 * as of the mechanism NULL, and must get the same messages.  A frame that is changed, or sent
 * twice, ends the connection, and what came before it is all that it has had.  The front, which
 * opens the first frames in place, must get the frames of NULL byte for byte.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "no_uploads.h"
#include "proto/curve_keys.h"
#include "proto/sodium.h"
#include "proto/zmtp.h"
#include "seed.h"
#include "server/engine/engine.h"
#include "server/engine/run/conn.h"
#include "server/engine/run/kept.h"
#include "server/front/secure.h"
#include "server/log.h"

struct fxe_engine fxe_engine;

/* What the front's file needs from others, and what is not reached here. */
void fxs_log(enum fxs_level level, const char *who, const char *format, ...)
{
    (void)level;
    (void)who;
    (void)format;
}
int fxs_guest_send(const struct fxs_guest *g, const void *data, size_t n)
{
    (void)g;
    (void)data;
    (void)n;
    return 0;
}
const char *fxs_auth_bad_tenant(const char *tenant)
{
    (void)tenant;
    abort();
}
size_t fxs_auth_count(const struct fxs_auth *a)
{
    (void)a;
    abort();
}
const char *fxs_auth_check(const struct fxs_auth *a, struct fxs_text key, struct fxs_text tenant,
                           const char **whose, unsigned *number)
{
    (void)a;
    (void)key;
    (void)tenant;
    (void)whose;
    (void)number;
    abort();
}

enum { HANDSHAKE = 1, FRONT = 2, MORE = 1, COMMAND = 2, CHANGE = 4, AGAIN = 8, ROOM = 96 << 10 };

static struct fx_curve_keys client, server;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = seed_dir(*argc, *argv);
    char why[300];
    require(fx_curve_keys_load(&client, NULL, why, sizeof why) == 0 &&
            fx_curve_keys_load(&server, NULL, why, sizeof why) == 0);
    memcpy(client.server, server.own_public, FX_CURVE_KEY);
    if (!dir)
        return 0;
    seed(dir, "shake", "\1\0\0\0", 4);
    seed(dir, "hello", "\1\0\7\1", 4);
    seed(dir, "initiate", "\1\1\150\1metadata", 12);
    seed(dir, "ready", "\1\2\30\1", 4);
    seed(dir, "message", "\0\40\1\0\1\5hello\0\1x", 13);
    seed(dir, "front", "\2\40\1\0\1\5hello\0\1x", 13);
    seed(dir, "large", "\0\7\1\0\1\4abcd\0\377x", 12);
    seed(dir, "ping", "\0\3\1\0\2\7\4PING\0\1\0\1x", 15);
    seed(dir, "changed", "\0\11\1\0\5\5hello\0\1x", 13);
    seed(dir, "again", "\0\11\1\0\1\5hello\10\1x", 13);
    return 0;
}

/* --- before --- */

/* Changes a command if the input says so.  Returns whether it did. */
static int change(uint8_t *body, size_t n, int number, const uint8_t *data, size_t size)
{
    if (size < 3 || data[0] % 4 != number || !data[2])
        return 0;
    size_t at = (size_t)(data[1] * 3 + data[2]) % n;
    if (data[2] & 0x80 && size > 3) { /* bytes of the input, from there on */
        size_t len = size - 3 < n - at ? size - 3 : n - at;
        int differs = memcmp(body + at, data + 3, len) != 0;
        memcpy(body + at, data + 3, len);
        return differs;
    }
    body[at] ^= data[2];
    return 1;
}

/* The padding of HELLO may be anything, and so may the top bit of a public key. */
static int matters(const uint8_t *now, const uint8_t *before)
{
    for (int i = 0; i < FX_CURVE_HELLO; i++)
        if ((i < 8 || i >= 80) && now[i] != before[i] && (i != 111 || (now[i] ^ before[i]) != 0x80))
            return 1;
    return 0;
}

static void shake(const uint8_t *data, size_t n)
{
    struct fx_curve_shake c, s;
    struct fx_curve at_client, at_server;
    uint8_t hello[FX_CURVE_HELLO], was[FX_CURVE_HELLO], welcome[FX_CURVE_WELCOME],
        who[FX_CURVE_KEY];
    static uint8_t initiate[FX_CURVE_INITIATE + 4096], ready[FX_CURVE_READY + 4096];
    char type[FX_ZMTP_TYPE_MAX + 1];
    size_t meta = n > 4 ? n - 4 : 0, size;
    const uint8_t *metadata = data + n - meta, *got;
    const char *why = NULL;
    if (meta > 4096)
        return;
    fx_curve_take_hello(&s, &server, data, n, &why); /* the input alone */
    require(fx_curve_put_hello(&c, &client, hello, &why) == 0);
    memcpy(was, hello, sizeof was);
    change(hello, sizeof hello, 0, data, n);
    int bad = matters(hello, was);
    require((fx_curve_take_hello(&s, &server, hello, sizeof hello, &why) != 0) == bad);
    if (bad)
        return;
    fx_curve_put_welcome(&s, welcome);
    bad = change(welcome, sizeof welcome, 1, data, n);
    require((fx_curve_take_welcome(&c, welcome, sizeof welcome, &why) != 0) == bad);
    if (bad)
        return;
    require(fx_curve_put_initiate(&c, &client, initiate, metadata, meta, &why) == 0);
    size = FX_CURVE_INITIATE + meta;
    bad = change(initiate, size, 2, data, n);
    got = fx_curve_take_initiate(&s, &server, initiate, &size, who, &why);
    require((got == NULL) == bad);
    if (bad)
        return;
    require(size == meta && memcmp(got, metadata, meta) == 0 &&
            memcmp(who, client.own_public, FX_CURVE_KEY) == 0);
    fx_zmtp_socket_type(got, size, type);
    fx_curve_put_ready(&s, ready, metadata, meta, &at_server);
    size = FX_CURVE_READY + meta;
    bad = change(ready, size, 3, data, n);
    got = fx_curve_take_ready(&c, ready, &size, &at_client, &why);
    require((got == NULL) == bad);
    require(bad || (size == meta && memcmp(got, metadata, meta) == 0));
}

/* --- after --- */

static uint8_t clear[ROOM], sealed[ROOM];
static size_t nclear, nsealed;
static int spoilt; /* the sealed bytes have a frame that ends the connection */

/* Makes the frames that the input describes. */
static void make(struct fx_curve *c, const uint8_t *p, size_t n)
{
    uint8_t last[ROOM / 8];
    size_t nlast = 0;
    nclear = nsealed = 0;
    spoilt = 0;
    while (n >= 2 && !spoilt) {
        int how = p[0];
        size_t len = p[1] & 0x80 ? (size_t)(p[1] & 0x7f) * 64 : p[1], have = n - 2;
        if (nclear + len + 9 > ROOM || nsealed + len + 9 + FX_CURVE_BEGIN > ROOM)
            return;
        if (how & AGAIN && nlast) {
            memcpy(sealed + nsealed, last, nlast);
            nsealed += nlast;
            spoilt = 1;
            return;
        }
        uint8_t *data = calloc(1, len + 1);
        memcpy(data, p + 2, have < len ? have : len);
        nlast = fx_curve_seal(c, sealed + nsealed, how & (MORE | COMMAND), data, len);
        memcpy(last, sealed + nsealed, nlast);
        if (how & CHANGE) {
            size_t head = len + FX_CURVE_BEGIN < 256 ? 2 : 9;
            sealed[nsealed + head + (size_t)how * 7 % (nlast - head)] ^= 1 + how / 16;
            spoilt = 1;
        } else {
            nclear += fx_zmtp_put_head(
                clear + nclear,
                (how & MORE ? FX_ZMTP_MORE : 0) | (how & COMMAND ? FX_ZMTP_COMMAND : 0), len);
            memcpy(clear + nclear, data, len);
            nclear += len;
        }
        nsealed += nlast;
        free(data);
        p += 2 + (have < len ? have : len);
        n = have < len ? 0 : have - len;
    }
}

enum { MESSAGES = 512 };

/* Has an engine read bytes until the connection ends.  Returns the number of messages. */
static int engine_reads(const uint8_t *p, size_t n, size_t step, const struct fx_curve *keys,
                        struct fxe_msg **got)
{
    static struct fxs_handover h;
    char drop[4096];
    int fd[2], rc, count = 0, closed = 0;
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    memset(&h, 0, offsetof(struct fxs_handover, bytes));
    h.curve = keys != NULL;
    if (keys)
        h.keys = *keys;
    struct fxe_conn *c = fxe_conn_new(fd[0], &h);
    require(c != NULL);
    for (;;) {
        struct fxe_msg *m = NULL;
        while ((rc = fxe_conn_read(c, &m)) == 1) {
            require(m && count < MESSAGES);
            got[count++] = m;
            m = NULL;
        }
        if (rc < 0)
            break;
        require(!closed);
        if (n == 0) {
            shutdown(fd[1], SHUT_WR);
            closed = 1;
            c->drained = false;
            continue;
        }
        size_t take = step < n ? step : n;
        ssize_t sent = send(fd[1], p, take, MSG_DONTWAIT | MSG_NOSIGNAL);
        require(sent > 0);
        p += sent;
        n -= (size_t)sent;
        while (recv(fd[1], drop, sizeof drop, MSG_DONTWAIT) > 0) /* PONG */
            ;
    }
    fxe_conn_unref(c);
    close(fd[1]);
    return count;
}

static void both_engines(const struct fx_curve *keys, size_t step)
{
    static struct fxe_msg *plain[MESSAGES], *secure[MESSAGES];
    int n = engine_reads(clear, nclear, step, NULL, plain);
    int m = engine_reads(sealed, nsealed, step, keys, secure);
    require(n == m);
    for (int i = 0; i < n; i++) {
        require(plain[i]->nframes == secure[i]->nframes);
        require((plain[i]->kind == NULL) == (secure[i]->kind == NULL));
        for (int f = 0; f < plain[i]->nframes; f++)
            require(plain[i]->frames[f].size == secure[i]->frames[f].size &&
                    memcmp(plain[i]->frames[f].data, secure[i]->frames[f].data,
                           plain[i]->frames[f].size) == 0);
        fxe_msg_free(plain[i]);
        fxe_msg_free(secure[i]);
    }
    require(!fxe_kept_is_full(SIZE_MAX / 2, 0)); /* all counted memory has been returned */
}

static void front_opens(const struct fx_curve *keys, size_t step)
{
    static struct fxs_guest g;
    const char *why;
    enum fxs_opened rc = FXS_NOTHING;
    memset(&g, 0, sizeof g);
    g.record.curve = 1;
    g.record.keys = *keys;
    for (size_t at = 0; at < nsealed && rc == FXS_NOTHING;) {
        size_t room = FXS_HANDOVER_BYTES - g.record.size, take = step < room ? step : room;
        if (take > nsealed - at)
            take = nsealed - at;
        memcpy(g.record.bytes + g.record.size, sealed + at, take);
        g.record.size += (uint32_t)take;
        at += take;
        while ((rc = fxs_secure_open(&g, &why)) == FXS_OPENED)
            ;
        require(take > 0 || rc != FXS_NOTHING);
    }
    require(g.record.clear <= g.record.size && g.record.size <= FXS_HANDOVER_BYTES);
    require(g.record.clear <= nclear && memcmp(g.record.bytes, clear, g.record.clear) == 0);
    if (rc == FXS_NOTHING)
        require(!spoilt && g.record.clear == nclear);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t key[FX_CURVE_KEY] = {7, 8, 9};
    struct fx_curve writer = {{{0}, 0}, {{0}, 2}}, reader = {{{0}, 2}, {{0}, 2}};
    if (n < 2 || n > 8192)
        return 0;
    int how = data[0];
    if (how & HANDSHAKE) {
        shake(data + 1, n - 1);
        return 0;
    }
    memcpy(writer.out.key, key, sizeof key);
    memcpy(reader.in.key, key, sizeof key);
    make(&writer, data + 2, n - 2);
    fxe_engine.max_pending = SIZE_MAX;
    size_t step = data[1] & 0x80 ? (size_t)(data[1] & 0x7f) * 100 + 1 : data[1] + 1u;
    if (how & FRONT)
        front_opens(&reader, step);
    else
        both_engines(&reader, step);
    return 0;
}
