/* SPDX-License-Identifier: Apache-2.0 */
/* The store: what check reports, and what repair takes over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/store/admin.h"
#include "store_tools.h"

/* What was reported, by kind. */
struct reports {
    unsigned n[FXS_USED_OTHER + 1];
    struct fxs_fault last[FXS_USED_OTHER + 1];
    char text[FXS_USED_OTHER + 1][256], name[FXS_USED_OTHER + 1][64];
};

static void report(void *ctx, const struct fxs_fault *f)
{
    struct reports *r = ctx;
    r->n[f->kind]++;
    r->last[f->kind] = *f;
    snprintf(r->text[f->kind], sizeof r->text[0], "%.250s", f->text);
    snprintf(r->name[f->kind], sizeof r->name[0], "%.60s", f->nnames ? f->names[0] : "");
}

static struct reports check(struct place *p, const char *dir, struct fxs_totals *t)
{
    struct reports r = {0};
    if (fxs_store_check(dir, report, &r, t, p->why) != FXS_STORE_OK)
        fail_msg("%s", p->why);
    return r;
}

/* Repairs the store into `to`, which has room for a path. */
static struct reports repair(struct place *p, char *to, struct fxs_totals *t)
{
    struct reports r = {0};
    sprintf(to, "%s-repaired", p->dir);
    if (fxs_store_repair(p->dir, to, report, &r, t, p->why) != FXS_STORE_OK)
        fail_msg("%s", p->why);
    return r;
}

static struct fxs_store *open_at(struct place *p, const char *dir)
{
    struct place other;
    snprintf(other.dir, sizeof other.dir, "%.127s", dir);
    (void)p;
    return open_store(&other, FXS_DURABLE_ALWAYS);
}

static void flip(const char *dir, const char *file, long at)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 1, f);
    fclose(f);
}

static void find_snapshot(const char *dir, const char *prefix, char *name)
{
    DIR *d = opendir(dir);
    name[0] = 0;
    for (struct dirent *e; (e = readdir(d));)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0 && strstr(e->d_name, ".faiss"))
            strcpy(name, e->d_name);
    closedir(d);
    assert_true(*name);
}

static void a_record_that_was_set_aside_is_reported_and_kept_by_repair(void **state)
{
    struct place *p = *state;
    struct fxs_totals t;
    char to[160], file[256];
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t a = new_entry(s, "a", 0);
    new_entry(s, "b", 0);
    for (int i = 0; i < 3; i++)
        append(s, a, 100, 1, NULL);
    assert_int_equal(fxs_store_set_aside(s, a, 2, "it was too odd", p->why), FXS_STORE_OK);
    fxs_store_close(s);
    struct reports r = check(p, p->dir, &t);
    assert_int_equal(r.n[FXS_NOTE_ASIDE], 1);
    assert_int_equal(r.last[FXS_NOTE_ASIDE].number, 2);
    assert_string_equal(r.text[FXS_NOTE_ASIDE], "it was too odd");
    assert_string_equal(r.name[FXS_NOTE_ASIDE], "a");
    assert_int_equal(r.n[FXS_FAULT_DATABASE] + r.n[FXS_FAULT_RECORDS] + r.n[FXS_FAULT_SNAPSHOT], 0);
    find_snapshot(p->dir, "2-", file);
    flip(p->dir, file, 10);
    r = check(p, p->dir, &t);
    assert_int_equal(r.n[FXS_FAULT_SNAPSHOT], 1);
    assert_string_equal(r.name[FXS_FAULT_SNAPSHOT], "b");
    r = repair(p, to, &t);
    assert_int_equal(r.n[FXS_LOST_ENTRY], 1);
    assert_string_equal(r.name[FXS_LOST_ENTRY], "b");
    assert_int_equal(r.n[FXS_LOST_RECORDS], 0);
    r = check(p, to, &t);
    assert_int_equal(r.n[FXS_NOTE_ASIDE], 1);
    assert_string_equal(r.text[FXS_NOTE_ASIDE], "it was too odd");
    s = open_at(p, to);
    struct replayed got = {0};
    assert_int_equal(fxs_store_replay(s, a, 0, collect, &got, p->why), FXS_STORE_OK);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.number[1], 3);
    fxs_store_close(s);
    remove_dir(to);
}

