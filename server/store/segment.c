/* SPDX-License-Identifier: Apache-2.0 */
/* The data of large records: in files of their own ("segments"), because SQLite would write it
 * twice, to its log and then to the database.  A record's data is durable before the transaction
 * with its row is committed; what stands before the data is described in stream.h.  A segment is
 * removed when no row refers to it; until then, data that is not needed becomes a hole.  Each time
 * the store is opened, it begins a new one. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/store/spare.h"
#include "server/store/stream.h"

uint64_t fxs_segment_size = 16 << 20;

void fxs_segment_name(uint64_t id, char name[FXS_FILE_NAME])
{
    snprintf(name, FXS_FILE_NAME, "records-%" PRIu64, id);
}

static struct fxs_segment *find(const struct fxs_segments *g, uint64_t id)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->list[i].id == id)
            return &g->list[i];
    return NULL;
}

static struct fxs_segment *add(struct fxs_segments *g, uint64_t id)
{
    if (g->n == g->cap) {
        size_t cap = g->cap * 2 + 8;
        struct fxs_segment *list = realloc(g->list, cap * sizeof *list);
        if (!list)
            return NULL;
        g->list = list;
        g->cap = cap;
    }
    g->list[g->n] = (struct fxs_segment){.id = id};
    if (id > g->last)
        g->last = id;
    return &g->list[g->n++];
}

struct loading {
    struct fxs_segments *g;
    bool memory;
};

static void load_one(void *ctx, uint64_t id, uint64_t records)
{
    struct loading *l = ctx;
    struct fxs_segment *seg = add(l->g, id);
    if (seg)
        seg->live = records;
    else
        l->memory = true;
}

enum fxs_store_rc fxs_segment_load(struct fxs_store *s, char *why)
{
    struct loading l = {&s->segments, false};
    s->segments.spares = fxs_spares_new(s->dir);
    if (!s->segments.spares)
        return fxs_why(FXS_STORE_MEMORY, why, "no memory for the list of segments");
    struct fxs_stream at = {0, 0, 0};
    enum fxs_store_rc rc = fxs_db_segments(s->writer, load_one, &l, why);
    if (rc == FXS_STORE_OK && l.memory)
        rc = fxs_why(FXS_STORE_MEMORY, why, "no memory for the list of segments");
    if (rc == FXS_STORE_OK)
        rc = fxs_db_stream(s->writer, &at, why);
    if (rc == FXS_STORE_OK && s->segments.last < at.segment)
        s->segments.last = at.segment; /* it is gone, and its number is not used again */
    return rc;
}

bool fxs_segment_known(const struct fxs_store *s, const char *name)
{
    char known[FXS_FILE_NAME];
    for (size_t i = 0; i < s->segments.n; i++) {
        fxs_segment_name(s->segments.list[i].id, known);
        if (strcmp(name, known) == 0)
            return true;
    }
    return false;
}

/* --- writing --- */

static enum fxs_store_rc sync_data(struct fxs_segments *g, char *why)
{
    char name[FXS_FILE_NAME];
    if (!g->dirty)
        return FXS_STORE_OK;
    fxs_segment_name(g->last, name);
    if (fxs_store_io.sync_data(g->fd) != 0) {
        fxs_io_error(why, "sync", name);
        return FXS_STORE_FAILED; /* whatever the reason: what was written may be lost */
    }
    g->dirty = false;
    return FXS_STORE_OK;
}

static uint64_t random_number(void)
{
    char hex[17];
    fxs_random_name(hex);
    return strtoull(hex, NULL, 16);
}

