/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that make indexes, or change their names. */
#include <stdio.h>
#include <string.h>

#include "server/engine/call/files.h"
#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/make.h"
#include "server/engine/guard/description.h"
#include "server/engine/guard/guard.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/named.h"
#include "server/engine/training/training.h"

enum { DESCRIPTION_MAX = 4096, MOST_D = 1 << 20, MOST_LISTS = 1 << 24 };

int fxe_publish_new(struct fxe_req *r, const char *key, int cls, void *ptr, bool odd,
                    const struct fxs_plan *plan)
{
    const char *name;
    size_t len;
    struct fxe_obj *o = NULL, *doomed = NULL;
    if (fxe_key_name(r, key, &name, &len) == 0) {
        fxe_lock();
        o = fxe_obj_add_absent(NULL, cls, 0);
        if (o) {
            fxe_obj_point(o, ptr);
            o->odd = odd;
            fxe_obj_hold(o);
            r->held[r->nheld++] = o;
            struct fxe_needs own = {.n = 0};
            fxe_needs_add(&own, o, true);
            fxe_needs_take(NULL, &own, true); /* nobody knows it yet: it is free */
            r->needs.need[r->needs.n++] = own.need[0];
        }
        fxe_unlock();
        if (!o)
            fxe_fail(r, "limit", "%s: the server has no memory for another index",
                     r->operation->name);
    }
    if (!o) {
        fxe_obj_free_faiss(cls, ptr);
        return -1;
    }
    int rc = plan && fxe_training_set(o, plan) != 0
                 ? fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name)
                 : fxe_named_publish(r, name, len, o, false);
    if (rc != 0) {
        fxe_lock();
        fxe_obj_release(o, &doomed);
        fxe_unlock();
        fxe_obj_destroy_list(doomed);
    }
    return rc;
}

int fxe_prepare_new(struct fxe_req *r, const char *key)
{
    const char *name;
    size_t len;
    if (fxe_keep_store())
        r->lane = FXE_WIDE; /* it is written to disk */
    return fxe_key_name(r, key, &name, &len);
}

int fxe_name_is_free(struct fxe_req *r, const char *key)
{
    const char *name;
    size_t len;
    if (fxe_key_name(r, key, &name, &len) != 0)
        return -1;
    fxe_lock();
    bool taken = fxe_named_find(name, len) != NULL;
    fxe_unlock();
    return taken ? fxe_named_taken(r, name, len) : 0;
}

static int class_of_key(struct fxe_req *r, int *cls)
{
    *cls = FX_CLASS_Index;
    if (!fxe_key_has(r, "class") || fx_header_is(&r->header, "class", "Index"))
        return 0;
    *cls = FX_CLASS_IndexBinary;
    return fx_header_is(&r->header, "class", "IndexBinary")
               ? 0
               : fxe_key_wrong(r, "class", "Index or IndexBinary");
}

static int prepare_new(struct fxe_req *r)
{
    return fxe_prepare_new(r, "name");
}

/* --- create --- */

static int metric_of_key(struct fxe_req *r, int64_t *metric)
{
    static const struct {
        const char *name;
        int metric;
    } known[] = {{"L2", METRIC_L2},
                 {"inner_product", METRIC_INNER_PRODUCT},
                 {"L1", METRIC_L1},
                 {"Linf", METRIC_Linf},
                 {"Canberra", METRIC_Canberra},
                 {"BrayCurtis", METRIC_BrayCurtis},
                 {"JensenShannon", METRIC_JensenShannon}};
    *metric = METRIC_L2;
    if (!fxe_key_has(r, "metric") ||
        (fx_header_int(&r->header, "metric", metric) && *metric >= 0 && *metric < 100))
        return 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (fx_header_is(&r->header, "metric", known[i].name)) {
            *metric = known[i].metric;
            return 0;
        }
    return fxe_key_wrong(r, "metric",
                         "L2, inner_product, L1, Linf, Canberra, BrayCurtis, JensenShannon, or "
                         "FAISS's number of a metric");
}

