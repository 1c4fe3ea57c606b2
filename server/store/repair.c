/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new store from what is good in a damaged one.
 *
 * An entry can be saved if one of its snapshot files is good: a record is a change to what the
 * snapshot has, and means nothing without it.  Its records are taken up to the first one that is
 * damaged or missing (salvage.c).  What the database does not say any more of an entry, the end of
 * the snapshot file says: which entry it is, its class and its position; but not its names.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/store/mark.h"
#include "server/store/repair.h"
#include "server/store/scan.h"

enum { GAP = 1000000 }; /* added to numbers that may have been used and are not known */

struct found *fxs_repair_find(struct repair *r, uint64_t id)
{
    for (size_t i = 0; i < r->nfound; i++)
        if (r->found[i].id == id)
            return &r->found[i];
    return NULL;
}

struct found *fxs_repair_add(struct repair *r, uint64_t id)
{
    if (r->nfound == r->cap) {
        size_t cap = r->cap * 2 + 16;
        struct found *more = realloc(r->found, cap * sizeof *more);
        if (!more) {
            r->rc = fxs_why(FXS_STORE_MEMORY, r->why, "no memory for the list of indexes");
            return NULL;
        }
        r->found = more;
        r->cap = cap;
    }
    struct found *f = &r->found[r->nfound++];
    memset(f, 0, sizeof *f);
    f->id = id;
    if (id > r->newest_entry)
        r->newest_entry = id;
    return f;
}

/* Returns whether the file is good.  If that cannot be known, r->rc says why. */
static bool examine(struct repair *r, const char *file, struct fxs_snapshot_info *i)
{
    char why[FXS_STORE_WHY];
    memset(i, 0, sizeof *i);
    int fd = openat(r->old->dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        if (fxs_open_error() != FXS_STORE_DAMAGED)
            r->rc = fxs_io_error(r->why, "open", file);
        return false;
    }
    enum fxs_store_rc rc = fxs_snapshot_examine(r->old->path, fd, file, i, why);
    close(fd);
    if (rc != FXS_STORE_OK && rc != FXS_STORE_DAMAGED)
        r->rc = fxs_why(rc, r->why, "%s", why);
    return rc == FXS_STORE_OK;
}

/* --- which entries there are --- */

static int take_entry(void *ctx, sqlite3_stmt *st)
{
    struct repair *r = ctx;
    struct fxs_snapshot_info i;
    struct found *f = fxs_repair_add(r, fxs_sql_number(st, 0));
    if (!f)
        return 1;
    f->listed = true;
    snprintf(f->file, sizeof f->file, "%s", fxs_scan_text(st, 3));
    f->good = examine(r, f->file, &i) && i.entry == f->id && i.position == fxs_sql_number(st, 2) &&
              i.bytes == fxs_sql_number(st, 4) && i.hash == fxs_sql_number(st, 5);
    f->info = i;
    f->ms = fxs_sql_number(st, 6);
    f->note_size = (size_t)sqlite3_column_bytes(st, 7);
    f->note = malloc(f->note_size + 1);
    if (!f->note) {
        r->rc = fxs_why(FXS_STORE_MEMORY, r->why, "no memory for the list of indexes");
        return 1;
    }
    if (f->note_size)
        memcpy(f->note, sqlite3_column_blob(st, 7), f->note_size);
    return r->rc != FXS_STORE_OK;
}

/* A snapshot file that the database does not have: of an entry whose own is damaged, or of one
 * that the database has lost.  Of several, the newest. */
