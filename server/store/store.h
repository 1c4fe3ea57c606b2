/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tenant keeps on disk: one directory, which one process at a time has open.
 *
 * A store holds entries (indexes).  An entry has a class, any number of names, one snapshot (a
 * file), and the records of the changes since that snapshot.  A record is whatever bytes the engine
 * can make the change from again; the store knows nothing of FAISS.  Records are numbered 1, 2, 3,
 * ... over the whole store, in the order in which they became durable; 0 is "before the first".
 * The number of the newest record that a snapshot contains is its position.
 *
 * The store also keeps answers: what was replied to a caller's request, so that a request that is
 * sent again is not carried out again.
 *
 * One thread of the store writes, in the order in which it was asked, and puts all that waits into
 * one transaction (group commit).  Any thread may call any function, but for open and close.  What
 * is asked for one entry takes effect in the order of the calls.
 *
 *     store.c      opening, the directory, its lock
 *     read.c       catalogue, replay, looking up answers
 *     ask.c        asking for changes
 *     writer.c     the thread that writes: group commit; apply.c: what it does for each request
 *     sqlite.c     the database; rows.c, catalogue.c: its tables; pages.c: checksums of its pages
 *     mark.c       the record being replayed; the length of the database's log
 *     segment.c    the files with large records; stream.c: such records without a row; spare.c:
 *                  files that become segments
 *     snapshot.c   snapshot files: write, verify, remove
 *     tenant.c     a tenant's directory name
 */
#ifndef FXS_STORE_H
#define FXS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

enum {
    FXS_CALLER_SIZE = 16,
    FXS_NAME_MAX = 200,  /* bytes of an index's name */
    FXS_STORE_WHY = 1024 /* bytes for any `why` */
};

/* How a function ended.  Unless FXS_STORE_OK, `why` (FXS_STORE_WHY bytes, may be NULL) says what
 * was wrong with which file. */
enum fxs_store_rc {
    FXS_STORE_OK,
    FXS_STORE_FULL,    /* no space left: nothing of the change was kept; the store goes on */
    FXS_STORE_FAILED,  /* a write or fsync failed: what is on disk is not known, and the process has
                          to end; opening the store again finds out */
    FXS_STORE_DAMAGED, /* a checksum or a number is wrong, or something is missing */
    FXS_STORE_BUSY,    /* another process has it open; `why` names it */
    FXS_STORE_NEWER,   /* written by a newer version of this program */
    FXS_STORE_NONE,    /* there is no such thing */
    FXS_STORE_MEMORY
};

enum fxs_durability {
    FXS_DURABLE_ALWAYS,   /* fxs_change.done is called when the change is on disk */
    FXS_DURABLE_INTERVAL, /* done is called at once; the change is on disk after interval_ms.  While
                             there is no space, such changes wait in memory, and new ones are
                             refused */
    FXS_DURABLE_SNAPSHOT  /* changes and their answers are not recorded; only snapshots are kept */
};

struct fxs_store_options {
    enum fxs_durability durability;
    int interval_ms;
    int64_t keep_answers_ms; /* answers that are older are dropped; 0: none is */
    /* Called once by the store's thread when FXS_STORE_FAILED has happened, before any caller is
     * told; usually logs and ends the process.  NULL: callers are told. */
    void (*failed)(void *ctx, const char *why);
    void *ctx;
};

struct fxs_store;

/* Opens the store in `dir`, which is created if need be, and whose parent exists.  All files are
 * opened relative to that directory, readable by the owner only. */
enum fxs_store_rc fxs_store_open(struct fxs_store **s, const char *dir,
                                 const struct fxs_store_options *o, char *why);
/* Writes what waits, and closes.  No other call may be under way. */
void fxs_store_close(struct fxs_store *s);
/* Writes what waits, when the process is about to end, and instead of closing: other calls may be
 * under way, or begin.  What they have to write from then on is not written, and those that wait
 * for that never return. */
void fxs_store_stop(struct fxs_store *s);
/* A forked child calls this first: it no longer holds the directory's lock, so that the store can
 * be opened again although the child outlives its parent.  Of the store, the child may then use
 * nothing but the struct fxs_snapshot that it writes. */
void fxs_store_forked(struct fxs_store *s);

/* --- catalogue --- */

struct fxs_entry {
    uint64_t id;       /* never used twice in a store */
    char cls[32];      /* FAISS's class, such as "Index" */
    uint64_t position; /* of the snapshot */
    uint64_t last;     /* number of the entry's newest record, or its position if there is none */
    uint64_t snapshot_bytes, log_bytes; /* log_bytes: of the records after `position` */
    int64_t snapshot_ms;                /* when it was taken, milliseconds since 1970 */
    uint32_t set_aside;                 /* records that were set aside, see fxs_store_set_aside */
    uint32_t nnames;
    const char *const *names; /* valid during the callback */
    const void *note; /* what the engine wants to know of it without loading it; valid during the
                         callback */
    size_t note_size;
};

