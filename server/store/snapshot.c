/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshot files: what FAISS wrote, then a footer of a fixed size.  A file is written under a
 * temporary name, and is durable under its own before a transaction makes it the entry's. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "server/store/spare.h"

enum {
    BUFFER = 1 << 20,
    FLUSH = 8 << 20, /* bytes after which writing to disk is begun, so that the end is not a long
                        sync, which would hold up the log's */
    VERSION = 1
};

struct footer {
    char magic[8];
    uint32_t version, size; /* of the footer */
    uint64_t entry, position;
    char cls[32];
    uint64_t bytes, hash; /* of the content */
    uint64_t check;       /* of the footer up to here */
};
_Static_assert(sizeof(struct footer) == FXS_FOOTER_SIZE, "no padding");
static const char magic[8] = "FXSNAP\r\n";

static uint64_t check_of(const struct footer *f)
{
    return XXH3_64bits(f, offsetof(struct footer, check));
}

/* --- writing --- */

/* Behind w->file, and in w->hash. */
struct sink {
    struct fxs_snapshot *w;
    XXH3_state_t *state;
    char *buffer;
    int fd;
    int error; /* errno of the first write that failed */
    uint64_t flushed;
};

static ssize_t sink_write(void *cookie, const char *data, size_t n)
{
    struct sink *k = cookie;
    struct iovec iov = {(void *)(uintptr_t)data, n};
    if (k->error)
        return 0;
    if (fxs_write_all(k->fd, &iov, 1, (off_t)k->w->bytes) != 0) {
        k->error = errno;
        return 0; /* an error, to a FILE */
    }
    XXH3_64bits_update(k->state, data, n);
    k->w->bytes += n;
    if (k->w->bytes - k->flushed >= FLUSH) {
        sync_file_range(k->fd, (off_t)k->flushed, (off_t)(k->w->bytes - k->flushed),
                        SYNC_FILE_RANGE_WRITE);
        k->flushed = k->w->bytes;
    }
    return (ssize_t)n;
}

static void free_sink(struct fxs_snapshot *w)
{
    struct sink *k = w->hash;
    if (!k)
        return;
    if (!k->error)
        k->error = ECANCELED; /* what the FILE still has is not wanted */
    if (w->file)
        fclose(w->file);
    if (k->fd >= 0)
        close(k->fd);
    if (k->state)
        XXH3_freeState(k->state);
    free(k->buffer);
    free(k);
    w->file = NULL;
    w->hash = NULL;
}

enum fxs_store_rc fxs_snapshot_begin(struct fxs_store *s, struct fxs_snapshot *w, char *why)
{
    static const cookie_io_functions_t functions = {.write = sink_write};
    char hex[17];
    memset(w, 0, sizeof *w);
    struct sink *k = calloc(1, sizeof *k);
    if (!k)
        goto memory;
    w->hash = k;
    k->w = w;
    fxs_random_name(hex);
    snprintf(w->tmp, sizeof w->tmp, "tmp-%s", hex);
    k->fd = fxs_store_io.create(s->dir, w->tmp);
    if (k->fd < 0) {
        enum fxs_store_rc rc = fxs_io_error(why, "create", w->tmp);
        w->tmp[0] = 0;
        free_sink(w);
        return rc;
    }
    k->state = XXH3_createState();
    k->buffer = malloc(BUFFER);
    w->file = fopencookie(k, "w", functions);
    if (!k->state || !k->buffer || !w->file)
        goto memory;
    XXH3_64bits_reset(k->state);
    setvbuf(w->file, k->buffer, _IOFBF, BUFFER);
    return FXS_STORE_OK;
memory:
    fxs_snapshot_abandon(s, w);
    return fxs_why(FXS_STORE_MEMORY, why, "no memory to write a snapshot");
}

