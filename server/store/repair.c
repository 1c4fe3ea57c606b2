/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new store from what is good in a damaged one.
 *
 * An entry can be saved if one of its snapshot files is good: a record is a change to what the
 * snapshot has, and means nothing without it.  Its records are taken up to the first one that is
 * damaged or missing.  What the database does not say any more of an entry, the end of the snapshot
 * file says: which entry it is, its class and its position; but not its names.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/store/scan.h"
#include "server/store/stream.h"

enum { GAP = 1000000 }; /* added to numbers that may have been used and are not known */

struct found {
    uint64_t id;
    struct fxs_snapshot_info info; /* of the snapshot that is used */
    char file[FXS_FILE_NAME];      /* it; or the one that the database has, if none is good */
    bool good, listed, told;       /* told: it was reported as lost */
    void *note;
    size_t note_size;
    uint64_t number, ms; /* listed: the newest record that is known to have been there */
};

struct repair {
    struct fxs_store *old, *new; /* old->reader is NULL if the database cannot be opened */
    struct fxs_db *db;           /* of the new one */
    fxs_fault_fn report;
    void *ctx;
    struct fxs_totals *totals;
    struct found *found;
    size_t nfound, cap;
    uint64_t newest, newest_entry;
    uint64_t lost_answers;
    bool unlisted; /* entries were lost from the database */
    bool unnamed;  /* names were */
    struct {
        uint64_t entry, number;
    } * ends; /* entries whose later records are lost; number 0: all */
    size_t nends;
    enum fxs_store_rc rc;
    char *why;
};

static struct found *find(struct repair *r, uint64_t id)
{
    for (size_t i = 0; i < r->nfound; i++)
        if (r->found[i].id == id)
            return &r->found[i];
    return NULL;
}

static struct found *add(struct repair *r, uint64_t id)
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

