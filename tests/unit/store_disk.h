/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails, for the tests of the store: a layer under SQLite (a VFS) and under the store's
 * own files (fxs_store_io).  It lets one operation fail, or loses power: from then on everything
 * fails, and disk_image() makes a directory of what such a disk may have kept.  Of each file that
 * is what it was at its last sync, and any part of what was written since, in pieces of a sector;
 * of the directory, what it was at its last sync, and some of what was done since, in order. */
#ifndef FX_STORE_DISK_H
#define FX_STORE_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/store/internal.h"

enum { SECTOR = 512, DISK_FILES = 512, DISK_NAMES = 64 };

enum fault { FAULT_NONE, FAULT_IO, FAULT_SPACE, FAULT_POWER };

struct disk_write {
    struct disk_write *next;
    bool truncate;
    off_t offset; /* or the new size */
    size_t size;
    uint8_t data[];
};

struct disk_file {
    ino_t ino;
    bool gone; /* its inode may belong to another */
    uint8_t *kept;
    size_t kept_size;
    struct disk_write *first, **last; /* since the last sync */
};

struct disk_entry {
    char name[64];
    struct disk_file *file;
};

struct disk_change { /* of the directory, since its last sync */
    char name[64], to[64];
    struct disk_file *file; /* created; NULL: renamed, or removed if `to` is empty */
};

static struct {
    pthread_mutex_t mutex;
    bool on;
    enum fault fault;
    long at, count,
        writes;    /* the operation that fails, from 1; done so far. FAULT_SPACE: the write */
    long failures; /* operations that FAULT_SPACE lets fail, one after the other */
    long read_at;  /* so many reads from now, one of SQLite's fails; 0: none does */
    bool hit;      /* the fault has happened */
    struct disk_file *bad; /* a sync of this file failed */
    long after;            /* its writes and syncs since */
    bool power_off;
    struct disk_file files[DISK_FILES];
    int nfiles;
    struct disk_entry kept[DISK_NAMES];
    int nkept;
    struct disk_change changes[256];
    int nchanges;
    sqlite3_vfs *below;
    struct fxs_store_io io;
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER};

enum operation { OP_WRITE, OP_SYNC, OP_NAME };

/* Counts an operation on a file (NULL: a directory, or unknown).  Returns the errno that it fails
 * with, or 0.  The mutex is held. */
static inline int disk_fault(enum operation op, struct disk_file *file)
{
    if (!disk.on)
        return 0;
    if (disk.power_off)
        return EIO;
    if (disk.bad && disk.bad == file)
        disk.after++;
    long n = ++disk.count;
    disk.writes += op == OP_WRITE;
    if (disk.fault == FAULT_POWER && n == disk.at) {
        disk.hit = disk.power_off = true;
        return EIO;
    }
    if (disk.fault == FAULT_IO && n == disk.at) {
        disk.hit = true;
        disk.bad = op == OP_SYNC ? file : NULL;
        return EIO;
    }
    if (disk.fault == FAULT_SPACE && op == OP_WRITE && disk.writes >= disk.at &&
        disk.writes < disk.at + disk.failures) {
        disk.hit = true;
        return ENOSPC;
    }
    return 0;
}

/* --- what the disk has --- */

static inline struct disk_file *disk_find(ino_t ino)
{
    for (int i = disk.nfiles - 1; i >= 0; i--)
        if (disk.files[i].ino == ino && !disk.files[i].gone)
            return &disk.files[i];
    return NULL;
}

static inline struct disk_change *disk_change(const char *name)
{
    if (disk.nchanges == 256)
        abort();
    struct disk_change *c = &disk.changes[disk.nchanges++];
    memset(c, 0, sizeof *c);
    snprintf(c->name, sizeof c->name, "%.63s", name);
    return c;
}

static inline struct disk_file *disk_created(const char *name, ino_t ino)
{
    struct disk_file *f = disk_find(ino);
    if (f)
        f->gone = true;
    if (disk.nfiles == DISK_FILES)
        abort();
    f = &disk.files[disk.nfiles++];
    *f = (struct disk_file){.ino = ino};
    f->last = &f->first;
    disk_change(name)->file = f;
    return f;
}

