/* SPDX-License-Identifier: Apache-2.0 */
/* First messages of the dialect of FAISSx's Python client: a map with `action`. */
#include "server/front/dialect.h"

#include <string.h>
#include <sys/time.h>

#include "server/front/auth.h"
#include "server/log.h"

bool fxs_is_dialect(const struct fx_header *h)
{
    return fx_header_get(h, "action") && !fx_header_get(h, "operation");
}

/* The client always sends `action` first. */
bool fxs_begins_dialect(const uint8_t *p, size_t n)
{
    static const char key[] = "\xa6"
                              "action";
    size_t head = n && (p[0] & 0xf0) == 0x80 ? 1
                  : n && p[0] == 0xde        ? 3
                  : n && p[0] == 0xdf        ? 5
                                             : n;
    return n >= head + sizeof key - 1 && memcmp(p + head, key, sizeof key - 1) == 0;
}

static double now(void)
{
    struct timeval t;
    gettimeofday(&t, NULL);
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void begin(msgpack_sbuffer *buf, msgpack_packer *pk, bool success, unsigned keys)
{
    msgpack_sbuffer_init(buf);
    msgpack_packer_init(pk, buf, msgpack_sbuffer_write);
    msgpack_pack_map(pk, 2 + keys);
    fx_pack_str(pk, "success");
    if (success)
        msgpack_pack_true(pk);
    else
        msgpack_pack_false(pk);
    fx_pack_str(pk, "timestamp");
    msgpack_pack_double(pk, now());
}

int fxs_dialect_pong(struct fxs_guest *g)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    g->answered = true;
    begin(&buf, &pk, true, 3);
    fx_pack_str(&pk, "message");
    fx_pack_str(&pk, "pong");
    fx_pack_str(&pk, "time");
    msgpack_pack_double(&pk, now());
    fx_pack_str(&pk, "version");
    fx_pack_str(&pk, FAISSX_VERSION);
    return fxs_answer_send(g, &buf);
}

int fxs_dialect_error(struct fxs_front *f, struct fxs_guest *g, const char *code, const char *why)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    fxs_guest_count(f, g);
    fxs_log(FXS_DEBUG, "front", "event=refused peer=\"%s\" dialect=1 message=\"%s\"",
            g->record.peer, why);
    begin(&buf, &pk, false, 1 + (code != NULL));
    fx_pack_str(&pk, "error");
    fx_pack_str(&pk, why);
    if (code) {
        fx_pack_str(&pk, "error_code");
        fx_pack_str(&pk, code);
    }
    return fxs_answer_send(g, &buf);
}

const char *fxs_dialect_check(const struct fxs_auth *auth, const struct fx_header *h,
                              const char **whose, unsigned *number)
{
    const msgpack_object *key = fx_header_get(h, "api_key"),
                         *tenant = fx_header_get(h, "tenant_id");
    struct fxs_text text = {NULL, 0}, none = {NULL, 0};
    if (key && key->type == MSGPACK_OBJECT_STR)
        text = (struct fxs_text){key->via.str.ptr, key->via.str.size};
    else if (key && key->type != MSGPACK_OBJECT_NIL)
        text = (struct fxs_text){"", SIZE_MAX}; /* matches no key */
    /* The tenant is that of the key, whatever the request says, as in the original. */
    const char *wrong = fxs_auth_check(auth, text, none, whose, number);
    if (!wrong && auth && tenant && tenant->type != MSGPACK_OBJECT_NIL &&
        (tenant->type != MSGPACK_OBJECT_STR || tenant->via.str.size > FXS_TENANT_MAX))
        wrong = "Invalid tenant ID";
    return wrong;
}
