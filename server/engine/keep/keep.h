/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping published indexes on disk (--data-dir).
 *
 * A kept index is a published index with an entry in the tenant's store (server/store/store.h).
 * Requests that change it go one of two ways:
 *
 *   recorded   Calls that can be made again from their request alone (add, remove_ids, reset,
 *              settings).  The request is recorded first, without any lock (change.c).  When the
 *              record is durable, the request takes its locks and is run, in the order of the
 *              records.  So a reader never sees what a crash could take back, and never waits for
 *              the disk.
 *   by state   All other calls (train, merge, calls on a part of the index).  They run at once, and
 *              before their locks are given back the index is written to disk as it then is
 *              (snapshot.c).
 *
 * An index is read from its snapshot, and its records run again, when it is first used (load.c).
 *
 *     keep.c      which indexes are kept, and which way a request goes
 *     record.c    a request as bytes
 *     change.c    recorded requests, from the connection to the call
 *     snapshot.c  writing indexes; background.c: when, without having a call wait
 *     publish.c   names
 *     load.c      reading them; mapped.c: leaving them in the file while nobody changes them
 *     unload.c    freeing those in memory that have not been used for long
 *     unnamed.c   indexes of sessions (--keep sessions)
 *     asked.c     requests that are sent again
 *     hold.c      lets a thread of the engine's own wait for the lock of an index
 */
#ifndef FXE_KEEP_H
#define FXE_KEEP_H

#include "server/engine/run/request.h"
#include "server/note.h"
#include "server/store/store.h"

struct fxe_change;

/* A kept index.  engine.lock guards it. */
struct fxe_kept {
    uint64_t entry; /* in the store */
    struct fxe_obj *obj;
    uint64_t applied; /* number of the newest record that the index contains */
    struct fxs_note note;
    int users; /* see fxe_keep_use */
    /* Requests whose record is durable, and that have not run yet, in order. */
    struct fxe_change *due, *last_due;
    bool running; /* the first of these has been queued or runs */

    int64_t used_ms; /* by the last request; monotonic */
    uint64_t snapshot_bytes;
    int64_t snapshot_ms; /* when it was taken, or begun; monotonic */
    int64_t stored_ms;   /* when it was stored; milliseconds since 1970 */
    uint64_t log_bytes;  /* of the records since */
    /* Changes that neither the snapshot nor the log has, ever, and those of them that the snapshot
     * has since. */
    uint64_t unlogged, unlogged_stored;
    int64_t busy_ms; /* spent in recorded calls since, and so needed to run them again */
    /* Totals of what snapshots have taken from the two, ever. */
    uint64_t trimmed_bytes;
    int64_t trimmed_ms;
    uint64_t moments;           /* at which snapshots were begun, ever */
    uint64_t newest;            /* moment that was committed; with `committing` */
    pthread_mutex_t committing; /* a snapshot, or the index is being read */
    int64_t not_before_ms;      /* the last snapshot failed: none before this */
    bool still;                 /* recorded changes wait: a thread has the index for a while */
    bool replacing;             /* the snapshot is of what it is about to become: take no other */
    bool gone;                  /* unpublished: freed with its last user */
    struct fxe_kept *prev, *next;
};

/* Opens the store.  Called once, when the sandbox has started, because the store has a thread.
 * Returns 0, or -1 after it has logged why not. */
int fxe_keep_open(void);
/* Adds the names of all indexes in the store, and starts the thread that takes snapshots. */
int fxe_keep_start(void);
/* Writes what would take long to run again, and closes the store.  Nothing else runs any more but
 * calls that nobody waits for, and the process is about to end. */
void fxe_keep_stop(void);

/* The store, or NULL: nothing is kept. */
struct fxs_store *fxe_keep_store(void);

/* Returns the kept index that `o` is, or a handle of; or NULL.  The caller holds engine.lock. */
struct fxe_kept *fxe_kept_of(const struct fxe_obj *o);

/* k->obj is kept from now on.  The caller holds engine.lock. */
void fxe_keep_adopt(struct fxe_kept *k);
/* Returns the first of all kept indexes; the others follow through `next`.  The caller holds
 * engine.lock. */
struct fxe_kept *fxe_keep_first(void);

/* --- requests --- */

/* After a request has been prepared, decides which way it goes.  Returns true if it is recorded
 * first: it is then queued without its locks.  The caller holds engine.lock. */
bool fxe_keep_prepare(struct fxe_req *r);

/* With its locks: if an index of the request is absent and the request cannot read it, because it
 * has it locked for reading only or is on a worker, queues the request again and returns true.  The
 * caller must not use it then. */
bool fxe_keep_waits(struct fxe_req *r);
/* With its locks: reads the indexes of the request that are absent.  Returns 0, or -1 with the
 * reply set. */
int fxe_keep_load(struct fxe_req *r);

/* With its locks, after it has run: makes durable what the request has changed "by state".  (What
 * became of a recorded one is noted with its reply, see fxe_change_answer.)  May set an error as
 * the reply. */
