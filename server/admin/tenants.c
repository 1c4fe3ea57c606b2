/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/admin/admin.h"

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the directories in `path`, sorted.  Returns -1 after a message. */
static int list(struct fxa *a, const char *path, char ***names, size_t *n)
{
    DIR *d = opendir(path);
    size_t cap = 0;
    *names = NULL;
    *n = 0;
    if (!d) {
        fxa_fail(a, "cannot read %s: %s", path, strerror(errno));
        return -1;
    }
    /* It returns NULL for an error, too: a tenant that it has not named would be left out. */
    for (struct dirent *e; errno = 0, (e = readdir(d));) {
        char tenant[FXS_TENANT_DIR];
        if (fxs_tenant_of_dir(e->d_name, tenant, sizeof tenant) != 0)
            continue;
        if (*n == cap) {
            char **more = realloc(*names, (cap = cap * 2 + 8) * sizeof *more);
            if (!more)
                break;
            *names = more;
        }
        if (!((*names)[*n] = strdup(e->d_name)))
            break;
        ++*n;
    }
    int error = errno;
    closedir(d);
    if (error) {
        while (*n)
            free((*names)[--*n]);
        free(*names);
        fxa_fail(a, "cannot read %s: %s", path, strerror(error));
        return -1;
    }
    if (*n)
        qsort(*names, *n, sizeof **names, by_name);
    return 0;
}

int fxa_stat_tenants(struct fxa *a, const char *data_dir, struct stat *st)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/tenants", data_dir);
    if (stat(path, st) == 0)
        return FXA_OK;
    /* Only if the directory itself is there is it certain that the folder is what is missing. */
    if (errno == ENOENT && stat(data_dir, st) == 0)
        return fxa_fail(a, "%s is not a data directory: it has no folder tenants", data_dir);
    return fxa_fail(a, "cannot read %s: %s", data_dir, strerror(errno));
}

int fxa_each_tenant(struct fxa *a, const char *data_dir,
                    int (*f)(struct fxa *a, const char *tenant, const char *dir, void *ctx),
                    void *ctx)
{
    char path[PATH_MAX], dir[PATH_MAX + FXS_TENANT_DIR], tenant[FXS_TENANT_DIR],
        only[FXS_TENANT_DIR] = "";
    char **names;
    size_t n;
    int worst = FXA_OK;
    bool seen = false;
    struct stat st;
    if (a->tenant && fxs_tenant_dir(a->tenant, only) != 0)
        return fxa_fail(a, "'%s' cannot be the name of a tenant", a->tenant);
    if (fxa_stat_tenants(a, data_dir, &st) != FXA_OK)
        return FXA_WRONG;
    snprintf(path, sizeof path, "%s/tenants", data_dir);
    snprintf(dir, sizeof dir, "%s/" FXA_REPAIRING, data_dir);
    if (access(dir, F_OK) == 0)
        return fxa_fail(a, "%s: its repair was interrupted: run faissx-server repair again",
                        data_dir);
    if (list(a, path, &names, &n) != 0)
        return FXA_WRONG;
    for (size_t i = 0; i < n; i++) {
        if (!*only || strcmp(only, names[i]) == 0) {
            seen = true;
            fxs_tenant_of_dir(names[i], tenant, sizeof tenant);
            snprintf(dir, sizeof dir, "%s/%s", path, names[i]);
            int status = f(a, tenant, dir, ctx);
            if (status > worst)
                worst = status;
        }
        free(names[i]);
    }
    free(names);
    if (a->tenant && !seen)
        return fxa_fail(a, "%s has no tenant '%s'", data_dir, a->tenant);
    return worst;
}

int fxa_lock(struct fxa *a, const char *data_dir)
{
    char path[PATH_MAX], who[FXS_WHO] = "", host[64] = "";
    struct stat st;
    if (fxa_stat_tenants(a, data_dir, &st) != FXA_OK)
        return -1;
    snprintf(path, sizeof path, "%s/lock", data_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        fxa_fail(a, "%s: %s", path, strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = pread(fd, who, sizeof who - 1, 0);
        who[n > 0 ? n : 0] = 0;
        who[strcspn(who, "\n")] = 0;
        fxa_fail(a, "%s is in use by %s: stop it first", data_dir, *who ? who : "another process");
        close(fd);
        return -1;
    }
    /* Made by root, it would keep the server's user from starting. */
    if (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) != 0) {
        fxa_fail(a, "cannot change the owner of %s: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    gethostname(host, sizeof host - 1);
    int n = snprintf(who, sizeof who, "process %d on %s (faissx-server %s)\n", (int)getpid(), host,
                     a->command->name);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, who, (size_t)n, 0) != n)
        return fd; /* only for whoever wonders */
    return fd;
}

int fxa_give(struct fxa *a, const char *dir, const struct stat *owner)
{
    if (geteuid() != 0 || owner->st_uid == 0)
        return FXA_OK;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    bool failed = !d;
    int error = errno;
    struct dirent *e;
    while (!failed && (errno = 0, e = readdir(d)))
        failed = strcmp(e->d_name, "..") != 0 &&
                 fchownat(fd, e->d_name, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW) != 0;
    if (d) {
        error = errno;
        failed = error != 0;
    }
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    return failed ? fxa_fail(a, "cannot change the owner of %s: %s", dir, strerror(error)) : FXA_OK;
}

bool fxa_is_unused(const char *dir)
{
    DIR *d = opendir(dir);
    bool unused = d != NULL;
    for (struct dirent *e; unused && (errno = 0, e = readdir(d));)
        unused = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                 strcmp(e->d_name, "lock") == 0 || strncmp(e->d_name, "tmp-", 4) == 0;
    unused = unused && errno == 0; /* else the rest of it is not known */
    if (d)
        closedir(d);
    return unused;
}

uint64_t fxa_dir_bytes(const char *dir)
{
    uint64_t bytes = 0;
    struct stat st;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            bytes += (uint64_t)st.st_size;
    if (d)
        closedir(d);
    return bytes;
}
