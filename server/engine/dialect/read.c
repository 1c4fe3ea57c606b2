/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/dialect/read.h"

#include <stdlib.h>
#include <string.h>

#include "proto/bytes.h"

enum {
    DEPTH = 16,    /* of a list of numbers that turns out to be something else */
    KEYS_MAX = 64, /* of the map; the client sends at most nine */
    KEY_MAX = 100  /* bytes of one */
};

struct cursor {
    const uint8_t *at, *end;
};

static int skip_bytes(struct cursor *c, uint64_t n)
{
    if (n > (uint64_t)(c->end - c->at))
        return -1;
    c->at += n;
    return 0;
}

static int length(struct cursor *c, int n, uint64_t *len)
{
    const uint8_t *p = c->at;
    if (skip_bytes(c, (uint64_t)n) != 0)
        return -1;
    *len = fx_get_be(p, n);
    return 0;
}

/* Reads the first byte of a value and, for text, bytes and numbers, skips the rest.  Returns the
 * number of values that are in it, or -1 if it is malformed. */
static int64_t skip_head(struct cursor *c)
{
    static const uint8_t sizes[] = {[0xca - 0xca] = 4, [0xcb - 0xca] = 8, [0xcc - 0xca] = 1,
                                    [0xcd - 0xca] = 2, [0xce - 0xca] = 4, [0xcf - 0xca] = 8,
                                    [0xd0 - 0xca] = 1, [0xd1 - 0xca] = 2, [0xd2 - 0xca] = 4,
                                    [0xd3 - 0xca] = 8};
    uint64_t n = 0;
    if (c->at == c->end)
        return -1;
    uint8_t t = *c->at++;
    if (t < 0x80 || t >= 0xe0 || t == 0xc0 || t == 0xc2 || t == 0xc3)
        return 0;
    if (t < 0x90)
        return 2 * (t & 15);
    if (t < 0xa0)
        return t & 15;
    if (t < 0xc0)
        return skip_bytes(c, t & 31);
    if (t >= 0xc4 && t <= 0xc6)
        return length(c, 1 << (t - 0xc4), &n) || skip_bytes(c, n) ? -1 : 0;
    if (t >= 0xca && t <= 0xd3)
        return skip_bytes(c, sizes[t - 0xca]);
    if (t >= 0xd9 && t <= 0xdb)
        return length(c, 1 << (t - 0xd9), &n) || skip_bytes(c, n) ? -1 : 0;
    if (t == 0xdc || t == 0xdd)
        return length(c, 2 << (t - 0xdc), &n) ? -1 : (int64_t)n;
    if (t == 0xde || t == 0xdf)
        return length(c, 2 << (t - 0xde), &n) ? -1 : 2 * (int64_t)n;
    return -1; /* an extension, or no type */
}

static int skip(struct cursor *c, int depth)
{
    int64_t n = skip_head(c);
    if (n < 0 || n > c->end - c->at || (n && depth == 0))
        return -1;
    for (int64_t i = 0; i < n; i++)
        if (skip(c, depth - 1) != 0)
            return -1;
    return 0;
}

static bool is_list(const struct cursor *c)
{
    return c->at < c->end && ((*c->at & 0xf0) == 0x90 || *c->at == 0xdc || *c->at == 0xdd);
}

/* --- text --- */

bool fxd_is_utf8(const char *s, size_t n)
{
    const uint8_t *p = (const uint8_t *)s;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < n;) {
        uint32_t c = p[i++];
        int more = c < 0x80 ? 0 : (c & 0xe0) == 0xc0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : 3;
        if (more == 3 && (c & 0xf8) != 0xf0)
            return false;
        if (more)
            c &= 0x3fu >> more;
        if ((size_t)more > n - i)
            return false;
        for (int j = 0; j < more; j++, i++) {
            if ((p[i] & 0xc0) != 0x80)
                return false;
            c = c << 6 | (p[i] & 0x3f);
        }
        if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return false;
    }
    return true;
}

static bool same_text(const msgpack_object *a, const msgpack_object *b)
{
    return a->via.str.size == b->via.str.size &&
           memcmp(a->via.str.ptr, b->via.str.ptr, a->via.str.size) == 0;
}

static bool is_text(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_STR && fxd_is_utf8(o->via.str.ptr, o->via.str.size);
}

/* Is all text UTF-8, are all keys text, and is no key twice?  The depth was checked before. */
static bool is_clean(const msgpack_object *o)
{
    if (o->type == MSGPACK_OBJECT_STR)
        return is_text(o);
    if (o->type == MSGPACK_OBJECT_ARRAY)
        for (uint32_t i = 0; i < o->via.array.size; i++)
            if (!is_clean(&o->via.array.ptr[i]))
                return false;
    if (o->type != MSGPACK_OBJECT_MAP)
        return true;
    if (o->via.map.size > KEYS_MAX)
        return false;
    for (uint32_t i = 0; i < o->via.map.size; i++) {
        const msgpack_object_kv *kv = &o->via.map.ptr[i];
        if (!is_text(&kv->key) || !is_clean(&kv->val))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (same_text(&kv->key, &o->via.map.ptr[j].key))
                return false;
    }
    return true;
}

