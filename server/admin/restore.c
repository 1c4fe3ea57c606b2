/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faissx-server restore.
 *
 * With --time T, a tenant comes from the first backup after T, and the changes after T are left
 * out: if all its indexes have snapshots from before T there, that is its state at T.  Otherwise it
 * comes from the last backup before T.
 */
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
#include "server/admin/manifest.h"

/* While this is there, no server starts on the directory. */
static const char unfinished[] = "restoring";
/* A tenant that is added to a data directory, which can be used without it. */
static const char unfinished_tenant[] = "restoring-tenant";

struct restore {
    struct fxa *a;
    const char *target, *dir;
    bool add;             /* a tenant to a data directory */
    char parts[PATH_MAX]; /* in dir: what is not complete */
    struct stat owner;    /* of dir: the server's user, also if root restores */
    struct fxa_backups b;
    json_t *tenants, *absent; /* that were restored; that were not there at the time */
};

/* --- which backup --- */

static const json_t *part_of(const struct restore *r, size_t i, const char *tenant)
{
    return i < r->b.n ? fxa_manifest_tenant(&r->b.list[i], tenant) : NULL;
}

/* The name of an index whose snapshot in that backup is newer than the time; or NULL. */
static const char *too_new(const struct restore *r, const json_t *part)
{
    const json_t *indexes = json_object_get(part, "indexes");
    for (size_t i = 0; i < json_array_size(indexes); i++) {
        const json_t *o = json_array_get(indexes, i);
        const char *name = json_string_value(json_array_get(json_object_get(o, "names"), 0));
        if ((int64_t)fxa_uint(o, "snapshot_ms") > r->a->time_ms)
            return name ? name : "";
    }
    return NULL;
}

struct choice {
    size_t i;       /* of the backup */
    size_t removed; /* of the one before, which has indexes removed since; or r->b.n */
    bool cut;       /* leave out what is after the time */
    char note[512];
};

/* The backups that would have the tenant, if there was one: the last one until the time, or of all,
 * and the first one after it.  r->b.n: there is none. */
static void around(const struct restore *r, const char *tenant, size_t *before, size_t *after)
{
    *before = *after = r->b.n;
    for (size_t i = 0; i < r->b.n; i++) {
        if (!fxa_manifest_covers(&r->b.list[i], tenant))
            continue;
        if (!r->a->time_ms || r->b.list[i].ms <= r->a->time_ms)
            *before = i;
        else if (*after == r->b.n)
            *after = i;
    }
}

/* Fails if a damaged manifest may have what is wanted, rather than the backup i (r->b.n: none): the
 * next one is `after`. */
static int no_damage(const struct restore *r, const char *tenant, size_t i, size_t after)
{
    for (size_t k = 0; k < r->b.damaged; k++) {
        const struct fxa_damaged *bad = &r->b.bad[k];
        if ((i < r->b.n && bad->ms <= r->b.list[i].ms) ||
            (after < r->b.n && bad->ms >= r->b.list[after].ms))
            continue;
        if (!part_of(r, i, tenant))
            return fxa_fail(r->a,
                            "the manifest of a backup that may have tenant '%s', %s/%s.json, is "
                            "damaged: to do without that backup, move this file away",
                            tenant, r->target, bad->stamp);
        return fxa_fail(r->a,
                        "the manifest of a later backup, %s/%s.json, is damaged: to do without "
                        "that backup, move this file away, and restore the one of %s",
                        r->target, bad->stamp, r->b.list[i].stamp);
    }
    return FXA_OK;
}

/* The tenant has nothing from before the time. */
static bool is_new(const struct restore *r, const json_t *part)
{
    const json_t *indexes = json_object_get(part, "indexes");
    for (size_t i = 0; i < json_array_size(indexes); i++)
        if ((int64_t)fxa_uint(json_array_get(indexes, i), "snapshot_ms") <= r->a->time_ms)
            return false;
    return true;
}

/* FXA_ABSENT: there was no such tenant at that time, as far as the backups say; `note` says so. */
enum { FXA_ABSENT = -1 };

