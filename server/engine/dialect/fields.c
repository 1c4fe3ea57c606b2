/* SPDX-License-Identifier: Apache-2.0 */
/* What actions read of a message and know of its index, and the keys of their replies. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/vectors.h"
#include "server/engine/dialect/ask.h"
#include "server/engine/guard/catch.h"
#include "server/engine/guard/facts.h"
#include "server/engine/objects/named.h"
#include "server/engine/run/kept.h"
#include "server/engine/training/training.h"

/* --- the message --- */

const msgpack_object *fxd_get(const struct fxd_ask *a, const char *key)
{
    return fx_header_get(&a->map.fields, key);
}

int fxd_get_int(struct fxd_ask *a, const char *key, int64_t dflt, int64_t *out)
{
    const msgpack_object *o = fxd_get(a, key);
    *out = dflt;
    if (!o || o->type == MSGPACK_OBJECT_NIL || fx_header_int(&a->map.fields, key, out))
        return 0;
    return fxd_error(a, NULL, "%s must be an integer", key);
}

int fxd_get_name(struct fxd_ask *a)
{
    const char *s = "";
    size_t len = 0;
    const msgpack_object *o = fxd_get(a, "index_id");
    if (o && o->type == MSGPACK_OBJECT_NIL)
        return fxd_error(a, NULL, "Index None %s", a->absent);
    if (o && o->type != MSGPACK_OBJECT_STR)
        return fxd_error(a, NULL, "index_id must be a string");
    fx_header_str(&a->map.fields, "index_id", &s, &len);
    if (!fxe_named_allows(s, len))
        return fxd_error(a, NULL,
                         "Invalid index_id: it must have 1 to %d bytes without control characters",
                         FXD_NAME_MAX);
    memcpy(a->name, s, len);
    a->name[len] = '\0';
    return 0;
}

struct fx_rows *fxd_rows_of(struct fxd_ask *a, enum fxd_list which, const char *error)
{
    struct fxd_rows *l = &a->map.lists[which];
    if (l->given && !l->why[0])
        return &l->rows;
    fxd_error(a, NULL, "%s: %s", error, l->given ? l->why : "a list of vectors is missing");
    return NULL;
}

/* FAISS's hash of a short row reads 8 bytes, and uses those of the row. */
static void *bits_of(const struct fx_rows *rows, size_t bytes)
{
    uint8_t *bits = calloc(rows->n * bytes + 8, 1);
    for (size_t i = 0; bits && i < rows->n; i++)
        for (size_t j = 0; j < rows->d; j++)
            if (rows->x[i * rows->d + j] > 0.5f)
                bits[i * bytes + j / 8] |= (uint8_t)(1u << j % 8);
    return bits;
}

void fxd_give_rows(struct fxd_ask *a, struct fx_rows *rows, bool binary)
{
    size_t each = rows->d * sizeof(float);
    void *data = rows->x;
    if (binary) {
        each = (rows->d + 7) / 8;
        data = bits_of(rows, each);
    } else {
        rows->x = NULL;
    }
    fxd_int(a, "n", (int64_t)rows->n);
    fxd_frame(a, "x", data, rows->n * each);
}

bool fxd_one_of(const msgpack_object *key, const char *const *names)
{
    for (; *names; names++)
        if (key->type == MSGPACK_OBJECT_STR && key->via.str.size == strlen(*names) &&
            memcmp(key->via.str.ptr, *names, key->via.str.size) == 0)
            return true;
    return false;
}

bool fxd_only_has(struct fxd_ask *a, const char *function, const char *const *keys)
{
    static const char *const all[] = {"action", "api_key", "tenant_id", NULL};
    for (uint32_t i = 0; i < a->map.fields.map->size; i++) {
        const msgpack_object *key = &a->map.fields.map->ptr[i].key;
        if (fxd_one_of(key, all) || fxd_one_of(key, keys))
            continue;
        fxd_error(a, NULL, "Server error: %s() got an unexpected keyword argument '%.*s'", function,
                  (int)key->via.str.size, key->via.str.ptr);
        return false;
    }
    return true;
}

/* --- the index --- */

