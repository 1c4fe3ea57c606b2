/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/fd.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

void fx_buffer_free(struct fx_buffer *b)
{
    if (b->mapped && b->data)
        munmap(b->data, b->size);
    else if (!b->mapped)
        free(b->data);
    *b = (struct fx_buffer){0};
}

/* Does `ulimit -f` allow a memfd of this size?  A write beyond the limit raises SIGXFSZ, which
 * would end the program. */
static int is_allowed(size_t size)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
           (limit.rlim_cur == RLIM_INFINITY || size <= limit.rlim_cur);
}

int fx_memfd_make(const void *data, size_t size)
{
    int fd = -1;
    if (is_allowed(size))
        fd = fx_fd_high(memfd_create("faissx-array", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    for (size_t done = 0; fd >= 0 && done < size;) {
        ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            close(fd);
            return -1;
        }
    }
    if (fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

size_t fx_memfd_sealed_size(int fd)
{
    struct stat st;
    int want = F_SEAL_WRITE | F_SEAL_SHRINK, seals = fcntl(fd, F_GET_SEALS);
    /* Not st_blocks, which may count blocks beyond the end. */
    if (seals < 0 || (seals & want) != want || fstat(fd, &st) != 0 || st.st_size <= 0 ||
        lseek(fd, 0, SEEK_HOLE) != st.st_size)
        return 0;
    return (size_t)st.st_size;
}

void *fx_memfd_map(int fd, size_t size)
{
    void *at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return NULL;
    madvise(at, size, MADV_POPULATE_READ); /* cheaper than one fault per page */
    return at;
}