/* Returns FXA_OK, FXA_ABSENT, or fails. */
static int choose(const struct restore *r, const char *tenant, struct choice *c)
{
    char time[FXA_TIME];
    size_t before, after;
    around(r, tenant, &before, &after);
    *c = (struct choice){.i = before, .removed = r->b.n};
    const json_t *part = part_of(r, after, tenant);
    bool there = part_of(r, before, tenant) != NULL;
    if (!r->a->time_ms) {
        /* An older backup has a tenant that was removed since. */
        while (c->i < r->b.n && !part_of(r, c->i, tenant))
            c->i = c->i ? c->i - 1 : r->b.n;
        return c->i < r->b.n ? no_damage(r, tenant, c->i, r->b.n)
                             : fxa_fail(r->a, "no backup has tenant '%s'", tenant);
    }
    const char *newer = part ? too_new(r, part) : NULL;
    bool exact = there && r->b.list[before].ms == r->a->time_ms;
    if (part && !newer && !exact) {
        *c = (struct choice){.i = after, .removed = before, .cut = true};
        snprintf(c->note, sizeof c->note, "as of %s", fxa_time(r->a->time_ms, time));
        return FXA_OK;
    }
    if (!there && newer) {
        if (no_damage(r, tenant, before, after) != FXA_OK)
            return FXA_WRONG;
        snprintf(c->note, sizeof c->note,
                 "tenant %s: the first backup after that time has a newer snapshot of '%s', "
                 "and there is no backup before it",
                 tenant, newer);
        return is_new(r, part) ? FXA_ABSENT : fxa_fail(r->a, "%s", c->note);
    }
    if (!there)
        return fxa_fail(r->a, "tenant %s: no backup reaches back to that time", tenant);
    if (!exact && no_damage(r, tenant, before, after) != FXA_OK)
        return FXA_WRONG;
    c->cut = true; /* it may have changes that were made while it was taken */
    if (newer)
        snprintf(c->note, sizeof c->note,
                 "as of %s: later changes cannot be told apart, since the next backup has a newer "
                 "snapshot of '%s'",
                 r->b.list[c->i].stamp, newer);
    else
        snprintf(c->note, sizeof c->note, "as of %s", r->b.list[c->i].stamp);
    /* A snapshot that was taken while the backup was. */
    if ((newer = too_new(r, part_of(r, before, tenant)))) {
        size_t n = strlen(c->note);
        snprintf(c->note + n, sizeof c->note - n, "; index '%s' has later changes", newer);
    }
    return FXA_OK;
}

/* --- copying --- */

static int copy(struct restore *r, const json_t *f, const char *dir)
{
    char from[PATH_MAX], to[2 * PATH_MAX], hex[20], why[FXS_STORE_WHY];
    uint64_t size = 0, hash = 0;
    snprintf(from, sizeof from, "%s/%s", r->target, fxa_str(f, "from"));
    snprintf(to, sizeof to, "%s/%s", dir, fxa_str(f, "file"));
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return fxa_fail(r->a, "cannot open %s: %s", from, strerror(errno));
    int out = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0) {
        fxa_fail(r->a, "cannot create %s: %s", to, strerror(errno));
        close(in);
        return FXA_WRONG;
    }
    enum fxs_store_rc rc =
        fxs_copy_file(in, from, out, to, fxa_uint(f, "bytes"), &size, &hash, why);
    close(in);
    close(out);
    if (rc != FXS_STORE_OK)
        return fxa_fail(r->a, "%s", why);
    snprintf(hex, sizeof hex, "%016" PRIx64, hash);
    if (size != fxa_uint(f, "bytes") || strcmp(hex, fxa_str(f, "xxh3")) != 0)
        return fxa_fail(r->a, "%s is damaged; 'faissx-server verify %s' says what this affects",
                        from, r->target);
    return FXA_OK;
}

static uint64_t bytes_of(const json_t *part)
{
    uint64_t bytes = fxa_uint(json_object_get(part, "database"), "bytes");
    const json_t *files = json_object_get(part, "files");
    for (size_t i = 0; i < json_array_size(files); i++)
        bytes += fxa_uint(json_array_get(files, i), "bytes");
    return bytes;
}

/* The names that the backup before has, and this one does not: they were removed in between, and
 * nothing says when. */
static void tell_removed(struct restore *r, const struct choice *c, const char *tenant, json_t *out)
{
    json_t *now = json_object(), *list = json_array();
    for (int k = 0; k < 2; k++) {
        const json_t *indexes =
            json_object_get(part_of(r, k ? c->removed : c->i, tenant), "indexes");
        for (size_t i = 0; i < json_array_size(indexes); i++) {
            const json_t *names = json_object_get(json_array_get(indexes, i), "names");
            for (size_t j = 0; j < json_array_size(names); j++) {
                const char *name = json_string_value(json_array_get(names, j));
                if (k == 0)
                    json_object_set_new(now, name, json_true());
                else if (!json_object_get(now, name)) {
                    json_array_append_new(list, json_string(name));
                    fxa_say(r->a,
                            "  not restored: index '%s' was removed between the backups of %s and "
                            "%s",
                            name, r->b.list[c->removed].stamp, r->b.list[c->i].stamp);
                }
            }
        }
    }
    json_object_set_new(out, "removed", list);
    json_decref(now);
}

