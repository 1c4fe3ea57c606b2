/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake of ZMTP's CURVE mechanism (https://rfc.zeromq.org/spec/26/), both sides:
 *
 *     client: HELLO     its key for this connection; shows that it knows the server's key
 *     server: WELCOME   the server's key for this connection, and a cookie
 *     client: INITIATE  the cookie, its own key with the proof that it has it, and its metadata
 *     server: READY     its metadata
 *
 * The keys for the connection are made for it and are forgotten with it, so what was recorded
 * cannot be read later with the files of keys.  The cookie is random and belongs to one connection:
 * an INITIATE that was recorded on another one is refused.
 *
 * The functions work on the caller's memory.  A body is a command without its frame's head.  Those
 * that can fail return 0, or -1 and the reason.  fx_sodium() has returned a table before any of
 * them is called; fx_curve_forget() wipes a struct.  One thread at a time for each struct.
 */
#ifndef FX_CURVE_SHAKE_H
#define FX_CURVE_SHAKE_H

#include "proto/curve.h"

enum {
    FX_CURVE_COOKIE = 96,
    FX_CURVE_HELLO = 200,
    FX_CURVE_WELCOME = 168,
    FX_CURVE_INITIATE = 257, /* and the metadata */
    FX_CURVE_READY = 30,     /* and the metadata */
    FX_CURVE_METADATA_MAX = 2048
};

/* Long-term keys.  A client's own keys, and the server's public one; of a server only its own. */
struct fx_curve_keys {
    uint8_t own_public[FX_CURVE_KEY], own_secret[FX_CURVE_KEY];
    uint8_t server[FX_CURVE_KEY];
};

struct fx_curve_shake {
    uint8_t own_public[FX_CURVE_KEY], own_secret[FX_CURVE_KEY]; /* for this connection */
    uint8_t peer[FX_CURVE_KEY];                                 /* the peer's for this connection */
    uint8_t shared[FX_CURVE_KEY]; /* of the keys that the next box is made with */
    uint8_t cookie[FX_CURVE_COOKIE];
    uint64_t nonce, peer_nonce;
};

/* Wipe memory that has held keys. */
void fx_curve_forget(void *p, size_t n);

/* --- the client --- */

int fx_curve_put_hello(struct fx_curve_shake *s, const struct fx_curve_keys *k,
                       uint8_t to[FX_CURVE_HELLO], const char **why);
int fx_curve_take_welcome(struct fx_curve_shake *s, const uint8_t *body, size_t n,
                          const char **why);
/* Writes FX_CURVE_INITIATE + n bytes. */
int fx_curve_put_initiate(struct fx_curve_shake *s, const struct fx_curve_keys *k, uint8_t *to,
                          const uint8_t *metadata, size_t n, const char **why);
/* Opens READY in place.  Returns its metadata and, in *n, its length; NULL and the reason if it is
 * not genuine.  Fills in *c. */
const uint8_t *fx_curve_take_ready(struct fx_curve_shake *s, uint8_t *body, size_t *n,
                                   struct fx_curve *c, const char **why);

/* --- the server --- */

int fx_curve_take_hello(struct fx_curve_shake *s, const struct fx_curve_keys *k,
                        const uint8_t *body, size_t n, const char **why);
void fx_curve_put_welcome(struct fx_curve_shake *s, uint8_t to[FX_CURVE_WELCOME]);
/* Opens INITIATE in place.  Returns the client's metadata, which may be empty, and, in *n, its
 * length; NULL and the reason if it is not genuine.  `client`: the client's public key. */
const uint8_t *fx_curve_take_initiate(struct fx_curve_shake *s, const struct fx_curve_keys *k,
                                      uint8_t *body, size_t *n, uint8_t client[FX_CURVE_KEY],
                                      const char **why);
/* Writes FX_CURVE_READY + n bytes, and fills in *c. */
void fx_curve_put_ready(struct fx_curve_shake *s, uint8_t *to, const uint8_t *metadata, size_t n,
                        struct fx_curve *c);

#endif