enum fxs_store_rc fxs_snapshot_end(struct fxs_snapshot *w, struct fxs_snapshot_sum *sum, char *why)
{
    struct sink *k = w->hash;
    if (fflush(w->file) != 0 || k->error) {
        errno = k->error ? k->error : errno;
        return fxs_io_error(why, "write", w->tmp);
    }
    if (fxs_store_io.sync(k->fd) != 0) {
        fxs_io_error(why, "sync", w->tmp);
        return FXS_STORE_FAILED;
    }
    sum->bytes = w->bytes;
    sum->hash = XXH3_64bits_digest(k->state);
    return FXS_STORE_OK;
}

void fxs_snapshot_abandon(struct fxs_store *s, struct fxs_snapshot *w)
{
    free_sink(w);
    if (w->tmp[0])
        fxs_remove_file(s, w->tmp);
    w->tmp[0] = 0;
    fxs_spares_drop_if_full(s->segments.spares);
}

/* Writes the footer, and gives the file its name. */
static enum fxs_store_rc put_in_place(struct fxs_store *s, struct fxs_snapshot *w,
                                      const struct fxs_snapshot_sum *sum, uint64_t entry,
                                      const struct fxs_snapshot_commit *c, const char *file,
                                      char *why)
{
    struct footer f = {.version = VERSION,
                       .size = sizeof f,
                       .entry = entry,
                       .position = c->position,
                       .bytes = sum->bytes,
                       .hash = sum->hash};
    struct sink *k = w->hash;
    struct iovec iov = {&f, sizeof f};
    memcpy(f.magic, magic, sizeof magic);
    snprintf(f.cls, sizeof f.cls, "%s", c->cls);
    f.check = check_of(&f);
    if (fxs_write_all(k->fd, &iov, 1, (off_t)sum->bytes) != 0)
        return fxs_io_error(why, "write", w->tmp);
    if (fxs_store_io.sync(k->fd) != 0) {
        fxs_io_error(why, "sync", w->tmp);
        return FXS_STORE_FAILED;
    }
    if (fxs_store_io.rename(s->dir, w->tmp, file) != 0)
        return fxs_io_error(why, "rename", w->tmp);
    snprintf(w->tmp, sizeof w->tmp, "%.63s", file); /* abandoning it removes it under this name */
    if (fxs_store_io.sync(s->dir) != 0) {
        fxs_io_error(why, "sync the directory of", file);
        return FXS_STORE_FAILED;
    }
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_snapshots_commit(struct fxs_store *s, struct fxs_snapshot_ready *list, int n,
                                       char *why)
{
    struct fxs_job *jobs = calloc((size_t)n, sizeof *jobs);
    char own[FXS_STORE_WHY], (*file)[FXS_FILE_NAME] = calloc((size_t)n, sizeof *file), hex[17];
    enum fxs_store_rc rc = FXS_STORE_OK;
    if (!why)
        why = own;
    if (!jobs || !file)
        rc = fxs_why(FXS_STORE_MEMORY, why, "no memory for %d snapshots", n);
    for (int i = 0; i < n && rc == FXS_STORE_OK; i++) {
        const struct fxs_snapshot_commit *c = &list[i].commit;
        jobs[i] = (struct fxs_job){.kind = FXS_JOB_COMMIT,
                                   .commit = c,
                                   .sum = list[i].sum,
                                   .file = file[i],
                                   .ms = fxs_now_ms()};
        jobs[i].with = i + 1 < n ? &jobs[i + 1] : NULL;
        pthread_mutex_lock(&s->mutex);
        jobs[i].entry = c->entry ? c->entry : s->next_entry++;
        pthread_mutex_unlock(&s->mutex);
        fxs_random_name(hex);
        /* At most 2 * 20 digits. */
        snprintf(file[i], sizeof file[i], "%" PRIu64 "-%" PRIu64 "-%.8s.faiss", jobs[i].entry,
                 c->position, hex);
        rc = put_in_place(s, list[i].w, list[i].sum, jobs[i].entry, c, file[i], why);
    }
    if (rc == FXS_STORE_OK) {
        rc = fxs_ask(s, &jobs[0], why);
    } else if (rc == FXS_STORE_FAILED) {
        struct fxs_job fail = {.kind = FXS_JOB_FAIL, .text = why};
        fxs_ask(s, &fail, NULL);
    }
    bool made = rc == FXS_STORE_OK || rc == FXS_STORE_NONE, some = false;
    for (int i = 0; i < n; i++) {
        bool own_made = made && jobs[i].rc == FXS_STORE_OK;
        /* After a failure the transaction may be there: the file is kept, and opening decides. */
        if (own_made || rc == FXS_STORE_FAILED)
            list[i].w->tmp[0] = 0;
        fxs_snapshot_abandon(s, list[i].w);
        list[i].entry = own_made ? jobs[i].entry : 0;
        some |= own_made;
    }
    free(jobs);
    free(file);
    return some ? FXS_STORE_OK : rc;
}

enum fxs_store_rc fxs_snapshot_commit(struct fxs_store *s, struct fxs_snapshot *w,
                                      const struct fxs_snapshot_sum *sum,
                                      const struct fxs_snapshot_commit *c, uint64_t *entry,
                                      char *why)
{
    struct fxs_snapshot_ready one = {.w = w, .sum = sum, .commit = *c};
    enum fxs_store_rc rc = fxs_snapshots_commit(s, &one, 1, why);
    if (rc == FXS_STORE_OK)
        *entry = one.entry;
    return rc;
}

/* --- reading --- */

static enum fxs_store_rc verify(const struct fxs_store *s, const struct fxs_db_entry *e,
                                uint64_t entry, int fd, char *why)
{
    struct footer f;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fxs_why(FXS_STORE_DAMAGED, why, "%s/%s: %s", s->path, e->file, strerror(errno));
    if ((uint64_t)st.st_size != e->bytes + sizeof f)
        return fxs_why(FXS_STORE_DAMAGED, why, "%s/%s has %lld bytes, but it should have %" PRIu64,
                       s->path, e->file, (long long)st.st_size, e->bytes + (uint64_t)sizeof f);
    if (pread(fd, &f, sizeof f, (off_t)e->bytes) != (ssize_t)sizeof f || f.check != check_of(&f) ||
        memcmp(f.magic, magic, sizeof magic) != 0 || f.version != VERSION || f.size != sizeof f ||
        f.entry != entry || f.position != e->position || f.bytes != e->bytes || f.hash != e->hash ||
        strncmp(f.cls, e->cls, sizeof f.cls) != 0)
        return fxs_why(FXS_STORE_DAMAGED, why, "%s/%s: the end of the file is wrong", s->path,
                       e->file);
    XXH3_state_t *state = XXH3_createState();
    char *buffer = malloc(BUFFER);
    enum fxs_store_rc rc = FXS_STORE_OK;
    if (!state || !buffer) {
        rc = fxs_why(FXS_STORE_MEMORY, why, "no memory to read %s", e->file);
        goto out;
    }
    /* Read, not through the mapping: an error of the disk would end the process there. */
    XXH3_64bits_reset(state);
    for (uint64_t at = 0; at < e->bytes;) {
        uint64_t want = e->bytes - at < BUFFER ? e->bytes - at : BUFFER;
        ssize_t n = pread(fd, buffer, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rc = fxs_why(FXS_STORE_DAMAGED, why, "%s/%s cannot be read at %" PRIu64 ": %s", s->path,
                         e->file, at, n < 0 ? strerror(errno) : "the file ends");
            goto out;
        }
        XXH3_64bits_update(state, buffer, (size_t)n);
        at += (uint64_t)n;
        if (fxs_store_moved)
            fxs_store_moved((uint64_t)n);
    }
    if (XXH3_64bits_digest(state) != e->hash)
        rc = fxs_why(FXS_STORE_DAMAGED, why, "%s/%s has a wrong checksum", s->path, e->file);
out:
    if (state)
        XXH3_freeState(state);
    free(buffer);
    return rc;
}

enum fxs_store_rc fxs_snapshot_examine(const char *dir, int fd, const char *file,
                                       struct fxs_snapshot_info *i, char *why)
{
    struct fxs_store s = {.path = (char *)(uintptr_t)dir};
    struct fxs_db_entry e;
    struct footer f;
    struct stat st;
    memset(i, 0, sizeof *i);
    memset(&e, 0, sizeof e);
    if (fstat(fd, &st) != 0 || st.st_size < (off_t)sizeof f ||
        pread(fd, &f, sizeof f, st.st_size - (off_t)sizeof f) != (ssize_t)sizeof f ||
        memcmp(f.magic, magic, sizeof magic) != 0 || f.check != check_of(&f))
        return fxs_why(FXS_STORE_DAMAGED, why, "%s/%s: the end of the file is wrong", dir, file);
    if (f.version > VERSION)
        return fxs_why(FXS_STORE_NEWER, why, "%s/%s has version %u, expected %d", dir, file,
                       f.version, VERSION);
    f.cls[sizeof f.cls - 1] = 0;
    snprintf(e.file, sizeof e.file, "%s", file);
    snprintf(e.cls, sizeof e.cls, "%s", f.cls);
    e.position = f.position;
    e.bytes = f.bytes;
    e.hash = f.hash;
    *i = (struct fxs_snapshot_info){.entry = f.entry,
                                    .position = f.position,
                                    .bytes = f.bytes,
                                    .hash = f.hash,
                                    .ms = (int64_t)st.st_mtim.tv_sec * 1000};
    snprintf(i->cls, sizeof i->cls, "%s", f.cls);
    return verify(&s, &e, f.entry, fd, why);
}

static enum fxs_store_rc open_snapshot(struct fxs_store *s, uint64_t entry, struct fxs_db_entry *e,
                                       int *fd, char *why)
{
    char before[FXS_FILE_NAME] = "";
    for (;;) {
        pthread_mutex_lock(&s->reading);
        enum fxs_store_rc rc = fxs_db_entry(s->reader, entry, e, why);
        pthread_mutex_unlock(&s->reading);
        if (rc != FXS_STORE_OK)
            return rc;
        *fd = openat(s->dir, e->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (*fd >= 0)
            return FXS_STORE_OK;
        /* A newer snapshot may have replaced it in between. */
        if (errno != ENOENT || strcmp(before, e->file) == 0)
            return fxs_why(FXS_STORE_DAMAGED, why, "%s/%s, the snapshot of entry %" PRIu64 ": %s",
                           s->path, e->file, entry, strerror(errno));
        snprintf(before, sizeof before, "%s", e->file);
    }
}

static enum fxs_store_rc open_verified(struct fxs_store *s, uint64_t entry, struct fxs_db_entry *e,
                                       int *fd, char *why)
{
    enum fxs_store_rc rc = open_snapshot(s, entry, e, fd, why);
    if (rc != FXS_STORE_OK)
        return rc;
    rc = verify(s, e, entry, *fd, why);
    if (rc != FXS_STORE_OK)
        close(*fd);
    return rc;
}

enum fxs_store_rc fxs_snapshot_file(struct fxs_store *s, uint64_t entry, int *fd, char *why)
{
    struct fxs_db_entry e;
    return open_verified(s, entry, &e, fd, why);
}

enum fxs_store_rc fxs_snapshot_read(struct fxs_store *s, uint64_t entry,
                                    struct fxs_snapshot_bytes *b, char *why)
{
    struct fxs_db_entry e;
    int fd;
    memset(b, 0, sizeof *b);
    enum fxs_store_rc rc = open_verified(s, entry, &e, &fd, why);
    if (rc != FXS_STORE_OK)
        return rc;
    b->mapped = e.bytes + sizeof(struct footer);
    b->map = mmap(NULL, b->mapped, PROT_READ, MAP_PRIVATE, fd, 0);
    if (b->map == MAP_FAILED) {
        rc = fxs_why(FXS_STORE_MEMORY, why, "cannot map %s: %s", e.file, strerror(errno));
        memset(b, 0, sizeof *b);
    } else {
        b->data = b->map;
        b->size = e.bytes;
    }
    close(fd);
    return rc;
}

void fxs_snapshot_unmap(struct fxs_snapshot_bytes *b)
{
    if (b->map)
        munmap(b->map, b->mapped);
    memset(b, 0, sizeof *b);
}
