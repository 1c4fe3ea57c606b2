/* SPDX-License-Identifier: Apache-2.0 */
/* Large records that are found in their segment, because the database has no row for them yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "server/store/admin.h"
#include "server/store/spare.h"
#include "server/store/stream.h"
#include "store_tools.h"

enum { LARGE = 20000, RECORDS = 5 };

static void path_of(char path[300], const struct place *p, const char *file)
{
    snprintf(path, 300, "%s/%.128s", p->dir, file);
}

static off_t size_of(const struct place *p, const char *file)
{
    char path[300];
    struct stat st;
    path_of(path, p, file);
    return stat(path, &st) == 0 ? st.st_size : -1;
}

static void cut(const struct place *p, const char *file, off_t size)
{
    char path[300];
    path_of(path, p, file);
    assert_int_equal(truncate(path, size), 0);
}

static void forget(const struct place *p, const char *file)
{
    char path[300];
    path_of(path, p, file);
    assert_int_equal(unlink(path), 0);
}

static void flip(const struct place *p, const char *file, off_t at)
{
    char path[300];
    uint8_t byte;
    path_of(path, p, file);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* Runs f in a process that ends without closing the store. */
static void in_child(struct place *p, void (*f)(struct place *p, struct fxs_store *s))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        f(p, open_store(p, FXS_DURABLE_ALWAYS));
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Waits until the store has removed what it does not need, which is synced. */
static void wait_until_tidy(const struct place *p)
{
    struct fxs_db *db = NULL;
    char path[300];
    uint64_t entry, upto;
    path_of(path, p, "store.db");
    if (fxs_db_view(&db, path, NULL) != FXS_STORE_OK)
        _exit(1);
    while (fxs_db_trim_next(db, &entry, &upto, NULL) == FXS_STORE_OK)
        usleep(1000);
    fxs_db_close(db, false);
}

/* Large records, each with its caller. */
static void append_large(struct place *p, struct fxs_store *s)
{
    uint64_t e = new_entry(s, "it", 0);
    wait_until_tidy(p);
    for (uint64_t i = 1; i <= RECORDS; i++) {
        struct fxs_caller c = caller_of((uint8_t)i, 1);
        if (append(s, e, LARGE, i, &c) != i)
            _exit(1);
    }
}

/* Of the database's log, only what was synced is left. */
static void lose_power(struct place *p)
{
    char path[300];
    uint64_t mark[5];
    in_child(p, append_large);
    path_of(path, p, "replaying");
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, mark, sizeof mark), sizeof mark);
    close(fd);
    off_t synced = 32 + (off_t)mark[4] * (24 + FXS_PAGE); /* the pages that are durable */
    assert_true(synced < size_of(p, "store.db-wal"));
    cut(p, "store.db-wal", synced);
}

/* The store has records 1 to n, and the answers to their callers are known to be made by them. */
static void has_records(struct fxs_store *s, uint64_t n)
{
    struct replayed r = {0};
    char why[FXS_STORE_WHY];
    assert_int_equal(fxs_store_replay(s, 1, 0, collect, &r, why), FXS_STORE_OK);
    assert_int_equal(r.n, n);
    for (uint64_t i = 1; i <= RECORDS; i++) {
        struct fxs_caller c = caller_of((uint8_t)i, 1);
        void *answer;
        size_t size;
        uint64_t entry, number;
        enum fxs_store_rc rc = fxs_store_find_answer(s, &c, &answer, &size, &entry, &number, why);
        assert_int_equal(rc, i <= n ? FXS_STORE_OK : FXS_STORE_NONE);
        if (i > n)
            continue;
        assert_int_equal(number, i);
        assert_int_equal(r.number[i - 1], i);
        assert_int_equal(r.seed[i - 1], i);
        assert_int_equal(r.caller[i - 1].id[0], i);
    }
}

static void rows_that_were_lost_are_made_from_the_segment(void **state)
{
    struct place *p = *state;
    lose_power(p);
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    has_records(s, RECORDS);
    assert_int_equal(append(s, 1, 10, 9, NULL), RECORDS + 1);
    assert_int_equal(append(s, 1, LARGE, 9, NULL), RECORDS + 2);
    fxs_store_close(s);
}

