/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static const char marker[] = "faissx-backups";

bool fxa_is_target(const char *target)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", target, marker);
    return access(path, F_OK) == 0;
}

int fxa_sync_dir(struct fxa *a, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* EINVAL: a network's file system, say, that has no such thing. */
    bool failed = fd < 0 || (fsync(fd) != 0 && errno != EINVAL);
    int error = errno;
    if (fd >= 0)
        close(fd);
    return failed ? fxa_fail(a, "cannot sync %s: %s", path, strerror(error)) : FXA_OK;
}

/* An empty directory may become a target, but no other. */
static int is_empty(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; errno = 0, d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
             strcmp(e->d_name, "lost+found") != 0;
    n += errno != 0;
    if (d)
        closedir(d);
    return d && n == 0;
}

int fxa_target_lock(struct fxa *a, const char *target, bool make)
{
    static const char text[] = "Backups of faissx-server, format 1\n";
    char path[PATH_MAX];
    bool is = fxa_is_target(target);
    if (!is && make) {
        if (mkdir(target, 0700) != 0 && errno != EEXIST) {
            fxa_fail(a, "cannot make %s: %s", target, strerror(errno));
            return -1;
        }
        if (!is_empty(target)) {
            fxa_fail(a, "%s is neither empty nor a folder with backups", target);
            return -1;
        }
    } else if (!is) {
        fxa_fail(a, "%s has no backups: there is no file %s in it", target, marker);
        return -1;
    }
    snprintf(path, sizeof path, "%s/%s", target, marker);
    int fd = open(path, make ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        fxa_fail(a, "cannot open %s: %s", path, strerror(errno));
        return -1;
    }
    if (flock(fd, (make ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        fxa_fail(a, "another command works on %s", target);
        close(fd);
        return -1;
    }
    if (!is && (write(fd, text, sizeof text - 1) != sizeof text - 1 || fsync(fd) != 0)) {
        fxa_fail(a, "cannot write %s: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

/* Reads one manifest.  Returns NULL if it is not as it was written. */
static json_t *read_one(const char *path)
{
    char sum[40], *text = NULL;
    size_t size = 0;
    json_t *json = NULL;
    FILE *f = fopen(path, "re");
    if (!f)
        return NULL;
    ssize_t n = getline(&text, &size, f);
    if (n > 1 && fgets(sum, sizeof sum, f)) {
        char want[40];
        snprintf(want, sizeof want, "{\"xxh3\":\"%016" PRIx64 "\"}\n",
                 (uint64_t)XXH3_64bits(text, (size_t)n - 1));
        if (strcmp(sum, want) == 0)
            json = json_loadb(text, (size_t)n, 0, NULL);
    }
    free(text);
    fclose(f);
    return json;
}

static void add_damaged(struct fxa_backups *b, const char *name)
{
    struct fxa_damaged *more = realloc(b->bad, (b->damaged + 1) * sizeof *more);
    if (!more)
        abort(); /* whoever does not know of it takes older backups for the newest */
    b->bad = more;
    struct fxa_damaged *bad = &more[b->damaged++];
    snprintf(bad->stamp, sizeof bad->stamp, "%.24s", name);
    if (fxa_time_of(bad->stamp, &bad->ms) != 0)
        bad->ms = INT64_MAX;
}

static int by_time(const void *a, const void *b)
{
    const struct fxa_manifest *m = a, *n = b;
    return (m->ms > n->ms) - (m->ms < n->ms);
}

int fxa_backups_read(struct fxa *a, const char *target, struct fxa_backups *b)
{
    char path[PATH_MAX];
    size_t cap = 0;
    memset(b, 0, sizeof *b);
    DIR *d = opendir(target);
    if (!d) {
        fxa_fail(a, "cannot read %s: %s", target, strerror(errno));
        return -1;
    }
    for (struct dirent *e; errno = 0, (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n != 29 || strcmp(e->d_name + 24, ".json") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", target, e->d_name);
        json_t *json = read_one(path);
        if (!json) {
            fxa_fail(a, "%s is damaged", path);
            add_damaged(b, e->d_name);
            continue;
        }
        if (fxa_uint(json, "format") != 1) {
            fxa_fail(a, "%s has format %" PRIu64 ", but this program knows format 1", path,
                     fxa_uint(json, "format"));
            add_damaged(b, e->d_name);
            json_decref(json);
            continue;
        }
        if (b->n == cap) {
            void *more = realloc(b->list, (cap = cap * 2 + 8) * sizeof *b->list);
            if (!more) {
                json_decref(json);
                errno = ENOMEM;
                break;
            }
            b->list = more;
        }
        struct fxa_manifest *m = &b->list[b->n++];
        snprintf(m->stamp, sizeof m->stamp, "%.24s", e->d_name);
        m->json = json;
        m->ms = (int64_t)fxa_uint(json, "time_ms");
    }
    int error = errno;
    closedir(d);
    /* A list that lacks some is worse than none: what they need would be removed. */
    if (error) {
        fxa_fail(a, "cannot read %s: %s", target, strerror(error));
        fxa_backups_free(b);
        return -1;
    }
    if (b->n)
        qsort(b->list, b->n, sizeof *b->list, by_time);
    return 0;
}

void fxa_backups_free(struct fxa_backups *b)
{
    for (size_t i = 0; i < b->n; i++)
        json_decref(b->list[i].json);
    free(b->list);
    free(b->bad);
    memset(b, 0, sizeof *b);
}

int fxa_manifest_write(struct fxa *a, const char *target, const char *stamp, const json_t *json)
{
    char tmp[PATH_MAX], path[PATH_MAX];
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(tmp, sizeof tmp, "%s/tmp-manifest", target);
    snprintf(path, sizeof path, "%s/%s.json", target, stamp);
    FILE *f = text ? fopen(tmp, "we") : NULL;
    int failed = !f;
    if (f) {
        fprintf(f, "%s\n{\"xxh3\":\"%016" PRIx64 "\"}\n", text,
                (uint64_t)XXH3_64bits(text, strlen(text)));
        failed = fflush(f) != 0 || fsync(fileno(f)) != 0;
        failed |= fclose(f) != 0;
    }
    free(text);
    if (failed || rename(tmp, path) != 0)
        return fxa_fail(a, "cannot write %s: %s", path, strerror(errno));
    return fxa_sync_dir(a, target);
}

const json_t *fxa_manifest_tenant(const struct fxa_manifest *m, const char *tenant)
{
    size_t i;
    json_t *t;
    json_array_foreach(json_object_get(m->json, "tenants"), i, t)
    {
        if (strcmp(fxa_str(t, "tenant"), tenant) == 0)
            return t;
    }
    return NULL;
}

bool fxa_manifest_covers(const struct fxa_manifest *m, const char *tenant)
{
    const char *only = json_string_value(json_object_get(m->json, "only"));
    return !only || strcmp(only, tenant) == 0;
}
