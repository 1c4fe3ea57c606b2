/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/curve_shake.h"

#include <string.h>

#include "proto/bytes.h"
#include "proto/sodium.h"

enum {
    KEY = FX_CURVE_KEY,
    MAC = FX_CURVE_MAC,
    LONG = 16, /* bytes of a long nonce that are sent */
    NONCE = 24,
    VOUCH = LONG + 2 * KEY + MAC
};

void fx_curve_forget(void *p, size_t n)
{
    explicit_bzero(p, n);
}

/* A nonce of 24 bytes: a text, and the part that is sent. */
static const uint8_t *nonce_of(uint8_t nonce[NONCE], const char *text, const uint8_t *sent)
{
    size_t n = strlen(text);
    memcpy(nonce, text, n);
    memcpy(nonce + n, sent, NONCE - n);
    return nonce;
}

static int wrong(const char **why, const char *what)
{
    *why = what;
    return -1;
}

static int differ(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint8_t d = 0;
    for (size_t i = 0; i < n; i++)
        d |= a[i] ^ b[i];
    return d;
}

/* The keys of both directions. */
static void start(const struct fx_curve_shake *s, int server, struct fx_curve *c)
{
    static const uint8_t of_client[] = "CurveZMQMESSAGEC", of_server[] = "CurveZMQMESSAGES";
    fx_sodium()->subkey(c->in.key, server ? of_client : of_server, s->shared, NULL);
    fx_sodium()->subkey(c->out.key, server ? of_server : of_client, s->shared, NULL);
    c->in.nonce = s->peer_nonce;
    c->out.nonce = s->nonce;
}

/* --- HELLO --- */

static const char hello_name[] = "\5HELLO\1\0", hello_nonce[] = "CurveZMQHELLO---";
enum { HELLO_NAME = sizeof hello_name - 1, HELLO_KEY = 80, HELLO_BOX = HELLO_KEY + KEY + 8 };

int fx_curve_put_hello(struct fx_curve_shake *s, const struct fx_curve_keys *k,
                       uint8_t to[FX_CURVE_HELLO], const char **why)
{
    static const uint8_t zeros[64];
    uint8_t nonce[NONCE];
    memset(s, 0, sizeof *s);
    fx_sodium()->keypair(s->own_public, s->own_secret);
    if (fx_sodium()->shared(s->shared, k->server, s->own_secret) != 0)
        return wrong(why, "the server's CURVE key is not a valid one");
    memset(to, 0, FX_CURVE_HELLO);
    memcpy(to, hello_name, HELLO_NAME);
    memcpy(to + HELLO_KEY, s->own_public, KEY);
    fx_put_be64(to + HELLO_KEY + KEY, ++s->nonce);
    fx_sodium()->box(to + HELLO_BOX, zeros, sizeof zeros,
                     nonce_of(nonce, hello_nonce, to + HELLO_KEY + KEY), s->shared);
    return 0;
}

int fx_curve_take_hello(struct fx_curve_shake *s, const struct fx_curve_keys *k,
                        const uint8_t *body, size_t n, const char **why)
{
    static const uint8_t zeros[64];
    uint8_t nonce[NONCE], plain[64];
    if (n != FX_CURVE_HELLO || memcmp(body, hello_name, HELLO_NAME) != 0)
        return wrong(why, "expected CURVE's HELLO");
    memset(s, 0, sizeof *s);
    memcpy(s->peer, body + HELLO_KEY, KEY);
    s->peer_nonce = fx_get_be(body + HELLO_KEY + KEY, 8);
    if (fx_sodium()->shared(s->shared, s->peer, k->own_secret) != 0 ||
        fx_sodium()->unbox(plain, body + HELLO_BOX, sizeof plain + MAC,
                           nonce_of(nonce, hello_nonce, body + HELLO_KEY + KEY), s->shared) != 0 ||
        differ(plain, zeros, sizeof plain))
        return wrong(why,
                     "CURVE's HELLO is not for this server: the client has another key for it");
    return 0;
}

/* --- WELCOME --- */

static const char welcome_name[] = "\7WELCOME", welcome_nonce[] = "WELCOME-";
enum { WELCOME_NAME = sizeof welcome_name - 1, WELCOME_BOX = WELCOME_NAME + LONG };

void fx_curve_put_welcome(struct fx_curve_shake *s, uint8_t to[FX_CURVE_WELCOME])
{
    uint8_t nonce[NONCE], plain[KEY + FX_CURVE_COOKIE];
    fx_sodium()->keypair(s->own_public, s->own_secret);
    fx_sodium()->random(s->cookie, sizeof s->cookie);
    memcpy(plain, s->own_public, KEY);
    memcpy(plain + KEY, s->cookie, FX_CURVE_COOKIE);
    memcpy(to, welcome_name, WELCOME_NAME);
    fx_sodium()->random(to + WELCOME_NAME, LONG);
    fx_sodium()->box(to + WELCOME_BOX, plain, sizeof plain,
                     nonce_of(nonce, welcome_nonce, to + WELCOME_NAME), s->shared);
}

int fx_curve_take_welcome(struct fx_curve_shake *s, const uint8_t *body, size_t n, const char **why)
{
    uint8_t nonce[NONCE], plain[KEY + FX_CURVE_COOKIE];
    if (n != FX_CURVE_WELCOME || memcmp(body, welcome_name, WELCOME_NAME) != 0)
        return wrong(why, "protocol error: expected CURVE's WELCOME");
    if (fx_sodium()->unbox(plain, body + WELCOME_BOX, sizeof plain + MAC,
                           nonce_of(nonce, welcome_nonce, body + WELCOME_NAME), s->shared) != 0)
        return wrong(why, "CURVE's WELCOME is not genuine: the server does not have the key that "
                          "this client expects");
    memcpy(s->peer, plain, KEY);
    memcpy(s->cookie, plain + KEY, FX_CURVE_COOKIE);
    return 0;
}

