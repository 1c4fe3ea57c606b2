/* SPDX-License-Identifier: Apache-2.0 */
/* The actions about whole indexes. */
#include <stdio.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/dialect/ask.h"
#include "server/engine/dialect/links.h"

/* --- delete, reset, clear --- */

static void delete_index(struct fxd_ask *a, struct fxe_req *done)
{
    a->absent = "not found";
    if (!done) {
        if (fxd_index(a) == 0)
            fxd_begin_named(a, "index_delete");
        return;
    }
    fxd_links_drop(a->name);
    fxd_ok(a, 2);
    fxd_put_message(a, "Index %s deleted successfully", a->name);
    fxd_put_text(a, "index_id", a->name);
}

static void reset_as(struct fxd_ask *a, struct fxe_req *done, const char *text)
{
    a->absent = "not found";
    if (!done) {
        if (fxd_index(a) == 0)
            fxd_begin_named(a, "index_reset");
        return;
    }
    fxd_facts_of(done->obj[0], &a->facts);
    fxd_ok(a, 5);
    fxd_put_message(a, "Index %s %s", a->name, text);
    fxd_put_text(a, "index_id", a->name);
    fxd_put_text(a, "type", a->facts.type);
    fxd_put_int(a, "dimension", a->facts.d);
    fxd_put_bool(a, "is_trained", a->facts.trained);
}

static void reset(struct fxd_ask *a, struct fxe_req *done)
{
    reset_as(a, done, "has been reset");
}

static void clear(struct fxd_ask *a, struct fxe_req *done)
{
    reset_as(a, done, "has been cleared");
}

/* --- list --- */

/* One index of index_list's details, which are [class, d, metric, ntotal, ...]. */
static void put_listed(struct fxd_ask *a, const msgpack_object *name, const msgpack_object *detail)
{
    /* The client refuses a whole reply with a text that is not UTF-8, and cannot ask for such a
     * name either. */
    if (!fxd_is_utf8(name->via.str.ptr, name->via.str.size))
        return;
    a->n++;
    struct fxd_facts f = {.d = 0};
    char text[FXD_NAME_MAX + 1], base[FXD_NAME_MAX + 1];
    int64_t d = 0, ntotal = 0;
    snprintf(text, sizeof text, "%.*s", (int)name->via.str.size, name->via.str.ptr);
    if (detail->type == MSGPACK_OBJECT_ARRAY && detail->via.array.size > 3) {
        if (detail->via.array.ptr[1].type == MSGPACK_OBJECT_POSITIVE_INTEGER)
            d = detail->via.array.ptr[1].via.i64;
        if (detail->via.array.ptr[3].type == MSGPACK_OBJECT_POSITIVE_INTEGER)
            ntotal = detail->via.array.ptr[3].via.i64;
    }
    if (fxd_look(text, &f) >= 0 && d == 0) /* it is being changed */
        d = f.d;
    bool linked = f.idmap && fxd_links_base(text, base);
    msgpack_packer pk;
    msgpack_packer_init(&pk, &a->list, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 3 + 2 * f.idmap + linked);
    fx_pack_str(&pk, "index_id");
    fx_pack_str(&pk, text);
    fx_pack_str(&pk, "dimension");
    msgpack_pack_int64(&pk, d);
    fx_pack_str(&pk, "vector_count");
    msgpack_pack_int64(&pk, ntotal);
    if (f.idmap) {
        fx_pack_str(&pk, "is_idmap");
        msgpack_pack_true(&pk);
        fx_pack_str(&pk, "is_idmap2");
        if (f.idmap2)
            msgpack_pack_true(&pk);
        else
            msgpack_pack_false(&pk);
    }
    if (linked) {
        fx_pack_str(&pk, "base_index_id");
        fx_pack_str(&pk, base);
    }
}

/* Reads the keys of a reply that are not packed in a header yet.  Returns 0, or -1. */
static int read_extra(const struct fxe_req *r, msgpack_sbuffer *bytes, struct fx_header *h)
{
    const char *why;
    msgpack_packer pk;
    msgpack_sbuffer_init(bytes);
    msgpack_packer_init(&pk, bytes, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, r->nextra);
    msgpack_sbuffer_write(bytes, r->extra.data ? r->extra.data : "", r->extra.size);
    return fx_header_read(h, bytes->data, bytes->size, &why);
}

