/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing: the directory, its lock, what a process before has left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/store/internal.h"
#include "server/store/mark.h"
#include "server/store/stream.h"

static const char database[] = "store.db", log_file[] = "store.db-wal",
                  new_database[] = "tmp-store.db", lock_file[] = "lock";

int64_t fxs_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t fxs_ticks_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void fxs_random_name(char hex[17])
{
    uint64_t r;
    struct timespec t;
    if (getrandom(&r, sizeof r, 0) != sizeof r) {
        clock_gettime(CLOCK_MONOTONIC, &t);
        r = (uint64_t)t.tv_sec * 1000000007u + (uint64_t)t.tv_nsec + (uint64_t)getpid();
    }
    snprintf(hex, 17, "%016llx", (unsigned long long)r);
}

void fxs_remove_file(struct fxs_store *s, const char *name)
{
    fxs_store_io.remove(s->dir, name);
}

/* --- the directory --- */

static enum fxs_store_rc open_dir(struct fxs_store *s, const char *dir, char *why)
{
    char parent[PATH_MAX];
    bool made = mkdir(dir, 0700) == 0;
    if (!made && errno != EEXIST)
        return fxs_io_error(why, "make the directory", dir);
    s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->path = realpath(dir, NULL);
    if (s->dir < 0 || !s->path)
        return fxs_io_error(why, "open the directory", dir);
    if (!made)
        return FXS_STORE_OK;
    snprintf(parent, sizeof parent, "%s", s->path);
    int fd = open(dirname(parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fxs_store_io.sync(fd) != 0) {
        fxs_io_error(why, "sync the directory of", dir);
        if (fd >= 0)
            close(fd);
        return FXS_STORE_FAILED;
    }
    close(fd);
    return FXS_STORE_OK;
}

/* The lock is the open file's: a second open in the same process is refused, too. */
enum fxs_store_rc fxs_take_lock(struct fxs_store *s, char *why)
{
    char who[128] = "", host[65] = "";
    s->lock = openat(s->dir, lock_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0)
        return fxs_io_error(why, "open", lock_file);
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return fxs_io_error(why, "lock", lock_file);
        ssize_t n = pread(s->lock, who, sizeof who - 1, 0);
        who[n > 0 ? n : 0] = 0;
        who[strcspn(who, "\n")] = 0;
        return fxs_why(FXS_STORE_BUSY, why, "%s is open in another process: %s", s->path,
                       *who ? who : "unknown");
    }
    gethostname(host, sizeof host - 1);
    int n = snprintf(who, sizeof who, "pid %ld on %s\n", (long)getpid(), host);
    /* Only to tell who has it: without space it stays empty. */
    if (ftruncate(s->lock, 0) != 0 || pwrite(s->lock, who, (size_t)n, 0) != n)
        return FXS_STORE_OK;
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_each_file(struct fxs_store *s, bool (*f)(void *ctx, const char *name),
                                void *ctx, char *why)
{
    int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return fxs_io_error(why, "read the directory", s->path);
    }
    struct dirent *e;
    /* It returns NULL for an error, too: files that it has not named would be taken for missing. */
    while (errno = 0, (e = readdir(d)) && f(ctx, e->d_name))
        ;
    int error = e ? 0 : errno;
    closedir(d);
    errno = error;
    return error ? fxs_io_error(why, "read the directory", s->path) : FXS_STORE_OK;
}

bool fxs_is_snapshot(const char *name)
{
    size_t n = strlen(name);
    return n > 6 && strcmp(name + n - 6, ".faiss") == 0;
}

bool fxs_is_segment(const char *name)
{
    return strncmp(name, "records-", 8) == 0;
}

/* --- the database --- */

struct seen {
    struct fxs_store *s;
    char other[FXS_FILE_NAME]; /* a file that only a store with a database has */
};

static bool look(void *ctx, const char *name)
{
    struct seen *seen = ctx;
    if (strncmp(name, "tmp-", 4) == 0)
        fxs_remove_file(seen->s, name);
    else if (fxs_is_snapshot(name) || fxs_is_segment(name))
        snprintf(seen->other, sizeof seen->other, "%.63s", name);
    return true;
}

/* The database gets its name when it is complete: an empty one is damaged, not new. */
static enum fxs_store_rc make_database(struct fxs_store *s, const char *path, char *why)
{
    char temporary[PATH_MAX];
    snprintf(temporary, sizeof temporary, "%s/%s", s->path, new_database);
    /* For its mode: SQLite's other files have the same. */
    int fd = fxs_store_io.create(s->dir, new_database);
    if (fd < 0)
        return fxs_io_error(why, "create", temporary);
    close(fd);
    enum fxs_store_rc rc = fxs_db_create(temporary, why);
    if (rc != FXS_STORE_OK)
        return rc;
    fd = openat(s->dir, new_database, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fxs_store_io.sync(fd) != 0) {
        fxs_io_error(why, "sync", temporary);
        if (fd >= 0)
            close(fd);
        return FXS_STORE_FAILED;
    }
    close(fd);
    if (fxs_store_io.rename(s->dir, new_database, database) != 0)
        return fxs_io_error(why, "rename", temporary);
    if (fxs_store_io.sync(s->dir) == 0)
        return FXS_STORE_OK;
    fxs_io_error(why, "sync the directory of", path);
    return FXS_STORE_FAILED;
}