void fxe_keep_commit(struct fxe_req *r);

/* --- names --- */

/* An index that is about to be published is written to a file, which takes long, unless it is kept
 * already, or nothing is: then *p is NULL.  The caller holds the index's lock, but not engine.lock.
 * Returns 0, or -1 with the reply set. */
struct fxe_publishing;
int fxe_keep_write(struct fxe_req *r, struct fxe_obj *o, struct fxe_publishing **p);
/* Publishes it in the store.  The same locks have been held since.  Returns the same. */
int fxe_keep_publish(struct fxe_req *r, struct fxe_obj *o, const char *name,
                     struct fxe_publishing *p);
/* Frees p; the file, too, if it was not published.  `p` may be NULL. */
void fxe_keep_written(struct fxe_publishing *p);
/* The name is `to` from now on, or NULL: nothing has it.  With it the store gets the reply to r. */
int fxe_keep_rename(struct fxe_req *r, const char *name, const char *to);
/* The object has no name any more.  The caller holds engine.lock. */
void fxe_keep_forget(struct fxe_obj *o);
/* What is kept of an index may be unpublished by anybody at any time.  It is freed then, but not
 * between these two.  The caller holds engine.lock. */
void fxe_keep_use(struct fxe_kept *k);
void fxe_keep_leave(struct fxe_kept *k);

/* Fills the note from the index, which is not absent. */
void fxe_note_take(struct fxs_note *n, const struct fxe_obj *o);

/* Frees the index in memory; the next request reads it again.  No other object of FAISS may contain
 * it, or a part of it.  The caller holds its lock for writing, and not engine.lock. */
void fxe_keep_drop(struct fxe_kept *k);

/* --- asked.c: requests that are sent again, and may have been carried out by an engine before this
 * one.  The caller holds no lock of the engine's --- */

enum fxe_asked {
    FXE_ASKED_NEW,   /* it has not been carried out */
    FXE_ASKED_KNOWN, /* the reply is set: the first answer, or an error */
    FXE_ASKED_RECORD /* its record has to be run to know; with its locks, after fxe_keep_load */
};
enum fxe_asked fxe_keep_asked(struct fxe_req *r);

/* --- change.c --- */

/* Records the request, which has no locks, or gives them back (FXE_KEEP_READ); then it is queued
 * again. */
void fxe_change_record(struct fxe_req *r);
/* A recorded request has run, and this is its reply: keeps it for a client that asks again. */
void fxe_change_answer(struct fxe_req *r, const struct fx_frame *frames, int n);
/* Returns the kept index that has the record of a recorded request. */
struct fxe_kept *fxe_change_kept(const struct fxe_req *r);
/* A recorded request has run: the next one may.  The caller holds engine.lock. */
void fxe_change_end(struct fxe_req *r);
/* Has the first of those that wait run, unless k->still.  The caller holds engine.lock. */
void fxe_change_run_first(struct fxe_kept *k);
void fxe_change_free(struct fxe_change *c);

/* --- record.c --- */

struct fxe_record {
    void *head; /* malloc: the record's beginning, up to the arrays */
    struct iovec parts[2 * FX_FRAMES_MAX + 1];
    int nparts;
    struct fx_header header; /* decoded from `head` */
};
/* Describes the request's call as a record, which points into the request.  Takes the uploads that
 * it names.  From then on the request uses the arguments in the record.  Returns 0, or -1 with the
 * reply set. */
int fxe_record_make(struct fxe_req *r, struct fxe_record *rec);
void fxe_record_free(struct fxe_record *rec);
/* Makes the call of a record on `o`.  Returns 0; or -1 with the rest of the outcome. */
struct fxe_outcome {
    void *answer; /* the reply, if a caller may ask for it; malloc */
    size_t answer_size;
    bool temporary; /* it failed because memory was out, say, or this server does not know the
                       call: the record is not to blame */
    char why[FXS_STORE_WHY / 2];
};
int fxe_record_run(const struct fxs_record *rec, struct fxe_obj *o, struct fxe_outcome *end);

/* --- snapshot.c --- */

void fxe_snapshots_start(void);
/* Ends the thread.  A snapshot that is being written is given up. */
void fxe_snapshots_stop(void);
/* Writes the index as it is, with `name` and the reply to `r` if these are not NULL.  The caller
 * holds its lock, for reading at least.  Returns 0; or, with `why`, 1 if FAISS cannot write it, -1
 * if the store cannot. */
int fxe_snapshot_now(struct fxe_kept *k, const char *name, struct fxe_req *r, char *why);
/* The same of several, which requests have locked for writing: either all are on disk as they are,
 * or none.  One that was unpublished meanwhile does not count. */
int fxe_snapshots_now(struct fxe_kept **some, int n, struct fxe_req *r, char *why);
/* The same of what the index is about to become.  k->replacing is set. */
int fxe_snapshot_next(struct fxe_kept *k, const struct fxe_obj *next, struct fxe_req *r, char *why);
/* A change that has no record could not be written: the thread writes the index when it can. */
void fxe_snapshot_later(struct fxe_kept *k);
/* Wakes the thread if the index has changed so much that a snapshot is due.  The caller holds
 * engine.lock. */
