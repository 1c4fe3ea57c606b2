/* SPDX-License-Identifier: Apache-2.0 */
/* The mapped file of mark.h, and the format of SQLite's write-ahead log as far as it is needed to
 * see where the log ends (https://sqlite.org/fileformat2.html#walformat). */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/store/internal.h"
#include "server/store/mark.h"

static const char mark_file[] = "replaying", wal_file[] = "store.db-wal";

/* `check`, `wal_check` and `stream_check` differ from the sum of the others if they were torn. */
struct fxs_mark {
    uint64_t entry, number, check;    /* number: with ALONE */
    uint64_t salt, frames, wal_check; /* of the log: which one, and how many frames are durable */
    /* Which segment, and up to where it is durable; the first version did not have these. */
    uint64_t segment, tail, stream_check;
    uint64_t training, unused, training_check; /* an entry; the second version did not have it */
};

#define ALONE ((uint64_t)1 << 63)

enum { WAL_HEADER = 32, FRAME_HEADER = 24 };

/* --- the file --- */

/* Without space there is no mark: everything works nevertheless. */
void fxs_mark_open(struct fxs_store *s)
{
    struct fxs_mark m = {0};
    struct fxs_mark empty = {
        .check = ~0ull, .wal_check = ~0ull, .stream_check = ~0ull, .training_check = ~0ull};
    s->mark_fd = openat(s->dir, mark_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->mark_fd < 0)
        return;
    ssize_t n = pread(s->mark_fd, &m, sizeof m, 0);
    if (n == (ssize_t)offsetof(struct fxs_mark, segment))
        m.stream_check = ~0ull;
    if (n == (ssize_t)offsetof(struct fxs_mark, segment) ||
        n == (ssize_t)offsetof(struct fxs_mark, training)) {
        m.training_check = ~0ull;
        empty = m;
        n = 0;
    }
    if (n != (ssize_t)sizeof m &&
        pwrite(s->mark_fd, &empty, sizeof empty, 0) != (ssize_t)sizeof empty)
        return;
    if (m.check == ~(m.entry + m.number)) {
        s->marked_entry = m.entry;
        s->marked_number = m.number & ~ALONE;
        s->marked_alone = (m.number & ALONE) != 0;
    }
    if (m.training_check == ~m.training)
        s->marked_training = m.training;
    s->mark = mmap(NULL, sizeof m, PROT_READ | PROT_WRITE, MAP_SHARED, s->mark_fd, 0);
    if (s->mark == MAP_FAILED)
        s->mark = NULL;
}

