/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void text_add(struct text *t, const char *fmt, ...)
{
    for (;;) {
        va_list ap;
        va_start(ap, fmt);
        int n = vsnprintf(t->s + t->len, t->cap - t->len, fmt, ap);
        va_end(ap);
        if (n < 0)
            abort();
        if (t->len + (size_t)n < t->cap) {
            t->len += (size_t)n;
            return;
        }
        t->cap = 2 * t->cap + (size_t)n + 256;
        t->s = realloc(t->s, t->cap);
        if (!t->s)
            abort();
    }
}

void text_free(struct text *t)
{
    free(t->s);
    *t = (struct text){0};
}

uint64_t text_sum(const void *data, size_t bytes)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const unsigned char *p = data; bytes; bytes--, p++)
        h = (h ^ *p) * 0x100000001b3u;
    return h;
}

struct fn_call text_call(const struct describe *how, int op, union fx_val *v)
{
    struct fn_call c = {.op = op, .fn = &fx_fns[op], .v = v};
    for (int i = 0; i <= c.fn->nparams; i++) {
        const struct fx_param *p = i < c.fn->nparams ? &c.fn->params[i] : &c.fn->ret;
        uint64_t n;
        int known =
            p->size && p->kind != FX_LENT && fx_size(c.fn, p->size, v, how->call, NULL, &n) == 0;
        c.n[i] = known ? (int64_t)n : -1;
    }
    return c;
}

static void array(struct text *t, const void *p, int64_t n, enum fx_elem elem)
{
    if (!p)
        text_add(t, "nil");
    else if (n < 0)
        text_add(t, "given");
    else
        text_add(t, "[%lld:%016llx]", (long long)n,
                 (unsigned long long)text_sum(p, (size_t)n * fx_elem_size(elem)));
}

static void handles(struct text *t, const struct describe *how, const struct fn_call *c, int i)
{
    void *const *p = c->v[i].p;
    if (!p) {
        text_add(t, "nil");
        return;
    }
    text_add(t, "[");
    for (int64_t j = 0; j < c->n[i]; j++) {
        if (j)
            text_add(t, ",");
        how->handle(t, p[j], c->fn->params[i].cls);
    }
    text_add(t, "]");
}

void text_args(struct text *t, const struct describe *how, const struct fn_call *c)
{
    text_add(t, "%s", c->fn->name);
    for (int i = 0; i < c->fn->nparams; i++) {
        const struct fx_param *p = &c->fn->params[i];
        const union fx_val *v = &c->v[i];
        text_add(t, " %s=", p->name);
        switch (p->kind) {
        case FX_INT:
        case FX_UINT:
            text_add(t, "%lld", (long long)v->i);
            break;
        case FX_REAL:
            text_add(t, "%.9g", v->f);
            break;
        case FX_STRING:
            text_add(t, v->p ? "\"%s\"" : "nil", (const char *)v->p);
            break;
        case FX_HANDLE:
            how->handle(t, v->p, p->cls);
            break;
        case FX_HANDLES:
            handles(t, how, c, i);
            break;
        case FX_ARRAY:
            if (p->dir & FX_IN) {
                array(t, v->p, c->n[i], p->elem);
                break;
            }
            /* fall through */
        default: /* outputs, and pointers that mean nothing in another process */
            text_add(t, v->p ? "given" : "nil");
        }
    }
}

static void result(struct text *t, const struct describe *how, const struct fn_call *c)
{
    const union fx_val *v = &c->v[c->fn->nparams];
    text_add(t, " ->");
    switch (c->fn->ret.kind) {
    case FX_VOID:
        break;
    case FX_REAL:
        text_add(t, " %.9g", v->f);
        break;
    case FX_STRING:
        text_add(t, v->p ? " \"%s\"" : " nil", (const char *)v->p);
        break;
    case FX_HANDLE:
        text_add(t, " ");
        how->handle(t, v->p, c->fn->ret.cls);
        break;
    case FX_ARRAY:
        text_add(t, " ");
        array(t, v->p, c->n[c->fn->nparams], c->fn->ret.elem);
        break;
    default:
        text_add(t, " %lld", (long long)v->i);
    }
}

void text_results(struct text *t, const struct describe *how, const struct fn_call *c)
{
    result(t, how, c);
    if (c->fn->ret.kind == FX_ERR && c->v[c->fn->nparams].i != 0)
        return;
    for (int i = 0; i < c->fn->nparams; i++) {
        const struct fx_param *p = &c->fn->params[i];
        void *const *slot = c->v[i].p;
        if (!slot)
            continue;
        if (p->kind == FX_ARRAY && (p->dir & FX_OUT)) {
            text_add(t, " %s=", p->name);
            array(t, slot, c->n[i], p->elem);
        } else if (p->kind == FX_OUT_HANDLE) {
            text_add(t, " %s=", p->name);
            how->handle(t, *slot, p->cls);
        } else if (p->kind == FX_LENT) {
            const size_t *n = p->count >= 0 ? c->v[p->count].p : NULL;
            text_add(t, " %s=", p->name);
            array(t, *slot, n ? (int64_t)*n : -1, p->elem);
        }
    }
}
