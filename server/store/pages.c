/* SPDX-License-Identifier: Apache-2.0 */
/* A layer (in SQLite's words, a VFS) between SQLite and the system, for two things.
 *
 * Lack of space: SQLite knows ENOSPC only; for a quota or a limit it reports an I/O error, and does
 * not always tell errno.
 *
 * Checksums of the database's pages: the layer keeps XXH3-64 of each page in the page's last 8
 * bytes, which SQLite leaves alone.  A page that was altered on disk, or that belongs elsewhere, is
 * an error when it is read, be it of a table, an index or the list of free pages.  The write-ahead
 * log has checksums of its own. */
#include <errno.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "server/store/pages.h"

enum { PAGE = FXS_PAGE_SIZE, SUM = FXS_PAGE_RESERVED };

struct page_file {
    sqlite3_file file;
    int has_sums;       /* the database, not its log */
    int later;          /* the log: a sync need not be done now */
    int begun;          /* the log: it was begun anew since the last sync */
    sqlite3_file *real; /* behind this structure */
};

static sqlite3_file *real(sqlite3_file *f)
{
    return ((struct page_file *)f)->real;
}

static uint64_t sum_of(const void *page, sqlite3_int64 offset)
{
    return XXH3_64bits_withSeed(page, PAGE - SUM, (uint64_t)(offset / PAGE + 1));
}

int fxs_page_is_good(const void *page, uint64_t number)
{
    static const char none[PAGE];
    uint64_t sum;
    memcpy(&sum, (const char *)page + PAGE - SUM, SUM);
    return sum == sum_of(page, (sqlite3_int64)(number - 1) * PAGE) || memcmp(page, none, PAGE) == 0;
}

static int is_page(sqlite3_file *f, int n, sqlite3_int64 offset)
{
    return ((struct page_file *)f)->has_sums && n == PAGE && offset % PAGE == 0;
}

/* What an operation returned that needs space. */
static int space(int rc)
{
    if ((rc & 0xff) == SQLITE_IOERR && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return SQLITE_FULL;
    return rc;
}

static int x_close(sqlite3_file *f)
{
    int rc = real(f)->pMethods->xClose(real(f));
    f->pMethods = NULL;
    return rc;
}

static int x_read(sqlite3_file *f, void *p, int n, sqlite3_int64 offset)
{
    int rc = real(f)->pMethods->xRead(real(f), p, n, offset);
    if (rc == SQLITE_OK && is_page(f, n, offset)) {
        uint64_t sum;
        memcpy(&sum, (char *)p + PAGE - SUM, SUM);
        if (sum != sum_of(p, offset))
            return SQLITE_IOERR_DATA;
    }
    return rc;
}

static int x_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 offset)
{
    char page[PAGE];
    if (is_page(f, n, offset)) {
        uint64_t sum = sum_of(p, offset);
        memcpy(page, p, PAGE - SUM);
        memcpy(page + PAGE - SUM, &sum, SUM);
        p = page;
    }
    if (offset == 0)
        ((struct page_file *)f)->begun = 1;
    return space(real(f)->pMethods->xWrite(real(f), p, n, offset));
}

static const sqlite3_io_methods methods;

static int x_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return real(f)->pMethods->xTruncate(real(f), size);
}

/* When the log begins anew its header has to be on disk before what follows: else the disk could
 * have the old header with a part of the old log, whose pages are older than the database's. */
static int x_sync(sqlite3_file *f, int flags)
{
    struct page_file *p = (struct page_file *)f;
    if (p->later && !p->begun)
        return SQLITE_OK;
    p->begun = 0;
    return real(f)->pMethods->xSync(real(f), flags);
}

void fxs_page_sync_later(sqlite3_file *f, int later)
{
    if (f->pMethods == &methods)
        ((struct page_file *)f)->later = later;
}

static int x_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real(f)->pMethods->xFileSize(real(f), size);
}

