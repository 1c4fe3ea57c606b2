/* SPDX-License-Identifier: Apache-2.0 */
/*
 * API keys, and whose they are.
 *
 * Without keys everybody is tenant "default".  With keys each request that has no
 * session must carry one, and its tenant is the key's.
 *
 * A table is filled at start and only read then: any thread may ask it.  It owns its
 * strings.  No function puts a key into a text.
 */
#ifndef FXS_AUTH_H
#define FXS_AUTH_H

#include <stddef.h>

#include "proto/limits.h"

enum { FXS_KEY_MAX = 256, FXS_TENANT_MAX = FX_TENANT_MAX };

#define FXS_TENANT_DEFAULT "default"

struct fxs_auth;

struct fxs_auth *fxs_auth_new(void);
void fxs_auth_free(struct fxs_auth *a);

/* Add one key.  Returns 0, or -1 and in `why` what is wrong with it. */
int fxs_auth_add(struct fxs_auth *a, const char *key, const char *tenant, char *why, size_t len);

/* "key1:tenant1,key2:tenant2": split at the first colon, blanks around are dropped. */
int fxs_auth_add_list(struct fxs_auth *a, const char *list, char *why, size_t len);

/* A JSON object of key: tenant. */
int fxs_auth_add_file(struct fxs_auth *a, const char *path, char *why, size_t len);

size_t fxs_auth_count(const struct fxs_auth *a);

/* The keys that --auth-file, --auth-keys and --enable-auth ask for: *a is NULL if they ask for
 * none. Returns 0, or -1 and in `why` what is wrong. */
struct fxs_options;
int fxs_auth_load(struct fxs_auth **a, const struct fxs_options *o, char *why, size_t len);

/* A string of a request, not NUL terminated; data is NULL when it is not there. */
struct fxs_text {
    const char *data;
    size_t size;
};

/* Who is it?  Returns NULL, the tenant and the key's number (from 1), or what to tell the
 * caller: "API key required", "Invalid API key", "API key does not belong to tenant".  `a` may
 * be NULL: no authentication, and the number is 0. */
const char *fxs_auth_check(const struct fxs_auth *a, struct fxs_text key, struct fxs_text tenant,
                           const char **whose, unsigned *number);

#endif
