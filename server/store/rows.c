/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, and the statements on records, answers and numbers; catalogue.c has the others. */
#include <stdlib.h>
#include <string.h>

#include "server/store/internal.h"
#include "server/store/sql.h"

const char *const fxs_sql_tables =
    "CREATE TABLE entries(id INTEGER PRIMARY KEY, class TEXT NOT NULL, position INTEGER NOT NULL,"
    " file TEXT NOT NULL, bytes INTEGER NOT NULL, hash INTEGER NOT NULL, ms INTEGER NOT NULL,"
    " note BLOB NOT NULL);"
    /* Apart from `entries`, because every record changes it. */
    "CREATE TABLE heads(entry INTEGER PRIMARY KEY, last INTEGER NOT NULL, log INTEGER NOT NULL);"
    "CREATE TABLE names(name TEXT PRIMARY KEY, entry INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX names_entry ON names(entry);"
    "CREATE TABLE records(number INTEGER PRIMARY KEY, entry INTEGER NOT NULL,"
    " previous INTEGER NOT NULL, ms INTEGER NOT NULL, caller BLOB,"
    " caller_number INTEGER NOT NULL,"
    " hash INTEGER NOT NULL, flags INTEGER NOT NULL, segment INTEGER NOT NULL,"
    " offset INTEGER NOT NULL, size INTEGER NOT NULL, data BLOB);"
    "CREATE INDEX records_entry ON records(entry);"
    "CREATE TABLE aside(number INTEGER PRIMARY KEY, entry INTEGER NOT NULL, reason TEXT NOT NULL);"
    "CREATE TABLE trim(entry INTEGER PRIMARY KEY, upto INTEGER NOT NULL);"
    "CREATE TABLE answers(caller BLOB NOT NULL, caller_number INTEGER NOT NULL,"
    " entry INTEGER NOT NULL, number INTEGER NOT NULL, ms INTEGER NOT NULL, answer BLOB,"
    " PRIMARY KEY(caller, caller_number)) WITHOUT ROWID;"
    "CREATE TABLE newest(one INTEGER PRIMARY KEY, number INTEGER NOT NULL, entry INTEGER NOT NULL);"
    "INSERT INTO newest VALUES(1, 0, 0);";

const char *const fxs_sql_new_tables =
    "CREATE TABLE stream(one INTEGER PRIMARY KEY, segment INTEGER NOT NULL,"
    " tail INTEGER NOT NULL, chain INTEGER NOT NULL);"
    "INSERT INTO stream VALUES(1, 0, 0, 0);";

/* --- records --- */

