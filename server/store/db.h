/* SPDX-License-Identifier: Apache-2.0 */
/* The store's tables.  Nothing here says that they are SQLite's; only sqlite.c, rows.c,
 * catalogue.c and pages.c know.  A database connection is used by one thread at a time.  Functions
 * of the second half belong into a transaction, but for those that only read. */
#ifndef FXS_STORE_DB_H
#define FXS_STORE_DB_H

#include <stdbool.h>

#include "server/store/store.h"

struct fxs_db;

/* Makes a new, empty database; the file is durable, its name is not. */
enum fxs_store_rc fxs_db_create(const char *path, char *why);
enum fxs_store_rc fxs_db_open(struct fxs_db **db, const char *path, char *why);
/* The same for reading only; another process may have it open. */
enum fxs_store_rc fxs_db_view(struct fxs_db **db, const char *path, char *why);
/* `tidy`: the write-ahead log is moved into the database first.  Without it nothing is written. */
void fxs_db_close(struct fxs_db *db, bool tidy);
/* Closing it will leave the write-ahead log, empty, and the memory that readers share: with these
 * files, opening the database needs no space, so that it can be read on a full disk. */
void fxs_db_keep_files(struct fxs_db *db);

enum fxs_store_rc fxs_db_begin(struct fxs_db *db, char *why);
/* `later`: it is not synced, and durable with the next commit that is. */
enum fxs_store_rc fxs_db_commit(struct fxs_db *db, bool later, char *why);
void fxs_db_rollback(struct fxs_db *db);

/* Bytes in the write-ahead log that are not in the database yet. */
uint64_t fxs_db_wal_bytes(const struct fxs_db *db);
/* Durable pages in the write-ahead log; 0: it is about to be begun again. */
uint64_t fxs_db_wal_frames(const struct fxs_db *db);
enum fxs_store_rc fxs_db_checkpoint(struct fxs_db *db, char *why);

/* --- records --- */

/* A row has FXS_ROW_NEW from the beginning, and FXS_ROW_MADE as soon as it is known that the change
 * was made: its caller may have been told.  Rows of older versions have neither, and count as made.
 * Those versions read the flags as 32 bits, and pass over a record that has any; so these two have
 * higher ones.  No flag is taken away from a row, and FXS_ROW_NEW is as long as both: so SQLite
 * changes the row in its place, and does not write a record's data again. */
#define FXS_ROW_FAILED ((uint64_t)1)
#define FXS_ROW_ASIDE ((uint64_t)2)
#define FXS_ROW_NEW ((uint64_t)1 << 32)
#define FXS_ROW_MADE ((uint64_t)1 << 33)

struct fxs_row {
    uint64_t number, entry;
    uint64_t previous; /* the entry's record before, or the position it began at */
    struct fxs_caller caller;
    int64_t ms;    /* when it was asked for, since 1970 */
    uint64_t hash; /* of the data and the fields above */
    uint64_t flags;
    int answered;
    uint64_t segment, offset, size; /* segment 0: the data is in the row */
    const void *data;
};

enum fxs_store_rc fxs_db_add_record(struct fxs_db *db, const struct fxs_row *row, char *why);
/* The entry's first record after `after`.  row->data is valid until fxs_db_release.  FXS_STORE_NONE
 * if there is none. */
enum fxs_store_rc fxs_db_next_record(struct fxs_db *db, uint64_t entry, uint64_t after,
                                     struct fxs_row *row, char *why);
void fxs_db_release(struct fxs_db *db);
/* Removes up to `max` of the entry's records up to `upto`, oldest first, but none that was set
 * aside, and calls f for each.  *n: how many. */
enum fxs_store_rc fxs_db_remove_records(struct fxs_db *db, uint64_t entry, uint64_t upto, int max,
                                        void (*f)(void *ctx, const struct fxs_row *row), void *ctx,
                                        int *n, char *why);
enum fxs_store_rc fxs_db_flag_record(struct fxs_db *db, uint64_t entry, uint64_t number,
                                     uint64_t flag, const char *reason, char *why);
/* Calls f for each segment that records are in. */
enum fxs_store_rc fxs_db_segments(struct fxs_db *db,
                                  void (*f)(void *ctx, uint64_t segment, uint64_t records),
                                  void *ctx, char *why);

