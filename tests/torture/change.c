/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that change something.  Each is noted before and after. */
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

enum { BATCH = 200 };

static float vectors[BATCH * D];
static idx_t wide[BATCH];
static uint32_t batch[BATCH];

static void begin(struct work *w, const struct place *p, enum operation o, uint32_t n)
{
    struct entry e = {.kind = BEGIN, .operation = o, .number = ++w->number, .n = n};
    memcpy(e.index, p->name, sizeof e.index);
    journal_write(w->journal, &e, batch);
}

/* The library says of a change that failed whether it was made; other errors are of calls that were
 * refused (docs/remote.md). */
static enum outcome outcome_of(int rc, int64_t *value)
{
    const char *text = last_error();
    if (rc == 0)
        return MADE;
    if (strstr(text, "not made") || strstr(text, "was undone"))
        return REFUSED;
    if (strstr(text, "may have been made") || strstr(text, "will be made"))
        return UNKNOWN;
    if (strstr(text, "the change was made")) {
        *value = -1;
        return MADE;
    }
    return REFUSED;
}

static enum outcome end(struct work *w, const struct place *p, enum operation o, int rc,
                        int64_t value)
{
    struct entry e = {.kind = END, .operation = o, .number = w->number};
    e.outcome = outcome_of(rc, &value);
    e.value = value;
    memcpy(e.index, p->name, sizeof e.index);
    if (rc != 0)
        snprintf(e.text, sizeof e.text, "%d %s", rc, last_error());
    journal_write(w->journal, &e, NULL);
    if (rc == 0) {
        w->errors = 0;
    } else {
        w->errors++;
        forget_handles(w);
    }
    return (enum outcome)e.outcome;
}

static uint32_t new_ids(struct work *w)
{
    uint32_t n = 1 + work_random(w, work_random(w, 4) ? 20 : BATCH);
    for (uint32_t i = 0; i < n; i++) {
        batch[i] = (uint32_t)w->client << COUNTER_BITS | ++w->counter;
        wide[i] = batch[i];
        content(vectors + i * D, batch[i]);
    }
    return n;
}

bool may_remove(const struct work *w, const struct place *p, uint32_t id)
{
    int owner = (int)(id >> COUNTER_BITS);
    if (p->kind != SHARED)
        return owner == w->client;
    return (mix(id) % 4 == 0 ? (owner + 1) % w->clients : owner) == w->client;
}

static void remember(struct work *w, struct place *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (may_remove(w, p, batch[i]))
            ids_add(&p->removable, batch[i]);
        if (p->known.n < RECENT)
            ids_add(&p->known, batch[i]);
        else
            p->known.id[work_random(w, RECENT)] = batch[i];
    }
}

static void add(struct work *w, struct place *p)
{
    FaissIndex *index = handle_of(w, p);
    if (!index)
        return;
    uint32_t n = new_ids(w);
    begin(w, p, ADD, n);
    if (end(w, p, ADD, faiss_Index_add_with_ids(index, n, vectors, wide), 0) == MADE)
        remember(w, p, n);
}

static void remove_some(struct work *w, struct place *p)
{
    FaissIndex *index = handle_of(w, p);
    FaissIDSelectorBatch *sel = NULL;
    uint32_t n = 1 + work_random(w, BATCH / 2);
    size_t removed = 0;
    if (!index || p->removable.n == 0)
        return;
    if (n > p->removable.n)
        n = p->removable.n;
    for (uint32_t i = 0; i < n; i++) {
        batch[i] = ids_take(&p->removable, work_random(w, p->removable.n));
        wide[i] = batch[i];
    }
    if (faiss_IDSelectorBatch_new(&sel, n, wide) != 0)
        abort();
    begin(w, p, REMOVE, n);
    int rc = faiss_Index_remove_ids(index, (FaissIDSelector *)sel, &removed);
    if (end(w, p, REMOVE, rc, (int64_t)removed) == REFUSED)
        for (uint32_t i = 0; i < n; i++)
            ids_add(&p->removable, batch[i]);
    faiss_IDSelector_free((FaissIDSelector *)sel);
}

/* --- a client's own indexes --- */

