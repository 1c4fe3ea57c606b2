/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/objects/again.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "proto/content.h"
#include "server/engine/guard/room.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/house.h"

enum {
    KEEP_MS = 30000,
    SHARE = 8,             /* all of them take at most this part of the memory that is left, */
    MOST = 256 << 20,      /* and so many bytes: other tenants' engines lack them */
    LOCK_NS = 10 * 1000000 /* a copy of the engine (guard/trial.c) may never get the lock */
};

struct fxe_used {
    struct fxe_session *session; /* NULL: it has ended */
    uint64_t id;
    struct fx_buffer data;
    int64_t until;
    struct fxe_used *prev, *next;
};

static struct {
    pthread_mutex_t lock;   /* also of fxe_session.used */
    struct fxe_used *first; /* the oldest */
    size_t total;           /* bytes */
} again = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The caller holds the lock. */
static struct fxe_used *take_out(struct fxe_used *u)
{
    if (!u)
        return NULL;
    if (u->session)
        u->session->used = NULL;
    DL_DELETE(again.first, u);
    again.total -= u->data.size;
    return u;
}

static void free_used(struct fxe_used *u)
{
    if (u)
        fx_buffer_free(&u->data);
    free(u);
}

bool fxe_again_put(struct fxe_session *s, uint64_t id, struct fx_buffer *data)
{
    size_t room = fxe_room_lately(), most = MOST, size = data->size;
    struct fxe_used *u = size <= most ? calloc(1, sizeof *u) : NULL, *doomed = NULL, *old;
    if (!u)
        return false;
    pthread_mutex_lock(&again.lock);
    if (room / SHARE < most && (room + again.total) / SHARE < most)
        most = (room + again.total) / SHARE;
    if (size > most) {
        pthread_mutex_unlock(&again.lock);
        free(u);
        return false;
    }
    if ((old = take_out(s->used)))
        DL_APPEND(doomed, old);
    while (again.total + size > most && (old = take_out(again.first)))
        DL_APPEND(doomed, old);
    *u = (struct fxe_used){.session = s, .id = id, .data = *data, .until = fxe_now_ms() + KEEP_MS};
    *data = (struct fx_buffer){0};
    bool first = !again.first;
    DL_APPEND(again.first, u);
    again.total += size;
    s->used = u;
    pthread_mutex_unlock(&again.lock);
    while ((old = doomed)) {
        DL_DELETE(doomed, old);
        free_used(old);
    }
    if (first)
        fxe_house_wake(); /* it now waits for the end of this one's time, too */
    return true;
}

static bool is(const struct fxe_used *u, uint64_t id, size_t size)
{
    return u && u->id == id && u->data.size == size;
}

bool fxe_again_has(const struct fxe_session *s, uint64_t id, size_t size)
{
    pthread_mutex_lock(&again.lock);
    bool has = is(s->used, id, size);
    pthread_mutex_unlock(&again.lock);
    return has;
}

bool fxe_again_take(struct fxe_session *s, uint64_t id, size_t size, const void *secret,
                    const void *hash, struct fx_buffer *data)
{
    uint8_t have[FX_HASH_SIZE];
    pthread_mutex_lock(&again.lock);
    struct fxe_used *u = take_out(s->used);
    pthread_mutex_unlock(&again.lock);
    bool same = is(u, id, size);
    if (same) {
        fx_content_hash_secretly(u->data.data, size, secret, have);
        same = memcmp(have, hash, sizeof have) == 0;
    }
    if (same) {
        *data = u->data;
        u->data = (struct fx_buffer){0};
    }
    free_used(u);
    return same;
}

void fxe_again_drop(struct fxe_session *s)
{
    pthread_mutex_lock(&again.lock);
    struct fxe_used *u = take_out(s->used);
    pthread_mutex_unlock(&again.lock);
    free_used(u);
}

void fxe_again_leave(struct fxe_session *s)
{
    pthread_mutex_lock(&again.lock);
    struct fxe_used *u = s->used;
    if (u) {
        DL_DELETE(again.first, u);
        DL_PREPEND(again.first, u);
        u->until = 0;
        u->session = NULL;
        s->used = NULL;
    }
    pthread_mutex_unlock(&again.lock);
    if (u)
        fxe_house_wake();
}

static bool lock_soon(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += LOCK_NS;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return pthread_mutex_clocklock(&again.lock, CLOCK_MONOTONIC, &t) == 0;
}

/* Frees the oldest if its time is over at `now`.  Returns whether it has. */
static bool free_old(int64_t now)
{
    if (!lock_soon())
        return false;
    struct fxe_used *u = again.first && again.first->until <= now ? take_out(again.first) : NULL;
    pthread_mutex_unlock(&again.lock);
    free_used(u);
    return u != NULL;
}

bool fxe_again_drop_all(void)
{
    bool some = false;
    while (free_old(INT64_MAX))
        some = true;
    return some;
}

int64_t fxe_again_expire(int64_t now)
{
    while (free_old(now))
        ;
    pthread_mutex_lock(&again.lock);
    int64_t next = again.first ? again.first->until : INT64_MAX;
    pthread_mutex_unlock(&again.lock);
    return next;
}
