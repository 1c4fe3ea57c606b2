/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/training/training.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/guard/facts.h"
#include "server/engine/training/held.h"

struct fxe_training *fxe_training_of(const struct fxe_obj *o)
{
    return o ? fxe_obj_target((struct fxe_obj *)(uintptr_t)o)->training : NULL;
}

static bool any; /* an index with a plan has been in this engine */

int fxe_training_set(struct fxe_obj *o, const struct fxs_plan *plan)
{
    if (!plan->description[0])
        return 0;
    o->training = calloc(1, sizeof *o->training);
    if (!o->training)
        return -1;
    o->training->plan = *plan;
    __atomic_store_n(&any, true, __ATOMIC_RELAXED);
    return 0;
}

void fxe_training_look(struct fxe_obj *o)
{
    struct fxe_training *t = o->training;
    if (t && !t->runs && !t->why[0] && !t->plan.asked && o->ptr &&
        fxe_held_count(o) >= t->plan.enough)
        fxe_trainer_add(o);
}

bool fxe_training_has_failed(const struct fxe_obj *o)
{
    fxe_lock();
    const struct fxe_training *t = fxe_training_of(o);
    bool failed = t && t->why[0];
    fxe_unlock();
    return failed;
}

bool fxe_training_is_held(const struct fxe_obj *o)
{
    const struct fxe_training *t = o->training;
    return t && t->due && !t->asked && fxe_obj_is_within_others(o);
}

bool fxe_training_is_over(const struct fxe_req *r)
{
    const struct fxe_obj *o = r->fn && fxe_act_of(r->op) == FXE_ACT_train ? r->obj[0] : NULL;
    return o && fxe_obj_target((struct fxe_obj *)(uintptr_t)o)->planned && fxe_ntotal_of(o) > 0;
}

/* Does the request do nothing to the index but add vectors to it? */
static bool only_adds(const struct fxe_req *r)
{
    if (!r->fn)
        return false;
    switch (fxe_act_of(r->op)) {
    case FXE_ACT_search:
    case FXE_ACT_params:
    case FXE_ACT_range:
    case FXE_ACT_set:
        return true; /* a search had the lock because of nprobe */
    case FXE_ACT_add:
    case FXE_ACT_add_with_ids:
        return !r->replaces;
    default:
        return false;
    }
}

void fxe_training_changed(const struct fxe_req *r)
{
    for (int i = 0; i < r->needs.n && __atomic_load_n(&any, __ATOMIC_RELAXED); i++) {
        const struct fxe_group *g = r->needs.need[i].group;
        if (!g || !r->needs.need[i].write)
            continue;
        for (struct fxe_obj *o = g->members; o; o = o->next_in_group) {
            if (!o->training)
                continue;
            o->training->changes += !only_adds(r);
            fxe_training_look(o);
        }
    }
}

/* --- requests that ask for training --- */

/* The vectors of the request: v[1] and v[2], as of faiss_Index_train. */
static int read_vectors(struct fxe_req *r)
{
    const struct fxe_obj *o = r->obj[0];
    const msgpack_object *n = fxe_call_arg(r, 1), *x = fxe_call_arg(r, 2);
    size_t d = (size_t)fxe_index_d(o), each = fxe_is_binary(o) ? d / 8 : d * sizeof(float), size,
           want;
    const void *data;
    r->v[1].i = 0;
    if (n->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return fxe_fail(r, "argument", "%s: n must be an integer that is not negative",
                        r->operation->name);
    if (n->via.u64 == 0)
        return 0;
    if (fxe_req_bytes(r, x, "x", &data, &size) != 0)
        return -1;
    if (__builtin_mul_overflow(n->via.u64, each, &want) || size != want)
        return fxe_fail(r, "argument", "%s: x has %zu bytes, expected %llu vectors of %zu",
                        r->operation->name, size, (unsigned long long)n->via.u64, each);
    r->v[1].i = n->via.i64;
    r->v[2].p = (void *)(uintptr_t)data;
    return 0;
}

static bool is_trained(const struct fxe_obj *o)
{
    return fxe_is_binary(o) ? fxe_api()->IndexBinary_is_trained(o->ptr)
                            : fxe_api()->Index_is_trained(o->ptr);
}

/* It has the index's lock, and gives it back: the thread takes its own.  If the index has been
 * trained meanwhile, that was it. */
static int start(struct fxe_req *r)
{
    struct fxe_obj *o = fxe_obj_target(r->obj[0]);
    if (read_vectors(r) != 0)
        return 0;
    if (!fxe_training_of(o) && !is_trained(o)) {
        fxe_fail(r, "argument",
                 "%s: n and x are missing; without them only an index is trained that was made "
                 "with `training`",
                 r->operation->name);
        return 0;
    }
    fxe_lock();
    struct fxe_training *t = o->training;
    bool waits = t && fxe_trainer_add(o);
    if (waits) {
        fxe_needs_give(&r->needs);
        r->next = NULL;
        LL_APPEND(t->asked, r);
    }
    fxe_unlock();
    if (t && !waits)
        fxe_fail(r, "limit", "%s: the server has no memory for a thread that trains",
                 r->operation->name);
    return waits;
}

static const struct fxe_operation ask_operation = {"index_train", 0, NULL, NULL, start};

bool fxe_training_is(const struct fxe_operation *op)
{
    return op == &ask_operation;
}

/* Are these parameters of FAISS's ParameterSpace, such as "nprobe", or several as in
 * "nprobe=8,ht=2", nothing but nprobe? */
static bool only_nprobe(const char *text, size_t n)
{
    static const char name[] = "nprobe";
    size_t len = sizeof name - 1, word = 0;
    for (size_t i = 0; i < n; i += word ? word : 1) {
        for (word = 0; i + word < n && text[i + word] != ' ' && text[i + word] != ',';)
            word++;
        if (word > 0 && (word < len || memcmp(text + i, name, len) != 0 ||
                         (word > len && text[i + len] != '=')))
            return false;
    }
    return true;
}

static int prepare_set(struct fxe_req *r)
{
    const msgpack_object *a = fxe_call_arg(r, 2);
    if (!fxe_training_of(r->obj[1]) || a->type != MSGPACK_OBJECT_STR ||
        only_nprobe(a->via.str.ptr, a->via.str.size))
        return 0;
    return fxe_fail(r, "argument",
                    "%s: '%.*s' can be set when the index has been trained, and it waits for that; "
                    "until then only nprobe can be set",
                    r->operation->name[0] ? r->operation->name : r->fn->name,
                    a->via.str.size > 60 ? 60 : (int)a->via.str.size, a->via.str.ptr);
}

int fxe_training_prepare(struct fxe_req *r)
{
    if (fxe_act_of(r->op) == FXE_ACT_set)
        return prepare_set(r);
    if (!fxe_training_of(r->obj[0]))
        return 0;
    if (r->fn->act == FX_ACT_direct_map)
        return fxe_fail(r, "argument",
                        "%s: a direct map can be made when the index has been trained, and it "
                        "waits for that",
                        r->fn->name);
    if (fxe_act_of(r->op) != FXE_ACT_train)
        return 0;
    fxe_training_ask(r);
    return 0;
}

void fxe_training_ask(struct fxe_req *r)
{
    r->operation = &ask_operation;
    r->fn = NULL;
    r->op = 0;
    r->lane = FXE_SMALL;
    for (int i = 0; i < r->needs.n; i++)
        r->needs.need[i].write = false;
}
