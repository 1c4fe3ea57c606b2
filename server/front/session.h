/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of clients, and the connections (routes: ROUTER identities) that use them.
 *
 * A client that says so in its hello has a lease: while the server can reach any of
 * its connections, the session lives, however long it is silent.  Silent connections
 * are probed, since libzmq tells that a peer is gone only when something is sent to
 * it.  When none is left for the length of the lease, the session ends.  A client
 * without a lease has to say something every FXS_IDLE_LEASES leases.
 *
 * A table owns its sessions.  Used by the front's only thread.  Times are monotonic
 * milliseconds.
 */
#ifndef FX_SESSION_H
#define FX_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "wire.h"

enum {
    FXS_IDLE_LEASES = 120,
    FXS_ROUTE_MAX = 255,   /* bytes of a ROUTER identity */
    FXS_ROUTES_MAX = 4096, /* of one session; more are served, but not watched */
    FXS_SESSIONS_MAX = 1 << 20
};

struct fxs_engine;
struct fxs_route;

struct fxs_session {
    uint8_t token[FX_TOKEN_SIZE];
    struct fxs_engine *engine; /* of the session's tenant; not owned */
    bool lease;
    unsigned inflight;  /* requests that are not answered yet */
    int64_t used;       /* last request or reply */
    int64_t lost;       /* since when there is no route, 0: there is one */
    int64_t look_again; /* when fxs_sessions_check has something to do */
    uint64_t serial;
    struct fxs_route *routes, *latest;
    unsigned nroutes;
    UT_hash_handle hh;
};

struct fxs_sessions {
    struct fxs_session *by_token;
    struct fxs_route *by_key;
    int64_t lease; /* milliseconds */
    uint64_t serials;
};

void fxs_sessions_init(struct fxs_sessions *t, int64_t lease);
/* Free all of them, telling nobody. */
void fxs_sessions_free(struct fxs_sessions *t);

/* A new session with a random token, or NULL: too many, or no memory. */
struct fxs_session *fxs_session_new(struct fxs_sessions *t, struct fxs_engine *engine, bool lease,
                                    int64_t now);
struct fxs_session *fxs_session_find(struct fxs_sessions *t, const void *token);

/* A request came over that route. */
void fxs_session_touch(struct fxs_sessions *t, struct fxs_session *s, const void *route,
                       size_t size, int64_t now);
void fxs_session_free(struct fxs_sessions *t, struct fxs_session *s);
size_t fxs_sessions_count(const struct fxs_sessions *t);

struct fxs_session_calls {
    void *ctx;
    /* Send something to a route.  Returns false when nobody is there any more. */
    bool (*probe)(void *ctx, const void *route, size_t size);
    /* The session is over; it is freed afterwards. */
    void (*ended)(void *ctx, struct fxs_session *s);
};

/* Probe what has been silent, end what is lost.  To be called every second or so. */
void fxs_sessions_check(struct fxs_sessions *t, int64_t now, const struct fxs_session_calls *calls);

#endif
