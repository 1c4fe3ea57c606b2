/* SPDX-License-Identifier: Apache-2.0 */
/* The store on a disk that fails.  A fixed list of steps is carried out again and again; each time
 * another operation of the disk fails, or power is lost there.  Afterwards the store must be what
 * the acknowledged steps make, or that and some of the steps that were under way, each wholly.
 *
 * FX_TORTURE=1 tries every operation, with more seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>

#include "server/store/spare.h"
#include "server/store/stream.h"
#include "store_disk.h"
#include "store_tools.h"

/* --- the model --- */

enum { ENTRIES = 4, RECORDS = 40, NAMES = 6, CALLERS = 8 };

struct model_record {
    uint64_t number, seed;
    size_t size;
    bool hidden; /* failed or set aside */
};

struct model_entry {
    bool there;
    uint64_t position, seed;
    size_t size;
    struct model_record records[RECORDS];
    int n;
};

struct model {
    struct model_entry entries[ENTRIES];
    int names[NAMES]; /* whose: index into entries, or -1 */
    uint64_t last;
    uint64_t asked[CALLERS]; /* record of the request, by caller */
};

enum step_kind { NEW, SNAPSHOT, APPEND, ANSWER, FAILS, ASIDE, NAME, UNNAME, REOPEN };

struct step {
    enum step_kind kind;
    int entry;     /* of the model */
    int n;         /* APPEND: how many at once; NAME, UNNAME: which name */
    size_t size;   /* of a record or snapshot */
    int caller;    /* of an APPEND, from 1 */
    bool together; /* its answer is looked for, too */
};

static const struct step steps[] = {
    {NEW, 0, 0, 300, 0, 0},
    {APPEND, 0, 4, 200, 0, 0},
    {APPEND, 0, 1, 40000, 1, 0},
    {ANSWER, 0, 0, 0, 1, 0},
    {NEW, 1, 1, 5000, 0, 0},
    {APPEND, 1, 3, 20000, 0, 0},
    {APPEND, 0, 2, 6000, 0, 0},
    {FAILS, 0, 0, 0, 0, 0},
    {SNAPSHOT, 0, 0, 2000, 0, 0},
    {APPEND, 0, 1, 100, 2, 0},
    {ANSWER, 0, 0, 0, 2, 0},
    {REOPEN, 0, 0, 0, 0, 0},
    {APPEND, 0, 1, 30000, 3, 0},
    {NAME, 1, 2, 0, 0, 0},
    {NAME, 0, 3, 0, 0, 0},
    {ASIDE, 0, 0, 0, 0, 0},
    {APPEND, 1, 5, 17000, 0, 0},
    {UNNAME, 0, 0, 0, 0, 0},
    {NAME, 1, 3, 0, 0, 0},
    {NEW, 2, 1, 4000, 0, 0},
    {APPEND, 2, 3, 500, 0, 0},
    {SNAPSHOT, 1, 2, 9000, 0, 0},
    {APPEND, 1, 2, 25000, 4, 0},
    {REOPEN, 0, 0, 0, 0, 0},
    {APPEND, 2, 6, 3000, 0, 0},
    {SNAPSHOT, 2, 1, 100, 0, 0},
    {APPEND, 2, 1, 50, 5, 0},
    /* Nothing but large records: rows are not synced.  Segments are used again. */
    {APPEND, 2, 1, 30000, 6, 0},
    {APPEND, 2, 2, 20000, 0, 0},
    {APPEND, 2, 1, 18000, 7, 0},
    {APPEND, 1, 3, 18000, 0, 0},
    {SNAPSHOT, 2, 2, 300, 0, 0},
    {SNAPSHOT, 1, 1, 300, 0, 0},
    {ANSWER, 2, 0, 0, 6, 0},
    {APPEND, 1, 2, 19000, 0, 0},
    {APPEND, 1, 1, 17000, 0, 0},
    {ANSWER, 2, 0, 0, 7, 0},
    {APPEND, 2, 2, 20000, 0, 0},
    {APPEND, 2, 1, 30000, 0, 0},
    {APPEND, 1, 1, 100, 0, 0},
    {APPEND, 1, 3, 21000, 0, 0},
    {APPEND, 2, 1, 20000, 0, 0},
};
enum { STEPS = sizeof steps / sizeof *steps };

