/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire: reading of message headers.  The format is described in
 * wire.md.  Nothing here allocates but the msgpack zone of a header, and no
 * function keeps state: any thread may call any of them.
 */
#ifndef FX_WIRE_H
#define FX_WIRE_H

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

#define FX_PROTOCOL 1

/* One frame of a message: memory of whoever made the message. */
struct fx_frame {
    const void *data;
    size_t size;
};

/*
 * Is `buf` one msgpack value that can be decoded safely: complete, nothing behind
 * it, no deeper than FX_HEADER_DEPTH, no larger than FX_HEADER_MAX, and no array,
 * map or string longer than the bytes that are there?  (msgpack-c allocates what
 * a header claims before it looks for it.)  Returns 0, or -1 and why in *why.
 */
int fx_header_check(const void *buf, size_t len, const char **why);

/* A decoded header; zero-initialise, free with fx_header_free. */
struct fx_header {
    msgpack_unpacked unpacked;
    const msgpack_object_map *map;
};

/* Check and decode.  Strings point into `buf`.  Returns 0, or -1 and why. */
int fx_header_read(struct fx_header *h, const void *buf, size_t len, const char **why);
void fx_header_free(struct fx_header *h);

/* The value of `key`, or NULL. */
const msgpack_object *fx_header_get(const struct fx_header *h, const char *key);

/* The value of `key` if it has that type: a string or bin (returns 1, not NUL
 * terminated), an unsigned or signed integer that fits (returns 1); else 0. */
int fx_header_str(const struct fx_header *h, const char *key, const char **s, size_t *len);
int fx_header_uint(const struct fx_header *h, const char *key, uint64_t *out);
int fx_header_int(const struct fx_header *h, const char *key, int64_t *out);
int fx_header_is(const struct fx_header *h, const char *key, const char *text);

/* Packing: a string key or value, and raw bytes. */
void fx_pack_str(msgpack_packer *pk, const char *s);
void fx_pack_bin(msgpack_packer *pk, const void *data, size_t len);

#endif
