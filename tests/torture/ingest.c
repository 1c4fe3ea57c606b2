/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

enum { REPORTS = 40 };

void model_init(struct model *m, bool always)
{
    *m = (struct model){.always = always, .mask = (1u << 24) - 1};
    m->hash = calloc(m->mask + 1u, sizeof *m->hash);
    if (!m->hash)
        abort();
    for (int i = 0; i < CLIENTS_MAX; i++)
        m->begun[i] = -1;
}

void model_report(struct model *m, const char *format, ...)
{
    static int n;
    va_list args;
    (void)m;
    if (++n > REPORTS)
        return;
    va_start(args, format);
    printf("FAULT: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

uint64_t model_faults(const struct model *m)
{
    const struct counts *n = &m->n;
    return n->lost + n->doubled + n->vanished + n->torn + n->returned + n->unasked + n->missing +
           n->miscounted + n->wrong + n->disordered;
}

/* Makes room for one more in an array that grows by doubling. */
static void *grow(void *array, size_t n, size_t size)
{
    if (n & (n - 1) || (n && n < 64))
        return array;
    array = realloc(array, (n ? 2 * n : 64) * size);
    if (!array)
        abort();
    return array;
}

static uint32_t slot_of(const struct model *m, uint32_t id)
{
    uint32_t at = id * 2654435761u >> 8 & m->mask;
    while (m->hash[at] && m->vec[m->hash[at] - 1].id != id)
        at = (at + 1) & m->mask;
    return at;
}

struct vec *model_vec(struct model *m, uint32_t id)
{
    uint32_t at = slot_of(m, id);
    return m->hash[at] ? &m->vec[m->hash[at] - 1] : NULL;
}

int model_index(struct model *m, const char *name)
{
    for (int i = m->nindex - 1; i >= 0; i--)
        if (strcmp(m->index[i].name, name) == 0)
            return i;
    m->index = grow(m->index, (size_t)m->nindex, sizeof *m->index);
    struct index *x = &m->index[m->nindex];
    *x = (struct index){.publish = -1, .train = -1};
    snprintf(x->name, sizeof x->name, "%s", name);
    return m->nindex++;
}

struct taking {
    struct model *m;
    int client, pass;
    bool lenient;
};

/* --- the first pass: operations, and what they add --- */

static void add_vec(struct model *m, uint32_t id, int op)
{
    m->vec = grow(m->vec, m->nvec, sizeof *m->vec);
    m->vec[m->nvec] =
        (struct vec){.id = id, .index = m->op[op].index, .add = op, .removal = -1, .all = -1};
    uint32_t at = slot_of(m, id);
    if (m->hash[at] || m->nvec > m->mask / 2)
        abort();
    m->hash[at] = ++m->nvec;
}

static void begin(struct taking *t, const struct entry *e)
{
    struct model *m = t->m;
    m->op = grow(m->op, (size_t)m->nop, sizeof *m->op);
    struct op *o = &m->op[m->nop];
    *o = (struct op){.client = t->client,
                     .number = e->number,
                     .what = (enum operation)e->operation,
                     .index = model_index(m, e->index),
                     .began_ns = e->at_ns,
                     .ended_ns = INT64_MAX,
                     .value = -1};
    uint32_t *ids = malloc(e->n * sizeof *ids + 1);
    if (!ids)
        abort();
    memcpy(ids, e->ids, e->n * sizeof *ids);
    if (o->what == REMOVE)
        o->out = ids, o->nout = e->n;
    else
        o->add = ids, o->nadd = e->n;
    for (uint32_t i = 0; i < o->nadd; i++)
        add_vec(m, ids[i], m->nop);
    m->begun[t->client] = m->nop++;
    m->n.operations++;
}

static void end(struct taking *t, const struct entry *e)
{
    struct op *o = &t->m->op[t->m->begun[t->client]];
    if (t->m->begun[t->client] < 0 || o->number != e->number)
        abort();
    o->outcome = (enum outcome)e->outcome;
    o->ended_ns = e->at_ns;
    o->value = e->value;
    memcpy(o->text, e->text, sizeof o->text);
    tally(o->outcome, o->text);
    t->m->begun[t->client] = -1;
}

/* --- the second pass: what is removed --- */

/* Everything in the index that was added before by the same client, whose index it is. */
static void take_all(struct model *m, int op)
{
    struct op *o = &m->op[op];
    for (uint32_t i = 0; i < m->nvec; i++) {
        struct vec *v = &m->vec[i];
        if (v->index != o->index || v->settled == GONE || v->add == op)
            continue;
        if (v->add >= 0 && (v->add > op || m->op[v->add].outcome == REFUSED))
            continue;
        if ((v->removal >= 0 && m->op[v->removal].outcome == MADE) ||
            (v->all >= 0 && m->op[v->all].outcome == MADE))
            continue;
        v->all = op;
        o->out = grow(o->out, o->nout, sizeof *o->out);
        o->out[o->nout++] = v->id;
    }
}

static void removals(struct model *m, int from)
{
    for (int i = from; i < m->nop; i++) {
        struct op *o = &m->op[i];
        struct index *x = &m->index[o->index];
        if (o->outcome == REFUSED)
            continue;
        for (uint32_t j = 0; o->what == REMOVE && j < o->nout; j++) {
            struct vec *v = model_vec(m, o->out[j]);
            if (!v)
                model_report(m, "client %d removes %u, which nobody has added", o->client,
                             o->out[j]);
            else if (v->removal < 0 || m->op[v->removal].outcome != MADE)
                v->removal = i;
        }
        if (o->what == RESET || o->what == PUBLISH || o->what == UNPUBLISH)
            take_all(m, i);
        if (o->what == PUBLISH || o->what == UNPUBLISH)
            x->publish = i;
        if (o->what == TRAIN)
            x->train = i;
        if (o->what == PUBLISH) { /* an untrained one */
            x->train = -1;
            x->trained = false;
        }
    }
}

/* --- the third pass: what was read --- */

static bool removed_before(const struct model *m, int op, int64_t ns)
{
    return op >= 0 && m->op[op].outcome == MADE && m->op[op].ended_ns < ns;
}

static bool removal_begun(const struct model *m, int op, int64_t ns)
{
    return op >= 0 && m->op[op].outcome != REFUSED && m->op[op].began_ns < ns;
}

static void on_seen(struct taking *t, const struct entry *e, uint32_t id)
{
    struct model *m = t->m;
    struct vec *v = model_vec(m, id);
    if (!v || strcmp(m->index[v->index].name, e->index) != 0) {
        m->n.unasked++;
        model_report(m, "client %d has seen %u in %s, where nobody has added it", t->client, id,
                     e->index);
        return;
    }
    v->seen = true;
    v->seen_ns = e->began_ns;
    if (v->settled == GONE || removed_before(m, v->removal, e->began_ns) ||
        removed_before(m, v->all, e->began_ns)) {
        m->n.returned++;
        model_report(m, "client %d has seen %u in %s after it was removed", t->client, id,
                     e->index);
    }
}

static void on_missed(struct taking *t, const struct entry *e, uint32_t id)
{
    struct model *m = t->m;
    struct vec *v = model_vec(m, id);
    if (t->lenient || !v || v->settled == GONE || removal_begun(m, v->removal, e->at_ns) ||
        removal_begun(m, v->all, e->at_ns))
        return;
    if (v->settled == PRESENT ||
        (m->op[v->add].outcome == MADE && m->op[v->add].ended_ns < e->began_ns)) {
        m->n.missing++;
        model_report(m, "client %d has not found %u in %s, where it had been added", t->client, id,
                     e->index);
    }
}

static void on_entry(void *ctx, const struct entry *e)
{
    struct taking *t = ctx;
    if (t->pass == 0 && e->kind == BEGIN)
        begin(t, e);
    else if (t->pass == 0 && e->kind == END)
        end(t, e);
    t->m->n.reads += t->pass == 1 && (e->kind == SEEN || e->kind == MISSED);
    for (uint32_t i = 0; t->pass == 1 && i < e->n; i++) {
        if (e->kind == SEEN)
            on_seen(t, e, e->ids[i]);
        else if (e->kind == MISSED)
            on_missed(t, e, e->ids[i]);
    }
}

void model_ingest(struct model *m, const char *dir, int nclients, bool lenient)
{
    size_t before[CLIENTS_MAX];
    memcpy(before, m->offset, sizeof before);
    for (int i = 0; i < nclients; i++) {
        struct taking t = {m, i, 0, lenient};
        m->begun[i] = -1; /* it was killed */
        journal_read(dir, i, &m->offset[i], on_entry, &t);
    }
    removals(m, m->first);
    for (int i = 0; i < nclients; i++) {
        struct taking t = {m, i, 1, lenient};
        journal_read(dir, i, &before[i], on_entry, &t);
        m->offset[i] = before[i];
    }
}
