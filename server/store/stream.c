/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "server/store/mark.h"

enum { STREAM_VERSION = 1 };
static const char magic[8] = {'F', 'X', 'S', 'R', 'E', 'C', 0, STREAM_VERSION};

/* As it is on disk; zeros up to FXS_HEAD_SIZE. */
struct head {
    char magic[8];
    uint64_t segment, offset; /* of the data */
    uint64_t number, entry, previous, ms, caller_number, size;
    uint8_t caller[FXS_CALLER_SIZE];
    uint64_t hash;  /* the row's */
    uint64_t chain; /* `check` of the head before */
    uint64_t check; /* of all that precedes it */
};
_Static_assert(sizeof(struct head) <= FXS_HEAD_SIZE, "the head of a record is too large");

static uint64_t check_of(const struct head *h)
{
    return XXH3_64bits(h, offsetof(struct head, check));
}

void fxs_stream_head(const struct fxs_row *row, struct fxs_stream *at, uint8_t head[FXS_HEAD_SIZE])
{
    struct head h = {.segment = at->segment,
                     .offset = row->offset,
                     .number = row->number,
                     .entry = row->entry,
                     .previous = row->previous,
                     .ms = (uint64_t)row->ms,
                     .caller_number = row->caller.number,
                     .size = row->size,
                     .hash = row->hash,
                     .chain = at->chain};
    memcpy(h.magic, magic, sizeof h.magic);
    if (row->caller.number)
        memcpy(h.caller, row->caller.id, FXS_CALLER_SIZE);
    at->chain = h.check = check_of(&h);
    memset(head, 0, FXS_HEAD_SIZE);
    memcpy(head, &h, sizeof h);
}

/* --- reading --- */

/* Returns false if there is no head that follows.  `any`: the chain is not known. */
static bool read_head(int fd, const struct fxs_stream *at, bool any, struct fxs_row *row,
                      uint64_t *check)
{
    struct head h;
    if (pread(fd, &h, sizeof h, (off_t)at->tail) != (ssize_t)sizeof h ||
        memcmp(h.magic, magic, sizeof h.magic) != 0 || h.check != check_of(&h) ||
        h.segment != at->segment || h.offset != at->tail + FXS_HEAD_SIZE ||
        (!any && h.chain != at->chain))
        return false;
    *row = (struct fxs_row){.number = h.number,
                            .entry = h.entry,
                            .previous = h.previous,
                            .caller.number = h.caller_number,
                            .ms = (int64_t)h.ms,
                            .hash = h.hash,
                            .flags = FXS_ROW_NEW,
                            .segment = h.segment,
                            .offset = h.offset,
                            .size = h.size};
    memcpy(row->caller.id, h.caller, FXS_CALLER_SIZE);
    *check = h.check;
    return true;
}

bool fxs_stream_read_head(struct fxs_store *s, const struct fxs_row *row,
                          uint8_t head[FXS_HEAD_SIZE])
{
    char name[FXS_FILE_NAME];
    struct head h;
    if (row->offset < FXS_HEAD_SIZE)
        return false;
    fxs_segment_name(row->segment, name);
    int fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    memset(head, 0, FXS_HEAD_SIZE);
    bool ok = fd >= 0 &&
              pread(fd, head, FXS_HEAD_SIZE, (off_t)(row->offset - FXS_HEAD_SIZE)) == FXS_HEAD_SIZE;
    if (fd >= 0)
        close(fd);
    memcpy(&h, head, sizeof h);
    return ok && memcmp(h.magic, magic, sizeof h.magic) == 0 && h.check == check_of(&h) &&
           h.number == row->number && h.offset == row->offset;
}

