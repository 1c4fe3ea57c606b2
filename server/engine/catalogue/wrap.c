/* SPDX-License-Identifier: Apache-2.0 */
/* index_wrap: an empty index with ids of its own, over a copy of another one. */
#include <stdio.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/make.h"
#include "server/engine/guard/facts.h"
#include "server/engine/training/training.h"

static int prepare_wrap(struct fxe_req *r)
{
    const msgpack_object *by_id = fx_header_get(&r->header, "by_id");
    if (fxe_index_lock(r, "of", 0, false) != 0 || fxe_prepare_new(r, "name") != 0)
        return -1;
    if (fxe_is_binary(r->obj[0]))
        return fxe_fail(r, "unsupported", "%s: FAISS's C API does not have this for a binary index",
                        r->operation->name);
    if (by_id && by_id->type != MSGPACK_OBJECT_BOOLEAN)
        return fxe_key_wrong(r, "by_id", "a boolean");
    return 0;
}

static int wrap_two(void *index, void **map)
{
    FaissIndexIDMap2 *m = NULL;
    int rc = fxe_api()->IndexIDMap2_new(&m, index);
    if (rc == 0)
        fxe_api()->IndexIDMap2_set_own_fields(m, 1);
    *map = m;
    return rc;
}

static int wrap_one(void *index, void **map)
{
    FaissIndexIDMap *m = NULL;
    int rc = fxe_api()->IndexIDMap_new(&m, index);
    if (rc == 0)
        fxe_api()->IndexIDMap_set_own_fields(m, 1);
    *map = m;
    return rc;
}

/* Over an index that waits for its training: one that waits for its own. */
static void wrap_waiting(struct fxe_req *r, const struct fxs_plan *of, bool two)
{
    char text[sizeof of->description + 8];
    struct fxs_plan plan;
    const struct fxe_obj *o = r->obj[0];
    snprintf(text, sizeof text, "%s,%s", two ? "IDMap2" : "IDMap", of->description);
    void *ptr = fxe_training_make(r, FX_CLASS_Index, fxe_index_d(o),
                                  (int64_t)fxe_api()->Index_metric_type(o->ptr), text);
    if (ptr)
        ptr = fxe_training_begin(r, FX_CLASS_Index, ptr, text, of->enough, of->asked, &plan);
    if (ptr)
        fxe_publish_new(r, "name", FX_CLASS_Index, ptr, false, &plan);
}

static void run_wrap(struct fxe_req *r)
{
    const msgpack_object *by_id = fx_header_get(&r->header, "by_id");
    bool two = by_id && by_id->via.boolean;
    void *map = NULL;
    if (fxe_name_is_free(r, "name") != 0 ||
        fxe_require(r, two ? FX_OP_IndexIDMap2_new : FX_OP_IndexIDMap_new) != 0 ||
        fxe_require(r, two ? FX_OP_IndexIDMap2_set_own_fields : FX_OP_IndexIDMap_set_own_fields) !=
            0)
        return;
    if (fxe_ntotal_of(r->obj[0]) != 0) {
        fxe_fail(r, "argument", "%s: index must be empty on input, but '%s' has vectors",
                 r->operation->name, "of");
        return;
    }
    const struct fxe_training *t = fxe_training_of(r->obj[0]);
    if (t) {
        wrap_waiting(r, &t->plan, two);
        return;
    }
    void *copy = fxe_copy_of(r, r->obj[0]);
    if (!copy)
        return;
    int rc = two ? wrap_two(copy, &map) : wrap_one(copy, &map);
    if (rc != 0) {
        fxe_fail_faiss(r, rc);
        fxe_obj_free_faiss(FX_CLASS_Index, copy);
        return;
    }
    fxe_publish_new(r, "name", FX_CLASS_Index, map, fxe_obj_target(r->obj[0])->odd, NULL);
}

const struct fxe_index_operation fxe_index_wraps[] = {
    {{"index_wrap", 0, prepare_wrap, run_wrap, NULL}, 0, true},
    {{NULL, 0, NULL, NULL, NULL}, 0, false}};
