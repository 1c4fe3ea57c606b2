/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that is wrong in a store.  Another process may write to it meanwhile: what seems wrong
 * of an entry is only reported if it is still so after the entry has been read again. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/store/mark.h"
#include "server/store/pages.h"
#include "server/store/scan.h"
#include "server/store/spare.h"
#include "server/store/stream.h"

enum { TRIES = 5, PAUSE_NS = 20000000 };

struct check {
    struct fxs_store *s;
    fxs_fault_fn report;
    void *ctx;
    struct fxs_totals *totals;
    struct known { /* files that are needed */
        char file[FXS_FILE_NAME];
    } * known;
    size_t nknown, cap;
    struct newest { /* record of each entry that has large ones without rows */
        uint64_t entry, number;
        bool there;
    } * newest;
    size_t nnewest;
    const struct fxs_entry *entry;
    bool memory, unlisted;
    enum fxs_store_rc rc; /* what kept the check from being made, and why */
    char *why;
};

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
}

static void fault(struct check *c, enum fxs_fault_kind kind, const char *file, const char *text)
{
    c->report(c->ctx, &(struct fxs_fault){.kind = kind, .file = file, .text = text});
}

static void fault_of(struct check *c, enum fxs_fault_kind kind, const struct fxs_entry *e,
                     const char *file, uint64_t number, uint64_t count, const char *text)
{
    c->report(c->ctx, &(struct fxs_fault){.kind = kind,
                                          .file = file,
                                          .entry = e->id,
                                          .names = e->names,
                                          .nnames = e->nnames,
                                          .number = number,
                                          .count = count,
                                          .text = text});
}

/* --- the database --- */

static bool is_bad(int fd, uint64_t page)
{
    char p[FXS_PAGE_SIZE];
    for (int i = 0; i < TRIES; i++) {
        if (pread(fd, p, sizeof p, (off_t)((page - 1) * FXS_PAGE_SIZE)) != (ssize_t)sizeof p ||
            fxs_page_is_good(p, page))
            return false;
        pause_a_little(); /* it may have been read while it was written */
    }
    return true;
}

static void check_pages(struct check *c)
{
    char text[FXS_STORE_WHY], page[FXS_PAGE_SIZE];
    struct stat st;
    int fd = openat(c->s->dir, "store.db", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT)
        return; /* opening it as a database says what is wrong */
    if (fd < 0) {
        fxs_why(FXS_STORE_DAMAGED, text, "store.db: %s", strerror(errno));
        fault(c, FXS_FAULT_DATABASE, "store.db", text);
        return;
    }
    if (fstat(fd, &st) != 0)
        st.st_size = 0;
    if (st.st_size % FXS_PAGE_SIZE)
        fault(c, FXS_FAULT_DATABASE, "store.db", "store.db ends within a page");
    uint64_t n = 1;
    for (;; n++) {
        ssize_t got = pread(fd, page, sizeof page, (off_t)((n - 1) * FXS_PAGE_SIZE));
        bool unreadable = got < 0 && errno == EIO;
        if (got != (ssize_t)sizeof page && !unreadable)
            break;
        if (unreadable) {
            fxs_why(FXS_STORE_DAMAGED, text, "store.db: page %" PRIu64 " cannot be read: %s", n,
                    strerror(errno));
            fault(c, FXS_FAULT_DATABASE, "store.db", text);
            if (n * FXS_PAGE_SIZE >= (uint64_t)st.st_size)
                break;
        } else if (!fxs_page_is_good(page, n) && is_bad(fd, n)) {
            fxs_why(FXS_STORE_DAMAGED, text, "store.db: page %" PRIu64 " has a wrong checksum", n);
            fault(c, FXS_FAULT_DATABASE, "store.db", text);
        }
        if (fxs_store_moved)
            fxs_store_moved(sizeof page);
    }
    c->totals->bytes += (n - 1) * FXS_PAGE_SIZE;
    close(fd);
}

static void of_integrity(void *ctx, const char *text)
{
    fault(ctx, FXS_FAULT_DATABASE, "store.db", text);
}