void fxs_mark_view(struct fxs_store *s)
{
    s->mark_fd = openat(s->dir, mark_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (s->mark_fd < 0)
        return;
    s->mark = mmap(NULL, sizeof *s->mark, PROT_READ, MAP_PRIVATE, s->mark_fd, 0);
    if (s->mark == MAP_FAILED || lseek(s->mark_fd, 0, SEEK_END) <= 0) {
        if (s->mark != MAP_FAILED)
            munmap(s->mark, sizeof *s->mark);
        s->mark = NULL;
    }
}

void fxs_mark_close(struct fxs_store *s)
{
    if (s->mark)
        munmap(s->mark, sizeof *s->mark);
    if (s->mark_fd >= 0)
        close(s->mark_fd);
    if (s->wal_fd >= 0)
        close(s->wal_fd);
}

/* Between these, the check is wrong: a process that ends here has not written anything. */
static void put(uint64_t *to, uint64_t a, uint64_t b)
{
    __atomic_store_n(&to[2], 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&to[0], a, __ATOMIC_SEQ_CST);
    __atomic_store_n(&to[1], b, __ATOMIC_SEQ_CST);
    __atomic_store_n(&to[2], ~(a + b), __ATOMIC_SEQ_CST);
}

void fxs_store_mark(struct fxs_store *s, uint64_t entry, uint64_t number, int alone)
{
    if (s->mark)
        put(&s->mark->entry, number ? entry : 0, number | (number && alone ? ALONE : 0));
}

void fxs_store_marked(struct fxs_store *s, uint64_t *entry, uint64_t *number, int *alone)
{
    *entry = s->marked_entry;
    *number = s->marked_number;
    *alone = s->marked_alone;
}

void fxs_store_mark_training(struct fxs_store *s, uint64_t entry)
{
    if (s->mark)
        put(&s->mark->training, entry, 0);
}

uint64_t fxs_store_marked_training(const struct fxs_store *s)
{
    return s->marked_training;
}

void fxs_mark_committed(struct fxs_store *s)
{
    const struct fxs_stream *at = &s->segments.at;
    uint64_t salt, frames = fxs_db_wal_frames(s->writer);
    if (s->mark && at->segment)
        put(&s->mark->segment, at->segment, at->tail);
    if (!s->mark || !frames)
        return;
    if (s->wal_fd < 0)
        s->wal_fd = openat(s->dir, wal_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (s->wal_fd >= 0 && pread(s->wal_fd, &salt, sizeof salt, 16) == (ssize_t)sizeof salt)
        put(&s->mark->salt, salt, frames);
}

enum fxs_store_rc fxs_mark_clear(struct fxs_store *s, char *why)
{
    if (!s->mark || !s->mark->frames)
        return FXS_STORE_OK;
    put(&s->mark->salt, 0, 0);
    /* An old note would be wrong about the log that is begun next. */
    if (fxs_store_io.sync(s->mark_fd) == 0)
        return FXS_STORE_OK;
    fxs_io_error(why, "sync", mark_file);
    return FXS_STORE_FAILED;
}

enum fxs_store_rc fxs_mark_verify_all(struct fxs_store *s, const struct fxs_stream *end,
                                      uint64_t *segment, char *why)
{
    const struct fxs_mark *m = s->mark;
    char name[FXS_FILE_NAME];
    if (!m || m->stream_check != ~(m->segment + m->tail) || m->segment < end->segment ||
        (m->segment == end->segment && m->tail <= end->tail))
        return FXS_STORE_OK;
    *segment = m->segment;
    fxs_segment_name(m->segment, name);
    return fxs_why(FXS_STORE_DAMAGED, why,
                   "%s/%s had %" PRIu64 " durable bytes, but only %" PRIu64 " are there and right",
                   s->path, name, m->tail, m->segment == end->segment ? end->tail : 0);
}

enum fxs_store_rc fxs_mark_verify_stream(struct fxs_store *s, const struct fxs_stream *end,
                                         char *why)
{
    uint64_t segment;
    if (s->mark && s->mark->segment != end->segment)
        return FXS_STORE_OK;
    return fxs_mark_verify_all(s, end, &segment, why);
}

/* --- the write-ahead log --- */

struct sums {
    uint32_t a, b;
};

/* Of n bytes, a multiple of 8.  SQLite writes the words as this machine does, or the other way. */
static struct sums sum(struct sums s, const uint8_t *p, size_t n, bool big)
{
    for (size_t i = 0; i < n; i += 8) {
        uint32_t x[2];
        memcpy(x, p + i, sizeof x);
        s.a += (big ? be32toh(x[0]) : le32toh(x[0])) + s.b;
        s.b += (big ? be32toh(x[1]) : le32toh(x[1])) + s.a;
    }
    return s;
}

static uint32_t word(const uint8_t *p)
{
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return be32toh(x);
}

/* How many frames there are up to the last commit, of the log with this salt. */
static uint64_t count_frames(int fd, uint64_t salt)
{
    enum { SIZE = FRAME_HEADER + FXS_PAGE };
    uint8_t header[WAL_HEADER], *frame = malloc(SIZE);
    uint64_t committed = 0;
    if (!frame || pread(fd, header, WAL_HEADER, 0) != WAL_HEADER)
        goto out;
    bool big = word(header) & 1;
    struct sums s = sum((struct sums){0, 0}, header, 24, big);
    if (s.a != word(header + 24) || s.b != word(header + 28) || memcmp(header + 16, &salt, 8) != 0)
        goto out;
    for (uint64_t i = 0;; i++) {
        if (pread(fd, frame, SIZE, (off_t)(WAL_HEADER + i * SIZE)) != SIZE ||
            memcmp(frame + 8, &salt, 8) != 0)
            break;
        s = sum(sum(s, frame, 8, big), frame + FRAME_HEADER, FXS_PAGE, big);
        if (s.a != word(frame + 16) || s.b != word(frame + 20))
            break;
        if (word(frame + 4)) /* the database's size, in the last frame of a transaction */
            committed = i + 1;
    }
out:
    free(frame);
    return committed;
}

enum fxs_store_rc fxs_mark_verify(struct fxs_store *s, char *why)
{
    const struct fxs_mark *m = s->mark;
    if (!m || m->wal_check != ~(m->salt + m->frames) || !m->frames)
        return FXS_STORE_OK;
    int fd = openat(s->dir, wal_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && fxs_open_error() != FXS_STORE_DAMAGED)
        return fxs_io_error(why, "open", wal_file);
    uint64_t frames = fd < 0 ? 0 : count_frames(fd, m->salt);
    if (fd >= 0)
        close(fd);
    if (frames >= m->frames)
        return FXS_STORE_OK;
    return fxs_why(FXS_STORE_DAMAGED, why,
                   "%s/%s had %" PRIu64 " durable pages, but only %" PRIu64 " are there and right",
                   s->path, wal_file, m->frames, frames);
}