static void an_answer_goes_with_the_record_that_is_lost(void **state)
{
    struct place *p = *state;
    struct fxs_totals t;
    char to[160];
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t a = new_entry(s, "a", 0), entry, number;
    struct fxs_caller first = caller_of(1, 1), second = caller_of(1, 2);
    append(s, a, 40000, 1, &first);
    append(s, a, 40000, 2, &second);
    fxs_store_answer(s, &first, 0, a, 1, 0, "one", 3);
    fxs_store_answer(s, &second, 0, a, 2, 0, "two", 3);
    fxs_store_close(s);
    flip(p->dir, "records-1", 60000);
    struct reports r = check(p, p->dir, &t);
    assert_int_equal(r.n[FXS_FAULT_RECORDS], 1);
    assert_int_equal(r.last[FXS_FAULT_RECORDS].number, 2);
    assert_int_equal(r.last[FXS_FAULT_RECORDS].count, 1);
    assert_int_equal(t.records, 1);
    r = repair(p, to, &t);
    assert_int_equal(r.n[FXS_LOST_RECORDS], 1);
    assert_int_equal(r.last[FXS_LOST_RECORDS].number, 2);
    assert_int_equal(r.n[FXS_LOST_ANSWERS], 1);
    s = open_at(p, to);
    void *answer;
    size_t size;
    assert_int_equal(fxs_store_find_answer(s, &first, &answer, &size, &entry, &number, p->why),
                     FXS_STORE_OK);
    assert_int_equal(size, 3);
    assert_memory_equal(answer, "one", 3);
    free(answer);
    assert_int_equal(fxs_store_find_answer(s, &second, &answer, &size, &entry, &number, p->why),
                     FXS_STORE_NONE);
    /* The number of what is lost is not given again. */
    assert_true(append(s, a, 10, 3, NULL) > 2);
    fxs_store_close(s);
    remove_dir(to);
}

