/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of ZMTP's CURVE mechanism (https://rfc.zeromq.org/spec/26/): each frame of a message
 * travels in a frame of its own with the body
 *
 *     "\7MESSAGE"  8 bytes of nonce  16 bytes of MAC  flags (1 byte) and the data, encrypted
 *
 * The handshake, which makes the keys, is in curve_shake.h.
 *
 * The functions work on the caller's memory.  A frame can be opened piece by piece and in place;
 * what comes out must not be used before fx_curve_opened() has found all of it genuine. fx_sodium()
 * has returned a table before any of them is called.  One thread at a time for each struct.
 */
#ifndef FX_CURVE_H
#define FX_CURVE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

enum {
    FX_CURVE_KEY = 32,
    FX_CURVE_MAC = 16,
    FX_CURVE_NONCE = 8,                                    /* the part that is sent */
    FX_CURVE_BEGIN = 8 + FX_CURVE_NONCE + FX_CURVE_MAC + 1 /* bytes before the data */
};

enum { FX_CURVE_MORE = 1, FX_CURVE_COMMAND = 2 }; /* flags in the box */

/* One direction of a connection. */
struct fx_curve_way {
    uint8_t key[FX_CURVE_KEY];
    uint64_t nonce; /* the last one that was used; the next one must be greater */
};

struct fx_curve {
    struct fx_curve_way in, out;
};

/* A frame that is being opened or sealed. */
struct fx_curve_frame {
    _Alignas(16) uint8_t mac[256]; /* crypto_onetimeauth_poly1305_state */
    uint8_t stream[64];            /* key stream that is not used up */
    unsigned used;                 /* bytes of it that are */
    uint64_t block;                /* the next one of the key stream */
    uint8_t nonce[FX_CURVE_NONCE], want[FX_CURVE_MAC];
    const uint8_t *key;
};

/* Begin to open a frame, given the first FX_CURVE_BEGIN bytes of its body.  Returns 0 and the
 * flags, or -1 and the reason: it is not a MESSAGE, its nonce is not new, or it has unknown flags.
 */
int fx_curve_open(struct fx_curve *c, struct fx_curve_frame *f, const uint8_t *begin, int *flags,
                  const char **why);
/* Open the next n bytes of its data in place. */
void fx_curve_open_more(struct fx_curve_frame *f, uint8_t *data, size_t n);
/* The next n bytes of its data are not wanted, but belong to it. */
void fx_curve_open_skip(struct fx_curve_frame *f, const uint8_t *data, size_t n);
/* All of its data has been given.  Returns 0 if the frame is genuine, or -1. */
int fx_curve_opened(struct fx_curve_frame *f, const char **why);

/* Seal a small frame: writes its head, and a body of FX_CURVE_BEGIN + n bytes.  Returns the number
 * of bytes, at most 9 + FX_CURVE_BEGIN + n; or 0 if the nonces are used up. */
size_t fx_curve_seal(struct fx_curve *c, uint8_t *to, int flags, const void *data, size_t n);

/* A message that is being sealed: the empty delimiter, then frames, which the caller still owns. It
 * is sealed in parts that fit a buffer, so a large frame needs no second copy of itself. */
struct fx_curve_message {
    struct fx_frame frames[1 + FX_FRAMES_MAX];
    int n, at;      /* frames; the one that is being sealed */
    int begun;      /* a part of it has been sealed */
    size_t done;    /* bytes of its data that have been */
    uint64_t nonce; /* its nonce */
    uint8_t *buf;   /* the sealed part: buf[from..to) is to be sent */
    int lent;       /* the buffer is the caller's */
    size_t room, from, to;
    struct fx_curve_frame frame;
};

/* Begin a message of n frames.  If it fits the `size` bytes at `small`, it is sealed there; else in
 * a buffer of its own, of at most `most` bytes.  Returns 0, or -1 if out of memory.
 * fx_curve_message_end() frees the buffer. */
int fx_curve_message(struct fx_curve_message *m, const struct fx_frame *frames, int n, void *small,
                     size_t size, size_t most);
/* Seal the next part, when all of the one before has been sent.  Returns 1, 0 if there is nothing
 * left, or -1 if the nonces are used up. */
int fx_curve_message_next(struct fx_curve *c, struct fx_curve_message *m);
/* Bytes that are still to be sent. */
size_t fx_curve_message_left(const struct fx_curve_message *m);
void fx_curve_message_end(struct fx_curve_message *m);

#endif