static void a_record_that_is_not_whole_ends_the_stream(void **state)
{
    struct place *p = *state;
    lose_power(p);
    forget(p, "replaying"); /* what it says of the last moment is not on disk either */
    /* The third one is torn; those behind it are whole. */
    flip(p, "records-1", 3 * FXS_HEAD_SIZE + 2 * (off_t)fxs_stream_end(0, LARGE) + 700);
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    has_records(s, 2);
    /* The numbers of those behind it are given again, and they do not come back. */
    assert_int_equal(append(s, 1, 10, 9, NULL), 3);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    assert_int_equal(append(s, 1, LARGE, 9, NULL), 4);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    struct replayed r = {0};
    assert_int_equal(fxs_store_replay(s, 1, 0, collect, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 4);
    fxs_store_close(s);
}

static off_t *log_size; /* shared with a child */

static void append_mixed(struct place *p, struct fxs_store *s)
{
    uint64_t e = new_entry(s, "it", 0);
    wait_until_tidy(p);
    if (append(s, e, LARGE, 1, NULL) != 1)
        _exit(1);
    *log_size = size_of(p, "store.db-wal");
    if (append(s, e, 10, 2, NULL) != 2 || append(s, e, LARGE, 3, NULL) != 3)
        _exit(1);
}

/* As if 2 and 3 had been in one transaction, and the process had died before its commit. */
static void what_was_not_committed_does_not_come_back_later(void **state)
{
    struct place *p = *state;
    struct replayed r = {0};
    log_size =
        mmap(NULL, sizeof *log_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    in_child(p, append_mixed);
    cut(p, "store.db-wal", *log_size);
    munmap(log_size, sizeof *log_size);
    forget(p, "replaying");
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    assert_int_equal(append(s, 1, 10, 7, NULL), 2);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    assert_int_equal(fxs_store_replay(s, 1, 0, collect, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.seed[1], 7);
    fxs_store_close(s);
}

static void damage_of_a_durable_record_is_reported(void **state)
{
    struct place *p = *state;
    struct fxs_store_options o = {.durability = FXS_DURABLE_ALWAYS};
    struct fxs_store *s;
    lose_power(p);
    flip(p, "records-1", 3 * FXS_HEAD_SIZE + 2 * (off_t)fxs_stream_end(0, LARGE) + 700);
    assert_int_equal(fxs_store_open(&s, p->dir, &o, p->why), FXS_STORE_DAMAGED);
    assert_non_null(strstr(p->why, "records-1 had"));
}

static void no_fault(void *ctx, const struct fxs_fault *f)
{
    (void)ctx;
    fail_msg("%s: %s", f->file, f->text);
}

static void one_fault(void *ctx, const struct fxs_fault *f)
{
    int *n = ctx;
    (*n)++;
    assert_int_equal(f->kind, FXS_FAULT_RECORDS);
    assert_string_equal(f->file, "records-1");
}

static void check_counts_them_and_writes_nothing(void **state)
{
    struct place *p = *state;
    struct fxs_totals t;
    int n = 0;
    lose_power(p);
    off_t log = size_of(p, "store.db-wal");
    assert_int_equal(fxs_store_check(p->dir, no_fault, NULL, &t, p->why), FXS_STORE_OK);
    assert_int_equal(t.records, RECORDS);
    assert_int_equal(size_of(p, "store.db-wal"), log);
    flip(p, "records-1", 3 * FXS_HEAD_SIZE + 2 * (off_t)fxs_stream_end(0, LARGE) + 700);
    assert_int_equal(fxs_store_check(p->dir, one_fault, &n, &t, p->why), FXS_STORE_OK);
    assert_int_equal(n, 1);
}

static void a_view_and_a_repaired_store_have_them(void **state)
{
    struct place *p = *state, other = {.dir = ""};
    struct fxs_store *s;
    struct fxs_totals t;
    lose_power(p);
    snprintf(other.dir, sizeof other.dir, "%.100s-repaired", p->dir);
    assert_int_equal(fxs_store_repair(p->dir, other.dir, no_fault, NULL, &t, p->why), FXS_STORE_OK);
    s = open_store(&other, FXS_DURABLE_ALWAYS);
    has_records(s, RECORDS);
    fxs_store_close(s);
    remove_dir(other.dir);
    assert_int_equal(fxs_store_view(&s, p->dir, p->why), FXS_STORE_OK);
    has_records(s, RECORDS);
    fxs_store_close(s);
}

/* --- a log that has lost what was durable --- */

struct content {
    char name[64];
    size_t size;
    uint8_t *data;
};

/* What the files have, but for those of SQLite that readers share. */
static size_t contents(const struct place *p, struct content c[16])
{
    size_t n = 0;
    char path[300];
    DIR *d = opendir(p->dir);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.' || strstr(e->d_name, "-shm"))
            continue;
        assert_true(n < 16);
        snprintf(c[n].name, sizeof c[n].name, "%.60s", e->d_name);
        path_of(path, p, c[n].name);
        c[n].size = (size_t)size_of(p, e->d_name);
        c[n].data = malloc(c[n].size + 1);
        int fd = open(path, O_RDONLY);
        assert_int_equal(read(fd, c[n].data, c[n].size), c[n].size);
        close(fd);
        n++;
    }
    closedir(d);
    return n;
}

static void are_unchanged(const struct place *p, struct content *before, size_t n)
{
    struct content after[16];
    size_t m = contents(p, after), same = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m; k++)
            same += strcmp(before[i].name, after[k].name) == 0 && before[i].size == after[k].size &&
                    memcmp(before[i].data, after[k].data, after[k].size) == 0;
    assert_int_equal(same, n);
    for (size_t i = 0; i < n; i++)
        free(before[i].data);
    for (size_t k = 0; k < m; k++)
        free(after[k].data);
}

/* Two entries: 1 has records 1 (large), 2 (small) and 4 (large), 2 has 3 and 5 (large).  A third
 * one is made last. */
static void append_to_two(struct place *p, struct fxs_store *s)
{
    struct fxs_caller c = caller_of(1, 1), later = caller_of(2, 2);
    uint64_t one = new_entry(s, "one", 0), two = new_entry(s, "two", 0);
    wait_until_tidy(p);
    *log_size = size_of(p, "store.db-wal");
    append(s, one, LARGE, 1, &c);
    append(s, one, 10, 2, NULL);
    append(s, two, LARGE, 3, NULL);
    append(s, one, LARGE, 4, &later);
    append(s, two, LARGE, 5, NULL);
    new_entry(s, "three", 0);
}

static void lose_the_log(struct place *p)
{
    log_size =
        mmap(NULL, sizeof *log_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    in_child(p, append_to_two);
    cut(p, "store.db-wal", *log_size);
    munmap(log_size, sizeof *log_size);
}

struct told {
    int log, lost, renamed, noteless, segment, blind, other;
    struct fxs_fault records;
};

static void tell(void *ctx, const struct fxs_fault *f)
{
    struct told *t = ctx;
    if (f->kind == FXS_FAULT_DATABASE && strcmp(f->file, "store.db-wal") == 0)
        t->log++;
    else if (f->kind == FXS_FAULT_DATABASE && strcmp(f->file, "records-1") == 0)
        t->segment++;
    else if (f->kind == FXS_FAULT_DATABASE && strstr(f->text, " changes are taken without"))
        t->blind = atoi(f->text);
    else if (f->kind == FXS_LOST_RECORDS && ++t->lost)
        t->records = *f;
    else if (f->kind == FXS_LOST_NAMES)
        t->renamed++;
    else if (f->kind == FXS_LOST_NOTE)
        t->noteless++;
    else if (f->kind != FXS_LOST_ANSWERS)
        t->other++;
}

static void repair_into(struct place *p, struct place *to, struct told *told)
{
    struct fxs_totals t;
    memset(told, 0, sizeof *told);
    snprintf(to->dir, sizeof to->dir, "%.100s-repaired", p->dir);
    if (fxs_store_repair(p->dir, to->dir, tell, told, &t, p->why) != FXS_STORE_OK)
        fail_msg("%s", p->why);
}

static void repair_takes_large_records_whose_rows_a_damaged_log_had(void **state)
{
    struct place *p = *state, to;
    struct told told;
    struct replayed one = {0}, two = {0};
    struct fxs_caller c = caller_of(1, 1), later = caller_of(2, 2);
    struct content before[16];
    void *answer;
    size_t size, n;
    uint64_t entry, number;
    lose_the_log(p);
    n = contents(p, before);
    repair_into(p, &to, &told);
    are_unchanged(p, before, n);
    assert_int_equal(told.log, 1);
    assert_int_equal(told.lost, 1); /* 4 follows 2, which is not there */
    assert_int_equal(told.records.entry, 1);
    assert_int_equal(told.records.number, 2);
    assert_int_equal(told.records.count, 1);
    assert_int_equal(told.renamed, 1); /* the third one */
    assert_int_equal(told.noteless, 1);
    assert_int_equal(told.blind, 3);
    assert_int_equal(told.segment, 0);
    assert_int_equal(told.other, 0);
    struct fxs_store *s = open_store(&to, FXS_DURABLE_ALWAYS);
    assert_int_equal(fxs_store_replay(s, 1, 0, collect, &one, p->why), FXS_STORE_OK);
    assert_int_equal(fxs_store_replay(s, 2, 0, collect, &two, p->why), FXS_STORE_OK);
    assert_int_equal(one.n, 1);
    assert_int_equal(one.seed[0], 1);
    assert_int_equal(two.n, 2);
    assert_int_equal(two.number[0], 3);
    assert_int_equal(two.number[1], 5);
    assert_int_equal(two.seed[1], 5);
    assert_int_equal(fxs_store_find_answer(s, &c, &answer, &size, &entry, &number, p->why),
                     FXS_STORE_OK);
    assert_int_equal(number, 1);
    assert_int_equal(fxs_store_find_answer(s, &later, &answer, &size, &entry, &number, p->why),
                     FXS_STORE_NONE);
    assert_true(append(s, 2, LARGE, 9, NULL) > 6); /* numbers are not used twice */
    fxs_store_close(s);
    remove_dir(to.dir);
}

static void repair_reports_large_records_that_are_damaged_as_well(void **state)
{
    struct place *p = *state, to;
    struct told told;
    struct replayed two = {0};
    lose_the_log(p);
    flip(p, "records-1", 2 * FXS_HEAD_SIZE + (off_t)fxs_stream_end(0, LARGE) + 700); /* 3 */
    repair_into(p, &to, &told);
    assert_int_equal(told.lost, 2);
    assert_int_equal(told.records.entry, 2);
    assert_int_equal(told.records.number, 3);
    assert_int_equal(told.records.count, 2);
    struct fxs_store *s = open_store(&to, FXS_DURABLE_ALWAYS);
    assert_int_equal(fxs_store_replay(s, 2, 0, collect, &two, p->why), FXS_STORE_OK);
    assert_int_equal(two.n, 0);
    fxs_store_close(s);
    remove_dir(to.dir);
}

/* Nothing follows the last record, so that only the length of the segment tells that it is lost. */
static void repair_reports_that_the_end_of_a_segment_is_lost(void **state)
{
    struct place *p = *state, to;
    struct told told;
    lose_the_log(p);
    flip(p, "records-1", 3 * (FXS_HEAD_SIZE + (off_t)fxs_stream_end(0, LARGE)) + 20); /* 5's head */
    repair_into(p, &to, &told);
    assert_int_equal(told.segment, 1);
    assert_int_equal(told.other, 0);
    remove_dir(to.dir);
}

static void repair_reports_that_a_segment_is_lost(void **state)
{
    struct place *p = *state, to;
    struct told told;
    char stray[300];
    lose_the_log(p);
    forget(p, "records-1");
    path_of(stray, p, "records-18446744073709551615");
    close(open(stray, O_WRONLY | O_CREAT, 0600));
    repair_into(p, &to, &told);
    assert_int_equal(told.segment, 1);
    assert_int_equal(told.other, 0);
    remove_dir(to.dir);
}

static void repair_reports_records_of_a_stream_that_was_cut(void **state)
{
    struct place *p = *state, to;
    struct told told;
    lose_power(p);
    flip(p, "records-1", 3 * FXS_HEAD_SIZE + 2 * (off_t)fxs_stream_end(0, LARGE) + 700); /* 3 */
    repair_into(p, &to, &told);
    assert_int_equal(told.lost, 1);
    assert_int_equal(told.records.number, 3);
    assert_int_equal(told.records.count, 3);
    struct fxs_store *s = open_store(&to, FXS_DURABLE_ALWAYS);
    has_records(s, 2);
    fxs_store_close(s);
    remove_dir(to.dir);
}

static void repair_leaves_the_store_as_it_is(void **state)
{
    struct place *p = *state, to;
    struct told told;
    struct content before[16];
    lose_power(p);
    size_t n = contents(p, before);
    repair_into(p, &to, &told);
    assert_int_equal(told.lost + told.other, 0);
    are_unchanged(p, before, n);
    remove_dir(to.dir);
}

static void count_stream(void *ctx, const struct fxs_fault *f)
{
    int *n = ctx;
    *n += strcmp(f->file, "records-1") == 0 && strstr(f->text, "follows record 1 of entry 1");
}

static void check_finds_a_record_that_does_not_follow(void **state)
{
    struct place *p = *state;
    struct fxs_store_options o = {.durability = FXS_DURABLE_ALWAYS};
    struct fxs_totals t;
    struct fxs_store *s;
    struct fxs_db *db = NULL;
    char path[300];
    int n = 0;
    lose_power(p);
    path_of(path, p, "store.db");
    assert_int_equal(fxs_db_open(&db, path, p->why), FXS_STORE_OK);
    assert_int_equal(fxs_db_begin(db, p->why), FXS_STORE_OK);
    assert_int_equal(fxs_db_set_head(db, 1, 9, 0, p->why), FXS_STORE_OK);
    assert_int_equal(fxs_db_commit(db, false, p->why), FXS_STORE_OK);
    fxs_db_close(db, false);
    assert_int_equal(fxs_store_check(p->dir, count_stream, &n, &t, p->why), FXS_STORE_OK);
    assert_int_equal(n, 1);
    assert_int_equal(fxs_store_open(&s, p->dir, &o, p->why), FXS_STORE_DAMAGED);
}

static void a_copy_has_no_records_from_after_it_was_made(void **state)
{
    struct place *p = *state;
    char copy[300], path[300];
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t e = new_entry(s, "it", 0);
    append(s, e, LARGE, 1, NULL);
    path_of(copy, p, "tmp-copy");
    assert_int_equal(fxs_copy_database(p->dir, copy, p->why), FXS_STORE_OK);
    append(s, e, LARGE, 2, NULL);
    fxs_store_close(s);
    forget(p, "replaying");
    path_of(path, p, "store.db");
    assert_int_equal(rename(copy, path), 0);
    s = open_store(p, FXS_DURABLE_ALWAYS);
    struct replayed r = {0};
    assert_int_equal(fxs_store_replay(s, e, 0, collect, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 1);
    fxs_store_close(s);
}

/* --- a change that was refused --- */

static ssize_t (*write_before)(int fd, const struct iovec *iov, int n, off_t offset);

/* All of it is written, but there is no space to say so. */
static ssize_t full_write(int fd, const struct iovec *iov, int n, off_t offset)
{
    write_before(fd, iov, n, offset);
    errno = ENOSPC;
    return -1;
}

static void append_and_be_refused(struct place *p, struct fxs_store *s)
{
    uint64_t number, e = new_entry(s, "it", 0);
    (void)p;
    struct fxs_caller c = caller_of(1, 1), refused = caller_of(2, 1);
    if (append(s, e, LARGE, 1, &c) != 1)
        _exit(1);
    write_before = fxs_store_io.write;
    fxs_store_io.write = full_write;
    if (try_append(s, e, LARGE, 2, &refused, &number) != FXS_STORE_FULL)
        _exit(2);
}

static void a_refused_record_is_not_found_later(void **state)
{
    struct place *p = *state;
    in_child(p, append_and_be_refused);
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    has_records(s, 1);
    fxs_store_close(s);
}

/* --- segments that are prepared, and used again --- */

static bool has_spare(const struct place *p)
{
    DIR *d = opendir(p->dir);
    bool found = false;
    for (struct dirent *e; (e = readdir(d));)
        found = found || fxs_is_spare(e->d_name);
    closedir(d);
    return found;
}

static void segments_are_files_that_were_prepared(void **state)
{
    struct place *p = *state;
    struct statvfs v;
    if (statvfs(p->dir, &v) != 0 || (uint64_t)v.f_bavail * v.f_frsize < (uint64_t)2 << 30)
        skip(); /* they are not made then */
    fxs_segment_size = 256 << 10;
    fxs_spare_after = 1;
    struct fxs_store *s = open_store(p, FXS_DURABLE_ALWAYS);
    uint64_t e = new_entry(s, "it", 0);
    append(s, e, LARGE, 1, NULL);
    for (int i = 0; !has_spare(p) && i < 20000; i++) /* or it is being made: it is used later */
        usleep(1000);
    assert_true(has_spare(p));
    uint64_t n = 1;
    while (size_of(p, "records-2") < 0 && n < 100)
        append(s, e, LARGE, ++n, NULL);
    while (size_of(p, "records-4") < 0 && n < 100) {
        usleep(1000); /* the next one is being made */
        append(s, e, LARGE, ++n, NULL);
    }
    assert_true(size_of(p, "records-2") == 256 << 10 || size_of(p, "records-3") == 256 << 10);
    /* The entry starts anew: its segments are the next spares. */
    snapshot(s, e, n, NULL, 100, 2);
    for (int i = 0; size_of(p, "records-1") >= 0 && i < 20000; i++)
        usleep(1000);
    assert_int_equal(size_of(p, "records-1"), -1);
    for (int i = 0; i < 40; i++)
        append(s, e, LARGE, (uint64_t)i, NULL);
    s = reopen(p, s, FXS_DURABLE_ALWAYS);
    assert_false(has_spare(p));
    struct replayed r = {0};
    assert_int_equal(fxs_store_replay(s, e, 0, collect, &r, p->why), FXS_STORE_OK);
    assert_int_equal(r.n, 40);
    fxs_store_close(s);
}

/* --- directories of the first version --- */

static int collect_old(void *ctx, const struct fxs_record *r)
{
    static const size_t sizes[] = {100, 17000, 50, 40000};
    uint64_t *n = ctx;
    assert_true(*n < 4);
    assert_int_equal(r->number, *n + 1);
    assert_int_equal(r->size, sizes[*n]);
    for (size_t i = 0; i < r->size; i++)
        assert_int_equal(((const uint8_t *)r->data)[i], *n + 1);
    assert_int_equal(r->answered, *n != 1);
    assert_true(r->made); /* it is not known, so none may be taken for one that had failed */
    ++*n;
    return 0;
}

static void opens_first_version(struct place *p, const char *which)
{
    struct place old;
    struct fxs_totals t;
    struct fxs_store *s;
    uint64_t n = 0;
    snprintf(old.dir, sizeof old.dir, "%.90s/%s", p->dir, which);
    assert_int_equal(fxs_store_check(old.dir, no_fault, NULL, &t, p->why), FXS_STORE_OK);
    assert_int_equal(t.records, 4);
    assert_int_equal(fxs_store_view(&s, old.dir, p->why), FXS_STORE_OK);
    assert_int_equal(fxs_store_replay(s, 1, 0, collect_old, &n, p->why), FXS_STORE_OK);
    assert_int_equal(n, 4);
    fxs_store_close(s);
    s = open_store(&old, FXS_DURABLE_ALWAYS);
    n = 0;
    assert_int_equal(fxs_store_replay(s, 1, 0, collect_old, &n, p->why), FXS_STORE_OK);
    assert_int_equal(n, 4);
    assert_int_equal(append(s, 1, LARGE, 5, NULL), 5);
    s = reopen(&old, s, FXS_DURABLE_ALWAYS);
    assert_int_equal(append(s, 1, LARGE, 6, NULL), 6);
    fxs_store_close(s);
    assert_int_equal(fxs_store_check(old.dir, no_fault, NULL, &t, p->why), FXS_STORE_OK);
    assert_int_equal(t.records, 6);
    remove_dir(old.dir);
}

static void directories_of_the_first_version_are_opened(void **state)
{
    struct place *p = *state;
    char command[400];
    /* Written by the first version: one was closed, the other one's process was killed. */
    snprintf(command, sizeof command,
             "base64 -d tests/unit/store_format1.txt | gzip -d | tar xf - -C %s", p->dir);
    assert_int_equal(system(command), 0);
    opens_first_version(p, "closed");
    opens_first_version(p, "killed");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        TEST(rows_that_were_lost_are_made_from_the_segment),
        TEST(a_record_that_is_not_whole_ends_the_stream),
        TEST(what_was_not_committed_does_not_come_back_later),
        TEST(damage_of_a_durable_record_is_reported),
        TEST(check_counts_them_and_writes_nothing),
        TEST(repair_takes_large_records_whose_rows_a_damaged_log_had),
        TEST(repair_reports_large_records_that_are_damaged_as_well),
        TEST(repair_reports_that_the_end_of_a_segment_is_lost),
        TEST(repair_reports_that_a_segment_is_lost),
        TEST(repair_reports_records_of_a_stream_that_was_cut),
        TEST(repair_leaves_the_store_as_it_is),
        TEST(check_finds_a_record_that_does_not_follow),
        TEST(a_view_and_a_repaired_store_have_them),
        TEST(a_copy_has_no_records_from_after_it_was_made),
        TEST(a_refused_record_is_not_found_later),
        TEST(directories_of_the_first_version_are_opened),
        TEST(segments_are_files_that_were_prepared), /* the last: it changes sizes */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
