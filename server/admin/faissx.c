/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faissx-server import-faissx: the data directory of the FAISSx server in Python.
 *
 * It has two files for each index: NAME.faiss, which FAISS wrote, and NAME.json with its name
 * ("index_id") and dimension.  Nothing is read with FAISS here: a server reads an index when it is
 * first used.
 */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/bar.h"
#include "server/admin/admin.h"
#include "server/note.h"

struct import {
    struct fxa *a;
    const char *from;
    struct fxs_store *store; /* or NULL: there is none yet, and nothing is to be made */
    const char *name;        /* that is being looked for */
    bool taken;
    int imported, failed;
};

/* How FAISS's files of vectors of floats begin (write_index_header in impl/index_write.cpp). */
struct file_head {
    char type[4];
    uint32_t d;
    uint64_t ntotal, unused[2];
    uint8_t trained;
    uint32_t metric;
} __attribute__((packed));

static int wrong(struct import *im, const char *file, const char *why)
{
    im->failed++;
    return fxa_fail(im->a, "%s/%s: %s", im->from, file, why);
}

/* --- one index --- */

static int is_name(void *ctx, const struct fxs_entry *e)
{
    struct import *im = ctx;
    for (uint32_t i = 0; i < e->nnames; i++)
        im->taken |= strcmp(e->names[i], im->name) == 0;
    return im->taken;
}

/* Copies the file into the snapshot. */
static int copy(FILE *from, struct fxs_snapshot *w)
{
    static char chunk[1 << 18];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, from)) > 0) {
        if (fwrite(chunk, 1, n, w->file) != n)
            return -1;
        fx_bar_add(n);
    }
    return ferror(from) ? -1 : 0;
}

static int store(struct import *im, const char *name, FILE *from, const struct file_head *head,
                 char *why)
{
    struct fxs_note note = {.d = le32toh(head->d),
                            .metric = le32toh(head->metric),
                            .ntotal = (int64_t)le64toh(head->ntotal)};
    struct fxs_snapshot w;
    struct fxs_snapshot_sum sum;
    uint64_t entry;
    msgpack_sbuffer b;
    enum fxs_store_rc rc = fxs_snapshot_begin(im->store, &w, why);
    if (rc != FXS_STORE_OK)
        return -1;
    bool copied = copy(from, &w) == 0;
    if (!copied)
        snprintf(why, FXS_STORE_WHY, "cannot copy it: %s", strerror(errno));
    if (!copied || fxs_snapshot_end(&w, &sum, why) != FXS_STORE_OK) {
        fxs_snapshot_abandon(im->store, &w);
        return -1;
    }
    msgpack_sbuffer_init(&b);
    fxs_note_write(&note, &b);
    struct fxs_snapshot_commit c = {
        .cls = "Index", .name = name, .note = b.data, .note_size = b.size};
    rc = fxs_snapshot_commit(im->store, &w, &sum, &c, &entry, why);
    msgpack_sbuffer_destroy(&b);
    return rc == FXS_STORE_OK ? 0 : -1;
}

static int import_file(struct import *im, const char *file, const char *name, int64_t d, FILE *from)
{
    struct file_head head;
    char why[FXS_STORE_WHY];
    if (fread(&head, 1, sizeof head, from) != sizeof head || head.type[0] != 'I' ||
        head.trained > 1)
        return wrong(im, file, "not a file of an index that FAISS wrote");
    if (le32toh(head.d) != d) {
        snprintf(why, sizeof why, "it has %" PRIu32 " dimensions, but its .json says %" PRId64,
                 le32toh(head.d), d);
        return wrong(im, file, why);
    }
    im->name = name;
    im->taken = false;
    if (im->store && fxs_store_entries(im->store, is_name, im, why) != FXS_STORE_OK)
        return wrong(im, file, why);
    if (im->taken) {
        snprintf(why, sizeof why, "there is an index '%.200s' already; it was left as it is", name);
        return wrong(im, file, why);
    }
    rewind(from);
    if (!im->a->dry_run && store(im, name, from, &head, why) != 0)
        return wrong(im, file, why);
    im->imported++;
    fxa_say(im->a, "%s: %" PRIu64 " vectors of %" PRIu32 " dimensions", name, le64toh(head.ntotal),
            le32toh(head.d));
    return FXA_OK;
}

/* `file` is the name of a .json file. */
static int import_one(struct import *im, const char *file)
{
    char path[PATH_MAX], index[NAME_MAX + 8];
    json_error_t e;
    snprintf(path, sizeof path, "%s/%s", im->from, file);
    json_t *json = json_load_file(path, 0, &e);
    const char *name = json_string_value(json_object_get(json, "index_id"));
    const json_t *d = json_object_get(json, "dimension");
    int status;
    if (!json)
        return wrong(im, file, e.text);
    snprintf(index, sizeof index, "%.*s.faiss", (int)strlen(file) - 5, file);
    snprintf(path, sizeof path, "%s/%s", im->from, index);
    FILE *from = fopen(path, "re");
    if (!name || !*name || !json_is_integer(d))
        status = wrong(im, file, "it has no \"index_id\" and \"dimension\"");
    else if (strlen(name) > FXS_NAME_MAX || !fxa_is_name(name))
        status = wrong(im, file, "\"index_id\" cannot be a name here: it must have 1 to 200 bytes");
    else if (!from)
        status = wrong(im, index, strerror(errno));
    else
        status = import_file(im, index, name, json_integer_value(d), from);
    if (from)
        fclose(from);
    json_decref(json);
    return status;
}