static void copy_type(char to[48], const void *faiss)
{
    const char *at = NULL;
    size_t n = 0;
    fxe_index_type(faiss, &at, &n);
    snprintf(to, 48, "%.*s", n > 47 ? 47 : (int)n, at);
}

static bool needs_training(const char *type)
{
    return strstr(type, "IVF") || strstr(type, "PQ") || strstr(type, "ScalarQuantizer") ||
           strstr(type, "PreTransform") || strstr(type, "LSH");
}

void fxd_facts_of(const struct fxe_obj *o, struct fxd_facts *f)
{
    int64_t nprobe;
    *f = (struct fxd_facts){.binary = fxe_is_binary(o) != 0, .d = fxe_index_d(o)};
    if (!o->ptr)
        return;
    copy_type(f->type, o->ptr);
    f->idmap2 = strstr(f->type, "IDMap2") != NULL;
    f->idmap = strstr(f->type, "IDMap") != NULL;
    f->metric = f->binary ? (int64_t)fxe_api()->IndexBinary_metric_type(o->ptr)
                          : (int64_t)fxe_api()->Index_metric_type(o->ptr);
    if (strcmp(f->type, "IndexFlat") == 0) /* the factory's class, with the name of its like */
        strcpy(f->type, f->metric == METRIC_INNER_PRODUCT ? "IndexFlatIP" : "IndexFlatL2");
    FaissIndexIDMap *map = f->idmap ? fxe_id_map_of(o) : NULL;
    if (map)
        copy_type(f->inner, fxe_api()->IndexIDMap_sub_index(map));
    f->trains = needs_training(f->inner[0] ? f->inner : f->type);
    f->ivf = fxe_nprobe_of(o, &nprobe);
    f->ntotal = fxe_ntotal_of(o);
    const struct fxe_training *t = fxe_training_of(o);
    if (t) {
        strcpy(f->type, t->plan.type);
        strcpy(f->inner, t->plan.inner);
        f->trains = f->waits = true;
        f->asked = t->plan.asked;
        f->enough = t->plan.enough;
        return;
    }
    f->trained =
        f->binary ? fxe_api()->IndexBinary_is_trained(o->ptr) : fxe_api()->Index_is_trained(o->ptr);
}

/* `own`: the caller holds its lock, so it is not being changed by somebody else. */
static int look(const char *name, struct fxd_facts *f, bool own)
{
    fxe_lock();
    const struct fxe_obj *o = fxe_named_find(name, strlen(name));
    bool known = o && o->ptr && (own || !(o->group && o->group->writer));
    if (known)
        fxd_facts_of(o, f);
    else if (o)
        *f = (struct fxd_facts){.binary = fxe_is_binary(o) != 0, .d = fxe_index_d(o)};
    fxe_unlock();
    return !o ? -1 : known ? 0 : 1;
}

int fxd_look(const char *name, struct fxd_facts *f)
{
    return look(name, f, false);
}

int fxd_look_own(const char *name, struct fxd_facts *f)
{
    return look(name, f, true);
}

int fxd_index(struct fxd_ask *a)
{
    if (fxd_get_name(a) != 0)
        return -1;
    if (fxd_look(a->name, &a->facts) < 0)
        return fxd_error(a, NULL, "Index %s %s", a->name, a->absent);
    return 0;
}

/* --- the reply --- */