static inline void disk_wrote(struct disk_file *f, const struct iovec *iov, int n, off_t offset,
                              bool truncate)
{
    size_t size = 0;
    for (int i = 0; i < n; i++)
        size += iov[i].iov_len;
    struct disk_write *w = malloc(sizeof *w + size);
    *w = (struct disk_write){.truncate = truncate, .offset = offset, .size = size};
    for (size_t at = 0; n > 0; at += iov->iov_len, iov++, n--)
        if (iov->iov_len)
            memcpy(w->data + at, iov->iov_base, iov->iov_len);
    *f->last = w;
    f->last = &w->next;
}

static inline void disk_put(uint8_t **to, size_t *size, off_t offset, const uint8_t *data, size_t n)
{
    size_t end = (size_t)offset + n;
    if (end > *size) {
        *to = realloc(*to, end);
        memset(*to + *size, 0, end - *size);
        *size = end;
    }
    memcpy(*to + offset, data, n);
}

/* Applies a write, or those sectors of it that `keep` out of 8 leaves. */
static inline void disk_apply(uint8_t **to, size_t *size, const struct disk_write *w, int keep)
{
    if (w->truncate) {
        if (rand() % 8 < keep && (size_t)w->offset < *size)
            *size = (size_t)w->offset;
        return;
    }
    for (size_t at = 0; at < w->size;) {
        size_t n = SECTOR - ((size_t)w->offset + at) % SECTOR;
        if (n > w->size - at)
            n = w->size - at;
        if (rand() % 8 < keep)
            disk_put(to, size, w->offset + (off_t)at, w->data + at, n);
        at += n;
    }
}

static inline void disk_synced(struct disk_file *f)
{
    for (struct disk_write *w = f->first, *next; w; w = next) {
        next = w->next;
        disk_apply(&f->kept, &f->kept_size, w, 8);
        free(w);
    }
    f->first = NULL;
    f->last = &f->first;
}

static inline int disk_name(struct disk_entry *list, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0)
            return i;
    return -1;
}

static inline void disk_rename(struct disk_entry *list, int *n, const struct disk_change *c)
{
    int i = disk_name(list, *n, c->name);
    if (c->file) {
        if (i < 0)
            i = (*n)++;
        snprintf(list[i].name, sizeof list[i].name, "%s", c->name);
        list[i].file = c->file;
    } else if (i >= 0 && *c->to) {
        struct disk_file *file = list[i].file;
        list[i] = list[--*n];
        i = disk_name(list, *n, c->to);
        if (i < 0)
            i = (*n)++;
        snprintf(list[i].name, sizeof list[i].name, "%s", c->to);
        list[i].file = file;
    } else if (i >= 0) {
        list[i] = list[--*n];
    }
    if (*n >= DISK_NAMES - 1)
        abort();
}

static inline void disk_dir_synced(void)
{
    for (int i = 0; i < disk.nchanges; i++)
        disk_rename(disk.kept, &disk.nkept, &disk.changes[i]);
    disk.nchanges = 0;
}

/* Makes a directory of what the disk has.  keep: how much of what was not synced, from 0 (nothing)
 * to 8 (everything). */
static inline void disk_image(const char *dir, int keep)
{
    struct disk_entry list[DISK_NAMES];
    int n = disk.nkept, some = keep == 0   ? 0
                               : keep == 8 ? disk.nchanges
                                           : rand() % (disk.nchanges + 1);
    memcpy(list, disk.kept, sizeof list);
    for (int i = 0; i < some; i++)
        disk_rename(list, &n, &disk.changes[i]);
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct disk_file *f = list[i].file;
        size_t size = f->kept_size;
        uint8_t *data = malloc(size + 1);
        if (size)
            memcpy(data, f->kept, size);
        for (struct disk_write *w = f->first; w; w = w->next)
            disk_apply(&data, &size, w, keep);
        snprintf(path, sizeof path, "%s/%.63s", dir, list[i].name);
        FILE *out = fopen(path, "w");
        if (!out || fwrite(data, 1, size, out) != size || fclose(out) != 0)
            abort();
        free(data);
    }
}

