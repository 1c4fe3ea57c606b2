/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an ask: the message is read, requests follow one another, the reply is sent. */
#include "server/engine/dialect/ask.h"

#include <stdlib.h>
#include <string.h>

#include "server/engine/run/kept.h"

enum { SMALL = 1 << 20 }; /* bytes: such a message is read whatever else there is */

void fxd_ask_free(struct fxd_ask *a)
{
    if (!a)
        return;
    fxd_map_free(&a->map);
    fxe_kept_sub(a->kept);
    fxe_msg_free(a->msg);
    msgpack_sbuffer_destroy(&a->header);
    msgpack_sbuffer_destroy(&a->list);
    msgpack_sbuffer_destroy(&a->reply);
    free(a);
}

static struct fxd_ask *new_ask(struct fxe_conn *c)
{
    struct fxd_ask *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->conn = c;
    a->absent = "does not exist";
    msgpack_sbuffer_init(&a->map.bytes);
    msgpack_sbuffer_init(&a->header);
    msgpack_sbuffer_init(&a->list);
    msgpack_sbuffer_init(&a->reply);
    return a;
}

/* --- the key --- */

/* Are they equal?  Takes as long whatever they are. */
static bool same_key(const struct fxe_conn *c, const char *key, size_t len)
{
    unsigned char differ = len != c->own_key_size;
    for (size_t i = 0; i < c->own_key_size; i++)
        differ |= (unsigned char)(c->own_key[i] ^ (i < len ? key[i] : 0));
    return !differ;
}

/* The first message, whose key the front has checked, cannot be read: no later one is believed, as
 * no key is empty. */
static void believe_no_key(struct fxe_conn *c)
{
    if (c->key && !c->own_key)
        c->own_key = calloc(1, 1);
}

/* The front has checked the key of the first message; all others must have the same one. */
static int check_key(struct fxd_ask *a)
{
    struct fxe_conn *c = a->conn;
    const msgpack_object *key = fxd_get(a, "api_key"), *tenant = fxd_get(a, "tenant_id");
    const char *s;
    size_t len;
    if (!c->key)
        return 0; /* the server has no keys */
    bool text = fx_header_str(&a->map.fields, "api_key", &s, &len);
    if (!c->own_key && text && (c->own_key = malloc(len + 1))) {
        memcpy(c->own_key, s, len);
        c->own_key_size = len;
        return 0;
    }
    if (!key || key->type == MSGPACK_OBJECT_NIL || (text && len == 0))
        return fxd_error(a, "AUTH_ERROR", "API key required");
    if (!text || !c->own_key || !same_key(c, s, len))
        return fxd_error(a, "AUTH_ERROR", "Invalid API key");
    if (tenant && tenant->type != MSGPACK_OBJECT_NIL &&
        (tenant->type != MSGPACK_OBJECT_STR || tenant->via.str.size > FX_TENANT_MAX))
        return fxd_error(a, "AUTH_ERROR", "Invalid tenant ID");
    return 0;
}

/* --- reading --- */

static size_t bytes_of(const struct fxd_map *m)
{
    size_t n = m->nids * sizeof *m->ids;
    for (int i = 0; i < FXD_LISTS; i++)
        n += m->lists[i].rows.n * m->lists[i].rows.d * sizeof(float);
    return n;
}

static void ping(struct fxd_ask *a)
{
    fxd_ok(a, 2);
    fxd_put_text(a, "message", "pong");
    msgpack_packer pk = fxd_put(a, "time");
    msgpack_pack_double(&pk, (double)time(NULL));
}

static fxd_action *find_action(const struct fxd_ask *a)
{
    static const struct fxd_entry *const tables[] = {fxd_searches, fxd_vectors, fxd_stored,
                                                     fxd_manage, fxd_special};
    const msgpack_object *o = fxd_get(a, "action");
    if (!o || o->type != MSGPACK_OBJECT_STR)
        return NULL;
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct fxd_entry *e = tables[t]; e->name; e++)
            if (fx_header_is(&a->map.fields, "action", e->name))
                return e->action;
    return NULL;
}

/* Reads the message and begins what it asks for, or replies. */
static void begin(struct fxd_ask *a, struct fxe_msg *m)
{
    /* Numbers of a byte, such as small integers, take four as float32. */
    size_t most = m->kind ? 0 : 4 * m->frames[0].size;
    if (m->kind)
        fxd_error(a, NULL, "%s", m->why);
    else if (most > SMALL && fxe_kept_is_full(most, m->kept))
        fxd_error(a, NULL, "The server has no memory for a message of %zu bytes at present",
                  m->frames[0].size);
    else if (fxe_kept_add(most), a->kept = most,
             fxd_map_read(&a->map, m->frames[0].data, m->frames[0].size) != 0)
        fxd_error(a, NULL, "Malformed request");
    fxe_kept_sub(a->kept);
    a->kept = bytes_of(&a->map);
    fxe_kept_add(a->kept);
    if (a->replied)
        believe_no_key(a->conn);
    fxe_msg_free(m); /* its numbers are arrays now */
    if (a->replied)
        return;
    const msgpack_object *action = fxd_get(a, "action"), *success = fxd_get(a, "success");
    if (success && success->type == MSGPACK_OBJECT_BOOLEAN && !success->via.boolean &&
        fxd_get(a, "error")) { /* a reply, as the original tells them */
        fxd_error(a, NULL, "Malformed request");
        return;
    }
    if (action && action->type == MSGPACK_OBJECT_STR &&
        fx_header_is(&a->map.fields, "action", "ping")) {
        check_key(a); /* only keeps the first one: the original, too, answers any ping */
        ping(a);
        return;
    }
    if (check_key(a) != 0)
        return;
    a->action = find_action(a);
    if (a->action)
        a->action(a, NULL);
    else
        fxd_error(a, NULL, "Unknown action");
}

