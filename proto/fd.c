/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int fx_fd_high(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int error = errno;
    close(fd);
    errno = error;
    return high;
}
