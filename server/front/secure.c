/* SPDX-License-Identifier: Apache-2.0 */
#include "server/front/secure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "proto/curve_keys.h"
#include "proto/zmtp.h"
#include "server/log.h"

struct fxs_client {
    uint8_t key[FX_CURVE_KEY];
    char tenant[FXS_TENANT_MAX + 1];
    UT_hash_handle hh;
};

struct fxs_secure {
    struct fx_curve_keys keys;
    struct fxs_client *clients;
};

enum { CLIENT_LINE = 512 };

/* --- files --- */

/* Adds the client of a line "KEY TENANT".  Returns what is wrong, or NULL. */
static const char *add_client(struct fxs_secure *s, char *line)
{
    struct fxs_client *c, *old;
    size_t n = strcspn(line, " \t"), gap = strspn(line + n, " \t");
    const char *tenant = line + n + gap, *wrong = fxs_auth_bad_tenant(tenant);
    if (n != FX_CURVE_TEXT || gap == 0)
        return "expected a public key of 40 characters, a space and a tenant";
    if (wrong)
        return wrong;
    if (!(c = calloc(1, sizeof *c)))
        return "out of memory";
    strcpy(c->tenant, tenant);
    if (fx_curve_key_parse(line, n, c->key) != 0) {
        free(c);
        return "the key is not a CURVE key";
    }
    HASH_FIND(hh, s->clients, c->key, FX_CURVE_KEY, old);
    if (old) {
        free(c);
        return "the key is already defined";
    }
    HASH_ADD(hh, s->clients, key, FX_CURVE_KEY, c);
    return NULL;
}

/* Reads a line without its end.  Returns 1, 0 at the end of the file, -1 if it is too long. */
static int next_line(FILE *f, char line[CLIENT_LINE])
{
    if (!fgets(line, CLIENT_LINE, f))
        return 0;
    size_t n = strlen(line);
    if (n + 1 == CLIENT_LINE && line[n - 1] != '\n')
        return -1;
    while (n && strchr(" \t\r\n", line[n - 1]))
        line[--n] = '\0';
    return 1;
}

static int load_clients(struct fxs_secure *s, const char *path, char *why, size_t len)
{
    char line[CLIENT_LINE];
    const char *wrong = NULL;
    struct stat st;
    int rc = 0, number = 0;
    FILE *f = fopen(path, "re");
    if (!f || fstat(fileno(f), &st) != 0) {
        snprintf(why, len, "--curve-clients: '%s': cannot open it: %s", path, strerror(errno));
        if (f)
            fclose(f);
        return -1;
    }
    if (fxs_auth_others_write(&st)) {
        snprintf(why, len, "--curve-clients: '%s': other users may change it (mode %03o, owner %u)",
                 path, (unsigned)st.st_mode & 0777, (unsigned)st.st_uid);
        rc = -1;
    }
    while (rc == 0 && !wrong && (rc = next_line(f, line)) == 1) {
        number++;
        rc = 0;
        if (line[0] && !(line[0] == '#' && (line[1] == ' ' || !line[1])))
            wrong = add_client(s, line);
    }
    if (rc < 0 && number >= 0 && !why[0])
        wrong = "the line is too long", number++;
    if (!wrong && ferror(f))
        wrong = "cannot read it", number++; /* a directory, for example */
    if (wrong) {
        snprintf(why, len, "--curve-clients: '%s', line %d: %s", path, number, wrong);
        rc = -1;
    }
    fclose(f);
    return rc;
}

int fxs_secure_load(struct fxs_secure **s, const struct fxs_options *o, char *why, size_t len)
{
    char reason[300], text[FX_CURVE_TEXT + 1];
    *s = NULL;
    if (!o->curve_secret_file)
        return 0;
    why[0] = '\0';
    struct fxs_secure *new = calloc(1, sizeof *new);
    if (!new) {
        snprintf(why, len, "out of memory");
        return -1;
    }
    if (fx_curve_keys_load(&new->keys, o->curve_secret_file, reason, sizeof reason) != 0) {
        snprintf(why, len, "--curve-secret-file: '%s': %s", o->curve_secret_file, reason);
        fxs_secure_free(new);
        return -1;
    }
    if (o->curve_clients && load_clients(new, o->curve_clients, why, len) != 0) {
        fxs_secure_free(new);
        return -1;
    }
    fx_curve_key_text(new->keys.own_public, text);
    fxs_log(FXS_INFO, "front", "event=curve public-key=%s clients=%u required=%d", text,
            HASH_COUNT(new->clients), o->require_encryption);
    *s = new;
    return 0;
}

void fxs_secure_free(struct fxs_secure *s)
{
    struct fxs_client *c, *next;
    if (!s)
        return;
    HASH_ITER(hh, s->clients, c, next)
    {
        HASH_DEL(s->clients, c);
        free(c);
    }
    fx_curve_forget(s, sizeof *s);
    free(s);
}

/* --- the handshake --- */

