/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/spare.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    SPARES = 4,
    PIECE = 1 << 20, /* goes to the disk at a time, so that the disk has time for others */
    /* Is written at a time: the kernel then has the file in units of this size, and takes a whole
     * unit for changed when a part of it is written. */
    UNIT = 16 << 10,
    PAUSE_MS = 30000 /* after there was no space */
};
static const uint64_t free_space = 1 << 30; /* with less, spares are not written */
/* So many bytes of zeros, and this part of what has been written, are written at most. */
static const uint64_t zeros_first = 128 << 20, zeros_part = 8;
static const char prefix[] = "tmp-spare-";

uint64_t fxs_spare_after = 4 << 20;

struct fxs_spares {
    int dir;
    pthread_t thread;
    bool started, stop;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    uint64_t wrote; /* bytes */
    uint64_t zeros; /* bytes */
    uint64_t next;  /* number of the next spare */
    char names[SPARES][FXS_FILE_NAME];
    int n;
    int64_t not_before_ms;
};

bool fxs_is_spare(const char *name)
{
    return strncmp(name, prefix, sizeof prefix - 1) == 0;
}

struct fxs_spares *fxs_spares_new(int dir)
{
    struct fxs_spares *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->dir = dir;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->work, NULL);
    return p;
}

/* The mutex is held. */
static void new_name(struct fxs_spares *p, char name[FXS_FILE_NAME])
{
    snprintf(name, FXS_FILE_NAME, "%s%llu", prefix, (unsigned long long)p->next++);
}

/* --- making one --- */

static bool is_ending(struct fxs_spares *p)
{
    pthread_mutex_lock(&p->mutex);
    bool stop = p->stop;
    pthread_mutex_unlock(&p->mutex);
    return stop;
}

static bool has_space(int fd)
{
    struct statvfs v;
    return fstatvfs(fd, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize >= free_space;
}

static bool fill(struct fxs_spares *p, int fd)
{
    if (!has_space(fd))
        return false;
    char *zeros = calloc(1, UNIT);
    bool ok = zeros != NULL;
    for (uint64_t at = 0; ok && at < fxs_segment_size; at += UNIT) {
        struct iovec iov = {zeros, UNIT};
        ok = !is_ending(p) && fxs_write_all(fd, &iov, 1, (off_t)at) == 0;
        uint64_t end = at + UNIT;
        if (ok && end % PIECE == 0)
            sync_file_range(fd, (off_t)(end - PIECE), PIECE,
                            SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    }
    free(zeros);
    return ok && fxs_store_io.sync(fd) == 0;
}

static void *prepare(void *arg)
{
    struct fxs_spares *p = arg;
    char name[FXS_FILE_NAME];
    pthread_mutex_lock(&p->mutex);
    while (!p->stop) {
        if (p->n > 0 || p->zeros > zeros_first + p->wrote / zeros_part ||
            fxs_now_ms() < p->not_before_ms) {
            pthread_cond_wait(&p->work, &p->mutex);
            continue;
        }
        new_name(p, name);
        p->zeros += fxs_segment_size;
        pthread_mutex_unlock(&p->mutex);
        int fd = fxs_store_io.create(p->dir, name);
        bool ok = fd >= 0 && fill(p, fd);
        if (fd >= 0)
            close(fd);
        pthread_mutex_lock(&p->mutex);
        if (ok && p->n < SPARES && fxs_now_ms() >= p->not_before_ms) {
            strcpy(p->names[p->n++], name);
        } else {
            fxs_store_io.remove(p->dir, name);
            if (!ok)
                p->not_before_ms = fxs_now_ms() + PAUSE_MS;
        }
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

/* --- the writer's --- */

void fxs_spares_wrote(struct fxs_spares *p, uint64_t bytes)
{
    pthread_mutex_lock(&p->mutex);
    p->wrote += bytes;
    pthread_mutex_unlock(&p->mutex);
    if (!p->started && p->wrote >= fxs_spare_after)
        p->started = pthread_create(&p->thread, NULL, prepare, p) == 0;
}

int fxs_spares_take(struct fxs_spares *p, const char *name)
{
    int fd = -1;
    pthread_mutex_lock(&p->mutex);
    if (p->n > 0) {
        const char *spare = p->names[--p->n];
        fd = openat(p->dir, spare, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && fxs_store_io.rename(p->dir, spare, name) != 0) {
            close(fd);
            fd = -1;
        }
    }
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->mutex);
    return fd;
}

/* Has the file its size, and no holes? */
static bool is_whole(struct fxs_spares *p, const char *name)
{
    struct stat st;
    return fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (uint64_t)st.st_size >= fxs_segment_size / 8 * 7 &&
           (uint64_t)st.st_size <= fxs_segment_size / 8 * 9 && st.st_blocks * 512 >= st.st_size;
}

void fxs_spares_give(struct fxs_spares *p, const char *name)
{
    char spare[FXS_FILE_NAME];
    bool kept = false;
    pthread_mutex_lock(&p->mutex);
    if (p->n < SPARES && fxs_now_ms() >= p->not_before_ms && is_whole(p, name)) {
        new_name(p, spare);
        kept = fxs_store_io.rename(p->dir, name, spare) == 0;
        if (kept)
            strcpy(p->names[p->n++], spare);
    }
    pthread_mutex_unlock(&p->mutex);
    if (!kept)
        fxs_store_io.remove(p->dir, name);
}

static void remove_all(struct fxs_spares *p)
{
    while (p->n > 0)
        fxs_store_io.remove(p->dir, p->names[--p->n]);
}

void fxs_spares_drop(struct fxs_spares *p)
{
    pthread_mutex_lock(&p->mutex);
    remove_all(p);
    p->not_before_ms = fxs_now_ms() + PAUSE_MS;
    pthread_mutex_unlock(&p->mutex);
}

void fxs_spares_drop_if_full(struct fxs_spares *p)
{
    if (p && !has_space(p->dir))
        fxs_spares_drop(p);
}

void fxs_spares_free(struct fxs_spares *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->mutex);
    p->stop = true;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->mutex);
    if (p->started)
        pthread_join(p->thread, NULL);
    remove_all(p);
    pthread_mutex_destroy(&p->mutex);
    pthread_cond_destroy(&p->work);
    free(p);
}
