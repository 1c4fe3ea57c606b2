/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, and every statement on them. */
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

/* A statement is known by where it stands in this file. */
enum {
    ADD_RECORD,
    NEXT_RECORD,
    OLD_RECORDS,
    REMOVE_RECORD,
    FLAG_RECORD,
    ADD_ASIDE,
    SEGMENTS,
    ENTRY,
    SET_HEAD,
    PUT_ENTRY,
    REMOVE_ENTRY,
    REMOVE_HEAD,
    REMOVE_NAMES,
    REMOVE_ASIDE,
    UNASIDE,
    LOG_BYTES,
    LIST,
    LIST_NAMES,
    TOTALS,
    NAMED,
    SET_NAME,
    REMOVE_NAME,
    COUNT_NAMES,
    TRIM_LATER,
    TRIM_NEXT,
    TRIM_DONE,
    PUT_ANSWER,
    DROP_ANSWERS,
    DROP_OLD,
    FIND_ANSWER,
    NEWEST,
    SET_NEWEST,
    COUNT
};
_Static_assert((int)COUNT <= (int)FXS_SQL_MAX, "room for every statement");

/* A statement without rows. */
#define RUN(index, text, types, ...)                                                 \
    do {                                                                             \
        enum fxs_store_rc rc_ = FXS_STORE_OK;                                        \
        sqlite3_stmt *st_ = fxs_sql(db, index, text, &rc_, why, types, __VA_ARGS__); \
        if (st_)                                                                     \
            rc_ = fxs_sql_step(db, st_, why);                                        \
        if (rc_ != FXS_STORE_NONE)                                                   \
            return rc_;                                                              \
    } while (0)

static uint64_t number_at(sqlite3_stmt *st, int column)
{
    return (uint64_t)sqlite3_column_int64(st, column);
}

static void copy_text(char *to, size_t size, sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    snprintf(to, size, "%s", text ? text : "");
}

/* --- records --- */

enum fxs_store_rc fxs_db_add_record(struct fxs_db *db, const struct fxs_row *row, char *why)
{
    const void *caller = row->caller.number ? row->caller.id : NULL;
    RUN(ADD_RECORD, "INSERT INTO records VALUES(?,?,?,?,?,?,?,?,?,?,?,?)", "iiiibiiiiiib",
        row->number, row->entry, row->previous, (uint64_t)row->ms, caller, (size_t)FXS_CALLER_SIZE,
        row->caller.number, row->hash, (uint64_t)row->flags, row->segment, row->offset, row->size,
        row->segment ? NULL : row->data, (size_t)(row->segment ? 0 : row->size));
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_row_read(struct fxs_db *db, sqlite3_stmt *st, uint64_t entry,
                               struct fxs_row *row, char *why)
{
    memset(row, 0, sizeof *row);
    row->entry = entry;
    row->number = number_at(st, 0);
    row->previous = number_at(st, 1);
    row->caller.number = number_at(st, 3);
    row->hash = number_at(st, 4);
    row->flags = (unsigned)number_at(st, 5);
    row->segment = number_at(st, 6);
    row->offset = number_at(st, 7);
    row->size = number_at(st, 8);
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
        db, NEXT_RECORD,
        "SELECT number, previous, caller, caller_number, hash, flags, segment, offset, size,"
        " EXISTS(SELECT 1 FROM answers a WHERE a.caller = r.caller"
        "  AND a.caller_number = r.caller_number AND a.answer IS NOT NULL), data, ms"
        " FROM records r WHERE entry = ? AND number > ? ORDER BY number LIMIT 1",
        &rc, why, "ii", entry, after);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    return fxs_row_read(db, st, entry, row, why);
}

void fxs_db_release(struct fxs_db *db)
{
    sqlite3_reset(db->statements[NEXT_RECORD]);
}

