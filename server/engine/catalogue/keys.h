/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the keys of a catalogue request.  If a key is missing or wrong, the reply becomes an error
 * that names the operation, the key, what was expected and what was given.
 *
 * Called by the thread that handles the request; no lock is needed.
 */
#ifndef FXE_CATALOGUE_KEYS_H
#define FXE_CATALOGUE_KEYS_H

#include "server/engine/run/request.h"

/* Each returns 0, or -1 with the reply set.  fxe_key_int: the key may be missing if `dflt` is not
 * NULL, and *out is then *dflt. */
int fxe_key_int(struct fxe_req *r, const char *key, int64_t min, int64_t max, const int64_t *dflt,
                int64_t *out);
int fxe_key_real(struct fxe_req *r, const char *key, double *out);
/* A text of 1 to `max` bytes, with a 0 behind it; freed with the request. */
int fxe_key_text(struct fxe_req *r, const char *key, size_t max, char **out);
/* The name of an index: *out points into the header. */
int fxe_key_name(struct fxe_req *r, const char *key, const char **out, size_t *len);

bool fxe_key_has(const struct fxe_req *r, const char *key);

/* An array: *arg names it in a call's arguments, a frame or an upload.  `key` may be missing if
 * `frame` is not negative: then it is that frame.  A frame must have n * each bytes, which are n
 * `what`, such as "vectors of 8 float32"; each 0: any number. */
int fxe_key_array(struct fxe_req *r, const char *key, int frame, int64_t n, size_t each,
                  const char *what, msgpack_object *arg);

/* The vectors of a train, add or search: n, and x, which is the first frame unless it says another
 * one.  The caller holds engine.lock. */
int fxe_key_vectors(struct fxe_req *r, const struct fxe_obj *o, msgpack_object *n,
                    msgpack_object *x);

/* Fails with what was expected of `key` and what it is. */
int fxe_key_wrong(struct fxe_req *r, const char *key, const char *expected);

static inline msgpack_object fxe_int(int64_t v)
{
    return v < 0
               ? (msgpack_object){.type = MSGPACK_OBJECT_NEGATIVE_INTEGER, .via.i64 = v}
               : (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = (uint64_t)v};
}

static inline msgpack_object fxe_real(double v)
{
    return (msgpack_object){.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = v};
}

static inline msgpack_object fxe_true(void)
{
    return (msgpack_object){.type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = true};
}

static inline msgpack_object fxe_text(const char *s, size_t n)
{
    return (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {.size = (uint32_t)n, .ptr = s}};
}

static inline msgpack_object fxe_array(msgpack_object *ptr, size_t n)
{
    return (msgpack_object){.type = MSGPACK_OBJECT_ARRAY,
                            .via.array = {.size = (uint32_t)n, .ptr = ptr}};
}

#endif