/* Calls f for each entry, by id.  Ends early if f does not return 0. */
enum fxs_store_rc fxs_store_entries(struct fxs_store *s,
                                    int (*f)(void *ctx, const struct fxs_entry *e), void *ctx,
                                    char *why);

/* --- changes --- */

/* Who sent a request, and which: for the answers.  number 0: nobody asks for it again. */
struct fxs_caller {
    uint8_t id[FXS_CALLER_SIZE];
    uint64_t number;
};

/* A change to one entry.  The store uses the struct and what it points to until it has called
 * `done`. */
struct fxs_change {
    uint64_t entry;
    const struct iovec *parts; /* the record's bytes, in order */
    int nparts;
    struct fxs_caller caller;
    /* Called by the store's thread, or by the thread that appends unless durability is ALWAYS, in
     * the order of the records: the record has this number and is durable, or it is not kept. */
    void (*done)(struct fxs_change *c, enum fxs_store_rc rc, uint64_t number, const char *why);
    struct fxs_change *next; /* the store's */
};

/* Asks for the change to be recorded.  Returns at once. */
void fxs_store_append(struct fxs_store *s, struct fxs_change *c);
/* Are there changes that are done, and not on disk yet?  Only with FXS_DURABLE_INTERVAL; with
 * FXS_DURABLE_SNAPSHOT the store does not have them. */
bool fxs_store_has_unwritten(struct fxs_store *s);

/* The entry's newest snapshot, and what became true with it; all of it in one transaction. */
struct fxs_snapshot_commit {
    uint64_t entry; /* 0: a new entry, whose id is returned */
    const char *cls;
    uint64_t position;
    const void *note; /* copied */
    size_t note_size;
    const char *name; /* or NULL: gives this name to the entry, and takes it from another.  An entry
                         that has no name any more is removed */
    struct fxs_caller caller; /* whose request led to this state, or number 0 */
    const void *answer;
    size_t answer_size;
};

/* --- snapshots --- */

/* A snapshot file being written, under a temporary name.  It is used by one thread, or by a forked
 * child: everything it needs is in this struct and in its descriptor. */
struct fxs_snapshot {
    FILE *file; /* FAISS writes here; errors are found at the end */
    void *hash; /* of what was written so far */
    uint64_t bytes;
    char tmp[64];
};

/* Begins a snapshot file.  Another may be under way for another entry. */
enum fxs_store_rc fxs_snapshot_begin(struct fxs_store *s, struct fxs_snapshot *w, char *why);

/* What the writer found out, to be passed from a child to its parent as bytes. */
struct fxs_snapshot_sum {
    uint64_t bytes, hash;
};

/* The file is complete: writes its end, and makes it durable. */
enum fxs_store_rc fxs_snapshot_end(struct fxs_snapshot *w, struct fxs_snapshot_sum *sum, char *why);
/* Removes the file, whether it is complete or not; frees what is left of w.  A parent calls it
 * after a child has failed. */
void fxs_snapshot_abandon(struct fxs_store *s, struct fxs_snapshot *w);

/* A complete snapshot file, and what it is. */
struct fxs_snapshot_ready {
    struct fxs_snapshot *w;
    const struct fxs_snapshot_sum *sum;
    struct fxs_snapshot_commit commit;
    uint64_t entry; /* is set: the id, or 0 if the entry has been removed meanwhile */
};

/* Puts complete snapshot files in their places: renames them, makes the directory durable, and
 * commits all in one transaction.  Then the entries' records up to the positions are no longer
 * needed, and are removed bit by bit in the background, as are the files of the snapshots before.
 * Frees what is left of each w.  FXS_STORE_NONE: none of the entries is there any more. */
enum fxs_store_rc fxs_snapshots_commit(struct fxs_store *s, struct fxs_snapshot_ready *list, int n,
                                       char *why);
/* The same of one.  *entry is the id. */
enum fxs_store_rc fxs_snapshot_commit(struct fxs_store *s, struct fxs_snapshot *w,
                                      const struct fxs_snapshot_sum *sum,
                                      const struct fxs_snapshot_commit *c, uint64_t *entry,
                                      char *why);

/* The content of an entry's snapshot, mapped and verified (size and checksum). */
struct fxs_snapshot_bytes {
    const void *data;
    size_t size; /* of what FAISS wrote */
    void *map;   /* the store's */
    size_t mapped;
};
enum fxs_store_rc fxs_snapshot_read(struct fxs_store *s, uint64_t entry,
                                    struct fxs_snapshot_bytes *b, char *why);
/* The snapshot file, verified and open for reading; its content is at the beginning.  Nobody ever
 * changes it: it may be removed, which a mapping outlives. */
enum fxs_store_rc fxs_snapshot_file(struct fxs_store *s, uint64_t entry, int *fd, char *why);
void fxs_snapshot_unmap(struct fxs_snapshot_bytes *b);