static bool take_file(void *ctx, const char *name)
{
    struct repair *r = ctx;
    struct fxs_snapshot_info i;
    if (!fxs_is_snapshot(name))
        return true;
    for (size_t k = 0; k < r->nfound; k++)
        if (strcmp(r->found[k].file, name) == 0)
            return true;
    if (!examine(r, name, &i))
        return r->rc == FXS_STORE_OK;
    struct found *f = fxs_repair_find(r, i.entry);
    /* The database may have lost a newer snapshot. */
    bool newer = f && (!f->good || (i.position > f->info.position && (!f->listed || r->log_lost)));
    /* A change "by state" makes a snapshot with the position of the one before. */
    if (f && f->good && r->log_lost && i.position == f->info.position)
        f->doubtful = true;
    if (f ? !newer : !r->unlisted && !r->log_lost)
        return true;
    if (!f && !(f = fxs_repair_add(r, i.entry)))
        return false;
    if (f->listed && !f->good)
        r->report(r->ctx, &(struct fxs_fault){.kind = FXS_USED_OTHER,
                                              .file = name,
                                              .entry = f->id,
                                              .text = "an older snapshot is used"});
    /* The note says what is in the snapshot that it came with, and what that is to become. */
    f->noteless |= !f->listed || f->note_size > 0;
    f->note_size = 0;
    f->good = true;
    f->doubtful = false;
    f->info = i;
    f->ms = (uint64_t)i.ms;
    snprintf(f->file, sizeof f->file, "%s", name);
    return true;
}

/* --- names and answers --- */

static int take_name(void *ctx, sqlite3_stmt *st)
{
    struct repair *r = ctx;
    struct found *f = fxs_repair_find(r, fxs_sql_number(st, 1));
    const char *name = fxs_scan_text(st, 0);
    if (f && f->good) {
        r->rc = fxs_db_set_name(r->db, name, f->id, r->why);
        return r->rc != FXS_STORE_OK;
    }
    if (f)
        f->told = true;
    r->report(r->ctx, &(struct fxs_fault){.kind = FXS_LOST_ENTRY,
                                          .file = f ? f->file : "",
                                          .entry = fxs_sql_number(st, 1),
                                          .names = &name,
                                          .nnames = 1,
                                          .text = "no snapshot of it is good"});
    return 0;
}

static void tell_nameless(struct repair *r)
{
    for (size_t i = 0; i < r->nfound; i++)
        if (!r->found[i].good && !r->found[i].told)
            r->report(r->ctx, &(struct fxs_fault){.kind = FXS_LOST_ENTRY,
                                                  .file = r->found[i].file,
                                                  .entry = r->found[i].id,
                                                  .text = "no snapshot of it is good"});
}

static void tell_noteless(struct repair *r)
{
    for (size_t i = 0; i < r->nfound; i++)
        if (r->found[i].good && r->found[i].noteless)
            r->report(r->ctx, &(struct fxs_fault){.kind = FXS_LOST_NOTE,
                                                  .file = r->found[i].file,
                                                  .entry = r->found[i].id,
                                                  .text = "if it waited for training, it does not "
                                                          "any more, and stays as it is"});
}

static void name_nameless(struct repair *r)
{
    for (size_t i = 0; r->rc == FXS_STORE_OK && i < r->nfound; i++) {
        struct found *f = &r->found[i];
        char name[64];
        const char *names = name;
        uint64_t n;
        if (!f->good || (r->rc = fxs_db_count_names(r->db, f->id, &n, r->why)) || n)
            continue;
        snprintf(name, sizeof name, "recovered-%" PRIu64, f->id);
        r->rc = fxs_db_set_name(r->db, name, f->id, r->why);
        r->report(r->ctx, &(struct fxs_fault){.kind = FXS_LOST_NAMES,
                                              .file = f->file,
                                              .entry = f->id,
                                              .names = &names,
                                              .nnames = 1,
                                              .text = "its names are lost"});
    }
}

/* An answer to a change that is lost must go with it: a client that asks again would be told that
 * the change was made. */