static int restore_tenant(struct restore *r, const char *tenant)
{
    struct choice c;
    struct fxa_faults cut = {0};
    char dir[2 * PATH_MAX], name[FXS_TENANT_DIR], why[FXS_STORE_WHY];
    int status = choose(r, tenant, &c);
    if (status == FXA_ABSENT && r->a->tenant)
        return fxa_fail(r->a, "%s", c.note);
    if (status == FXA_ABSENT) {
        fxa_say(r->a, "%s: it is not restored", c.note);
        json_array_append_new(r->absent, json_string(tenant));
        return FXA_OK;
    }
    if (status != FXA_OK)
        return status;
    const json_t *part = part_of(r, c.i, tenant), *files = json_object_get(part, "files");
    if (fxs_tenant_dir(tenant, name) != 0)
        return fxa_fail(r->a, "'%s' cannot be the name of a tenant", tenant);
    snprintf(dir, sizeof dir, "%s/%s", r->parts, name);
    if (mkdir(dir, 0700) != 0)
        return fxa_fail(r->a, "cannot make %s: %s", dir, strerror(errno));
    fx_bar_begin("restoring", bytes_of(part));
    status = copy(r, json_object_get(part, "database"), dir);
    for (size_t i = 0; status == FXA_OK && i < json_array_size(files); i++)
        status = copy(r, json_array_get(files, i), dir);
    if (status != FXA_OK)
        return status;
    if (c.cut && fxs_store_cut(dir, r->a->time_ms, fxa_fault, &cut, why) != FXS_STORE_OK)
        status = fxa_fail(r->a, "tenant %s: %s", tenant, why);
    fxa_faults_name(&cut, dir);
    if (status == FXA_OK)
        status = fxa_give(r->a, dir, &r->owner);
    if (status == FXA_OK)
        status = fxa_sync_dir(r->a, dir);
    fx_bar_end();
    json_t *out = json_pack("{s:s, s:s, s:s}", "tenant", tenant, "backup", r->b.list[c.i].stamp,
                            "state", c.note);
    fxa_say(r->a, "tenant %s: from the backup of %s%s%s", tenant, r->b.list[c.i].stamp,
            *c.note ? ", " : "", c.note);
    uint64_t changes = 0;
    for (size_t i = 0; i < cut.n; i++)
        changes += cut.list[i].f.count;
    if (c.cut && (changes || c.removed < r->b.n))
        fxa_say(r->a, "  %" PRIu64 " changes after that time were left out", changes);
    json_object_set_new(out, "left_out", json_integer((json_int_t)changes));
    if (c.removed < r->b.n)
        tell_removed(r, &c, tenant, out);
    json_array_append_new(r->tenants, out);
    fxa_faults_free(&cut);
    return status;
}

/* --- all --- */

static int is_empty(struct fxa *a, const char *dir)
{
    DIR *d = opendir(dir);
    int status = FXA_OK;
    if (!d)
        return fxa_fail(a, "cannot read %s: %s", dir, strerror(errno));
    for (struct dirent *e; errno = 0, status == FXA_OK && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            strcmp(e->d_name, "lost+found") != 0)
            status = fxa_fail(a, "%s is not empty: %s is in it", dir, e->d_name);
    if (status == FXA_OK && errno)
        status = fxa_fail(a, "cannot read %s: %s", dir, strerror(errno));
    closedir(d);
    return status;
}

static bool exists(const char *dir, const char *name)
{
    char path[PATH_MAX + FXS_TENANT_DIR];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return lstat(path, &st) == 0;
}

/* May the tenant be added to the data directory?  *lock: what keeps servers from using it. */
static int has_room(const struct restore *r, int *lock)
{
    char name[FXS_TENANT_DIR], path[PATH_MAX];
    if (fxs_tenant_dir(r->a->tenant, name) != 0)
        return fxa_fail(r->a, "'%s' cannot be the name of a tenant", r->a->tenant);
    if ((*lock = fxa_lock(r->a, r->dir)) < 0)
        return FXA_WRONG;
    snprintf(path, sizeof path, "%s/tenants", r->dir);
    if (exists(path, name))
        return fxa_fail(r->a, "%s has tenant '%s' already: move %s/%s away first", r->dir,
                        r->a->tenant, path, name);
    return FXA_OK;
}

/* All tenants that the backups have which may be used. */
static json_t *tenants_of(const struct restore *r)
{
    json_t *set = json_object();
    for (size_t i = 0; i < r->b.n; i++) {
        const json_t *tenants = json_object_get(r->b.list[i].json, "tenants");
        for (size_t k = 0; k < json_array_size(tenants); k++) {
            const char *tenant = fxa_str(json_array_get(tenants, k), "tenant");
            size_t before, after;
            around(r, tenant, &before, &after);
            if (part_of(r, before, tenant) || (r->a->time_ms && part_of(r, after, tenant)))
                json_object_set_new(set, tenant, json_true());
        }
    }
    return set;
}