static void list_indices(struct fxd_ask *a, struct fxe_req *done)
{
    msgpack_sbuffer bytes;
    struct fx_header h = {0};
    uint64_t total = 0;
    uint32_t n = 0;
    if (done && read_extra(done, &bytes, &h) == 0) {
        const msgpack_object *names = fx_header_get(&h, "names"),
                             *details = fx_header_get(&h, "details");
        fx_header_uint(&h, "total", &total);
        n = names && details ? names->via.array.size : 0;
        for (uint32_t i = 0; i < n; i++)
            put_listed(a, &names->via.array.ptr[i], &details->via.array.ptr[i]);
    }
    if (done) {
        fx_header_free(&h);
        msgpack_sbuffer_destroy(&bytes);
    }
    a->at += n;
    if (!done || (n > 0 && (uint64_t)a->at < total)) {
        fxd_begin(a, "index_list");
        fxd_int(a, "from", a->at);
        return;
    }
    fxd_ok(a, 1);
    msgpack_packer pk = fxd_put(a, "indexes");
    msgpack_pack_array(&pk, (size_t)a->n);
    if (a->list.size)
        a->broken |= msgpack_sbuffer_write(&a->reply, a->list.data, a->list.size) != 0;
}

/* --- facts --- */

static bool look(struct fxd_ask *a, struct fxe_req *done)
{
    a->absent = "not found";
    if (done)
        fxd_facts_of(done->obj[0], &a->facts);
    else if (fxd_index(a) == 0)
        fxd_begin_named(a, "index_info");
    return done != NULL;
}

/* Five keys. */
static void put_basics(struct fxd_ask *a)
{
    fxd_put_text(a, "index_id", a->name);
    fxd_put_int(a, "dimension", a->facts.d);
    fxd_put_int(a, "ntotal", a->facts.ntotal);
    fxd_put_text(a, "index_type", a->facts.type);
    fxd_put_bool(a, "is_trained", a->facts.trained);
}

/* What an index waits for. */
static void put_training(struct fxd_ask *a)
{
    msgpack_packer pk = fxd_put(a, "training_info");
    msgpack_pack_map(&pk, 3);
    fxd_put_text(a, "state", "waiting");
    fxd_put_int(a, "vectors", a->facts.ntotal);
    fxd_put_int(a, "required_vectors", a->facts.enough);
}

static void put_status(struct fxd_ask *a, const struct fxe_req *done)
{
    const struct fxd_facts *f = &a->facts;
    char base[FXD_NAME_MAX + 1];
    int64_t nprobe;
    bool ivf = fxe_nprobe_of(done->obj[0], &nprobe), linked = fxd_links_base(a->name, base);
    msgpack_packer pk = fxd_put(a, "status");
    msgpack_pack_map(&pk, 7 + ivf + linked + f->waits);
    put_basics(a);
    fxd_put_bool(a, "requires_training", f->trains);
    fxd_put_bool(a, "is_ready_for_use", fxd_is_ready(f));
    if (f->waits)
        put_training(a);
    if (ivf)
        fxd_put_int(a, "nprobe", nprobe);
    if (linked)
        fxd_put_text(a, "base_index_id", base);
}

static void get_index_status(struct fxd_ask *a, struct fxe_req *done)
{
    if (!look(a, done))
        return;
    fxd_ok(a, 6);
    put_basics(a);
    put_status(a, done);
}

static void get_index_stats(struct fxd_ask *a, struct fxe_req *done)
{
    if (!look(a, done))
        return;
    fxd_ok(a, 6);
    put_basics(a);
    fxd_put_int(a, "count", a->facts.ntotal);
}

static void get_index_info(struct fxd_ask *a, struct fxe_req *done)
{
    if (!look(a, done))
        return;
    const struct fxd_facts *f = &a->facts;
    int64_t each = f->binary ? f->d / 8 : f->d * (int64_t)sizeof(float);
    fxd_ok(a, 4);
    put_status(a, done);
    msgpack_packer pk = fxd_put(a, "metrics");
    msgpack_pack_map(&pk, 3);
    fxd_put_int(a, "vectors_count", f->ntotal);
    fxd_put_int(a, "dimension", f->d);
    fxd_put_int(a, "byte_size_per_vector", each);
    pk = fxd_put(a, "configuration");
    msgpack_pack_map(&pk, 1);
    fxd_put_text(a, "metric", f->metric == METRIC_INNER_PRODUCT ? "IP" : "L2");
    pk = fxd_put(a, "storage");
    msgpack_pack_map(&pk, 2);
    fxd_put_int(a, "estimated_memory_bytes", f->ntotal * each);
    fxd_put_bool(a, "persistent", fxe_engine.options.store_dir && *fxe_engine.options.store_dir);
}

