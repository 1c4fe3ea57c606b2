/* SPDX-License-Identifier: Apache-2.0 */
/* The store: what was put in is there after it was closed and opened again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_tools.h"

/* --- records --- */

static void records_are_replayed_in_order_after_reopening(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t e = new_entry(s, "a", 0), other = new_entry(s, "b", 0);
    size_t sizes[] = {0, 1, 600, FXS_TEST_INLINE, FXS_TEST_INLINE + 1, 512 * 1024, 7};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(append(s, e, sizes[i], i, NULL), 2 * i + 1);
        assert_int_equal(append(s, other, 10, 100 + i, NULL), 2 * i + 2);
    }
    for (int again = 0; again < 2; again++) {
        struct replayed r = {0};
        assert_int_equal(fxs_store_replay(s, e, 0, collect, &r, p->why), FXS_STORE_OK);
        assert_int_equal(r.n, 7);
        for (size_t i = 0; i < r.n; i++) {
            assert_int_equal(r.number[i], 2 * i + 1);
            assert_int_equal(r.size[i], sizes[i]);
            assert_int_equal(r.seed[i], sizes[i] ? i : 0);
        }
        r.n = 0;
        assert_int_equal(fxs_store_replay(s, e, 9, collect, &r, p->why), FXS_STORE_OK);
        assert_int_equal(r.n, 2);
        s = reopen(p, s, FXS_DURABLE_ALWAYS);
    }
    assert_int_equal(append(s, e, 5, 1, NULL), 15);
    fxs_store_close(s);
}

static int stop_at_third(void *ctx, const struct fxs_record *r)
{
    (void)r;
    return ++*(int *)ctx == 3;
}

static void replay_ends_when_the_callback_says_so(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t e = new_entry(s, "a", 0);
    int n = 0;
    for (int i = 0; i < 5; i++)
        append(s, e, 10, 1, NULL);
    assert_int_equal(fxs_store_replay(s, e, 0, stop_at_third, &n, p->why), FXS_STORE_OK);
    assert_int_equal(n, 3);
    assert_int_equal(fxs_store_replay(s, 99, 0, stop_at_third, &n, p->why), FXS_STORE_NONE);
    uint64_t number;
    assert_int_equal(try_append(s, 99, 10, 1, NULL, &number), FXS_STORE_NONE);
    assert_int_equal(append(s, e, 10, 1, NULL), 6); /* the refused one took no number */
    fxs_store_close(s);
}

