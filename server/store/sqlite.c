/* SPDX-License-Identifier: Apache-2.0 */
/* The database: opening it, transactions, and what SQLite's errors mean for the store. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "server/store/internal.h"
#include "server/store/pages.h"
#include "server/store/sql.h"

enum {
    APPLICATION = 0x46585353, /* "FXSS" */
    FORMAT = 2,               /* 1: without the table `stream` */
    WAIT_MS = 10000           /* for a lock: another program that looks at the database */
};

/* An error of the operating system that means: no space. */
static bool is_space(int e)
{
    return e == ENOSPC || e == EDQUOT || e == EFBIG;
}

static enum fxs_store_rc meaning(sqlite3 *db)
{
    int code = sqlite3_extended_errcode(db), e = sqlite3_system_errno(db);
    switch (code & 0xff) {
    case SQLITE_FULL:
        return FXS_STORE_FULL;
    case SQLITE_NOMEM:
        return FXS_STORE_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return FXS_STORE_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR: /* a table is missing */
    case SQLITE_MISMATCH:
        return FXS_STORE_DAMAGED;
    case SQLITE_CANTOPEN:
        return is_space(e) ? FXS_STORE_FULL : FXS_STORE_FAILED;
    case SQLITE_IOERR:
        break;
    default:
        return FXS_STORE_FAILED;
    }
    switch (code) {
    case SQLITE_IOERR_NOMEM:
        return FXS_STORE_MEMORY;
    case SQLITE_IOERR_READ:
    case SQLITE_IOERR_SHORT_READ:
    case SQLITE_IOERR_DATA:
    case SQLITE_IOERR_CORRUPTFS:
        return FXS_STORE_DAMAGED;
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
        return FXS_STORE_FAILED;
    default:
        return is_space(e) ? FXS_STORE_FULL : FXS_STORE_FAILED;
    }
}

enum fxs_store_rc fxs_sql_error(struct fxs_db *db, char *why)
{
    int code = sqlite3_extended_errcode(db->sqlite);
    if (code == SQLITE_IOERR_DATA)
        return fxs_why(FXS_STORE_DAMAGED, why, "%s: a page has a wrong checksum", db->path);
    enum fxs_store_rc rc = meaning(db->sqlite);
    int e = rc == FXS_STORE_FULL || rc == FXS_STORE_FAILED ? sqlite3_system_errno(db->sqlite) : 0;
    return fxs_why(rc, why, "%s: %s (SQLite error %d)%s%s", db->path, sqlite3_errmsg(db->sqlite),
                   code, e ? ": " : "", e ? strerror(e) : "");
}

sqlite3_stmt *fxs_sql(struct fxs_db *db, int index, const char *text, enum fxs_store_rc *rc,
                      char *why, const char *types, ...)
{
    sqlite3_stmt *st = db->statements[index];
    if (!st) {
        if (sqlite3_prepare_v3(db->sqlite, text, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) !=
            SQLITE_OK) {
            *rc = fxs_sql_error(db, why);
            return NULL;
        }
        db->statements[index] = st;
    }
    sqlite3_reset(st);
    va_list args;
    va_start(args, types);
    int at = 0, ok = SQLITE_OK;
    for (const char *t = types; *t && ok == SQLITE_OK; t++) {
        at++;
        if (*t == 'i') {
            ok = sqlite3_bind_int64(st, at, (sqlite3_int64)va_arg(args, uint64_t));
        } else if (*t == 't') {
            ok = sqlite3_bind_text(st, at, va_arg(args, const char *), -1, SQLITE_STATIC);
        } else {
            const void *blob = va_arg(args, const void *);
            size_t size = va_arg(args, size_t);
            /* A blob of no bytes is not NULL. */
            ok = sqlite3_bind_blob64(st, at, blob && !size ? "" : blob, size, SQLITE_STATIC);
        }
    }
    va_end(args);
    if (ok == SQLITE_OK)
        return st;
    *rc = fxs_sql_error(db, why);
    return NULL;
}

enum fxs_store_rc fxs_sql_step(struct fxs_db *db, sqlite3_stmt *st, char *why)
{
    enum fxs_store_rc rc = FXS_STORE_NONE;
    int code = sqlite3_step(st);
    if (code == SQLITE_ROW)
        return FXS_STORE_OK;
    if (code != SQLITE_DONE)
        rc = fxs_sql_error(db, why);
    sqlite3_reset(st);
    return rc;
}

