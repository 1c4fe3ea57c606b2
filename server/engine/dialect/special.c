/* SPDX-License-Identifier: Apache-2.0 */
/* The specialised actions. */
#include <stdio.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/dialect/ask.h"

enum { SET = 1 };

static void optimized(struct fxd_ask *a, const char *what)
{
    fxd_ok(a, 4);
    fxd_put_message(a, "Applied 1 optimizations to index %s", a->name);
    fxd_put_text(a, "index_type", a->facts.type);
    msgpack_packer pk = fxd_put(a, "optimizations");
    msgpack_pack_array(&pk, 1);
    fx_pack_str(&pk, what);
    fxd_put_int(a, "optimization_level", a->at);
}

static void optimize_index(struct fxd_ask *a, struct fxe_req *done)
{
    static const int64_t parts[] = {10, 5, 2}, most[] = {10, 50, 100};
    char text[60];
    a->absent = "not found";
    if (!done) {
        if (fxd_index(a) == 0 && fxd_get_int(a, "optimization_level", 1, &a->at) == 0) {
            if (a->at < 1 || a->at > 3)
                fxd_error(a, NULL, "optimization_level must be 1, 2 or 3");
            else
                fxd_begin_named(a, "index_info");
        }
        return;
    }
    if (a->state != SET)
        fxd_facts_of(done->obj[0], &a->facts);
    snprintf(text, sizeof text, "set_nprobe_%lld", (long long)a->n);
    const char *type = a->facts.type;
    if (a->state == SET || !a->facts.ivf || a->facts.binary) {
        optimized(a, a->state == SET             ? text
                     : strstr(type, "HNSW")      ? "hnsw_no_optimization"
                     : strstr(type, "IndexFlat") ? "flat_index_no_optimization"
                                                 : "no_optimization");
        return;
    }
    const FaissIndexIVF *ivf =
        fxe_api()->IndexIVF_cast ? fxe_api()->IndexIVF_cast(done->obj[0]->ptr) : NULL;
    int64_t nlist = ivf ? (int64_t)fxe_api()->IndexIVF_nlist(ivf) : 100;
    a->n = nlist / parts[a->at - 1];
    if (a->n < 1)
        a->n = 1;
    if (a->n > most[a->at - 1])
        a->n = most[a->at - 1];
    if (!a->facts.trained) {
        fxd_error(a, NULL, "Index %s is not trained yet", a->name);
        return;
    }
    a->state = SET;
    fxd_begin_named(a, "index_set_parameter");
    fxd_str(a, "parameter", "nprobe");
    fxd_int(a, "value", a->n);
}

const struct fxd_entry fxd_special[] = {{"optimize_index", optimize_index}, {NULL, NULL}};
