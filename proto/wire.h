/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing message headers; wire.md describes the format.  The only allocation is the
 * msgpack zone of a decoded header.  No state; any thread.
 */
#ifndef FX_WIRE_H
#define FX_WIRE_H

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

#define FX_PROTOCOL 1

/* One frame of a message.  The memory belongs to the creator of the message. */
struct fx_frame {
    const void *data;
    size_t size;
};

/*
 * Check that `buf` is one msgpack value that can be decoded safely: complete, nothing after it, no
 * deeper than FX_HEADER_DEPTH, no larger than FX_HEADER_MAX, and no array, map or string that
 * claims more than the bytes present.  (msgpack-c allocates what a header claims before it reads
 * it.)  Returns 0, or -1 and the reason in *why.
 */
int fx_header_check(const void *buf, size_t len, const char **why);

/* A decoded header.  Zero-initialise it, and free it with fx_header_free. */
struct fx_header {
    msgpack_unpacked unpacked;
    const msgpack_object_map *map;
};

/* Check and decode a header.  Its strings point into `buf`.  Returns 0, or the reason in *why and
 * -1, or -2 if there is no memory. */
int fx_header_read(struct fx_header *h, const void *buf, size_t len, const char **why);
void fx_header_free(struct fx_header *h);

/* The value of `key`, or NULL. */
const msgpack_object *fx_header_get(const struct fx_header *h, const char *key);

/* Get the value of `key` as a string or bytes (not NUL terminated), an unsigned integer, or a
 * signed one.  Each returns 1, or 0 if the key is missing, has another type or does not fit. */
int fx_header_str(const struct fx_header *h, const char *key, const char **s, size_t *len);
int fx_header_uint(const struct fx_header *h, const char *key, uint64_t *out);
int fx_header_int(const struct fx_header *h, const char *key, int64_t *out);
int fx_header_is(const struct fx_header *h, const char *key, const char *text);

/* Pack a string (a key or a value), and raw bytes. */
void fx_pack_str(msgpack_packer *pk, const char *s);
void fx_pack_bin(msgpack_packer *pk, const void *data, size_t len);

#endif