/* --- requests --- */

/* Makes the request that has been begun; or, if the reply is complete, one that does nothing. */
static struct fxe_req *make(struct fxd_ask *a)
{
    struct fxe_conn *c = a->conn;
    if (a->broken && !a->replied)
        fxd_error(a, NULL, "The server is out of memory");
    if (a->replied) {
        fxe_msg_free(a->msg); /* it was begun before something went wrong */
        a->msg = NULL;
        a->tolerant = false;
        fxd_begin(a, "ping");
    }
    struct fxe_msg *m = a->msg;
    if (!m || !a->header.data) {
        fxd_ask_free(a);
        return NULL;
    }
    for (int i = 0; i < 4; i++)
        a->header.data[1 + i] = (char)(a->keys >> (24 - 8 * i));
    m->frames[0] = (struct fx_buffer){a->header.data, a->header.size, 0};
    msgpack_sbuffer_release(&a->header);
    a->msg = NULL;
    a->begun = false;
    struct fxe_req *r = fxe_req_of(m, c);
    if (r)
        r->ask = a;
    else
        fxd_ask_free(a);
    return r;
}

struct fxe_req *fxd_req_new(struct fxe_msg *m, struct fxe_conn *c)
{
    struct fxd_ask *a = new_ask(c);
    if (!a) {
        fxe_msg_free(m);
        return NULL;
    }
    begin(a, m);
    if (!a->begun && !a->replied)
        fxd_error(a, "internal_error", "The server has no answer");
    return make(a);
}

struct fxe_req *fxd_next(struct fxe_req *r)
{
    struct fxd_ask *a = r->ask;
    if (a->replied)
        return NULL;
    if (r->failed && !a->tolerant) {
        fxd_failed(a, r, NULL, "");
        return NULL;
    }
    a->action(a, r);
    if (a->replied) { /* what the request returned is in the reply */
        for (int i = 0; i < r->nout; i++)
            free(r->out[i].data);
        r->nout = 0;
    }
    if (a->replied || !a->begun)
        return NULL;
    r->ask = NULL;
    struct fxe_req *next = make(a);
    return next;
}

struct fx_frame fxd_reply(struct fxe_req *r)
{
    static const char no_memory[] = "\x82\xa7success\xc2\xa5"
                                    "error\xbb"
                                    "The server is out of memory";
    if (!r->ask) {
        r->ask = new_ask(r->conn);
        if (!r->ask)
            return (struct fx_frame){"\x80", 1};
    }
    if (!r->ask->replied && r->failed)
        fxd_failed(r->ask, r, r->kind && strcmp(r->kind, "timeout") == 0 ? "TIMEOUT" : NULL, "");
    else if (!r->ask->replied)
        fxd_error(r->ask, "internal_error", "The server has no answer");
    if (r->ask->broken)
        return (struct fx_frame){no_memory, sizeof no_memory - 1};
    return (struct fx_frame){r->ask->reply.data, r->ask->reply.size};
}

/* --- building a request --- */

static int write_header(void *header, const char *bytes, size_t n)
{
    struct fxd_ask *a = (struct fxd_ask *)((char *)header - offsetof(struct fxd_ask, header));
    int rc = msgpack_sbuffer_write(&a->header, bytes, n);
    a->broken |= rc != 0;
    return rc;
}

void fxd_begin(struct fxd_ask *a, const char *operation)
{
    static const char map[5] = "\xdf"; /* of up to 2^32 pairs, which `make` counts */
    fxe_msg_free(a->msg);
    msgpack_sbuffer_clear(&a->header);
    a->keys = 0;
    a->begun = true;
    a->msg = calloc(1, sizeof *a->msg);
    if (a->msg)
        a->msg->nframes = 1;
    msgpack_sbuffer_write(&a->header, map, sizeof map);
    fxd_str(a, "operation", operation);
}

void fxd_begin_named(struct fxd_ask *a, const char *operation)
{
    fxd_begin(a, operation);
    fxd_str(a, "name", a->name);
}

msgpack_packer fxd_key(struct fxd_ask *a, const char *key)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, &a->header, write_header);
    fx_pack_str(&pk, key);
    a->keys++;
    return pk;
}

void fxd_int(struct fxd_ask *a, const char *key, int64_t v)
{
    msgpack_packer pk = fxd_key(a, key);
    msgpack_pack_int64(&pk, v);
}

void fxd_str(struct fxd_ask *a, const char *key, const char *s)
{
    msgpack_packer pk = fxd_key(a, key);
    fx_pack_str(&pk, s);
}

void fxd_true(struct fxd_ask *a, const char *key)
{
    msgpack_packer pk = fxd_key(a, key);
    msgpack_pack_true(&pk);
}

void fxd_frame(struct fxd_ask *a, const char *key, void *data, size_t size)
{
    if (!a->msg || !data) {
        free(data);
        fxd_error(a, NULL, "The server has no memory for an array of %zu bytes", size);
        return;
    }
    fxd_int(a, key, a->msg->nframes - 1);
    a->msg->frames[a->msg->nframes++] = (struct fx_buffer){data, size, 0};
    a->msg->kept += size;
    fxe_kept_add(size);
}
