/* SPDX-License-Identifier: Apache-2.0 */
#include "server/note.h"

#include <string.h>

#include "proto/api.h"
#include "proto/wire.h"

static void write_plan(const struct fxs_plan *p, msgpack_packer *pk)
{
    fx_pack_str(pk, "plan");
    fx_pack_str(pk, p->description);
    fx_pack_str(pk, "plan_type");
    fx_pack_str(pk, p->type);
    fx_pack_str(pk, "plan_inner");
    fx_pack_str(pk, p->inner);
    fx_pack_str(pk, "plan_enough");
    msgpack_pack_int64(pk, p->enough);
    fx_pack_str(pk, "plan_asked");
    msgpack_pack_int(pk, p->asked);
}

static void read_text(const struct fx_header *h, const char *key, char *to, size_t size)
{
    const char *s;
    size_t len;
    if (!fx_header_str(h, key, &s, &len) || len >= size)
        return;
    memcpy(to, s, len);
    to[len] = '\0';
}

static void read_plan(const struct fx_header *h, struct fxs_plan *p)
{
    int64_t asked = 0;
    read_text(h, "plan", p->description, sizeof p->description);
    read_text(h, "plan_type", p->type, sizeof p->type);
    read_text(h, "plan_inner", p->inner, sizeof p->inner);
    fx_header_int(h, "plan_enough", &p->enough);
    fx_header_int(h, "plan_asked", &asked);
    p->asked = asked != 0;
}

void fxs_note_write(const struct fxs_note *n, msgpack_sbuffer *b)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, b, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 4 + (n->planned != 0) + (n->plan.description[0] ? 5 : 0));
    fx_pack_str(&pk, "d");
    msgpack_pack_int64(&pk, n->d);
    fx_pack_str(&pk, "metric");
    msgpack_pack_int64(&pk, n->metric);
    fx_pack_str(&pk, "ntotal");
    msgpack_pack_int64(&pk, n->ntotal);
    fx_pack_str(&pk, "odd");
    msgpack_pack_int64(&pk, n->odd);
    if (n->planned) {
        fx_pack_str(&pk, "planned");
        msgpack_pack_int(&pk, n->planned);
    }
    if (n->plan.description[0])
        write_plan(&n->plan, &pk);
}

void fxs_note_read(struct fxs_note *n, const void *data, size_t size)
{
    struct fx_header h = {0};
    const char *why;
    int64_t odd = 0, planned = 0;
    if (fx_header_read(&h, data, size, &why) == 0) {
        fx_header_int(&h, "d", &n->d);
        fx_header_int(&h, "metric", &n->metric);
        fx_header_int(&h, "ntotal", &n->ntotal);
        fx_header_int(&h, "odd", &odd);
        n->odd = (int)odd;
        fx_header_int(&h, "planned", &planned);
        n->planned = planned != 0;
        read_plan(&h, &n->plan);
    }
    fx_header_free(&h);
}