static int count_answer(void *ctx, sqlite3_stmt *st)
{
    struct check *c = ctx;
    if (sqlite3_column_bytes(st, 0) != FXS_CALLER_SIZE)
        fault(c, FXS_FAULT_DATABASE, "store.db", "an answer has a caller of a wrong size");
    c->totals->answers++;
    return 0;
}

static int of_nobody(void *ctx, sqlite3_stmt *st)
{
    char text[FXS_STORE_WHY];
    fxs_why(FXS_STORE_DAMAGED, text,
            "%" PRIu64 " records are of entry %" PRIu64 ", which is not there",
            fxs_sql_number(st, 1), fxs_sql_number(st, 0));
    fault(ctx, FXS_FAULT_DATABASE, "store.db", text);
    return 0;
}

static int check_name(void *ctx, sqlite3_stmt *st)
{
    struct check *c = ctx;
    struct fxs_db_entry e;
    const char *name = fxs_scan_text(st, 0);
    if (fxs_db_entry(c->s->reader, fxs_sql_number(st, 1), &e, NULL) == FXS_STORE_NONE)
        c->report(c->ctx, &(struct fxs_fault){.kind = FXS_FAULT_NAME,
                                              .file = "store.db",
                                              .entry = fxs_sql_number(st, 1),
                                              .names = &name,
                                              .nnames = 1,
                                              .text = "the name stands for no index"});
    return 0;
}

/* --- entries --- */

static void know(struct check *c, const char *file)
{
    if (c->nknown == c->cap) {
        size_t cap = c->cap * 2 + 16;
        void *more = realloc(c->known, cap * sizeof *c->known);
        if (!more) {
            c->memory = true;
            return;
        }
        c->known = more;
        c->cap = cap;
    }
    snprintf(c->known[c->nknown++].file, FXS_FILE_NAME, "%s", file);
}

static int count_record(void *ctx, const struct fxs_row *row)
{
    uint64_t *n = ctx;
    n[0]++;
    n[1] += row->size;
    return 0;
}

