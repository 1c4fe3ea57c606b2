/* SPDX-License-Identifier: Apache-2.0 */
/* The action that makes indexes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/dialect/ask.h"
#include "server/engine/dialect/links.h"
#include "server/engine/dialect/types.h"

static int read_d(struct fxd_ask *a)
{
    const msgpack_object *o = fxd_get(a, "dimension");
    char *end, text[256] = "0";
    if (o && o->type == MSGPACK_OBJECT_STR && o->via.str.size >= sizeof text)
        return fxd_error(a, NULL, "Invalid dimension: it must be an integer.");
    if (o && o->type == MSGPACK_OBJECT_STR)
        snprintf(text, sizeof text, "%.*s", (int)o->via.str.size, o->via.str.ptr);
    else if (o && (o->type == MSGPACK_OBJECT_FLOAT64 || o->type == MSGPACK_OBJECT_FLOAT32))
        snprintf(text, sizeof text, "%.0f",
                 isfinite(o->via.f64) && fabs(o->via.f64) < 1e9 ? trunc(o->via.f64) : -1);
    else if (o && o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        snprintf(text, sizeof text, "%llu", (unsigned long long)o->via.u64);
    else if (o && o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        snprintf(text, sizeof text, "%lld", (long long)o->via.i64);
    else if (o)
        return fxd_error(a, NULL, "Invalid dimension: it must be an integer.");
    long long d = strtoll(text, &end, 10);
    if (end == text || *end)
        return fxd_error(a, NULL, "Invalid dimension: %s. Must be an integer.", text);
    int most = fxe_engine.options.faissx.d;
    if (d < 1 || d > most)
        return fxd_error(a, NULL, "Dimension %s out of range (1-%d)", text, most);
    a->n = d;
    return 0;
}

static void put_metric(struct fxd_ask *a, const struct fxd_type *t)
{
    fxd_put_text(a, "metric_type", t->ip ? "IP" : "L2");
}

/* The original gives it back, and keeps it nowhere. */
static const msgpack_object *metadata_of(const struct fxd_ask *a)
{
    const msgpack_object *o = fxd_get(a, "metadata");
    return o && o->type == MSGPACK_OBJECT_MAP && o->via.map.size ? o : NULL;
}

static void binary_created(struct fxd_ask *a, const struct fxd_type *t)
{
    bool ivf = t->nlist > 0;
    fxd_ok(a, 7 + 2 * ivf + (t->bits > 0));
    fxd_put_message(a, "Binary index %s created successfully", a->name);
    fxd_put_text(a, "index_id", a->name);
    fxd_put_text(a, "type", a->text);
    fxd_put_int(a, "dimension", a->n);
    fxd_put_int(a, "dimension_bytes", a->n / 8);
    fxd_put_bool(a, "is_binary", true);
    fxd_put_bool(a, "is_trained", !ivf);
    if (ivf) {
        fxd_put_bool(a, "requires_training", true);
        fxd_put_int(a, "nlist", t->nlist);
    }
    if (t->bits)
        fxd_put_int(a, "bits_per_dim", t->bits);
}