/* The snapshot has the change, and shows nothing of the loss. */
static void answers_that_the_log_had_are_reported_as_lost(void **state)
{
    struct place *p = *state;
    struct fxs_totals t;
    char to[160], path[160];
    int status;
    pid_t child = fork();
    sprintf(path, "%s/store.db-wal", p->dir);
    if (child == 0) {
        struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
        struct stat st;
        uint64_t a = new_entry(s, "a", 0);
        struct fxs_caller c = caller_of(1, 1);
        if (stat(path, &st) != 0)
            _exit(1);
        append(s, a, 100, 1, &c);
        fxs_store_answer(s, &c, 0, a, 1, 0, "one", 3);
        snapshot(s, a, 1, NULL, 200, 7);
        _exit(truncate(path, st.st_size) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct reports r = repair(p, to, &t);
    assert_int_equal(r.n[FXS_LOST_RECORDS] + r.n[FXS_LOST_ENTRY], 0);
    assert_int_equal(r.n[FXS_LOST_ANSWERS], 1);
    struct fxs_store *s = open_at(p, to);
    struct fxs_snapshot_bytes b;
    assert_int_equal(fxs_snapshot_read(s, 1, &b, p->why), FXS_STORE_OK);
    assert_true(b.size == 200 && is_filled(b.data, b.size, 7));
    fxs_snapshot_unmap(&b);
    fxs_store_close(s);
    remove_dir(to);
}

/* Records before a snapshot are removed in the background. */
static void wait_until_removed(struct place *p, struct fxs_store *s, uint64_t entry,
                               uint64_t number)
{
    struct replayed got;
    do {
        usleep(1000);
        memset(&got, 0, sizeof got);
        fxs_store_replay(s, entry, number - 1, collect, &got, p->why);
    } while (got.n && got.number[0] <= number);
}

static int has_no_note(void *ctx, const struct fxs_entry *e)
{
    (void)ctx;
    assert_int_equal(e->note_size, 0);
    return 0;
}

static void an_older_snapshot_is_used_if_the_newest_is_damaged(void **state)
{
    struct place *p = *state;
    struct fxs_totals t;
    char to[160], old[256], new[256], from[512], aside[512];
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    struct fxs_snapshot_commit c = {.name = "a"}, later = {.position = 1};
    uint64_t a = 0;
    assert_int_equal(try_snapshot(s, &c, 100, 1, &a, p->why), FXS_STORE_OK);
    find_snapshot(p->dir, "1-", old);
    snprintf(from, sizeof from, "%s/%s", p->dir, old);
    snprintf(aside, sizeof aside, "%s-aside", p->dir);
    assert_int_equal(link(from, aside), 0);
    append(s, a, 100, 1, NULL);
    later.entry = a;
    later.note = "of the newest";
    later.note_size = 13;
    assert_int_equal(try_snapshot(s, &later, 200, 7, &a, p->why), FXS_STORE_OK);
    append(s, a, 100, 2, NULL);
    wait_until_removed(p, s, a, 1);
    fxs_store_close(s);
    find_snapshot(p->dir, "1-1-", new);
    assert_int_equal(link(aside, from), 0);
    unlink(aside);
    flip(p->dir, new, 10);
    struct reports r = repair(p, to, &t);
    assert_int_equal(r.n[FXS_USED_OTHER], 1);
    assert_int_equal(r.n[FXS_LOST_ENTRY], 0);
    assert_int_equal(r.n[FXS_LOST_RECORDS], 1); /* number 1 is gone, so 2 cannot follow */
    assert_int_equal(t.entries, 1);
    assert_int_equal(r.n[FXS_LOST_NOTE], 1);
    assert_int_equal(r.last[FXS_LOST_NOTE].entry, a);
    s = open_at(p, to);
    assert_int_equal(fxs_store_entries(s, has_no_note, NULL, p->why), FXS_STORE_OK);
    struct fxs_snapshot_bytes b;
    assert_int_equal(fxs_snapshot_read(s, a, &b, p->why), FXS_STORE_OK);
    assert_int_equal(b.size, 100);
    assert_true(is_filled(b.data, b.size, 1));
    fxs_snapshot_unmap(&b);
    fxs_store_close(s);
    remove_dir(to);
}

static void a_view_does_not_disturb_the_process_that_writes(void **state)
{
    struct place *p = *state;
    struct fxs_totals t;
    char who[FXS_WHO];
    struct fxs_store *view, *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t a = new_entry(s, "a", 0);
    append(s, a, 40000, 1, NULL);
    assert_true(fxs_store_in_use(p->dir, who));
    assert_int_equal(fxs_store_view(&view, p->dir, p->why), FXS_STORE_OK);
    append(s, a, 40000, 2, NULL);
    struct replayed got = {0};
    assert_int_equal(fxs_store_replay(view, a, 0, collect, &got, p->why), FXS_STORE_OK);
    assert_int_equal(got.n, 2);
    fxs_store_close(view);
    struct reports r = check(p, p->dir, &t);
    for (size_t i = 0; i < sizeof r.n / sizeof *r.n; i++)
        assert_int_equal(r.n[i], 0);
    char to[160];
    sprintf(to, "%s-repaired", p->dir);
    assert_int_equal(fxs_store_repair(p->dir, to, report, &r, &t, p->why), FXS_STORE_BUSY);
    assert_int_not_equal(access(to, F_OK), 0);
    append(s, a, 40000, 3, NULL);
    fxs_store_close(s);
    assert_false(fxs_store_in_use(p->dir, who));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
        TEST(a_record_that_was_set_aside_is_reported_and_kept_by_repair),
        TEST(an_answer_goes_with_the_record_that_is_lost),
        TEST(answers_that_the_log_had_are_reported_as_lost),
        TEST(an_older_snapshot_is_used_if_the_newest_is_damaged),
        TEST(a_view_does_not_disturb_the_process_that_writes),
    };
    return cmocka_run_group_tests_name("store_admin", tests, NULL, NULL);
}
