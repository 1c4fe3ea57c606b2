/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faissx-server backup.
 *
 * For each tenant: copies the database, which is one moment of the store, then the files that this
 * copy needs and that no earlier backup has.  Snapshot files are opened at once, so that they stay
 * when the server removes them; if a file or a large change is gone nevertheless, begins again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/bar.h"
#include "server/admin/manifest.h"

enum { TRIES = 20 };

struct backup {
    struct fxa *a;
    const char *target;
    char stamp[FXA_TIME];
    struct fxa_backups before;
    json_t *tenants;
    uint64_t copied, shared; /* bytes */
};

/* A tenant's backup. */
struct part {
    struct backup *b;
    const char *dir, *name; /* of the store; its last part */
    char database[PATH_MAX], files[PATH_MAX];
    struct want {
        struct fxs_needed n;
        int fd;
        json_t *names;
    } * list;
    size_t n, cap;
    json_t *json, *done; /* done: files, from attempts before */
    bool memory;
};

static int make_dir(struct fxa *a, const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return FXA_OK;
    return fxa_fail(a, "cannot make %s: %s", path, strerror(errno));
}

/* Calls f for each file with this name that an attempt before or an earlier backup has, the newest
 * first, until f returns true. */
static void each_copy(const struct part *p, const char *file,
                      bool (*f)(void *ctx, const json_t *copy), void *ctx)
{
    char tenant[FXS_TENANT_DIR];
    const json_t *files = p->done;
    fxs_tenant_of_dir(p->name, tenant, sizeof tenant);
    for (size_t i = p->b->before.n + 1; i-- > 0;) {
        for (size_t k = json_array_size(files); k-- > 0;) {
            const json_t *copy = json_array_get(files, k);
            if (strcmp(fxa_str(copy, "file"), file) == 0 && f(ctx, copy))
                return;
        }
        if (i)
            files =
                json_object_get(fxa_manifest_tenant(&p->b->before.list[i - 1], tenant), "files");
    }
}

struct copy {
    const json_t *json;
    uint64_t bytes;
    const char *target, *hash; /* of snapshots */
};

/* A snapshot does not change.  The manifest alone would let a file that was lost or cut be missing
 * in all later backups, too.  Its content is left to verify: a backup of little that is new must
 * not read all that the target has. */
static bool take_snapshot(void *ctx, const json_t *copy)
{
    struct copy *c = ctx;
    struct stat st;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", c->target, fxa_str(copy, "from"));
    if (fxa_uint(copy, "bytes") == c->bytes && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
        (uint64_t)st.st_size == c->bytes)
        c->json = copy;
    return c->json != NULL;
}

static bool take_same(void *ctx, const json_t *copy)
{
    struct copy *c = ctx;
    if (fxa_uint(copy, "bytes") == c->bytes && strcmp(fxa_str(copy, "xxh3"), c->hash) == 0)
        c->json = copy;
    return c->json != NULL;
}

/* A segment's copy is continued: what any backup needs of it stays. */
static bool take_segment(void *ctx, const json_t *copy)
{
    struct copy *c = ctx;
    if (!c->json)
        c->json = copy;
    if (strcmp(fxa_str(copy, "from"), fxa_str(c->json, "from")) == 0 &&
        fxa_uint(copy, "bytes") > c->bytes)
        c->bytes = fxa_uint(copy, "bytes");
    return false;
}

static const json_t *have(const struct part *p, const struct fxs_needed *n)
{
    struct copy c = {.bytes = n->bytes, .target = p->b->target};
    each_copy(p, n->file, take_snapshot, &c);
    return c.json;
}

static int want(void *ctx, const struct fxs_needed *n)
{
    struct part *p = ctx;
    if (p->n == p->cap) {
        size_t cap = p->cap * 2 + 16;
        void *more = realloc(p->list, cap * sizeof *p->list);
        if (!more) {
            p->memory = true;
            return 1;
        }
        p->list = more;
        p->cap = cap;
    }
    struct want *w = &p->list[p->n++];
    *w = (struct want){.n = *n, .fd = -1, .names = json_array()};
    for (uint32_t i = 0; i < n->entry.nnames; i++)
        if (fxa_is_name(n->entry.names[i]))
            json_array_append_new(w->names, json_string(n->entry.names[i]));
    if (n->entry.nnames && !json_array_size(w->names))
        json_array_append_new(w->names, json_string(FXA_UNNAMED));
    return 0;
}