static enum fxs_store_rc run(struct fxs_db *db, const char *sql, char *why)
{
    if (sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK)
        return FXS_STORE_OK;
    return fxs_sql_error(db, why);
}

/* The value of a pragma. */
static enum fxs_store_rc ask(struct fxs_db *db, const char *sql, long *value, char *why)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db->sqlite, sql, -1, &st, NULL) != SQLITE_OK)
        return fxs_sql_error(db, why);
    enum fxs_store_rc rc = fxs_sql_step(db, st, why);
    if (rc == FXS_STORE_OK)
        *value = (long)sqlite3_column_int64(st, 0);
    else if (rc == FXS_STORE_NONE)
        rc = fxs_why(FXS_STORE_DAMAGED, why, "%s: %s has no value", db->path, sql);
    sqlite3_finalize(st);
    return rc;
}

/* --- opening --- */

static int on_commit(void *ctx, sqlite3 *sqlite, const char *name, int pages)
{
    (void)sqlite, (void)name;
    struct fxs_db *db = ctx;
    db->wal_pages = pages;
    if (db->synced) /* one that has changed nothing does not come here, and syncs nothing */
        db->wal_frames = pages;
    return SQLITE_OK;
}

static enum fxs_store_rc connect(struct fxs_db **out, const char *path, int flags, char *why)
{
    struct fxs_db *db = calloc(1, sizeof *db);
    const char *vfs = fxs_pages_register();
    if (!db || !vfs) {
        free(db);
        return fxs_why(FXS_STORE_MEMORY, why, "%s: no memory to open it", path);
    }
    *out = db;
    db->path = strdup(path);
    if (!db->path)
        return fxs_why(FXS_STORE_MEMORY, why, "%s: no memory to open it", path);
    if (sqlite3_open_v2(path, &db->sqlite, flags | SQLITE_OPEN_NOMUTEX, vfs) != SQLITE_OK)
        return fxs_sql_error(db, why);
    sqlite3_extended_result_codes(db->sqlite, 1);
    sqlite3_busy_timeout(db->sqlite, WAIT_MS);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_create(const char *path, char *why)
{
    struct fxs_db *db = NULL;
    char format[80];
    enum fxs_store_rc rc = connect(&db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, why);
    if (rc != FXS_STORE_OK)
        goto out;
    int reserve = FXS_PAGE_RESERVED;
    sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve);
    sqlite3_snprintf(sizeof format, format, "PRAGMA application_id=%d; PRAGMA user_version=%d",
                     APPLICATION, FORMAT);
    /* It has a temporary name: no journal is needed. */
    (void)((rc = run(db, "PRAGMA page_size=4096; PRAGMA journal_mode=OFF; BEGIN", why)) ||
           (rc = run(db, fxs_sql_tables, why)) || (rc = run(db, fxs_sql_new_tables, why)) ||
           (rc = run(db, format, why)) || (rc = run(db, "COMMIT; PRAGMA journal_mode=WAL", why)));
out:
    fxs_db_close(db, rc == FXS_STORE_OK);
    return rc;
}

static enum fxs_store_rc check(struct fxs_db *db, char *why)
{
    long application = 0, format = 0, page = 0;
    enum fxs_store_rc rc;
    if ((rc = ask(db, "PRAGMA application_id", &application, why)) ||
        (rc = ask(db, "PRAGMA user_version", &format, why)) ||
        (rc = ask(db, "PRAGMA page_size", &page, why)))
        return rc;
    int reserve = -1;
    sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve);
    if (application != APPLICATION || page != FXS_PAGE_SIZE || reserve != FXS_PAGE_RESERVED)
        return fxs_why(FXS_STORE_DAMAGED, why,
                       "%s: not a store (application %#lx, expected %#x; pages of %ld bytes with "
                       "%d reserved, expected %d with %d)",
                       db->path, application, APPLICATION, page, reserve, FXS_PAGE_SIZE,
                       FXS_PAGE_RESERVED);
    if (format > FORMAT)
        return fxs_why(FXS_STORE_NEWER, why,
                       "%s: has format %ld, but this program knows formats up to %d", db->path,
                       format, FORMAT);
    if (format < 1)
        return fxs_why(FXS_STORE_DAMAGED, why, "%s: has format %ld, expected 1 to %d", db->path,
                       format, FORMAT);
    db->format = format;
    return FXS_STORE_OK;
}