static bool examine(struct repair *r, const char *file, struct fxs_snapshot_info *i)
{
    int fd = openat(r->old->dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool good = fd >= 0 && fxs_snapshot_examine(r->old->path, fd, file, i, NULL) == FXS_STORE_OK;
    if (fd >= 0)
        close(fd);
    return good;
}

/* --- which entries there are --- */

static int take_entry(void *ctx, sqlite3_stmt *st)
{
    struct repair *r = ctx;
    struct fxs_snapshot_info i;
    struct found *f = add(r, fxs_sql_number(st, 0));
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
    return 0;
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
        return true;
    struct found *f = find(r, i.entry);
    if (f ? (f->listed && f->good) || (f->good && f->info.position >= i.position) : !r->unlisted)
        return true;
    if (!f && !(f = add(r, i.entry)))
        return false;
    if (f->listed && !f->good)
        r->report(r->ctx, &(struct fxs_fault){.kind = FXS_USED_OTHER,
                                              .file = name,
                                              .entry = f->id,
                                              .text = "an older snapshot is used"});
    f->good = true;
    f->info = i;
    f->ms = (uint64_t)i.ms;
    snprintf(f->file, sizeof f->file, "%s", name);
    return true;
}

/* --- what is taken over --- */

/* The server makes holes in segments, so that they cannot be shared; each is copied once. */
static bool copy_whole(struct repair *r, const char *file)
{
    uint64_t size, hash;
    int to = openat(r->new->dir, file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0 && errno == EEXIST)
        return true;
    int from = openat(r->old->dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (to < 0 || from < 0)
        r->rc = fxs_io_error(r->why, "copy", file);
    else
        r->rc = fxs_copy_file(from, to, file, UINT64_MAX, &size, &hash, r->why);
    if (to >= 0)
        close(to);
    if (from >= 0)
        close(from);
    return r->rc == FXS_STORE_OK;
}

static bool share(struct repair *r, const char *file)
{
    if (linkat(r->old->dir, file, r->new->dir, file, 0) == 0)
        return true;
    r->rc = fxs_io_error(r->why, "link", file);
    return false;
}

static int take_record(void *ctx, const struct fxs_row *row)
{
    struct repair *r = ctx;
    char name[FXS_FILE_NAME];
    if (row->segment) {
        fxs_segment_name(row->segment, name);
        if (!copy_whole(r, name))
            return 1;
    }
    r->rc = fxs_db_add_record(r->db, row, r->why);
    r->totals->records++;
    r->totals->bytes += row->size;
    return r->rc != FXS_STORE_OK;
}

static bool ends_at(struct repair *r, uint64_t entry, uint64_t number)
{
    void *more = realloc(r->ends, (r->nends + 1) * sizeof *r->ends);
    if (!more) {
        r->rc = fxs_why(FXS_STORE_MEMORY, r->why, "no memory for the list of indexes");
        return false;
    }
    r->ends = more;
    r->ends[r->nends].entry = entry;
    r->ends[r->nends++].number = number;
    return true;
}

/* What the old database knows as the entry's newest record. */
static uint64_t head_of(struct repair *r, uint64_t id)
{
    struct fxs_db_entry e = {0};
    return r->old->reader && fxs_db_entry(r->old->reader, id, &e, NULL) == FXS_STORE_OK ? e.last
                                                                                        : 0;
}

static void lost_records(struct repair *r, const struct found *f, uint64_t end, const char *text)
{
    uint64_t first = 0, n = 0;
    if (r->old->reader)
        fxs_scan_count(r->old->reader, f->id, end, &first, &n);
    r->report(r->ctx, &(struct fxs_fault){.kind = FXS_LOST_RECORDS,
                                          .file = "",
                                          .entry = f->id,
                                          .number = first ? first : end + 1,
                                          .count = n,
                                          .text = text});
}

static void take(struct repair *r, const struct found *f)
{
    char text[FXS_STORE_WHY];
    uint64_t end = f->info.position, bytes = 0;
    struct fxs_snapshot_commit c = {.cls = f->info.cls,
                                    .position = f->info.position,
                                    .note = f->note,
                                    .note_size = f->note_size};
    struct fxs_snapshot_sum sum = {f->info.bytes, f->info.hash};
    enum fxs_store_rc rc = FXS_STORE_OK;
    if (!share(r, f->file))
        return;
    r->totals->entries++;
    r->totals->bytes += f->info.bytes;
    r->rc = fxs_db_put_entry(r->db, f->id, &c, &sum, f->file, (int64_t)f->ms, r->why);
    if (r->rc == FXS_STORE_OK && r->old->reader)
        rc = fxs_chain(r->old, f->id, end, take_record, r, &end, text);
    if (r->rc != FXS_STORE_OK)
        return;
    uint64_t head = head_of(r, f->id);
    if (!r->old->reader)
        rc = fxs_why(FXS_STORE_DAMAGED, text, "the changes since its snapshot are lost");
    else if (rc == FXS_STORE_OK && end < head)
        rc = fxs_why(FXS_STORE_DAMAGED, text, "records up to %" PRIu64 " are missing", head);
    if (rc != FXS_STORE_OK) {
        lost_records(r, f, end, text);
        if (!ends_at(r, f->id, end))
            return;
    }
    if (end > r->newest)
        r->newest = end;
    if (head > r->newest)
        r->newest = head;
    (void)((r->rc = fxs_db_log_bytes(r->db, f->id, f->info.position, &bytes, r->why)) ||
           (r->rc = fxs_db_set_head(r->db, f->id, end, bytes, r->why)));
}

static int take_name(void *ctx, sqlite3_stmt *st)
{
    struct repair *r = ctx;
    struct found *f = find(r, fxs_sql_number(st, 1));
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
    const struct found *f = find(r, entry);
    bool lost = f && !f->good;
    for (size_t i = 0; i < r->nends; i++)
        lost |= r->ends[i].entry == entry && number > r->ends[i].number;
    if (lost) {
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
    const struct found *f = find(r, fxs_sql_number(st, 1));
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

static enum fxs_store_rc take_tables(struct repair *r)
{
    bool broken = false, answers = true;
    if (r->old->reader) {
        r->rc = fxs_scan(r->old->reader, FXS_SCAN_NAMES, take_name, r, &broken, r->why);
        if (broken)
            note(r, FXS_LOST_NAMES, "some names cannot be read");
        if (r->rc == FXS_STORE_OK)
            r->rc = fxs_scan(r->old->reader, FXS_SCAN_ANSWERS, take_answer, r, &answers, r->why);
        if (r->rc == FXS_STORE_OK)
            r->rc = fxs_scan(r->old->reader, FXS_SCAN_ASIDE, take_aside, r, &broken, r->why);
    }
    if (answers || r->lost_answers)
        note(r, FXS_LOST_ANSWERS,
             answers ? "answers to some requests are lost"
                     : "answers to requests whose changes are lost are removed");
    tell_nameless(r);
    if (r->rc == FXS_STORE_OK)
        name_nameless(r);
    return r->rc;
}

/* --- the whole --- */

static void find_entries(struct repair *r)
{
    r->unlisted = true;
    if (r->old->reader)
        r->rc = fxs_scan(r->old->reader, FXS_SCAN_ENTRIES, take_entry, r, &r->unlisted, r->why);
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
            take(r, &r->found[i]);
    if (r->rc != FXS_STORE_OK || take_tables(r) != FXS_STORE_OK)
        return r->rc;
    /* Numbers are not used twice, also those that were given to what is lost. */
    if (!r->old->reader || fxs_db_newest(r->old->reader, &number, &entry, why) != FXS_STORE_OK) {
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

static enum fxs_store_rc make_durable(struct repair *r, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0 || fsync(r->new->dir) != 0)
        r->rc = fxs_io_error(r->why, "sync", path);
    if (fd >= 0)
        close(fd);
    return r->rc;
}

enum fxs_store_rc fxs_store_repair(const char *dir, const char *to, fxs_fault_fn report, void *ctx,
                                   struct fxs_totals *totals, char *why)
{
    struct repair r = {.report = report, .ctx = ctx, .totals = totals, .why = why};
    char path[PATH_MAX], own[FXS_STORE_WHY];
    memset(totals, 0, sizeof *totals);
    if (!why)
        r.why = why = own;
    fxs_stream_settle(dir);
    if ((r.rc = fxs_view_dir(&r.old, dir, why)) != FXS_STORE_OK)
        return r.rc;
    if ((r.rc = fxs_take_lock(r.old, why)) != FXS_STORE_OK)
        goto out;
    if (mkdir(to, 0700) != 0) {
        r.rc = fxs_io_error(why, "make the directory", to);
        goto out;
    }
    snprintf(path, sizeof path, "%s/store.db", r.old->path);
    enum fxs_store_rc rc =
        access(path, F_OK) ? FXS_STORE_NONE : fxs_db_view(&r.old->reader, path, why);
    if (rc == FXS_STORE_NEWER) {
        r.rc = rc;
        goto failed;
    }
    if (rc != FXS_STORE_OK)
        r.old->reader = NULL;
    snprintf(path, sizeof path, "%s/store.db", to);
    (void)((r.rc = fxs_view_dir(&r.new, to, why)) || (r.rc = fxs_db_create(path, why)) ||
           (r.rc = fxs_db_open(&r.db, path, why)) || (r.rc = build(&r)));
    fxs_db_close(r.db, r.rc == FXS_STORE_OK);
    if (r.rc == FXS_STORE_OK)
        make_durable(&r, path);
failed:
    if (r.rc != FXS_STORE_OK)
        fxs_store_remove(to);
out:
    for (size_t i = 0; i < r.nfound; i++)
        free(r.found[i].note);
    free(r.found);
    free(r.ends);
    fxs_store_close(r.new);
    fxs_store_close(r.old);
    return r.rc;
}
