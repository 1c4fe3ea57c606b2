/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share.  Nobody else includes this. */
#ifndef FXS_STORE_INTERNAL_H
#define FXS_STORE_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "server/store/admin.h"
#include "server/store/db.h"
#include "server/store/store.h"

enum {
    FXS_INLINE_MAX = 16 << 10, /* larger records have their data in a segment */
    FXS_SEGMENT_ALIGN = 64,
    FXS_PAGE = 4096,     /* of the database */
    FXS_FOOTER_SIZE = 88 /* of a snapshot file */
};

/* How the store writes files, but for the database.  Tests replace the functions, before they open
 * a store, to make them fail.  Each returns -1 with errno set if it fails. */
struct fxs_store_io {
    int (*create)(int dir, const char *name); /* read and write; the file must not exist */
    ssize_t (*write)(int fd, const struct iovec *iov, int n, off_t offset);
    int (*sync)(int fd);      /* a file, or the directory */
    int (*sync_data)(int fd); /* what is needed to read a file's data */
    int (*truncate)(int fd, off_t size);
    int (*rename)(int dir, const char *from, const char *to); /* nothing may be called `to` */
    int (*remove)(int dir, const char *name);
};
extern struct fxs_store_io fxs_store_io;

/* A segment is not larger, unless it has one record only.  Tests set it before they open a store.
 */
extern uint64_t fxs_segment_size;

/* Writes all of it.  The iovecs are changed. */
int fxs_write_all(int fd, struct iovec *iov, int n, off_t offset);
/* Says what is wrong with a file, and returns what errno stands for: no space, or failed. */
enum fxs_store_rc fxs_io_error(char *why, const char *what, const char *file);

/* What it means, by errno, that a file of the store cannot be opened: FXS_STORE_DAMAGED, or
 * FXS_STORE_FAILED if it is not known whether it is there and good. */
enum fxs_store_rc fxs_open_error(void);

/* --- what the writer is asked for --- */

enum fxs_job_kind {
    FXS_JOB_APPEND, /* durability ALWAYS: `change` */
    FXS_JOB_KEPT,   /* durability INTERVAL: a copy, which has its number */
    FXS_JOB_ANSWER,
    FXS_JOB_COMMIT,
    FXS_JOB_NAME,
    FXS_JOB_UNNAME,
    FXS_JOB_ASIDE,
    FXS_JOB_BARRIER, /* all that was asked for before, of this entry or caller, is committed */
    FXS_JOB_FAIL     /* a write failed elsewhere: the store is to stop */
};

struct fxs_job {
    struct fxs_job *next;
    enum fxs_job_kind kind;
    struct fxs_change *change;
    uint64_t entry, number;
    struct fxs_caller caller;
    uint64_t oldest;
    int failed;
    const void *data; /* a record or an answer */
    size_t size;
    const char *text; /* a name, a reason, or what failed */
    const struct fxs_snapshot_commit *commit;
    const struct fxs_snapshot_sum *sum;
    struct fxs_job *with; /* COMMIT: another, in the same transaction */
    const char
        *file; /* of the snapshot; UNNAME: the new name, or NULL; NAME: one to take away, or NULL */
    int64_t ms; /* when it was asked for */
    enum fxs_store_rc rc;
    char *why;       /* the caller's */
    bool waits;      /* a caller waits for `finished`, and owns the job */
    bool in_segment; /* an append: its record is large */
    bool finished;
};

/* A file, or the data of a record, that is removed once the transaction is committed. */
struct fxs_freed {
    char file[FXS_FILE_NAME]; /* or "" */
    uint64_t segment, offset, size;
};

/* The segments, which only the writer uses. */
struct fxs_segment {
    uint64_t id;
    uint64_t live, pending; /* records: committed, and of this transaction */
};
struct fxs_segments {
    struct fxs_segment *list;
    size_t n, cap;
    int fd; /* the one that is written, or -1: its id is `last` */
    uint64_t last;
    struct fxs_stream at, start; /* start: when the transaction began */
    bool dirty;
    bool begun;             /* in this transaction */
    struct fxs_stream left; /* then: where the stream ended when the transaction began */
    struct fxs_spares *spares;
};

struct fxs_store {
    char *path;
    int dir, lock;
    struct fxs_store_options o;

    struct fxs_mark *mark; /* mapped, or NULL */
    int mark_fd, wal_fd;   /* or -1 */
    uint64_t marked_entry, marked_number, marked_training;
    bool marked_alone;

    struct fxs_db *reader; /* under `reading` */
    pthread_mutex_t reading;

    /* The writer's alone. */
    struct fxs_db *writer;
    struct fxs_segments segments;
    struct fxs_freed *freed;
    size_t nfreed, freed_cap;
    uint8_t *scratch;      /* FXS_INLINE_MAX bytes */
    bool trim, trim_again; /* there may be records to remove: now, or when there is space again */
    int64_t checkpoint_ms; /* when the log may be moved into the database again */
    int64_t answers_ms;    /* when old answers were dropped last */
    char broken_why[FXS_STORE_WHY];
    pthread_t thread;
    bool started;
    bool tidy; /* everything is in the database, and the mark knows */

    /* Held by fxs_store_append while it calls done, so that this happens in order.  Taken before
     * `mutex`. */
    pthread_mutex_t order;