/* The snapshot as the database has it. */
static enum fxs_store_rc check_snapshot(struct fxs_store *s, uint64_t id,
                                        const struct fxs_db_entry *e, char *why)
{
    struct fxs_snapshot_info i;
    int fd = openat(s->dir, e->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fxs_why(fxs_open_error(), why, "%s: %s", e->file, strerror(errno));
    enum fxs_store_rc rc = fxs_snapshot_examine(s->path, fd, e->file, &i, why);
    close(fd);
    if (rc == FXS_STORE_OK &&
        (i.entry != id || i.position != e->position || i.bytes != e->bytes || i.hash != e->hash))
        return fxs_why(FXS_STORE_DAMAGED, why, "%s is another one than the database says", e->file);
    return rc;
}

/* Is it not known whether there is damage? */
static bool is_unknown(enum fxs_store_rc rc)
{
    return rc == FXS_STORE_MEMORY || rc == FXS_STORE_FAILED;
}

/* Reads an entry.  Returns false if it has changed meanwhile, and something seemed wrong. */
static bool check_once(struct check *c, const struct fxs_entry *e, bool last)
{
    struct fxs_db_entry before, after;
    char why[FXS_STORE_WHY], records[FXS_STORE_WHY] = "";
    uint64_t n[2] = {0, 0}, end = 0, first = 0, count = 0;
    enum fxs_store_rc rc = fxs_db_entry(c->s->reader, e->id, &before, why);
    if (rc == FXS_STORE_NONE)
        return true; /* removed, or without a head, which integrity does not know of */
    if (rc != FXS_STORE_OK) {
        fault_of(c, FXS_FAULT_DATABASE, e, "store.db", 0, 0, why);
        return true;
    }
    enum fxs_store_rc snapshot = check_snapshot(c->s, e->id, &before, why);
    rc = fxs_chain(c->s, e->id, before.position, count_record, n, &end, records);
    if (is_unknown(snapshot) || is_unknown(rc)) {
        c->rc = is_unknown(rc) ? fxs_why(rc, c->why, "%s", records)
                               : fxs_why(snapshot, c->why, "%s", why);
        return true;
    }
    if (rc == FXS_STORE_OK && end < before.last) {
        rc = FXS_STORE_DAMAGED;
        fxs_why(rc, records, "record %" PRIu64 " is missing", before.last);
    }
    if ((snapshot != FXS_STORE_OK || rc != FXS_STORE_OK) && !last) {
        pause_a_little();
        if (fxs_db_entry(c->s->reader, e->id, &after, NULL) != FXS_STORE_OK ||
            after.position != before.position || strcmp(after.file, before.file) != 0)
            return false;
    }
    know(c, before.file);
    c->totals->records += n[0];
    c->totals->bytes += before.bytes + n[1];
    if (snapshot != FXS_STORE_OK)
        fault_of(c, FXS_FAULT_SNAPSHOT, e, before.file, 0, 0, why);
    if (rc != FXS_STORE_OK) {
        fxs_scan_count(c->s->reader, e->id, end, &first, &count);
        fault_of(c, FXS_FAULT_RECORDS, e, "", first ? first : end + 1, count, records);
    }
    return true;
}

static int check_entry(void *ctx, const struct fxs_entry *e)
{
    struct check *c = ctx;
    int tries = 0;
    c->totals->entries++;
    while (!check_once(c, e, ++tries == TRIES))
        ;
    return c->rc != FXS_STORE_OK;
}

/* What is set aside is of an entry; reported with its names. */
struct aside {
    struct check *c;
    uint64_t number, entry;
    const char *reason;
};

static int of_aside(void *ctx, const struct fxs_entry *e)
{
    struct aside *a = ctx;
    if (e->id != a->entry)
        return 0;
    fault_of(a->c, FXS_NOTE_ASIDE, e, "store.db", a->number, 1, a->reason);
    return 1;
}

static int check_aside(void *ctx, sqlite3_stmt *st)
{
    struct aside a = {ctx, fxs_sql_number(st, 0), fxs_sql_number(st, 1), fxs_scan_text(st, 2)};
    fxs_store_entries(a.c->s, of_aside, &a, NULL);
    return 0;
}

/* --- files --- */

static void know_segment(void *ctx, uint64_t segment, uint64_t records)
{
    char name[FXS_FILE_NAME];
    (void)records;
    fxs_segment_name(segment, name);
    know(ctx, name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool check_file(void *ctx, const char *name)
{
    struct check *c = ctx;
    if (!fxs_is_snapshot(name) && !fxs_is_segment(name) && strncmp(name, "tmp-", 4) != 0)
        return true;
    if (fxs_is_spare(name))
        return true;
    if (!c->nknown || !bsearch(name, c->known, c->nknown, sizeof *c->known, by_name))
        fault(c, FXS_NOTE_UNUSED, name, "nothing refers to this file");
    return true;
}

/* While a process uses the store, files come and go. */
static enum fxs_store_rc check_files(struct check *c, char *why)
{
    char who[FXS_WHO];
    if (c->memory || c->unlisted || fxs_store_in_use(c->s->path, who))
        return FXS_STORE_OK;
    if (fxs_db_segments(c->s->reader, know_segment, c, NULL) != FXS_STORE_OK)
        return FXS_STORE_OK;
    if (c->nknown)
        qsort(c->known, c->nknown, sizeof *c->known, by_name);
    return fxs_each_file(c->s, check_file, c, why);
}

static struct newest *newest_of(struct check *c, uint64_t entry)
{
    struct fxs_db_entry e;
    for (size_t i = 0; i < c->nnewest; i++)
        if (c->newest[i].entry == entry)
            return &c->newest[i];
    struct newest *more = realloc(c->newest, (c->nnewest + 1) * sizeof *more);
    if (!more)
        return NULL;
    c->newest = more;
    struct newest *n = &more[c->nnewest++];
    *n = (struct newest){.entry = entry};
    n->there = fxs_db_entry(c->s->reader, entry, &e, NULL) == FXS_STORE_OK;
    if (n->there)
        n->number = e.last;
    return n;
}

/* Opening the store would refuse a record that does not follow its entry's newest one. */
static enum fxs_store_rc count_large(void *ctx, const struct fxs_row *row, char *why)
{
    struct check *c = ctx;
    struct newest *n = newest_of(c, row->entry);
    if (!n)
        return FXS_STORE_MEMORY;
    if (!n->there || n->number != row->previous)
        return fxs_why(FXS_STORE_DAMAGED, why,
                       "record %" PRIu64 " follows record %" PRIu64 " of entry %" PRIu64
                       ", which is not there",
                       row->number, row->previous, row->entry);
    n->number = row->number;
    c->totals->records++;
    c->totals->bytes += row->size;
    return FXS_STORE_OK;
}

/* Large records that have no row yet. */
static enum fxs_store_rc check_stream(struct check *c, char *why)
{
    char who[FXS_WHO], text[FXS_STORE_WHY] = "no memory for the list of indexes",
                       name[FXS_FILE_NAME];
    struct fxs_stream end = {0};
    if (fxs_store_in_use(c->s->path, who))
        return FXS_STORE_OK;
    enum fxs_store_rc rc = fxs_stream_each(c->s, c->s->reader, count_large, c, &end, text);
    if (rc == FXS_STORE_OK)
        rc = fxs_mark_verify_stream(c->s, &end, text);
    if (is_unknown(rc))
        return fxs_why(rc, why, "%s", text);
    fxs_segment_name(end.segment, name);
    if (rc != FXS_STORE_OK)
        fault(c, FXS_FAULT_RECORDS, end.segment ? name : "store.db", text);
    return FXS_STORE_OK;
}

static enum fxs_store_rc check_tables(struct check *c, char *why)
{
    bool broken = false;
    fxs_scan_integrity(c->s->reader, of_integrity, c);
    enum fxs_store_rc rc = fxs_store_entries(c->s, check_entry, c, why);
    if (c->rc != FXS_STORE_OK)
        return c->rc;
    if (rc == FXS_STORE_DAMAGED) {
        c->unlisted = true;
        fault(c, FXS_FAULT_DATABASE, "store.db", "the list of indexes cannot be read completely");
        rc = FXS_STORE_OK;
    }
    if (rc != FXS_STORE_OK)
        return rc;
    (void)((rc = fxs_scan(c->s->reader, FXS_SCAN_NAMES, check_name, c, &broken, why)) ||
           (rc = fxs_scan(c->s->reader, FXS_SCAN_LOST, of_nobody, c, &broken, why)) ||
           (rc = fxs_scan(c->s->reader, FXS_SCAN_ANSWERS, count_answer, c, &broken, why)) ||
           (rc = fxs_scan(c->s->reader, FXS_SCAN_ASIDE, check_aside, c, &broken, why)));
    return rc;
}

enum fxs_store_rc fxs_store_check(const char *dir, fxs_fault_fn report, void *ctx,
                                  struct fxs_totals *totals, char *why)
{
    struct check c = {.report = report, .ctx = ctx, .totals = totals, .why = why};
    char text[FXS_STORE_WHY];
    memset(totals, 0, sizeof *totals);
    enum fxs_store_rc rc = fxs_view_dir(&c.s, dir, why);
    if (rc != FXS_STORE_OK)
        return rc;
    check_pages(&c);
    rc = fxs_view_log(c.s, text);
    if (rc == FXS_STORE_DAMAGED)
        fault(&c, FXS_FAULT_DATABASE, "store.db-wal", text);
    if (rc == FXS_STORE_OK || rc == FXS_STORE_DAMAGED)
        rc = fxs_view_database(c.s, text);
    if (rc == FXS_STORE_NONE) {
        rc = FXS_STORE_OK; /* it was reported */
    } else if (rc == FXS_STORE_DAMAGED) {
        fault(&c, FXS_FAULT_DATABASE, "store.db", text);
        rc = FXS_STORE_OK;
    } else if (rc != FXS_STORE_OK) {
        fxs_why(rc, why, "%s", text);
    } else {
        rc = check_tables(&c, why);
        if (rc == FXS_STORE_OK)
            rc = check_stream(&c, why);
        if (rc == FXS_STORE_OK)
            rc = check_files(&c, why);
    }
    fxs_store_close(c.s);
    free(c.known);
    free(c.newest);
    return rc;
}
