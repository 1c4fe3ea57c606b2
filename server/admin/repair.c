/* SPDX-License-Identifier: Apache-2.0 */
/* faissx-server repair. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/bar.h"
#include "server/admin/admin.h"
#include "server/admin/manifest.h"

struct repair {
    const char *data_dir;
    json_t *tenants;
};

/* For a file system that cannot exchange two directories.  Between the two renames there would be
 * no store in `dir`, and a server would make an empty one: so the repaired one waits in the folder
 * FXA_REPAIRING, with which no server starts. */
static int put_in_place_by_steps(struct fxa *a, const char *data_dir, const char *dir,
                                 const char *repaired)
{
    char folder[PATH_MAX], ready[2 * PATH_MAX], tenants[PATH_MAX];
    snprintf(tenants, sizeof tenants, "%s/tenants", data_dir);
    snprintf(folder, sizeof folder, "%s/" FXA_REPAIRING, data_dir);
    snprintf(ready, sizeof ready, "%s/%s", folder, strrchr(dir, '/') + 1);
    if (mkdir(folder, 0700) != 0)
        return fxa_fail(a, "cannot make %s: %s", folder, strerror(errno));
    if (fxa_sync_dir(a, data_dir) != FXA_OK)
        return FXA_WRONG;
    if (rename(repaired, ready) != 0)
        return fxa_fail(a, "cannot rename %s to %s: %s", repaired, ready, strerror(errno));
    if (fxa_sync_dir(a, folder) != FXA_OK)
        return FXA_WRONG;
    if (rename(dir, repaired) != 0)
        return fxa_fail(a, "cannot rename %s to %s: %s", dir, repaired, strerror(errno));
    if (rename(ready, dir) != 0)
        return fxa_fail(a, "cannot rename %s to %s: %s; the old store is in %s", ready, dir,
                        strerror(errno), repaired);
    if (fxa_sync_dir(a, tenants) != FXA_OK)
        return FXA_WRONG;
    if (rmdir(folder) != 0)
        return fxa_fail(a, "cannot remove %s: %s", folder, strerror(errno));
    return fxa_sync_dir(a, data_dir);
}

/* What put_in_place_by_steps was doing when it was interrupted: there is a store in `dir`, damaged
 * or repaired, or the repaired one takes that place. */
static int finish_interrupted(struct fxa *a, const char *data_dir)
{
    char folder[PATH_MAX], tenants[PATH_MAX], ready[2 * PATH_MAX], dir[2 * PATH_MAX],
        tenant[FXS_TENANT_DIR];
    struct stat st;
    snprintf(folder, sizeof folder, "%s/" FXA_REPAIRING, data_dir);
    snprintf(tenants, sizeof tenants, "%s/tenants", data_dir);
    DIR *d = opendir(folder);
    if (!d)
        return errno == ENOENT ? FXA_OK
                               : fxa_fail(a, "cannot read %s: %s", folder, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (fxs_tenant_of_dir(e->d_name, tenant, sizeof tenant) != 0)
            continue;
        snprintf(ready, sizeof ready, "%s/%s", folder, e->d_name);
        snprintf(dir, sizeof dir, "%s/%s", tenants, e->d_name);
        if (stat(dir, &st) == 0)
            fxs_store_remove(ready);
        else if (errno != ENOENT || rename(ready, dir) != 0)
            fxa_fail(a, "cannot rename %s to %s: %s", ready, dir, strerror(errno));
        else
            fxa_say(a, "tenant %s: an interrupted repair is finished", tenant);
    }
    closedir(d);
    if (fxa_sync_dir(a, tenants) != FXA_OK)
        return FXA_WRONG;
    if (rmdir(folder) != 0) /* something is left in it */
        return fxa_fail(a, "cannot remove %s: %s", folder, strerror(errno));
    return fxa_sync_dir(a, data_dir);
}

/* Puts the repaired store in the place of the damaged one, which takes its place in lost+found:
 * both at once, where the file system can. */
static int put_in_place(struct fxa *a, const char *data_dir, const char *dir, const char *repaired)
{
    if (renameat2(AT_FDCWD, repaired, AT_FDCWD, dir, RENAME_EXCHANGE) == 0)
        return FXA_OK;
    if (errno != EINVAL && errno != ENOSYS)
        return fxa_fail(a, "cannot exchange %s and %s: %s", repaired, dir, strerror(errno));
    return put_in_place_by_steps(a, data_dir, dir, repaired);
}