/* --- recovery --- */

struct fxs_record {
    uint64_t number;
    struct fxs_caller caller;
    const void *data; /* aligned to 64 bytes; valid during the callback */
    size_t size;
    int answered; /* an answer to it is kept, or was dropped, or it has no caller */
    int made;     /* it is known that the change was made, and its success may have been told */
};

/* Calls f for each of the entry's records after `after`, in order, without those that were set
 * aside or that failed (fxs_store_answer); what waits to be written is written first.  Each
 * record's checksum, and the number of the one before, are verified.  Ends early if f does not
 * return 0. */
enum fxs_store_rc fxs_store_replay(struct fxs_store *s, uint64_t entry, uint64_t after,
                                   int (*f)(void *ctx, const struct fxs_record *r), void *ctx,
                                   char *why);

/* Notes that record `number` of `entry` is about to be replayed; number 0: that replay has ended.
 * `alone`: the process does nothing else meanwhile.  There is one such note: the last one.  It
 * survives the death of the process, but need not survive loss of power. fxs_store_marked returns
 * the note that the previous process has left; 0, 0, 0 if none. */
void fxs_store_mark(struct fxs_store *s, uint64_t entry, uint64_t number, int alone);
void fxs_store_marked(struct fxs_store *s, uint64_t *entry, uint64_t *number, int *alone);
/* The same of an entry that is being trained; 0: none is. */
void fxs_store_mark_training(struct fxs_store *s, uint64_t entry);
uint64_t fxs_store_marked_training(const struct fxs_store *s);

/* Removes the record from the entry's log, but keeps it for `verify`, with the reason. */
enum fxs_store_rc fxs_store_set_aside(struct fxs_store *s, uint64_t entry, uint64_t number,
                                      const char *reason, char *why);

/* --- names --- */

/* Gives the entry one more name; another entry that had it loses it, and is removed with its
 * snapshot and records if that was its last name. */
enum fxs_store_rc fxs_store_name(struct fxs_store *s, uint64_t entry, const char *name, char *why);
/* The same; and in the same transaction the name `instead`, if it is not NULL, is taken away from
 * the entry that has it, which is removed if that was its last one. */
enum fxs_store_rc fxs_store_name_instead(struct fxs_store *s, uint64_t entry, const char *name,
                                         const char *instead, char *why);
/* Takes the name away, and removes the entry if that was its last one. */
enum fxs_store_rc fxs_store_unname(struct fxs_store *s, const char *name,
                                   const struct fxs_caller *caller, char *why);

/* The entry that has the name `from` has the name `to` instead; NULL: it has one name less, and is
 * removed if that was its last one.  The answer to the caller's request (number 0: nobody's) is
 * kept in the same transaction.  FXS_STORE_NONE: no entry has the name. */
enum fxs_store_rc fxs_store_rename(struct fxs_store *s, const char *from, const char *to,
                                   const struct fxs_caller *caller, const void *answer, size_t size,
                                   char *why);

/* --- answers --- */

/* Keeps the answer to record `number`'s caller, if it has one.  `failed`: the change was not made,
 * and replay passes the record over; that is on disk when the function returns.  Otherwise it is
 * known as made; it goes with the next transaction, and nobody waits for it: if it is lost,
 * replaying the record gives it again.  Without space, both are written when there is some, unless
 * the store is closed before.  A caller's older answers, but for those from `oldest` on, are
 * dropped. */
void fxs_store_answer(struct fxs_store *s, const struct fxs_caller *caller, uint64_t oldest,
                      uint64_t entry, uint64_t number, int failed, const void *answer, size_t size);

/* Looks up what became of a caller's request.  FXS_STORE_OK: *answer (malloc) is the answer; or it
 * is NULL, and record *number of *entry has to be replayed to know it, unless it was set aside:
 * then `why` is the reason, and otherwise empty.  FXS_STORE_NONE: the store has not seen the
 * request. */
enum fxs_store_rc fxs_store_find_answer(struct fxs_store *s, const struct fxs_caller *caller,
                                        void **answer, size_t *size, uint64_t *entry,
                                        uint64_t *number, char *why);

/* --- upkeep --- */

struct fxs_store_stats {
    uint64_t appends, commits, log_bytes, snapshot_bytes, set_aside;
    int full; /* the last write found no space */
};
void fxs_store_stats(struct fxs_store *s, struct fxs_store_stats *out);

/* --- tenants --- */

/* The name of a tenant's directory within the data directory: letters a-z, digits and '-' stand for
 * themselves, any other byte is '_' and two hexadecimal digits; so no two tenants share one, also
 * where upper and lower case are the same, and none leads elsewhere.  FXS_TENANT_DIR bytes. */
enum { FXS_TENANT_DIR = 256 };
int fxs_tenant_dir(const char *tenant, char *name);
int fxs_tenant_of_dir(const char *name, char *tenant, size_t len);

#endif