static void forget(struct part *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->list[i].fd >= 0)
            close(p->list[i].fd);
        json_decref(p->list[i].names);
    }
    p->n = 0;
}

static void add_file(struct part *p, const struct want *w, const char *from, uint64_t bytes,
                     const char *hash)
{
    json_t *f = json_pack("{s:s, s:s, s:I, s:s}", "file", w->n.file, "from", from, "bytes",
                          (json_int_t)bytes, "xxh3", hash);
    json_object_set(f, "indexes", w->names);
    json_array_append_new(json_object_get(p->json, "files"), f);
}

/* --- copying --- */

/* A name in the target that no file has yet. */
static void new_name(const struct part *p, const char *file, char *from)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = (uint32_t)fxa_now();
    snprintf(from, PATH_MAX, "files/%s/%s-%08x", p->name, file, random);
}

/* FXS_STORE_NONE: it vanished, begin again. */
static enum fxs_store_rc open_snapshots(struct part *p, uint64_t *bytes, char *why)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < p->n; i++) {
        struct want *w = &p->list[i];
        if (w->n.segment) {
            *bytes += w->n.need;
            continue;
        }
        if (have(p, &w->n))
            continue;
        *bytes += 2 * w->n.bytes;
        snprintf(path, sizeof path, "%s/%s", p->dir, w->n.file);
        w->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (w->fd < 0 && errno == ENOENT) {
            fxs_why(FXS_STORE_FAILED, why, "%s is missing", path);
            return FXS_STORE_NONE;
        }
        /* With EMFILE it is opened when its turn comes. */
        if (w->fd < 0 && errno != EMFILE) {
            fxs_why(FXS_STORE_FAILED, why, "cannot open %s: %s", path, strerror(errno));
            return FXS_STORE_FAILED;
        }
    }
    return FXS_STORE_OK;
}

static enum fxs_store_rc copy_snapshot(struct part *p, struct want *w, char *why)
{
    char to[2 * PATH_MAX], path[PATH_MAX], from[PATH_MAX], hex[20];
    struct fxs_snapshot_info info;
    uint64_t size, hash;
    const json_t *old = have(p, &w->n);
    if (old) {
        add_file(p, w, fxa_str(old, "from"), w->n.bytes, fxa_str(old, "xxh3"));
        p->b->shared += w->n.bytes;
        return FXS_STORE_OK;
    }
    snprintf(path, sizeof path, "%s/%s", p->dir, w->n.file);
    if (w->fd < 0)
        w->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (w->fd < 0) {
        fxs_why(FXS_STORE_FAILED, why, "%s is missing", path);
        return FXS_STORE_NONE;
    }
    snprintf(from, sizeof from, "files/%s/%s", p->name, w->n.file);
    snprintf(to, sizeof to, "%s/%s", p->b->target, from);
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    int fd = open(to, flags, 0600);
    if (fd < 0 && errno == EEXIST) { /* it is damaged, or another one */
        new_name(p, w->n.file, from);
        snprintf(to, sizeof to, "%s/%s", p->b->target, from);
        fd = open(to, flags, 0600);
    }
    if (fd < 0) {
        fxs_why(FXS_STORE_FAILED, why, "cannot create %s: %s", to, strerror(errno));
        return FXS_STORE_FAILED;
    }
    enum fxs_store_rc rc = fxs_copy_file(w->fd, path, fd, to, UINT64_MAX, &size, &hash, why);
    if (rc == FXS_STORE_OK)
        rc = fxs_snapshot_examine(p->dir, fd, w->n.file, &info, why);
    if (rc == FXS_STORE_OK && (size != w->n.bytes || info.entry != w->n.entry.id)) {
        fxs_why(FXS_STORE_FAILED, why, "%s is another file than the database says", path);
        rc = FXS_STORE_DAMAGED;
    }
    close(fd);
    close(w->fd);
    w->fd = -1;
    if (rc != FXS_STORE_OK) {
        unlink(to);
        return rc;
    }
    snprintf(hex, sizeof hex, "%016" PRIx64, hash);
    struct copy lost = {.bytes = size, .hash = hex};
    each_copy(p, w->n.file, take_same, &lost);
    if (lost.json) { /* earlier backups have it again, too */
        snprintf(path, sizeof path, "%s/%s", p->b->target, fxa_str(lost.json, "from"));
        if (rename(to, path) == 0)
            snprintf(from, sizeof from, "%s", fxa_str(lost.json, "from"));
    }
    add_file(p, w, from, size, hex);
    p->b->copied += size;
    return FXS_STORE_OK;
}

