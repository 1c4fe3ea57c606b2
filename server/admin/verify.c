/* SPDX-License-Identifier: Apache-2.0 */
/* faissx-server verify: of a data directory, or of a target of backups. */
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

/* --- a data directory --- */

static int verify_tenant(struct fxa *a, const char *tenant, const char *dir, void *ctx)
{
    struct fxa_faults found = {0};
    struct fxs_totals totals;
    char why[FXS_STORE_WHY], size[32];
    fx_bar_begin("verifying", fxa_dir_bytes(dir));
    bool fresh = fxa_is_unused(dir);
    enum fxs_store_rc rc =
        fresh ? FXS_STORE_OK : fxs_store_check(dir, fxa_fault, &found, &totals, why);
    if (fresh)
        memset(&totals, 0, sizeof totals);
    fx_bar_end();
    if (rc != FXS_STORE_OK) {
        fxa_faults_free(&found);
        return fxa_fail(a, "tenant %s: %s", tenant, why);
    }
    fxa_faults_name(&found, dir);
    fxa_say(a,
            "tenant %s: %" PRIu64 " indexes, %" PRIu64 " changes since their snapshots, %" PRIu64
            " answers, %s: %s",
            tenant, totals.entries, totals.records, totals.answers, fx_bar_size(totals.bytes, size),
            found.wrong ? "DAMAGED" : "good");
    json_t *out = json_object();
    json_object_set_new(out, "tenant", json_string(tenant));
    json_object_set_new(out, "indexes", json_integer((json_int_t)totals.entries));
    json_object_set_new(out, "changes", json_integer((json_int_t)totals.records));
    json_object_set_new(out, "answers", json_integer((json_int_t)totals.answers));
    json_object_set_new(out, "bytes", json_integer((json_int_t)totals.bytes));
    fxa_faults_print(a, &found, out);
    json_array_append_new(ctx, out);
    int status = found.wrong ? FXA_WRONG : FXA_OK;
    fxa_faults_free(&found);
    return status;
}

/* --- backups --- */

struct verified {
    const char *target;
    json_t *seen; /* file: the text of what is wrong with it, or true */
    json_t *faults;
    unsigned wrong;
    bool tenant; /* the one that is to be verified was seen */
};

/* Returns what is wrong with the file, or NULL. */
static const char *check_file(struct verified *v, const json_t *f)
{
    char path[PATH_MAX], hex[20], why[FXS_STORE_WHY] = "", key[PATH_MAX];
    const char *from = fxa_str(f, "from");
    uint64_t size, hash;
    /* A segment grows: backups have different parts of it. */
    snprintf(key, sizeof key, "%s %" PRIu64, from, fxa_uint(f, "bytes"));
    json_t *seen = json_object_get(v->seen, key);
    if (seen)
        return json_string_value(seen);
    snprintf(path, sizeof path, "%s/%s", v->target, from);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        snprintf(why, sizeof why, "%s: %s", from, strerror(errno));
    } else if (fxs_copy_file(fd, from, -1, NULL, fxa_uint(f, "bytes"), &size, &hash, why) ==
               FXS_STORE_OK) {
        snprintf(hex, sizeof hex, "%016" PRIx64, hash);
        if (size != fxa_uint(f, "bytes"))
            snprintf(why, sizeof why, "%s has %" PRIu64 " bytes, but it should have %" PRIu64, from,
                     size, fxa_uint(f, "bytes"));
        else if (strcmp(hex, fxa_str(f, "xxh3")) != 0)
            snprintf(why, sizeof why, "%s has a wrong checksum", from);
    }
    if (fd >= 0)
        close(fd);
    seen = *why ? json_string(why) : json_true();
    json_object_set_new(v->seen, key, seen);
    return json_string_value(json_object_get(v->seen, key));
}

static void list_names(const json_t *f, char *text, size_t size)
{
    const json_t *names = json_object_get(f, "indexes");
    size_t n = 0;
    text[0] = 0;
    for (size_t i = 0; i < json_array_size(names) && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s'%s'", i ? ", " : "",
                              json_string_value(json_array_get(names, i)));
}

static void wrong(const struct fxa *a, struct verified *v, const struct fxa_manifest *m,
                  const json_t *t, const json_t *f, const char *what)
{
    char names[2048], text[8192];
    list_names(f, names, sizeof names);
    if (*names)
        snprintf(text, sizeof text, "damaged: %s; this affects all of index %s", what, names);
    else
        snprintf(text, sizeof text, "damaged: %s; this affects %s", what,
                 strcmp(fxa_str(f, "file"), "store.db") == 0 ? "the whole tenant"
                                                             : "indexes with large changes");
    fxa_say(a, "  tenant %s: %s", fxa_str(t, "tenant"), text);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "backup", m->stamp, "tenant",
                          fxa_str(t, "tenant"), "file", fxa_str(f, "from"), "what", text);
    json_t *list = json_object_get(f, "indexes");
    json_object_set_new(o, "indexes", list ? json_incref(list) : json_array());
    json_array_append_new(v->faults, o);
    v->wrong++;
}

