/* SPDX-License-Identifier: Apache-2.0 */
/* A client that was killed goes on where its journal ends. */
#include "client.h"

/* An entry with room for its ids. */
struct pending {
    _Alignas(struct entry) char bytes[sizeof(struct entry) + IDS_MAX * sizeof(uint32_t)];
};

static struct entry *entry_of(const struct pending *p)
{
    return (struct entry *)(uintptr_t)p->bytes;
}

struct resuming {
    struct work *w;
    struct pending last; /* the last BEGIN */
};

static struct place *place_of(struct work *w, const char *name)
{
    int client, generation;
    char kind[4];
    if (sscanf(name, "shared-%d", &generation) == 1)
        return &w->place[generation];
    if (sscanf(name, "%3[a-z]-%d-%d", kind, &client, &generation) != 3)
        abort();
    struct place *p = &w->place[strcmp(kind, "own") == 0 ? OWN_PLACE : IVF_PLACE];
    if (generation != p->generation) { /* the first entry of a new name */
        p->generation = generation;
        snprintf(p->name, sizeof p->name, "%s", name);
        p->published = p->trained = p->unsure = false;
        p->removable.n = p->known.n = 0;
    }
    return p;
}

static void forget(struct ids *s, const struct pending *e)
{
    for (uint32_t i = 0; i < entry_of(e)->n; i++)
        for (uint32_t j = 0; j < s->n; j++)
            if (s->id[j] == entry_of(e)->ids[i]) {
                ids_take(s, j);
                break;
            }
}

static void apply(struct resuming *r, enum outcome o)
{
    const struct pending *e = &r->last;
    struct place *p = place_of(r->w, entry_of(e)->index);
    bool whole = entry_of(e)->operation == RESET || entry_of(e)->operation == PUBLISH ||
                 entry_of(e)->operation == UNPUBLISH;
    if (o == REFUSED)
        return;
    if (whole)
        p->removable.n = p->known.n = 0;
    if (entry_of(e)->operation == REMOVE)
        forget(&p->removable, e);
    if ((whole || entry_of(e)->operation == TRAIN) && o == UNKNOWN)
        p->unsure = true;
    if (entry_of(e)->operation == PUBLISH) {
        p->published |= o == MADE;
        p->trained = false;
    }
    if (o != MADE)
        return;
    if (entry_of(e)->operation == UNPUBLISH)
        p->published = p->trained = false;
    if (entry_of(e)->operation == TRAIN)
        p->trained = true;
    if (entry_of(e)->operation == ADD || entry_of(e)->operation == PUBLISH)
        for (uint32_t i = 0; i < entry_of(e)->n; i++) {
            if (may_remove(r->w, p, entry_of(e)->ids[i]))
                ids_add(&p->removable, entry_of(e)->ids[i]);
            if (p->known.n < RECENT)
                ids_add(&p->known, entry_of(e)->ids[i]);
        }
}

static void on_entry(void *ctx, const struct entry *e)
{
    struct resuming *r = ctx;
    if (e->kind == BEGIN) {
        if (entry_of(&r->last)->number)
            apply(r, UNKNOWN); /* it was killed meanwhile */
        memcpy(r->last.bytes, e, sizeof *e + e->n * sizeof *e->ids);
        r->w->number = e->number;
        for (uint32_t i = 0; i < e->n; i++)
            if ((int)(e->ids[i] >> COUNTER_BITS) == r->w->client) {
                uint32_t counter = e->ids[i] & ((1u << COUNTER_BITS) - 1);
                if (counter > r->w->counter)
                    r->w->counter = counter;
            } else {
                ids_add(&r->w->met, e->ids[i]);
            }
        place_of(r->w, e->index);
    } else if (e->kind == END) {
        apply(r, (enum outcome)e->outcome);
        entry_of(&r->last)->number = 0;
    }
}

void work_resume(struct work *w)
{
    static struct resuming r;
    size_t offset = 0;
    r.w = w;
    for (int i = 0; i < PLACES; i++) {
        struct place *p = &w->place[i];
        p->kind = i < SHARED_INDEXES ? SHARED : i == OWN_PLACE ? OWN : IVF;
        if (p->kind != SHARED)
            continue;
        snprintf(p->name, sizeof p->name, "shared-%d", i);
        p->published = true;
    }
    w->journal = journal_open(w->dir, w->client);
    journal_read(w->dir, w->client, &offset, on_entry, &r);
    if (entry_of(&r.last)->number)
        apply(&r, UNKNOWN);
}