static int take_answer(void *ctx, sqlite3_stmt *st)
{
    struct repair *r = ctx;
    struct fxs_caller caller = {.number = fxs_sql_number(st, 1)};
    uint64_t entry = fxs_sql_number(st, 2), number = fxs_sql_number(st, 3);
    if (sqlite3_column_bytes(st, 0) != FXS_CALLER_SIZE)
        return 0;
    const struct found *f = fxs_repair_find(r, entry);
    if (f && (!f->good || (f->lost && number > f->end))) {
        r->lost_answers++;
        return 0;
    }
    if (number > r->newest)
        r->newest = number;
    memcpy(caller.id, sqlite3_column_blob(st, 0), FXS_CALLER_SIZE);
    r->rc = fxs_db_put_answer(r->db, &caller, entry, number, sqlite3_column_blob(st, 5),
                              (size_t)sqlite3_column_bytes(st, 5), (int64_t)fxs_sql_number(st, 4),
                              r->why);
    r->totals->answers++;
    return r->rc != FXS_STORE_OK;
}

static int take_aside(void *ctx, sqlite3_stmt *st)
{
    struct repair *r = ctx;
    const struct found *f = fxs_repair_find(r, fxs_sql_number(st, 1));
    if (!f || !f->good)
        return 0;
    enum fxs_store_rc rc = fxs_db_flag_record(r->db, f->id, fxs_sql_number(st, 0), FXS_ROW_ASIDE,
                                              fxs_scan_text(st, 2), r->why);
    if (rc != FXS_STORE_NONE) /* a snapshot has passed it, or it is lost */
        r->rc = rc;
    return r->rc != FXS_STORE_OK;
}

static void note(struct repair *r, enum fxs_fault_kind kind, const char *text)
{
    r->report(r->ctx, &(struct fxs_fault){.kind = kind, .file = "store.db", .text = text});
}

/* f has put into r->rc what went wrong in it. */
static void scan(struct repair *r, enum fxs_scan what, int (*f)(void *ctx, sqlite3_stmt *st),
                 bool *broken)
{
    if (r->rc != FXS_STORE_OK || !r->old->reader)
        return;
    char why[FXS_STORE_WHY];
    enum fxs_store_rc rc = fxs_scan(r->old->reader, what, f, r, broken, why);
    if (rc != FXS_STORE_OK && r->rc == FXS_STORE_OK)
        r->rc = fxs_why(rc, r->why, "%s", why);
}

static enum fxs_store_rc take_tables(struct repair *r)
{
    bool broken = false, answers = true;
    scan(r, FXS_SCAN_NAMES, take_name, &broken);
    if (broken)
        note(r, FXS_LOST_NAMES, "some names cannot be read");
    scan(r, FXS_SCAN_ANSWERS, take_answer, &answers);
    scan(r, FXS_SCAN_ASIDE, take_aside, &broken);
    /* Nobody knows which answers the end of the log had. */
    answers |= r->log_lost;
    if (answers || r->lost_answers)
        note(r, FXS_LOST_ANSWERS,
             answers ? "answers to some requests are lost"
                     : "answers to requests whose changes are lost are removed");
    tell_nameless(r);
    tell_noteless(r);
    if (r->rc == FXS_STORE_OK)
        name_nameless(r);
    return r->rc;
}

/* --- the whole --- */

static void find_entries(struct repair *r)
{
    r->unlisted = true;
    scan(r, FXS_SCAN_ENTRIES, take_entry, &r->unlisted);
    if (r->rc == FXS_STORE_OK) {
        enum fxs_store_rc rc = fxs_each_file(r->old, take_file, r, r->why);
        r->rc = r->rc ? r->rc : rc;
    }
}