/* The description of an index that is given by `type`; the numbers are FAISS's usual ones. */
static int describe_type(struct fxe_req *r, char **text)
{
    static const struct {
        const char *name, *list, *graph, *code;
        int m;
    } types[] = {{"flat", NULL, NULL, "Flat", 0},    {"ivf_flat", "IVF", NULL, "Flat", 0},
                 {"ivf_pq", "IVF", NULL, "PQ", 8},   {"ivf_sq", "IVF", NULL, "SQ", 0},
                 {"hnsw", NULL, "HNSW", "Flat", 32}, {"pq", NULL, NULL, "PQ", 8},
                 {"sq", NULL, NULL, "SQ", 0},        {"lsh", NULL, NULL, "LSH", 0}};
    static const int64_t usual_lists = 100, usual_bits = 8;
    const msgpack_object *ids = fx_header_get(&r->header, "ids"),
                         *polysemous = fx_header_get(&r->header, "polysemous");
    int64_t nlist, m, bits;
    char list[40] = "", graph[40] = "", code[60];
    size_t i = 0, end = sizeof types / sizeof *types;
    while (i < end && !fx_header_is(&r->header, "type", types[i].name))
        i++;
    if (i == end)
        return fxe_key_wrong(r, "type", "flat, ivf_flat, ivf_pq, ivf_sq, hnsw, pq, sq or lsh");
    if (ids && ids->type != MSGPACK_OBJECT_BOOLEAN)
        return fxe_key_wrong(r, "ids", "a boolean");
    if (polysemous && polysemous->type != MSGPACK_OBJECT_BOOLEAN)
        return fxe_key_wrong(r, "polysemous", "a boolean");
    if (fxe_key_int(r, "nlist", 1, MOST_LISTS, &usual_lists, &nlist) != 0 ||
        fxe_key_int(r, "m", 1, MOST_D, &(int64_t){types[i].m}, &m) != 0 ||
        fxe_key_int(r, "bits", 1, 16, &usual_bits, &bits) != 0)
        return -1;
    if (types[i].list)
        snprintf(list, sizeof list, "%s%lld,", types[i].list, (long long)nlist);
    if (types[i].graph)
        snprintf(graph, sizeof graph, "%s%lld,", types[i].graph, (long long)m);
    if (strcmp(types[i].code, "PQ") == 0)
        snprintf(code, sizeof code, "PQ%lldx%lld%s", (long long)m, (long long)bits,
                 polysemous && polysemous->via.boolean ? "" : "np");
    else
        snprintf(code, sizeof code, "%s%.0lld", types[i].code,
                 (long long)(strcmp(types[i].code, "SQ") == 0 ? bits : 0));
    *text = fxe_req_alloc(r, DESCRIPTION_MAX);
    if (!*text)
        return -1;
    snprintf(*text, DESCRIPTION_MAX, "%s%s%s%s", ids && ids->via.boolean ? "IDMap2," : "", list,
             graph, code);
    return 0;
}

static int description_of(struct fxe_req *r, char **text)
{
    bool type = fxe_key_has(r, "type");
    if (type && fxe_key_has(r, "description"))
        return fxe_fail(r, "argument",
                        "%s: both type and description were given, but one says what the other "
                        "does; expected one of them",
                        r->operation->name);
    return type ? describe_type(r, text) : fxe_key_text(r, "description", DESCRIPTION_MAX, text);
}

/* Does it take vectors before it is trained?  `asked`: it is only trained by index_train. */
static int training_of_keys(struct fxe_req *r, bool *training, bool *asked, int64_t *enough)
{
    static const int64_t as_faiss = 0;
    *training = fxe_key_has(r, "training");
    *asked = *training && fx_header_is(&r->header, "training", "explicit");
    if (*training && !*asked && !fx_header_is(&r->header, "training", "auto"))
        return fxe_key_wrong(r, "training", "auto or explicit");
    if (fxe_key_has(r, "training_vectors") && (!*training || *asked))
        return fxe_fail(r, "argument",
                        "%s: training_vectors says how many vectors training begins with if "
                        "training is auto, but it is %s",
                        r->operation->name, *asked ? "explicit" : "not given");
    return fxe_key_int(r, "training_vectors", 1, INT64_MAX, &as_faiss, enough);
}