/* The file that is mapped and not written: its newest contents, which a disk need not have but may.
 */
static inline void disk_image_mark(const char *from, const char *to)
{
    char path[4096], data[256];
    snprintf(path, sizeof path, "%s/replaying", from);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    snprintf(path, sizeof path, "%s/replaying", to);
    f = fopen(path, "w");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0)
        abort();
}

/* Forgets everything: an empty disk. */
static inline void disk_reset(enum fault fault, long at)
{
    pthread_mutex_lock(&disk.mutex);
    for (int i = 0; i < disk.nfiles; i++) {
        disk_synced(&disk.files[i]);
        free(disk.files[i].kept);
    }
    disk.nfiles = disk.nkept = disk.nchanges = 0;
    disk.count = disk.writes = disk.after = disk.read_at = 0;
    disk.hit = disk.power_off = false;
    disk.bad = NULL;
    disk.fault = fault;
    disk.at = at;
    disk.on = true;
    pthread_mutex_unlock(&disk.mutex);
}

/* How many writes find no space.  Returns how many it was before. */
static inline long disk_failures(long n)
{
    pthread_mutex_lock(&disk.mutex);
    long before = disk.failures;
    disk.failures = n;
    pthread_mutex_unlock(&disk.mutex);
    return before;
}

/* --- the store's own files --- */

static inline int disk_io_create(int dir, const char *name)
{
    struct stat st;
    pthread_mutex_lock(&disk.mutex);
    int e = disk_fault(OP_NAME, NULL), fd = e ? -1 : disk.io.create(dir, name);
    if (fd >= 0 && disk.on && fstat(fd, &st) == 0)
        disk_created(name, st.st_ino);
    pthread_mutex_unlock(&disk.mutex);
    if (e)
        errno = e;
    return fd;
}

static inline struct disk_file *disk_of(int fd)
{
    struct stat st;
    return disk.on && fstat(fd, &st) == 0 ? disk_find(st.st_ino) : NULL;
}

static inline ssize_t disk_io_write(int fd, const struct iovec *iov, int n, off_t offset)
{
    pthread_mutex_lock(&disk.mutex);
    struct disk_file *f = disk_of(fd);
    int e = disk_fault(OP_WRITE, f);
    if (f && (!e || disk.power_off)) /* power fails while it is written: some of it may be there */
        disk_wrote(f, iov, n, offset, false);
    pthread_mutex_unlock(&disk.mutex);
    ssize_t put = e ? -1 : disk.io.write(fd, iov, n, offset);
    if (e)
        errno = e;
    return put;
}

