/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/objects/again.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "proto/content.h"
#include "server/engine/guard/room.h"
#include "server/engine/run/house.h"

enum {
    KEEP_MS = 30000,
    SHARE = 8 /* an array is kept if it takes at most this part of the memory that is left */
};

struct used {
    const struct fxe_session *session;
    uint64_t id;
    struct fx_buffer data;
    int64_t until;
    struct used *prev, *next;
};

static struct {
    pthread_mutex_t lock;
    struct used *first; /* the oldest */
} again = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The caller holds the lock. */
static struct used *take_out(const struct fxe_session *s)
{
    struct used *u;
    DL_SEARCH_SCALAR(again.first, u, session, s);
    if (u)
        DL_DELETE(again.first, u);
    return u;
}

static void free_used(struct used *u)
{
    if (u)
        fx_buffer_free(&u->data);
    free(u);
}

void fxe_again_put(const struct fxe_session *s, uint64_t id, struct fx_buffer *data)
{
    struct used *u = data->size <= fxe_room_lately() / SHARE ? calloc(1, sizeof *u) : NULL;
    if (!u)
        return;
    *u = (struct used){.session = s, .id = id, .data = *data, .until = fxe_now_ms() + KEEP_MS};
    *data = (struct fx_buffer){0};
    pthread_mutex_lock(&again.lock);
    struct used *old = take_out(s);
    bool first = !again.first;
    DL_APPEND(again.first, u);
    pthread_mutex_unlock(&again.lock);
    free_used(old);
    if (first)
        fxe_house_wake(); /* it now waits for the end of this one's time, too */
}

bool fxe_again_take(const struct fxe_session *s, uint64_t id, size_t size, const void *secret,
                    const void *hash, struct fx_buffer *data)
{
    uint8_t have[FX_HASH_SIZE];
    pthread_mutex_lock(&again.lock);
    struct used *u = take_out(s);
    pthread_mutex_unlock(&again.lock);
    bool same = u && u->id == id && u->data.size == size;
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

void fxe_again_drop(const struct fxe_session *s)
{
    pthread_mutex_lock(&again.lock);
    struct used *u = take_out(s);
    pthread_mutex_unlock(&again.lock);
    free_used(u);
}

/* Frees the oldest if its time is over at `now`.  Returns whether it has. */
static bool free_old(int64_t now)
{
    pthread_mutex_lock(&again.lock);
    struct used *u = again.first && again.first->until <= now ? again.first : NULL;
    if (u)
        DL_DELETE(again.first, u);
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