static enum fxs_store_rc build(struct repair *r)
{
    char why[FXS_STORE_WHY];
    uint64_t number = 0, entry = 0;
    find_entries(r);
    if (r->rc == FXS_STORE_OK)
        r->rc = fxs_db_begin(r->db, r->why);
    if (r->unlisted)
        note(r, FXS_FAULT_DATABASE,
             "the list of indexes is damaged; what is found in snapshot "
             "files is used");
    for (size_t i = 0; r->rc == FXS_STORE_OK && i < r->nfound; i++)
        if (r->found[i].good)
            fxs_salvage_entry(r, &r->found[i]);
    if (r->rc == FXS_STORE_OK)
        fxs_salvage_rest(r);
    if (r->rc != FXS_STORE_OK || take_tables(r) != FXS_STORE_OK)
        return r->rc;
    /* Numbers are not used twice, also those that were given to what is lost. */
    if (r->log_lost || !r->old->reader ||
        fxs_db_newest(r->old->reader, &number, &entry, why) != FXS_STORE_OK) {
        number = r->newest + GAP;
        entry = r->newest_entry + GAP;
    }
    (void)((r->rc =
                fxs_db_set_newest(r->db, number > r->newest ? number : r->newest, entry, r->why)) ||
           (r->rc = fxs_db_commit(r->db, false, r->why)));
    return r->rc;
}

static bool remove_one(void *ctx, const char *name)
{
    struct fxs_store *s = ctx;
    if (fxs_is_snapshot(name) || fxs_is_segment(name) || strncmp(name, "store.db", 8) == 0)
        unlinkat(s->dir, name, 0);
    return true;
}

void fxs_store_remove(const char *dir)
{
    struct fxs_store *s;
    if (fxs_view_dir(&s, dir, NULL) != FXS_STORE_OK)
        return;
    fxs_each_file(s, remove_one, s, NULL);
    fxs_store_close(s);
    rmdir(dir);
}

