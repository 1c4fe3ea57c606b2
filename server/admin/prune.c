/* SPDX-License-Identifier: Apache-2.0 */
/* Old and interrupted backups are removed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/admin/manifest.h"

/* All files that the backups have, by their path in the target; NULL: there is no memory for all.
 */
static json_t *referenced(const struct fxa_backups *b)
{
    json_t *set = json_object(), *t, *f;
    size_t k, j;
    int failed = 0;
    for (size_t i = 0; i < b->n; i++) {
        json_array_foreach(json_object_get(b->list[i].json, "tenants"), k, t)
        {
            failed |= json_object_set_new(set, fxa_str(json_object_get(t, "database"), "from"),
                                          json_true());
            json_array_foreach(json_object_get(t, "files"), j, f)
            {
                failed |= json_object_set_new(set, fxa_str(f, "from"), json_true());
            }
        }
    }
    if (!failed)
        return set;
    json_decref(set);
    return NULL;
}

/* Removes the files of folder `path` of the target that no backup has, and the folder if it is
 * empty then. */
static void clean(const char *target, const char *path, const json_t *set)
{
    char whole[2 * PATH_MAX], file[PATH_MAX + 300];
    snprintf(whole, sizeof whole, "%s/%s", target, path);
    DIR *d = opendir(whole);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (!json_object_get(set, file))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
    rmdir(whole);
}

static bool is_stamp(const char *name)
{
    return strlen(name) == 24 && name[10] == 'T' && name[23] == 'Z';
}

void fxa_clean(const char *target, const struct fxa_backups *b)
{
    char path[PATH_MAX];
    json_t *set = referenced(b);
    if (!set)
        return;
    DIR *d = opendir(target);
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_stamp(e->d_name))
            clean(target, e->d_name, set);
    if (d)
        closedir(d);
    snprintf(path, sizeof path, "%s/files", target);
    d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof path, "files/%s", e->d_name);
            clean(target, path, set);
        }
    if (d)
        closedir(d);
    json_decref(set);
}

/* Have at least `keep` newer backups each tenant that this one has?  A backup without the tenant
 * does not count: the tenant's folder may have been lost, and not removed. */
static bool is_old(const struct fxa_backups *b, size_t i, int keep)
{
    const json_t *tenants = json_object_get(b->list[i].json, "tenants");
    size_t n = json_array_size(tenants);
    for (size_t k = 0; k < n; k++) {
        const char *tenant = fxa_str(json_array_get(tenants, k), "tenant");
        int newer = 0;
        for (size_t j = i + 1; j < b->n; j++)
            newer += fxa_manifest_tenant(&b->list[j], tenant) != NULL;
        if (newer < keep)
            return false;
    }
    return n || b->n - i > (size_t)keep;
}

int fxa_prune(struct fxa *a, const char *target, int keep, unsigned *n)
{
    struct fxa_backups b;
    char path[PATH_MAX];
    *n = 0;
    if (fxa_backups_read(a, target, &b) != 0)
        return FXA_WRONG;
    /* A manifest that cannot be read may need any of the files. */
    if (b.damaged) {
        fxa_backups_free(&b);
        return fxa_fail(a,
                        "the backup is complete, but nothing is removed from %s: a manifest is "
                        "damaged",
                        target);
    }
    for (size_t i = 0; keep && i < b.n;) {
        if (!is_old(&b, i, keep)) {
            i++;
            continue;
        }
        snprintf(path, sizeof path, "%s/%s.json", target, b.list[i].stamp);
        if (unlink(path) != 0) {
            fxa_fail(a, "cannot remove %s: %s", path, strerror(errno));
            fxa_backups_free(&b);
            return FXA_WRONG;
        }
        json_decref(b.list[i].json);
        memmove(b.list + i, b.list + i + 1, (--b.n - i) * sizeof *b.list);
        ++*n;
    }
    int status = fxa_sync_dir(a, target); /* a manifest must not come back without its files */
    if (status == FXA_OK)
        fxa_clean(target, &b);
    fxa_backups_free(&b);
    return status;
}
