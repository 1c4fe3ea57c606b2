/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void path_of(char *path, size_t size, const char *dir, int client)
{
    snprintf(path, size, "%s/journal-%d", dir, client);
}

void journal_write(int fd, const struct entry *head, const uint32_t *ids)
{
    struct entry e = *head;
    e.at_ns = now_ns();
    e.size = (uint32_t)(sizeof e + e.n * sizeof *ids);
    struct iovec parts[] = {{&e, sizeof e}, {(void *)(uintptr_t)ids, e.n * sizeof *ids}};
    if (writev(fd, parts, e.n ? 2 : 1) != (ssize_t)e.size) {
        perror("writing the journal");
        _exit(9);
    }
}

static void nothing(void *ctx, const struct entry *e)
{
    (void)ctx;
    (void)e;
}

int journal_open(const char *dir, int client)
{
    char path[4096];
    size_t end = 0;
    path_of(path, sizeof path, dir, client);
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0 && journal_read(dir, client, &end, nothing, NULL) == 0 &&
        ftruncate(fd, (off_t)end) == 0)
        return fd;
    perror(path);
    exit(9);
}

int journal_read(const char *dir, int client, size_t *offset,
                 void (*f)(void *ctx, const struct entry *e), void *ctx)
{
    char path[4096];
    struct stat st;
    path_of(path, sizeof path, dir, client);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || (size_t)st.st_size <= *offset) {
        close(fd);
        return 0;
    }
    size_t size = (size_t)st.st_size - *offset, at = 0;
    char *data = malloc(size);
    if (!data || pread(fd, data, size, (off_t)*offset) != (ssize_t)size)
        abort();
    close(fd);
    while (size - at >= sizeof(struct entry)) {
        uint32_t length;
        memcpy(&length, data + at, sizeof length);
        if (length < sizeof(struct entry) || length > size - at)
            break;
        struct entry *copy = malloc(length); /* aligned */
        if (!copy)
            abort();
        memcpy(copy, data + at, length);
        f(ctx, copy);
        free(copy);
        at += length;
    }
    free(data);
    *offset += at;
    return 0;
}
