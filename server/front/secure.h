/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CURVE in the front: the server's keys, the keys of clients that are known, and a guest's
 * handshake.
 *
 * A guest's handshake costs at most five operations on the curve, each of them once: two for a
 * HELLO that is for this server, one for one that is not, and two for INITIATE.  It takes no memory
 * but the guest's own.
 *
 * Used by the front's only thread.
 */
#ifndef FXS_SECURE_H
#define FXS_SECURE_H

#include "proto/curve_shake.h"
#include "server/front/auth.h"
#include "server/front/state.h"

struct fxs_secure;

/* Loads --curve-secret-file and --curve-clients.  *s is NULL without the former; otherwise the
 * caller frees it.  Returns 0, or -1 and the reason in `why`. */
int fxs_secure_load(struct fxs_secure **s, const struct fxs_options *o, char *why, size_t len);
void fxs_secure_free(struct fxs_secure *s);

/* --- the handshake: each returns 0, or -1 and perhaps the reason --- */

/* A HELLO has come: checks it and sends WELCOME. */
int fxs_secure_hello(const struct fxs_secure *s, struct fxs_guest *g, const uint8_t *body, size_t n,
                     const char **why);
/* An INITIATE has come: returns its metadata, or NULL.  Finds out whose key it is. */
const uint8_t *fxs_secure_initiate(const struct fxs_secure *s, struct fxs_guest *g, uint8_t *body,
                                   size_t *n, const char **why);
/* Sends READY: the guest's record has the keys of the connection from now on. */
int fxs_secure_ready(struct fxs_guest *g);

/* --- messages --- */

/* Opens the next frame in the guest's buffer in place, if it has come whole: it becomes a frame as
 * of the mechanism NULL, and g->record.clear grows by it. */
enum fxs_opened { FXS_NOTHING, FXS_OPENED, FXS_TOO_LARGE, FXS_WRONG };
enum fxs_opened fxs_secure_open(struct fxs_guest *g, const char **why);
/* Sends a command whose frame has a head of two bytes. */
int fxs_secure_command(struct fxs_guest *g, const uint8_t *frame, size_t n);

/* --- clients whose key is known --- */

/* As fxs_auth_check, for a guest whose key is known: it needs no API key.  One that it sends all
 * the same must be one of its tenant, if the server has API keys. */
const char *fxs_secure_check(const struct fxs_front *f, const struct fxs_guest *g,
                             struct fxs_text key, struct fxs_text tenant, const char **whose,
                             unsigned *number);
/* Its tenant, and 0, because it has no API key that its requests would have to repeat. */
void fxs_secure_admit(const struct fxs_guest *g, const char **whose, unsigned *number);

#endif
