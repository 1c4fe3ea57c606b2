/* SPDX-License-Identifier: Apache-2.0 */
/*
 * API keys and their tenants.
 *
 * Without keys every client is tenant "default".  With keys, each request without a session must
 * carry a key, and runs for the key's tenant.
 *
 * A table is filled at start and is read-only afterwards, so any thread may use it.  It copies its
 * strings.  No function writes a key into an error text.
 */
#ifndef FXS_AUTH_H
#define FXS_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/limits.h"

enum { FXS_KEY_MAX = 256, FXS_TENANT_MAX = FX_TENANT_MAX };

#define FXS_TENANT_DEFAULT "default"

struct fxs_auth;

struct fxs_auth *fxs_auth_new(void);
void fxs_auth_free(struct fxs_auth *a);

/* Adds one key.  Returns 0, or -1 and the reason in `why`. */
int fxs_auth_add(struct fxs_auth *a, const char *key, const char *tenant, char *why, size_t len);

/* Adds the keys of "key1:tenant1,key2:tenant2".  Each entry is split at its first colon; white
 * space around keys and tenants is dropped.  Returns the same. */
int fxs_auth_add_list(struct fxs_auth *a, const char *list, char *why, size_t len);

/* Adds the keys of a file with a JSON object of "key": "tenant".  Returns the same. */
int fxs_auth_add_file(struct fxs_auth *a, const char *path, char *why, size_t len);

/* Who may change a file of keys chooses who is let in.  Root may change every file. */
static inline bool fxs_auth_others_write(const struct stat *st)
{
    return st->st_mode & (S_IWGRP | S_IWOTH) || (st->st_uid != 0 && st->st_uid != geteuid());
}

/* Returns what is wrong with a tenant's name, or NULL. */
const char *fxs_auth_bad_tenant(const char *tenant);

size_t fxs_auth_count(const struct fxs_auth *a);

/* Loads the keys of --auth-file or --auth-keys.  *a is NULL if neither these nor --enable-auth nor
 * --curve-clients are given; otherwise the caller frees it.  Returns 0, or -1 and the reason in
 * `why`. */
struct fxs_options;
int fxs_auth_load(struct fxs_auth **a, const struct fxs_options *o, char *why, size_t len);

/* A string of a request, not NUL-terminated; data is NULL if the request does not have it. */
struct fxs_text {
    const char *data;
    size_t size;
};

/* Checks the key of a request.  `tenant`: the tenant that the request names, if it does.  Returns
 * NULL if the request is allowed, and then its tenant in *whose and the key's number (from 1) in
 * *number; otherwise the error for the client: "API key required", "Invalid API key" or "API key
 * does not belong to tenant".  `a` is NULL without authentication: the number is 0. */
const char *fxs_auth_check(const struct fxs_auth *a, struct fxs_text key, struct fxs_text tenant,
                           const char **whose, unsigned *number);

#endif
