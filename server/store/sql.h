/* SPDX-License-Identifier: Apache-2.0 */
/* What sqlite.c gives to rows.c and catalogue.c. */
#ifndef FXS_STORE_SQL_H
#define FXS_STORE_SQL_H

#include <sqlite3.h>
#include <stdint.h>

#include "server/store/db.h"

/* Every statement of rows.c and catalogue.c. */
enum {
    FXS_SQL_ADD_RECORD,
    FXS_SQL_NEXT_RECORD,
    FXS_SQL_OLD_RECORDS,
    FXS_SQL_REMOVE_RECORD,
    FXS_SQL_FLAG_RECORD,
    FXS_SQL_ADD_ASIDE,
    FXS_SQL_SEGMENTS,
    FXS_SQL_ENTRY,
    FXS_SQL_SET_HEAD,
    FXS_SQL_PUT_ENTRY,
    FXS_SQL_REMOVE_ENTRY,
    FXS_SQL_REMOVE_HEAD,
    FXS_SQL_REMOVE_NAMES,
    FXS_SQL_REMOVE_ASIDE,
    FXS_SQL_UNASIDE,
    FXS_SQL_LOG_BYTES,
    FXS_SQL_LIST,
    FXS_SQL_LIST_NAMES,
    FXS_SQL_TOTALS,
    FXS_SQL_NAMED,
    FXS_SQL_SET_NAME,
    FXS_SQL_REMOVE_NAME,
    FXS_SQL_COUNT_NAMES,
    FXS_SQL_TRIM_LATER,
    FXS_SQL_TRIM_NEXT,
    FXS_SQL_TRIM_DONE,
    FXS_SQL_PUT_ANSWER,
    FXS_SQL_DROP_ANSWERS,
    FXS_SQL_DROP_OLD,
    FXS_SQL_FIND_ANSWER,
    FXS_SQL_NEWEST,
    FXS_SQL_SET_NEWEST,
    FXS_SQL_STREAM,
    FXS_SQL_SET_STREAM,
    FXS_SQL_COUNT
};

struct fxs_db {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[FXS_SQL_COUNT]; /* made on first use */
    const char *path;
    int wal_pages;  /* in the write-ahead log that are not in the database */
    int wal_frames; /* in the write-ahead log, as of the last commit that was synced */
    bool synced;    /* commits are */
    long format;    /* of the database */
};

/* All tables; and those that format 1 did not have. */
extern const char *const fxs_sql_tables, *const fxs_sql_new_tables;

/* What SQLite's last error means; describes it in `why`. */
enum fxs_store_rc fxs_sql_error(struct fxs_db *db, char *why);
/* The statement with its parameters bound, ready for fxs_sql_step; NULL if that failed (rc and why
 * are set).  types: i uint64_t, t text, b blob and size_t; a NULL is bound as such.  What is bound
 * has to stay until the statement is reset. */
sqlite3_stmt *fxs_sql(struct fxs_db *db, int index, const char *text, enum fxs_store_rc *rc,
                      char *why, const char *types, ...);
/* FXS_STORE_OK: there is a row.  FXS_STORE_NONE: no more; the statement is reset, as it is after an
 * error. */
enum fxs_store_rc fxs_sql_step(struct fxs_db *db, sqlite3_stmt *st, char *why);

/* The number in a column of the row. */
static inline uint64_t fxs_sql_number(sqlite3_stmt *st, int column)
{
    return (uint64_t)sqlite3_column_int64(st, column);
}

/* A statement without rows. */
#define FXS_SQL_RUN(index, text, types, ...)                                         \
    do {                                                                             \
        enum fxs_store_rc rc_ = FXS_STORE_OK;                                        \
        sqlite3_stmt *st_ = fxs_sql(db, index, text, &rc_, why, types, __VA_ARGS__); \
        if (st_)                                                                     \
            rc_ = fxs_sql_step(db, st_, why);                                        \
        if (rc_ != FXS_STORE_NONE)                                                   \
            return rc_;                                                              \
    } while (0)

/* Reads the columns that fxs_db_next_record selects.  If one is wrong, resets the statement. */
enum fxs_store_rc fxs_row_read(struct fxs_db *db, sqlite3_stmt *st, uint64_t entry,
                               struct fxs_row *row, char *why);

#endif
