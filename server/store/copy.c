/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a store that may be in use.  Snapshot files do not change, and segments only grow; so
 * the database is copied first, and then the files that the copy refers to. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "server/store/pages.h"
#include "server/store/scan.h"
#include "server/store/stream.h"

enum { BUFFER = 1 << 20 };

/* SQLite's online copy: the target is the source as it was at one moment.  It is left without a
 * write-ahead log, so that it can be read without anything being written beside it. */
enum fxs_store_rc fxs_copy_database(const char *dir, const char *to, char *why)
{
    struct fxs_store *s;
    struct fxs_db *copy = NULL;
    enum fxs_store_rc rc = fxs_store_view(&s, dir, why);
    struct fxs_db *from = rc == FXS_STORE_OK ? s->reader : NULL;
    (void)(rc || (rc = fxs_db_create(to, why)) || (rc = fxs_db_open(&copy, to, why)));
    if (rc != FXS_STORE_OK)
        goto out;
    sqlite3_backup *b = sqlite3_backup_init(copy->sqlite, "main", from->sqlite, "main");
    int code = SQLITE_ERROR;
    if (b) {
        code = sqlite3_backup_step(b, -1);
        if (fxs_store_moved)
            fxs_store_moved((uint64_t)sqlite3_backup_pagecount(b) * FXS_PAGE_SIZE);
        sqlite3_backup_finish(b);
    }
    /* Segments that are copied later may have more records than this database. */
    if (code == SQLITE_DONE && from->format > 1)
        rc = fxs_db_set_stream(copy, &(struct fxs_stream){0, 0, 0}, why);
    if (code != SQLITE_DONE)
        rc = fxs_sql_error(sqlite3_errcode(copy->sqlite) == SQLITE_OK ? from : copy, why);
    else if (rc == FXS_STORE_OK && sqlite3_exec(copy->sqlite, "PRAGMA journal_mode=DELETE", NULL,
                                                NULL, NULL) != SQLITE_OK)
        rc = fxs_sql_error(copy, why);
out:
    fxs_db_close(copy, rc == FXS_STORE_OK);
    fxs_store_close(s);
    int fd = rc == FXS_STORE_OK ? open(to, O_RDWR | O_CLOEXEC) : -1;
    if (rc == FXS_STORE_OK && (fd < 0 || fsync(fd) != 0))
        rc = fxs_io_error(why, "sync", to);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* --- what a copy needs --- */

struct needs {
    int (*f)(void *ctx, const struct fxs_needed *n);
    void *ctx;
    bool ended;
    struct fxs_db *db;
};

static int need_snapshot(void *ctx, const struct fxs_entry *e, const char *file)
{
    struct needs *w = ctx;
    struct fxs_needed n = {.bytes = e->snapshot_bytes + FXS_FOOTER_SIZE, .entry = *e};
    n.need = n.bytes;
    snprintf(n.file, sizeof n.file, "%s", file);
    w->ended = w->f(w->ctx, &n) != 0;
    return w->ended;
}

static enum fxs_store_rc need_segments(struct needs *w, char *why)
{
    sqlite3_stmt *st = NULL;
    enum fxs_store_rc rc = FXS_STORE_OK;
    if (sqlite3_prepare_v2(w->db->sqlite,
                           "SELECT segment, max(offset + size), sum(size) FROM records"
                           " WHERE segment > 0 GROUP BY segment",
                           -1, &st, NULL) != SQLITE_OK)
        return fxs_sql_error(w->db, why);
    while (!w->ended && (rc = fxs_sql_step(w->db, st, why)) == FXS_STORE_OK) {
        struct fxs_needed n = {.segment = fxs_sql_number(st, 0),
                               .bytes = fxs_sql_number(st, 1),
                               .need = fxs_sql_number(st, 2)};
        fxs_segment_name(n.segment, n.file);
        w->ended = w->f(w->ctx, &n) != 0;
    }
    sqlite3_finalize(st);
    return rc == FXS_STORE_NONE ? FXS_STORE_OK : rc;
}

enum fxs_store_rc fxs_copy_needs(const char *database,
                                 int (*f)(void *ctx, const struct fxs_needed *n), void *ctx,
                                 char *why)
{
    struct needs w = {.f = f, .ctx = ctx};
    enum fxs_store_rc rc = fxs_db_view(&w.db, database, why);
    if (rc == FXS_STORE_OK)
        rc = fxs_db_list(w.db, need_snapshot, &w, why);
    if (rc == FXS_STORE_OK && !w.ended)
        rc = need_segments(&w, why);
    fxs_db_close(w.db, false);
    return rc;
}

/* --- segments --- */

/* FXS_STORE_NONE: `to` has something else there. */
static enum fxs_store_rc verify_record(const struct fxs_row *row, struct fxs_buffer *b, int to)
{
    if (row->size > b->cap || !b->data) {
        free(b->data);
        b->cap = 0;
        if (posix_memalign(&b->data, 64, row->size) != 0) {
            b->data = NULL;
            return FXS_STORE_MEMORY;
        }
        b->cap = row->size;
    }
    for (uint64_t got = 0; got < row->size;) {
        ssize_t n = pread(to, (char *)b->data + got, row->size - got, (off_t)(row->offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FXS_STORE_NONE;
        got += (uint64_t)n;
    }
    return fxs_row_hash(row, &(struct iovec){b->data, row->size}, 1) == row->hash ? FXS_STORE_OK
                                                                                  : FXS_STORE_NONE;
}

static enum fxs_store_rc copy_record(struct fxs_store *from, struct fxs_row *row,
                                     struct fxs_buffer *b, int to, uint64_t *copied, char *why)
{
    enum fxs_store_rc rc = fxs_row_load(from, row, b, why);
    if (rc != FXS_STORE_OK)
        return rc;
    uint8_t head[FXS_HEAD_SIZE];
    size_t before = fxs_stream_read_head(from, row, head) ? FXS_HEAD_SIZE : 0;
    struct iovec iov[] = {{head, before}, {b->data, row->size}};
    if (fxs_write_all(to, iov, 2, (off_t)(row->offset - before)) != 0)
        return fxs_io_error(why, "write", "the copy of a segment");
    *copied += before + row->size;
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_copy_segment(const char *database, const char *dir, uint64_t segment, int to,
                                   uint64_t have, uint64_t *copied, char *why)
{
    struct fxs_store *from = NULL;
    struct fxs_db *db = NULL;
    struct fxs_buffer b = {0};
    struct fxs_row row;
    sqlite3_stmt *st = NULL;
    *copied = 0;
    enum fxs_store_rc rc = fxs_view_dir(&from, dir, why);
    if (rc != FXS_STORE_OK || (rc = fxs_db_view(&db, database, why)) != FXS_STORE_OK)
        goto out;
    if (sqlite3_prepare_v2(db->sqlite,
                           "SELECT number, previous, caller, caller_number, hash, flags, segment,"
                           " offset, size, 0, data, ms, entry FROM records WHERE segment = ?"
                           " ORDER BY offset",
                           -1, &st, NULL) != SQLITE_OK ||
        sqlite3_bind_int64(st, 1, (sqlite3_int64)segment) != SQLITE_OK) {
        rc = fxs_sql_error(db, why);
        goto out;
    }
    for (;;) {
        rc = fxs_sql_step(db, st, why);
        if (rc == FXS_STORE_NONE) {
            rc = FXS_STORE_OK;
            break;
        }
        if (rc != FXS_STORE_OK ||
            (rc = fxs_row_read(db, st, fxs_sql_number(st, 12), &row, why)) != FXS_STORE_OK)
            break;
        if (row.offset >= have)
            rc = copy_record(from, &row, &b, to, copied, why);
        else
            rc = row.offset + row.size <= have ? verify_record(&row, &b, to) : FXS_STORE_NONE;
        if (rc != FXS_STORE_OK)
            break;
    }
out:
    sqlite3_finalize(st);
    fxs_db_close(db, false);
    fxs_store_close(from);
    free(b.data);
    return rc;
}

/* --- files --- */

enum fxs_store_rc fxs_copy_file(int from, const char *from_name, int to, const char *to_name,
                                uint64_t bytes, uint64_t *size, uint64_t *hash, char *why)
{
    XXH3_state_t *state = XXH3_createState();
    char *buffer = malloc(BUFFER);
    enum fxs_store_rc rc = FXS_STORE_OK;
    uint64_t at = 0;
    if (!state || !buffer)
        rc = fxs_why(FXS_STORE_MEMORY, why, "no memory to copy %s", from_name);
    if (state)
        XXH3_64bits_reset(state);
    while (rc == FXS_STORE_OK && at < bytes) {
        uint64_t want = bytes - at < BUFFER ? bytes - at : BUFFER;
        ssize_t n = pread(from, buffer, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = fxs_why(FXS_STORE_DAMAGED, why, "cannot read %s: %s", from_name, strerror(errno));
        if (n <= 0)
            break;
        XXH3_64bits_update(state, buffer, (size_t)n);
        struct iovec iov = {buffer, (size_t)n};
        if (to >= 0 && fxs_write_all(to, &iov, 1, (off_t)at) != 0)
            rc = fxs_io_error(why, "write", to_name);
        at += (uint64_t)n;
        if (fxs_store_moved)
            fxs_store_moved((uint64_t)n);
    }
    if (rc == FXS_STORE_OK && to >= 0 && fxs_store_io.sync(to) != 0)
        rc = fxs_io_error(why, "sync", to_name);
    *size = at;
    *hash = state ? XXH3_64bits_digest(state) : 0;
    if (state)
        XXH3_freeState(state);
    free(buffer);
    return rc;
}