/* Where the next large record will be; see stream.h. */
struct fxs_stream {
    uint64_t segment; /* 0: not known */
    uint64_t tail;    /* offset in that segment */
    uint64_t chain;   /* what the next record's head has to repeat */
};
enum fxs_store_rc fxs_db_stream(struct fxs_db *db, struct fxs_stream *at, char *why);
enum fxs_store_rc fxs_db_set_stream(struct fxs_db *db, const struct fxs_stream *at, char *why);

/* --- entries --- */

struct fxs_db_entry {
    uint64_t position, last, log_bytes;
    char file[64]; /* of the snapshot */
    uint64_t bytes, hash;
    char cls[32];
};

/* FXS_STORE_NONE if there is no such entry. */
enum fxs_store_rc fxs_db_entry(struct fxs_db *db, uint64_t id, struct fxs_db_entry *e, char *why);
/* Puts the entry's newest record and the size of its log. */
enum fxs_store_rc fxs_db_set_head(struct fxs_db *db, uint64_t id, uint64_t last, uint64_t log_bytes,
                                  char *why);
/* Adds the entry, or replaces what is known of its snapshot. */
enum fxs_store_rc fxs_db_put_entry(struct fxs_db *db, uint64_t id,
                                   const struct fxs_snapshot_commit *c,
                                   const struct fxs_snapshot_sum *sum, const char *file, int64_t ms,
                                   char *why);
/* Removes it, its names, and, by and by, its records. */
enum fxs_store_rc fxs_db_remove_entry(struct fxs_db *db, uint64_t id, char *why);
/* Bytes of the records after `after`. */
enum fxs_store_rc fxs_db_log_bytes(struct fxs_db *db, uint64_t entry, uint64_t after,
                                   uint64_t *bytes, char *why);
enum fxs_store_rc fxs_db_list(struct fxs_db *db,
                              int (*f)(void *ctx, const struct fxs_entry *e, const char *file),
                              void *ctx, char *why);

/* Puts log_bytes, snapshot_bytes and set_aside. */
enum fxs_store_rc fxs_db_totals(struct fxs_db *db, struct fxs_store_stats *out, char *why);

/* Who has this name; FXS_STORE_NONE if nobody. */
enum fxs_store_rc fxs_db_named(struct fxs_db *db, const char *name, uint64_t *id, char *why);
enum fxs_store_rc fxs_db_set_name(struct fxs_db *db, const char *name, uint64_t id, char *why);
enum fxs_store_rc fxs_db_remove_name(struct fxs_db *db, const char *name, char *why);
enum fxs_store_rc fxs_db_count_names(struct fxs_db *db, uint64_t id, uint64_t *n, char *why);

/* Records to be removed: all of the entry's up to `upto`. */
enum fxs_store_rc fxs_db_trim_later(struct fxs_db *db, uint64_t entry, uint64_t upto, char *why);
enum fxs_store_rc fxs_db_trim_next(struct fxs_db *db, uint64_t *entry, uint64_t *upto, char *why);
enum fxs_store_rc fxs_db_trim_done(struct fxs_db *db, uint64_t entry, char *why);

/* --- answers --- */

/* `answer` NULL: not known yet. */
enum fxs_store_rc fxs_db_put_answer(struct fxs_db *db, const struct fxs_caller *caller,
                                    uint64_t entry, uint64_t number, const void *answer,
                                    size_t size, int64_t ms, char *why);
enum fxs_store_rc fxs_db_drop_answers(struct fxs_db *db, const struct fxs_caller *caller,
                                      uint64_t oldest, char *why);
enum fxs_store_rc fxs_db_drop_old_answers(struct fxs_db *db, int64_t before_ms, char *why);
enum fxs_store_rc fxs_db_find_answer(struct fxs_db *db, const struct fxs_caller *caller,
                                     void **answer, size_t *size, uint64_t *entry, uint64_t *number,
                                     char *why);

/* --- numbers that are never used twice --- */

enum fxs_store_rc fxs_db_newest(struct fxs_db *db, uint64_t *number, uint64_t *entry, char *why);
enum fxs_store_rc fxs_db_set_newest(struct fxs_db *db, uint64_t number, uint64_t entry, char *why);

#endif
