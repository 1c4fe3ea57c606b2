/* SPDX-License-Identifier: Apache-2.0 */
/* Undoes the changes after a time. */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/store/scan.h"

struct cut {
    struct fxs_store *s;
    int64_t ms;
    uint64_t before, first; /* the newest record that stays, and the first that goes */
    struct entry {
        uint64_t id, position;
    } * list;
    size_t n, cap;
};

static int list_entry(void *ctx, const struct fxs_entry *e, const char *file)
{
    struct cut *c = ctx;
    (void)file;
    if (c->n == c->cap) {
        size_t cap = c->cap * 2 + 16;
        void *more = realloc(c->list, cap * sizeof *c->list);
        if (!more)
            return 1;
        c->list = more;
        c->cap = cap;
    }
    c->list[c->n++] = (struct entry){e->id, e->position};
    return 0;
}

static int find_first(void *ctx, const struct fxs_row *row)
{
    struct cut *c = ctx;
    if (row->ms > c->ms) {
        c->first = row->number;
        return 1;
    }
    c->before = row->number;
    return 0;
}

static enum fxs_store_rc run(struct fxs_db *db, const char *sql, uint64_t entry, uint64_t number,
                             char *why)
{
    sqlite3_stmt *st = NULL;
    enum fxs_store_rc rc = FXS_STORE_NONE;
    if (sqlite3_prepare_v2(db->sqlite, sql, -1, &st, NULL) != SQLITE_OK ||
        sqlite3_bind_int64(st, 1, (sqlite3_int64)entry) != SQLITE_OK ||
        sqlite3_bind_int64(st, 2, (sqlite3_int64)number) != SQLITE_OK)
        rc = fxs_sql_error(db, why);
    else
        rc = fxs_sql_step(db, st, why);
    sqlite3_finalize(st);
    return rc == FXS_STORE_NONE ? FXS_STORE_OK : rc;
}

static enum fxs_store_rc cut_entry(struct cut *c, const struct entry *e, fxs_fault_fn report,
                                   void *ctx, char *why)
{
    struct fxs_db *db = c->s->writer;
    uint64_t first, n, bytes;
    c->before = e->position;
    c->first = 0;
    enum fxs_store_rc rc = fxs_scan_records(db, e->id, e->position, find_first, c, why);
    if (rc != FXS_STORE_OK || !c->first)
        return rc;
    fxs_scan_count(db, e->id, c->before, &first, &n);
    (void)((rc = run(db, "DELETE FROM answers WHERE entry = ? AND number >= ?", e->id, c->first,
                     why)) ||
           (rc = run(db, "DELETE FROM aside WHERE entry = ? AND number >= ?", e->id, c->first,
                     why)) ||
           (rc = run(db, "DELETE FROM records WHERE entry = ? AND number >= ?", e->id, c->first,
                     why)) ||
           (rc = fxs_db_log_bytes(db, e->id, e->position, &bytes, why)) ||
           (rc = fxs_db_set_head(db, e->id, c->before, bytes, why)));
    if (rc == FXS_STORE_OK)
        report(ctx, &(struct fxs_fault){.kind = FXS_LOST_RECORDS,
                                        .file = "",
                                        .entry = e->id,
                                        .number = c->first,
                                        .count = n,
                                        .text = "after the time"});
    return rc;
}

enum fxs_store_rc fxs_store_cut(const char *dir, int64_t ms, fxs_fault_fn report, void *ctx,
                                char *why)
{
    struct cut c = {.ms = ms};
    char path[PATH_MAX];
    uint64_t number, entry;
    enum fxs_store_rc rc = fxs_view_dir(&c.s, dir, why);
    if (rc != FXS_STORE_OK)
        return rc;
    snprintf(path, sizeof path, "%s/store.db", c.s->path);
    struct fxs_db **db = &c.s->writer;
    (void)((rc = fxs_take_lock(c.s, why)) || (rc = fxs_db_open(db, path, why)) ||
           (rc = fxs_db_begin(*db, why)) || (rc = fxs_db_list(*db, list_entry, &c, why)) ||
           (rc = fxs_db_newest(*db, &number, &entry, why)) ||
           /* Numbers are not used twice. */
           (rc = fxs_db_set_newest(*db, number, 0, why)));
    for (size_t i = 0; rc == FXS_STORE_OK && i < c.n; i++)
        rc = cut_entry(&c, &c.list[i], report, ctx, why);
    if (rc == FXS_STORE_OK)
        rc = fxs_db_commit(*db, false, why);
    else if (*db)
        fxs_db_rollback(*db);
    fxs_db_close(*db, rc == FXS_STORE_OK);
    *db = NULL;
    fxs_store_close(c.s);
    free(c.list);
    return rc;
}