enum fxs_store_rc fxs_db_remove_records(struct fxs_db *db, uint64_t entry, uint64_t upto, int max,
                                        void (*f)(void *ctx, const struct fxs_row *row), void *ctx,
                                        int *n, char *why)
{
    struct fxs_row row;
    enum fxs_store_rc rc;
    for (*n = 0; *n < max; ++*n) {
        memset(&row, 0, sizeof row);
        sqlite3_stmt *st = fxs_sql(db, OLD_RECORDS,
                                   "SELECT number, segment, offset, size FROM records WHERE"
                                   " entry = ? AND number <= ? AND NOT flags & 2"
                                   " ORDER BY number LIMIT 1",
                                   &rc, why, "ii", entry, upto);
        if (!st || ((rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK && rc != FXS_STORE_NONE))
            return rc;
        if (rc == FXS_STORE_NONE)
            break;
        row.number = number_at(st, 0);
        row.segment = number_at(st, 1);
        row.offset = number_at(st, 2);
        row.size = number_at(st, 3);
        sqlite3_reset(st);
        RUN(REMOVE_RECORD, "DELETE FROM records WHERE number = ?", "i", row.number);
        f(ctx, &row);
    }
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_flag_record(struct fxs_db *db, uint64_t entry, uint64_t number,
                                     unsigned flag, const char *reason, char *why)
{
    RUN(FLAG_RECORD, "UPDATE records SET flags = flags | ? WHERE number = ? AND entry = ?", "iii",
        (uint64_t)flag, number, entry);
    if (sqlite3_changes(db->sqlite) == 0)
        return fxs_why(FXS_STORE_NONE, why, "entry %llu has no record %llu",
                       (unsigned long long)entry, (unsigned long long)number);
    if (reason)
        RUN(ADD_ASIDE, "INSERT OR REPLACE INTO aside VALUES(?,?,?)", "iit", number, entry, reason);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_segments(struct fxs_db *db,
                                  void (*f)(void *ctx, uint64_t segment, uint64_t records),
                                  void *ctx, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(
        db, SEGMENTS, "SELECT segment, count(*) FROM records WHERE segment > 0 GROUP BY segment",
        &rc, why, "");
    if (!st)
        return rc;
    while ((rc = fxs_sql_step(db, st, why)) == FXS_STORE_OK)
        f(ctx, number_at(st, 0), number_at(st, 1));
    return rc == FXS_STORE_NONE ? FXS_STORE_OK : rc;
}

/* --- entries --- */

enum fxs_store_rc fxs_db_entry(struct fxs_db *db, uint64_t id, struct fxs_db_entry *e, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, ENTRY,
                               "SELECT position, last, log, file, bytes, hash, class FROM entries"
                               " JOIN heads ON entry = id WHERE id = ?",
                               &rc, why, "i", id);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc == FXS_STORE_NONE
                   ? fxs_why(rc, why, "there is no entry %llu", (unsigned long long)id)
                   : rc;
    e->position = number_at(st, 0);
    e->last = number_at(st, 1);
    e->log_bytes = number_at(st, 2);
    copy_text(e->file, sizeof e->file, st, 3);
    e->bytes = number_at(st, 4);
    e->hash = number_at(st, 5);
    copy_text(e->cls, sizeof e->cls, st, 6);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_set_head(struct fxs_db *db, uint64_t id, uint64_t last, uint64_t log_bytes,
                                  char *why)
{
    RUN(SET_HEAD, "INSERT OR REPLACE INTO heads VALUES(?,?,?)", "iii", id, last, log_bytes);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_put_entry(struct fxs_db *db, uint64_t id,
                                   const struct fxs_snapshot_commit *c,
                                   const struct fxs_snapshot_sum *sum, const char *file, int64_t ms,
                                   char *why)
{
    RUN(PUT_ENTRY, "INSERT OR REPLACE INTO entries VALUES(?,?,?,?,?,?,?,?)", "ititiiib", id, c->cls,
        c->position, file, sum->bytes, sum->hash, (uint64_t)ms, c->note ? c->note : "",
        c->note_size);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_remove_entry(struct fxs_db *db, uint64_t id, char *why)
{
    RUN(REMOVE_ENTRY, "DELETE FROM entries WHERE id = ?", "i", id);
    RUN(REMOVE_HEAD, "DELETE FROM heads WHERE entry = ?", "i", id);
    RUN(REMOVE_NAMES, "DELETE FROM names WHERE entry = ?", "i", id);
    RUN(REMOVE_ASIDE, "DELETE FROM aside WHERE entry = ?", "i", id);
    RUN(UNASIDE, "UPDATE records SET flags = flags & ~2 WHERE entry = ? AND flags & 2", "i", id);
    return fxs_db_trim_later(db, id, INT64_MAX, why);
}

enum fxs_store_rc fxs_db_log_bytes(struct fxs_db *db, uint64_t entry, uint64_t after,
                                   uint64_t *bytes, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, LOG_BYTES,
                               "SELECT coalesce(sum(size), 0) FROM records WHERE entry = ? AND "
                               "number > ? AND NOT flags & 2",
                               &rc, why, "ii", entry, after);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    *bytes = number_at(st, 0);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

/* The names of an entry, as an array that ends with NULL (free it and its first element). */
static enum fxs_store_rc names_of(struct fxs_db *db, uint64_t id, char ***names, uint32_t *n,
                                  char *why)
{
    enum fxs_store_rc rc;
    size_t cap = 0;
    *n = 0;
    *names = NULL;
    sqlite3_stmt *st = fxs_sql(db, LIST_NAMES,
                               "SELECT name FROM names WHERE entry = ?"
                               " ORDER BY name",
                               &rc, why, "i", id);
    if (!st)
        return rc;
    while ((rc = fxs_sql_step(db, st, why)) == FXS_STORE_OK) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        char **more = *names;
        if (*n == cap && (more = realloc(more, (cap = cap * 2 + 4) * sizeof *more)))
            *names = more;
        if (!more || !(more[*n] = strdup(text ? text : ""))) {
            sqlite3_reset(st);
            return fxs_why(FXS_STORE_MEMORY, why, "no memory to list the entries");
        }
        ++*n;
    }
    return rc == FXS_STORE_NONE ? FXS_STORE_OK : rc;
}

enum fxs_store_rc fxs_db_list(struct fxs_db *db,
                              int (*f)(void *ctx, const struct fxs_entry *e, const char *file),
                              void *ctx, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, LIST,
                               "SELECT id, class, position, last, bytes, log, ms, file, note,"
                               " (SELECT count(*) FROM aside a WHERE a.entry = e.id) FROM entries e"
                               " LEFT JOIN heads h ON h.entry = id ORDER BY id",
                               &rc, why, "");
    if (!st)
        return rc;
    bool more = true;
    while (more && (rc = fxs_sql_step(db, st, why)) == FXS_STORE_OK) {
        struct fxs_entry e = {0};
        char file[FXS_FILE_NAME], **names;
        e.id = number_at(st, 0);
        copy_text(e.cls, sizeof e.cls, st, 1);
        e.position = number_at(st, 2);
        e.last = number_at(st, 3);
        e.snapshot_bytes = number_at(st, 4);
        e.log_bytes = number_at(st, 5);
        e.snapshot_ms = sqlite3_column_int64(st, 6);
        copy_text(file, sizeof file, st, 7);
        e.note = sqlite3_column_blob(st, 8);
        e.note_size = (size_t)sqlite3_column_bytes(st, 8);
        e.set_aside = (uint32_t)sqlite3_column_int(st, 9);
        rc = names_of(db, e.id, &names, &e.nnames, why);
        e.names = (const char *const *)names;
        if (rc == FXS_STORE_OK)
            more = f(ctx, &e, file) == 0;
        for (uint32_t i = 0; i < e.nnames; i++)
            free(names[i]);
        free(names);
        if (rc != FXS_STORE_OK)
            break;
    }
    sqlite3_reset(st);
    return rc == FXS_STORE_NONE ? FXS_STORE_OK : rc;
}

enum fxs_store_rc fxs_db_totals(struct fxs_db *db, struct fxs_store_stats *out, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, TOTALS,
                               "SELECT (SELECT coalesce(sum(log), 0) FROM heads),"
                               " (SELECT coalesce(sum(bytes), 0) FROM entries),"
                               " (SELECT count(*) FROM aside)",
                               &rc, why, "");
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    out->log_bytes = number_at(st, 0);
    out->snapshot_bytes = number_at(st, 1);
    out->set_aside = number_at(st, 2);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

/* --- names --- */

enum fxs_store_rc fxs_db_named(struct fxs_db *db, const char *name, uint64_t *id, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st =
        fxs_sql(db, NAMED, "SELECT entry FROM names WHERE name = ?", &rc, why, "t", name);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc == FXS_STORE_NONE ? fxs_why(rc, why, "no entry has the name '%s'", name) : rc;
    *id = number_at(st, 0);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_set_name(struct fxs_db *db, const char *name, uint64_t id, char *why)
{
    RUN(SET_NAME, "INSERT OR REPLACE INTO names VALUES(?,?)", "ti", name, id);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_remove_name(struct fxs_db *db, const char *name, char *why)
{
    RUN(REMOVE_NAME, "DELETE FROM names WHERE name = ?", "t", name);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_count_names(struct fxs_db *db, uint64_t id, uint64_t *n, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st =
        fxs_sql(db, COUNT_NAMES, "SELECT count(*) FROM names WHERE entry = ?", &rc, why, "i", id);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    *n = number_at(st, 0);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

/* --- what is to be removed --- */

enum fxs_store_rc fxs_db_trim_later(struct fxs_db *db, uint64_t entry, uint64_t upto, char *why)
{
    RUN(TRIM_LATER, "INSERT OR REPLACE INTO trim VALUES(?,?)", "ii", entry, upto);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_trim_next(struct fxs_db *db, uint64_t *entry, uint64_t *upto, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, TRIM_NEXT, "SELECT entry, upto FROM trim LIMIT 1", &rc, why, "");
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    *entry = number_at(st, 0);
    *upto = number_at(st, 1);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_trim_done(struct fxs_db *db, uint64_t entry, char *why)
{
    RUN(TRIM_DONE, "DELETE FROM trim WHERE entry = ?", "i", entry);
    return FXS_STORE_OK;
}

/* --- answers --- */

enum fxs_store_rc fxs_db_put_answer(struct fxs_db *db, const struct fxs_caller *caller,
                                    uint64_t entry, uint64_t number, const void *answer,
                                    size_t size, int64_t ms, char *why)
{
    RUN(PUT_ANSWER,
        "INSERT INTO answers VALUES(?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
        " entry = excluded.entry, number = excluded.number, ms = excluded.ms,"
        " answer = coalesce(excluded.answer, answer)",
        "biiiib", caller->id, (size_t)FXS_CALLER_SIZE, caller->number, entry, number, (uint64_t)ms,
        answer, size);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_drop_answers(struct fxs_db *db, const struct fxs_caller *caller,
                                      uint64_t oldest, char *why)
{
    RUN(DROP_ANSWERS, "DELETE FROM answers WHERE caller = ? AND caller_number < ?", "bi",
        caller->id, (size_t)FXS_CALLER_SIZE, oldest);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_drop_old_answers(struct fxs_db *db, int64_t before_ms, char *why)
{
    RUN(DROP_OLD, "DELETE FROM answers WHERE ms < ?", "i", (uint64_t)before_ms);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_find_answer(struct fxs_db *db, const struct fxs_caller *caller,
                                     void **answer, size_t *size, uint64_t *entry, uint64_t *number,
                                     char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, FIND_ANSWER,
                               "SELECT entry, number, answer FROM answers"
                               " WHERE caller = ? AND caller_number = ?",
                               &rc, why, "bi", caller->id, (size_t)FXS_CALLER_SIZE, caller->number);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    *entry = number_at(st, 0);
    *number = number_at(st, 1);
    *answer = NULL;
    *size = 0;
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

/* --- numbers --- */

enum fxs_store_rc fxs_db_newest(struct fxs_db *db, uint64_t *number, uint64_t *entry, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, NEWEST,
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
    *number = number_at(st, 0);
    *entry = number_at(st, 1);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_set_newest(struct fxs_db *db, uint64_t number, uint64_t entry, char *why)
{
    RUN(SET_NEWEST,
        "UPDATE newest SET number = max(number, ?), entry = max(entry, ?) WHERE one = 1", "ii",
        number, entry);
    return FXS_STORE_OK;
}
