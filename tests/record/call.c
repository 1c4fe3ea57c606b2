/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

struct fx_api api;
int called[FX_NOPS];
int remote;
char auto_room;

enum { GUARD = 64, UNSIZED = 4096 };

/* Arrays are freed at the end only, because a bitmap selector keeps a pointer to its array. */
struct room {
    struct room *next;
    size_t bytes;
    unsigned char data[];
};

static struct room *rooms;
static struct handle *all;
static int made_of[FX_NCLASSES];
static void *slots[FX_PARAMS_MAX]; /* what the last call wrote to */
static void *last_made;

static void *need(void *p)
{
    if (!p)
        abort();
    return p;
}

/* --- objects --- */

struct handle *known(const void *p)
{
    for (struct handle *h = all; h; h = h->next)
        if (h->p == p)
            return h;
    return NULL;
}

static struct handle *learn(void *p, int cls, int op, struct handle *parent)
{
    struct handle *h = need(calloc(1, sizeof *h));
    *h = (struct handle){all, p, cls, ++made_of[fx_root(cls)], op, parent, 0};
    all = h;
    return h;
}

static void unlearn(struct handle *gone)
{
    for (struct handle **at = &all; *at; at = &(*at)->next)
        if (*at == gone) {
            *at = gone->next;
            break;
        }
    for (struct handle *h = all; h;) {
        if (h->parent == gone) {
            unlearn(h);
            h = all; /* the list changed */
        } else {
            h = h->next;
        }
    }
    free(gone);
}

void forget(const void *p)
{
    struct handle *h = p ? known(p) : NULL;
    if (h)
        unlearn(h);
}

static void describe(struct text *t, const void *p, int cls)
{
    struct handle *h = known(p);
    (void)cls;
    if (!p)
        text_add(t, "nil");
    else if (!h)
        text_add(t, "?");
    else
        text_add(t, "%s#%d", fx_classes[fx_root(h->cls)].name, h->number);
}

static int ask(void *ctx, int op, union fx_val *v)
{
    (void)ctx;
    if (!v[0].p)
        return -1;
    fx_invoke(&api, op, v);
    return 0;
}

static const struct describe how = {describe, ask};

/* --- arrays --- */

static unsigned char *guarded(size_t bytes)
{
    struct room *r = need(malloc(sizeof *r + bytes + 2 * GUARD));
    r->next = rooms;
    r->bytes = bytes;
    rooms = r;
    memset(r->data, 0xa5, bytes + 2 * GUARD);
    return r->data + GUARD;
}

/* Exits if a call wrote outside an array, also one of an earlier call. */
static void check_guards(const char *name)
{
    for (const struct room *r = rooms; r; r = r->next)
        for (size_t i = 0; i < GUARD; i++)
            if (r->data[i] != 0xa5 || r->data[GUARD + r->bytes + i] != 0xa5) {
                printf("%s: wrote outside of an array\n", name);
                exit(1);
            }
}

/* Fills an array with contents that are valid for any function: ids are below 3. */
static void fill(void *to, int64_t n, enum fx_elem elem, int seed)
{
    for (int64_t i = 0; i < n; i++) {
        switch (elem) {
        case FX_F32:
            ((float *)to)[i] = (float)((seed + i * 3) % 50) / 4;
            break;
        case FX_F64:
            ((double *)to)[i] = (double)((seed + i * 3) % 50) / 4;
            break;
        case FX_I32:
            ((int32_t *)to)[i] = (int32_t)((seed + i) % 3);
            break;
        case FX_I64:
            ((int64_t *)to)[i] = (seed + i) % 3;
            break;
        case FX_CLUSTERING_PARAMS:
            ((FaissClusteringParameters *)to)[i] =
                (FaissClusteringParameters){1, 2, 0, 0, 0, 0, 0, 3, 4, 5, 6};
            break;
        default:
            ((unsigned char *)to)[i] = (unsigned char)(seed + i * 7);
        }
    }
}