/* Sends a command of the handshake; its body is at frame + 2. */
static int send_command(struct fxs_guest *g, uint8_t *frame, size_t n)
{
    fx_zmtp_put_head(frame, FX_ZMTP_COMMAND, n);
    return fxs_guest_send(g, frame, 2 + n);
}

int fxs_secure_hello(const struct fxs_secure *s, struct fxs_guest *g, const uint8_t *body, size_t n,
                     const char **why)
{
    uint8_t welcome[2 + FX_CURVE_WELCOME];
    if (fx_curve_take_hello(&g->shake, &s->keys, body, n, why) != 0)
        return -1;
    fx_curve_put_welcome(&g->shake, welcome + 2);
    return send_command(g, welcome, FX_CURVE_WELCOME);
}

const uint8_t *fxs_secure_initiate(const struct fxs_secure *s, struct fxs_guest *g, uint8_t *body,
                                   size_t *n, const char **why)
{
    uint8_t client[FX_CURVE_KEY];
    struct fxs_client *known;
    const uint8_t *metadata = fx_curve_take_initiate(&g->shake, &s->keys, body, n, client, why);
    if (metadata) {
        HASH_FIND(hh, s->clients, client, FX_CURVE_KEY, known);
        g->client = known;
    }
    return metadata;
}

int fxs_secure_ready(struct fxs_guest *g)
{
    uint8_t ready[2 + FX_CURVE_READY + FX_ZMTP_READY_MAX], metadata[FX_ZMTP_READY_MAX];
    size_t n = fx_zmtp_metadata(metadata, "ROUTER", 0);
    fx_curve_put_ready(&g->shake, ready + 2, metadata, n, &g->record.keys);
    g->record.curve = 1;
    g->record.clear = 0;
    fx_curve_forget(&g->shake, sizeof g->shake);
    return send_command(g, ready, FX_CURVE_READY + n);
}

/* --- messages --- */

enum fxs_opened fxs_secure_open(struct fxs_guest *g, const char **why)
{
    struct fxs_handover *r = &g->record;
    struct fx_curve_frame frame;
    struct fx_zmtp_head h;
    uint8_t *p = r->bytes + r->clear, *data;
    size_t have = r->size - r->clear;
    int flags, rc = fx_zmtp_head(p, have, &h);
    *why = "a frame without CURVE's MESSAGE";
    if (rc < 0 || (rc == 1 && (h.size < FX_CURVE_BEGIN || h.flags & FX_ZMTP_MORE)))
        return FXS_WRONG;
    if (rc == 0)
        return r->size == FXS_HANDOVER_BYTES ? FXS_TOO_LARGE : FXS_NOTHING;
    if (h.size > FXS_HANDOVER_BYTES - r->clear - h.len)
        return FXS_TOO_LARGE;
    if (have < h.len + h.size)
        return FXS_NOTHING;
    data = p + h.len + FX_CURVE_BEGIN;
    size_t n = h.size - FX_CURVE_BEGIN;
    if (fx_curve_open(&r->keys, &frame, p + h.len, &flags, why) != 0)
        return FXS_WRONG;
    fx_curve_open_more(&frame, data, n);
    if (fx_curve_opened(&frame, why) != 0)
        return FXS_WRONG;
    int as_null = (flags & FX_CURVE_MORE ? FX_ZMTP_MORE : 0) |
                  (flags & FX_CURVE_COMMAND ? FX_ZMTP_COMMAND : 0);
    size_t len = fx_zmtp_put_head(p, as_null, n), gone = h.len + h.size - len - n;
    memmove(p + len, data, n);
    memmove(p + len + n, data + n, have - h.len - h.size);
    r->clear += (uint32_t)(len + n);
    r->size -= (uint32_t)gone;
    return FXS_OPENED;
}

int fxs_secure_command(struct fxs_guest *g, const uint8_t *frame, size_t n)
{
    uint8_t sealed[FX_ZMTP_HEAD_MAX + FX_CURVE_BEGIN + FX_ZMTP_PONG_MAX];
    size_t size = fx_curve_seal(&g->record.keys, sealed, FX_CURVE_COMMAND, frame + 2, n - 2);
    return size ? fxs_guest_send(g, sealed, size) : -1;
}

/* --- clients whose key is known --- */

void fxs_secure_admit(const struct fxs_guest *g, const char **whose, unsigned *number)
{
    *whose = g->client->tenant;
    *number = 0;
}

const char *fxs_secure_check(const struct fxs_front *f, const struct fxs_guest *g,
                             struct fxs_text key, struct fxs_text tenant, const char **whose,
                             unsigned *number)
{
    static const char mismatch[] = "API key does not belong to tenant";
    const char *own = g->client->tenant;
    if (key.data && fxs_auth_count(f->auth)) {
        const char *wrong = fxs_auth_check(f->auth, key, tenant, whose, number);
        return wrong ? wrong : strcmp(*whose, own) != 0 ? mismatch : NULL;
    }
    if (tenant.data && (tenant.size != strlen(own) || memcmp(tenant.data, own, tenant.size) != 0))
        return "CURVE key does not belong to tenant";
    fxs_secure_admit(g, whose, number);
    return NULL;
}
