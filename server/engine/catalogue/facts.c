/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of an index: info, stats, parameters. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/guard/catch.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"
#include "server/engine/keep/keep.h"
#include "server/engine/training/training.h"

static void pack_int(struct fxe_req *r, const char *key, int64_t value)
{
    msgpack_packer pk = fxe_reply_key(r, key);
    msgpack_pack_int64(&pk, value);
}

static void pack_text(struct fxe_req *r, const char *key, const char *value)
{
    msgpack_packer pk = fxe_reply_key(r, key);
    fx_pack_str(&pk, value);
}

static int prepare_read(struct fxe_req *r)
{
    return fxe_index_lock(r, "name", 0, false);
}

static int64_t metric_of(const struct fxe_obj *o)
{
    return fxe_is_binary(o) ? (int64_t)fxe_api()->IndexBinary_metric_type(o->ptr)
                            : (int64_t)fxe_api()->Index_metric_type(o->ptr);
}

static int is_trained(const struct fxe_obj *o)
{
    return fxe_is_binary(o) ? fxe_api()->IndexBinary_is_trained(o->ptr)
                            : fxe_api()->Index_is_trained(o->ptr);
}

/* The class without its namespace, of a name such as N5faiss11IndexFlatL2E or
 * N5faiss18IndexIDMapTemplateINS_5IndexEEE. */
void fxe_index_type(const void *faiss, const char **type, size_t *len)
{
    static const char template[] = "Template";
    const char *name = fxe_class_name(faiss), *at = strstr(name, "Index"), *digits = at;
    size_t n = 0, cut = strlen(template);
    while (digits && digits > name && isdigit((unsigned char)digits[-1]))
        digits--;
    if (digits)
        n = (size_t)strtoul(digits, NULL, 10);
    if (!at || n == 0 || n > strlen(at)) {
        at = name;
        n = strlen(name);
    }
    if (n > cut && memcmp(at + n - cut, template, cut) == 0)
        n -= cut;
    *type = at;
    *len = n;
}

static void pack_type(struct fxe_req *r, const struct fxe_training *t, const void *faiss)
{
    const char *at;
    size_t n;
    if (t) {
        pack_text(r, "type", t->plan.type);
        return;
    }
    fxe_index_type(faiss, &at, &n);
    msgpack_packer pk = fxe_reply_key(r, "type");
    msgpack_pack_str(&pk, n);
    msgpack_pack_str_body(&pk, at, n);
}

/* What the index waits for, or nothing. */
static void pack_training(struct fxe_req *r)
{
    const struct fxe_training *t = fxe_training_of(r->obj[0]);
    char why[sizeof t->why];
    if (!t)
        return;
    fxe_lock(); /* it stays while the index is locked */
    bool runs = t->runs;
    bool held = fxe_training_is_held(fxe_obj_target(r->obj[0]));
    memcpy(why, t->why, sizeof why);
    fxe_unlock();
    pack_text(r, "training", runs ? "running" : held ? "held" : *why ? "failed" : "waiting");
    pack_int(r, "training_vectors", t->plan.asked ? 0 : t->plan.enough);
    if (*why)
        pack_text(r, "training_error", why);
}

static void run_info(struct fxe_req *r)
{
    const struct fxe_obj *o = r->obj[0];
    const struct fxe_training *t = fxe_training_of(o);
    pack_text(r, "class", fx_classes[fx_root(o->cls)].name);
    pack_type(r, t, o->ptr);
    pack_int(r, "d", fxe_index_d(o));
    pack_int(r, "metric", metric_of(o));
    pack_int(r, "ntotal", fxe_ntotal_of(o));
    pack_int(r, "trained", !t && is_trained(o));
    pack_training(r);
}

static void run_stats(struct fxe_req *r)
{
    struct fxe_obj *o = fxe_obj_target(r->obj[0]);
    const struct fxe_obj_counts *c = &o->counts;
    fxe_lock();
    const struct fxe_kept *k = fxe_kept_of(o);
    int64_t bytes = k ? (int64_t)k->snapshot_bytes : 0, unsaved = k ? (int64_t)k->log_bytes : 0,
            time = k ? k->stored_ms : 0;
    fxe_unlock();
    pack_int(r, "ntotal", fxe_ntotal_of(o));
    pack_int(r, "calls", (int64_t)__atomic_load_n(&c->calls, __ATOMIC_RELAXED));
    pack_int(r, "errors", (int64_t)__atomic_load_n(&c->errors, __ATOMIC_RELAXED));
    pack_int(r, "searches", (int64_t)__atomic_load_n(&c->searches, __ATOMIC_RELAXED));
    pack_int(r, "queries", (int64_t)__atomic_load_n(&c->queries, __ATOMIC_RELAXED));
    pack_int(r, "added", (int64_t)__atomic_load_n(&c->added, __ATOMIC_RELAXED));
    if (k) {
        pack_int(r, "bytes", bytes);
        pack_int(r, "unsaved", unsaved);
        pack_int(r, "time", time);
    }
    pack_training(r);
}

void fxe_index_count(const struct fxe_req *r)
{
    struct fxe_obj *o = r->fn ? fxe_call_first(r) : NULL;
    if (!o)
        return;
    struct fxe_obj_counts *c = &fxe_obj_target(o)->counts;
    uint64_t rows = r->fn->rows >= 0 && r->v[r->fn->rows].i > 0 ? (uint64_t)r->v[r->fn->rows].i : 0;
    __atomic_add_fetch(&c->calls, 1, __ATOMIC_RELAXED);
    if (r->failed)
        __atomic_add_fetch(&c->errors, 1, __ATOMIC_RELAXED);
    else if (r->fn->act == FX_ACT_search || r->fn->act == FX_ACT_params ||
             r->fn->act == FX_ACT_range) {
        __atomic_add_fetch(&c->searches, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&c->queries, rows, __ATOMIC_RELAXED);
    } else if (r->fn->act == FX_ACT_add || r->fn->act == FX_ACT_add_with_ids) {
        __atomic_add_fetch(&c->added, rows, __ATOMIC_RELAXED);
    }
}

/* --- get_parameter --- */

static void run_get_parameter(struct fxe_req *r)
{
    char *name;
    int64_t nprobe, value;
    const struct fxe_obj *o = r->obj[0];
    if (fxe_key_text(r, "parameter", 200, &name) != 0)
        return;
    bool ivf = fxe_nprobe_of(o, &nprobe);
    if (strcmp(name, "nprobe") == 0 && ivf) {
        value = nprobe;
    } else if (strcmp(name, "verbose") == 0) {
        value = fxe_is_binary(o) ? fxe_api()->IndexBinary_verbose(o->ptr)
                                 : fxe_api()->Index_verbose(o->ptr);
    } else if (strcmp(name, "nprobe") == 0) {
        fxe_fail(r, "argument", "%s: parameter is 'nprobe', but the index has no inverted lists",
                 r->operation->name);
        return;
    } else {
        fxe_key_wrong(r, "parameter", "'nprobe' or 'verbose', which FAISS's C API can read");
        return;
    }
    pack_int(r, "value", value);
}

const struct fxe_index_operation fxe_index_facts[] = {
    {{"index_info", 0, prepare_read, run_info, NULL}, 0, false},
    {{"index_stats", 0, prepare_read, run_stats, NULL}, 0, false},
    {{"index_get_parameter", 0, prepare_read, run_get_parameter, NULL}, 0, false},
    {{NULL, 0, NULL, NULL, NULL}, 0, false}};
