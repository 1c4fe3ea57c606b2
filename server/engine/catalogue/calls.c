/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that become one call of the C API, without parameters of a search. */
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/part.h"
#include "server/engine/guard/facts.h"
#include "server/engine/training/training.h"

/* train, add */
static int prepare_vectors(struct fxe_req *r, int fop, int bop, bool ids)
{
    struct fxe_obj *o = fxe_index_of_key(r, "name");
    msgpack_object *a = o ? fxe_index_call(r, o, fop, bop) : NULL;
    if (!a || fxe_key_vectors(r, o, &a[1], &a[2]) != 0 ||
        (ids && fxe_key_array(r, "ids", -1, a[1].via.i64, sizeof(idx_t), "int64", &a[3]) != 0))
        return -1;
    return fxe_call_prepare(r);
}

/* Without vectors, an index that waits for its training is trained with those that it has.  One
 * that is trained stays so: the request may have been sent again. */
static int prepare_train_alone(struct fxe_req *r)
{
    struct fxe_obj *o = fxe_index_of_key(r, "name");
    msgpack_object *a = o ? fxe_index_call(r, o, FX_OP_Index_train, FX_OP_IndexBinary_train) : NULL;
    if (!a)
        return -1;
    a[1] = fxe_int(0);
    if (fxe_call_prepare(r) != 0)
        return -1;
    fxe_training_ask(r);
    return 0;
}

static int prepare_train(struct fxe_req *r)
{
    if (!fxe_key_has(r, "n") && !fxe_key_has(r, "x"))
        return prepare_train_alone(r);
    return prepare_vectors(r, FX_OP_Index_train, FX_OP_IndexBinary_train, false);
}

/* Does the request want the index to be trained by its vectors?  Then these are a frame. */
static int trains_of_key(struct fxe_req *r)
{
    const msgpack_object *train = fx_header_get(&r->header, "train"),
                         *x = fx_header_get(&r->header, "x");
    if (!fxe_key_has(r, "train"))
        return 0;
    if (train->type != MSGPACK_OBJECT_BOOLEAN)
        return fxe_key_wrong(r, "train", "a boolean");
    r->trains = train->via.boolean;
    return r->trains && x && x->type == MSGPACK_OBJECT_ARRAY
               ? fxe_key_wrong(r, "x", "the number of a payload frame if train is true")
               : 0;
}

int fxe_train_first(struct fxe_req *r)
{
    struct fxe_part p;
    struct fxe_obj *o = r->obj[0];
    bool binary = fxe_is_binary(o);
    const msgpack_object *x = fxe_call_arg(r, 2);
    const struct fx_buffer *b;
    if (binary ? fxe_api()->IndexBinary_is_trained(o->ptr) : fxe_api()->Index_is_trained(o->ptr))
        return 0;
    if (x->type != MSGPACK_OBJECT_POSITIVE_INTEGER || !(b = fxe_req_frame(r, x->via.u64, "x")))
        return r->failed ? -1 : fxe_fail(r, "protocol", "x does not name a payload frame");
    msgpack_object *a = fxe_part_begin(&p, r, binary ? FX_OP_IndexBinary_train : FX_OP_Index_train);
    p.r.obj[0] = o;
    a[1] = *fxe_call_arg(r, 1);
    a[2] = fxe_part_array(&p, b->data, b->size);
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    r->trained = true;
    return rc;
}

static int prepare_add(struct fxe_req *r)
{
    if (trains_of_key(r) != 0)
        return -1;
    return fxe_key_has(r, "ids")
               ? prepare_vectors(r, FX_OP_Index_add_with_ids, FX_OP_IndexBinary_add_with_ids, true)
               : prepare_vectors(r, FX_OP_Index_add, FX_OP_IndexBinary_add, false);
}

/* The same call, with `replace` in its record: see fxe_replace_first. */
static int prepare_replace(struct fxe_req *r)
{
    r->replaces = true;
    if (trains_of_key(r) != 0)
        return -1;
    return prepare_vectors(r, FX_OP_Index_add_with_ids, FX_OP_IndexBinary_add_with_ids, true);
}

static int prepare_remove(struct fxe_req *r)
{
    struct fxe_obj *o = fxe_index_of_key(r, "name");
    msgpack_object *a =
        o ? fxe_index_call(r, o, FX_OP_Index_remove_ids, FX_OP_IndexBinary_remove_ids) : NULL;
    int64_t n;
    if (!a)
        return -1;
    if (fxe_key_has(r, "ids") == fxe_key_has(r, "selector"))
        return fxe_fail(r, "argument", "%s: either ids or selector must be given, but %s",
                        r->operation->name, fxe_key_has(r, "ids") ? "both are" : "none is");
    if (fxe_key_has(r, "selector")) {
        a[1] = *fx_header_get(&r->header, "selector");
    } else {
        msgpack_object *batch = fxe_req_alloc(r, 2 * sizeof *batch);
        if (!batch || fxe_key_int(r, "n", 0, INT64_MAX, NULL, &n) != 0 ||
            fxe_key_array(r, "ids", -1, n, sizeof(idx_t), "int64", &batch[1]) != 0)
            return -1;
        batch[0] = fxe_text("batch", 5);
        a[1] = fxe_array(batch, 2);
    }
    a[2] = fxe_true();
    r->remaps = !fxe_is_binary(o);
    return fxe_call_prepare(r);
}