/* --- all of them --- */

static int is_json(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 5 && strcmp(e->d_name + n - 5, ".json") == 0;
}

static int import_all(struct import *im)
{
    struct dirent **files;
    uint64_t bytes = fxa_dir_bytes(im->from);
    int n = scandir(im->from, &files, is_json, alphasort);
    if (n < 0)
        return fxa_fail(im->a, "cannot read %s: %s", im->from, strerror(errno));
    fx_bar_begin("importing", bytes);
    for (int i = 0; i < n; i++) {
        import_one(im, files[i]->d_name);
        free(files[i]);
    }
    fx_bar_end();
    free(files);
    if (n == 0)
        return fxa_fail(im->a, "%s is not a data directory of the FAISSx server: it has no .json",
                        im->from);
    fxa_say(im->a, "%s %d of %d indexes", im->a->dry_run ? "can import" : "imported", im->imported,
            n);
    if (im->a->out) {
        json_object_set_new(im->a->out, "imported", json_integer(im->imported));
        json_object_set_new(im->a->out, "failed", json_integer(im->failed));
    }
    return im->failed ? FXA_WRONG : FXA_OK;
}

/* Makes what is missing of PATH, whose parent exists. */
static int make(struct fxa *a, const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    fxa_fail(a, "cannot create %s: %s", path, strerror(errno));
    return -1;
}

/* What an import would do.  `path` is the tenant's store. */
static int rehearse(struct import *im, const char *target, const char *path)
{
    char who[FXS_WHO], why[FXS_STORE_WHY];
    if (fxs_store_in_use(target, who))
        return fxa_fail(im->a, "%s is in use by %s: stop it first", target, who);
    enum fxs_store_rc rc = fxs_store_look(&im->store, path, why);
    if (rc != FXS_STORE_OK && rc != FXS_STORE_NONE)
        return fxa_fail(im->a, "%s", why);
    int status = import_all(im);
    fxs_store_close(im->store);
    return status;
}

static int run(struct fxa *a, char **operands)
{
    const struct fxs_store_options o = {.durability = FXS_DURABLE_ALWAYS};
    const char *target = operands[1], *tenant = a->tenant ? a->tenant : "default";
    struct import im = {.a = a, .from = operands[0]};
    char path[PATH_MAX], name[FXS_TENANT_DIR], why[FXS_STORE_WHY];
    struct stat st;
    if (fxs_tenant_dir(tenant, name) != 0)
        return fxa_fail(a, "'%s' cannot be the name of a tenant", tenant);
    if (stat(im.from, &st) != 0 || !S_ISDIR(st.st_mode))
        return fxa_fail(a, "%s is not a directory", im.from);
    if (snprintf(path, sizeof path, "%s/tenants/%s", target, name) >= (int)sizeof path)
        return fxa_fail(a, "%s: %s", target, strerror(ENAMETOOLONG));
    path[strlen(target) + strlen("/tenants")] = '\0';
    if (a->dry_run) {
        path[strlen(path)] = '/';
        return rehearse(&im, target, path);
    }
    if (make(a, target) != 0 || stat(target, &st) != 0 || make(a, path) != 0 ||
        fxa_give(a, path, &st) != FXA_OK)
        return FXA_WRONG;
    path[strlen(path)] = '/';
    int lock = fxa_lock(a, target);
    if (lock < 0)
        return FXA_WRONG;
    int status = FXA_WRONG;
    if (fxs_store_open(&im.store, path, &o, why) != FXS_STORE_OK)
        fxa_fail(a, "%s", why);
    else
        status = import_all(&im);
    if (im.store)
        fxs_store_close(im.store);
    if (fxa_give(a, path, &st) != FXA_OK)
        status = FXA_WRONG;
    close(lock);
    return status;
}

const struct fxa_command fxa_import_faissx = {
    "import-faissx",
    "DIR TARGET",
    2,
    "td",
    "take over the data directory of a FAISSx server in Python",
    "Copies the indexes of DIR, where the FAISSx server in Python keeps its data (NAME.faiss and\n"
    "NAME.json), into the data directory TARGET, which no server may be using.  Names stay as "
    "they\n"
    "are; an index that TARGET has already stays as it is.  The tenant is \"default\", which a\n"
    "server without keys has, unless --tenant is given.  DIR is not changed.\n\n"
    "  faissx-server import-faissx ./faissx-data /var/lib/faissx\n",
    run};
