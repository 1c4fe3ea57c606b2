/* SPDX-License-Identifier: Apache-2.0 */
/* The statements on entries and their names. */
#include <stdlib.h>
#include <string.h>

#include "server/store/internal.h"
#include "server/store/sql.h"

static void copy_text(char *to, size_t size, sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    snprintf(to, size, "%s", text ? text : "");
}

/* --- entries --- */

enum fxs_store_rc fxs_db_entry(struct fxs_db *db, uint64_t id, struct fxs_db_entry *e, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, FXS_SQL_ENTRY,
                               "SELECT position, last, log, file, bytes, hash, class FROM entries"
                               " JOIN heads ON entry = id WHERE id = ?",
                               &rc, why, "i", id);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc == FXS_STORE_NONE
                   ? fxs_why(rc, why, "there is no entry %llu", (unsigned long long)id)
                   : rc;
    e->position = fxs_sql_number(st, 0);
    e->last = fxs_sql_number(st, 1);
    e->log_bytes = fxs_sql_number(st, 2);
    copy_text(e->file, sizeof e->file, st, 3);
    e->bytes = fxs_sql_number(st, 4);
    e->hash = fxs_sql_number(st, 5);
    copy_text(e->cls, sizeof e->cls, st, 6);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_set_head(struct fxs_db *db, uint64_t id, uint64_t last, uint64_t log_bytes,
                                  char *why)
{
    FXS_SQL_RUN(FXS_SQL_SET_HEAD, "INSERT OR REPLACE INTO heads VALUES(?,?,?)", "iii", id, last,
                log_bytes);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_put_entry(struct fxs_db *db, uint64_t id,
                                   const struct fxs_snapshot_commit *c,
                                   const struct fxs_snapshot_sum *sum, const char *file, int64_t ms,
                                   char *why)
{
    FXS_SQL_RUN(FXS_SQL_PUT_ENTRY, "INSERT OR REPLACE INTO entries VALUES(?,?,?,?,?,?,?,?)",
                "ititiiib", id, c->cls, c->position, file, sum->bytes, sum->hash, (uint64_t)ms,
                c->note ? c->note : "", c->note_size);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_remove_entry(struct fxs_db *db, uint64_t id, char *why)
{
    FXS_SQL_RUN(FXS_SQL_REMOVE_ENTRY, "DELETE FROM entries WHERE id = ?", "i", id);
    FXS_SQL_RUN(FXS_SQL_REMOVE_HEAD, "DELETE FROM heads WHERE entry = ?", "i", id);
    FXS_SQL_RUN(FXS_SQL_REMOVE_NAMES, "DELETE FROM names WHERE entry = ?", "i", id);
    FXS_SQL_RUN(FXS_SQL_REMOVE_ASIDE, "DELETE FROM aside WHERE entry = ?", "i", id);
    FXS_SQL_RUN(FXS_SQL_UNASIDE,
                "UPDATE records SET flags = flags & ~2 WHERE entry = ? AND flags & 2", "i", id);
    return fxs_db_trim_later(db, id, INT64_MAX, why);
}

enum fxs_store_rc fxs_db_log_bytes(struct fxs_db *db, uint64_t entry, uint64_t after,
                                   uint64_t *bytes, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, FXS_SQL_LOG_BYTES,
                               "SELECT coalesce(sum(size), 0) FROM records WHERE entry = ? AND "
                               "number > ? AND NOT flags & 2",
                               &rc, why, "ii", entry, after);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    *bytes = fxs_sql_number(st, 0);
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
    sqlite3_stmt *st = fxs_sql(db, FXS_SQL_LIST_NAMES,
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
    sqlite3_stmt *st = fxs_sql(db, FXS_SQL_LIST,
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
        e.id = fxs_sql_number(st, 0);
        copy_text(e.cls, sizeof e.cls, st, 1);
        e.position = fxs_sql_number(st, 2);
        e.last = fxs_sql_number(st, 3);
        e.snapshot_bytes = fxs_sql_number(st, 4);
        e.log_bytes = fxs_sql_number(st, 5);
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
    sqlite3_stmt *st = fxs_sql(db, FXS_SQL_TOTALS,
                               "SELECT (SELECT coalesce(sum(log), 0) FROM heads),"
                               " (SELECT coalesce(sum(bytes), 0) FROM entries),"
                               " (SELECT count(*) FROM aside)",
                               &rc, why, "");
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    out->log_bytes = fxs_sql_number(st, 0);
    out->snapshot_bytes = fxs_sql_number(st, 1);
    out->set_aside = fxs_sql_number(st, 2);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

/* --- names --- */

enum fxs_store_rc fxs_db_named(struct fxs_db *db, const char *name, uint64_t *id, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st =
        fxs_sql(db, FXS_SQL_NAMED, "SELECT entry FROM names WHERE name = ?", &rc, why, "t", name);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc == FXS_STORE_NONE ? fxs_why(rc, why, "no entry has the name '%s'", name) : rc;
    *id = fxs_sql_number(st, 0);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_set_name(struct fxs_db *db, const char *name, uint64_t id, char *why)
{
    FXS_SQL_RUN(FXS_SQL_SET_NAME, "INSERT OR REPLACE INTO names VALUES(?,?)", "ti", name, id);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_remove_name(struct fxs_db *db, const char *name, char *why)
{
    FXS_SQL_RUN(FXS_SQL_REMOVE_NAME, "DELETE FROM names WHERE name = ?", "t", name);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_db_count_names(struct fxs_db *db, uint64_t id, uint64_t *n, char *why)
{
    enum fxs_store_rc rc;
    sqlite3_stmt *st = fxs_sql(db, FXS_SQL_COUNT_NAMES,
                               "SELECT count(*) FROM names WHERE entry = ?", &rc, why, "i", id);
    if (!st || (rc = fxs_sql_step(db, st, why)) != FXS_STORE_OK)
        return rc;
    *n = fxs_sql_number(st, 0);
    sqlite3_reset(st);
    return FXS_STORE_OK;
}