/* After an operation on the whole index. */
static void settle(struct place *p, enum outcome o)
{
    if (o == REFUSED)
        return;
    p->unsure = o == UNKNOWN;
    p->removable.n = p->known.n = 0;
}

static void reset(struct work *w, struct place *p)
{
    FaissIndex *index = handle_of(w, p);
    if (!index)
        return;
    begin(w, p, RESET, 0);
    settle(p, end(w, p, RESET, faiss_Index_reset(index), 0));
}

/* Publishes a new index with some vectors, or an untrained one; over the old one if there is one.
 */
static void publish(struct work *w, struct place *p)
{
    FaissIndex *index = NULL;
    uint32_t n = 0;
    if (!p->published || p->unsure)
        snprintf(p->name, sizeof p->name, "%s-%d-%d", p->kind == OWN ? "own" : "ivf", w->client,
                 ++p->generation);
    if (faiss_index_factory(&index, D, p->kind == OWN ? "IDMap2,Flat" : "IVF4,Flat", METRIC_L2) !=
        0) {
        w->errors++;
        forget_handles(w);
        return;
    }
    if (p->kind == IVF)
        faiss_IndexIVF_set_nprobe(faiss_IndexIVF_cast(index), IVF_LISTS);
    else
        n = new_ids(w);
    if (n && faiss_Index_add_with_ids(index, n, vectors, wide) != 0) {
        w->errors++;
        faiss_Index_free(index);
        forget_handles(w);
        return;
    }
    begin(w, p, PUBLISH, n);
    enum outcome o = end(w, p, PUBLISH, faiss_write_index_fname(index, path_of(p->name)), 0);
    if (o == MADE && work_random(w, 2)) { /* go on through the handle that made it, or open it */
        faiss_Index_free(p->index);
        p->index = index;
    } else {
        faiss_Index_free(index);
        faiss_Index_free(p->index);
        p->index = NULL;
    }
    p->published |= o == MADE;
    settle(p, o);
    p->trained &= o == REFUSED;
    if (o == MADE)
        remember(w, p, n);
}

static void train(struct work *w, struct place *p)
{
    FaissIndex *index = handle_of(w, p);
    if (!index)
        return;
    for (uint32_t i = 0; i < BATCH; i++)
        content(vectors + i * D, work_random(w, UINT32_MAX));
    begin(w, p, TRAIN, 0);
    enum outcome o = end(w, p, TRAIN, faiss_Index_train(index, BATCH, vectors), 0);
    p->trained = o == MADE;
    p->unsure = o == UNKNOWN;
}

/* Takes the name away with the command line: FAISS's API has no function for that. */
static void unpublish(struct work *w, struct place *p)
{
    int status;
    begin(w, p, UNPUBLISH, 0);
    pid_t pid = fork();
    if (pid == 0) {
        unsetenv("LD_PRELOAD");
        if (freopen("/dev/null", "w", stderr))
            execl(w->cli, w->cli, "rm", p->name, NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    struct entry e = {.kind = END, .operation = UNPUBLISH, .number = w->number};
    e.outcome = status == 0 ? MADE : UNKNOWN;
    memcpy(e.index, p->name, sizeof e.index);
    journal_write(w->journal, &e, NULL);
    faiss_Index_free(p->index);
    p->index = NULL;
    p->published = p->trained = false;
    settle(p, (enum outcome)e.outcome);
}

static void change_own(struct work *w, struct place *p)
{
    uint32_t what = work_random(w, 100);
    if (!p->published || p->unsure)
        publish(w, p);
    else if (p->kind == IVF && !p->trained)
        train(w, p);
    else if (what < 2)
        unpublish(w, p);
    else if (what < 5)
        reset(w, p);
    else if (what < 8)
        publish(w, p);
    else if (what < 30)
        remove_some(w, p);
    else
        add(w, p);
}

void change_something(struct work *w)
{
    struct place *p = &w->place[work_random(w, PLACES)];
    if (p->kind != SHARED)
        change_own(w, p);
    else if (work_random(w, 4) == 0)
        remove_some(w, p);
    else
        add(w, p);
}
