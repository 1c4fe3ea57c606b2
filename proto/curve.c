/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/curve.h"

#include <stdlib.h>
#include <string.h>

#include "proto/bytes.h"
#include "proto/sodium.h"
#include "proto/zmtp.h"

/* A box is XSalsa20 with Poly1305.  XSalsa20 makes a key of the first 16 bytes of the nonce, which
 * are the same for all messages of a direction, so struct fx_curve_way has that key and here it is
 * Salsa20 with the rest of the nonce.  The first 32 bytes of the key stream are Poly1305's key. */

enum {
    BLOCK = 64,
    MAC_KEY = 32,
    PART = 64 << 10 /* bytes to work on while they are in the cache */
};

static const char name[] = "\7MESSAGE";
enum { NAME = sizeof name - 1 };

/* --- the key stream --- */

static void next_block(struct fx_curve_frame *f)
{
    static const uint8_t zeros[BLOCK];
    fx_sodium()->stream(f->stream, zeros, BLOCK, f->nonce, f->block++, f->key);
    f->used = 0;
}

static void begin_frame(struct fx_curve_frame *f, const uint8_t *key, const uint8_t *nonce)
{
    f->key = key;
    f->block = 0;
    memcpy(f->nonce, nonce, FX_CURVE_NONCE);
    next_block(f);
    fx_sodium()->mac_init(f->mac, f->stream);
    f->used = MAC_KEY;
}

/* to = data xor the key stream; they may be the same memory. */
static void apply(struct fx_curve_frame *f, uint8_t *to, const uint8_t *data, size_t n)
{
    for (; n && f->used < BLOCK; n--)
        *to++ = *data++ ^ f->stream[f->used++];
    size_t whole = n / BLOCK * BLOCK;
    if (whole) {
        fx_sodium()->stream(to, data, whole, f->nonce, f->block, f->key);
        f->block += whole / BLOCK;
        to += whole;
        data += whole;
        n -= whole;
    }
    if (n)
        next_block(f);
    for (; n; n--)
        *to++ = *data++ ^ f->stream[f->used++];
}

static void end_frame(struct fx_curve_frame *f)
{
    explicit_bzero(f->mac, sizeof f->mac);
    explicit_bzero(f->stream, sizeof f->stream);
}

/* --- opening --- */

int fx_curve_open(struct fx_curve *c, struct fx_curve_frame *f, const uint8_t *begin, int *flags,
                  const char **why)
{
    uint8_t first = begin[FX_CURVE_BEGIN - 1];
    if (memcmp(begin, name, NAME) != 0) {
        *why = "a frame without CURVE's MESSAGE";
        return -1;
    }
    uint64_t nonce = fx_get_be(begin + NAME, 8);
    if (nonce <= c->in.nonce) {
        *why = "a CURVE message with a nonce that is not higher than the one before";
        return -1;
    }
    c->in.nonce = nonce;
    begin_frame(f, c->in.key, begin + NAME);
    memcpy(f->want, begin + NAME + FX_CURVE_NONCE, FX_CURVE_MAC);
    fx_curve_open_more(f, &first, 1);
    *flags = first;
    if (first & ~(FX_CURVE_MORE | FX_CURVE_COMMAND) ||
        first == (FX_CURVE_MORE | FX_CURVE_COMMAND)) {
        *why = "a CURVE message that was changed, or was made with another key";
        return -1;
    }
    return 0;
}

void fx_curve_open_more(struct fx_curve_frame *f, uint8_t *data, size_t n)
{
    while (n) {
        size_t part = n < PART ? n : PART;
        fx_sodium()->mac_update(f->mac, data, part);
        apply(f, data, data, part);
        data += part;
        n -= part;
    }
}

void fx_curve_open_skip(struct fx_curve_frame *f, const uint8_t *data, size_t n)
{
    fx_sodium()->mac_update(f->mac, data, n);
}

int fx_curve_opened(struct fx_curve_frame *f, const char **why)
{
    uint8_t mac[FX_CURVE_MAC], differ = 0;
    fx_sodium()->mac_final(f->mac, mac);
    for (int i = 0; i < FX_CURVE_MAC; i++) /* in constant time */
        differ |= mac[i] ^ f->want[i];
    end_frame(f);
    if (differ)
        *why = "a CURVE message that was changed, or was made with another key";
    return differ ? -1 : 0;
}

/* --- sealing --- */

/* Writes the head of a sealed frame, and its body as far as the MAC.  Returns their end. */
static uint8_t *put_begin(uint8_t *to, uint64_t nonce, size_t n)
{
    to += fx_zmtp_put_head(to, 0, FX_CURVE_BEGIN + n);
    memcpy(to, name, NAME);
    fx_put_be64(to + NAME, nonce);
    return to + FX_CURVE_BEGIN - 1;
}

