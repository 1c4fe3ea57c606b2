/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first message of a connection: `hello` makes a session, `attach` joins one.
 *
 * No state: the caller (session.c, under its lock) owns both structs.  The functions return 0, or
 * -1 with the error set.
 */
#ifndef FX_HELLO_H
#define FX_HELLO_H

#include "proto/client/conn.h"
#include "proto/wire.h"

/* Where a client connects, and as whom. */
struct fx_credentials {
    char *server;       /* the endpoint; NULL: none is configured */
    char *key, *tenant; /* or NULL */
};

/* What the server has said about itself and the session. */
struct fx_welcome {
    uint8_t token[FX_TOKEN_SIZE];
    uint64_t instance;               /* which engine it is; 0: it has not said */
    uint64_t durable;                /* 1: the next engine knows what this one has answered */
    uint64_t again;                  /* 1: it may keep an array after the call, and trains that
                                        need no vectors need not have them */
    char version[FX_VERSION_SIZE];   /* of its FAISS */
    char near[FX_NEAR_SIZE];         /* its endpoint for this host, or "" */
    char previous[FX_PREVIOUS_SIZE]; /* after a refusal: how the engine that held the session ended,
                                        or "" */
    char tenant[FX_TENANT_MAX + 1];  /* after a refusal: the tenant, or "" */
};

/* Make a session: all of *w but the last two is filled in. */
int fx_hello(struct fx_conn *c, const struct fx_credentials *who, struct fx_welcome *w,
             int64_t deadline);

/* Join the session of w->token; `near`, `instance`, `durable` and `again` are filled in. */
int fx_attach(struct fx_conn *c, const struct fx_credentials *who, struct fx_welcome *w,
              int64_t deadline);

#endif