/* Continues the copy that an earlier backup has; or makes a new one, if that has something else in
 * its place (a segment's number is used again after an older backup was restored), or if a manifest
 * is damaged, whose backup may have more of the copy than the others say. */
static enum fxs_store_rc copy_segment(struct part *p, struct want *w, char *why)
{
    char to[2 * PATH_MAX], from[PATH_MAX], hex[20];
    struct copy old = {0};
    uint64_t copied = 0, size, hash;
    each_copy(p, w->n.file, take_segment, &old);
    uint64_t had = old.bytes;
    snprintf(from, sizeof from, "%s",
             old.json && !p->b->before.damaged ? fxa_str(old.json, "from") : "");
    enum fxs_store_rc rc;
    for (;;) {
        if (!*from) {
            had = 0;
            new_name(p, w->n.file, from);
        }
        snprintf(to, sizeof to, "%s/%s", p->b->target, from);
        int fd = open(to, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || ftruncate(fd, (off_t)had) != 0) {
            fxs_why(FXS_STORE_FAILED, why, "cannot create %s: %s", to, strerror(errno));
            if (fd >= 0)
                close(fd);
            return FXS_STORE_FAILED;
        }
        rc = fxs_copy_segment(p->database, p->dir, w->n.segment, fd, had, &copied, why);
        p->b->copied += copied;
        if (rc == FXS_STORE_NONE && had) { /* its own content is not what it should be */
            close(fd);
            *from = 0;
            continue;
        }
        if (rc == FXS_STORE_OK && fsync(fd) != 0) {
            fxs_why(FXS_STORE_FAILED, why, "cannot sync %s: %s", to, strerror(errno));
            rc = FXS_STORE_FAILED;
        }
        if (rc == FXS_STORE_OK)
            rc = fxs_copy_file(fd, to, -1, NULL, w->n.bytes, &size, &hash, why);
        close(fd);
        break;
    }
    if (rc != FXS_STORE_OK)
        return rc == FXS_STORE_DAMAGED ? FXS_STORE_NONE : rc; /* it may have been removed */
    p->b->shared += w->n.need > copied ? w->n.need - copied : 0;
    snprintf(hex, sizeof hex, "%016" PRIx64, hash);
    add_file(p, w, from, size, hex);
    return FXS_STORE_OK;
}

static enum fxs_store_rc describe_database(struct part *p, char *why)
{
    char hex[20], file[PATH_MAX];
    uint64_t size, hash;
    int fd = open(p->database, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fxs_why(FXS_STORE_FAILED, why, "cannot open %s: %s", p->database, strerror(errno));
        return FXS_STORE_FAILED;
    }
    enum fxs_store_rc rc = fxs_copy_file(fd, p->database, -1, NULL, UINT64_MAX, &size, &hash, why);
    close(fd);
    snprintf(hex, sizeof hex, "%016" PRIx64, hash);
    snprintf(file, sizeof file, "%s/%s.db", p->b->stamp, p->name);
    json_object_set_new(p->json, "database",
                        json_pack("{s:s, s:s, s:I, s:s}", "file", "store.db", "from", file, "bytes",
                                  (json_int_t)size, "xxh3", hex));
    p->b->copied += size;
    return rc;
}

