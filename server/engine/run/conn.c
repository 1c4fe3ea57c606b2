/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/conn.h"

#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/engine/objects/upload.h"
#include "server/engine/run/kept.h"
#include "server/engine/run/peers.h"
#include "server/engine/run/secure.h"

void fxe_msg_free(struct fxe_msg *m)
{
    if (!m)
        return;
    if (m->place) {
        fxe_place_free(m->place);
        m->frames[1].data = NULL;
    }
    for (int i = 0; i < m->nframes; i++)
        fx_buffer_free(&m->frames[i]);
    fxe_kept_sub(m->kept);
    free(m);
}

/* Connections that have ended.  Their memory is reused and never freed: epoll may have given a
 * worker an event for one that the worker has not handled yet. */
static struct {
    pthread_mutex_t lock;
    struct fxe_conn *first; /* through next_unread */
} spare = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct fxe_conn *new_or_used(void)
{
    pthread_mutex_lock(&spare.lock);
    struct fxe_conn *c = spare.first;
    if (c)
        spare.first = c->next_unread;
    pthread_mutex_unlock(&spare.lock);
    if (c) {
        c->next_unread = NULL;
        return c;
    }
    c = calloc(1, sizeof *c);
    if (c)
        pthread_mutex_init(&c->lock, NULL);
    return c;
}

/* Adds the connection to the spare ones.  Zeroes everything from `phase` on; a late event may still
 * read `source` and `lock`. */
static void put_away(struct fxe_conn *c)
{
    pthread_mutex_lock(&c->lock);
    size_t from = offsetof(struct fxe_conn, phase);
    memset((char *)c + from, 0, sizeof *c - from);
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&spare.lock);
    c->next_unread = spare.first;
    spare.first = c;
    pthread_mutex_unlock(&spare.lock);
}

struct fxe_conn *fxe_conn_new(int fd, const struct fxs_handover *h)
{
    struct fxe_conn *c = new_or_used();
    uint8_t *in = h->size ? malloc(FXE_CONN_IN) : NULL;
    struct fxe_secure *secure = h->curve ? fxe_secure_new(h) : NULL;
    if (!c || (h->size && !in) || (h->curve && !secure)) {
        if (c)
            put_away(c);
        free(in);
        fxe_secure_free(secure);
        close(fd);
        return NULL;
    }
    _Static_assert((int)FXE_CONN_IN >= (int)FXS_HANDOVER_BYTES, "what the front has read fits");
    if (in)
        memcpy(in, h->bytes, h->size);
    c->in = in;
    c->have = h->size;
    c->received = h->size;
    c->source.fd = fd;
    c->fd = -1;
    c->refs = 1;
    c->tcp = strcmp(h->peer, "unix") != 0;
    c->near = h->near != 0;
    c->dialect = h->dialect != 0;
    c->key = (int)h->key;
    c->secure = secure;
    memcpy(c->peer, h->peer, sizeof c->peer);
    return c;
}

void fxe_conn_ref(struct fxe_conn *c)
{
    __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
}

bool fxe_conn_try_ref(struct fxe_conn *c)
{
    int refs = __atomic_load_n(&c->refs, __ATOMIC_RELAXED);
    while (refs > 0)
        if (__atomic_compare_exchange_n(&c->refs, &refs, refs + 1, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
            return true;
    return false;
}

void fxe_conn_unref(struct fxe_conn *c)
{
    if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    fxe_peer_forget(c);
    fxe_ahead_give(c->advanced);
    fxe_msg_free(c->msg);
    if (c->fd >= 0)
        close(c->fd);
    close(c->source.fd);
    free(c->in);
    fxe_secure_free(c->secure);
    if (c->own_key)
        explicit_bzero(c->own_key, c->own_key_size);
    free(c->own_key);
    put_away(c);
}

void fxe_conn_kill(struct fxe_conn *c)
{
    pthread_mutex_lock(&c->lock);
    if (!c->dead)
        shutdown(c->source.fd, SHUT_RDWR); /* if it is armed, epoll reports this */
    c->dead = true;
    pthread_mutex_unlock(&c->lock);
    __atomic_store_n(&c->gone, true, __ATOMIC_RELAXED);
}

bool fxe_conn_is_gone(const struct fxe_conn *c)
{
    /* recv() with MSG_PEEK would not see the end while unread bytes are in front of it. */
    struct pollfd p = {.fd = c->source.fd, .events = POLLRDHUP};
    return __atomic_load_n(&c->gone, __ATOMIC_RELAXED) || (poll(&p, 1, 0) > 0 && p.revents != 0);
}
