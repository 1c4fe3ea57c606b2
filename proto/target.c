/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/target.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS = 40 }; /* as many as Linux follows */

/* Replaces `path` by what the symbolic link there refers to.  Returns 1 if it did, 0 if `path` is
 * not a link, or -1 with errno set. */
static int follow(char *path, size_t size)
{
    char to[PATH_MAX];
    ssize_t n = readlink(path, to, sizeof to - 1);
    if (n < 0)
        return errno == EINVAL || errno == ENOENT ? 0 : -1;
    to[n] = '\0';
    char *base = strrchr(path, '/');
    size_t dir = *to == '/' || !base ? 0 : (size_t)(base - path) + 1;
    if (dir + (size_t)n >= size) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path + dir, to, (size_t)n + 1);
    return 1;
}

char *fx_target(const char *name, char *why, size_t size)
{
    char path[PATH_MAX], *target = NULL;
    struct stat st;
    int rc = 1;
    if (strcmp(name, "-") == 0) {
        snprintf(why, size, "write to a file; '-' does not stand for stdout");
        return NULL;
    }
    if (strlen(name) >= sizeof path) {
        snprintf(why, size, "%s: %s", name, strerror(ENAMETOOLONG));
        return NULL;
    }
    if (stat(name, &st) == 0 && !S_ISREG(st.st_mode)) {
        snprintf(why, size, "%s is not a regular file", name);
        return NULL;
    }
    strcpy(path, name);
    for (int i = 0; i < LINKS && rc > 0; i++)
        rc = follow(path, sizeof path);
    if (rc > 0)
        errno = ELOOP;
    else if (rc == 0)
        target = strdup(path);
    if (!target)
        snprintf(why, size, "%s: %s", name, strerror(errno));
    return target;
}
