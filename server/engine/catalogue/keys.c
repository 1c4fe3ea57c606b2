/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/catalogue/keys.h"

#include <stdio.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/guard/facts.h"
#include "server/engine/objects/named.h"

/* Describes a value for an error. */
static void describe(const msgpack_object *o, char *text, size_t size)
{
    static const char *const types[] = {
        [MSGPACK_OBJECT_NIL] = "nil",        [MSGPACK_OBJECT_BOOLEAN] = "a boolean",
        [MSGPACK_OBJECT_ARRAY] = "an array", [MSGPACK_OBJECT_MAP] = "a map",
        [MSGPACK_OBJECT_BIN] = "bytes",      [MSGPACK_OBJECT_EXT] = "an extension"};
    if (!o)
        snprintf(text, size, "it is missing");
    else if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        snprintf(text, size, "%llu was given", (unsigned long long)o->via.u64);
    else if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        snprintf(text, size, "%lld was given", (long long)o->via.i64);
    else if (o->type == MSGPACK_OBJECT_FLOAT32 || o->type == MSGPACK_OBJECT_FLOAT64)
        snprintf(text, size, "%g was given", o->via.f64);
    else if (o->type == MSGPACK_OBJECT_STR)
        snprintf(text, size, "'%.*s' was given", o->via.str.size > 60 ? 60 : (int)o->via.str.size,
                 o->via.str.ptr);
    else
        snprintf(text, size, "%s was given", types[o->type]);
}

int fxe_key_wrong(struct fxe_req *r, const char *key, const char *expected)
{
    char text[100];
    describe(fx_header_get(&r->header, key), text, sizeof text);
    return fxe_fail(r, "argument", "%s: %s must be %s, but %s", r->operation->name, key, expected,
                    text);
}

bool fxe_key_has(const struct fxe_req *r, const char *key)
{
    const msgpack_object *o = fx_header_get(&r->header, key);
    return o && o->type != MSGPACK_OBJECT_NIL;
}

int fxe_key_int(struct fxe_req *r, const char *key, int64_t min, int64_t max, const int64_t *dflt,
                int64_t *out)
{
    char expected[100];
    if (dflt && !fxe_key_has(r, key)) {
        *out = *dflt;
        return 0;
    }
    if (fx_header_int(&r->header, key, out) && *out >= min && *out <= max)
        return 0;
    if (max == INT64_MAX && min == INT64_MIN)
        snprintf(expected, sizeof expected, "an integer");
    else if (max == INT64_MAX)
        snprintf(expected, sizeof expected, "an integer of at least %lld", (long long)min);
    else
        snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)min,
                 (long long)max);
    return fxe_key_wrong(r, key, expected);
}

int fxe_key_real(struct fxe_req *r, const char *key, double *out)
{
    const msgpack_object *o = fx_header_get(&r->header, key);
    int64_t whole;
    if (o && (o->type == MSGPACK_OBJECT_FLOAT32 || o->type == MSGPACK_OBJECT_FLOAT64))
        *out = o->via.f64;
    else if (fx_header_int(&r->header, key, &whole))
        *out = (double)whole;
    else
        return fxe_key_wrong(r, key, "a number");
    return 0;
}

int fxe_key_text(struct fxe_req *r, const char *key, size_t max, char **out)
{
    const char *s;
    size_t len;
    char expected[60];
    snprintf(expected, sizeof expected, "a text of 1 to %zu bytes", max);
    if (!fx_header_str(&r->header, key, &s, &len) || len == 0 || len > max || memchr(s, 0, len))
        return fxe_key_wrong(r, key, expected);
    *out = fxe_req_alloc(r, len + 1);
    if (!*out)
        return -1;
    memcpy(*out, s, len);
    (*out)[len] = '\0';
    return 0;
}

int fxe_key_name(struct fxe_req *r, const char *key, const char **out, size_t *len)
{
    if (fx_header_str(&r->header, key, out, len) && fxe_named_allows(*out, *len))
        return 0;
    return fxe_key_wrong(r, key, "a name of 1 to 200 bytes without control characters");
}

int fxe_key_array(struct fxe_req *r, const char *key, int frame, int64_t n, size_t each,
                  const char *what, msgpack_object *arg)
{
    const msgpack_object *o = fx_header_get(&r->header, key);
    int have = r->msg->nframes - 1;
    size_t want;
    *arg = fxe_int(frame);
    if (o && o->type != MSGPACK_OBJECT_NIL)
        *arg = *o;
    else if (frame < 0)
        return fxe_key_wrong(r, key, "the number of a payload frame, or an upload");
    if (arg->type == MSGPACK_OBJECT_ARRAY && r->session)
        return 0; /* its size is known when the call takes it */
    if (arg->type == MSGPACK_OBJECT_ARRAY)
        return fxe_fail(r, "session",
                        "%s: %s is an upload, which needs a session: send hello first",
                        r->operation->name, key);
    if (arg->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return fxe_key_wrong(r, key, "the number of a payload frame, or an upload");
    if (arg->via.u64 >= (uint64_t)have)
        return fxe_fail(r, "argument",
                        "%s: %s is payload frame %llu, but the message has %d payload frames",
                        r->operation->name, key, (unsigned long long)arg->via.u64, have);
    size_t size = r->msg->frames[arg->via.u64 + 1].size;
    if (each && (__builtin_mul_overflow((size_t)n, each, &want) || size != want))
        return fxe_fail(r, "argument",
                        "%s: %s must have %lld %s, which are %lld * %zu bytes, but "
                        "%zu bytes were given",
                        r->operation->name, key, (long long)n, what, (long long)n, each, size);
    return 0;
}

int fxe_key_vectors(struct fxe_req *r, const struct fxe_obj *o, msgpack_object *n,
                    msgpack_object *x)
{
    char what[60];
    int64_t count, d = fxe_index_d(o);
    size_t each = fxe_is_binary(o) ? (size_t)d / 8 : (size_t)d * sizeof(float);
    if (fxe_key_int(r, "n", 0, INT64_MAX, NULL, &count) != 0)
        return -1;
    snprintf(what, sizeof what, "vectors of %lld %s", (long long)d,
             fxe_is_binary(o) ? "bits" : "float32");
    *n = fxe_int(count);
    return fxe_key_array(r, "x", 0, count, each, what, x);
}
