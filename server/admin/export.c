/* SPDX-License-Identifier: Apache-2.0 */
/* faissx-server export: an index of a directory that no server uses, as a plain FAISS file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/bar.h"
#include "proto/target.h"
#include "server/admin/admin.h"

struct wanted {
    const char *name, *file;
    uint64_t entry, position, changes;
};

static int find(void *ctx, const struct fxs_entry *e)
{
    struct wanted *w = ctx;
    for (uint32_t i = 0; i < e->nnames; i++)
        if (strcmp(e->names[i], w->name) == 0) {
            w->entry = e->id;
            w->position = e->position;
            return 1;
        }
    return 0;
}

static int count(void *ctx, const struct fxs_record *r)
{
    (void)r;
    ((struct wanted *)ctx)->changes++;
    return 0;
}

/* Writes the file under a temporary name, and renames it when it is durable. */
static int put(struct fxa *a, const struct wanted *w, const void *data, size_t size)
{
    char tmp[PATH_MAX];
    if (snprintf(tmp, sizeof tmp, "%s.tmp-%ld", w->file, (long)getpid()) >= (int)sizeof tmp)
        return fxa_fail(a, "%s: %s", w->file, strerror(ENAMETOOLONG));
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return fxa_fail(a, "cannot create %s: %s", tmp, strerror(errno));
    size_t at = 0;
    while (at < size) {
        size_t n = size - at < 1 << 20 ? size - at : 1 << 20;
        ssize_t put = write(fd, (const char *)data + at, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            break;
        at += (size_t)put;
        fx_bar_add((uint64_t)put);
    }
    if (at < size || fsync(fd) != 0 || rename(tmp, w->file) != 0) {
        int e = errno;
        close(fd);
        unlink(tmp);
        return fxa_fail(a, "cannot write %s: %s", w->file, strerror(e));
    }
    close(fd);
    fx_bar_end();
    fxa_say(a, "%s: %zu bytes", w->file, size);
    if (a->out)
        json_object_set_new(a->out, "bytes", json_integer((json_int_t)size));
    return FXA_OK;
}

static int export_from(struct fxa *a, const char *tenant, const char *dir, void *ctx)
{
    struct wanted *w = ctx;
    struct fxs_store *s;
    struct fxs_snapshot_bytes b;
    char why[FXS_STORE_WHY];
    int status;
    if (fxs_store_view(&s, dir, why) != FXS_STORE_OK)
        return fxa_fail(a, "tenant %s: %s", tenant, why);
    enum fxs_store_rc rc = fxs_store_entries(s, find, w, why);
    if (rc == FXS_STORE_OK && w->entry)
        rc = fxs_store_replay(s, w->entry, w->position, count, w, why);
    if (rc != FXS_STORE_OK) {
        status = fxa_fail(a, "tenant %s: %s", tenant, why);
    } else if (!w->entry) {
        status = fxa_fail(a, "tenant %s has no index '%s'", tenant, w->name);
    } else if (w->changes) {
        status = fxa_fail(a,
                          "the last %" PRIu64 " changes of '%s' are not in its snapshot yet: start "
                          "a server on this directory, and use 'faissx export %s %s'",
                          w->changes, w->name, w->name, w->file);
    } else if (fxs_snapshot_read(s, w->entry, &b, why) != FXS_STORE_OK) {
        status = fxa_fail(a, "%s", why);
    } else {
        fx_bar_begin("exporting", b.size);
        status = put(a, w, b.data, b.size);
        fxs_snapshot_unmap(&b);
    }
    fxs_store_close(s);
    return status;
}

static int run(struct fxa *a, char **operands)
{
    char who[FXS_WHO], why[PATH_MAX + 100];
    struct wanted w = {.name = operands[1], .file = operands[2]};
    if (fxs_store_in_use(operands[0], who))
        return fxa_fail(a, "%s is in use by %s: use 'faissx export %s %s'", operands[0], who,
                        w.name, w.file);
    if (!a->tenant)
        a->tenant = "default";
    char *file = fx_target(operands[2], why, sizeof why);
    if (!file)
        return fxa_fail(a, "%s", why);
    w.file = file;
    int status = fxa_each_tenant(a, operands[0], export_from, &w);
    free(file);
    return status;
}

const struct fxa_command fxa_export = {
    "export",
    "DIR NAME FILE",
    3,
    "t",
    "write an index of a stopped server to a FAISS file",
    "Writes index NAME of a data directory that no server uses to FILE, which FAISS can read.\n"
    "The tenant is \"default\", which a server without keys has, unless --tenant is given.  If\n"
    "changes are not in a snapshot yet, only a server can make them: the command says so and\n"
    "writes nothing.  If FILE exists, it must be a regular file.  While a server runs, use\n"
    "`faissx export`.\n\n"
    "  faissx-server export /var/lib/faissx pictures pictures.faiss\n",
    run};
