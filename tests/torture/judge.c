/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static const char *const names[] = {"?", "add", "remove", "reset", "train", "publish", "unpublish"};

/* What is there of an operation's ids, of those that tell. */
struct found {
    uint32_t there, missing, seen;
};

enum verdict { CANNOT_TELL, WAS_MADE, WAS_NOT };

static enum verdict verdict_of(struct found f, bool is_removal)
{
    if (f.there + f.missing == 0)
        return CANNOT_TELL;
    return (f.there > 0) != is_removal ? WAS_MADE : WAS_NOT;
}

static void fault(struct model *m, const struct op *o, uint64_t *count, uint32_t n,
                  const char *what)
{
    *count += n;
    model_report(m, "client %d, operation %llu, %s of %u on %s, outcome %d (%s): %u %s", o->client,
                 (unsigned long long)o->number, names[o->what], o->nadd + o->nout,
                 m->index[o->index].name, o->outcome, o->text, n, what);
}

/* --- what an operation has added --- */

static struct found find_added(struct model *m, const struct op *o)
{
    struct found f = {0};
    for (uint32_t i = 0; i < o->nadd; i++) {
        const struct vec *v = model_vec(m, o->add[i]);
        if (v->removal >= 0 || v->all >= 0)
            continue;
        if (v->count)
            f.there++;
        else
            f.missing++;
        f.seen += v->seen && !v->count;
    }
    return f;
}

static enum verdict judge_add(struct model *m, const struct op *o, bool lenient)
{
    struct found f = find_added(m, o);
    if (o->outcome == REFUSED) {
        if (f.there)
            fault(m, o, &m->n.unasked, f.there, "are there, though the change was refused");
        return f.there ? WAS_MADE : WAS_NOT;
    }
    bool kept = o->what == PUBLISH || !lenient || o->ended_ns < m->safe_ns; /* if acknowledged */
    if (f.there && f.missing && (lenient || o->outcome == UNKNOWN))
        fault(m, o, &m->n.torn, f.missing, "are not there, but the others are");
    else if (o->outcome == MADE && f.missing && kept)
        fault(m, o, &m->n.lost, f.missing, "were acknowledged, and are not there");
    else if (o->outcome == MADE && f.missing)
        m->n.forgone += f.missing;
    if (f.seen && !lenient && o->outcome == UNKNOWN)
        fault(m, o, &m->n.vanished, f.seen, "were seen, and are not there");
    return verdict_of(f, false);
}

/* --- what it has removed --- */

/* Was it in the index before it was removed? */
static bool was_there(const struct model *m, const struct vec *v, const enum verdict *verdicts,
                      bool lenient)
{
    if (v->settled != OPEN)
        return v->settled == PRESENT;
    if (v->count || verdicts[v->add] == WAS_MADE)
        return true;
    return !lenient && (v->seen || m->op[v->add].outcome == MADE);
}

static enum verdict judge_removal(struct model *m, const struct op *o, const enum verdict *verdicts,
                                  bool lenient)
{
    struct found f = {0};
    bool kept = o->what == PUBLISH || o->what == UNPUBLISH || !lenient || o->ended_ns < m->safe_ns;
    for (uint32_t i = 0; i < o->nout; i++) {
        const struct vec *v = model_vec(m, o->out[i]);
        if (!v || o->outcome == REFUSED || (v->removal >= 0 && v->all >= 0) ||
            !was_there(m, v, verdicts, lenient))
            continue;
        if (v->count)
            f.there++;
        else
            f.missing++;
    }
    if (f.there && f.missing && (lenient || o->outcome == UNKNOWN))
        fault(m, o, &m->n.torn, f.there, "are still there, but the others are not");
    else if (o->outcome == MADE && f.there && kept)
        fault(m, o, &m->n.returned, f.there, "were removed, and are there");
    else if (o->outcome == MADE && f.there)
        m->n.forgone += f.there;
    if (o->what == REMOVE && o->outcome == MADE && m->always && o->value >= 0 &&
        o->value != o->nout)
        fault(m, o, &m->n.miscounted, (uint32_t)o->value, "is the number that was returned");
    return verdict_of(f, true);
}