/* A store that an older program wrote. */
static enum fxs_store_rc upgrade(struct fxs_db *db, char *why)
{
    char format[64];
    enum fxs_store_rc rc;
    if (db->format == FORMAT)
        return FXS_STORE_OK;
    sqlite3_snprintf(sizeof format, format, "PRAGMA user_version=%d; COMMIT", FORMAT);
    if ((rc = fxs_db_begin(db, why)) || (rc = run(db, fxs_sql_new_tables, why)) ||
        (rc = run(db, format, why))) {
        fxs_db_rollback(db);
        return rc;
    }
    db->format = FORMAT;
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_open(struct fxs_db **out, const char *path, char *why)
{
    struct fxs_db *db = NULL;
    enum fxs_store_rc rc = connect(&db, path, SQLITE_OPEN_READWRITE, why);
    (void)(rc ||
           (rc = run(db,
                     "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; "
                     "PRAGMA cell_size_check=ON; PRAGMA cache_size=-8000",
                     why)) ||
           (rc = check(db, why)) ||
           (rc = run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", why)));
    if (rc == FXS_STORE_OK) {
        db->synced = true;
        sqlite3_wal_hook(db->sqlite, on_commit,
                         db); /* before anything is committed: no checkpoints */
        rc = upgrade(db, why);
    }
    if (rc != FXS_STORE_OK) {
        fxs_db_close(db, false);
        return rc;
    }
    *out = db;
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_view(struct fxs_db **out, const char *path, char *why)
{
    struct fxs_db *db = NULL;
    /* Reading while another process writes needs memory that both share, which is a file. */
    enum fxs_store_rc rc = connect(&db, path, SQLITE_OPEN_READWRITE, why);
    (void)(rc ||
           (rc = run(db,
                     "PRAGMA query_only=ON; PRAGMA temp_store=MEMORY; "
                     "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON",
                     why)) ||
           (rc = check(db, why)));
    if (rc != FXS_STORE_OK) {
        fxs_db_close(db, false);
        return rc;
    }
    *out = db;
    return FXS_STORE_OK;
}

void fxs_db_keep_files(struct fxs_db *db)
{
    int keep = 1;
    sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    run(db, "PRAGMA journal_size_limit=0", NULL);
}

void fxs_db_close(struct fxs_db *db, bool tidy)
{
    if (!db)
        return;
    for (int i = 0; i < FXS_SQL_COUNT; i++)
        sqlite3_finalize(db->statements[i]);
    if (db->sqlite && !tidy)
        sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(db->sqlite);
    free((char *)db->path);
    free(db);
}

/* --- transactions --- */

enum fxs_store_rc fxs_db_begin(struct fxs_db *db, char *why)
{
    return run(db, "BEGIN IMMEDIATE", why);
}

enum fxs_store_rc fxs_db_commit(struct fxs_db *db, bool later, char *why)
{
    sqlite3_file *log = NULL;
    if (later)
        sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log)
        fxs_page_sync_later(log, true);
    db->synced = !log;
    enum fxs_store_rc rc = run(db, "COMMIT", why);
    db->synced = true;
    if (log)
        fxs_page_sync_later(log, false);
    return rc;
}

void fxs_db_rollback(struct fxs_db *db)
{
    for (int i = 0; i < FXS_SQL_COUNT; i++)
        sqlite3_reset(db->statements[i]);
    if (!sqlite3_get_autocommit(db->sqlite))
        run(db, "ROLLBACK", NULL);
}

uint64_t fxs_db_wal_bytes(const struct fxs_db *db)
{
    return (uint64_t)db->wal_pages * FXS_PAGE_SIZE;
}

uint64_t fxs_db_wal_frames(const struct fxs_db *db)
{
    return (uint64_t)db->wal_frames;
}

enum fxs_store_rc fxs_db_checkpoint(struct fxs_db *db, char *why)
{
    int all = 0, moved = 0;
    if (sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, &all, &moved) !=
        SQLITE_OK) {
        if (!db->wal_pages)
            db->wal_pages = 1; /* those of a process before were not counted */
        return fxs_sql_error(db, why);
    }
    /* The next transaction begins at the front of the file, unless a reader was in the way. */
    db->wal_pages = all - moved;
    if (all == moved)
        db->wal_frames = 0;
    return FXS_STORE_OK;
}