static double now(void)
{
    struct timeval t;
    gettimeofday(&t, NULL);
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

double fxd_reply_max(void)
{
    return (double)fxe_engine.options.faissx.reply * (1 << 20);
}

int fxd_reserve(struct fxd_ask *a, double bytes)
{
    size_t n = (size_t)bytes + 1024;
    if (bytes > fxd_reply_max())
        return fxd_error(a, NULL, "Response too large");
    char *data = fxe_kept_is_full(n, a->kept) ? NULL : realloc(a->reply.data, n);
    if (!data)
        return fxd_error(a, NULL, "The server has no memory for a reply of %zu bytes at present",
                         n);
    a->reply.data = data;
    a->reply.alloc = n;
    a->reply.size = 0;
    a->kept += n;
    fxe_kept_add(n);
    return 0;
}

void *fxd_out(struct fxd_ask *a, const struct fxe_req *done, int i, size_t n, size_t each)
{
    size_t size;
    if (i < done->nout && !__builtin_mul_overflow(n, each, &size) && done->out[i].size == size)
        return done->out[i].data;
    fxd_error(a, NULL, "Index %s has been changed by another client meanwhile; repeat the request",
              a->name);
    return NULL;
}

static int write_reply(void *reply, const char *bytes, size_t n)
{
    struct fxd_ask *a = (struct fxd_ask *)((char *)reply - offsetof(struct fxd_ask, reply));
    int rc = msgpack_sbuffer_write(&a->reply, bytes, n);
    a->broken |= rc != 0;
    return rc;
}

/* Begins a reply that has no other yet. */
static msgpack_packer begin_reply(struct fxd_ask *a, bool success, uint32_t keys)
{
    msgpack_packer pk;
    msgpack_sbuffer_clear(&a->reply);
    msgpack_packer_init(&pk, &a->reply, write_reply);
    a->replied = true;
    msgpack_pack_map(&pk, keys + 3);
    fx_pack_str(&pk, "success");
    if (success)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
    fx_pack_str(&pk, "timestamp");
    msgpack_pack_double(&pk, now());
    fx_pack_str(&pk, "version");
    fx_pack_str(&pk, FAISSX_VERSION);
    return pk;
}

void fxd_ok(struct fxd_ask *a, uint32_t keys)
{
    begin_reply(a, true, keys);
}

msgpack_packer fxd_put(struct fxd_ask *a, const char *key)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, &a->reply, write_reply);
    fx_pack_str(&pk, key);
    return pk;
}

void fxd_put_int(struct fxd_ask *a, const char *key, int64_t v)
{
    msgpack_packer pk = fxd_put(a, key);
    msgpack_pack_int64(&pk, v);
}

void fxd_put_bool(struct fxd_ask *a, const char *key, bool v)
{
    msgpack_packer pk = fxd_put(a, key);
    if (v)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

void fxd_put_text(struct fxd_ask *a, const char *key, const char *s)
{
    msgpack_packer pk = fxd_put(a, key);
    fx_pack_str(&pk, s);
}

void fxd_floats(struct fxd_ask *a, const float *x, size_t n)
{
    a->broken |= fx_floats_write(&a->reply, x, n) != 0;
}

void fxd_ids(struct fxd_ask *a, const int64_t *ids, size_t n)
{
    a->broken |= fx_ids_write(&a->reply, ids, n) != 0;
}

void fxd_put_message(struct fxd_ask *a, const char *format, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    fxd_put_text(a, "message", text);
}

/* Text that comes from FAISS or from a message may have been cut within a character, and the client
 * refuses a reply that is not UTF-8. */
static void cut_last_character(char *s)
{
    size_t n = strlen(s), i = n;
    while (i > 0 && n - i < 4 && ((unsigned char)s[i - 1] & 0xc0) == 0x80)
        i--;
    if (i > 0 && (unsigned char)s[i - 1] >= 0xc0)
        s[i - 1] = '\0';
}

int fxd_error(struct fxd_ask *a, const char *code, const char *format, ...)
{
    char text[900];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (n >= (int)sizeof text)
        cut_last_character(text);
    msgpack_packer pk = begin_reply(a, false, 1 + (code != NULL));
    fx_pack_str(&pk, "error");
    fx_pack_str(&pk, text[0] ? text : "unknown error");
    if (code) {
        fx_pack_str(&pk, "error_code");
        fx_pack_str(&pk, code);
    }
    return -1;
}

int fxd_failed(struct fxd_ask *a, const struct fxe_req *done, const char *code, const char *before)
{
    const char *text = done->message ? done->message : "";
    if (done->kind && strcmp(done->kind, "handle") == 0 && a->name[0])
        return fxd_error(a, NULL, "Index %s %s", a->name, a->absent);
    if (strncmp(text, "faissx: ", 8) == 0)
        text += 8;
    return fxd_error(a, code, "%s%s", before, text);
}