static void created(struct fxd_ask *a, const struct fxe_req *done)
{
    static const struct {
        const char *type;
        int more;
    } kinds[] = {[FXD_FLAT] = {"IndexFlat", 0},
                 [FXD_HNSW] = {"IndexHNSWFlat", 3},
                 [FXD_IVF] = {"IndexIVFFlat", 1},
                 [FXD_IVFPQ] = {"IndexIVFPQ", 3},
                 [FXD_IVFSQ] = {"IndexIVFScalarQuantizer", 2},
                 [FXD_PQ] = {"IndexPQ", 2},
                 [FXD_SQ] = {"IndexScalarQuantizer", 1},
                 [FXD_LSH] = {"IndexLSH", 0},
                 [FXD_TRANSFORM] = {"IndexPreTransform", 0}};
    struct fxd_type t;
    char type[60];
    fxd_type_read(a->text, &t);
    if (t.kind == FXD_BINARY) {
        binary_created(a, &t);
        return;
    }
    bool flat = t.kind == FXD_FLAT;
    bool trained = flat || t.kind == FXD_HNSW;
    (void)done;
    snprintf(type, sizeof type, "%s%s", kinds[t.kind].type, !flat ? "" : t.ip ? "IP" : "L2");
    const msgpack_object *metadata = metadata_of(a);
    fxd_ok(a, 6 + (uint32_t)kinds[t.kind].more + !trained + (metadata != NULL));
    if (metadata) {
        msgpack_packer pk = fxd_put(a, "metadata");
        msgpack_pack_object(&pk, *metadata);
    }
    fxd_put_message(a, "Index %s created successfully", a->name);
    fxd_put_text(a, "index_id", a->name);
    fxd_put_text(a, "type", type);
    fxd_put_int(a, "dimension", a->n);
    fxd_put_bool(a, "is_trained", trained);
    put_metric(a, &t);
    if (!trained)
        fxd_put_bool(a, "requires_training", true);
    if (t.kind == FXD_HNSW) {
        fxd_put_int(a, "M", t.m);
        fxd_put_int(a, "efConstruction", 40);
        fxd_put_int(a, "efSearch", 16);
    }
    if (t.kind == FXD_IVF || t.kind == FXD_IVFPQ || t.kind == FXD_IVFSQ)
        fxd_put_int(a, "nlist", t.nlist);
    if (t.kind == FXD_PQ || t.kind == FXD_IVFPQ) {
        fxd_put_int(a, "M", t.m);
        fxd_put_int(a, "nbits", t.bits);
    }
    if (t.kind == FXD_SQ || t.kind == FXD_IVFSQ)
        fxd_put_int(a, "qtype", t.q);
}

static void begin_create(struct fxd_ask *a, const char *name, const struct fxd_type *t)
{
    fxd_begin(a, "index_create");
    fxd_str(a, "name", name);
    fxd_int(a, "d", a->n);
    fxd_str(a, "description", t->description);
    if (t->kind == FXD_BINARY ? t->nlist > 0 : t->kind != FXD_FLAT && t->kind != FXD_HNSW) {
        fxd_str(a, "training", "auto"); /* as soon as FAISS can: the client expects it */
        fxd_int(a, "training_vectors", 1);
    }
    if (t->kind == FXD_BINARY)
        fxd_str(a, "class", "IndexBinary");
    else
        fxd_str(a, "metric", t->ip ? "inner_product" : "L2");
}

enum { MADE = 1, BASE, WRAPPED };

/* The base of an IDMap: an index that there is, or a new one of this type. */
static void begin_idmap(struct fxd_ask *a, const char *base)
{
    struct fxd_facts f;
    struct fxd_type t;
    char made[FXD_NAME_MAX + 8];
    if (fxd_look(base, &f) >= 0) {
        a->state = WRAPPED;
        snprintf(made, sizeof made, "%s", base);
    } else if (snprintf(made, sizeof made, "%s_base", a->name) > FXD_NAME_MAX) {
        fxd_error(a, NULL, "Failed to create base index: its name would be too long");
        return;
    } else if (fxd_type_read(*base ? base : "L2", &t) != 0) {
        fxd_error(a, NULL, "Failed to create base index: Unsupported index type: %s", base);
        return;
    } else if (t.kind == FXD_BINARY) {
        fxd_error(a, NULL, "Failed to create base index: an IDMap cannot have a binary index: %s",
                  base);
        return;
    } else if (a->state != BASE) {
        a->state = BASE;
        begin_create(a, made, &t);
        a->tolerant = true;
        return;
    } else {
        a->state = WRAPPED;
    }
    fxd_begin_named(a, "index_wrap");
    fxd_str(a, "of", made);
    if (strncmp(a->text, "IDMap2:", 7) == 0)
        fxd_true(a, "by_id");
    a->tolerant = true;
}