static void verify_backup(const struct fxa *a, struct verified *v, const struct fxa_manifest *m)
{
    const json_t *t, *f, *files;
    size_t i, k;
    unsigned before = v->wrong;
    fxa_say(a, "backup %s:", m->stamp);
    const json_t *tenants = json_object_get(m->json, "tenants");
    for (i = 0; i < json_array_size(tenants); i++) {
        t = json_array_get(tenants, i);
        if (a->tenant && strcmp(a->tenant, fxa_str(t, "tenant")) != 0)
            continue;
        v->tenant = true;
        f = json_object_get(t, "database");
        const char *what = check_file(v, f);
        if (what)
            wrong(a, v, m, t, f, what);
        files = json_object_get(t, "files");
        for (k = 0; k < json_array_size(files); k++) {
            f = json_array_get(files, k);
            if ((what = check_file(v, f)))
                wrong(a, v, m, t, f, what);
        }
    }
    if (v->wrong == before)
        fxa_say(a, "  good");
}

static uint64_t bytes_of(const struct fxa_backups *b)
{
    uint64_t bytes = 0;
    json_t *seen = json_object();
    for (size_t i = 0; i < b->n; i++) {
        const json_t *tenants = json_object_get(b->list[i].json, "tenants");
        for (size_t k = 0; k < json_array_size(tenants); k++) {
            const json_t *files = json_object_get(json_array_get(tenants, k), "files");
            for (size_t j = 0; j < json_array_size(files); j++) {
                const json_t *f = json_array_get(files, j);
                if (!json_object_get(seen, fxa_str(f, "from")))
                    bytes += fxa_uint(f, "bytes");
                json_object_set_new(seen, fxa_str(f, "from"), json_true());
            }
        }
    }
    json_decref(seen);
    return bytes;
}

static int verify_target(struct fxa *a, const char *target)
{
    struct fxa_backups b;
    struct verified v = {.target = target};
    int lock = fxa_target_lock(a, target, false);
    if (lock < 0)
        return FXA_WRONG;
    if (fxa_backups_read(a, target, &b) != 0) {
        close(lock);
        return FXA_WRONG;
    }
    v.seen = json_object();
    v.faults = json_array();
    v.wrong = (unsigned)b.damaged;
    fx_bar_begin("verifying", bytes_of(&b));
    for (size_t i = 0; i < b.n; i++)
        verify_backup(a, &v, &b.list[i]);
    fx_bar_end();
    if (!b.n)
        fxa_fail(a, "%s has no complete backup", target);
    else if (a->tenant && !v.tenant)
        v.wrong++, fxa_fail(a, "no backup has tenant '%s'", a->tenant);
    if (a->out) {
        json_object_set(a->out, "faults", v.faults);
        json_object_set_new(a->out, "backups", json_integer((json_int_t)b.n));
    }
    int status = v.wrong || !b.n ? FXA_WRONG : FXA_OK;
    json_decref(v.seen);
    json_decref(v.faults);
    fxa_backups_free(&b);
    close(lock);
    return status;
}

static int run(struct fxa *a, char **operands)
{
    char who[FXS_WHO], path[PATH_MAX];
    if (fxa_is_target(operands[0]))
        return verify_target(a, operands[0]);
    snprintf(path, sizeof path, "%s/lock", operands[0]);
    bool used = fxs_store_in_use(operands[0], who);
    if (used)
        fxa_say(a, "%s is in use by %s, which goes on", operands[0], who);
    if (a->out)
        json_object_set_new(a->out, "in_use_by", used ? json_string(who) : json_null());
    json_t *tenants = json_array();
    int status = fxa_each_tenant(a, operands[0], verify_tenant, tenants);
    if (a->out)
        json_object_set(a->out, "tenants", tenants);
    json_decref(tenants);
    return status;
}

const struct fxa_command fxa_verify = {
    "verify",
    "DIR",
    1,
    "t",
    "read all of a data directory or of backups, and say what is damaged",
    "Reads every page, snapshot, change and answer of a data directory, or every file of a folder\n"
    "with backups, compares their checksums, and says what is damaged and which indexes this\n"
    "affects.  Changes nothing.  A server may use DIR meanwhile and goes on as usual; then files\n"
    "that nothing needs any more are not looked for.  Exit status: 1 if something is damaged.\n\n"
    "  faissx-server verify /var/lib/faissx\n",
    run};