/* Before SQLite reads it: it takes what is in the log for durable. */
static enum fxs_store_rc settle_log(struct fxs_store *s, char *why)
{
    int fd = openat(s->dir, log_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return FXS_STORE_OK; /* there is none, or SQLite says what is wrong with it */
    enum fxs_store_rc rc = fxs_drop_cached(s, fd, 0, log_file, why);
    close(fd);
    return rc;
}

static enum fxs_store_rc open_database(struct fxs_store *s, char *why)
{
    struct seen seen = {.s = s};
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", s->path, database);
    enum fxs_store_rc rc = fxs_each_file(s, look, &seen, why);
    if (rc != FXS_STORE_OK)
        return rc;
    bool missing = fstatat(s->dir, database, &st, 0) != 0;
    if (missing && errno != ENOENT)
        return fxs_io_error(why, "look at", path);
    if (!missing && !st.st_size)
        return fxs_why(FXS_STORE_DAMAGED, why, "%s is empty", path);
    if (missing && *seen.other)
        return fxs_why(FXS_STORE_DAMAGED, why, "%s is missing, but there is %s", path, seen.other);
    if (missing && (rc = make_database(s, path, why)) != FXS_STORE_OK)
        return rc;
    fxs_mark_open(s);
    (void)((rc = settle_log(s, why)) || (rc = fxs_mark_verify(s, why)) ||
           (rc = fxs_db_open(&s->writer, path, why)) || (rc = fxs_db_open(&s->reader, path, why)) ||
           (rc = fxs_stream_recover(s, why)) ||
           (rc = fxs_db_newest(s->writer, &s->number, &s->next_entry, why)) ||
           (rc = fxs_segment_load(s, why)));
    s->accepted = s->number;
    s->next_entry++;
    return rc;
}

/* --- files that nothing refers to --- */

struct files {
    struct fxs_store *s;
    char (*wanted)[FXS_FILE_NAME];
    size_t n, cap;
    bool memory;
};

static int want(void *ctx, const struct fxs_entry *e, const char *file)
{
    struct files *w = ctx;
    if (e->id >= w->s->next_entry)
        w->s->next_entry = e->id + 1;
    if (w->n == w->cap) {
        size_t cap = w->cap * 2 + 16;
        void *more = realloc(w->wanted, cap * sizeof *w->wanted);
        if (!more) {
            w->memory = true;
            return 1;
        }
        w->wanted = more;
        w->cap = cap;
    }
    snprintf(w->wanted[w->n++], FXS_FILE_NAME, "%s", file);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool remove_unwanted(void *ctx, const char *name)
{
    struct files *w = ctx;
    bool unwanted = (fxs_is_snapshot(name) &&
                     (!w->n || !bsearch(name, w->wanted, w->n, sizeof *w->wanted, by_name))) ||
                    (fxs_is_segment(name) && !fxs_segment_known(w->s, name));
    if (unwanted)
        fxs_remove_file(w->s, name);
    return true;
}

static enum fxs_store_rc clean(struct fxs_store *s, char *why)
{
    struct files w = {.s = s};
    enum fxs_store_rc rc = fxs_db_list(s->writer, want, &w, why);
    if (rc == FXS_STORE_OK && w.memory)
        rc = fxs_why(FXS_STORE_MEMORY, why, "no memory for the list of snapshots");
    if (w.n)
        qsort(w.wanted, w.n, sizeof *w.wanted, by_name);
    if (rc == FXS_STORE_OK)
        rc = fxs_each_file(s, remove_unwanted, &w, why);
    free(w.wanted);
    return rc;
}

/* --- open and close --- */

void fxs_init_locks(struct fxs_store *s)
{
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&s->order, &recursive); /* done may append another change */
    pthread_mutexattr_destroy(&recursive);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_mutex_init(&s->reading, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&s->finished, NULL);
}

void fxs_store_stop(struct fxs_store *s)
{
    fxs_writer_stop(s);
}

void fxs_store_close(struct fxs_store *s)
{
    if (!s)
        return;
    fxs_writer_stop(s);
    fxs_db_close(s->reader, false);
    if (s->tidy)
        fxs_db_keep_files(s->writer);
    fxs_db_close(s->writer, s->tidy);
    fxs_segment_close(s);
    fxs_mark_close(s);
    if (s->lock >= 0)
        close(s->lock);
    if (s->dir >= 0)
        close(s->dir);
    pthread_mutex_destroy(&s->order);
    pthread_mutex_destroy(&s->mutex);
    pthread_mutex_destroy(&s->reading);
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->finished);
    free(s->freed);
    free(s->scratch);
    free(s->path);
    free(s);
}

void fxs_store_forked(struct fxs_store *s)
{
    close(s->lock);
}

enum fxs_store_rc fxs_store_open(struct fxs_store **out, const char *dir,
                                 const struct fxs_store_options *o, char *why)
{
    struct fxs_store *s = calloc(1, sizeof *s);
    enum fxs_store_rc rc;
    *out = NULL;
    if (!s)
        return fxs_why(FXS_STORE_MEMORY, why, "no memory to open %s", dir);
    s->o = *o;
    s->dir = s->lock = s->mark_fd = s->wal_fd = s->segments.fd = -1;
    fxs_init_locks(s);
    s->scratch = malloc(FXS_INLINE_MAX);
    rc = s->scratch ? open_dir(s, dir, why)
                    : fxs_why(FXS_STORE_MEMORY, why, "no memory to open %s", dir);
    (void)(rc || (rc = fxs_take_lock(s, why)) || (rc = open_database(s, why)) ||
           (rc = clean(s, why)) || (rc = fxs_writer_start(s, why)));
    if (rc != FXS_STORE_OK) {
        fxs_store_close(s);
        return rc;
    }
    *out = s;
    return FXS_STORE_OK;
}
