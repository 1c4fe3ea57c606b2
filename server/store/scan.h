/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of tables that may be damaged (scan.c). */
#ifndef FXS_STORE_SCAN_H
#define FXS_STORE_SCAN_H

#include "server/store/internal.h"
#include "server/store/sql.h"

enum fxs_scan {
    FXS_SCAN_ENTRIES, /* id, class, position, file, bytes, hash, ms, note */
    FXS_SCAN_NAMES,   /* name, entry */
    FXS_SCAN_ANSWERS, /* caller, caller_number, entry, number, ms, answer */
    FXS_SCAN_ASIDE,   /* number, entry, reason */
    FXS_SCAN_LOST     /* of records without an entry: entry, count */
};
/* Calls f for each row as far as the table can be read, from the front and, if that ends at a
 * damaged part, from the back.  *broken: there is one, and `why` describes it.  Ends early if f
 * does not return 0. */
enum fxs_store_rc fxs_scan(struct fxs_db *db, enum fxs_scan what,
                           int (*f)(void *ctx, sqlite3_stmt *st), void *ctx, bool *broken,
                           char *why);
/* The entry's records after `after`, in order.  Ends early if f does not return 0. */
enum fxs_store_rc fxs_scan_records(struct fxs_db *db, uint64_t entry, uint64_t after,
                                   int (*f)(void *ctx, const struct fxs_row *row), void *ctx,
                                   char *why);
/* How many records the entry has after `after`, as far as that can be counted, and the first one's
 * number. */
void fxs_scan_count(struct fxs_db *db, uint64_t entry, uint64_t after, uint64_t *first,
                    uint64_t *n);
/* Calls f with each line of what SQLite finds wrong in the database. */
void fxs_scan_integrity(struct fxs_db *db, void (*f)(void *ctx, const char *text), void *ctx);

const char *fxs_scan_text(sqlite3_stmt *st, int column);

#endif
