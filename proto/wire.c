/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire.h"

#include <string.h>

#include "proto/bytes.h"

struct cursor {
    const uint8_t *p, *end;
    const char *why;
};

static int skip(struct cursor *c, uint64_t n)
{
    if (n > (uint64_t)(c->end - c->p)) {
        c->why = "header ends too early";
        return -1;
    }
    c->p += n;
    return 0;
}

/* Read the length that follows the type byte, in n bytes. */
static int length(struct cursor *c, int n, uint64_t *len)
{
    const uint8_t *at = c->p;
    if (skip(c, (uint64_t)n) != 0)
        return -1;
    *len = fx_get_be(at, n);
    return 0;
}

static int value(struct cursor *c, int depth);

static int values(struct cursor *c, uint64_t count, int depth)
{
    /* Every value takes at least one byte, so no larger count can be true. */
    if (count > (uint64_t)(c->end - c->p)) {
        c->why = "header claims more elements than it has bytes";
        return -1;
    }
    if (depth == FX_HEADER_DEPTH) {
        c->why = "header is nested too deeply";
        return -1;
    }
    for (uint64_t i = 0; i < count; i++)
        if (value(c, depth + 1) != 0)
            return -1;
    return 0;
}

static int value(struct cursor *c, int depth)
{
    uint64_t n;
    if (c->p == c->end) {
        c->why = "header ends too early";
        return -1;
    }
    uint8_t t = *c->p++;
    if (t < 0x80 || t >= 0xe0 || t == 0xc0 || t == 0xc2 || t == 0xc3)
        return 0; /* small integers, nil, booleans */
    if (t < 0x90)
        return values(c, 2 * (uint64_t)(t & 15), depth);
    if (t < 0xa0)
        return values(c, t & 15, depth);
    if (t < 0xc0)
        return skip(c, t & 31);
    switch (t) {
    case 0xc4: /* bin 8, 16, 32 */
    case 0xc5:
    case 0xc6:
        return length(c, 1 << (t - 0xc4), &n) || skip(c, n) ? -1 : 0;
    case 0xca: /* float 32, 64 */
        return skip(c, 4);
    case 0xcb:
        return skip(c, 8);
    case 0xcc: /* uint 8 .. 64, int 8 .. 64 */
    case 0xcd:
    case 0xce:
    case 0xcf:
        return skip(c, 1u << (t - 0xcc));
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return skip(c, 1u << (t - 0xd0));
    case 0xd9: /* str 8, 16, 32 */
    case 0xda:
    case 0xdb:
        return length(c, 1 << (t - 0xd9), &n) || skip(c, n) ? -1 : 0;
    case 0xdc: /* array 16, 32 */
    case 0xdd:
        return length(c, 2 << (t - 0xdc), &n) || values(c, n, depth) ? -1 : 0;
    case 0xde: /* map 16, 32 */
    case 0xdf:
        return length(c, 2 << (t - 0xde), &n) || values(c, 2 * n, depth) ? -1 : 0;
    default:
        c->why = "header has a type that the protocol does not use";
        return -1;
    }
}

int fx_header_check(const void *buf, size_t len, const char **why)
{
    struct cursor c = {buf, (const uint8_t *)buf + len, NULL};
    if (len > FX_HEADER_MAX)
        c.why = "header is larger than 64 KiB";
    else if (value(&c, 0) == 0 && c.p != c.end)
        c.why = "bytes follow the header";
    *why = c.why;
    return c.why ? -1 : 0;
}

int fx_header_read(struct fx_header *h, const void *buf, size_t len, const char **why)
{
    size_t off = 0;
    h->map = NULL;
    msgpack_unpacked_init(&h->unpacked);
    if (fx_header_check(buf, len, why) != 0)
        return -1;
    if (msgpack_unpack_next(&h->unpacked, buf, len, &off) != MSGPACK_UNPACK_SUCCESS) {
        *why = "there is no memory to decode the header"; /* its form has been checked */
        return -2;
    }
    if (h->unpacked.data.type != MSGPACK_OBJECT_MAP) {
        *why = "header is not a map";
        return -1;
    }
    h->map = &h->unpacked.data.via.map;
    return 0;
}

void fx_header_free(struct fx_header *h)
{
    msgpack_unpacked_destroy(&h->unpacked);
    h->map = NULL;
}

const msgpack_object *fx_header_get(const struct fx_header *h, const char *key)
{
    size_t len = strlen(key);
    for (uint32_t i = 0; h->map && i < h->map->size; i++) {
        const msgpack_object *k = &h->map->ptr[i].key;
        if (k->type == MSGPACK_OBJECT_STR && k->via.str.size == len &&
            memcmp(k->via.str.ptr, key, len) == 0)
            return &h->map->ptr[i].val;
    }
    return NULL;
}

int fx_header_str(const struct fx_header *h, const char *key, const char **s, size_t *len)
{
    const msgpack_object *o = fx_header_get(h, key);
    if (!o || (o->type != MSGPACK_OBJECT_STR && o->type != MSGPACK_OBJECT_BIN))
        return 0;
    *s = o->via.str.ptr;
    *len = o->via.str.size;
    return 1;
}

int fx_header_uint(const struct fx_header *h, const char *key, uint64_t *out)
{
    const msgpack_object *o = fx_header_get(h, key);
    if (!o || o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return 0;
    *out = o->via.u64;
    return 1;
}

int fx_header_int(const struct fx_header *h, const char *key, int64_t *out)
{
    const msgpack_object *o = fx_header_get(h, key);
    if (!o)
        return 0;
    if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ||
        (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= INT64_MAX)) {
        *out = o->via.i64;
        return 1;
    }
    return 0;
}

int fx_header_is(const struct fx_header *h, const char *key, const char *text)
{
    const char *s;
    size_t n;
    return fx_header_str(h, key, &s, &n) && n == strlen(text) && memcmp(s, text, n) == 0;
}

void fx_pack_str(msgpack_packer *pk, const char *s)
{
    size_t n = strlen(s);
    msgpack_pack_str(pk, n);
    msgpack_pack_str_body(pk, s, n);
}

void fx_pack_bin(msgpack_packer *pk, const void *data, size_t len)
{
    msgpack_pack_bin(pk, len);
    msgpack_pack_bin_body(pk, data, len);
}
