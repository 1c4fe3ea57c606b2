/* SPDX-License-Identifier: Apache-2.0 */
/* What repair.c and salvage.c share. */
#ifndef FXS_STORE_REPAIR_H
#define FXS_STORE_REPAIR_H

#include "server/store/internal.h"

struct found {
    uint64_t id;
    struct fxs_snapshot_info info; /* of the snapshot that is used */
    char file[FXS_FILE_NAME];      /* it; or the one that the database has, if none is good */
    bool good, listed, told;       /* told: it was reported as lost */
    bool noteless;                 /* it had a note, or may have had one, which is lost */
    bool doubtful;                 /* another snapshot may be the one that later records follow */
    void *note;
    size_t note_size;
    uint64_t ms;
    uint64_t end; /* the newest record that was taken, or the snapshot's position */
    char *lost;   /* why later records are lost; NULL: none is known to be */
    uint64_t lost_first, lost_count; /* 0: not known */
};

struct repair {
    struct fxs_store *old, *new; /* old->reader is NULL if the database cannot be opened */
    struct fxs_db *db;           /* of the new one */
    fxs_fault_fn report;
    void *ctx;
    struct fxs_totals *totals;
    struct found *found;
    size_t nfound, cap;
    uint64_t newest, newest_entry;
    uint64_t lost_answers;
    uint64_t blind; /* records that were taken without their row: what their calls returned */
    bool unlisted;  /* entries were lost from the database */
    bool log_lost;  /* the end of its log was: `log_why` */
    char log_why[FXS_STORE_WHY];
    enum fxs_store_rc rc;
    char *why;
};

struct found *fxs_repair_find(struct repair *r, uint64_t id);
/* Returns NULL, with r->rc, if memory is out. */
struct found *fxs_repair_add(struct repair *r, uint64_t id);

/* salvage.c: takes the entry's snapshot, and its records that have rows. */
void fxs_salvage_entry(struct repair *r, struct found *f);
/* Takes large records without rows, as far as they follow what was taken; then reports what is lost
 * of each entry. */
void fxs_salvage_rest(struct repair *r);

#endif