    pthread_mutex_t mutex; /* for all that follows */
    pthread_cond_t work, finished;
    struct fxs_job *head, **tail;
    unsigned urgent; /* jobs that somebody waits for */
    unsigned enough; /* of these: the writer is woken when there are so many */
    unsigned crowd;  /* jobs that were under way lately at the same time */
    bool stop;
    bool broken; /* FXS_STORE_FAILED has happened; nothing more is written */
    bool full,
        stuck;     /* the last write found no space; and changes that were accepted wait for it */
    bool put_back; /* these, or answers, wait for it */
    size_t kept_bytes; /* of such changes, or of those that are to be written soon */
    int64_t due_ms; /* when what waits is to be written, if nobody waits for it; 0: nothing waits */
    uint64_t number;     /* the newest record's: changed by the writer */
    uint64_t accepted;   /* the newest number that was given without durability ALWAYS */
    uint64_t next_entry; /* to be given to a new entry */
    uint64_t appends, commits;
};

/* store.c */
int64_t fxs_now_ms(void);   /* since 1970 */
int64_t fxs_ticks_ms(void); /* of a clock that nobody sets: for all that is waited for */
void fxs_init_locks(struct fxs_store *s);
enum fxs_store_rc fxs_take_lock(struct fxs_store *s, char *why);
/* 16 hexadecimal digits */
void fxs_random_name(char hex[17]);
/* Removes a file that is not needed; if that fails, opening the store tries again. */
void fxs_remove_file(struct fxs_store *s, const char *name);

/* segment.c: the writer's, but for fxs_segment_read */
void fxs_segment_name(uint64_t id, char name[FXS_FILE_NAME]);
enum fxs_store_rc fxs_segment_load(struct fxs_store *s, char *why);
bool fxs_segment_known(const struct fxs_store *s, const char *name);
enum fxs_store_rc fxs_segment_write(struct fxs_store *s, const struct iovec *parts, int nparts,
                                    struct fxs_row *row, char *why);
/* Makes what the transaction has written durable, and puts the stream's end into the database.
 * *begun: it has begun a segment. */
enum fxs_store_rc fxs_segment_sync(struct fxs_store *s, bool *begun, char *why);
/* Cuts what is behind the end of the stream off its segment, durably. */
enum fxs_store_rc fxs_segment_cut(struct fxs_store *s, const struct fxs_stream *end, char *why);
/* The transaction is not committed: removes what it has written, durably. */
enum fxs_store_rc fxs_segment_undo(struct fxs_store *s, char *why);
void fxs_segment_ended(struct fxs_store *s, bool committed);
/* A record is not needed any more.  Afterwards, for each of them: */
void fxs_segment_free(struct fxs_store *s, uint64_t id);
void fxs_segment_punch(struct fxs_store *s, uint64_t id, uint64_t offset, uint64_t size);
void fxs_segment_close(struct fxs_store *s);
enum fxs_store_rc fxs_segment_read(struct fxs_store *s, const struct fxs_row *row, void *buffer,
                                   char *why);

/* apply.c: within a transaction.  fxs_apply returns what ends the transaction; what only the job
 * cannot have is in job->rc.  *number is the newest record's. */
enum fxs_store_rc fxs_apply(struct fxs_store *s, struct fxs_job *job, uint64_t *number, char *why);
/* Removes some records that snapshots have made unneeded; *more: there may be others. */
enum fxs_store_rc fxs_trim_step(struct fxs_store *s, uint64_t number, bool *more, char *why);
/* The transaction has ended: removes what it freed, or forgets it. */
void fxs_free_now(struct fxs_store *s, bool committed);
/* Of the record's fields and its data. */
uint64_t fxs_row_hash(const struct fxs_row *row, const struct iovec *parts, int nparts);

/* chain.c: the entry's records after `position`, each verified.  Calls f for each; ends early if
 * it does not return 0.  FXS_STORE_DAMAGED: `why` says what is wrong with the one after *last,
 * which is the newest good one's number. */
enum fxs_store_rc fxs_chain(struct fxs_store *s, uint64_t entry, uint64_t position,
                            int (*f)(void *ctx, const struct fxs_row *row), void *ctx,
                            uint64_t *last, char *why);
/* Reads a record's data into `buffer`, which grows, and verifies it.  `row->data` is the buffer
 * afterwards. */
struct fxs_buffer {
    void *data;
    size_t cap;
};
enum fxs_store_rc fxs_row_load(struct fxs_store *s, struct fxs_row *row, struct fxs_buffer *b,
                               char *why);

/* view.c: opens the directory only; s->reader stays NULL. */
enum fxs_store_rc fxs_view_dir(struct fxs_store **s, const char *dir, char *why);
/* Opens its database.  FXS_STORE_NONE: it is missing; FXS_STORE_DAMAGED: it is lost.  Of any other
 * error it is not known whether there is damage. */
enum fxs_store_rc fxs_view_database(struct fxs_store *s, char *why);
/* Calls f for each file of the directory.  Ends early if it returns false. */
enum fxs_store_rc fxs_each_file(struct fxs_store *s, bool (*f)(void *ctx, const char *name),
                                void *ctx, char *why);
bool fxs_is_snapshot(const char *name);
bool fxs_is_segment(const char *name);

/* view.c: unless a process uses the store, is the database's log as long as it should be? */
enum fxs_store_rc fxs_view_log(struct fxs_store *s, char *why);

/* writer.c */
/* Is it worth trying again later? */
bool fxs_may_pass(enum fxs_store_rc rc);
enum fxs_store_rc fxs_writer_start(struct fxs_store *s, char *why);
void fxs_writer_stop(struct fxs_store *s);
/* ask.c: asks for a job and waits for it. */
enum fxs_store_rc fxs_ask(struct fxs_store *s, struct fxs_job *job, char *why);

#endif