static void make_room(struct fn_call *c)
{
    for (int i = 0; i < c->fn->nparams; i++) {
        const struct fx_param *p = &c->fn->params[i];
        size_t bytes = UNSIZED;
        slots[i] = NULL;
        if (c->v[i].p != &auto_room)
            continue;
        if (p->kind == FX_ARRAY) {
            if (c->n[i] >= 0)
                bytes = (size_t)c->n[i] * fx_elem_size(p->elem);
            else if (!p->size && !(c->fn->flags & FX_UNSIZED))
                bytes = sizeof(size_t); /* a number, of a function written by hand */
            c->v[i].p = guarded(bytes);
            memset(c->v[i].p, 0x5a, bytes);
            if ((p->dir & FX_IN) && c->n[i] >= 0)
                fill(c->v[i].p, c->n[i], p->elem, c->op + i);
        } else { /* one pointer or count is written */
            c->v[i].p = memset(guarded(8), 0, 8);
        }
        slots[i] = c->v[i].p;
    }
}

/* --- calls --- */

static int lends(const struct fn_call *c)
{
    return (c->fn->flags & FX_BORROW) || c->op == FX_OP_Clustering_iteration_stats ||
           c->op == FX_OP_RangeSearchPartialResult_new_result ||
           c->op == FX_OP_IndexShards_shard_indexes;
}

static void learn_from(const struct fn_call *c)
{
    const struct fx_fn *fn = c->fn;
    struct handle *self = fn->nparams && fn->params[0].kind == FX_HANDLE ? known(c->v[0].p) : NULL;
    void *ret = c->v[fn->nparams].p;
    struct handle *by = self;
    last_made = NULL;
    if (fn->ret.kind == FX_ERR && c->v[fn->nparams].i != 0)
        return;
    if (fn->ret.kind == FX_HANDLE && ret && !known(ret))
        learn(ret, fn->ret.cls, c->op, self);
    for (int i = 0; i < fn->nparams; i++) {
        if (fn->params[i].kind != FX_OUT_HANDLE || !c->v[i].p)
            continue;
        last_made = *(void **)c->v[i].p;
        int ends = (fn->flags & FX_RENEW) || c->op == FX_OP_RangeSearchPartialResult_new_result;
        for (struct handle *h = all; ends && h;) {
            struct handle *next = h->next;
            if (h->parent == self && h->op == c->op)
                unlearn(h);
            h = next;
        }
        if (last_made && !(lends(c) && known(last_made)))
            by = learn(last_made, fn->params[i].cls, c->op, lends(c) ? self : NULL);
    }
    for (int i = 0; i < fn->nparams; i++)
        if (by && fn->params[i].kept == FX_KEPT)
            by->keeps = 1;
}

union fx_val call(int op, union fx_val *v)
{
    struct text t = {0};
    union fx_val *ret = &v[fx_fns[op].nparams];
    struct fn_call c = text_call(&how, op, v);
    make_room(&c);
    text_args(&t, &how, &c);
    *ret = (union fx_val){.i = 0};
    fx_invoke(&api, op, v);
    called[op]++;
    check_guards(c.fn->name);
    learn_from(&c);
    text_results(&t, &how, &c);
    puts(t.s);
    text_free(&t);
    if (c.fn->flags & FX_FREE)
        forget(v[0].p);
    if (c.fn->ret.kind == FX_ARRAY && c.fn->ret.size)
        free(ret->p);
    return *ret;
}

void *written(int param)
{
    return slots[param];
}

void *made(void)
{
    return last_made;
}

/* Each thread has its own message; this thread made the failed call. */
void print_last_error(void)
{
    const char *e = api.get_last_error();
    called[FX_OP_get_last_error]++;
    printf("  %s\n", e ? e : "(no message)");
}

void free_object(struct handle *h)
{
    for (int cls = h->cls;; cls = fx_classes[cls].base) {
        char name[128];
        int n = snprintf(name, sizeof name, "faiss_%s_free", fx_classes[cls].name);
        int op = fx_op_by_name(name, (size_t)n);
        if (op) {
            call(op, (union fx_val[2]){P(h->p)});
            return;
        }
        if (fx_classes[cls].base == cls)
            break;
    }
    unlearn(h); /* FAISS has no way to free it */
}

/* Frees the newest objects first, and those that keep pointers to others before all others. */
void free_all(void)
{
    for (int keeps = 1; keeps >= 0; keeps--) {
        for (struct handle *h = all; h;) {
            if (h->parent || h->keeps < keeps) {
                h = h->next;
            } else {
                free_object(h);
                h = all;
            }
        }
    }
}

void call_cleanup(void)
{
    for (struct room *r = rooms, *next; r; r = next) {
        next = r->next;
        free(r);
    }
    rooms = NULL;
}