static void drop_nameless(struct model *m, int e)
{
    for (int i = 0; i < NAMES; i++)
        if (m->names[i] == e)
            return;
    m->entries[e].there = false;
}

static void model_name(struct model *m, int name, int e)
{
    int before = m->names[name];
    m->names[name] = e;
    if (before >= 0 && before != e)
        drop_nameless(m, before);
}

/* Carries out a step; of several records the `part`th. */
static void model_step(struct model *m, int i, int part)
{
    const struct step *st = &steps[i];
    struct model_entry *e = &m->entries[st->entry];
    switch (st->kind) {
    case NEW:
        memset(e, 0, sizeof *e);
        e->there = true;
        e->position = m->last;
        e->size = st->size;
        e->seed = (uint64_t)i;
        model_name(m, st->n, st->entry);
        break;
    case SNAPSHOT:
        e->position = m->last;
        e->size = st->size;
        e->seed = (uint64_t)i;
        e->n = 0;
        break;
    case APPEND:
        e->records[e->n++] =
            (struct model_record){++m->last, (uint64_t)(i * 8 + part), st->size, false};
        if (st->caller && part == 0)
            m->asked[st->caller] = m->last;
        break;
    case FAILS:
    case ASIDE:
        e->records[e->n - 1].hidden = true;
        break;
    case NAME:
        model_name(m, st->n, st->entry);
        break;
    case UNNAME: {
        int before = m->names[st->n];
        m->names[st->n] = -1;
        drop_nameless(m, before);
        break;
    }
    case ANSWER:
    case REOPEN:
        break;
    }
}

/* As text, to be compared.  Entries are known by their names. */
static void model_text(const struct model *m, char *to, size_t size)
{
    *to = 0;
    FILE *f = fmemopen(to, size, "w");
    for (int first = 0; first < NAMES; first++) {
        int e = m->names[first];
        if (e < 0)
            continue;
        bool seen = false;
        for (int i = 0; i < first; i++)
            seen = seen || m->names[i] == e;
        if (seen)
            continue;
        const struct model_entry *x = &m->entries[e];
        for (int i = first; i < NAMES; i++)
            if (m->names[i] == e)
                fprintf(f, "n%d ", i);
        fprintf(f, "at %" PRIu64 " %" PRIu64 "/%zu:", x->position, x->seed, x->size);
        for (int i = 0; i < x->n; i++)
            if (!x->records[i].hidden)
                fprintf(f, " %" PRIu64 "=%" PRIu64 "/%zu", x->records[i].number,
                        x->records[i].seed & 255, x->records[i].size);
        fprintf(f, "\n");
    }
    for (int i = 1; i < CALLERS; i++)
        if (m->asked[i])
            fprintf(f, "caller %d: %" PRIu64 "\n", i, m->asked[i]);
    fclose(f);
}

/* --- the same of a store --- */

struct reading {
    struct fxs_store *s;
    char line[NAMES][4096];
};

static int read_record(void *ctx, const struct fxs_record *r)
{
    char *to = ctx;
    uint64_t seed = ((const uint8_t *)r->data)[0];
    bool same = false;
    for (uint64_t k = seed; k < STEPS * 8 && !same; k += 256)
        same = is_filled(r->data, r->size, k);
    sprintf(to + strlen(to), " %" PRIu64 "=%s%" PRIu64 "/%zu", r->number, same ? "" : "WRONG", seed,
            r->size);
    return 0;
}

static int read_entry(void *ctx, const struct fxs_entry *e)
{
    struct reading *r = ctx;
    struct fxs_snapshot_bytes b;
    char why[FXS_STORE_WHY] = "";
    if (!e->nnames)
        return 0;
    char *to = r->line[atoi(e->names[0] + 1)];
    for (uint32_t i = 0; i < e->nnames; i++)
        sprintf(to + strlen(to), "%s ", e->names[i]);
    if (fxs_snapshot_read(r->s, e->id, &b, why) != FXS_STORE_OK) {
        sprintf(to + strlen(to), "%.900s\n", why);
        return 0;
    }
    int seed = 0;
    while (seed < STEPS && !is_filled(b.data, b.size, (uint64_t)seed))
        seed++;
    sprintf(to + strlen(to), "at %" PRIu64 " %d/%zu:", e->position, seed, b.size);
    fxs_snapshot_unmap(&b);
    if (fxs_store_replay(r->s, e->id, 0, read_record, to, why) != FXS_STORE_OK)
        sprintf(to + strlen(to), " %.900s", why);
    strcat(to, "\n");
    return 0;
}

