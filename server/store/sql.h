/* SPDX-License-Identifier: Apache-2.0 */
/* What sqlite.c gives to rows.c. */
#ifndef FXS_STORE_SQL_H
#define FXS_STORE_SQL_H

#include <sqlite3.h>
#include <stdint.h>

#include "server/store/db.h"

enum { FXS_SQL_MAX = 48 };

struct fxs_db {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[FXS_SQL_MAX]; /* made on first use; by the index in rows.c */
    const char *path;
    int wal_pages;  /* in the write-ahead log that are not in the database */
    int wal_frames; /* in the write-ahead log */
};

extern const char *const fxs_sql_tables;

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

/* Reads the columns that fxs_db_next_record selects.  If one is wrong, resets the statement. */
enum fxs_store_rc fxs_row_read(struct fxs_db *db, sqlite3_stmt *st, uint64_t entry,
                               struct fxs_row *row, char *why);

#endif