/* --- INITIATE --- */

static const char initiate_name[] = "\10INITIATE", initiate_nonce[] = "CurveZMQINITIATE",
                  vouch_nonce[] = "VOUCH---";
enum {
    INITIATE_NAME = sizeof initiate_name - 1,
    INITIATE_NONCE = INITIATE_NAME + FX_CURVE_COOKIE,
    INITIATE_BOX = INITIATE_NONCE + 8
};

int fx_curve_put_initiate(struct fx_curve_shake *s, const struct fx_curve_keys *k, uint8_t *to,
                          const uint8_t *metadata, size_t n, const char **why)
{
    uint8_t nonce[NONCE], vouch[2 * KEY], key[KEY], *plain = to + INITIATE_BOX + MAC;
    memcpy(to, initiate_name, INITIATE_NAME);
    memcpy(to + INITIATE_NAME, s->cookie, FX_CURVE_COOKIE);
    fx_put_be64(to + INITIATE_NONCE, ++s->nonce);

    memcpy(plain, k->own_public, KEY);
    memcpy(vouch, s->own_public, KEY);
    memcpy(vouch + KEY, k->server, KEY);
    fx_sodium()->random(plain + KEY, LONG);
    if (fx_sodium()->shared(key, s->peer, k->own_secret) != 0 ||
        fx_sodium()->shared(s->shared, s->peer, s->own_secret) != 0)
        return wrong(why, "the server's CURVE key for this connection is not a valid one");
    fx_sodium()->box(plain + KEY + LONG, vouch, sizeof vouch,
                     nonce_of(nonce, vouch_nonce, plain + KEY), key);
    fx_curve_forget(key, sizeof key);
    memcpy(plain + KEY + VOUCH, metadata, n);
    /* In place: the box is its MAC and then what was there. */
    fx_sodium()->box(to + INITIATE_BOX, plain, KEY + VOUCH + n,
                     nonce_of(nonce, initiate_nonce, to + INITIATE_NONCE), s->shared);
    return 0;
}

const uint8_t *fx_curve_take_initiate(struct fx_curve_shake *s, const struct fx_curve_keys *k,
                                      uint8_t *body, size_t *n, uint8_t client[FX_CURVE_KEY],
                                      const char **why)
{
    uint8_t nonce[NONCE], vouch[2 * KEY], key[KEY], *plain = body + INITIATE_BOX;
    if (*n < FX_CURVE_INITIATE || memcmp(body, initiate_name, INITIATE_NAME) != 0) {
        *why = "expected CURVE's INITIATE";
        return NULL;
    }
    uint64_t number = fx_get_be(body + INITIATE_NONCE, 8);
    if (differ(body + INITIATE_NAME, s->cookie, FX_CURVE_COOKIE)) {
        *why = "CURVE's INITIATE has the cookie of another connection";
        return NULL;
    }
    if (number <= s->peer_nonce) {
        *why = "a CURVE nonce was repeated, or is lower than the one before";
        return NULL;
    }
    s->peer_nonce = number;
    if (fx_sodium()->shared(s->shared, s->peer, s->own_secret) != 0 ||
        fx_sodium()->unbox(plain, plain, *n - INITIATE_BOX,
                           nonce_of(nonce, initiate_nonce, body + INITIATE_NONCE),
                           s->shared) != 0) {
        *why = "CURVE's INITIATE is not genuine";
        return NULL;
    }
    memcpy(client, plain, KEY);
    int bad = fx_sodium()->shared(key, client, s->own_secret) != 0 ||
              fx_sodium()->unbox(vouch, plain + KEY + LONG, sizeof vouch + MAC,
                                 nonce_of(nonce, vouch_nonce, plain + KEY), key) != 0 ||
              differ(vouch, s->peer, KEY) || differ(vouch + KEY, k->own_public, KEY);
    fx_curve_forget(key, sizeof key);
    if (bad) {
        *why = "CURVE's INITIATE does not prove the client's key";
        return NULL;
    }
    *n -= FX_CURVE_INITIATE;
    return plain + KEY + VOUCH;
}

/* --- READY --- */

static const char ready_name[] = "\5READY", ready_nonce[] = "CurveZMQREADY---";
enum { READY_NAME = sizeof ready_name - 1, READY_BOX = READY_NAME + 8 };

void fx_curve_put_ready(struct fx_curve_shake *s, uint8_t *to, const uint8_t *metadata, size_t n,
                        struct fx_curve *c)
{
    uint8_t nonce[NONCE];
    memcpy(to, ready_name, READY_NAME);
    fx_put_be64(to + READY_NAME, ++s->nonce);
    fx_sodium()->box(to + READY_BOX, metadata, n, nonce_of(nonce, ready_nonce, to + READY_NAME),
                     s->shared);
    start(s, 1, c);
}

const uint8_t *fx_curve_take_ready(struct fx_curve_shake *s, uint8_t *body, size_t *n,
                                   struct fx_curve *c, const char **why)
{
    uint8_t nonce[NONCE];
    if (*n < FX_CURVE_READY || memcmp(body, ready_name, READY_NAME) != 0) {
        *why = "protocol error: expected CURVE's READY";
        return NULL;
    }
    s->peer_nonce = fx_get_be(body + READY_NAME, 8);
    if (fx_sodium()->unbox(body + READY_BOX, body + READY_BOX, *n - READY_BOX,
                           nonce_of(nonce, ready_nonce, body + READY_NAME), s->shared) != 0) {
        *why = "CURVE's READY is not genuine";
        return NULL;
    }
    start(s, 0, c);
    *n -= FX_CURVE_READY;
    return body + READY_BOX;
}