static void store_text(struct fxs_store *s, char *to, char answers[CALLERS])
{
    static struct reading r;
    char why[FXS_STORE_WHY];
    memset(&r, 0, sizeof r);
    r.s = s;
    *to = 0;
    if (fxs_store_entries(s, read_entry, &r, why) != FXS_STORE_OK)
        sprintf(to, "%s\n", why);
    for (int i = 0; i < NAMES; i++)
        strcat(to, r.line[i]);
    for (int i = 1; i < CALLERS; i++) {
        struct fxs_caller c = caller_of((uint8_t)i, 1);
        void *answer;
        size_t size;
        uint64_t entry, number;
        enum fxs_store_rc rc = fxs_store_find_answer(s, &c, &answer, &size, &entry, &number, why);
        answers[i] = 0;
        if (rc == FXS_STORE_OK) {
            sprintf(to + strlen(to), "caller %d: %" PRIu64 "\n", i, number);
            answers[i] = answer ? *(char *)answer : '-';
            free(answer);
        } else if (rc != FXS_STORE_NONE) {
            sprintf(to + strlen(to), "caller %d: %s\n", i, why);
        }
    }
}

/* --- a run --- */

struct pending {
    int step, part;
};

struct run {
    struct fxs_store *s;
    struct place place;
    struct model acked;
    struct pending pending[16]; /* not acknowledged yet, in order */
    int npending;
    uint64_t ids[ENTRIES], numbers[STEPS];
    bool failed, stopped;
    long full;          /* steps that were refused for lack of space */
    char hard[CALLERS]; /* an answer that must be there: 1; that may be there: 2 */
};

static struct {
    long faults, checked, full, images, lost;
    long rows; /* that were missing, and made from what the segment has */
} total;

static void on_failed(void *ctx, const char *why)
{
    (void)why;
    ((struct run *)ctx)->failed = true;
}

static enum fxs_store_rc open_run(struct run *r)
{
    struct fxs_store_options o = {.durability = FXS_DURABLE_ALWAYS, .failed = on_failed, .ctx = r};
    disk.bad = NULL; /* a store that is opened anew may write again */
    return fxs_store_open(&r->s, r->place.dir, &o, r->place.why);
}

/* The steps that were under way, up to this one, are acknowledged.  `in_stream`: the last one is a
 * large record, with which answers need not become durable. */
static void acknowledge(struct run *r, bool in_stream)
{
    for (int i = 0; i < r->npending; i++)
        model_step(&r->acked, r->pending[i].step, r->pending[i].part);
    r->npending = 0;
    for (int i = 0; i < CALLERS; i++)
        if (r->hard[i] == 2 && disk.fault != FAULT_SPACE && !in_stream)
            r->hard[i] = 1;
}