static void idmap_created(struct fxd_ask *a, const struct fxe_req *done)
{
    const char *of = "";
    size_t len = 0;
    char base[FXD_NAME_MAX + 1];
    fx_header_str(&done->header, "of", &of, &len);
    snprintf(base, sizeof base, "%.*s", (int)len, of);
    fxd_look_own(a->name, &a->facts);
    if (a->facts.trains && !a->facts.trained)
        fxd_links_add(base, a->name);
    fxd_ok(a, 8);
    fxd_put_message(a, "IDMap index %s created successfully", a->name);
    fxd_put_text(a, "index_id", a->name);
    fxd_put_int(a, "dimension", a->facts.d);
    fxd_put_text(a, "type", a->text);
    fxd_put_text(a, "base_index_id", base);
    fxd_put_bool(a, "is_trained", a->facts.trained);
    fxd_put_bool(a, "is_idmap", true);
    fxd_put_bool(a, "is_idmap2", strncmp(a->text, "IDMap2:", 7) == 0);
}

static const char *base_of(const char *type)
{
    return strncmp(type, "IDMap:", 6) == 0    ? type + 6
           : strncmp(type, "IDMap2:", 7) == 0 ? type + 7
                                              : NULL;
}

static void create_failed(struct fxd_ask *a, const struct fxe_req *done)
{
    const char *text = done->message ? done->message : "";
    bool base = a->state == BASE;
    if (done->kind && strcmp(done->kind, "handle") != 0 && strstr(text, "already"))
        fxd_error(a, NULL, "%sIndex %s%s already exists",
                  base ? "Failed to create base index: " : "", a->name, base ? "_base" : "");
    else if (base)
        fxd_failed(a, done, NULL, "Failed to create base index: ");
    else
        fxd_failed(a, done, NULL,
                   strncmp(a->text, "BINARY", 6) == 0 ? "Error creating binary index: "
                                                      : "Error creating index: ");
}

void fxd_create_index(struct fxd_ask *a, struct fxe_req *done)
{
    const msgpack_object *type = fxd_get(a, "index_type");
    struct fxd_facts f;
    struct fxd_type t;
    if (done && done->failed)
        create_failed(a, done);
    else if (a->state == MADE)
        created(a, done);
    else if (a->state == WRAPPED)
        idmap_created(a, done);
    else if (a->state == BASE)
        begin_idmap(a, base_of(a->text));
    if (done || fxd_get_name(a) != 0)
        return;
    if (type && type->type == MSGPACK_OBJECT_STR && type->via.str.size < sizeof a->text)
        snprintf(a->text, sizeof a->text, "%.*s", (int)type->via.str.size, type->via.str.ptr);
    else if (!type)
        strcpy(a->text, "L2");
    else if (type->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        fxd_error(a, NULL, "Invalid index_type: %llu. Must be a string.",
                  (unsigned long long)type->via.u64);
    else
        fxd_error(a, NULL, "Invalid index_type: it must be a string.");
    if (a->replied || read_d(a) != 0)
        return;
    a->tolerant = true;
    if (fxd_look(a->name, &f) >= 0) {
        fxd_error(a, NULL, "Index %s already exists", a->name);
    } else if (base_of(a->text)) {
        begin_idmap(a, base_of(a->text));
    } else if (fxd_type_read(a->text, &t) != 0) {
        fxd_error(a, NULL, "Unsupported index type: %s", a->text);
    } else if (t.kind == FXD_BINARY && a->n % 8) {
        fxd_error(a, NULL,
                  "Error creating binary index: Binary dimension must be a multiple of 8, got %lld",
                  (long long)a->n);
    } else if (t.kind == FXD_BINARY && t.bits > (a->n < 63 ? a->n : 63)) {
        /* FAISS takes the first 8 bytes of a row as a number: other bits are the next row's. */
        fxd_error(a, NULL, "Error creating binary index: %d bits are no hash of %lld", t.bits,
                  (long long)a->n);
    } else {
        a->state = MADE;
        begin_create(a, a->name, &t);
    }
}
