/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target of backups:
 *
 *     faissx-backups       says that it is one; locked while a command changes it
 *     TIME.json            the manifest of a backup: which files it has, and their checksums.  It
 *                          is written last: a backup without one was interrupted
 *     TIME/TENANT.db       copies of the databases, for each backup
 *     files/TENANT/...     snapshots, and segments of large changes, which backups share
 *
 * A manifest is a line of JSON, and a line with its checksum.
 */
#ifndef FXA_MANIFEST_H
#define FXA_MANIFEST_H

#include "server/admin/admin.h"

struct fxa_backups {
    struct fxa_manifest {
        char stamp[FXA_TIME];
        int64_t ms;
        json_t *json;
    } * list; /* oldest first */
    size_t n;
    struct fxa_damaged { /* a manifest that cannot be used */
        char stamp[FXA_TIME];
        int64_t ms;
    } * bad;
    size_t damaged;
};

bool fxa_is_target(const char *target);
/* Opens the marker of the target and locks it; with `make`, makes it first.  Returns the descriptor
 * to close, or -1 after a message. */
int fxa_target_lock(struct fxa *a, const char *target, bool make);

/* Reads all manifests; says which are damaged.  Returns 0, or -1 after a message. */
int fxa_backups_read(struct fxa *a, const char *target, struct fxa_backups *b);
void fxa_backups_free(struct fxa_backups *b);
/* Writes a manifest, durably. */
int fxa_manifest_write(struct fxa *a, const char *target, const char *stamp, const json_t *json);
/* Makes durable which files a folder has.  Returns FXA_OK, or fails. */
int fxa_sync_dir(struct fxa *a, const char *path);

/* The tenant's part of a manifest, or NULL. */
const json_t *fxa_manifest_tenant(const struct fxa_manifest *m, const char *tenant);

/* Would the backup have the tenant, if there was one?  Not if it is of another tenant only. */
bool fxa_manifest_covers(const struct fxa_manifest *m, const char *tenant);

/* prune.c: removes the files that none of the backups has, which are all that the target has: none
 * of its manifests is damaged, and its lock is held. */
void fxa_clean(const char *target, const struct fxa_backups *b);

/* prune.c: removes all but the newest `keep` backups of each tenant (0: none), and what is left of
 * others that were interrupted.  *n: how many backups. */
int fxa_prune(struct fxa *a, const char *target, int keep, unsigned *n);

static inline const char *fxa_str(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static inline uint64_t fxa_uint(const json_t *o, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(o, key));
}

#endif