/* Several appends at once. */
static enum fxs_store_rc append_step(struct run *r, int i)
{
    const struct step *st = &steps[i];
    struct waiting w[8];
    struct iovec parts[8];
    enum fxs_store_rc rc = FXS_STORE_OK;
    memset(w, 0, sizeof w);
    for (int k = 0; k < st->n; k++) {
        uint8_t *data = malloc(st->size);
        fill(data, st->size, (uint64_t)(i * 8 + k));
        parts[k] = (struct iovec){data, st->size};
        w[k].change =
            (struct fxs_change){r->ids[st->entry], &parts[k], 1, {{0}, 0}, waiting_done, NULL};
        if (st->caller && k == 0)
            w[k].change.caller = caller_of((uint8_t)st->caller, 1);
        pthread_mutex_init(&w[k].mutex, NULL);
        pthread_cond_init(&w[k].cond, NULL);
        r->pending[r->npending++] = (struct pending){i, k};
    }
    for (int k = 0; k < st->n; k++)
        fxs_store_append(r->s, &w[k].change);
    int first = r->npending - st->n, kept = 0;
    struct pending mine[8];
    memcpy(mine, &r->pending[first], (size_t)st->n * sizeof *mine);
    for (int k = 0; k < st->n; k++) {
        pthread_mutex_lock(&w[k].mutex);
        while (!w[k].done)
            pthread_cond_wait(&w[k].cond, &w[k].mutex);
        pthread_mutex_unlock(&w[k].mutex);
        free(parts[k].iov_base);
    }
    r->npending = first;
    for (int k = 0; k < st->n; k++) {
        if (w[k].rc == FXS_STORE_FULL)
            r->full++; /* it must have no effect */
        else
            r->pending[r->npending++] = mine[k];
        if (w[k].rc == FXS_STORE_OK) {
            acknowledge(r, st->size > FXS_INLINE_MAX);
            kept++;
            assert_int_equal(w[k].number, r->acked.last);
            if (st->caller && k == 0)
                r->numbers[i] = w[k].number;
        } else if (w[k].rc != FXS_STORE_FULL) {
            rc = w[k].rc;
        }
    }
    total.checked += kept;
    return rc;
}

static const char *name_of(int n)
{
    static const char *const names[NAMES] = {"n0", "n1", "n2", "n3", "n4", "n5"};
    return names[n];
}

static enum fxs_store_rc snapshot_step(struct run *r, int i)
{
    const struct step *st = &steps[i];
    struct fxs_snapshot_commit c = {.position = r->acked.last};
    if (st->kind == NEW)
        c.name = name_of(st->n);
    else
        c.entry = r->ids[st->entry];
    return try_snapshot(r->s, &c, st->size, (uint64_t)i, &r->ids[st->entry], r->place.why);
}

/* The record whose answer, failure or setting aside this is. */
static uint64_t record_of(const struct run *r, const struct step *st)
{
    const struct model_entry *e = &r->acked.entries[st->entry];
    return st->caller ? r->acked.asked[st->caller] : e->records[e->n - 1].number;
}

static void one_step(struct run *r, int i)
{
    const struct step *st = &steps[i];
    struct model_entry *e = &r->acked.entries[st->entry];
    enum fxs_store_rc rc;
    /* A step that cannot be because another was refused. */
    if (st->kind != NEW && st->kind != UNNAME && st->kind != REOPEN && !e->there)
        return;
    if ((st->kind == FAILS || st->kind == ASIDE) && !e->n)
        return;
    if (st->kind == ANSWER && !r->acked.asked[st->caller])
        return;
    if (st->kind == UNNAME && r->acked.names[st->n] < 0)
        return;
    struct fxs_caller c = caller_of((uint8_t)st->caller, 1), nobody = {.number = 0};
    if (st->kind == APPEND) {
        rc = append_step(r, i);
        r->stopped = rc != FXS_STORE_OK;
        return;
    }
    if (st->kind == ANSWER || st->kind == FAILS) {
        bool fails = st->kind == FAILS;
        /* Whether an answer finds space is not told, so here it always does. */
        long failures = disk_failures(0);
        fxs_store_answer(r->s, fails ? &nobody : &c, 0, r->ids[st->entry], record_of(r, st), fails,
                         "A", 1);
        if (!fails)
            r->hard[st->caller] = 2;
        else
            r->pending[r->npending++] = (struct pending){i, 0};
        if (disk.fault != FAULT_SPACE)
            return;
        void *answer;
        size_t size;
        uint64_t entry, number;
        fxs_store_find_answer(r->s, &(struct fxs_caller){.number = 1}, &answer, &size, &entry,
                              &number, NULL);
        acknowledge(r, false);
        disk_failures(failures);
        return;
    }
    r->pending[r->npending++] = (struct pending){i, 0};
    switch (st->kind) {
    case NEW:
    case SNAPSHOT:
        rc = snapshot_step(r, i);
        break;
    case ASIDE:
        rc = fxs_store_set_aside(r->s, r->ids[st->entry], record_of(r, st), "test", r->place.why);
        break;
    case NAME:
        rc = fxs_store_name(r->s, r->ids[st->entry], name_of(st->n), r->place.why);
        break;
    case UNNAME:
        rc = fxs_store_unname(r->s, name_of(st->n), NULL, r->place.why);
        break;
    default:
        fxs_store_close(r->s);
        r->s = NULL;
        /* What is known of a store without power does not count. */
        rc = r->failed ? FXS_STORE_FAILED : open_run(r);
        break;
    }
    if (rc == FXS_STORE_OK) {
        acknowledge(r, false);
        total.checked++;
    } else if (rc == FXS_STORE_FULL && st->kind != REOPEN) {
        r->npending--;
        r->full++;
    } else {
        r->stopped = true;
    }
}

