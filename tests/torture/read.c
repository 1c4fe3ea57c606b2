/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: what an index shows must be what was added. */
#include <fcntl.h>
#include <unistd.h>

#include "client.h"

enum { QUERIES = 4, SAMPLE = 50 };

static void note(struct work *w, const struct place *p, enum entry_kind kind, int64_t began,
                 const uint32_t *ids, uint32_t n)
{
    struct entry e = {.kind = kind, .began_ns = began, .n = n};
    memcpy(e.index, p->name, sizeof e.index);
    if (n)
        journal_write(w->journal, &e, ids);
}

/* Another client's id has been seen, which this client may remove. */
static void met(struct work *w, struct place *p, uint32_t id)
{
    if ((int)(id >> COUNTER_BITS) == w->client || !may_remove(w, p, id))
        return;
    for (uint32_t i = w->met.n; i-- > 0 && w->met.n - i < 20000;)
        if (w->met.id[i] == id)
            return;
    ids_add(&w->met, id);
    ids_add(&p->removable, id);
}

static void failed(struct work *w)
{
    w->errors++;
    forget_handles(w);
}

static _Noreturn void corrupt(const struct place *p, uint32_t query, idx_t label, float d)
{
    printf("CORRUPT: %s: a search for %u has found %lld at %g\n", p->name, query, (long long)label,
           (double)d);
    fflush(stdout);
    _exit(8);
}

void search_something(struct work *w, struct place *p)
{
    FaissIndex *index = handle_of(w, p);
    uint32_t query[QUERIES], seen[QUERIES * NEIGHBOURS], missed[QUERIES], nseen = 0, nmissed = 0;
    float x[QUERIES * D], distances[QUERIES * NEIGHBOURS];
    idx_t labels[QUERIES * NEIGHBOURS];
    if (!index || p->known.n == 0 || (p->kind == IVF && !p->trained))
        return;
    for (int i = 0; i < QUERIES; i++) {
        query[i] = p->known.id[work_random(w, p->known.n)];
        content(x + i * D, query[i]);
    }
    int64_t began = now_ns();
    if (faiss_Index_search(index, QUERIES, x, NEIGHBOURS, distances, labels) != 0) {
        failed(w);
        return;
    }
    w->errors = 0;
    for (int i = 0; i < QUERIES; i++) {
        const idx_t *l = labels + i * NEIGHBOURS;
        for (int j = 0; j < NEIGHBOURS && l[j] >= 0; j++) {
            if (distances[i * NEIGHBOURS + j] != distance(query[i], (uint32_t)l[j]))
                corrupt(p, query[i], l[j], distances[i * NEIGHBOURS + j]);
            seen[nseen++] = (uint32_t)l[j];
            met(w, p, (uint32_t)l[j]);
        }
        if (l[0] != query[i])
            missed[nmissed++] = query[i];
    }
    note(w, p, SEEN, began, seen, nseen);
    note(w, p, MISSED, began, missed, nmissed);
}

void reconstruct_something(struct work *w, struct place *p)
{
    FaissIndex *index = handle_of(w, p);
    float x[D], wanted[D];
    if (!index || p->known.n == 0 || p->kind == IVF)
        return;
    uint32_t id = p->known.id[work_random(w, p->known.n)];
    int64_t began = now_ns();
    int rc = faiss_Index_reconstruct(index, id, x);
    content(wanted, id);
    if (rc == 0) {
        w->errors = 0;
        if (memcmp(x, wanted, sizeof x) != 0)
            corrupt(p, id, id, -1);
        note(w, p, SEEN, began, &id, 1);
    } else if (is_remote_error()) {
        failed(w);
    } else {
        note(w, p, MISSED, began, &id, 1);
    }
}

/* --- dump --- */

static uint32_t read_all(FaissIndex *index, struct dump *d, uint32_t **ids)
{
    size_t n = (size_t)d->ntotal;
    float x[D], y[D], *distances = calloc(n + 1, sizeof *distances);
    idx_t *labels = calloc(n + 1, sizeof *labels);
    *ids = calloc(n + 1, sizeof **ids);
    if (!distances || !labels || !*ids)
        abort();
    content(x, 0);
    if (n && faiss_Index_search(index, 1, x, (idx_t)n, distances, labels) != 0) {
        d->state = UNREADABLE;
        snprintf(d->text, sizeof d->text, "%s", last_error());
        n = 0;
    }
    for (size_t i = 0; i < n && labels[i] >= 0; i++) {
        (*ids)[d->n++] = (uint32_t)labels[i];
        d->wrong += distances[i] != distance(0, (uint32_t)labels[i]);
    }
    for (size_t i = 0; i < d->n && strncmp(d->index, "ivf", 3) != 0; i += d->n / SAMPLE + 1) {
        content(x, (*ids)[i]);
        d->wrong +=
            faiss_Index_reconstruct(index, (*ids)[i], y) != 0 || memcmp(x, y, sizeof x) != 0;
    }
    free(distances);
    free(labels);
    return d->n;
}

static void dump(FILE *out, const char *name)
{
    FaissIndex *index = NULL;
    struct dump d = {.state = THERE};
    uint32_t *ids = NULL;
    snprintf(d.index, sizeof d.index, "%s", name);
    for (int tries = 0; tries < 200; tries++) {
        if (faiss_read_index_fname(path_of(name), 0, &index) == 0)
            break;
        snprintf(d.text, sizeof d.text, "%s", last_error());
        d.state = strstr(d.text, "no index is published as") ? ABSENT : UNREADABLE;
        if (d.state == ABSENT)
            break;
        usleep(50000);
    }
    if (index) {
        d.state = THERE;
        d.ntotal = faiss_Index_ntotal(index);
        d.trained = (uint32_t)faiss_Index_is_trained(index);
        read_all(index, &d, &ids);
    }
    fwrite(&d, sizeof d, 1, out);
    if (d.n)
        fwrite(ids, sizeof *ids, d.n, out);
    free(ids);
    faiss_Index_free(index);
}

int dump_indexes(const char *path, char **names, int n)
{
    FILE *out = fopen(path, "a");
    if (!out) {
        perror(path);
        return 9;
    }
    for (int i = 0; i < n; i++)
        dump(out, names[i]);
    return fclose(out) == 0 ? 0 : 9;
}
