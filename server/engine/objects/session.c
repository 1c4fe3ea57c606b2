/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/objects/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

#include "server/engine/call/files.h"
#include "server/engine/objects/blob.h"
#include "server/engine/objects/object.h"
#include "server/engine/run/house.h"

static struct {
    struct fxe_session *by_token;
    size_t ended;             /* sessions in by_token that have ended but have requests running */
    struct fxe_session *lost; /* without a connection, in order of the end of their leases */
} sessions;

/* Tokens are random, so any part of one is a hash of it. */
static unsigned hash_of(const uint8_t token[FX_TOKEN_SIZE])
{
    unsigned hash;
    memcpy(&hash, token, sizeof hash);
    return hash;
}

/* The session has no connection: its lease begins. */
static void lose(struct fxe_session *s)
{
    s->ends_ms = fxe_now_ms() + (int64_t)fxe_engine.options.lease * 1000;
    DL_APPEND2(sessions.lost, s, prev_lost, next_lost);
    fxe_house_wake(); /* it now waits for this lease, too */
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

struct fxe_session *fxe_session_new(void)
{
    struct fxe_session *s;
    if (HASH_COUNT(sessions.by_token) >= FXE_SESSIONS_MAX || !(s = calloc(1, sizeof *s)))
        return NULL;
    do {
        if (random_token(s->token) != 0) {
            free(s);
            return NULL;
        }
    } while (fxe_session_find(s->token));
    HASH_ADD_BYHASHVALUE(hh, sessions.by_token, token, FX_TOKEN_SIZE, hash_of(s->token), s);
    return s;
}

struct fxe_session *fxe_session_restore(const uint8_t token[FX_TOKEN_SIZE])
{
    struct fxe_session *s = fxe_session_find(token);
    if (s || !(s = calloc(1, sizeof *s)))
        return s;
    memcpy(s->token, token, FX_TOKEN_SIZE);
    HASH_ADD_BYHASHVALUE(hh, sessions.by_token, token, FX_TOKEN_SIZE, hash_of(s->token), s);
    lose(s);
    return s;
}

struct fxe_session *fxe_session_find(const uint8_t token[FX_TOKEN_SIZE])
{
    struct fxe_session *s;
    HASH_FIND_BYHASHVALUE(hh, sessions.by_token, token, FX_TOKEN_SIZE, hash_of(token), s);
    return s;
}

size_t fxe_sessions_count(void)
{
    return HASH_COUNT(sessions.by_token);
}

size_t fxe_sessions_live(void)
{
    return HASH_COUNT(sessions.by_token) - sessions.ended;
}

static bool is_only_here(const struct fxe_session *s)
{
    const struct fxe_obj *o = s->objects;
    while (o && (o->stored_as || o->released))
        o = o->next;
    return o || s->blobs || s->streams;
}

bool fxe_sessions_lose(void)
{
    const struct fxe_session *s = sessions.by_token;
    if (fxe_engine.options.keep != FXS_KEEP_SESSIONS)
        return fxe_sessions_live() > 0;
    while (s && (s->ended || !is_only_here(s)))
        s = s->hh.next;
    return s;
}

int fxe_session_width(const struct fxe_session *s)
{
    return s ? __atomic_load_n(&s->omp_threads, __ATOMIC_RELAXED) : 0;
}

static void found(struct fxe_session *s)
{
    if (!s->ends_ms)
        return;
    DL_DELETE2(sessions.lost, s, prev_lost, next_lost);
    s->ends_ms = 0;
}

void fxe_session_bind(struct fxe_session *s, struct fxe_conn *c)
{
    if (c->session == s)
        return;
    fxe_session_unbind(c);
    found(s);
    DL_APPEND(s->conns, c);
    c->session = s;
}

void fxe_session_unbind(struct fxe_conn *c)
{
    struct fxe_session *s = c->session;
    if (!s)
        return;
    DL_DELETE(s->conns, c);
    c->session = NULL;
    if (s->conns || s->ended)
        return;
    lose(s);
}

static void reap(struct fxe_session *s, struct fxe_obj **doomed)
{
    if (!s->ended || s->busy)
        return;
    fxe_obj_release_all(s, doomed);
    fxe_blobs_leave(s);
    while (s->conns)
        fxe_session_unbind(s->conns);
    HASH_DELETE(hh, sessions.by_token, s);
    sessions.ended--;
    free(s);
}

void fxe_session_end(struct fxe_session *s, struct fxe_obj **doomed)
{
    s->ended = 1;
    sessions.ended++;
    found(s);
    fxe_streams_abort(s);
    reap(s, doomed);
}

void fxe_session_leave(struct fxe_session *s, struct fxe_obj **doomed)
{
    s->busy--;
    reap(s, doomed);
}

int64_t fxe_sessions_expire(int64_t now, struct fxe_obj **doomed)
{
    while (sessions.lost && sessions.lost->ends_ms <= now)
        fxe_session_end(sessions.lost, doomed);
    return sessions.lost ? sessions.lost->ends_ms : INT64_MAX;
}