void fxe_snapshot_if_due(struct fxe_kept *k);
/* Would no change be lost that a client has been told of, if the process ended now?  If some would
 * be, they are written soon.  The caller holds engine.lock. */
bool fxe_keep_is_saved(void);
/* There is something else for that thread to do. */
void fxe_snapshots_wake(void);
/* Writes what is not in a snapshot and would take long to run again. */
void fxe_snapshots_at_end(void);

/* --- load.c --- */

/* Reads the index from the store; or maps it, if that is allowed and possible.  The caller holds
 * its lock for writing.  Returns 0, or -1 with `why`. */
int fxe_load(struct fxe_kept *k, bool may_map, char *why);
/* Unloads others if there is no room for the index in memory.  Returns false with `why` if there is
 * none then: FAISS, if it runs out of memory while it reads, does not free all that it has read. */
bool fxe_load_has_room(const struct fxe_kept *k, char *why);
/* Reads the snapshot, if there is room for it.  *ptr is FAISS's object then, or NULL with `why`.
 * Returns FXS_STORE_NONE if the index was unpublished. */
enum fxs_store_rc fxe_load_snapshot(struct fxe_kept *k, void **ptr, char *why);
/* What an interrupted replay left.  If the engine did nothing but make one record again, sets that
 * record aside; otherwise its index is a suspect. */
void fxe_load_check_mark(void);
/* At start: fxe_load_alone finds out whether a record of it ends the engine. */
bool fxe_load_is_suspect(const struct fxe_kept *k);
/* Reads the index.  Nothing else runs: a record that is being made when the engine ends is to
 * blame, and is set aside at the next start. */
void fxe_load_alone(struct fxe_kept *k);
/* The entry waits for its training: if that has ended the engine, it has failed. */
void fxe_load_set_training(struct fxe_kept *k);
/* The training of an entry begins (0: of one that is not kept), or has ended, `trained` or not
 * (then entry is 0): the next engine has to know if this one ends meanwhile. */
void fxe_load_mark_training(uint64_t entry, bool trained);

/* --- mapped.c --- */

/* Does the request leave the indexes as they are, and make nothing that refers to their memory? */
bool fxe_only_reads(const struct fxe_req *r);
/* Is the handle's index mapped?  The caller holds its lock. */
bool fxe_is_mapped(const struct fxe_obj *o);
/* Can FAISS map the snapshot, and use it as it is? */
bool fxe_can_map(const struct fxe_kept *k);
/* The index is not in memory: can requests that only read do without that?  The caller holds
 * engine.lock. */
bool fxe_may_stay_mapped(const struct fxe_kept *k);
/* Maps the snapshot.  Returns FAISS's object, or NULL with `why`; *damaged: reading it would fail
 * as well. */
void *fxe_map_snapshot(struct fxe_kept *k, bool *damaged, char *why);
/* Reads a mapped index into memory; if it fails, the index stays mapped.  `k` is NULL if the index
 * is not kept any more.  The caller holds its lock for writing.  Returns 0, or -1 with `why`. */
int fxe_unmap(struct fxe_obj *o, struct fxe_kept *k, char *why);

/* --- unload.c --- */

/* Has the index in memory changes that are not on disk?  Reading it again would take back what has
 * been acknowledged.  With --durability snapshot, these are all since the snapshot. */
bool fxe_is_only_copy(const struct fxe_kept *k);

/* Unloads indexes until there is room for so many bytes, or none is left that can be unloaded.  The
 * caller does not hold engine.lock. */
void fxe_unload_for(size_t bytes);
/* The same, if need be; returns true if so many bytes are left. */
bool fxe_make_room_for(size_t bytes);

/* --- hold.c --- */

/* Waits for the lock of a kept index, for reading.  Returns what fxe_hold_end needs; or NULL if a
 * call had it for so many seconds, if the index was unpublished, if memory is out, or after
 * fxe_holds_stop.  Not for a thread that runs requests. */
struct fxe_req *fxe_hold(struct fxe_kept *k, int seconds);
/* The same of any index, for as long as it takes; NULL if memory is out. */
struct fxe_req *fxe_hold_object(struct fxe_obj *o);
/* The request's objects and their locks are the hold's from now on: what it reads goes on after its
 * reply.  NULL if memory is out. */
struct fxe_req *fxe_hold_from(struct fxe_req *r);
/* Is it the request of a thread that waits so?  It gets the lock of an absent index as it is. */
bool fxe_is_hold(const struct fxe_req *r);
/* The lock for reading becomes one for writing, and nobody changes the index in between.  Returns
 * false after fxe_holds_stop: then it never does, and the thread has nothing more to do. */
bool fxe_hold_raise(struct fxe_req *hold);
void fxe_hold_end(struct fxe_req *hold);
/* The process is about to end: nobody waits any more for a lock that a call may never give back. */
void fxe_holds_stop(void);

#endif