enum fxs_store_rc fxs_drop_cached(struct fxs_store *s, int fd, uint64_t from, const char *name,
                                  char *why)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_size <= from)
        return FXS_STORE_OK;
    if (s->lock < 0)
        return FXS_STORE_OK; /* only looked at */
    if (fxs_store_io.sync_data(fd) != 0) {
        fxs_io_error(why, "sync", name);
        return FXS_STORE_FAILED;
    }
    posix_fadvise(fd, (off_t)(from / FXS_PAGE * FXS_PAGE), 0, POSIX_FADV_DONTNEED);
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_stream_each(struct fxs_store *s, struct fxs_db *db,
                                  enum fxs_store_rc (*f)(void *ctx, const struct fxs_row *row,
                                                         char *why),
                                  void *ctx, struct fxs_stream *end, char *why)
{
    char name[FXS_FILE_NAME];
    uint64_t number, entry, check;
    struct fxs_row row;
    struct fxs_buffer b = {0};
    enum fxs_store_rc rc;
    if ((rc = fxs_db_stream(db, end, why)) || (rc = fxs_db_newest(db, &number, &entry, why)) ||
        !end->segment)
        return rc;
    fxs_segment_name(end->segment, name);
    int fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return FXS_STORE_OK; /* nothing in it was needed any more */
    if (fd < 0)
        return fxs_why(fxs_open_error(), why, "cannot open %s/%s: %s", s->path, name,
                       strerror(errno));
    rc = fxs_drop_cached(s, fd, end->tail, name, why);
    while (rc == FXS_STORE_OK && read_head(fd, end, false, &row, &check) &&
           row.number == ++number) {
        rc = fxs_row_load(s, &row, &b, why);
        if (rc == FXS_STORE_DAMAGED) {
            rc = FXS_STORE_OK;
            break;
        }
        if (rc == FXS_STORE_OK && f)
            rc = f(ctx, &row, why);
        end->tail = fxs_stream_end(row.offset, row.size);
        end->chain = check;
    }
    close(fd);
    free(b.data);
    return rc;
}

/* --- for repair --- */

struct salvage {
    struct fxs_store *s;
    uint64_t number; /* of the newest record */
    enum fxs_store_rc (*f)(void *ctx, const struct fxs_row *row, const char *damage);
    void *ctx;
    struct fxs_stream *reached;
    uint64_t first, *segments; /* those that are there, from `first` on */
    size_t n;
    bool memory; /* is out */
};

/* From `at` on, up to `tail`. */
static enum fxs_store_rc salvage_segment(struct salvage *v, struct fxs_stream at, uint64_t tail,
                                         bool any, char *why)
{
    char name[FXS_FILE_NAME];
    enum fxs_store_rc rc = FXS_STORE_OK;
    struct fxs_row row;
    struct fxs_buffer b = {0};
    uint64_t check;
    fxs_segment_name(at.segment, name);
    int fd = openat(v->s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && fxs_open_error() != FXS_STORE_DAMAGED)
        rc = fxs_io_error(why, "open", name);
    while (rc == FXS_STORE_OK && fd >= 0 && at.tail < tail &&
           read_head(fd, &at, any, &row, &check)) {
        if (row.number > v->number) {
            v->number = row.number;
            rc = fxs_row_load(v->s, &row, &b, why);
            if (rc == FXS_STORE_OK || rc == FXS_STORE_DAMAGED)
                rc = v->f(v->ctx, &row, rc == FXS_STORE_OK ? NULL : why);
        }
        at.tail = fxs_stream_end(row.offset, row.size);
        at.chain = check;
        any = false;
        *v->reached = at;
    }
    if (fd >= 0)
        close(fd);
    free(b.data);
    return rc;
}