static inline int disk_io_sync(int fd)
{
    struct stat st;
    pthread_mutex_lock(&disk.mutex);
    struct disk_file *f = disk_of(fd);
    int e = disk_fault(OP_SYNC, f);
    if (!e && f)
        disk_synced(f);
    else if (!e && disk.on && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        disk_dir_synced();
    pthread_mutex_unlock(&disk.mutex);
    errno = e;
    return e ? -1 : 0;
}

static inline int disk_io_truncate(int fd, off_t size)
{
    pthread_mutex_lock(&disk.mutex);
    struct disk_file *f = disk_of(fd);
    int e = disk_fault(OP_NAME, f), rc = e ? -1 : disk.io.truncate(fd, size);
    if (rc == 0 && f)
        disk_wrote(f, &(struct iovec){NULL, 0}, 1, size, true);
    pthread_mutex_unlock(&disk.mutex);
    if (e)
        errno = e;
    return rc;
}

static inline int disk_io_rename(int dir, const char *from, const char *to)
{
    pthread_mutex_lock(&disk.mutex);
    int e = disk_fault(OP_NAME, NULL), rc = e ? -1 : disk.io.rename(dir, from, to);
    if (rc == 0 && disk.on)
        snprintf(disk_change(from)->to, 64, "%.63s", to);
    pthread_mutex_unlock(&disk.mutex);
    if (e)
        errno = e;
    return rc;
}

static inline int disk_io_remove(int dir, const char *name)
{
    pthread_mutex_lock(&disk.mutex);
    int e = disk_fault(OP_NAME, NULL), rc = e ? -1 : disk.io.remove(dir, name);
    if (rc == 0 && disk.on)
        disk_change(name);
    pthread_mutex_unlock(&disk.mutex);
    if (e)
        errno = e;
    return rc;
}

/* --- SQLite's files --- */

struct disk_sqlite {
    sqlite3_file file;
    struct disk_file *on_disk;
    bool new_name; /* SQLite syncs the directory with the file */
    sqlite3_file *real;
};

static inline sqlite3_file *disk_real(sqlite3_file *f)
{
    return ((struct disk_sqlite *)f)->real;
}

static inline int disk_x_close(sqlite3_file *f)
{
    return disk_real(f)->pMethods->xClose(disk_real(f));
}

static inline int disk_x_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    pthread_mutex_lock(&disk.mutex);
    bool fails = disk.on && disk.read_at && --disk.read_at == 0;
    disk.hit |= fails;
    pthread_mutex_unlock(&disk.mutex);
    if (fails)
        return errno = EIO, SQLITE_IOERR_READ;
    return disk_real(f)->pMethods->xRead(disk_real(f), p, n, at);
}

static inline int disk_x_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    struct disk_sqlite *d = (struct disk_sqlite *)f;
    struct iovec iov = {(void *)(uintptr_t)p, (size_t)n};
    pthread_mutex_lock(&disk.mutex);
    int e = disk_fault(OP_WRITE, d->on_disk);
    if (disk.on && d->on_disk && (!e || disk.power_off))
        disk_wrote(d->on_disk, &iov, 1, at, false);
    pthread_mutex_unlock(&disk.mutex);
    if (e)
        return errno = e, e == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    return d->real->pMethods->xWrite(d->real, p, n, at);
}

static inline int disk_x_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct disk_sqlite *d = (struct disk_sqlite *)f;
    pthread_mutex_lock(&disk.mutex);
    int e = disk_fault(OP_NAME, NULL);
    if (disk.on && d->on_disk && !e)
        disk_wrote(d->on_disk, &(struct iovec){NULL, 0}, 1, size, true);
    pthread_mutex_unlock(&disk.mutex);
    if (e)
        return errno = e, SQLITE_IOERR_TRUNCATE;
    return d->real->pMethods->xTruncate(d->real, size);
}

static inline int disk_x_sync(sqlite3_file *f, int flags)
{
    struct disk_sqlite *d = (struct disk_sqlite *)f;
    (void)flags;
    pthread_mutex_lock(&disk.mutex);
    int e = disk_fault(OP_SYNC, d->on_disk);
    if (disk.on && !e && d->on_disk) {
        disk_synced(d->on_disk);
        if (d->new_name)
            disk_dir_synced();
        d->new_name = false;
    }
    pthread_mutex_unlock(&disk.mutex);
    errno = e;
    return e ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static inline int disk_x_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return disk_real(f)->pMethods->xFileSize(disk_real(f), size);
}

static inline int disk_x_lock(sqlite3_file *f, int lock)
{
    return disk_real(f)->pMethods->xLock(disk_real(f), lock);
}

static inline int disk_x_unlock(sqlite3_file *f, int lock)
{
    return disk_real(f)->pMethods->xUnlock(disk_real(f), lock);
}

static inline int disk_x_reserved(sqlite3_file *f, int *out)
{
    return disk_real(f)->pMethods->xCheckReservedLock(disk_real(f), out);
}

static inline int disk_x_control(sqlite3_file *f, int op, void *arg)
{
    return disk_real(f)->pMethods->xFileControl(disk_real(f), op, arg);
}

