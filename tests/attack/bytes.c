/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "attack.h"

void put(struct bytes *b, const void *p, size_t n)
{
    if (b->n + n > b->room) {
        b->room = (b->n + n) * 2 + 64;
        b->p = realloc(b->p, b->room);
        if (!b->p)
            die("out of memory for %zu bytes", b->room);
    }
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void put8(struct bytes *b, unsigned v)
{
    uint8_t byte = (uint8_t)v;
    put(b, &byte, 1);
}

static void put_big(struct bytes *b, uint64_t v, int n)
{
    while (n--)
        put8(b, (unsigned)(v >> (8 * n)) & 0xff);
}

void bytes_free(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){0};
}

/* --- ZMTP --- */

void put_head(struct bytes *b, int flags, uint64_t size)
{
    if (size > 255)
        flags |= LONG;
    put8(b, (unsigned)flags);
    put_big(b, size, flags & LONG ? 8 : 1);
}

void put_frame(struct bytes *b, int flags, const void *p, size_t n)
{
    put_head(b, flags, n);
    put(b, p, n);
}

void put_command(struct bytes *b, const char *name, const void *data, size_t n)
{
    put_head(b, COMMAND, 1 + strlen(name) + n);
    put8(b, (unsigned)strlen(name));
    put(b, name, strlen(name));
    put(b, data, n);
}

void put_greeting(struct bytes *b, int major, const char *mechanism)
{
    char text[64] = "\xff\0\0\0\0\0\0\0\1\x7f";
    text[10] = (char)major;
    strncpy(text + 12, mechanism, 20);
    put(b, text, sizeof text);
}

static void property(struct bytes *b, const char *name, const void *value, size_t n)
{
    put8(b, (unsigned)strlen(name));
    put(b, name, strlen(name));
    put_big(b, n, 4);
    put(b, value, n);
}

void put_ready(struct bytes *b, const char *type, const void *identity, size_t n)
{
    struct bytes data = {0};
    property(&data, "Socket-Type", type, strlen(type));
    if (identity)
        property(&data, "Identity", identity, n);
    put_command(b, "READY", data.p, data.n);
    bytes_free(&data);
}

/* --- msgpack --- */

void mp_map(struct bytes *b, unsigned n)
{
    put8(b, 0x80 | n);
}

void mp_array(struct bytes *b, unsigned n)
{
    put8(b, 0x90 | n);
}

void mp_strn(struct bytes *b, const void *s, size_t n)
{
    if (n < 32) {
        put8(b, 0xa0 | (unsigned)n);
    } else {
        put8(b, 0xdb);
        put_big(b, n, 4);
    }
    put(b, s, n);
}

void mp_str(struct bytes *b, const char *s)
{
    mp_strn(b, s, strlen(s));
}

void mp_bin(struct bytes *b, const void *p, size_t n)
{
    put8(b, 0xc6);
    put_big(b, n, 4);
    put(b, p, n);
}

void mp_uint(struct bytes *b, uint64_t v)
{
    put8(b, 0xcf);
    put_big(b, v, 8);
}

void mp_int(struct bytes *b, int64_t v)
{
    put8(b, 0xd3);
    put_big(b, (uint64_t)v, 8);
}

void mp_true(struct bytes *b)
{
    put8(b, 0xc3);
}