/* Nobody may open the store meanwhile.  Unlike fxs_take_lock, this changes nothing. */
static enum fxs_store_rc lock_unchanged(struct fxs_store *s, char *why)
{
    s->lock = openat(s->dir, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (s->lock < 0 || flock(s->lock, LOCK_EX | LOCK_NB) == 0)
        return FXS_STORE_OK;
    close(s->lock);
    return fxs_take_lock(s, why); /* says who has it */
}

/* Snapshots are shared with the old store, and are durable. */
static bool sync_file(void *ctx, const char *name)
{
    struct repair *r = ctx;
    if (strcmp(name, "store.db") != 0 && !fxs_is_segment(name))
        return true;
    int fd = openat(r->new->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fxs_store_io.sync(fd) != 0)
        r->rc = fxs_io_error(r->why, "sync", name);
    if (fd >= 0)
        close(fd);
    return r->rc == FXS_STORE_OK;
}

static void make_durable(struct repair *r)
{
    enum fxs_store_rc rc = fxs_each_file(r->new, sync_file, r, r->why);
    if (r->rc == FXS_STORE_OK)
        r->rc = rc;
    if (r->rc == FXS_STORE_OK && fxs_store_io.sync(r->new->dir) != 0)
        r->rc = fxs_io_error(r->why, "sync the directory", r->new->path);
}

/* --- a log of which a part cannot be read --- */

static const char log_file[] = "store.db-wal", linked[] = "store.db-old",
                  linked_log[] = "store.db-old-wal", linked_shm[] = "store.db-old-shm";

/* Copies the log up to where it cannot be read.  *broken: there is such a place. */
static enum fxs_store_rc copy_log(struct repair *r, bool *broken)
{
    char page[FXS_PAGE];
    off_t at = 0;
    *broken = false;
    int from = openat(r->old->dir, log_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0 && fxs_open_error() == FXS_STORE_DAMAGED)
        return FXS_STORE_OK;
    if (from < 0)
        return r->rc = fxs_io_error(r->why, "open", log_file);
    int to = openat(r->new->dir, linked_log, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        r->rc = fxs_io_error(r->why, "create", linked_log);
    while (r->rc == FXS_STORE_OK) {
        ssize_t n = pread(from, page, sizeof page, at);
        if (n < 0 && errno == EINTR)
            continue;
        *broken = n < 0;
        if (n < 0 && !r->log_lost)
            fxs_why(FXS_STORE_DAMAGED, r->log_why, "%s/%s: cannot be read from byte %lld on: %s",
                    r->old->path, log_file, (long long)at, strerror(errno));
        if (n <= 0)
            break;
        struct iovec iov = {page, (size_t)n};
        if (fxs_write_all(to, &iov, 1, at) != 0)
            r->rc = fxs_io_error(r->why, "write", linked_log);
        at += n;
    }
    close(from);
    if (to >= 0)
        close(to);
    return r->rc;
}

/* SQLite reads nothing of a database if a part of its log cannot be read.  So it gets one with the
 * part before that.  The database is the same file under another name: nothing writes to it. */
static enum fxs_store_rc view_with_less_log(struct repair *r)
{
    char path[PATH_MAX], why[FXS_STORE_WHY];
    bool broken;
    if (copy_log(r, &broken) != FXS_STORE_OK || !broken)
        return r->rc;
    r->log_lost = true;
    snprintf(path, sizeof path, "%s/%s", r->new->path, linked);
    if (linkat(r->old->dir, "store.db", r->new->dir, linked, 0) != 0)
        return r->rc = fxs_io_error(r->why, "link", "store.db");
    enum fxs_store_rc rc = fxs_db_view(&r->old->reader, path, why);
    if (rc != FXS_STORE_OK && rc != FXS_STORE_DAMAGED)
        r->rc = fxs_why(rc, r->why, "%s", why);
    return r->rc;
}

static void remove_linked(struct repair *r)
{
    fxs_db_close(r->old->reader, false);
    r->old->reader = NULL;
    unlinkat(r->new->dir, linked, 0);
    unlinkat(r->new->dir, linked_log, 0);
    unlinkat(r->new->dir, linked_shm, 0);
}

enum fxs_store_rc fxs_store_repair(const char *dir, const char *to, fxs_fault_fn report, void *ctx,
                                   struct fxs_totals *totals, char *why)
{
    struct repair r = {.report = report, .ctx = ctx, .totals = totals, .why = why};
    char path[PATH_MAX], own[FXS_STORE_WHY];
    memset(totals, 0, sizeof *totals);
    if (!why)
        r.why = why = own;
    if ((r.rc = fxs_view_dir(&r.old, dir, why)) != FXS_STORE_OK)
        return r.rc;
    enum fxs_store_rc rc = fxs_view_log(r.old, r.log_why);
    r.log_lost = rc == FXS_STORE_DAMAGED;
    if (rc != FXS_STORE_OK && rc != FXS_STORE_DAMAGED) {
        r.rc = fxs_why(rc, why, "%s", r.log_why);
        goto out;
    }
    if ((r.rc = lock_unchanged(r.old, why)) != FXS_STORE_OK)
        goto out;
    if (mkdir(to, 0700) != 0) {
        r.rc = fxs_io_error(why, "make the directory", to);
        goto out;
    }
    rc = fxs_view_database(r.old, why);
    if (rc != FXS_STORE_OK && rc != FXS_STORE_DAMAGED && rc != FXS_STORE_NONE) {
        r.rc = rc;
        goto failed;
    }
    snprintf(path, sizeof path, "%s/store.db", to);
    (void)((r.rc = fxs_view_dir(&r.new, to, why)) ||
           (rc == FXS_STORE_DAMAGED && view_with_less_log(&r)) ||
           (r.rc = fxs_db_create(path, why)) || (r.rc = fxs_db_open(&r.db, path, why)) ||
           (r.rc = build(&r)));
    fxs_db_close(r.db, r.rc == FXS_STORE_OK);
    if (r.new)
        remove_linked(&r);
    if (r.rc == FXS_STORE_OK)
        make_durable(&r);
failed:
    if (r.rc != FXS_STORE_OK)
        fxs_store_remove(to);
out:
    for (size_t i = 0; i < r.nfound; i++) {
        free(r.found[i].note);
        free(r.found[i].lost);
    }
    free(r.found);
    fxs_store_close(r.new);
    fxs_store_close(r.old);
    return r.rc;
}