/* Begins a new segment if there is none, or if it has no room for so many bytes. */
static enum fxs_store_rc next_segment(struct fxs_store *s, uint64_t bytes, char *why)
{
    struct fxs_segments *g = &s->segments;
    char name[FXS_FILE_NAME];
    enum fxs_store_rc rc;
    if (g->fd >= 0 && (!g->at.tail || g->at.tail + bytes <= fxs_segment_size))
        return FXS_STORE_OK;
    if (g->fd >= 0) {
        if ((rc = sync_data(g, why)) != FXS_STORE_OK)
            return rc;
        close(g->fd);
        g->fd = -1;
    }
    if (!add(g, g->last + 1))
        return fxs_why(FXS_STORE_MEMORY, why, "no memory for a new segment");
    fxs_segment_name(g->last, name);
    if (!g->begun)
        g->left = g->start;
    g->at = g->start = (struct fxs_stream){g->last, 0, random_number()};
    g->begun = true;
    g->fd = fxs_spares_take(g->spares, name);
    if (g->fd < 0)
        g->fd = fxs_store_io.create(s->dir, name);
    if (g->fd < 0) {
        g->n--; /* its number is not used again */
        return fxs_io_error(why, "create", name);
    }
    if (fxs_store_io.sync(s->dir) != 0) {
        fxs_io_error(why, "sync the directory of", name);
        return FXS_STORE_FAILED;
    }
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_segment_write(struct fxs_store *s, const struct iovec *parts, int nparts,
                                    struct fxs_row *row, char *why)
{
    struct fxs_segments *g = &s->segments;
    uint64_t bytes = FXS_HEAD_SIZE + row->size;
    enum fxs_store_rc rc = next_segment(s, bytes, why);
    if (rc != FXS_STORE_OK)
        return rc;
    struct iovec *iov = malloc(((size_t)nparts + 1) * sizeof *iov);
    if (!iov)
        return fxs_why(FXS_STORE_MEMORY, why, "no memory for a record of %d parts", nparts);
    uint8_t head[FXS_HEAD_SIZE];
    uint64_t from = g->at.tail;
    row->segment = g->last;
    row->offset = from + FXS_HEAD_SIZE;
    fxs_stream_head(row, &g->at, head);
    iov[0] = (struct iovec){head, FXS_HEAD_SIZE};
    memcpy(iov + 1, parts, (size_t)nparts * sizeof *iov);
    g->dirty = true;
    g->at.tail = fxs_stream_end(row->offset, row->size);
    if (fxs_write_all(g->fd, iov, nparts + 1, (off_t)from) != 0) {
        char name[FXS_FILE_NAME];
        fxs_segment_name(g->last, name);
        rc = fxs_io_error(why, "write", name);
    } else {
        g->list[g->n - 1].pending++;
        fxs_spares_wrote(g->spares, bytes);
    }
    free(iov);
    return rc;
}

enum fxs_store_rc fxs_segment_sync(struct fxs_store *s, bool *begun, char *why)
{
    struct fxs_segments *g = &s->segments;
    *begun = g->begun;
    if (!g->dirty)
        return FXS_STORE_OK;
    enum fxs_store_rc rc = fxs_db_set_stream(s->writer, &g->at, why);
    return rc ? rc : sync_data(g, why);
}

enum fxs_store_rc fxs_segment_cut(struct fxs_store *s, const struct fxs_stream *end, char *why)
{
    char name[FXS_FILE_NAME];
    struct stat st;
    fxs_segment_name(end->segment, name);
    int fd = openat(s->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return FXS_STORE_OK;
    bool ok = fd >= 0 && fstat(fd, &st) == 0 &&
              (st.st_size <= (off_t)end->tail ||
               (fxs_store_io.truncate(fd, (off_t)end->tail) == 0 && fxs_store_io.sync(fd) == 0));
    if (!ok)
        fxs_io_error(why, "remove the end of", name);
    if (fd >= 0)
        close(fd);
    return ok ? FXS_STORE_OK : FXS_STORE_FAILED;
}

/* Else the store could find what was refused when it is opened: behind the end of the stream that
 * the database has.  Segments that the transaction has begun are removed anyway. */
enum fxs_store_rc fxs_segment_undo(struct fxs_store *s, char *why)
{
    struct fxs_segments *g = &s->segments;
    const struct fxs_stream *end = g->begun ? &g->left : &g->start;
    bool written = g->dirty || g->begun || g->at.tail != g->start.tail;
    g->dirty = false;
    if (!written || !end->segment || !find(g, end->segment))
        return FXS_STORE_OK;
    return fxs_segment_cut(s, end, why);
}

/* Closes and removes segments without records. */
static void drop_empty(struct fxs_store *s)
{
    struct fxs_segments *g = &s->segments;
    char name[FXS_FILE_NAME];
    for (size_t i = 0; i < g->n;) {
        if (g->list[i].live) {
            i++;
            continue;
        }
        if (g->list[i].id == g->last && g->fd >= 0) {
            close(g->fd);
            g->fd = -1;
            g->dirty = false;
        }
        fxs_segment_name(g->list[i].id, name);
        fxs_spares_give(g->spares, name);
        memmove(&g->list[i], &g->list[i + 1], (--g->n - i) * sizeof *g->list);
    }
}

void fxs_segment_ended(struct fxs_store *s, bool committed)
{
    struct fxs_segments *g = &s->segments;
    for (size_t i = 0; i < g->n; i++) {
        if (committed)
            g->list[i].live += g->list[i].pending;
        g->list[i].pending = 0;
    }
    if (!committed)
        g->at = g->begun ? g->left : g->start;
    g->start = g->at;
    g->begun = false;
    drop_empty(s);
}

void fxs_segment_free(struct fxs_store *s, uint64_t id)
{
    struct fxs_segment *seg = find(&s->segments, id);
    if (seg && seg->live)
        seg->live--;
}

void fxs_segment_punch(struct fxs_store *s, uint64_t id, uint64_t offset, uint64_t size)
{
    struct fxs_segment *seg = find(&s->segments, id);
    if (!seg || !seg->live)
        return; /* it is removed as a whole */
    char name[FXS_FILE_NAME];
    fxs_segment_name(id, name);
    int fd = openat(s->dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    /* A file system that cannot do this keeps the data until the whole segment goes. */
    int ignored =
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
    (void)ignored;
    close(fd);
}

void fxs_segment_close(struct fxs_store *s)
{
    if (s->segments.fd >= 0)
        close(s->segments.fd);
    fxs_spares_free(s->segments.spares);
    free(s->segments.list);
}

/* --- reading --- */

enum fxs_store_rc fxs_segment_read(struct fxs_store *s, const struct fxs_row *row, void *buffer,
                                   char *why)
{
    char name[FXS_FILE_NAME];
    enum fxs_store_rc rc = FXS_STORE_OK;
    fxs_segment_name(row->segment, name);
    int fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fxs_why(fxs_open_error(), why, "cannot open %s/%s, which has record %" PRIu64 ": %s",
                       s->path, name, row->number, strerror(errno));
    for (uint64_t got = 0; got < row->size;) {
        ssize_t n = pread(fd, (char *)buffer + got, row->size - got, (off_t)(row->offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rc = fxs_why(FXS_STORE_DAMAGED, why,
                         "%s/%s: record %" PRIu64 " has %" PRIu64 " bytes at %" PRIu64
                         ", but only %" PRIu64 " can be read: %s",
                         s->path, name, row->number, row->size, row->offset, got,
                         n < 0 ? strerror(errno) : "the file ends");
            break;
        }
        got += (uint64_t)n;
    }
    close(fd);
    return rc;
}