static void begin_run(struct run *r)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < NAMES; i++)
        r->acked.names[i] = -1;
    snprintf(r->place.dir, sizeof r->place.dir, "%s/store-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(r->place.dir));
}

static void carry_out(struct run *r)
{
    r->stopped = open_run(r) != FXS_STORE_OK;
    for (int i = 0; i < STEPS && !r->stopped; i++)
        one_step(r, i);
}

static enum fxs_store_rc count_row(void *ctx, const struct fxs_row *row, char *why)
{
    (void)ctx, (void)row, (void)why;
    total.rows++;
    return FXS_STORE_OK;
}

static void count_missing_rows(const char *dir)
{
    struct fxs_store *s;
    struct fxs_stream end;
    char path[300];
    snprintf(path, sizeof path, "%s/store.db", dir);
    if (fxs_view_dir(&s, dir, NULL) != FXS_STORE_OK)
        return;
    if (fxs_db_view(&s->reader, path, NULL) == FXS_STORE_OK)
        fxs_stream_each(s, s->reader, count_row, NULL, &end, NULL);
    fxs_store_close(s);
}

/* The store in `dir` is what the run has acknowledged, perhaps with what was under way. */
static void check_store(struct run *r, const char *dir, const char *what)
{
    static char got[32768], want[32768], wants[70000];
    struct fxs_store_options o = {.durability = FXS_DURABLE_ALWAYS};
    struct model m = r->acked;
    struct fxs_store *s;
    char why[FXS_STORE_WHY], answers[CALLERS];
    if (fxs_store_open(&s, dir, &o, why) != FXS_STORE_OK)
        fail_msg("%s: %s", what, why);
    store_text(s, got, answers);
    bool same = false;
    *wants = 0;
    for (int i = 0; !same; i++) {
        model_text(&m, want, sizeof want);
        same = strcmp(got, want) == 0;
        if (i < 3)
            strcat(strcat(wants, "or\n"), want);
        if (i == r->npending)
            break;
        model_step(&m, r->pending[i].step, r->pending[i].part);
    }
    if (!same) {
        total.lost++;
        fail_msg("%s: the store has\n%sbut should have%s", what, got, wants + 2);
    }
    for (int i = 1; i < CALLERS; i++)
        if (r->hard[i] == 1 && answers[i] != 'A')
            fail_msg("%s: the answer to caller %d is lost", what, i);
    /* It can be used. */
    if (m.names[0] >= 0 || m.names[1] >= 0 || m.names[3] >= 0) {
        uint64_t id = r->ids[m.names[0] >= 0   ? m.names[0]
                             : m.names[1] >= 0 ? m.names[1]
                                               : m.names[3]];
        uint64_t number;
        if (id && try_append(s, id, 100, 1, NULL, &number) != FXS_STORE_OK)
            fail_msg("%s: it cannot be appended to", what);
    }
    fxs_store_close(s);
}

static long operations, writes; /* of a run without a fault */

static long stride(long n)
{
    return getenv("FX_TORTURE") ? 1 : n / 24 + 1;
}

static int count_operations(void **state)
{
    struct run r;
    (void)state;
    begin_run(&r);
    disk_reset(FAULT_NONE, 0);
    carry_out(&r);
    fxs_store_close(r.s);
    operations = disk.count;
    writes = disk.writes;
    disk.on = false;
    if (r.stopped)
        print_error("%s\n", r.place.why);
    check_store(&r, r.place.dir, "no fault");
    remove_dir(r.place.dir);
    return r.stopped || operations < 100 ? -1 : 0;
}