enum fxs_store_rc fxs_db_add_record(struct fxs_db *db, const struct fxs_row *row, char *why)
{
    const void *caller = row->caller.number ? row->caller.id : NULL;
    FXS_SQL_RUN(FXS_SQL_ADD_RECORD, "INSERT INTO records VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
                "iiiibiiiiiib", row->number, row->entry, row->previous, (uint64_t)row->ms, caller,
                (size_t)FXS_CALLER_SIZE, row->caller.number, row->hash, row->flags, row->segment,
                row->offset, row->size, row->segment ? NULL : row->data,
                (size_t)(row->segment ? 0 : row->size));
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_row_read(struct fxs_db *db, sqlite3_stmt *st, uint64_t entry,
                               struct fxs_row *row, char *why)
{
    memset(row, 0, sizeof *row);
    row->entry = entry;
    row->number = fxs_sql_number(st, 0);
    row->previous = fxs_sql_number(st, 1);
    row->caller.number = fxs_sql_number(st, 3);
    row->hash = fxs_sql_number(st, 4);
    row->flags = fxs_sql_number(st, 5);
    row->segment = fxs_sql_number(st, 6);
    row->offset = fxs_sql_number(st, 7);
    row->size = fxs_sql_number(st, 8);
    row->answered = sqlite3_column_int(st, 9);
    row->data = sqlite3_column_blob(st, 10);
    row->ms = sqlite3_column_int64(st, 11);
    const void *caller = sqlite3_column_blob(st, 2);
    bool ok = row->segment || (uint64_t)sqlite3_column_bytes(st, 10) == row->size;
    if (row->caller.number && (!caller || sqlite3_column_bytes(st, 2) != FXS_CALLER_SIZE))
        ok = false;
    else if (row->caller.number)
        memcpy(row->caller.id, caller, FXS_CALLER_SIZE);
    if (ok)
        return FXS_STORE_OK;
    sqlite3_reset(st);
    return fxs_why(FXS_STORE_DAMAGED, why, "%s: record %llu has a field of a wrong size", db->path,
                   (unsigned long long)row->number);
}

enum fxs_store_rc fxs_db_next_record(struct fxs_db *db, uint64_t entry, uint64_t after,
                                     struct fxs_row *row, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(
        db, FXS_SQL_NEXT_RECORD,
        "SELECT number, previous, caller, caller_number, hash, flags, segment, offset, size,"
        " NOT EXISTS(SELECT 1 FROM answers a WHERE a.caller = r.caller"
        "  AND a.caller_number = r.caller_number AND a.answer IS NULL), data, ms"
        " FROM records r WHERE entry = ? AND number > ? ORDER BY number LIMIT 1",
        &rc, why, "ii", entry, after);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    return fxs_row_read(db, st, entry, row, why);
}

void fxs_db_release(struct fxs_db *db)
{
    sqlite3_reset(db->statements[FXS_SQL_NEXT_RECORD]);
}

enum fxs_store_rc fxs_db_remove_records(struct fxs_db *db, uint64_t entry, uint64_t upto, int max,
                                        void (*f)(void *ctx, const struct fxs_row *row), void *ctx,
                                        int *n, char *why)
{
    struct fxs_row row;
    enum fxs_store_rc rc;
    for (*n = 0; *n < max; ++*n) {
        memset(&row, 0, sizeof row);
        sqlite3_stmt *st = fxs_sql(db, FXS_SQL_OLD_RECORDS,
                                   "SELECT number, segment, offset, size FROM records WHERE"
                                   " entry = ? AND number <= ? AND NOT flags & 2"
                                   " ORDER BY number LIMIT 1",
                                   &rc, why, "ii", entry, upto);
        if (!st || ((rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK && rc != FXS_STORE_NONE))
            return rc;
        if (rc == FXS_STORE_NONE)
            break;
        row.number = fxs_sql_number(st, 0);
        row.segment = fxs_sql_number(st, 1);
        row.offset = fxs_sql_number(st, 2);
        row.size = fxs_sql_number(st, 3);
        sqlite3_reset(st);
        FXS_SQL_RUN(FXS_SQL_REMOVE_RECORD, "DELETE FROM records WHERE number = ?", "i", row.number);
        f(ctx, &row);
    }
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_flag_record(struct fxs_db *db, uint64_t entry, uint64_t number,
                                     uint64_t flag, const char *reason, char *why)
{
    FXS_SQL_RUN(FXS_SQL_FLAG_RECORD,
                "UPDATE records SET flags = flags | ? WHERE number = ? AND entry = ?", "iii", flag,
                number, entry);
    if (sqlite3_changes(db->sqlite) == 0)
        return fxs_why(FXS_STORE_NONE, why, "entry %llu has no record %llu",
                       (unsigned long long)entry, (unsigned long long)number);
    if (reason)
        FXS_SQL_RUN(FXS_SQL_ADD_ASIDE, "INSERT OR REPLACE INTO aside VALUES(?,?,?)", "iit", number,
                    entry, reason);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_segments(struct fxs_db *db,
                                  void (*f)(void *ctx, uint64_t segment, uint64_t records),
                                  void *ctx, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(
        db, FXS_SQL_SEGMENTS,
        "SELECT segment, count(*) FROM records WHERE segment > 0 GROUP BY segment", &rc, why, "");
    if (!st)
        return rc;
    while ((rc = fxs_sql_step(db, st, why)) == FXS_STORE_OK)
        f(ctx, fxs_sql_number(st, 0), fxs_sql_number(st, 1));
    return rc == FXS_STORE_NONE ? FXS_STORE_OK : rc;
}

/* --- what is to be removed --- */

enum fxs_store_rc fxs_db_trim_later(struct fxs_db *db, uint64_t entry, uint64_t upto, char *why)
{
    FXS_SQL_RUN(FXS_SQL_TRIM_LATER, "INSERT OR REPLACE INTO trim VALUES(?,?)", "ii", entry, upto);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_trim_next(struct fxs_db *db, uint64_t *entry, uint64_t *upto, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st =
        fxs_sql(db, FXS_SQL_TRIM_NEXT, "SELECT entry, upto FROM trim LIMIT 1", &rc, why, "");
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    *entry = fxs_sql_number(st, 0);
    *upto = fxs_sql_number(st, 1);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_trim_done(struct fxs_db *db, uint64_t entry, char *why)
{
    FXS_SQL_RUN(FXS_SQL_TRIM_DONE, "DELETE FROM trim WHERE entry = ?", "i", entry);
    return FXS_STORE_OK;
}

/* --- answers --- */

enum fxs_store_rc fxs_db_put_answer(struct fxs_db *db, const struct fxs_caller *caller,
                                    uint64_t entry, uint64_t number, const void *answer,
                                    size_t size, int64_t ms, char *why)
{
    FXS_SQL_RUN(FXS_SQL_PUT_ANSWER,
                "INSERT INTO answers VALUES(?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
                " entry = excluded.entry, number = excluded.number, ms = excluded.ms,"
                " answer = coalesce(excluded.answer, answer)",
                "biiiib", caller->id, (size_t)FXS_CALLER_SIZE, caller->number, entry, number,
                (uint64_t)ms, answer, size);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_drop_answers(struct fxs_db *db, const struct fxs_caller *caller,
                                      uint64_t oldest, char *why)
{
    FXS_SQL_RUN(FXS_SQL_DROP_ANSWERS, "DELETE FROM answers WHERE caller = ? AND caller_number < ?",
                "bi", caller->id, (size_t)FXS_CALLER_SIZE, oldest);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_drop_old_answers(struct fxs_db *db, int64_t before_ms, char *why)
{
    FXS_SQL_RUN(FXS_SQL_DROP_OLD, "DELETE FROM answers WHERE ms < ?", "i", (uint64_t)before_ms);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_find_answer(struct fxs_db *db, const struct fxs_caller *caller,
                                     void **answer, size_t *size, uint64_t *entry, uint64_t *number,
                                     char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, FXS_SQL_FIND_ANSWER,
                               "SELECT entry, number, answer, (SELECT reason FROM aside"
                               " WHERE aside.number = answers.number) FROM answers"
                               " WHERE caller = ? AND caller_number = ?",
                               &rc, why, "bi", caller->id, (size_t)FXS_CALLER_SIZE, caller->number);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    *entry = fxs_sql_number(st, 0);
    *number = fxs_sql_number(st, 1);
    *answer = NULL;
    *size = 0;
    const char *reason = (const char *)sqlite3_column_text(st, 3);
    if (why)
        snprintf(why, FXS_STORE_WHY, "%s", reason ? reason : "");
    if (sqlite3_column_type(st, 2) != SQLITE_NULL) {
        *size = (size_t)sqlite3_column_bytes(st, 2);
        *answer = malloc(*size + 1);
        if (!*answer)
            rc = fxs_why(FXS_STORE_MEMORY, why, "no memory for an answer of %zu bytes", *size);
        else if (*size)
            memcpy(*answer, sqlite3_column_blob(st, 2), *size);
    }
    sqlite3_reset(st);
    return rc;
}

/* --- the stream of large records --- */

enum fxs_store_rc fxs_db_stream(struct fxs_db *db, struct fxs_stream *at, char *why)
{
    enum fxs_store_rc rc;
    *at = (struct fxs_stream){0, 0, 0};
    if (db->format < 2)
        return FXS_STORE_OK;
    sqlite3_stmt *st =
        fxs_sql(db, FXS_SQL_STREAM, "SELECT segment, tail, chain FROM stream", &rc, why, "");
    if (!st)
        return rc;
    rc = fxs_sql_step(db, st, why);
    if (rc == FXS_STORE_NONE)
        return fxs_why(FXS_STORE_DAMAGED, why, "%s: the place of the next record is missing",
                       db->path);
    if (rc != FXS_STORE_OK)
        return rc;
    at->segment = fxs_sql_number(st, 0);
    at->tail = fxs_sql_number(st, 1);
    at->chain = fxs_sql_number(st, 2);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_set_stream(struct fxs_db *db, const struct fxs_stream *at, char *why)
{
    if (db->format < 2)
        return FXS_STORE_OK;
    FXS_SQL_RUN(FXS_SQL_SET_STREAM, "INSERT OR REPLACE INTO stream VALUES(1,?,?,?)", "iii",
                at->segment, at->tail, at->chain);
    return FXS_STORE_OK;
}

/* --- numbers --- */

enum fxs_store_rc fxs_db_newest(struct fxs_db *db, uint64_t *number, uint64_t *entry, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, FXS_SQL_NEWEST,
                               "SELECT max(number, (SELECT coalesce(max(number), 0) FROM records),"
                               " (SELECT coalesce(max(position), 0) FROM entries)), entry"
                               " FROM newest",
                               &rc, why, "");
    if (!st)
        return rc;
    rc = fxs_sql_step(db, st, why);
    if (rc == FXS_STORE_NONE)
        return fxs_why(FXS_STORE_DAMAGED, why, "%s: the newest record's number is missing",
                       db->path);
    if (rc != FXS_STORE_OK)
        return rc;
    *number = fxs_sql_number(st, 0);
    *entry = fxs_sql_number(st, 1);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_set_newest(struct fxs_db *db, uint64_t number, uint64_t entry, char *why)
{
    FXS_SQL_RUN(FXS_SQL_SET_NEWEST,
                "UPDATE newest SET number = max(number, ?), entry = max(entry, ?) WHERE one = 1",
                "ii", number, entry);
    return FXS_STORE_OK;
}