static inline int disk_x_sector(sqlite3_file *f)
{
    (void)f;
    return SECTOR;
}

/* Nothing is promised of a write in which power fails. */
static inline int disk_x_device(sqlite3_file *f)
{
    return disk_real(f)->pMethods->xDeviceCharacteristics(disk_real(f));
}

static inline int disk_x_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
    return disk_real(f)->pMethods->xShmMap(disk_real(f), page, size, extend, p);
}

static inline int disk_x_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return disk_real(f)->pMethods->xShmLock(disk_real(f), offset, n, flags);
}

static inline void disk_x_shm_barrier(sqlite3_file *f)
{
    disk_real(f)->pMethods->xShmBarrier(disk_real(f));
}

static inline int disk_x_shm_unmap(sqlite3_file *f, int delete)
{
    return disk_real(f)->pMethods->xShmUnmap(disk_real(f), delete);
}

static inline const char *disk_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static inline int disk_x_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
                              int *out)
{
    static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = disk_x_close,
        .xRead = disk_x_read,
        .xWrite = disk_x_write,
        .xTruncate = disk_x_truncate,
        .xSync = disk_x_sync,
        .xFileSize = disk_x_size,
        .xLock = disk_x_lock,
        .xUnlock = disk_x_unlock,
        .xCheckReservedLock = disk_x_reserved,
        .xFileControl = disk_x_control,
        .xSectorSize = disk_x_sector,
        .xDeviceCharacteristics = disk_x_device,
        .xShmMap = disk_x_shm_map,
        .xShmLock = disk_x_shm_lock,
        .xShmBarrier = disk_x_shm_barrier,
        .xShmUnmap = disk_x_shm_unmap,
    };
    struct disk_sqlite *d = (struct disk_sqlite *)f;
    struct stat st;
    (void)vfs;
    memset(d, 0, sizeof *d);
    d->real = (sqlite3_file *)(d + 1);
    bool existed = name && stat(name, &st) == 0;
    int rc = disk.below->xOpen(disk.below, name, d->real, flags, out);
    if (rc != SQLITE_OK)
        return rc;
    d->file.pMethods = &methods;
    pthread_mutex_lock(&disk.mutex);
    if (disk.on && name && stat(name, &st) == 0) {
        d->new_name = !existed;
        d->on_disk = existed ? disk_find(st.st_ino) : disk_created(disk_base(name), st.st_ino);
    }
    pthread_mutex_unlock(&disk.mutex);
    return rc;
}

static inline int disk_x_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    pthread_mutex_lock(&disk.mutex);
    int e = disk_fault(OP_NAME, NULL), rc = e ? SQLITE_IOERR_DELETE : SQLITE_OK;
    if (!e)
        rc = disk.below->xDelete(disk.below, name, 0);
    if (rc == SQLITE_OK && disk.on) {
        disk_change(disk_base(name));
        if (sync)
            disk_dir_synced();
    }
    pthread_mutex_unlock(&disk.mutex);
    if (e)
        errno = e;
    return rc;
}

/* Puts the disk under everything; the default of SQLite from now on. */
static inline void disk_install(void)
{
    static sqlite3_vfs vfs;
    sqlite3_initialize();
    disk.below = sqlite3_vfs_find(NULL);
    vfs = *disk.below;
    vfs.zName = "disk";
    vfs.pNext = NULL;
    vfs.szOsFile = (int)sizeof(struct disk_sqlite) + disk.below->szOsFile;
    vfs.xOpen = disk_x_open;
    vfs.xDelete = disk_x_delete;
    sqlite3_vfs_register(&vfs, 1);
    disk.io = fxs_store_io;
    fxs_store_io.create = disk_io_create;
    fxs_store_io.write = disk_io_write;
    fxs_store_io.sync = disk_io_sync;
    fxs_store_io.sync_data = disk_io_sync;
    fxs_store_io.truncate = disk_io_truncate;
    fxs_store_io.rename = disk_io_rename;
    fxs_store_io.remove = disk_io_remove;
}

#endif
