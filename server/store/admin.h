/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the commands that look after stores (server/admin): looking at a store without opening it,
 * checking, repairing and copying it.
 *
 * Every function here may be called while another process has the store open, unless it says
 * otherwise: nothing is written into the store's directory but the file that SQLite's readers and
 * writers share.
 *
 *     view.c      opening a store for reading only
 *     check.c     everything that is wrong in a store
 *     repair.c    a new store from what is good in a damaged one
 *     copy.c      an online copy; cut.c: undoes the changes after a time
 *     chain.c     an entry's records; scan.c: the rows of damaged tables
 */
#ifndef FXS_STORE_ADMIN_H
#define FXS_STORE_ADMIN_H

#include "server/store/store.h"

enum { FXS_FILE_NAME = 64, FXS_WHO = 128 };

/* Called with the number of bytes that were read or written, for a progress bar; or NULL. */
extern void (*fxs_store_moved)(uint64_t bytes);

/* printf into `why`, which may be NULL.  Returns rc. */
enum fxs_store_rc fxs_why(enum fxs_store_rc rc, char *why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Opens the store in `dir` for reading only: fxs_store_entries, fxs_snapshot_read and
 * fxs_store_replay work on it.  FXS_STORE_NONE: there is no store. */
enum fxs_store_rc fxs_store_view(struct fxs_store **s, const char *dir, char *why);
/* The same, but if rows are missing after a power loss, they are not added first: the store stays
 * as it is. */
enum fxs_store_rc fxs_store_look(struct fxs_store **s, const char *dir, char *why);

/* Returns whether a process has the lock of a store or data directory, and which (FXS_WHO bytes).
 */
int fxs_store_in_use(const char *dir, char *who);

struct fxs_snapshot_info {
    uint64_t entry, position;
    char cls[32];
    uint64_t bytes, hash; /* of the content */
    int64_t ms;           /* when the file was written, milliseconds since 1970 */
};
/* Reads a whole snapshot file and verifies it.  `dir` and `file` are for `why`. */
enum fxs_store_rc fxs_snapshot_examine(const char *dir, int fd, const char *file,
                                       struct fxs_snapshot_info *i, char *why);

/* --- check and repair --- */

enum fxs_fault_kind {
    FXS_FAULT_DATABASE, /* damage of the database: `text` says which */
    FXS_FAULT_SNAPSHOT, /* the entry's snapshot is damaged or missing */
    FXS_FAULT_RECORDS,  /* the entry's records from `number` on cannot be used: `count` of them */
    FXS_FAULT_NAME,     /* a name stands for no entry */
    FXS_NOTE_ASIDE,     /* not damage: record `number` was set aside, `text` is the reason */
    FXS_NOTE_UNUSED,    /* not damage: nothing refers to the file */
    /* Only fxs_store_repair: */
    FXS_LOST_ENTRY,
    FXS_LOST_RECORDS,
    FXS_LOST_NAMES,   /* an entry has a new name, because its own are lost */
    FXS_LOST_ANSWERS, /* requests that are sent again may be carried out again */
    FXS_LOST_NOTE,    /* the engine's note of an entry, with what it is to become once trained */
    FXS_USED_OTHER    /* an older snapshot file takes the place of a damaged one */
};

/* What is wrong.  Strings are valid during the callback. */
struct fxs_fault {
    enum fxs_fault_kind kind;
    const char *file; /* in the store's directory, or "" */
    uint64_t entry;   /* 0: none, or not known */
    const char *const *names;
    uint32_t nnames;
    uint64_t number, count;
    const char *text;
};
typedef void (*fxs_fault_fn)(void *ctx, const struct fxs_fault *f);

struct fxs_totals {
    uint64_t entries, records, answers, bytes;
};

/* Reads everything that the store has, and reports what is wrong.  FXS_STORE_OK also if something
 * is; FXS_STORE_NONE: there is no store. */
enum fxs_store_rc fxs_store_check(const char *dir, fxs_fault_fn report, void *ctx,
                                  struct fxs_totals *totals, char *why);

/* Makes a store in the new directory `to`, on the same file system, from what is good in the one in
 * `dir`, and reports what is not in it.  `dir` must not be in use; it stays as it is, and the two
 * share their snapshot files.  If fxs_store_repair fails, nothing is left of `to`. */
enum fxs_store_rc fxs_store_repair(const char *dir, const char *to, fxs_fault_fn report, void *ctx,
                                   struct fxs_totals *totals, char *why);

/* Removes what fxs_store_repair has made. */
void fxs_store_remove(const char *dir);

/* --- copies --- */

/* Copies the database of the store in `dir`, as it is at one moment, into the new file `to`, and
 * makes that durable.  The files that it needs may be gone by the time that they are copied: then
 * another copy has to be made. */
enum fxs_store_rc fxs_copy_database(const char *dir, const char *to, char *why);

/* A file of a store's directory that a copied database needs. */
struct fxs_needed {
    char file[FXS_FILE_NAME];
    uint64_t segment;       /* or 0: a snapshot */
    uint64_t bytes;         /* size of the file; of a segment: up to the end of its last record */
    uint64_t need;          /* of these: that are needed */
    struct fxs_entry entry; /* snapshots only */
};
enum fxs_store_rc fxs_copy_needs(const char *database,
                                 int (*f)(void *ctx, const struct fxs_needed *n), void *ctx,
                                 char *why);

/* Copies the records of the database that are in that segment from directory `dir` into the file
 * `to`, at the same places.  The first `have` bytes of `to` are left as they are, and the records
 * there are verified.  FXS_STORE_NONE: one of these is another one's; FXS_STORE_DAMAGED: a record
 * cannot be read from `dir`; `to` has what was copied before.  *copied: bytes. */
enum fxs_store_rc fxs_copy_segment(const char *database, const char *dir, uint64_t segment, int to,
                                   uint64_t have, uint64_t *copied, char *why);

/* Copies `bytes` bytes of a file (all, if it has fewer; UINT64_MAX), and computes their checksum.
 * to < 0: the checksum only.  The names are for `why`. */
enum fxs_store_rc fxs_copy_file(int from, const char *from_name, int to, const char *to_name,
                                uint64_t bytes, uint64_t *size, uint64_t *hash, char *why);

/* Undoes the changes that were asked for after `ms`, in a store that is not in use: from the first
 * of them on, an entry's records are removed.  Reports each entry that has lost some. */
enum fxs_store_rc fxs_store_cut(const char *dir, int64_t ms, fxs_fault_fn report, void *ctx,
                                char *why);

#endif