static void seal_more(struct fx_curve_frame *f, uint8_t *to, const uint8_t *data, size_t n)
{
    while (n) {
        size_t part = n < PART ? n : PART;
        apply(f, to, data, part);
        fx_sodium()->mac_update(f->mac, to, part);
        to += part;
        data += part;
        n -= part;
    }
}

size_t fx_curve_seal(struct fx_curve *c, uint8_t *to, int flags, const void *data, size_t n)
{
    struct fx_curve_frame f;
    uint8_t first = (uint8_t)flags;
    if (c->out.nonce == UINT64_MAX)
        return 0;
    uint8_t *body = put_begin(to, ++c->out.nonce, n);
    begin_frame(&f, c->out.key, body - FX_CURVE_MAC - FX_CURVE_NONCE);
    seal_more(&f, body, &first, 1);
    seal_more(&f, body + 1, data, n);
    fx_sodium()->mac_final(f.mac, body - FX_CURVE_MAC);
    end_frame(&f);
    return (size_t)(body + 1 + n - to);
}

/* --- messages --- */

enum { FRAME = FX_ZMTP_HEAD_MAX + FX_CURVE_BEGIN }; /* most bytes that sealing adds to a frame */

int fx_curve_message(struct fx_curve_message *m, const struct fx_frame *frames, int n, void *small,
                     size_t size, size_t most)
{
    size_t all = FRAME;
    m->frames[0] = (struct fx_frame){"", 0};
    for (int i = 0; i < n; i++) {
        m->frames[1 + i] = frames[i];
        all = all > most || frames[i].size > most ? most : all + FRAME + frames[i].size;
    }
    m->n = 1 + n;
    m->at = m->begun = 0;
    m->from = m->to = 0;
    m->lent = all <= size;
    m->room = all < most ? all : most;
    m->buf = m->lent ? small : malloc(m->room);
    return m->buf ? 0 : -1;
}

void fx_curve_message_end(struct fx_curve_message *m)
{
    if (m->begun)
        end_frame(&m->frame);
    if (!m->lent)
        free(m->buf);
    m->buf = NULL;
    m->n = m->at = m->begun = 0;
    m->from = m->to = 0;
}

size_t fx_curve_message_left(const struct fx_curve_message *m)
{
    size_t left = m->to - m->from;
    for (int i = m->at; i < m->n; i++)
        left += m->frames[i].size - (i == m->at && m->begun ? m->done : 0);
    return left;
}

/* Begins a frame that does not fit the buffer.  Its MAC is sent before its data: all of it is
 * sealed once for the MAC, and then again to be sent. */
static void begin_large(struct fx_curve *c, struct fx_curve_message *m, uint8_t flags)
{
    const struct fx_frame *from = &m->frames[m->at];
    uint8_t *to = put_begin(m->buf, ++c->out.nonce, from->size), *body = to + 1;
    const uint8_t *nonce = to - FX_CURVE_MAC - FX_CURVE_NONCE, *data = from->data;
    size_t room = m->room - (size_t)(body - m->buf);
    begin_frame(&m->frame, c->out.key, nonce);
    seal_more(&m->frame, to, &flags, 1);
    for (size_t done = 0; done < from->size;) {
        size_t n = from->size - done < room ? from->size - done : room;
        seal_more(&m->frame, body, data + done, n);
        done += n;
    }
    fx_sodium()->mac_final(m->frame.mac, to - FX_CURVE_MAC);
    begin_frame(&m->frame, c->out.key, nonce);
    apply(&m->frame, to, &flags, 1);
    m->to = (size_t)(body - m->buf);
    m->done = 0;
    m->begun = 1;
}

int fx_curve_message_next(struct fx_curve *c, struct fx_curve_message *m)
{
    m->from = m->to = 0;
    while (m->at < m->n && m->to < m->room) {
        const struct fx_frame *from = &m->frames[m->at];
        int flags = m->at + 1 < m->n ? FX_CURVE_MORE : 0;
        if (!m->begun && from->size <= m->room && FRAME + from->size <= m->room - m->to) {
            size_t n = fx_curve_seal(c, m->buf + m->to, flags, from->data, from->size);
            if (!n)
                return -1;
            m->to += n;
            m->at++;
            continue;
        }
        if (!m->begun && m->to) /* what is in the buffer goes first */
            break;
        if (!m->begun && c->out.nonce == UINT64_MAX)
            return -1;
        if (!m->begun)
            begin_large(c, m, (uint8_t)flags);
        size_t left = from->size - m->done, room = m->room - m->to, n = left < room ? left : room;
        apply(&m->frame, m->buf + m->to, (const uint8_t *)from->data + m->done, n);
        m->to += n;
        m->done += n;
        if (m->done == from->size) {
            end_frame(&m->frame);
            m->begun = 0;
            m->at++;
        }
    }
    return m->to > 0;
}