static void report(const char *what)
{
    print_message("%s: %ld faults injected, %ld images, %ld rows made from segments, %ld refused "
                  "for lack of space, %ld acknowledged changes checked, %ld lost or doubled\n",
                  what, total.faults, total.images, total.rows, total.full, total.checked,
                  total.lost);
    memset(&total, 0, sizeof total);
}

/* An operation fails, and the store says so; then nothing more is written. */
static void a_failed_operation_loses_nothing_acknowledged(void **state)
{
    (void)state;
    int failed = 0;
    for (long at = 1; at <= operations; at += stride(operations)) {
        struct run r;
        char what[64];
        snprintf(what, sizeof what, "operation %ld fails", at);
        begin_run(&r);
        disk_reset(FAULT_IO, at);
        carry_out(&r);
        fxs_store_close(r.s);
        total.faults += disk.hit;
        failed += r.failed;
        if (disk.after)
            fail_msg("%s: %ld writes or syncs of the same file after a failed sync", what,
                     disk.after);
        disk.on = false;
        check_store(&r, r.place.dir, what);
        remove_dir(r.place.dir);
    }
    assert_true(failed > 0);
    report("EIO");
}

static void a_full_disk_refuses_whole_changes_and_the_store_goes_on(void **state)
{
    (void)state;
    for (long failures = 1; failures <= 7; failures += 6)
        for (long at = 1; at <= writes; at += stride(writes)) {
            struct run r;
            char what[64];
            snprintf(what, sizeof what, "no space for %ld writes from the %ldth on", failures, at);
            begin_run(&r);
            disk_reset(FAULT_SPACE, at);
            disk.failures = failures;
            carry_out(&r);
            if (r.s && (r.stopped || r.failed))
                fail_msg("%s: the store has stopped: %s", what, r.place.why);
            fxs_store_close(r.s);
            total.faults += disk.hit;
            total.full += r.full;
            disk.on = false;
            r.npending = r.s ? 0 : r.npending;
            check_store(&r, r.place.dir, what);
            remove_dir(r.place.dir);
        }
    assert_true(total.full > 0);
    report("ENOSPC");
}

static void power_loss_loses_nothing_acknowledged(void **state)
{
    (void)state;
    static const int keep[] = {0, 8, 4, 2, 6, 7, 1, 4, 4};
    int images = getenv("FX_TORTURE") ? 9 : 4;
    for (long at = 1; at <= operations; at += stride(operations)) {
        struct run r;
        begin_run(&r);
        disk_reset(FAULT_POWER, at);
        carry_out(&r);
        fxs_store_close(r.s);
        total.faults += disk.hit;
        for (int i = 0; i < images; i++) {
            char what[64], dir[] = "/tmp/store-XXXXXX", shm[] = "/dev/shm/store-XXXXXX";
            char *image = access("/dev/shm", W_OK) == 0 ? mkdtemp(shm) : mkdtemp(dir);
            unsigned seed = (unsigned)(at * 16 + i);
            assert_non_null(image);
            snprintf(what, sizeof what, "power lost at operation %ld, seed %u", at, seed);
            srand(seed);
            disk_image(image, keep[i]);
            if (i % 2)
                disk_image_mark(r.place.dir, image);
            disk.on = false;
            count_missing_rows(image);
            check_store(&r, image, what);
            disk.on = true;
            total.images++;
            remove_dir(image);
        }
        disk.on = false;
        remove_dir(r.place.dir);
    }
    assert_true(total.faults > 0);
    assert_true(total.rows > 0);
    report("power loss");
}

static void note_failure(void *ctx, const char *why)
{
    (void)why;
    *(bool *)ctx = true;
}

/* Has read number `at` fail that writing them takes.  Returns whether there was one; *stopped:
 * whether that stopped the store. */