static void describe_indexes(struct part *p)
{
    json_t *indexes = json_array();
    for (size_t i = 0; i < p->n; i++) {
        const struct fxs_entry *e = &p->list[i].n.entry;
        if (p->list[i].n.segment)
            continue;
        json_t *o = json_pack("{s:I, s:s, s:I, s:I}", "id", (json_int_t)e->id, "class", e->cls,
                              "snapshot_ms", (json_int_t)e->snapshot_ms, "log_bytes",
                              (json_int_t)e->log_bytes);
        json_object_set(o, "names", p->list[i].names);
        json_array_append_new(indexes, o);
    }
    json_object_set_new(p->json, "indexes", indexes);
}

/* One attempt.  FXS_STORE_NONE: something was removed meanwhile. */
static enum fxs_store_rc attempt(struct part *p, char *why)
{
    uint64_t bytes = 0;
    unlink(p->database);
    json_object_set_new(p->json, "files", json_array());
    enum fxs_store_rc rc = fxs_copy_database(p->dir, p->database, why);
    if (rc == FXS_STORE_OK)
        rc = fxs_copy_needs(p->database, want, p, why);
    if (rc == FXS_STORE_OK && p->memory) {
        fxs_why(FXS_STORE_FAILED, why, "out of memory");
        rc = FXS_STORE_MEMORY;
    }
    if (rc == FXS_STORE_OK)
        rc = open_snapshots(p, &bytes, why);
    fx_bar_begin("backing up", bytes);
    /* Segments first: their records are removed, while a snapshot that is open stays. */
    for (size_t i = 0; rc == FXS_STORE_OK && i < p->n; i++)
        if (p->list[i].n.segment)
            rc = copy_segment(p, &p->list[i], why);
    for (size_t i = 0; rc == FXS_STORE_OK && i < p->n; i++)
        if (!p->list[i].n.segment)
            rc = copy_snapshot(p, &p->list[i], why);
    if (rc == FXS_STORE_OK)
        rc = describe_database(p, why);
    if (rc == FXS_STORE_OK)
        describe_indexes(p);
    return rc;
}

static int backup_tenant(struct fxa *a, const char *tenant, const char *dir, void *ctx)
{
    struct part p = {.b = ctx, .dir = dir, .name = strrchr(dir, '/') + 1};
    char why[FXS_STORE_WHY] = "";
    enum fxs_store_rc rc;
    if (fxa_is_unused(dir))
        return FXA_OK;
    snprintf(p.database, sizeof p.database, "%s/%s/%s.db", p.b->target, p.b->stamp, p.name);
    snprintf(p.files, sizeof p.files, "%s/files/%s", p.b->target, p.name);
    p.json = json_pack("{s:s}", "tenant", tenant);
    if (!p.json)
        return fxa_fail(a, "tenant %s: its name is not UTF-8, so no backup can have it", tenant);
    if (make_dir(a, p.files) != FXA_OK) {
        json_decref(p.json);
        return FXA_WRONG;
    }
    p.done = json_array();
    int tries = 0;
    do {
        rc = attempt(&p, why);
        /* What was copied need not be copied again. */
        json_array_extend(p.done, json_object_get(p.json, "files"));
        if (rc != FXS_STORE_OK)
            forget(&p);
    } while (rc == FXS_STORE_NONE && ++tries < TRIES);
    forget(&p);
    free(p.list);
    json_decref(p.done);
    int status = rc == FXS_STORE_OK ? fxa_sync_dir(a, p.files) : FXA_OK;
    if (rc == FXS_STORE_OK && json_array_append(p.b->tenants, p.json) != 0)
        rc = fxs_why(FXS_STORE_MEMORY, why, "out of memory");
    json_decref(p.json);
    if (rc != FXS_STORE_OK)
        return fxa_fail(a, "tenant %s: %s; 'faissx-server verify' says more", tenant, why);
    return status;
}