static int x_lock(sqlite3_file *f, int lock)
{
    return real(f)->pMethods->xLock(real(f), lock);
}

static int x_unlock(sqlite3_file *f, int lock)
{
    return real(f)->pMethods->xUnlock(real(f), lock);
}

static int x_reserved(sqlite3_file *f, int *out)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int x_control(sqlite3_file *f, int op, void *arg)
{
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int x_sector(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int x_device(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int x_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
    return space(real(f)->pMethods->xShmMap(real(f), page, size, extend, p));
}

static int x_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void x_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int x_shm_unmap(sqlite3_file *f, int delete)
{
    return real(f)->pMethods->xShmUnmap(real(f), delete);
}

/* Version 2 has no xFetch: the file is not mapped, so all pages are read by x_read. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = x_close,
    .xRead = x_read,
    .xWrite = x_write,
    .xTruncate = x_truncate,
    .xSync = x_sync,
    .xFileSize = x_size,
    .xLock = x_lock,
    .xUnlock = x_unlock,
    .xCheckReservedLock = x_reserved,
    .xFileControl = x_control,
    .xSectorSize = x_sector,
    .xDeviceCharacteristics = x_device,
    .xShmMap = x_shm_map,
    .xShmLock = x_shm_lock,
    .xShmBarrier = x_shm_barrier,
    .xShmUnmap = x_shm_unmap,
};

static sqlite3_vfs *base(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int x_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct page_file *p = (struct page_file *)f;
    p->file.pMethods = NULL;
    p->has_sums = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    p->later = p->begun = 0;
    p->real = (sqlite3_file *)(p + 1);
    int rc = base(vfs)->xOpen(base(vfs), name, p->real, flags, out);
    if (rc == SQLITE_OK)
        p->file.pMethods = &methods;
    return rc;
}

static int x_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    return base(vfs)->xDelete(base(vfs), name, sync);
}

static int x_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    return base(vfs)->xAccess(base(vfs), name, flags, out);
}

static int x_full(sqlite3_vfs *vfs, const char *name, int n, char *out)
{
    return base(vfs)->xFullPathname(base(vfs), name, n, out);
}

static int x_random(sqlite3_vfs *vfs, int n, char *out)
{
    return base(vfs)->xRandomness(base(vfs), n, out);
}

static int x_sleep(sqlite3_vfs *vfs, int us)
{
    return base(vfs)->xSleep(base(vfs), us);
}

static int x_error(sqlite3_vfs *vfs, int n, char *out)
{
    return base(vfs)->xGetLastError(base(vfs), n, out);
}

static int x_time(sqlite3_vfs *vfs, double *t)
{
    return base(vfs)->xCurrentTime(base(vfs), t);
}

static int x_time64(sqlite3_vfs *vfs, sqlite3_int64 *t)
{
    return base(vfs)->xCurrentTimeInt64(base(vfs), t);
}

const char *fxs_pages_register(void)
{
    static sqlite3_vfs vfs = {
        .iVersion = 2,
        .zName = "faissx-pages",
        .xOpen = x_open,
        .xDelete = x_delete,
        .xAccess = x_access,
        .xFullPathname = x_full,
        .xRandomness = x_random,
        .xSleep = x_sleep,
        .xCurrentTime = x_time,
        .xGetLastError = x_error,
        .xCurrentTimeInt64 = x_time64,
    };
    static int registered;
    sqlite3_mutex *m = (sqlite3_initialize(), sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP1));
    sqlite3_mutex_enter(m);
    if (!registered) {
        sqlite3_vfs *below = sqlite3_vfs_find(NULL);
        vfs.pAppData = below;
        vfs.szOsFile = (int)sizeof(struct page_file) + below->szOsFile;
        vfs.mxPathname = below->mxPathname;
        registered = sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
    }
    sqlite3_mutex_leave(m);
    return registered ? vfs.zName : NULL;
}
