/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* All routes are in one hash table, by session and identity: a table for each of ten
 * thousand sessions, most with one route, would cost more memory than the routes. */
struct fxs_route {
    struct fxs_route *prev, *next; /* of the same session */
    int64_t seen, probed;
    UT_hash_handle hh;
    size_t size; /* of the identity */
    struct {
        uint64_t serial; /* of the session */
        uint8_t id[];
    } key;
};

struct key {
    uint64_t serial;
    uint8_t id[FXS_ROUTE_MAX];
};

void fxs_sessions_init(struct fxs_sessions *t, int64_t lease)
{
    *t = (struct fxs_sessions){.lease = lease};
}

void fxs_sessions_free(struct fxs_sessions *t)
{
    while (t->by_token)
        fxs_session_free(t, t->by_token);
}

size_t fxs_sessions_count(const struct fxs_sessions *t)
{
    return HASH_COUNT(t->by_token);
}

static int random_token(uint8_t *token)
{
    size_t done = 0;
    while (done < FX_TOKEN_SIZE) {
        ssize_t n = getrandom(token + done, FX_TOKEN_SIZE - done, 0);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

struct fxs_session *fxs_session_new(struct fxs_sessions *t, struct fxs_engine *engine, bool lease,
                                    int64_t now)
{
    struct fxs_session *s;
    if (HASH_COUNT(t->by_token) >= FXS_SESSIONS_MAX || !(s = calloc(1, sizeof(*s))))
        return NULL;
    do {
        if (random_token(s->token) != 0) {
            free(s);
            return NULL;
        }
    } while (fxs_session_find(t, s->token));
    s->engine = engine;
    s->lease = lease;
    s->used = now;
    s->look_again = now + t->lease / 3;
    s->serial = ++t->serials;
    HASH_ADD(hh, t->by_token, token, FX_TOKEN_SIZE, s);
    return s;
}

struct fxs_session *fxs_session_find(struct fxs_sessions *t, const void *token)
{
    struct fxs_session *s;
    HASH_FIND(hh, t->by_token, token, FX_TOKEN_SIZE, s);
    return s;
}

static size_t key_size(size_t id_size)
{
    return sizeof(uint64_t) + id_size;
}

static struct fxs_route *route_find(struct fxs_sessions *t, struct fxs_session *s, const void *id,
                                    size_t size)
{
    struct key key = {.serial = s->serial};
    struct fxs_route *r = s->latest;
    if (r && r->size == size && memcmp(r->key.id, id, size) == 0)
        return r;
    memcpy(key.id, id, size);
    HASH_FIND(hh, t->by_key, &key, key_size(size), r);
    return r;
}

static struct fxs_route *route_add(struct fxs_sessions *t, struct fxs_session *s, const void *id,
                                   size_t size)
{
    struct fxs_route *r;
    if (s->nroutes >= FXS_ROUTES_MAX || !(r = calloc(1, sizeof(*r) + size)))
        return NULL;
    r->size = size;
    r->key.serial = s->serial;
    memcpy(r->key.id, id, size);
    r->next = s->routes;
    if (r->next)
        r->next->prev = r;
    s->routes = r;
    s->nroutes++;
    HASH_ADD_KEYPTR(hh, t->by_key, &r->key, key_size(size), r);
    return r;
}

static void route_free(struct fxs_sessions *t, struct fxs_session *s, struct fxs_route *r)
{
    HASH_DELETE(hh, t->by_key, r);
    if (r->prev)
        r->prev->next = r->next;
    else
        s->routes = r->next;
    if (r->next)
        r->next->prev = r->prev;
    if (s->latest == r)
        s->latest = NULL;
    s->nroutes--;
    free(r);
}

void fxs_session_touch(struct fxs_sessions *t, struct fxs_session *s, const void *route,
                       size_t size, int64_t now)
{
    s->used = now;
    s->lost = 0;
    if (!s->lease || size > FXS_ROUTE_MAX)
        return;
    struct fxs_route *r = route_find(t, s, route, size);
    if (!r)
        r = route_add(t, s, route, size);
    if (r)
        r->seen = now;
    s->latest = r;
}

void fxs_session_free(struct fxs_sessions *t, struct fxs_session *s)
{
    while (s->routes)
        route_free(t, s, s->routes);
    HASH_DELETE(hh, t->by_token, s);
    free(s);
}

/* Probe the silent routes, forget those that are gone. */
static void probe_routes(struct fxs_sessions *t, struct fxs_session *s, int64_t now,
                         const struct fxs_session_calls *calls)
{
    /* While a session is busy, its idle connections are looked at only so that a
     * client that opens a new one for each of its threads does not pile them up. */
    bool busy = now - s->used < t->lease / 3;
    int64_t patience = busy ? t->lease : t->lease / 3;
    struct fxs_route *next;
    for (struct fxs_route *r = s->routes; r; r = next) {
        next = r->next;
        if (now - r->seen < patience || now - r->probed < patience)
            continue;
        if (calls->probe(calls->ctx, r->key.id, r->size))
            r->probed = now;
        else
            route_free(t, s, r);
    }
}

/* Is it over? */
static bool check(struct fxs_sessions *t, struct fxs_session *s, int64_t now,
                  const struct fxs_session_calls *calls)
{
    s->look_again = now + t->lease / 3;
    if (!s->lease) {
        int64_t until = s->used + t->lease * FXS_IDLE_LEASES;
        if (until > s->look_again)
            s->look_again = until;
        return s->inflight == 0 && now >= until;
    }
    probe_routes(t, s, now, calls);
    if (s->routes) {
        s->lost = 0;
        return false;
    }
    if (!s->lost)
        s->lost = now;
    if (s->look_again > s->lost + t->lease)
        s->look_again = s->lost + t->lease;
    return now - s->lost >= t->lease;
}

void fxs_sessions_check(struct fxs_sessions *t, int64_t now, const struct fxs_session_calls *calls)
{
    struct fxs_session *s, *next;
    HASH_ITER(hh, t->by_token, s, next)
    {
        if (now >= s->look_again && check(t, s, now, calls)) {
            calls->ended(calls->ctx, s);
            fxs_session_free(t, s);
        }
    }
}
