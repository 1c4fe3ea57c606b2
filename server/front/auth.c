/* SPDX-License-Identifier: Apache-2.0 */
#include "server/front/auth.h"

#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/log.h"
#include "server/options.h"

struct key_entry {
    struct key_entry *next;
    uint8_t key[FXS_KEY_MAX]; /* zero-padded, so that every comparison takes the same time */
    size_t key_size;
    unsigned number;
    char tenant[FXS_TENANT_MAX + 1];
};

struct fxs_auth {
    struct key_entry *entries;
    size_t count;
};

struct fxs_auth *fxs_auth_new(void)
{
    return calloc(1, sizeof(struct fxs_auth));
}

void fxs_auth_free(struct fxs_auth *a)
{
    if (!a)
        return;
    while (a->entries) {
        struct key_entry *e = a->entries;
        a->entries = e->next;
        explicit_bzero(e, sizeof *e);
        free(e);
    }
    free(a);
}

size_t fxs_auth_count(const struct fxs_auth *a)
{
    return a ? a->count : 0;
}

/* Returns 1 if the keys are equal, else 0.  Runs in constant time: no branch and no loop length
 * depends on the keys. */
static unsigned equal(const uint8_t *a, const uint8_t *b, size_t a_size, size_t b_size)
{
    uint64_t differ = (uint64_t)(a_size ^ b_size);
    for (size_t i = 0; i < FXS_KEY_MAX; i++)
        differ |= (uint64_t)(a[i] ^ b[i]);
    return (unsigned)(((differ | (0 - differ)) >> 63) ^ 1);
}

/* Returns the entry of `key`, or NULL.  Looks at all entries, so that the time does not show which
 * one matches. */
static const struct key_entry *find_key(const struct fxs_auth *a, const char *key, size_t size)
{
    uint8_t padded[FXS_KEY_MAX] = {0};
    const struct key_entry *found = NULL;
    if (size == 0 || size > FXS_KEY_MAX)
        return NULL;
    memcpy(padded, key, size);
    for (const struct key_entry *e = a->entries; e; e = e->next) {
        uintptr_t mask = (uintptr_t)0 - equal(e->key, padded, e->key_size, size);
        found = (const struct key_entry *)(((uintptr_t)found & ~mask) | ((uintptr_t)e & mask));
    }
    explicit_bzero(padded, sizeof padded);
    return found;
}

/* The name is an argument of its engine and a folder in its store. */
const char *fxs_auth_bad_tenant(const char *tenant)
{
    size_t n = strlen(tenant);
    if (n == 0)
        return "the tenant is empty";
    if (n > FXS_TENANT_MAX)
        return "the tenant is longer than 128 characters";
    if (tenant[0] == '.' || tenant[0] == '-')
        return "the tenant begins with '.' or '-'";
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)tenant[i] < 0x20 || tenant[i] == 0x7f || tenant[i] == '/')
            return "the tenant has a '/' or a control character";
    return NULL;
}

int fxs_auth_add(struct fxs_auth *a, const char *key, const char *tenant, char *why, size_t len)
{
    size_t n = strlen(key);
    const char *wrong = n == 0                ? "the key is empty"
                        : n > FXS_KEY_MAX     ? "the key is longer than 256 characters"
                        : find_key(a, key, n) ? "the key is already defined"
                                              : fxs_auth_bad_tenant(tenant);
    if (wrong) {
        snprintf(why, len, "%s", wrong);
        return -1;
    }
    struct key_entry *e = calloc(1, sizeof *e);
    if (!e) {
        snprintf(why, len, "out of memory");
        return -1;
    }
    memcpy(e->key, key, n);
    e->key_size = n;
    strcpy(e->tenant, tenant);
    e->next = a->entries;
    a->entries = e;
    e->number = (unsigned)++a->count;
    return 0;
}

static char *trim(char *s)
{
    s += strspn(s, " \t\r\n");
    size_t n = strlen(s);
    while (n && strchr(" \t\r\n", s[n - 1]))
        s[--n] = 0;
    return s;
}

int fxs_auth_add_list(struct fxs_auth *a, const char *list, char *why, size_t len)
{
    char *copy = strdup(list), *rest = copy, *item, reason[128];
    int rc = 0;
    if (!copy) {
        snprintf(why, len, "out of memory");
        return -1;
    }
    for (int i = 1; rc == 0 && (item = strsep(&rest, ",")); i++) {
        item = trim(item);
        char *colon = strchr(item, ':');
        if (!colon) {
            snprintf(reason, sizeof reason, "expected key:tenant, found no ':'");
            rc = -1;
        } else {
            *colon = 0;
            rc = fxs_auth_add(a, trim(item), trim(colon + 1), reason, sizeof reason);
        }
        if (rc != 0)
            snprintf(why, len, "entry %d: %s", i, reason);
    }
    explicit_bzero(copy, strlen(list));
    free(copy);
    return rc;
}