static bool find_segment(void *ctx, const char *name)
{
    struct salvage *v = ctx;
    uint64_t id, *more;
    if (!fxs_is_segment(name) || sscanf(name, "records-%" SCNu64, &id) != 1 || id < v->first)
        return true;
    more = realloc(v->segments, (v->n + 1) * sizeof *more);
    v->memory = !more;
    if (!more)
        return false;
    v->segments = more;
    v->segments[v->n++] = id;
    return true;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static enum fxs_store_rc salvage_later(struct salvage *v, char *why)
{
    enum fxs_store_rc rc = fxs_each_file(v->s, find_segment, v, why);
    if (v->memory)
        rc = fxs_why(FXS_STORE_MEMORY, why, "no memory for the list of segments");
    if (v->n)
        qsort(v->segments, v->n, sizeof *v->segments, by_id);
    for (size_t i = 0; rc == FXS_STORE_OK && i < v->n; i++)
        rc = salvage_segment(v, (struct fxs_stream){.segment = v->segments[i]}, UINT64_MAX, true,
                             why);
    free(v->segments);
    return rc;
}

enum fxs_store_rc fxs_stream_salvage(struct fxs_store *s, const struct fxs_stream *at,
                                     const struct fxs_stream *end, uint64_t newest,
                                     enum fxs_store_rc (*f)(void *ctx, const struct fxs_row *row,
                                                            const char *damage),
                                     void *ctx, struct fxs_stream *reached, char *why)
{
    struct salvage v = {
        .s = s, .number = newest, .f = f, .ctx = ctx, .reached = reached, .first = at->segment + 1};
    enum fxs_store_rc rc = FXS_STORE_OK;
    *reached = *at;
    if (at->segment)
        rc = salvage_segment(&v, *at, end ? end->tail : UINT64_MAX, false, why);
    return rc == FXS_STORE_OK && !end ? salvage_later(&v, why) : rc;
}

/* --- adding rows --- */

static enum fxs_store_rc add_row(void *ctx, const struct fxs_row *row, char *why)
{
    struct fxs_store *s = ctx;
    struct fxs_db_entry e;
    enum fxs_store_rc rc = fxs_db_entry(s->writer, row->entry, &e, why);
    if (rc == FXS_STORE_OK && e.last != row->previous)
        rc = FXS_STORE_NONE;
    if (rc == FXS_STORE_NONE)
        return fxs_why(FXS_STORE_DAMAGED, why,
                       "%s: record %" PRIu64 " follows record %" PRIu64 " of entry %" PRIu64
                       ", which is not there",
                       s->path, row->number, row->previous, row->entry);
    (void)(rc || (rc = fxs_db_add_record(s->writer, row, why)) ||
           (rc =
                fxs_db_set_head(s->writer, row->entry, row->number, e.log_bytes + row->size, why)));
    if (rc == FXS_STORE_OK && row->caller.number)
        rc = fxs_db_put_answer(s->writer, &row->caller, row->entry, row->number, NULL, 0, row->ms,
                               why);
    return rc;
}

enum fxs_store_rc fxs_stream_recover(struct fxs_store *s, char *why)
{
    struct fxs_stream before, end;
    enum fxs_store_rc rc = fxs_db_begin(s->writer, why);
    (void)(rc || (rc = fxs_db_stream(s->writer, &before, why)) ||
           (rc = fxs_stream_each(s, s->writer, add_row, s, &end, why)) ||
           (rc = fxs_mark_verify_stream(s, &end, why)));
    /* Behind it there may be a record that followed one that was lost.  It must not be found when
     * another one has that number. */
    if (rc == FXS_STORE_OK && end.segment)
        rc = fxs_segment_cut(s, &end, why);
    if (rc != FXS_STORE_OK || end.tail == before.tail) {
        fxs_db_rollback(s->writer);
        return rc;
    }
    (void)((rc = fxs_db_set_stream(s->writer, &end, why)) ||
           (rc = fxs_db_commit(s->writer, false, why)));
    if (rc != FXS_STORE_OK)
        fxs_db_rollback(s->writer);
    return rc;
}

void fxs_stream_settle(const char *dir)
{
    struct fxs_store_options o = {.durability = FXS_DURABLE_ALWAYS};
    struct fxs_store *s;
    struct fxs_stream before, end = {0};
    char who[FXS_WHO], path[PATH_MAX];
    if (fxs_store_in_use(dir, who) || fxs_view_dir(&s, dir, NULL) != FXS_STORE_OK)
        return;
    snprintf(path, sizeof path, "%s/store.db", s->path);
    bool missing = fxs_db_view(&s->reader, path, NULL) == FXS_STORE_OK &&
                   fxs_db_stream(s->reader, &before, NULL) == FXS_STORE_OK &&
                   fxs_stream_each(s, s->reader, NULL, NULL, &end, NULL) == FXS_STORE_OK &&
                   end.tail != before.tail;
    fxs_store_close(s);
    if (missing && fxs_store_open(&s, dir, &o, NULL) == FXS_STORE_OK)
        fxs_store_close(s);
}
