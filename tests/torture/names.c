/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

char **model_names(const struct model *m)
{
    char **names = calloc((size_t)m->nindex + 1, sizeof *names);
    int n = 0;
    if (!names)
        abort();
    for (int i = 0; i < m->nindex; i++)
        if (m->index[i].there || m->index[i].publish >= 0)
            names[n++] = m->index[i].name;
    return names;
}

static void read_ids(struct model *m, int index, FILE *in)
{
    uint32_t id;
    for (uint32_t i = 0; i < m->index[index].dump.n; i++) {
        if (fread(&id, sizeof id, 1, in) != 1)
            abort();
        struct vec *v = model_vec(m, id);
        if (v && v->index == index) {
            v->count++;
        } else {
            m->n.unasked++;
            model_report(m, "%s has %u, which nobody has added to it", m->index[index].name, id);
        }
    }
}

void names_read(struct model *m, const char *path)
{
    struct dump d;
    FILE *in = fopen(path, "r");
    for (int i = 0; i < m->nindex; i++)
        m->index[i].dump.state = ABSENT;
    while (in && fread(&d, sizeof d, 1, in) == 1) {
        int i = model_index(m, d.index);
        m->index[i].dump = d;
        read_ids(m, i, in);
    }
    if (in)
        fclose(in);
}

static void judge_content(struct model *m, const struct index *x)
{
    const struct dump *d = &x->dump;
    if (d->wrong || (d->ntotal != d->n && strncmp(x->name, "ivf", 3) != 0)) {
        m->n.wrong += d->wrong ? d->wrong : 1;
        model_report(m, "%s: %u vectors are not what was added; a search finds %u of ntotal %lld",
                     x->name, d->wrong, d->n, (long long)d->ntotal);
    }
    if ((x->trained || (x->train >= 0 && m->op[x->train].outcome == MADE)) && !d->trained) {
        m->n.lost++;
        model_report(m, "%s is not trained, though it had been", x->name);
    }
}

void names_judge(struct model *m)
{
    for (int i = 0; i < m->nindex; i++) {
        struct index *x = &m->index[i];
        const struct op *o = x->publish >= 0 ? &m->op[x->publish] : NULL;
        bool there = o ? o->what == PUBLISH : x->there;
        bool either = o && o->outcome == UNKNOWN;
        if (x->dump.state == UNREADABLE) {
            m->n.wrong++;
            model_report(m, "%s cannot be read: %s", x->name, x->dump.text);
        } else if (!either && there && x->dump.state == ABSENT) {
            m->n.lost++;
            model_report(m, "%s is not there, though it was published", x->name);
        } else if (!either && !there && x->dump.state == THERE) {
            m->n.returned++;
            model_report(m, "%s is there, though it was unpublished", x->name);
        }
        if (x->dump.state == THERE)
            judge_content(m, x);
        x->there = x->dump.state == THERE;
        x->trained = x->there && x->dump.trained;
        x->publish = x->train = -1;
    }
}