static void more_files(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

static int finish(struct backup *b, int64_t now)
{
    char path[PATH_MAX], copied[32], shared[32];
    unsigned removed = 0;
    snprintf(path, sizeof path, "%s/%s", b->target, b->stamp);
    int status = fxa_sync_dir(b->a, path);
    snprintf(path, sizeof path, "%s/files", b->target);
    if (status != FXA_OK || fxa_sync_dir(b->a, path) != FXA_OK ||
        fxa_sync_dir(b->a, b->target) != FXA_OK)
        return FXA_WRONG;
    json_t *m = json_pack("{s:i, s:I, s:s, s:s}", "format", 1, "time_ms", (json_int_t)now, "time",
                          b->stamp, "program", "faissx-server " FAISSX_VERSION);
    json_object_set(m, "tenants", b->tenants);
    if (b->a->tenant) /* with it, not having a tenant does not mean that there was none */
        json_object_set_new(m, "only", json_string(b->a->tenant));
    status = fxa_manifest_write(b->a, b->target, b->stamp, m);
    json_decref(m);
    if (status == FXA_OK)
        status = fxa_prune(b->a, b->target, b->a->keep, &removed);
    if (status != FXA_OK)
        return status;
    fxa_say(b->a, "backup %s: tenants: %zu, %s copied, %s shared with earlier backups%s", b->stamp,
            json_array_size(b->tenants), fx_bar_size(b->copied, copied),
            fx_bar_size(b->shared, shared), removed ? "; old ones were removed" : "");
    if (b->a->out) {
        json_object_set_new(b->a->out, "time", json_string(b->stamp));
        json_object_set_new(b->a->out, "copied_bytes", json_integer((json_int_t)b->copied));
        json_object_set_new(b->a->out, "shared_bytes", json_integer((json_int_t)b->shared));
        json_object_set_new(b->a->out, "removed_backups", json_integer(removed));
    }
    return FXA_OK;
}

/* Is `target`, or the folder in which it will be made, `dir` or in it? */
static bool is_inside(const char *target, const char *dir)
{
    char *above = strdup(target), *d = realpath(dir, NULL), *t = realpath(target, NULL);
    if (!t && above)
        t = realpath(dirname(above), NULL);
    size_t n = d ? strlen(d) : 0;
    bool inside = d && t && strncmp(t, d, n) == 0 && (t[n] == '/' || t[n] == '\0');
    free(above);
    free(d);
    free(t);
    return inside;
}

static int run(struct fxa *a, char **operands)
{
    struct backup b = {.a = a, .target = operands[1]};
    char path[PATH_MAX];
    struct stat st;
    int64_t now = fxa_now();
    if (fxa_stat_tenants(a, operands[0], &st) != FXA_OK)
        return FXA_WRONG;
    if (is_inside(b.target, operands[0]))
        return fxa_fail(a, "%s is inside %s: a backup must be somewhere else", b.target,
                        operands[0]);
    more_files();
    int lock = fxa_target_lock(a, b.target, true);
    if (lock < 0)
        return FXA_WRONG;
    if (fxa_backups_read(a, b.target, &b.before) != 0) {
        close(lock);
        return FXA_WRONG;
    }
    /* What backups have left that were interrupted, perhaps for want of space, may take the space
     * that this one needs. */
    if (!b.before.damaged)
        fxa_clean(b.target, &b.before);
    /* Times order the backups, and name them. */
    if (b.before.n && now <= b.before.list[b.before.n - 1].ms)
        now = b.before.list[b.before.n - 1].ms + 1;
    fxa_time(now, b.stamp);
    b.tenants = json_array();
    snprintf(path, sizeof path, "%s/files", b.target);
    int status = make_dir(a, path);
    snprintf(path, sizeof path, "%s/%s", b.target, b.stamp);
    if (status == FXA_OK)
        status = make_dir(a, path);
    if (status == FXA_OK)
        status = fxa_each_tenant(a, operands[0], backup_tenant, &b);
    if (status == FXA_OK)
        status = finish(&b, now);
    json_decref(b.tenants);
    fxa_backups_free(&b.before);
    close(lock);
    return status;
}

const struct fxa_command fxa_backup = {
    "backup",
    "DIR TARGET",
    2,
    "tk",
    "copy a data directory, also while a server uses it",
    "Copies the data directory DIR of a server, which may be running, into the folder TARGET.\n"
    "Everything that was acknowledged before the backup began is in it.  TARGET can have many\n"
    "backups: files that one of them has already are not copied again.  A backup that is\n"
    "interrupted does not count; what it has copied is removed by the next one.\n\n"
    "  faissx-server backup --keep 30 /var/lib/faissx /backup/faissx\n",
    run};