static int repair_store(struct fxa *a, const char *tenant, const char *dir, struct repair *r,
                        json_t *out)
{
    struct fxa_faults lost = {0};
    struct fxs_totals totals;
    char why[FXS_STORE_WHY], path[PATH_MAX], repaired[2 * PATH_MAX], stamp[FXA_TIME];
    int status = FXA_OK;
    struct stat owner;
    if (stat(dir, &owner) != 0)
        return fxa_fail(a, "%s: %s", dir, strerror(errno));
    snprintf(path, sizeof path, "%s/lost+found", r->data_dir);
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return fxa_fail(a, "cannot make %s: %s", path, strerror(errno));
    if (made && fxa_give(a, path, &owner) != FXA_OK)
        return FXA_WRONG;
    /* With the time, a long name of a tenant would be too long for a file system. */
    snprintf(repaired, sizeof repaired, "%s/%.200s-%s", path, strrchr(dir, '/') + 1,
             fxa_time(fxa_now(), stamp));
    fx_bar_begin("repairing", fxa_dir_bytes(dir));
    if (fxs_store_repair(dir, repaired, fxa_fault, &lost, &totals, why) != FXS_STORE_OK) {
        fxa_faults_free(&lost);
        if (made)
            rmdir(path); /* unless it has something */
        return fxa_fail(a, "tenant %s: %s", tenant, why);
    }
    fxa_faults_name(&lost, repaired);
    if (!a->dry_run && (status = fxa_give(a, repaired, &owner)) == FXA_OK)
        status = put_in_place(a, r->data_dir, dir, repaired);
    else
        fxs_store_remove(repaired);
    if (made && a->dry_run)
        rmdir(path); /* unless it has something; if it was there, it may be the file system's own */
    if (status == FXA_OK && !a->dry_run)
        status = fxa_sync_dir(a, path);
    snprintf(path, sizeof path, "%s/tenants", r->data_dir);
    if (status == FXA_OK && !a->dry_run)
        status = fxa_sync_dir(a, path);
    fx_bar_end();
    if (status == FXA_OK) {
        fxa_say(a,
                "tenant %s: %s %" PRIu64 " indexes and %" PRIu64 " changes since their snapshots",
                tenant, a->dry_run ? "would save" : "saved", totals.entries, totals.records);
        fxa_faults_print(a, &lost, out);
        if (!a->dry_run)
            fxa_say(a, "  the store as it was is in %s", repaired);
        json_object_set_new(out, "indexes", json_integer((json_int_t)totals.entries));
        json_object_set_new(out, "changes", json_integer((json_int_t)totals.records));
        json_object_set_new(out, "old_store", a->dry_run ? json_null() : json_string(repaired));
    }
    fxa_faults_free(&lost);
    return status;
}

static int repair_tenant(struct fxa *a, const char *tenant, const char *dir, void *ctx)
{
    struct repair *r = ctx;
    struct fxa_faults found = {0};
    struct fxs_totals totals;
    char why[FXS_STORE_WHY];
    fx_bar_begin("verifying", fxa_dir_bytes(dir));
    enum fxs_store_rc rc = fxs_store_check(dir, fxa_fault, &found, &totals, why);
    fx_bar_end();
    if (rc != FXS_STORE_OK) {
        fxa_faults_free(&found);
        return fxa_fail(a, "tenant %s: %s", tenant, why);
    }
    bool wrong = found.wrong > 0 && !fxa_is_unused(dir);
    fxa_faults_free(&found);
    json_t *out = json_object();
    int status = FXA_OK;
    json_object_set_new(out, "tenant", json_string(tenant));
    json_object_set_new(out, "damaged", json_boolean(wrong));
    if (!wrong)
        fxa_say(a, "tenant %s: nothing is damaged", tenant);
    else
        status = repair_store(a, tenant, dir, r, out);
    json_array_append_new(r->tenants, out);
    return status;
}

static int run(struct fxa *a, char **operands)
{
    struct repair r = {operands[0], json_array()};
    int lock = fxa_lock(a, r.data_dir);
    int status = lock < 0 ? FXA_WRONG : a->dry_run ? FXA_OK : finish_interrupted(a, r.data_dir);
    if (status == FXA_OK)
        status = fxa_each_tenant(a, r.data_dir, repair_tenant, &r);
    if (a->out)
        json_object_set(a->out, "tenants", r.tenants);
    json_decref(r.tenants);
    if (lock >= 0)
        close(lock);
    return status;
}

const struct fxa_command fxa_repair = {
    "repair",
    "DIR",
    1,
    "td",
    "make a damaged data directory usable, and say what is lost",
    "Verifies the stores of a data directory, and replaces a damaged one by a new one with what\n"
    "is good in it: indexes whose snapshot is good, with their changes up to the first one that\n"
    "is damaged.  Says what that one lacks.  The store as it was stays in DIR/lost+found, in a\n"
    "folder of its own; remove it when you do not need it.  No server may use DIR.  Exit status:\n"
    "0 if the directory is usable, also if something was lost.\n\n"
    "  faissx-server repair --dry-run /var/lib/faissx\n",
    run};
