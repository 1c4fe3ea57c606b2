/* SPDX-License-Identifier: Apache-2.0 */
/* The answers of the recording library, made from the table alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

/* Returns the class that a description makes.  It is a rough guess, but the casts must agree with
 * it. */
static int described(const char *s, int cls)
{
    if (cls == FX_CLASS_IndexBinary)
        return s && strstr(s, "IVF") ? FX_CLASS_IndexBinaryIVF : FX_CLASS_IndexBinaryFlat;
    if (!s)
        return FX_CLASS_IndexFlatL2;
    if (strncmp(s, "IDMap2", 6) == 0)
        return FX_CLASS_IndexIDMap2;
    if (strncmp(s, "IDMap", 5) == 0)
        return FX_CLASS_IndexIDMap;
    if (strncmp(s, "PCA", 3) == 0)
        return FX_CLASS_IndexPreTransform;
    if (strstr(s, "IVF"))
        return strstr(s, "SQ") ? FX_CLASS_IndexIVFScalarQuantizer : FX_CLASS_IndexIVFFlat;
    if (strncmp(s, "LSH", 3) == 0)
        return FX_CLASS_IndexLSH;
    return strncmp(s, "SQ", 2) == 0 ? FX_CLASS_IndexScalarQuantizer : FX_CLASS_IndexFlatL2;
}

static struct obj *create(const struct fn_call *c, const struct fx_param *p, struct obj *self)
{
    int cls = p->cls;
    if (c->fn->flags & FX_BORROW) {
        static int64_t fresh;
        if (!(c->fn->flags & FX_RENEW))
            return rec_lend(self, rec_prop_name(c->fn->name), 0, cls);
        for (int64_t i = 1; i <= fresh; i++) { /* a new range ends the earlier ones */
            union fx_val *old = rec_prop(self, "range", i);
            if (old && old->p) {
                rec_kill(old->p);
                old->p = NULL;
            }
        }
        return rec_lend(self, "range", ++fresh, cls);
    }
    if (c->op == FX_OP_index_factory || c->op == FX_OP_index_binary_factory)
        cls = described(c->v[2].p, cls);
    else if (self && (c->op == FX_OP_clone_index || c->op == FX_OP_clone_index_binary))
        cls = self->cls;
    else if (cls == FX_CLASS_Index || cls == FX_CLASS_IndexBinary)
        cls = described(NULL, cls);
    return rec_new(cls);
}

/* Stores a kept object under the name of the function that returns it. */
static void keep(struct obj *o, const struct fx_param *p, void *kept)
{
    const char *name = strcmp(p->name, "index") == 0 && fx_is_a(o->cls, FX_CLASS_IndexIDMap)
                           ? "sub_index"
                       : strcmp(p->name, "shard") == 0 || strcmp(p->name, "replica") == 0 ? "at"
                                                                                          : p->name;
    int64_t key = 0;
    if (strcmp(name, "at") == 0) {
        while (rec_prop(o, name, key))
            key++;
    }
    rec_set(o, name, key, (union fx_val){.p = kept});
}

/* Frees an owned part with its owner.  The log shows this as a call, because a server frees parts
 * with calls of its own. */
static void kill_owned(void *part)
{
    struct obj *o = rec_find(part);
    if (!o)
        return;
    rec_note("faiss_%s_free obj=%s ->", fx_classes[fx_root(o->cls)].name, o->name);
    rec_kill(o);
}

/* Removes a kept object, and frees it if it is owned. */
static void drop(struct obj *o, void *kept)
{
    int own = rec_int(o, "own_indices") || rec_int(o, "own_fields");
    for (struct prop **at = &o->props; *at;) {
        struct prop *p = *at;
        if (strcmp(p->name, "at") == 0 && p->val.p == kept) {
            *at = p->next;
            free(p);
        } else {
            at = &p->next;
        }
    }
    if (own)
        kill_owned(kept);
}

static void end(struct obj *o)
{
    static const char *const kept[] = {"ltrans", "quantizer", "sub_index", "index", "base_index"};
    if (!o)
        return;
    if (rec_int(o, "own_fields") || rec_int(o, "own_indices")) {
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
            union fx_val *v = rec_prop(o, kept[i], 0);
            if (v)
                kill_owned(v->p);
        }
        for (int64_t i = 0; rec_prop(o, "at", i); i++)
            kill_owned(rec_prop(o, "at", i)->p);
    }
    rec_kill(o);
}