static void count(struct model *m, const struct op *o, enum verdict v)
{
    if (o->outcome == MADE) {
        m->n.acknowledged++;
        m->n.vectors += o->nadd + o->nout;
    } else if (o->outcome == REFUSED) {
        m->n.refused++;
    } else {
        m->n.unknown++;
        m->n.unheard += o->ended_ns == INT64_MAX;
        m->n.unknown_made += v == WAS_MADE;
    }
}

/* --- in order --- */

/* Of each index, nothing that began after a lost change had been acknowledged may be kept. */
static void judge_order(struct model *m, const enum verdict *verdicts)
{
    int64_t *lost = malloc((size_t)m->nindex * sizeof *lost + 1);
    if (!lost)
        abort();
    for (int i = 0; i < m->nindex; i++)
        lost[i] = INT64_MAX;
    for (int i = m->first; i < m->nop; i++) {
        const struct op *o = &m->op[i];
        if (o->outcome == MADE && verdicts[i] == WAS_NOT && o->ended_ns < lost[o->index])
            lost[o->index] = o->ended_ns;
    }
    for (int i = m->first; i < m->nop; i++) {
        const struct op *o = &m->op[i];
        if (verdicts[i] == WAS_MADE && o->outcome != REFUSED && o->began_ns > lost[o->index])
            fault(m, o, &m->n.disordered, 1, "change was kept, though an earlier one was lost");
    }
    free(lost);
}

/* --- ids by themselves --- */

static void judge_vec(struct model *m, const struct vec *v)
{
    const char *name = m->index[v->index].name;
    if (v->count > 1) {
        m->n.doubled += v->count - 1;
        model_report(m, "%s has %u %u times", name, v->id, v->count);
    }
    if (v->settled == GONE && v->count) {
        m->n.returned++;
        model_report(m, "%s has %u, which was gone at the last check", name, v->id);
    }
    if (v->settled == PRESENT && !v->count && v->removal < 0 && v->all < 0) {
        m->n.lost++;
        model_report(m, "%s lacks %u, which was there at the last check", name, v->id);
    }
    bool removed = (v->removal >= 0 && m->op[v->removal].outcome == MADE) ||
                   (v->all >= 0 && m->op[v->all].outcome == MADE);
    if (m->always && removed && v->count && v->removal >= 0 && v->all >= 0) {
        m->n.returned++;
        model_report(m, "%s has %u, which was removed twice", name, v->id);
    }
}

static void settle(struct model *m)
{
    for (uint32_t i = 0; i < m->nvec; i++) {
        struct vec *v = &m->vec[i];
        judge_vec(m, v);
        v->settled = v->count ? PRESENT : GONE;
        v->count = 0;
        v->seen = false;
        v->add = v->removal = v->all = -1;
    }
    for (int i = m->first; i < m->nop; i++) {
        free(m->op[i].add);
        free(m->op[i].out);
    }
    m->first = m->nop;
}

void model_judge(struct model *m, const char *dump, bool lenient)
{
    enum verdict *verdicts = calloc((size_t)m->nop + 1, sizeof *verdicts);
    if (!verdicts)
        abort();
    names_read(m, dump);
    for (int i = m->first; i < m->nop; i++)
        if (m->op[i].nadd)
            verdicts[i] = judge_add(m, &m->op[i], lenient);
    for (int i = m->first; i < m->nop; i++) {
        if (m->op[i].nout || m->op[i].what == REMOVE) {
            enum verdict v = judge_removal(m, &m->op[i], verdicts, lenient);
            if (verdicts[i] != CANNOT_TELL && v != CANNOT_TELL && v != verdicts[i])
                fault(m, &m->op[i], &m->n.torn, 1, "new index, but the old one is there");
            verdicts[i] = verdicts[i] == CANNOT_TELL ? v : verdicts[i];
        }
        count(m, &m->op[i], verdicts[i]);
    }
    if (lenient)
        judge_order(m, verdicts);
    names_judge(m);
    settle(m);
    free(verdicts);
}
