/* SPDX-License-Identifier: Apache-2.0 */
/* First messages of FAISSx's Python client.  Used by the front's only thread. */
#ifndef FXS_DIALECT_H
#define FXS_DIALECT_H

#include "proto/wire.h"
#include "server/front/state.h"

struct fxs_auth;

/* Is it a message of the dialect? */
bool fxs_is_dialect(const struct fx_header *h);
/* The same of the first n bytes of one. */
bool fxs_begins_dialect(const uint8_t *p, size_t n);

/* As fxs_auth_check, with the dialect's rules and texts. */
const char *fxs_dialect_check(const struct fxs_auth *auth, const struct fx_header *h,
                              const char **whose, unsigned *number);

/* Each returns 0, or -1 if the reply could not be sent.  `code`: its error_code, or NULL. */
int fxs_dialect_pong(struct fxs_guest *g);
int fxs_dialect_error(struct fxs_front *f, struct fxs_guest *g, const char *code, const char *why);

#endif