/* Complete: now the server may see it. */
static int put_in_place(struct restore *r)
{
    char from[2 * PATH_MAX], to[2 * PATH_MAX], name[FXS_TENANT_DIR] = "";
    if (r->add)
        fxs_tenant_dir(r->a->tenant, name);
    else if (fxa_give(r->a, r->parts, &r->owner) != FXA_OK)
        return FXA_WRONG;
    if (fxa_sync_dir(r->a, r->parts) != FXA_OK)
        return FXA_WRONG;
    snprintf(from, sizeof from, "%s/%s", r->parts, name);
    snprintf(to, sizeof to, "%s/tenants/%s", r->dir, name);
    if (rename(from, to) != 0)
        return fxa_fail(r->a, "cannot rename %s to %s: %s", from, to, strerror(errno));
    if (r->add) {
        rmdir(r->parts);
        snprintf(to, sizeof to, "%s/tenants", r->dir);
        if (fxa_sync_dir(r->a, to) != FXA_OK)
            return FXA_WRONG;
    }
    return fxa_sync_dir(r->a, r->dir);
}

static int restore_all(struct restore *r)
{
    int status = FXA_OK;
    json_t *set = json_object();
    if (r->a->tenant)
        json_object_set_new(set, r->a->tenant, json_true());
    else
        json_decref(set), set = tenants_of(r);
    if (!json_object_size(set))
        status = fxa_fail(r->a, "%s has no complete backup%s", r->target,
                          r->a->time_ms ? " for that time" : "");
    for (void *i = json_object_iter(set); i && status == FXA_OK;
         i = json_object_iter_next(set, i)) {
        status = restore_tenant(r, json_object_iter_key(i));
        if (status != FXA_OK && json_object_size(set) > 1)
            fxa_fail(r->a, "tenant '%s' cannot be restored; --tenant restores the others, each",
                     json_object_iter_key(i));
    }
    json_decref(set);
    if (status == FXA_OK && !json_array_size(r->tenants))
        status = fxa_fail(r->a, "%s has no backup for that time", r->target);
    return status == FXA_OK ? put_in_place(r) : status;
}

static int run(struct fxa *a, char **operands)
{
    struct restore r = {.a = a, .target = operands[0], .dir = operands[1]};
    if (mkdir(r.dir, 0700) != 0 && errno != EEXIST)
        return fxa_fail(a, "cannot make %s: %s", r.dir, strerror(errno));
    if (stat(r.dir, &r.owner) != 0)
        return fxa_fail(a, "cannot read %s: %s", r.dir, strerror(errno));
    int lock = fxa_target_lock(a, r.target, false), data_lock = -1;
    if (lock < 0)
        return FXA_WRONG;
    r.add = a->tenant && exists(r.dir, "tenants") && !exists(r.dir, unfinished);
    if ((r.add ? has_room(&r, &data_lock) : is_empty(a, r.dir)) != FXA_OK ||
        fxa_backups_read(a, r.target, &r.b) != 0) {
        if (data_lock >= 0)
            close(data_lock);
        close(lock);
        return FXA_WRONG;
    }
    r.tenants = json_array();
    r.absent = json_array();
    snprintf(r.parts, sizeof r.parts, "%s/%s", r.dir, r.add ? unfinished_tenant : unfinished);
    int status = mkdir(r.parts, 0700) == 0
                     ? restore_all(&r)
                     : fxa_fail(a, "cannot make %s: %s", r.parts, strerror(errno));
    if (status != FXA_OK && rmdir(r.parts) != 0 && errno != ENOENT)
        fxa_fail(a, "%s is not complete: remove it before you try again", r.add ? r.parts : r.dir);
    if (a->out)
        json_object_set(a->out, "tenants", r.tenants), json_object_set(a->out, "absent", r.absent);
    json_decref(r.tenants);
    json_decref(r.absent);
    fxa_backups_free(&r.b);
    if (data_lock >= 0)
        close(data_lock);
    close(lock);
    return status;
}

const struct fxa_command fxa_restore = {
    "restore",
    "TARGET DIR",
    2,
    "tT",
    "make a data directory from a backup",
    "Makes the data directory DIR, which must be empty or not exist, from the newest backup in\n"
    "TARGET.  With --time, as it was then: from the first backup after that time without the\n"
    "changes after it, if the snapshots in that backup are older than the time; else from the\n"
    "last backup before it.  Which of them was used is printed.  With --tenant, DIR may also be\n"
    "a data directory that does not have this tenant and is not in use: it is added.\n\n"
    "  faissx-server restore /backup/faissx /var/lib/faissx\n"
    "  faissx-server restore --time 2026-01-31T14:05 /backup/faissx /var/lib/faissx\n",
    run};