static bool fail_read(int at, bool *stopped)
{
    static struct replayed all;
    struct fxs_store_options o = {.durability = FXS_DURABLE_INTERVAL, .interval_ms = 3600000};
    struct run r;
    bool failed = false;
    begin_run(&r);
    disk_reset(FAULT_NONE, 0);
    struct fxs_store *s = open_store(&r.place, FXS_DURABLE_ALWAYS);
    uint64_t e = new_entry(s, "a", 0);
    append(s, e, 100, 1, NULL);
    fxs_store_close(s);
    o.failed = note_failure;
    o.ctx = &failed;
    assert_int_equal(fxs_store_open(&s, r.place.dir, &o, r.place.why), FXS_STORE_OK);
    append(s, e, 100, 2, NULL);
    pthread_mutex_lock(&disk.mutex);
    disk.read_at = at;
    pthread_mutex_unlock(&disk.mutex);
    fxs_store_close(s);
    bool hit = disk.hit;
    disk.on = false;
    s = open_store(&r.place, FXS_DURABLE_ALWAYS);
    all.n = 0;
    assert_int_equal(fxs_store_replay(s, e, 0, collect, &all, r.place.why), FXS_STORE_OK);
    if (all.n != 2 && !failed)
        fail_msg("read %d fails: %zu of 2 records are there, and nothing is said", at, all.n);
    *stopped = failed;
    fxs_store_close(s);
    remove_dir(r.place.dir);
    return hit;
}

/* Changes that were accepted before they are on disk.  What the store's thread has read before
 * depends on how far it was. */
static void an_accepted_change_is_written_or_the_store_says_that_it_has_failed(void **state)
{
    int failures = 0;
    (void)state;
    for (int tries = 0; tries < 50 && failures == 0; tries++) {
        bool stopped = false;
        for (int at = 1; fail_read(at, &stopped); at++)
            failures += stopped;
        failures += stopped;
    }
    print_message("%d failed reads stopped the store\n", failures);
    assert_true(failures > 0);
}

/* The disk is full when a change fails, and has space again before the store is closed. */
static void a_change_that_failed_on_a_full_disk_is_not_made_later(void **state)
{
    static struct replayed all;
    static const enum fxs_durability modes[] = {FXS_DURABLE_ALWAYS, FXS_DURABLE_INTERVAL};
    const struct fxs_caller nobody = {.number = 0};
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct run r;
        begin_run(&r);
        disk_reset(FAULT_NONE, 0);
        struct fxs_store *s = open_store(&r.place, modes[i]);
        uint64_t e = new_entry(s, "a", 0);
        append(s, e, 100, 1, NULL);
        uint64_t failed = append(s, e, 100, 2, NULL);
        all.n = 0;
        assert_int_equal(fxs_store_replay(s, e, 0, collect, &all, r.place.why), FXS_STORE_OK);
        assert_int_equal(all.n, 2);
        long before = disk_failures(INT32_MAX);
        pthread_mutex_lock(&disk.mutex);
        disk.fault = FAULT_SPACE;
        disk.at = 1;
        pthread_mutex_unlock(&disk.mutex);
        fxs_store_answer(s, &nobody, 0, e, failed, 1, "", 0);
        usleep(50000); /* it is tried again in vain */
        assert_true(disk.hit);
        disk.on = false;
        disk_failures(before);
        fxs_store_close(s);
        s = open_store(&r.place, FXS_DURABLE_ALWAYS);
        all.n = 0;
        assert_int_equal(fxs_store_replay(s, e, 0, collect, &all, r.place.why), FXS_STORE_OK);
        assert_int_equal(all.n, 1);
        assert_int_equal(all.seed[0], 1);
        fxs_store_close(s);
        remove_dir(r.place.dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_operation_loses_nothing_acknowledged),
        cmocka_unit_test(a_full_disk_refuses_whole_changes_and_the_store_goes_on),
        cmocka_unit_test(power_loss_loses_nothing_acknowledged),
        cmocka_unit_test(an_accepted_change_is_written_or_the_store_says_that_it_has_failed),
        cmocka_unit_test(a_change_that_failed_on_a_full_disk_is_not_made_later),
    };
    fxs_segment_size = 64 << 10;
    fxs_spare_after = UINT64_MAX; /* no other thread, so that each run has the same operations */
    disk_install();
    return cmocka_run_group_tests(tests, count_operations, NULL);
}