static int prepare_reset(struct fxe_req *r)
{
    struct fxe_obj *o = fxe_index_of_key(r, "name");
    return o && fxe_index_call(r, o, FX_OP_Index_reset, FX_OP_IndexBinary_reset)
               ? fxe_call_prepare(r)
               : -1;
}

static int prepare_reconstruct(struct fxe_req *r)
{
    struct fxe_obj *o = fxe_index_of_key(r, "name");
    msgpack_object *a;
    int64_t n;
    if (!o)
        return -1;
    if (fxe_key_has(r, "ids")) {
        a = fxe_index_call(r, o, FX_OP_Index_reconstruct_batch, 0);
        if (!a || fxe_key_int(r, "n", 0, INT64_MAX, NULL, &n) != 0 ||
            fxe_key_array(r, "ids", -1, n, sizeof(idx_t), "int64", &a[2]) != 0)
            return -1;
        a[1] = fxe_int(n);
        a[3] = fxe_true();
    } else {
        a = fxe_index_call(r, o, FX_OP_Index_reconstruct, FX_OP_IndexBinary_reconstruct);
        if (!a || fxe_key_int(r, "id", INT64_MIN, INT64_MAX, NULL, &n) != 0)
            return -1;
        a[1] = fxe_int(n);
        a[2] = fxe_true();
    }
    return fxe_call_prepare(r);
}

/* --- parameters --- */

/* What is in a ParameterSpace does not matter for setting a parameter, so one does for all. */
static FaissParameterSpace *any_space(struct fxe_req *r)
{
    static FaissParameterSpace *space; /* engine.lock */
    if (!space && (fxe_require(r, FX_OP_ParameterSpace_new) != 0 ||
                   fxe_require(r, FX_OP_ParameterSpace_set_index_parameter) != 0))
        return NULL;
    if (!space && fxe_api()->ParameterSpace_new(&space) != 0)
        fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name);
    return space;
}

/* A direct map lets inverted lists find a vector by its id.  FAISS's ParameterSpace does not know
 * it.
 */
static int prepare_direct_map(struct fxe_req *r, const struct fxe_obj *o)
{
    int64_t type;
    if (fxe_training_of(o))
        return fxe_fail(r, "argument",
                        "%s: direct_map can be set when the index has been trained, and it waits "
                        "for that",
                        r->operation->name);
    msgpack_object *a =
        fxe_index_call(r, o, FX_OP_IndexIVF_make_direct_map, FX_OP_IndexBinaryIVF_make_direct_map);
    if (!a || fxe_key_int(r, "value", 0, 1, NULL, &type) != 0)
        return -1;
    a[1] = fxe_int(type);
    return fxe_call_prepare(r);
}

static int prepare_set_parameter(struct fxe_req *r)
{
    double value;
    char *parameter;
    struct fxe_obj *o = fxe_index_of_key(r, "name");
    if (!o || fxe_key_text(r, "parameter", 200, &parameter) != 0 ||
        fxe_key_real(r, "value", &value) != 0)
        return -1;
    if (strcmp(parameter, "direct_map") == 0)
        return prepare_direct_map(r, o);
    msgpack_object *a = fxe_index_call(r, o, FX_OP_ParameterSpace_set_index_parameter,
                                       FX_OP_ParameterSpace_set_index_parameter_binary);
    if (!a || fxe_require(r, r->op) != 0 || !(r->v[0].p = any_space(r)))
        return -1;
    a[0] = fxe_true(); /* not nil: a record of this call makes a space of its own */
    a[1] = fxe_int((int64_t)o->id);
    a[2] = *fx_header_get(&r->header, "parameter");
    a[3] = fxe_real(value);
    r->obj[1] = o;
    return fxe_training_prepare(r) != 0 ? -1 : fxe_needs_add(&r->needs, o, true);
}

const struct fxe_index_operation fxe_index_calls[] = {
    {{"index_train", 0, prepare_train, fxe_call_run, NULL}, FX_OP_Index_train, false},
    {{"index_add", 0, prepare_add, fxe_call_run, NULL}, FX_OP_Index_add, false},
    {{"index_replace", 0, prepare_replace, fxe_call_run, NULL}, FX_OP_Index_add_with_ids, false},
    {{"index_remove", 0, prepare_remove, fxe_call_run, NULL}, FX_OP_Index_remove_ids, false},
    {{"index_reset", 0, prepare_reset, fxe_call_run, NULL}, FX_OP_Index_reset, false},
    {{"index_reconstruct", 0, prepare_reconstruct, fxe_call_run, NULL},
     FX_OP_Index_reconstruct,
     false},
    {{"index_set_parameter", 0, prepare_set_parameter, fxe_call_run, NULL},
     FX_OP_ParameterSpace_set_index_parameter,
     false},
    {{NULL, 0, NULL, NULL, NULL}, 0, false}};
