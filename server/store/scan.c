/* SPDX-License-Identifier: Apache-2.0 */
/* Reading tables of which a part may be damaged.  Nothing here is cached: after an error each
 * attempt begins anew. */
#include "server/store/scan.h"

#include <string.h>

/* Each table by itself: another one may be damaged. */
static const struct {
    const char *rows, *order, *back;
} scans[] = {
    [FXS_SCAN_ENTRIES] = {"SELECT id, class, position, file, bytes, hash, ms, note FROM entries",
                          " ORDER BY id", " ORDER BY id DESC"},
    [FXS_SCAN_NAMES] = {"SELECT name, entry FROM names", " ORDER BY name", " ORDER BY name DESC"},
    [FXS_SCAN_ANSWERS] = {"SELECT caller, caller_number, entry, number, ms, answer FROM answers",
                          " ORDER BY caller, caller_number",
                          " ORDER BY caller DESC, caller_number DESC"},
    [FXS_SCAN_ASIDE] = {"SELECT number, entry, reason FROM aside", " ORDER BY number",
                        " ORDER BY number DESC"},
    [FXS_SCAN_LOST] = {"SELECT entry, count(*) FROM records r WHERE"
                       " NOT EXISTS(SELECT 1 FROM entries e WHERE e.id = r.entry) AND"
                       " NOT EXISTS(SELECT 1 FROM trim t WHERE t.entry = r.entry)",
                       " GROUP BY entry", " GROUP BY entry"},
};

const char *fxs_scan_text(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    return text ? text : "";
}

static enum fxs_store_rc once(struct fxs_db *db, const char *rows, const char *order,
                              int (*f)(void *ctx, sqlite3_stmt *st), void *ctx, char *why)
{
    char sql[512];
    sqlite3_stmt *st = NULL;
    enum fxs_store_rc rc = FXS_STORE_OK;
    snprintf(sql, sizeof sql, "%s%s", rows, order);
    if (sqlite3_prepare_v2(db->sqlite, sql, -1, &st, NULL) != SQLITE_OK)
        return fxs_sql_error(db, why);
    while (rc == FXS_STORE_OK && (rc = fxs_sql_step(db, st, why)) == FXS_STORE_OK)
        if (f(ctx, st) != 0)
            break;
    sqlite3_finalize(st);
    return rc == FXS_STORE_NONE ? FXS_STORE_OK : rc;
}

enum fxs_store_rc fxs_scan(struct fxs_db *db, enum fxs_scan what,
                           int (*f)(void *ctx, sqlite3_stmt *st), void *ctx, bool *broken,
                           char *why)
{
    enum fxs_store_rc rc = once(db, scans[what].rows, scans[what].order, f, ctx, why);
    *broken = rc == FXS_STORE_DAMAGED || rc == FXS_STORE_FAILED;
    if (!*broken)
        return rc;
    rc = once(db, scans[what].rows, scans[what].back, f, ctx, NULL);
    return rc == FXS_STORE_MEMORY ? fxs_why(rc, why, "no memory to read the database")
                                  : FXS_STORE_OK;
}

/* --- records --- */

#define COLUMNS                                                                          \
    "SELECT number, previous, caller, caller_number, hash, flags, segment, offset, size" \
    ", 0, data, ms FROM records "

static enum fxs_store_rc records(struct fxs_db *db, const char *sql, uint64_t entry,
                                 uint64_t *after, bool *ended,
                                 int (*f)(void *ctx, const struct fxs_row *row), void *ctx,
                                 char *why)
{
    sqlite3_stmt *st = NULL;
    struct fxs_row row;
    enum fxs_store_rc rc;
    if (sqlite3_prepare_v2(db->sqlite, sql, -1, &st, NULL) != SQLITE_OK ||
        sqlite3_bind_int64(st, 1, (sqlite3_int64)entry) != SQLITE_OK ||
        sqlite3_bind_int64(st, 2, (sqlite3_int64)*after) != SQLITE_OK) {
        rc = fxs_sql_error(db, why);
        sqlite3_finalize(st);
        return rc;
    }
    while ((rc = fxs_sql_step(db, st, why)) == FXS_STORE_OK &&
           (rc = fxs_row_read(db, st, entry, &row, why)) == FXS_STORE_OK) {
        if (f(ctx, &row) != 0) {
            *ended = true;
            break;
        }
        *after = row.number;
    }
    sqlite3_finalize(st);
    return rc == FXS_STORE_NONE ? FXS_STORE_OK : rc;
}

enum fxs_store_rc fxs_scan_records(struct fxs_db *db, uint64_t entry, uint64_t after,
                                   int (*f)(void *ctx, const struct fxs_row *row), void *ctx,
                                   char *why)
{
    bool ended = false;
    enum fxs_store_rc rc = records(db, COLUMNS "WHERE entry = ? AND number > ? ORDER BY number",
                                   entry, &after, &ended, f, ctx, why);
    /* The index may be damaged, and the table not. */
    if (rc == FXS_STORE_DAMAGED && !ended)
        rc = records(db, COLUMNS "NOT INDEXED WHERE entry = ? AND number > ? ORDER BY number",
                     entry, &after, &ended, f, ctx, why);
    return rc;
}

void fxs_scan_count(struct fxs_db *db, uint64_t entry, uint64_t after, uint64_t *first, uint64_t *n)
{
    sqlite3_stmt *st = NULL;
    *first = *n = 0;
    if (sqlite3_prepare_v2(db->sqlite,
                           "SELECT number FROM records WHERE entry = ? AND number > ?"
                           " ORDER BY number",
                           -1, &st, NULL) == SQLITE_OK &&
        sqlite3_bind_int64(st, 1, (sqlite3_int64)entry) == SQLITE_OK &&
        sqlite3_bind_int64(st, 2, (sqlite3_int64)after) == SQLITE_OK)
        while (sqlite3_step(st) == SQLITE_ROW)
            if ((*n)++ == 0)
                *first = fxs_sql_number(st, 0);
    sqlite3_finalize(st);
}

void fxs_scan_integrity(struct fxs_db *db, void (*f)(void *ctx, const char *text), void *ctx)
{
    sqlite3_stmt *st = NULL;
    char why[FXS_STORE_WHY];
    int code = sqlite3_prepare_v2(db->sqlite, "PRAGMA integrity_check", -1, &st, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(st)) == SQLITE_ROW) {
        if (strcmp(fxs_scan_text(st, 0), "ok") != 0)
            f(ctx, fxs_scan_text(st, 0));
        code = SQLITE_OK;
    }
    if (code != SQLITE_DONE) {
        fxs_sql_error(db, why);
        f(ctx, why);
    }
    sqlite3_finalize(st);
}