static void write_outputs(const struct fn_call *c, struct obj *self)
{
    struct obj *made = NULL;
    for (int i = 0; i < c->fn->nparams; i++) {
        const struct fx_param *p = &c->fn->params[i];
        void **slot = c->v[i].p;
        if (!slot)
            continue;
        if (c->op == FX_OP_IndexBinary_reconstruct_n && p->dir == FX_INOUT) {
            /* The same values whether the vectors are asked for at once or one by one. */
            for (int64_t k = 0; k + 2 <= c->n[i]; k += 2)
                rec_fill((char *)slot + k, 2, p->elem, FX_OP_IndexBinary_reconstruct + 2, 1);
        } else if (p->kind == FX_ARRAY && (p->dir & FX_OUT) && c->n[i] >= 0) {
            /* Every second element of an array that is also read keeps its value. */
            rec_fill(slot, c->n[i], p->elem, c->op + i, p->dir == FX_INOUT ? 2 : 1);
        } else if (p->kind == FX_LENT && p->count >= 0) {
            int64_t n = 6;
            *slot = rec_memory(self, rec_prop_name(c->fn->name), (size_t)n * 8);
            rec_fill(*slot, n, p->elem, c->op + i, 1);
            *(size_t *)c->v[p->count].p = (size_t)n;
        } else if (p->kind == FX_OUT_HANDLE) {
            *slot = made = create(c, p, self);
        } else if (p->kind == FX_OPAQUE && (c->fn->flags & FX_PROCESS) &&
                   c->op != FX_OP_StandardGpuResources_setDefaultStream) {
            *slot = (void *)(uintptr_t)(0x1000 + c->op);
        }
    }
    for (int i = 0; i < c->fn->nparams; i++) {
        const struct fx_param *p = &c->fn->params[i];
        struct obj *by = made ? made : self;
        if (p->kept == FX_KEPT && by)
            keep(by, p, c->v[i].p);
        else if (p->kept == FX_DROPPED && by)
            drop(by, c->v[i].p);
    }
}

/* Keeps ntotal and nprobe up to date. */
static void count(const struct fn_call *c, const char *prop, struct obj *self)
{
    if (strcmp(prop, "add") == 0 || strcmp(prop, "add_with_ids") == 0 ||
        strcmp(prop, "add_core") == 0)
        rec_set_int(self, "ntotal", rec_int(self, "ntotal") + c->v[1].i);
    else if (strcmp(prop, "reset") == 0)
        rec_set_int(self, "ntotal", 0);
    else if (strncmp(prop, "index_parameter", 15) == 0 && c->fn->nparams == 4 &&
             rec_find(c->v[1].p) && c->v[2].p && strcmp(c->v[2].p, "nprobe") == 0)
        rec_set_int(c->v[1].p, "nprobe", (int64_t)c->v[3].f);
}

static void get(const struct fn_call *c, const char *prop, struct obj *self, union fx_val *ret)
{
    union fx_val *have = rec_prop(self, prop, 0);
    if (c->fn->ret.kind == FX_REAL)
        ret->f = have ? have->f : (double)rec_int(NULL, prop) / 4;
    else if (strcmp(prop, "list_size") == 0)
        ret->i = 3 + c->v[1].i % 2;
    else
        ret->i = rec_int(self, prop);
}

void rec_answer(const struct fn_call *c, union fx_val *ret)
{
    const struct fx_fn *fn = c->fn;
    const char *prop = rec_prop_name(fn->name);
    int has_self = fn->nparams > 0 && fn->params[0].kind == FX_HANDLE;
    struct obj *self = has_self ? rec_find(c->v[0].p) : NULL;
    int set = strncmp(prop - 4, "set_", 4) == 0 && fn->nparams <= has_self + 1;
    if (fn->flags & FX_PRINTS)
        printf("printed by %s\n", fn->name);
    if (fn->flags & FX_FREE) {
        end(self);
    } else if (fn->flags & FX_CAST) {
        ret->p = self && fx_is_a(self->cls, fn->ret.cls) ? self : NULL;
    } else if (fn->ret.kind == FX_HANDLE) {
        ret->p = self ? rec_lend(self, prop, fn->nparams > 1 ? c->v[1].i : 0, fn->ret.cls) : NULL;
    } else if (fn->ret.kind == FX_STRING) {
        ret->p = self ? self->name : NULL;
    } else if (fn->ret.kind == FX_ARRAY && c->n[fn->nparams] >= 0) {
        int64_t n = c->n[fn->nparams];
        ret->p = malloc((size_t)n * fx_elem_size(fn->ret.elem) + 1);
        if (ret->p)
            rec_fill(ret->p, n, fn->ret.elem, c->op, 1);
    } else if (fn->ret.kind == FX_INT || fn->ret.kind == FX_UINT || fn->ret.kind == FX_REAL) {
        get(c, prop, self, ret);
    } else if (set && (self || !has_self)) {
        rec_set(self, prop, 0, fn->nparams > has_self ? c->v[has_self] : (union fx_val){.i = 1});
    } else {
        write_outputs(c, self);
        if (self)
            count(c, prop, self);
    }
    if (c->op == FX_OP_Index_sa_code_size && self && c->v[1].p)
        *(size_t *)c->v[1].p = (size_t)rec_int(self, "code_size");
}