int fxs_auth_add_file(struct fxs_auth *a, const char *path, char *why, size_t len)
{
    json_error_t error;
    const char *key;
    json_t *value;
    char reason[128];
    struct stat st;
    int rc = 0, i = 0;
    FILE *f = fopen(path, "re");
    if (!f || fstat(fileno(f), &st) != 0) {
        snprintf(why, len, "cannot open it: %s", strerror(errno));
        if (f)
            fclose(f);
        return -1;
    }
    if (S_ISDIR(st.st_mode)) {
        snprintf(why, len, "it is a directory; expected a JSON file");
        fclose(f);
        return -1;
    }
    if (fxs_auth_others_write(&st)) {
        snprintf(why, len, "other users may change it (mode %03o, owner %u)",
                 (unsigned)st.st_mode & 0777, (unsigned)st.st_uid);
        fclose(f);
        return -1;
    }
    json_t *root = json_loadf(f, JSON_REJECT_DUPLICATES, &error);
    fclose(f);
    if (!root) {
        /* Not jansson's own text: it may quote the file, and so a key. */
        snprintf(why, len, "not valid JSON near line %d, column %d", error.line, error.column);
        return -1;
    }
    if (!json_is_object(root)) {
        snprintf(why, len, "expected a JSON object of \"key\": \"tenant\"");
        rc = -1;
    }
    json_object_foreach(root, key, value)
    {
        i++;
        if (!json_is_string(value)) {
            snprintf(reason, sizeof reason, "the tenant is not a string");
            rc = -1;
        } else {
            rc = fxs_auth_add(a, key, json_string_value(value), reason, sizeof reason);
        }
        if (rc != 0) {
            snprintf(why, len, "entry %d: %s", i, reason);
            break;
        }
    }
    json_decref(root);
    return rc;
}

int fxs_auth_load(struct fxs_auth **a, const struct fxs_options *o, char *why, size_t len)
{
    char reason[400];
    struct stat st;
    *a = NULL;
    if (!o->enable_auth && !o->auth_keys && !o->auth_file && !o->curve_clients)
        return 0;
    if (!(*a = fxs_auth_new())) {
        snprintf(why, len, "out of memory");
        return -1;
    }
    if (o->auth_keys && fxs_auth_add_list(*a, o->auth_keys, reason, sizeof reason) != 0)
        snprintf(why, len, "--auth-keys: %s", reason);
    else if (o->auth_file && fxs_auth_add_file(*a, o->auth_file, reason, sizeof reason) != 0)
        snprintf(why, len, "--auth-file: '%s': %s", o->auth_file, reason);
    else if (fxs_auth_count(*a) == 0 && !o->curve_clients)
        snprintf(why, len, "%s: there is no API key%s; give some with --auth-file or --auth-keys",
                 o->auth_file   ? "--auth-file"
                 : o->auth_keys ? "--auth-keys"
                                : "--enable-auth",
                 o->auth_file || o->auth_keys ? " in it" : "");
    else {
        if (o->auth_file && stat(o->auth_file, &st) == 0 && (st.st_mode & S_IROTH))
            fxs_log(FXS_WARN, "front",
                    "event=keys-readable file=%s why=\"everyone on this machine can read it\"",
                    o->auth_file);
        return 0;
    }
    fxs_auth_free(*a);
    *a = NULL;
    return -1;
}

const char *fxs_auth_check(const struct fxs_auth *a, struct fxs_text key, struct fxs_text tenant,
                           const char **whose, unsigned *number)
{
    *whose = FXS_TENANT_DEFAULT;
    *number = 0;
    if (!a)
        return NULL;
    if (!key.data || key.size == 0)
        return "API key required";
    const struct key_entry *e = find_key(a, key.data, key.size);
    if (!e)
        return "Invalid API key";
    if (tenant.data &&
        (tenant.size != strlen(e->tenant) || memcmp(tenant.data, e->tenant, tenant.size) != 0))
        return "API key does not belong to tenant";
    *whose = e->tenant;
    *number = e->number;
    return NULL;
}