/* --- lists of numbers --- */

static int read_rows(struct fxd_rows *to, struct cursor *c, const char *what)
{
    if (to->given)
        return -1;
    to->given = true;
    if (fx_rows_read(&c->at, c->end, what, &to->rows, to->why) == 0) {
        to->why[0] = '\0';
        return 0;
    }
    to->rows = (struct fx_rows){.x = NULL};
    return skip(c, DEPTH);
}

static int read_ids(struct fxd_map *m, struct cursor *c)
{
    if (m->has_ids)
        return -1;
    m->has_ids = true;
    if (fx_ids_read(&c->at, c->end, "ids", &m->ids, &m->nids, m->ids_why) == 0) {
        m->ids_why[0] = '\0';
        return 0;
    }
    m->ids = NULL;
    m->nids = 0;
    return skip(c, DEPTH);
}

/* --- the map --- */

/* Returns the number of pairs of the map that begins here, or -1. */
static int64_t map_size(struct cursor *c)
{
    if (c->at == c->end || !((*c->at & 0xf0) == 0x80 || *c->at == 0xde || *c->at == 0xdf))
        return -1;
    int64_t n = skip_head(c);
    return n < 0 || n > 2 * KEYS_MAX ? -1 : n / 2;
}

/* Reads a key: text of at most KEY_MAX bytes. */
static int read_key(struct cursor *c, const uint8_t **key, size_t *len)
{
    uint64_t n;
    if (c->at == c->end)
        return -1;
    uint8_t t = *c->at++;
    if ((t & 0xe0) == 0xa0)
        n = t & 31;
    else if (t < 0xd9 || t > 0xdb || length(c, 1 << (t - 0xd9), &n) != 0)
        return -1;
    *key = c->at;
    *len = (size_t)n;
    return n > KEY_MAX || skip_bytes(c, n) != 0 ? -1 : 0;
}

static bool is_key(const uint8_t *key, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(key, name, len) == 0;
}

static const char *const names[FXD_LISTS] = {"vectors", "query_vectors", "training_vectors",
                                             "vector"};

/* Reads one pair; a small one is appended to m->bytes. */
static int read_pair(struct fxd_map *m, struct cursor *c, uint32_t *small)
{
    const uint8_t *begin = c->at, *key;
    size_t len;
    if (read_key(c, &key, &len) != 0)
        return -1;
    if (is_list(c)) {
        for (int i = 0; i < FXD_LISTS; i++)
            if (is_key(key, len, names[i]))
                return read_rows(&m->lists[i], c, names[i]);
        if (is_key(key, len, "ids"))
            return read_ids(m, c);
    }
    if (skip(c, DEPTH) != 0 || m->bytes.size + (size_t)(c->at - begin) > FX_HEADER_MAX)
        return -1;
    (*small)++;
    return msgpack_sbuffer_write(&m->bytes, (const char *)begin, (size_t)(c->at - begin));
}

/* Is a key there as a list of numbers and as something else? */
static bool is_doubled(const struct fxd_map *m)
{
    for (int i = 0; i < FXD_LISTS; i++)
        if (m->lists[i].given && fx_header_get(&m->fields, names[i]))
            return true;
    return m->has_ids && fx_header_get(&m->fields, "ids");
}

int fxd_map_read(struct fxd_map *m, const void *data, size_t size)
{
    struct cursor c = {data, (const uint8_t *)data + size};
    uint8_t head[3] = {0xde, 0, 0}; /* a map of up to 65535 pairs */
    uint32_t small = 0;
    const char *why;
    memset(m, 0, sizeof *m);
    msgpack_sbuffer_init(&m->bytes);
    int64_t n = map_size(&c);
    if (n < 0 || msgpack_sbuffer_write(&m->bytes, (const char *)head, sizeof head) != 0)
        return -1;
    for (int64_t i = 0; i < n; i++)
        if (read_pair(m, &c, &small) != 0)
            return -1;
    m->bytes.data[2] = (char)small; /* at most KEYS_MAX */
    if (c.at != c.end || fx_header_read(&m->fields, m->bytes.data, m->bytes.size, &why) != 0)
        return -1;
    msgpack_object all = {.type = MSGPACK_OBJECT_MAP, .via.map = *m->fields.map};
    return is_clean(&all) && !is_doubled(m) ? 0 : -1;
}

void fxd_map_free(struct fxd_map *m)
{
    for (int i = 0; i < FXD_LISTS; i++)
        free(m->lists[i].rows.x);
    free(m->ids);
    fx_header_free(&m->fields);
    msgpack_sbuffer_destroy(&m->bytes);
    memset(m, 0, sizeof *m);
}
