/* SPDX-License-Identifier: Apache-2.0 */
/* Writing files. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/store/internal.h"

static int io_create(int dir, const char *name)
{
    return openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int io_rename(int dir, const char *from, const char *to)
{
    if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    /* A file system that cannot do this, such as NFS; nobody else writes to the directory. */
    if (faccessat(dir, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return errno == ENOENT ? renameat(dir, from, dir, to) : -1;
}

static int io_remove(int dir, const char *name)
{
    return unlinkat(dir, name, 0);
}

static int io_truncate(int fd, off_t size)
{
    return ftruncate(fd, size);
}

struct fxs_store_io fxs_store_io = {
    .create = io_create,
    .write = pwritev,
    .sync = fsync,
    .sync_data = fdatasync,
    .truncate = io_truncate,
    .rename = io_rename,
    .remove = io_remove,
};

int fxs_write_all(int fd, struct iovec *iov, int n, off_t offset)
{
    while (n > 0) {
        if (iov->iov_len == 0) {
            iov++, n--;
            continue;
        }
        ssize_t put = fxs_store_io.write(fd, iov, n < IOV_MAX ? n : IOV_MAX, offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            if (put == 0)
                errno = ENOSPC;
            return -1;
        }
        offset += put;
        while (put > 0) {
            size_t part = (size_t)put < iov->iov_len ? (size_t)put : iov->iov_len;
            iov->iov_base = (char *)iov->iov_base + part;
            iov->iov_len -= part;
            put -= (ssize_t)part;
            if (iov->iov_len == 0)
                iov++, n--;
        }
    }
    return 0;
}

enum fxs_store_rc fxs_why(enum fxs_store_rc rc, char *why, const char *format, ...)
{
    if (why) {
        va_list args;
        va_start(args, format);
        vsnprintf(why, FXS_STORE_WHY, format, args);
        va_end(args);
    }
    return rc;
}

enum fxs_store_rc fxs_open_error(void)
{
    return errno == ENOENT || errno == ELOOP || errno == EIO ? FXS_STORE_DAMAGED : FXS_STORE_FAILED;
}

enum fxs_store_rc fxs_io_error(char *why, const char *what, const char *file)
{
    bool space = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return fxs_why(space ? FXS_STORE_FULL : FXS_STORE_FAILED, why, "cannot %s %s: %s", what, file,
                   strerror(errno));
}
