/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads arbitrary bytes as a message header.  A header that passes fx_header_check must decode, in
 * memory proportional to its size, and every getter must stay within it.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/api.h"
#include "proto/wire.h"
#include "seed.h"

/* From <sanitizer/allocator_interface.h>, which only clang finds. */
size_t __sanitizer_get_current_allocated_bytes(void);

/* Limits on msgpack-c's memory: a zone of 8 KiB, chunks of up to twice the requested size, and 48
 * bytes for a pair, which may take only two bytes of a header. */
enum { DECODED_MIN = 64 << 10, DECODED_PER_BYTE = 128 };

static void put_seed(const char *dir, const char *name, msgpack_sbuffer *b)
{
    seed(dir, name, b->data, b->size);
    msgpack_sbuffer_clear(b);
}

static void seeds(const char *dir)
{
    msgpack_sbuffer b;
    msgpack_packer pk;
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);

    msgpack_pack_map(&pk, 4);
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, "faiss_Index_search");
    fx_pack_str(&pk, "request_id");
    msgpack_pack_uint64(&pk, 77);
    fx_pack_str(&pk, "session");
    fx_pack_bin(&pk, "0123456789abcdef", FX_TOKEN_SIZE);
    fx_pack_str(&pk, "args");
    msgpack_pack_array(&pk, 6);
    msgpack_pack_uint64(&pk, 1);
    msgpack_pack_int64(&pk, 1000);
    msgpack_pack_array(&pk, 2);
    fx_pack_str(&pk, "upload");
    msgpack_pack_uint64(&pk, 70000);
    msgpack_pack_int64(&pk, -10);
    msgpack_pack_true(&pk);
    msgpack_pack_nil(&pk);
    put_seed(dir, "call", &b);

    msgpack_pack_map(&pk, 3);
    fx_pack_str(&pk, "operation");
    msgpack_pack_str(&pk, 20); /* a function's name followed by a NUL byte */
    msgpack_pack_str_body(&pk, "faiss_Index_ntotal\0x", 20);
    fx_pack_str(&pk, "radius");
    msgpack_pack_double(&pk, 0.25);
    fx_pack_str(&pk, "args");
    msgpack_pack_array(&pk, 1);
    msgpack_pack_array(&pk, 3);
    fx_pack_str(&pk, "and");
    msgpack_pack_array(&pk, 3);
    fx_pack_str(&pk, "range");
    msgpack_pack_int64(&pk, -5000000000);
    msgpack_pack_uint64(&pk, UINT64_MAX);
    msgpack_pack_array(&pk, 2);
    fx_pack_str(&pk, "not");
    msgpack_pack_nil(&pk);
    put_seed(dir, "selector", &b);
    msgpack_sbuffer_destroy(&b);

    seed(dir, "lie", "\xdd\xff\xff\xff\xff", 5);
    seed(dir, "map16", "\xde\x00\x01\xda\x00\x01x\xd2\xff\xff\xff\xff", 12);
    seed(dir, "map32", "\xdf\x00\x00\x00\x01\xdb\x00\x00\x00\x01x\xc5\x00\x01y", 15);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = seed_dir(*argc, *argv);
    if (dir)
        seeds(dir);
    return 0;
}

/* Checks that every string of a decoded value lies within the header. */
static void check_value(const msgpack_object *o, const char *buf, size_t n)
{
    switch (o->type) {
    case MSGPACK_OBJECT_STR:
    case MSGPACK_OBJECT_BIN:
        require(o->via.str.size == 0 ||
                (o->via.str.ptr >= buf && o->via.str.ptr + o->via.str.size <= buf + n));
        break;
    case MSGPACK_OBJECT_ARRAY:
        for (uint32_t i = 0; i < o->via.array.size; i++)
            check_value(&o->via.array.ptr[i], buf, n);
        break;
    case MSGPACK_OBJECT_MAP:
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            check_value(&o->via.map.ptr[i].key, buf, n);
            check_value(&o->via.map.ptr[i].val, buf, n);
        }
        break;
    case MSGPACK_OBJECT_EXT:
        abort(); /* fx_header_check refuses these */
    default:
        break;
    }
}

static void use(const struct fx_header *h, const char *key)
{
    const char *s = "";
    size_t len = 0;
    uint64_t u = 0;
    int64_t i = 0;
    int is_str = fx_header_str(h, key, &s, &len);
    int is_uint = fx_header_uint(h, key, &u), is_int = fx_header_int(h, key, &i);
    require(is_str + (is_uint || is_int) <= 1);
    require(!(is_uint && is_int) || (int64_t)u == i);
    require(!is_str || fx_op_by_name(s, len) < FX_NOPS);
    require(is_str || !fx_header_is(h, key, ""));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const keys[] = {"operation", "request_id", "session", "args",
                                       "api_key",   "status",     "ret",     ""};
    struct fx_header h;
    const char *why = NULL, *why2 = NULL;
    int refused = fx_header_check(data, n, &why);
    require((refused != 0) == (why != NULL));
    size_t before = __sanitizer_get_current_allocated_bytes();
    int unread = fx_header_read(&h, data, n, &why2);
    size_t used = __sanitizer_get_current_allocated_bytes() - before;
    if (refused) {
        require(unread && strcmp(why, why2) == 0);
        require((ptrdiff_t)used <= 0); /* refused before any allocation */
    } else {
        require(used <= DECODED_MIN + DECODED_PER_BYTE * n);
        require(!unread || strcmp(why2, "header is not a map") == 0);
        check_value(&h.unpacked.data, (const char *)data, n);
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        use(&h, keys[i]);
    for (uint32_t i = 0; h.map && i < h.map->size && i < 64; i++) {
        const msgpack_object *k = &h.map->ptr[i].key;
        if (k->type != MSGPACK_OBJECT_STR)
            continue;
        char *key = strndup(k->via.str.ptr, k->via.str.size);
        use(&h, key);
        require(strlen(key) != k->via.str.size || fx_header_get(&h, key) != NULL);
        free(key);
    }
    fx_header_free(&h);
    return 0;
}
