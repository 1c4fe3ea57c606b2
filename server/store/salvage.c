/* SPDX-License-Identifier: Apache-2.0 */
/* What repair takes over of an entry: its snapshot, and the records that follow it without a gap,
 * be they in the database or, if they are large, only in their segment. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/store/mark.h"
#include "server/store/repair.h"
#include "server/store/scan.h"
#include "server/store/stream.h"

/* Of a segment only what is needed: the rest of it may be a hole, or not be readable. */
static bool copy_record(struct repair *r, const struct fxs_row *row)
{
    uint8_t head[FXS_HEAD_SIZE];
    char name[FXS_FILE_NAME];
    fxs_segment_name(row->segment, name);
    size_t before = fxs_stream_read_head(r->old, row, head) ? FXS_HEAD_SIZE : 0;
    struct iovec iov[] = {{head, before}, {(void *)(uintptr_t)row->data, row->size}};
    int to = openat(r->new->dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (to < 0 || fxs_write_all(to, iov, 2, (off_t)(row->offset - before)) != 0)
        r->rc = fxs_io_error(r->why, "copy", name);
    if (to >= 0)
        close(to);
    return r->rc == FXS_STORE_OK;
}

static bool share(struct repair *r, const char *file)
{
    if (linkat(r->old->dir, file, r->new->dir, file, 0) == 0)
        return true;
    r->rc = fxs_io_error(r->why, "link", file);
    return false;
}

static int take_record(void *ctx, const struct fxs_row *row)
{
    struct repair *r = ctx;
    if (row->segment && !copy_record(r, row))
        return 1;
    r->rc = fxs_db_add_record(r->db, row, r->why);
    r->totals->records++;
    r->totals->bytes += row->size;
    return r->rc != FXS_STORE_OK;
}

/* What the old database knows as the entry's newest record. */
static uint64_t head_of(struct repair *r, uint64_t id)
{
    struct fxs_db_entry e = {0};
    return r->old->reader && fxs_db_entry(r->old->reader, id, &e, NULL) == FXS_STORE_OK ? e.last
                                                                                        : 0;
}

/* Record `first` of the entry, and those after it, are lost; `n` more than was known. */
static void lose(struct repair *r, struct found *f, uint64_t first, uint64_t n, const char *text)
{
    f->lost_count += n;
    if (f->lost)
        return;
    f->lost_first = first;
    f->lost = strdup(text);
    if (!f->lost)
        r->rc = fxs_why(FXS_STORE_MEMORY, r->why, "no memory for the list of indexes");
}

void fxs_salvage_entry(struct repair *r, struct found *f)
{
    char text[FXS_STORE_WHY];
    struct fxs_snapshot_commit c = {.cls = f->info.cls,
                                    .position = f->info.position,
                                    .note = f->note,
                                    .note_size = f->note_size};
    struct fxs_snapshot_sum sum = {f->info.bytes, f->info.hash};
    enum fxs_store_rc rc = FXS_STORE_OK;
    uint64_t first = 0, n = 0;
    f->end = f->info.position;
    if (!share(r, f->file))
        return;
    r->totals->entries++;
    r->totals->bytes += f->info.bytes;
    r->rc = fxs_db_put_entry(r->db, f->id, &c, &sum, f->file, (int64_t)f->ms, r->why);
    if (r->rc == FXS_STORE_OK && r->old->reader)
        rc = fxs_chain(r->old, f->id, f->end, take_record, r, &f->end, text);
    if (r->rc != FXS_STORE_OK)
        return;
    if (rc != FXS_STORE_OK && rc != FXS_STORE_DAMAGED) {
        r->rc = fxs_why(rc, r->why, "%s", text);
        return;
    }
    uint64_t head = head_of(r, f->id);
    if (!r->old->reader)
        rc = fxs_why(FXS_STORE_DAMAGED, text, "the changes since its snapshot are lost");
    else if (rc == FXS_STORE_OK && f->end < head)
        rc = fxs_why(FXS_STORE_DAMAGED, text, "records up to %" PRIu64 " are missing", head);
    if (rc != FXS_STORE_OK && r->old->reader)
        fxs_scan_count(r->old->reader, f->id, f->end, &first, &n);
    if (rc != FXS_STORE_OK)
        lose(r, f, first ? first : f->end + 1, n, text);
    if (head > r->newest)
        r->newest = head;
}

/* --- records without rows --- */

static bool follows(const struct found *f, const struct fxs_row *row)
{
    return f->end == f->info.position ? row->previous <= f->end : row->previous == f->end;
}

static enum fxs_store_rc take_large(struct repair *r, struct found *f, const struct fxs_row *row)
{
    if (take_record(r, row) != 0)
        return r->rc;
    f->end = row->number;
    r->blind++;
    if (row->caller.number) {
        r->rc = fxs_db_put_answer(r->db, &row->caller, row->entry, row->number, NULL, 0, row->ms,
                                  r->why);
        r->totals->answers++;
    }
    return r->rc;
}

/* `damage` is NULL if the record is whole. */
static enum fxs_store_rc found_large(void *ctx, const struct fxs_row *row, const char *damage)
{
    struct repair *r = ctx;
    char text[FXS_STORE_WHY];
    struct found *f = fxs_repair_find(r, row->entry);
    if (row->number > r->newest)
        r->newest = row->number;
    if (!f)
        f = fxs_repair_add(r, row->entry); /* there was such an entry */
    if (!f || !f->good || row->number <= f->info.position)
        return r->rc;
    if (!damage && !f->lost && !f->doubtful && follows(f, row))
        return take_large(r, f, row);
    if (f->doubtful)
        fxs_why(FXS_STORE_DAMAGED, text, "there are two snapshots that they may follow");
    else
        fxs_why(FXS_STORE_DAMAGED, text, "record %" PRIu64 " is missing", row->previous);
    lose(r, f, damage ? row->number : f->end + 1, 1, damage ? damage : text);
    return r->rc;
}

static void note(struct repair *r, const char *file, const char *text)
{
    r->report(r->ctx, &(struct fxs_fault){.kind = FXS_FAULT_DATABASE, .file = file, .text = text});
}

/* After a power loss, all that follows the first record that is not whole was never acknowledged:
 * it is not looked at.  If the database's log or the segment has lost what was durable, it was. */
static void take_stream(struct repair *r)
{
    struct fxs_stream end = {0}, at = {0}, reached;
    uint64_t number, entry, segment;
    char text[FXS_STORE_WHY], file[FXS_FILE_NAME];
    enum fxs_store_rc rc = fxs_stream_each(r->old, r->old->reader, NULL, NULL, &end, text);
    bool cut = rc == FXS_STORE_OK && fxs_mark_verify_stream(r->old, &end, text) != FXS_STORE_OK;
    if (cut) {
        fxs_segment_name(end.segment, file);
        note(r, file, text);
    }
    (void)(rc || (rc = fxs_db_stream(r->old->reader, &at, text)) ||
           (rc = fxs_db_newest(r->old->reader, &number, &entry, text)));
    if (rc == FXS_STORE_MEMORY || rc == FXS_STORE_FAILED) {
        r->rc = fxs_why(rc, r->why, "%s", text);
        return;
    }
    if (rc != FXS_STORE_OK) {
        note(r, "store.db", text);
        return;
    }
    bool all = r->log_lost || cut; /* rows are lost that the database had */
    rc = fxs_stream_salvage(r->old, &at, all ? NULL : &end, number, found_large, r, &reached,
                            r->why);
    if (r->rc == FXS_STORE_OK)
        r->rc = rc;
    if (all && !cut && fxs_mark_verify_all(r->old, &reached, &segment, text) != FXS_STORE_OK) {
        fxs_segment_name(segment, file); /* the file may be gone because nothing needed it */
        note(r, file, text);
    }
    if (all && r->blind) {
        fxs_why(FXS_STORE_DAMAGED, text,
                "%" PRIu64
                " changes are taken without their outcome, which is lost: those that had "
                "failed are tried again",
                r->blind);
        note(r, "store.db", text);
    }
}

static void finish(struct repair *r, struct found *f)
{
    uint64_t bytes = 0;
    if (f->end > r->newest)
        r->newest = f->end;
    (void)((r->rc = fxs_db_log_bytes(r->db, f->id, f->info.position, &bytes, r->why)) ||
           (r->rc = fxs_db_set_head(r->db, f->id, f->end, bytes, r->why)));
    if (r->rc == FXS_STORE_OK && f->lost)
        r->report(r->ctx, &(struct fxs_fault){.kind = FXS_LOST_RECORDS,
                                              .file = "",
                                              .entry = f->id,
                                              .number = f->lost_first,
                                              .count = f->lost_count,
                                              .text = f->lost});
}

void fxs_salvage_rest(struct repair *r)
{
    if (r->log_lost)
        note(r, "store.db-wal", r->log_why);
    if (r->old->reader)
        take_stream(r);
    for (size_t i = 0; r->rc == FXS_STORE_OK && i < r->nfound; i++)
        if (r->found[i].good)
            finish(r, &r->found[i]);
}