static void failed_records_and_those_set_aside_are_passed_over(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t e = new_entry(s, "a", 0);
    struct fxs_caller caller = caller_of(1, 0);
    struct fxs_store_stats stats;
    for (int i = 1; i <= 6; i++)
        append(s, e, i == 3 ? 100000 : 100, (uint64_t)i, NULL);
    fxs_store_answer(s, &caller, 0, e, 2, 1, NULL, 0);
    assert_int_equal(fxs_store_set_aside(s, e, 3, "it ends the process", p->why), FXS_STORE_OK);
    assert_int_equal(fxs_store_set_aside(s, e, 77, "", p->why), FXS_STORE_NONE);
    fxs_store_set_aside(s, e, 6, "the last one", p->why);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    struct replayed r = {0};
    assert_int_equal(fxs_store_replay(s, e, 0, collect, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 3);
    assert_int_equal(r.number[0], 1);
    assert_int_equal(r.number[1], 4);
    assert_int_equal(r.number[2], 5);
    fxs_store_stats(s, &stats);
    assert_int_equal(stats.set_aside, 2);
    assert_int_equal(stats.log_bytes, 400);
    fxs_store_close(s);
}

static void replay_sees_what_waits_to_be_written(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t e = new_entry(s, "a", 0);
    struct fxs_caller caller = caller_of(1, 0);
    struct replayed r = {0};
    append(s, e, 100, 1, NULL);
    append(s, e, 100, 2, NULL);
    fxs_store_answer(s, &caller, 0, e, 2, 1, NULL, 0); /* it failed */
    assert_int_equal(fxs_store_replay(s, e, 0, collect, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 1);
    s = reopen(p, s, FXS_DURABLE_INTERVAL);
    append(s, e, 100, 3, NULL);
    append(s, e, 100, 4, NULL);
    r = (struct replayed){0};
    assert_int_equal(fxs_store_replay(s, e, 0, collect, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 3);
    fxs_store_close(s);
}

/* --- group commit --- */

enum { THREADS = 32, EACH = 40 };

struct crowd {
    struct fxs_store *s;
    uint64_t entry;
    uint64_t last;         /* number for which `done` was called; by the store's thread alone */
    int disorder, pending; /* pending: under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
};

struct member {
    struct fxs_change change;
    struct crowd *crowd;
};

static void crowd_done(struct fxs_change *c, enum fxs_store_rc rc, uint64_t number, const char *why)
{
    struct crowd *crowd = ((struct member *)c)->crowd;
    (void)why;
    crowd->disorder += rc != FXS_STORE_OK || number != crowd->last + 1;
    crowd->last = number;
    pthread_mutex_lock(&crowd->mutex);
    if (--crowd->pending == 0)
        pthread_cond_signal(&crowd->cond);
    pthread_mutex_unlock(&crowd->mutex);
    free(c);
}

static void *crowd_run(void *arg)
{
    static uint8_t data[300];
    static const struct iovec part = {data, sizeof data};
    struct crowd *crowd = arg;
    for (int i = 0; i < EACH; i++) {
        struct member *m = calloc(1, sizeof *m);
        m->change = (struct fxs_change){crowd->entry, &part, 1, {{0}, 0}, crowd_done, NULL};
        m->crowd = crowd;
        fxs_store_append(crowd->s, &m->change);
    }
    return NULL;
}

static void crowd_appends(struct crowd *crowd)
{
    pthread_t threads[THREADS];
    crowd->pending = THREADS * EACH;
    pthread_mutex_init(&crowd->mutex, NULL);
    pthread_cond_init(&crowd->cond, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, crowd_run, crowd);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_lock(&crowd->mutex);
    while (crowd->pending)
        pthread_cond_wait(&crowd->cond, &crowd->mutex);
    pthread_mutex_unlock(&crowd->mutex);
}

static int count_records(void *ctx, const struct fxs_record *r)
{
    (void)r;
    ++*(int *)ctx;
    return 0;
}

static void many_threads_share_transactions(void **state)
{
    struct place *p = *state;
    enum fxs_durability all[] = {FXS_DURABLE_ALWAYS, FXS_DURABLE_INTERVAL};
    for (int i = 0; i < 2; i++) {
        struct fxs_store *s = open_store(p, all[i]);
        struct crowd crowd = {.s = s, .last = (uint64_t)(i * THREADS * EACH)};
        struct fxs_store_stats before, after;
        int n = 0;
        crowd.entry = new_entry(s, i ? "b" : "a", crowd.last);
        fxs_store_stats(s, &before);
        crowd_appends(&crowd);
        assert_int_equal(crowd.disorder, 0);
        s = (fxs_store_stats(s, &after), reopen(p, s, all[i]));
        if (i == 0)
            assert_int_equal(after.appends - before.appends, THREADS * EACH);
        assert_true(after.commits - before.commits < THREADS * EACH / 4);
        assert_int_equal(fxs_store_replay(s, crowd.entry, 0, count_records, &n, p->why), 0);
        assert_int_equal(n, THREADS * EACH);
        fxs_store_close(s);
    }
}

/* Called by fxs_store_append itself: nobody waits. */
static void at_once(struct fxs_change *c, enum fxs_store_rc rc, uint64_t number, const char *why)
{
    (void)rc, (void)why;
    *(uint64_t *)(c + 1) = number;
}

static void without_durability_done_is_called_at_once(void **state)
{
    struct place *p = *state;
    struct {
        struct fxs_change change;
        uint64_t number;
    } a = {0};
    char data[] = "x";
    struct iovec part = {data, 1};
    enum fxs_durability all[] = {FXS_DURABLE_INTERVAL, FXS_DURABLE_SNAPSHOT};
    for (int i = 0; i < 2; i++) {
        struct fxs_store *s = open_store(p, all[i]);
        int n = 0;
        uint64_t e = new_entry(s, "a", a.number);
        for (int k = 0; k < 5; k++) {
            uint64_t before = a.number;
            a.change = (struct fxs_change){e, &part, 1, {{0}, 0}, at_once, NULL};
            data[0] = (char)k;
            fxs_store_append(s, &a.change);
            assert_int_equal(a.number, before + 1);
        }
        s = reopen(p, s, all[i]);
        assert_int_equal(fxs_store_replay(s, e, 0, count_records, &n, p->why), FXS_STORE_OK);
        assert_int_equal(n, i ? 0 : 5);
        if (i) { /* a snapshot keeps the number */
            snapshot(s, e, a.number, NULL, 10, 1);
            s = reopen(p, s, all[i]);
            a.change.done = at_once;
            fxs_store_append(s, &a.change);
            assert_int_equal(a.number, 11);
        }
        fxs_store_close(s);
    }
}

static void an_accepted_change_counts_as_unwritten_until_it_is_on_disk(void **state)
{
    struct place *p = *state;
    struct fxs_store_options o = {.durability = FXS_DURABLE_INTERVAL, .interval_ms = 3600000};
    struct fxs_store *s;
    int n = 0;
    assert_int_equal(fxs_store_open(&s, p->dir, &o, p->why), FXS_STORE_OK);
    uint64_t e = new_entry(s, "a", 0);
    assert_false(fxs_store_has_unwritten(s));
    append(s, e, 100, 1, NULL);
    assert_true(fxs_store_has_unwritten(s));
    assert_int_equal(fxs_store_replay(s, e, 0, count_records, &n, p->why), FXS_STORE_OK);
    assert_int_equal(n, 1);
    assert_false(fxs_store_has_unwritten(s));
    fxs_store_close(s);
}

/* --- catalogue --- */

struct catalogue {
    int n;
    char names[16][256]; /* of each entry, with commas */
    struct fxs_entry e[16];
    char note[16][32];
};

static int list(void *ctx, const struct fxs_entry *e)
{
    struct catalogue *c = ctx;
    c->e[c->n] = *e;
    c->names[c->n][0] = 0;
    for (uint32_t i = 0; i < e->nnames; i++) {
        strcat(c->names[c->n], e->names[i]);
        strcat(c->names[c->n], ",");
    }
    snprintf(c->note[c->n], 32, "%.*s", (int)e->note_size, (const char *)e->note);
    c->n++;
    return 0;
}

static struct catalogue *entries(struct fxs_store *s)
{
    static struct catalogue c;
    c.n = 0;
    assert_int_equal(fxs_store_entries(s, list, &c, NULL), FXS_STORE_OK);
    return &c;
}

static void names_move_between_entries(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t a = new_entry(s, "a", 0), b = new_entry(s, "b", 0);
    struct fxs_caller caller = caller_of(7, 3);
    char longest[FXS_NAME_MAX + 2];
    assert_int_equal(fxs_store_name(s, a, "c", p->why), FXS_STORE_OK);
    assert_int_equal(fxs_store_name(s, b, "a", p->why), FXS_STORE_OK); /* a still has c */
    assert_string_equal(entries(s)->names[0], "c,");
    assert_string_equal(entries(s)->names[1], "a,b,");
    append(s, a, 100, 1, NULL);
    append(s, a, 100000, 1, NULL);
    assert_int_equal(fxs_store_name(s, b, "c", p->why), FXS_STORE_OK); /* that was its last */
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    assert_int_equal(entries(s)->n, 1);
    assert_string_equal(entries(s)->names[0], "a,b,c,");
    assert_int_equal(fxs_store_unname(s, "a", NULL, p->why), FXS_STORE_OK);
    assert_int_equal(fxs_store_unname(s, "a", NULL, p->why), FXS_STORE_NONE);
    assert_int_equal(fxs_store_name(s, 99, "a", p->why), FXS_STORE_NONE);
    memset(longest, 'x', sizeof longest);
    longest[FXS_NAME_MAX + 1] = 0;
    assert_int_equal(fxs_store_name(s, b, longest, p->why), FXS_STORE_NONE);
    longest[FXS_NAME_MAX] = 0;
    assert_int_equal(fxs_store_name(s, b, longest, p->why), FXS_STORE_OK);
    assert_int_equal(fxs_store_unname(s, longest, NULL, p->why), FXS_STORE_OK);
    fxs_store_unname(s, "b", NULL, p->why);
    assert_int_equal(fxs_store_unname(s, "c", &caller, p->why), FXS_STORE_OK);
    assert_int_equal(entries(s)->n, 0);
    assert_int_equal(append(s, new_entry(s, "d", 0), 1, 1, NULL), 3); /* no number again */
    assert_true(entries(s)->e[0].id > b);
    void *answer;
    size_t size;
    uint64_t number;
    assert_int_equal(fxs_store_find_answer(s, &caller, &answer, &size, &b, &number, p->why), 0);
    assert_non_null(answer);
    assert_int_equal(size, 0);
    free(answer);
    fxs_store_close(s);
}

static void a_name_is_changed_with_its_answer(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t a = new_entry(s, "a", 0), b = new_entry(s, "b", 0), entry, number;
    struct fxs_caller first = caller_of(7, 3), second = caller_of(7, 4), none = {.number = 0};
    char longest[FXS_NAME_MAX + 2];
    void *answer;
    size_t size;
    memset(longest, 'x', sizeof longest);
    longest[FXS_NAME_MAX + 1] = 0;
    assert_int_equal(fxs_store_rename(s, "c", "d", &first, "A", 1, p->why), FXS_STORE_NONE);
    assert_int_equal(fxs_store_rename(s, "a", longest, &first, "A", 1, p->why), FXS_STORE_NONE);
    assert_int_equal(fxs_store_find_answer(s, &first, &answer, &size, &entry, &number, p->why),
                     FXS_STORE_NONE);
    assert_int_equal(fxs_store_rename(s, "a", "c", &first, "first", 5, p->why), FXS_STORE_OK);
    assert_int_equal(fxs_store_rename(s, "b", NULL, &second, "second", 6, p->why), FXS_STORE_OK);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    assert_int_equal(entries(s)->n, 1);
    assert_string_equal(entries(s)->names[0], "c,");
    assert_int_equal(entries(s)->e[0].id, a);
    assert_int_equal(fxs_store_find_answer(s, &first, &answer, &size, &entry, &number, p->why),
                     FXS_STORE_OK);
    assert_int_equal(size, 5);
    assert_memory_equal(answer, "first", 5);
    assert_int_equal(entry, a);
    free(answer);
    assert_int_equal(fxs_store_find_answer(s, &second, &answer, &size, &entry, &number, p->why),
                     FXS_STORE_OK);
    assert_int_equal(size, 6);
    assert_int_equal(entry, b);
    free(answer);
    assert_int_equal(fxs_store_rename(s, "c", NULL, &none, NULL, 0, p->why), FXS_STORE_OK);
    assert_int_equal(entries(s)->n, 0);
    fxs_store_close(s);
}

/* How many files have a name with this in it. */
static int files(const struct place *p, const char *part)
{
    int n = 0;
    DIR *d = opendir(p->dir);
    for (struct dirent *e; (e = readdir(d));)
        n += strstr(e->d_name, part) != NULL;
    closedir(d);
    return n;
}

static void a_snapshot_makes_older_records_unneeded(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t e = new_entry(s, "a", 0);
    for (int i = 1; i <= 400; i++)
        append(s, e, i % 50 ? 300 : 50000, 1, NULL);
    assert_int_equal(files(p, "records-"), 1);
    assert_int_equal(snapshot(s, e, 390, NULL, 5000, 9), e);
    struct catalogue *c = entries(s);
    assert_int_equal(c->e[0].position, 390);
    assert_int_equal(c->e[0].last, 400);
    assert_int_equal(c->e[0].snapshot_bytes, 5000);
    assert_int_equal(c->e[0].log_bytes, 9 * 300 + 50000);
    assert_true(c->e[0].snapshot_ms > 1000000);
    struct replayed r = {0};
    assert_int_equal(fxs_store_replay(s, e, 0, collect, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 10);
    assert_int_equal(r.number[0], 391);
    snapshot(s, e, 400, NULL, 100, 1);
    /* An older one is refused, and changes nothing. */
    struct fxs_snapshot_commit older = {.entry = e, .position = 399};
    assert_int_equal(try_snapshot(s, &older, 10, 1, &e, p->why), FXS_STORE_NONE);
    /* Records go in the background: closing does not wait for it, opening goes on. */
    for (int i = 0; i < 200 && files(p, "records-"); i++)
        usleep(20000);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    assert_int_equal(files(p, "records-"), 0);
    assert_int_equal(files(p, ".faiss"), 1);
    assert_int_equal(append(s, e, 10, 1, NULL), 401);
    fxs_store_close(s);
}

/* --- snapshots --- */

static void snapshots_are_read_as_they_were_written(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    static const size_t sizes[] = {0, 1, 4096, 3000000};
    for (size_t i = 0; i < 4; i++) {
        struct fxs_snapshot_bytes b;
        struct fxs_snapshot_commit c = {
            .cls = "IndexIVF", .position = i, .name = "a", .note = "a note", .note_size = 6};
        uint64_t e;
        assert_int_equal(try_snapshot(s, &c, sizes[i], i, &e, p->why), FXS_STORE_OK);
        s = reopen(p, s, FXS_DURABLE_ALWAYS);
        assert_int_equal(entries(s)->n, 1); /* it has taken the name from the one before */
        assert_string_equal(entries(s)->e[0].cls, "IndexIVF");
        assert_string_equal(entries(s)->note[0], "a note");
        assert_int_equal(fxs_snapshot_read(s, e, &b, p->why), FXS_STORE_OK);
        assert_int_equal(b.size, sizes[i]);
        assert_true(is_filled(b.data, b.size, i));
        fxs_snapshot_unmap(&b);
        assert_int_equal(fxs_snapshot_read(s, e + 1, &b, p->why), FXS_STORE_NONE);
    }
    fxs_store_close(s);
}

static void a_forked_child_can_write_a_snapshot(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    struct fxs_snapshot w;
    struct fxs_snapshot_sum sum;
    struct fxs_snapshot_commit c = {.cls = "Index", .name = "a"};
    struct fxs_snapshot_bytes b;
    uint64_t e;
    int pipes[2], status;
    static uint8_t data[200000];
    fill(data, sizeof data, 5);
    assert_int_equal(fxs_snapshot_begin(s, &w, p->why), FXS_STORE_OK);
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < sizeof data; i += 1000)
            fwrite(data + i, 1, 1000, w.file);
        enum fxs_store_rc rc = fxs_snapshot_end(&w, &sum, NULL);
        _exit(rc == FXS_STORE_OK && write(pipes[1], &sum, sizeof sum) == sizeof sum ? 0 : 1);
    }
    assert_int_equal(read(pipes[0], &sum, sizeof sum), sizeof sum);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(fxs_snapshot_commit(s, &w, &sum, &c, &e, p->why), FXS_STORE_OK);
    assert_int_equal(fxs_snapshot_read(s, e, &b, p->why), FXS_STORE_OK);
    assert_int_equal(b.size, sizeof data);
    assert_memory_equal(b.data, data, sizeof data);
    fxs_snapshot_unmap(&b);
    close(pipes[0]);
    close(pipes[1]);
    fxs_store_close(s);
}

static void unfinished_and_unwanted_files_are_removed(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    struct fxs_snapshot w;
    static const char *const names[] = {"tmp-1", "7-7-77.faiss", "records-9"};
    new_entry(s, "a", 0);
    assert_int_equal(fxs_snapshot_begin(s, &w, p->why), FXS_STORE_OK);
    fputs("begun", w.file);
    assert_int_equal(files(p, "tmp-"), 1);
    fxs_snapshot_abandon(s, &w);
    assert_int_equal(files(p, "tmp-"), 0);
    fxs_store_close(s);
    for (int i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", p->dir, names[i]);
        fclose(fopen(path, "w"));
    }
    s = open_store(p, FXS_DURABLE_ALWAYS);
    assert_int_equal(files(p, "tmp-") + files(p, "records-"), 0);
    assert_int_equal(files(p, ".faiss"), 1);
    fxs_store_close(s);
}

static void a_missing_snapshot_damages_its_entry_only(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t a = new_entry(s, "a", 0), b = new_entry(s, "b", 0);
    struct fxs_snapshot_bytes bytes;
    char path[400], name[64] = "";
    DIR *d = opendir(p->dir);
    for (struct dirent *e; (e = readdir(d));)
        if (strtoull(e->d_name, NULL, 10) == a && strstr(e->d_name, ".faiss"))
            snprintf(name, sizeof name, "%.60s", e->d_name);
    closedir(d);
    snprintf(path, sizeof path, "%s/%s", p->dir, name);
    assert_int_equal(unlink(path), 0);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    assert_int_equal(entries(s)->n, 2);
    assert_int_equal(fxs_snapshot_read(s, a, &bytes, p->why), FXS_STORE_DAMAGED);
    assert_non_null(strstr(p->why, name));
    assert_int_equal(fxs_snapshot_read(s, b, &bytes, p->why), FXS_STORE_OK);
    fxs_snapshot_unmap(&bytes);
    fxs_store_close(s);
}

/* --- answers --- */

static void answers_are_found_as_soon_as_they_are_given(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t e = new_entry(s, "a", 0), entry, number;
    void *answer;
    size_t size;
    for (uint64_t n = 1; n <= 4; n++) {
        struct fxs_caller c = caller_of(1, n), other = caller_of(2, n);
        assert_int_equal(fxs_store_find_answer(s, &c, &answer, &size, &entry, &number, p->why),
                         FXS_STORE_NONE);
        uint64_t made = append(s, e, 10, 1, &c);
        assert_int_equal(fxs_store_find_answer(s, &c, &answer, &size, &entry, &number, p->why),
                         FXS_STORE_OK);
        assert_null(answer);
        assert_int_equal(entry, e);
        assert_int_equal(number, made);
        if (n == 4)
            break; /* not answered */
        fxs_store_answer(s, &c, n - 1, e, made, 0, "yes", 3);
        assert_int_equal(fxs_store_find_answer(s, &c, &answer, &size, &entry, &number, p->why),
                         FXS_STORE_OK);
        assert_int_equal(size, 3);
        assert_memory_equal(answer, "yes", 3);
        free(answer);
        assert_int_equal(fxs_store_find_answer(s, &other, &answer, &size, &entry, &number, p->why),
                         FXS_STORE_NONE);
    }
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    for (uint64_t n = 1; n <= 4; n++) { /* those before 2 were dropped */
        struct fxs_caller c = caller_of(1, n);
        assert_int_equal(fxs_store_find_answer(s, &c, &answer, &size, &entry, &number, p->why),
                         n < 2 ? FXS_STORE_NONE : FXS_STORE_OK);
        assert_int_equal(answer != NULL, n == 2 || n == 3);
        free(answer);
    }
    struct replayed r = {0};
    assert_int_equal(fxs_store_replay(s, e, 0, collect, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 4);
    assert_int_equal(r.caller[1].number, 2);
    assert_int_equal(r.answered[1], 1);
    assert_int_equal(r.answered[3], 0);
    /* A snapshot can have one, too. */
    struct fxs_snapshot_commit commit = {.entry = e,
                                         .position = 4,
                                         .caller = caller_of(3, 1),
                                         .answer = "trained",
                                         .answer_size = 7};
    assert_int_equal(try_snapshot(s, &commit, 5, 1, &entry, p->why), FXS_STORE_OK);
    assert_int_equal(
        fxs_store_find_answer(s, &commit.caller, &answer, &size, &entry, &number, p->why), 0);
    assert_int_equal(size, 7);
    free(answer);
    fxs_store_close(s);
}

static int collect_made(void *ctx, const struct fxs_record *r)
{
    struct replayed *to = ctx;
    assert_true(r->answered); /* that of the first one was dropped */
    to->number[to->n] = r->number;
    to->size[to->n++] = (size_t)r->made;
    return 0;
}

static void it_is_known_what_was_made_without_an_answer(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    struct fxs_caller c = caller_of(1, 1), nobody = caller_of(1, 0);
    uint64_t e = new_entry(s, "a", 0);
    append(s, e, 10, 1, &c);
    append(s, e, 10, 2, NULL);
    append(s, e, 100000, 3, NULL);
    append(s, e, 10, 4, NULL); /* nobody knows what became of it */
    append(s, e, 10, 5, NULL);
    fxs_store_answer(s, &c, 1, e, 1, 0, "yes", 3);
    c.number = 9;
    fxs_store_answer(s, &c, 9, e, 0, 0, "yes", 3); /* and drops the older one */
    fxs_store_answer(s, &nobody, 0, e, 2, 0, NULL, 0);
    fxs_store_answer(s, &nobody, 0, e, 3, 0, NULL, 0);
    fxs_store_answer(s, &nobody, 0, e, 5, 1, NULL, 0);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    struct replayed r = {0};
    assert_int_equal(fxs_store_replay(s, e, 0, collect_made, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 4);
    for (size_t i = 0; i < r.n; i++)
        assert_int_equal(r.size[i], r.number[i] < 4);
    fxs_store_close(s);
}

static void old_answers_are_dropped(void **state)
{
    struct place *p = *state;
    struct fxs_store_options o = {.durability = FXS_DURABLE_ALWAYS, .keep_answers_ms = 1};
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    struct fxs_caller c = caller_of(1, 1);
    void *answer;
    size_t size;
    uint64_t e = new_entry(s, "a", 0), entry, number;
    append(s, e, 10, 1, &c);
    fxs_store_close(s);
    usleep(5000);
    assert_int_equal(fxs_store_open(&s, p->dir, &o, p->why), FXS_STORE_OK);
    append(s, e, 10, 1, NULL);
    assert_int_equal(fxs_store_find_answer(s, &c, &answer, &size, &entry, &number, p->why),
                     FXS_STORE_NONE);
    fxs_store_close(s);
}

/* --- opening --- */

static void a_second_open_is_told_who_has_it(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS), *second;
    struct fxs_store_options o = {.durability = FXS_DURABLE_ALWAYS};
    char pid[32];
    int status;
    snprintf(pid, sizeof pid, "pid %ld on ", (long)getpid());
    assert_int_equal(fxs_store_open(&second, p->dir, &o, p->why), FXS_STORE_BUSY);
    assert_null(second);
    assert_non_null(strstr(p->why, pid));
    pid_t child = fork();
    if (child == 0)
        _exit(fxs_store_open(&second, p->dir, &o, p->why) == FXS_STORE_BUSY && strstr(p->why, pid)
                  ? 0
                  : 1);
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    fxs_store_close(reopen(p, s, FXS_DURABLE_ALWAYS));
}

static void a_child_that_lets_go_does_not_keep_the_store_locked(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    int go[2];
    char c;
    assert_int_equal(pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        fxs_store_forked(s);
        close(go[1]);
        _exit(read(go[0], &c, 1) == 0 ? 0 : 1);
    }
    close(go[0]);
    /* The child may not have got there yet, so the lock is tried until it is free. */
    fxs_store_close(s);
    struct fxs_store_options o = {.durability = FXS_DURABLE_ALWAYS};
    for (int i = 0; fxs_store_open(&s, p->dir, &o, p->why) == FXS_STORE_BUSY && i < 1000; i++)
        usleep(10000);
    assert_non_null(s);
    fxs_store_close(s);
    close(go[1]);
    waitpid(child, NULL, 0);
}

static void the_directory_and_its_files_are_private(void **state)
{
    struct place *p = *state;
    struct place inner = *p;
    struct stat st;
    strcat(inner.dir, "/inner");
    struct fxs_store *s = open_store(&inner, FXS_DURABLE_ALWAYS);
    append(s, new_entry(s, "a", 0), 100000, 1, NULL);
    assert_int_equal(stat(inner.dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    DIR *d = opendir(inner.dir);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        assert_int_equal(fstatat(dirfd(d), e->d_name, &st, 0), 0);
        if ((st.st_mode & 077) != 0)
            fail_msg("%s has mode %o", e->d_name, st.st_mode & 0777);
        n++;
    }
    closedir(d);
    assert_true(n >= 6);
    fxs_store_close(s);
    remove_dir(inner.dir);
}

static void the_mark_survives_the_process(void **state)
{
    struct place *p = *state;
    uint64_t entry = 1, number = 1;
    int status, alone = 0;
    pid_t child = fork();
    if (child == 0) {
        struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
        fxs_store_mark(s, 3, 5, 0);
        fxs_store_mark(s, 7, 9, 1);
        _exit(0);
    }
    waitpid(child, &status, 0);
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    fxs_store_marked(s, &entry, &number, &alone);
    assert_int_equal(entry, 7);
    assert_int_equal(number, 9);
    assert_int_equal(alone, 1);
    fxs_store_mark(s, 7, 8, 0);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    fxs_store_marked(s, &entry, &number, &alone);
    assert_int_equal(number, 8);
    assert_int_equal(alone, 0);
    fxs_store_mark(s, 7, 0, 1);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    fxs_store_marked(s, &entry, &number, &alone);
    assert_int_equal(entry, 0);
    assert_int_equal(number, 0);
    fxs_store_close(s);
}

/* --- no space --- */

/* Files of this process cannot be larger than this: to the store, the disk is full. */
static void limit_files(rlim_t size)
{
    struct rlimit l;
    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

struct burst {
    struct waiting w[8];
    uint8_t *data[8];
};

/* Appends records of these sizes at once, and waits for all of them. */
static void append_burst(struct fxs_store *s, uint64_t entry, const size_t *sizes, int n,
                         struct burst *b)
{
    struct iovec parts[8];
    memset(b, 0, sizeof *b);
    for (int i = 0; i < n; i++) {
        b->data[i] = calloc(1, sizes[i]);
        fill(b->data[i], sizes[i], (uint64_t)i);
        parts[i] = (struct iovec){b->data[i], sizes[i]};
        b->w[i].change = (struct fxs_change){entry, &parts[i], 1, {{0}, 0}, waiting_done, NULL};
        pthread_mutex_init(&b->w[i].mutex, NULL);
        pthread_cond_init(&b->w[i].cond, NULL);
    }
    for (int i = 0; i < n; i++)
        fxs_store_append(s, &b->w[i].change);
    for (int i = 0; i < n; i++) {
        pthread_mutex_lock(&b->w[i].mutex);
        while (!b->w[i].done)
            pthread_cond_wait(&b->w[i].cond, &b->w[i].mutex);
        pthread_mutex_unlock(&b->w[i].mutex);
        free(b->data[i]);
    }
}

static void a_change_without_space_does_not_take_others_along(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    struct burst b;
    struct fxs_store_stats stats;
    static const size_t sizes[] = {100, 200, 5000000, 300, 40000};
    uint64_t e = new_entry(s, "a", 0);
    limit_files(1 << 20);
    append_burst(s, e, sizes, 5, &b);
    uint64_t number = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(b.w[i].rc, i == 2 ? FXS_STORE_FULL : FXS_STORE_OK);
        assert_int_equal(b.w[i].number, i == 2 ? 0 : ++number);
    }
    assert_non_null(strstr(b.w[2].why, "records-"));
    struct fxs_snapshot_commit c = {.entry = e, .position = number};
    assert_int_equal(try_snapshot(s, &c, 3000000, 1, &e, p->why), FXS_STORE_FULL);
    assert_int_equal(files(p, "tmp-"), 0);
    /* Less than what the database's log has: nothing fits. */
    limit_files(1000);
    append_burst(s, e, sizes, 2, &b);
    assert_int_equal(b.w[0].rc, FXS_STORE_FULL);
    assert_int_equal(b.w[1].rc, FXS_STORE_FULL);
    fxs_store_stats(s, &stats);
    assert_int_equal(stats.full, 1);
    limit_files(RLIM_INFINITY);
    assert_int_equal(append(s, e, 5000000, 3, NULL), 5);
    fxs_store_stats(s, &stats);
    assert_int_equal(stats.full, 0);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    struct replayed r = {0};
    assert_int_equal(fxs_store_replay(s, e, 0, collect, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 5);
    fxs_store_close(s);
}

static void accepted_changes_wait_for_space_and_new_ones_are_refused(void **state)
{
    struct place *p = *state;
    struct fxs_store *s = open_store(p, FXS_DURABLE_INTERVAL);
    uint64_t e = new_entry(s, "a", 0), number = 0, last = 0, accepted = 0;
    uint64_t other = new_entry(s, "b", 0);
    struct fxs_caller c = caller_of(1, 1), nobody = caller_of(2, 1);
    limit_files(1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(append(s, e, 30000, 1, &c), ++accepted);
    while (try_append(s, e, 100, 2, NULL, &number) == FXS_STORE_OK) {
        last = number;
        usleep(1000);
    }
    accepted = last ? last : accepted;
    void *answer;
    size_t size;
    uint64_t entry;
    int n = 0;
    assert_int_equal(fxs_store_find_answer(s, &c, &answer, &size, &entry, &number, p->why),
                     FXS_STORE_FULL);
    assert_int_equal(fxs_store_find_answer(s, &nobody, &answer, &size, &entry, &number, p->why),
                     FXS_STORE_NONE);
    assert_int_equal(fxs_store_replay(s, e, 0, count_records, &n, p->why), FXS_STORE_FULL);
    assert_int_equal(fxs_store_replay(s, other, 0, count_records, &n, p->why), FXS_STORE_OK);
    limit_files(RLIM_INFINITY);
    while (try_append(s, e, 100, 2, NULL, &number) != FXS_STORE_OK)
        usleep(1000);
    assert_int_equal(number, accepted + 1);
    s = reopen(p, s, FXS_DURABLE_INTERVAL);
    assert_int_equal(fxs_store_replay(s, e, 0, count_records, &n, p->why), FXS_STORE_OK);
    assert_int_equal(n, number);
    fxs_store_close(s);
}

/* --- tenants --- */

static void every_tenant_has_a_directory_of_its_own(void **state)
{
    (void)state;
    char dir[FXS_TENANT_DIR], back[FXS_TENANT_DIR], before[2 * 255][FXS_TENANT_DIR];
    int n = 0;
    for (int c = 1; c < 256; c++)
        for (int twice = 0; twice < 2; twice++) {
            char tenant[3] = {(char)c, twice ? 'x' : 0, 0};
            assert_int_equal(fxs_tenant_dir(tenant, dir), 0);
            for (const char *q = dir; *q; q++)
                assert_non_null(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", *q));
            assert_int_equal(fxs_tenant_of_dir(dir, back, sizeof back), 0);
            assert_string_equal(back, tenant);
            for (int i = 0; i < n; i++)
                assert_string_not_equal(dir, before[i]);
            strcpy(before[n++], dir);
        }
    assert_int_equal(fxs_tenant_dir("../Etc", dir), 0);
    assert_string_equal(dir, "_2e_2e_2f_45tc");
    assert_int_equal(fxs_tenant_dir("", dir), -1);
    static const char *const wrong[] = {"", "A", ".", "..", "_", "_2", "_2E", "_00", "_61", "a/b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(fxs_tenant_of_dir(wrong[i], back, sizeof back), -1);
    char longest[300];
    memset(longest, 'a', sizeof longest);
    longest[256] = 0;
    assert_int_equal(fxs_tenant_dir(longest, dir), -1);
    longest[255] = 0;
    assert_int_equal(fxs_tenant_dir(longest, dir), 0);
    assert_string_equal(dir, longest);
    assert_int_equal(fxs_tenant_of_dir(dir, back, 256), 0);
    assert_int_equal(fxs_tenant_of_dir(dir, back, 255), -1);
    memset(longest, '.', 86);
    longest[86] = 0;
    assert_int_equal(fxs_tenant_dir(longest, dir), -1);
    longest[85] = 0;
    assert_int_equal(fxs_tenant_dir(longest, dir), 0);
}

static bool has_returned;

static void *rename_late(void *arg)
{
    char why[FXS_STORE_WHY];
    fxs_store_rename(arg, "a", "late", &(struct fxs_caller){.number = 0}, NULL, 0, why);
    __atomic_store_n(&has_returned, true, __ATOMIC_RELAXED);
    return NULL;
}

static void a_store_that_was_stopped_can_still_be_used_by_another_thread(void **state)
{
    struct place *p = *state;
    struct replayed r = {0};
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct fxs_store *s = open_store(p, FXS_DURABLE_INTERVAL);
        struct fxs_snapshot_bytes b;
        pthread_t t;
        uint64_t e = new_entry(s, "a", 0), number;
        try_append(s, e, 10, 5, NULL, &number);
        fxs_store_stop(s);
        if (e != 1 || fxs_snapshot_read(s, e, &b, p->why) != FXS_STORE_OK)
            _exit(1);
        try_append(s, e, 10, 6, NULL, &number);
        pthread_create(&t, NULL, rename_late, s);
        usleep(100000);
        _exit(__atomic_load_n(&has_returned, __ATOMIC_RELAXED) ? 2 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    assert_int_equal(fxs_store_replay(s, 1, 0, collect, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.seed[0], 5);
    struct fxs_caller nobody = {.number = 0};
    assert_int_equal(fxs_store_rename(s, "a", "b", &nobody, NULL, 0, p->why), FXS_STORE_OK);
    fxs_store_close(s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        TEST(records_are_replayed_in_order_after_reopening),
        TEST(replay_ends_when_the_callback_says_so),
        TEST(failed_records_and_those_set_aside_are_passed_over),
        TEST(replay_sees_what_waits_to_be_written),
        TEST(many_threads_share_transactions),
        TEST(without_durability_done_is_called_at_once),
        TEST(an_accepted_change_counts_as_unwritten_until_it_is_on_disk),
        TEST(names_move_between_entries),
        TEST(a_name_is_changed_with_its_answer),
        TEST(a_snapshot_makes_older_records_unneeded),
        TEST(snapshots_are_read_as_they_were_written),
        TEST(a_forked_child_can_write_a_snapshot),
        TEST(unfinished_and_unwanted_files_are_removed),
        TEST(a_missing_snapshot_damages_its_entry_only),
        TEST(answers_are_found_as_soon_as_they_are_given),
        TEST(it_is_known_what_was_made_without_an_answer),
        TEST(old_answers_are_dropped),
        TEST(a_second_open_is_told_who_has_it),
        TEST(a_child_that_lets_go_does_not_keep_the_store_locked),
        TEST(a_store_that_was_stopped_can_still_be_used_by_another_thread),
        TEST(the_directory_and_its_files_are_private),
        TEST(the_mark_survives_the_process),
        TEST(a_change_without_space_does_not_take_others_along),
        TEST(accepted_changes_wait_for_space_and_new_ones_are_refused),
        TEST(every_tenant_has_a_directory_of_its_own),
    };
    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