/* --- parameters --- */

enum { SET = 1 };

static int read_parameter(struct fxd_ask *a)
{
    const char *s;
    size_t len;
    if (!fx_header_str(&a->map.fields, "parameter", &s, &len) || len == 0 || len > 100)
        return fxd_error(a, NULL, "Parameter name must be a string");
    snprintf(a->text, sizeof a->text, "%.*s", (int)len, s);
    return 0;
}

static bool takes(const struct fxd_facts *f, const char *parameter)
{
    const char *type = f->inner[0] ? f->inner : f->type;
    if (strcmp(parameter, "nprobe") == 0)
        return f->ivf;
    if (strcmp(parameter, "efSearch") == 0 || strcmp(parameter, "efConstruction") == 0)
        return strstr(type, "HNSW") != NULL;
    return strcmp(parameter, "use_precomputed_table") == 0 && strstr(type, "IVFPQ");
}

static void set_parameter(struct fxd_ask *a, struct fxe_req *done)
{
    if (a->state == SET) {
        fxd_ok(a, 1);
        fxd_put_message(a, "Set %s=%lld for index %s", a->text, (long long)a->n, a->name);
        return;
    }
    if (!look(a, done) || read_parameter(a) != 0)
        return;
    int64_t least = strcmp(a->text, "use_precomputed_table") == 0 ? 0 : 1;
    if (strcmp(a->text, "M") == 0 && strstr(a->facts.type, "HNSW")) {
        fxd_error(a, NULL, "Changing HNSW M parameter after index creation is not supported");
    } else if (!takes(&a->facts, a->text)) {
        fxd_error(a, NULL, "Parameter %s not supported for this index type (%s)", a->text,
                  a->facts.type);
    } else if (!fx_header_int(&a->map.fields, "value", &a->n) || a->n < least || a->n > INT32_MAX) {
        fxd_error(a, NULL, "%s must be a positive integer", a->text);
    } else {
        a->state = SET;
        fxd_begin_named(a, "index_set_parameter");
        fxd_str(a, "parameter", a->text);
        fxd_int(a, "value", a->n);
    }
}

static void get_parameter(struct fxd_ask *a, struct fxe_req *done)
{
    int64_t nprobe;
    if (!look(a, done) || read_parameter(a) != 0)
        return;
    bool ivf = fxe_nprobe_of(done->obj[0], &nprobe), trained = strcmp(a->text, "is_trained") == 0;
    if (strncmp(a->text, "ef", 2) == 0 && takes(&a->facts, a->text)) {
        fxd_error(a, NULL, "Parameter %s cannot be read: FAISS's C API has no function for it",
                  a->text);
        return;
    }
    if (!trained && strcmp(a->text, "ntotal") != 0 && strcmp(a->text, "dimension") != 0 &&
        (strcmp(a->text, "nprobe") != 0 || !ivf)) {
        fxd_error(a, NULL, "Parameter %s not supported for this index type", a->text);
        return;
    }
    fxd_ok(a, 2);
    fxd_put_text(a, "param_name", a->text);
    if (trained)
        fxd_put_bool(a, "param_value", a->facts.trained);
    else
        fxd_put_int(a, "param_value",
                    *a->text == 'd'                  ? a->facts.d
                    : strcmp(a->text, "nprobe") == 0 ? nprobe
                                                     : a->facts.ntotal);
}

const struct fxd_entry fxd_manage[] = {{"create_index", fxd_create_index},
                                       {"delete_index", delete_index},
                                       {"reset", reset},
                                       {"clear", clear},
                                       {"list_indices", list_indices},
                                       {"list_indexes", list_indices},
                                       {"get_index_status", get_index_status},
                                       {"get_index_stats", get_index_stats},
                                       {"get_index_info", get_index_info},
                                       {"set_parameter", set_parameter},
                                       {"get_parameter", get_parameter},
                                       {"merge_indices", fxd_merge_indices},
                                       {NULL, NULL}};