static void run_create(struct fxe_req *r)
{
    int64_t d, metric, enough;
    int cls;
    char *text;
    bool training, asked;
    struct fxs_plan plan = {.enough = 0};
    if (fxe_name_is_free(r, "name") != 0 || class_of_key(r, &cls) != 0 ||
        fxe_key_int(r, "d", 1, MOST_D, NULL, &d) != 0 || metric_of_key(r, &metric) != 0 ||
        description_of(r, &text) != 0 || training_of_keys(r, &training, &asked, &enough) != 0)
        return;
    void *ptr = fxe_training_make(r, cls, d, metric, text);
    if (ptr && training)
        ptr = fxe_training_begin(r, cls, ptr, text, enough, asked, &plan);
    if (ptr)
        fxe_publish_new(r, "name", cls, ptr, !plan.description[0] && fxe_is_odd_description(text),
                        &plan);
}

/* --- import and export --- */

struct file {
    int cls, rc;
    const void *data;
    size_t size;
    void *ptr;
};

static void load(void *arg)
{
    struct file *f = arg;
    f->rc = fxe_load_bytes(f->cls, f->data, f->size, &f->ptr);
}

static int prepare_import(struct fxe_req *r)
{
    r->lane = FXE_WIDE;
    return fxe_prepare_new(r, "name");
}

static void run_import(struct fxe_req *r)
{
    struct file f = {.ptr = NULL};
    msgpack_object data;
    if (fxe_name_is_free(r, "name") != 0 || class_of_key(r, &f.cls) != 0 ||
        fxe_key_array(r, "data", 0, 0, 0, "bytes", &data) != 0 ||
        (f.cls == FX_CLASS_IndexBinary && fxe_require(r, FX_OP_read_index_binary) != 0) ||
        fxe_req_bytes(r, &data, "data", &f.data, &f.size) != 0 || fxe_guard_load(r, load, &f) != 0)
        return;
    load(&f);
    if (f.rc != 0)
        fxe_fail_faiss(r, f.rc);
    else
        fxe_publish_new(r, "name", f.cls, f.ptr, false, NULL);
}

static int prepare_export(struct fxe_req *r)
{
    r->lane = FXE_WIDE;
    return fxe_index_lock(r, "name", 0, false);
}

static void run_export(struct fxe_req *r)
{
    fxe_save_operation.run(r);
}

/* --- delete and rename --- */

static void run_delete(struct fxe_req *r)
{
    const char *name;
    size_t len;
    if (fxe_key_name(r, "name", &name, &len) == 0)
        fxe_named_change(r, name, len, NULL, 0);
}

static void run_rename(struct fxe_req *r)
{
    const char *name, *to;
    size_t len, to_len;
    if (fxe_key_name(r, "name", &name, &len) == 0 && fxe_key_name(r, "to", &to, &to_len) == 0)
        fxe_named_change(r, name, len, to, to_len);
}

static void run_list(struct fxe_req *r)
{
    fxe_list_operation.run(r);
}

const struct fxe_index_operation fxe_index_names[] = {
    {{"index_create", 0, prepare_new, run_create, NULL}, 0, true},
    {{"index_import", 0, prepare_import, run_import, NULL}, 0, true},
    {{"index_split", 0, fxe_prepare_split, fxe_run_split, NULL}, 0, true},
    {{"index_delete", 0, prepare_new, run_delete, NULL}, 0, true},
    {{"index_rename", 0, prepare_new, run_rename, NULL}, 0, true},
    {{"index_list", 0, NULL, run_list, NULL}, 0, false},
    {{"index_export", 0, prepare_export, run_export, NULL}, 0, false},
    {{NULL, 0, NULL, NULL, NULL}, 0, false}};
