/* SPDX-License-Identifier: Apache-2.0 */
#include "pending.h"

#include <stdlib.h>

enum { BLOCK = 256, NONE = 0xffffffff };

void fxs_pendings_init(struct fxs_pendings *t)
{
    *t = (struct fxs_pendings){.free = NONE};
}

static struct fxs_pending *at(struct fxs_pendings *t, uint32_t slot)
{
    return &t->blocks[slot / BLOCK][slot % BLOCK];
}

void fxs_pendings_free(struct fxs_pendings *t)
{
    for (uint32_t slot = 0; slot < t->nblocks * BLOCK; slot++)
        if (at(t, slot)->engine)
            zmq_msg_close(&at(t, slot)->route);
    for (uint32_t i = 0; i < t->nblocks; i++)
        free(t->blocks[i]);
    free(t->blocks);
    fxs_pendings_init(t);
}

static int grow(struct fxs_pendings *t)
{
    uint32_t first = t->nblocks * BLOCK;
    if (first >= FXS_PENDING_MAX)
        return -1;
    struct fxs_pending **blocks = realloc(t->blocks, (t->nblocks + 1) * sizeof(*blocks));
    if (!blocks)
        return -1;
    t->blocks = blocks;
    if (!(blocks[t->nblocks] = calloc(BLOCK, sizeof(**blocks))))
        return -1;
    t->nblocks++;
    for (uint32_t slot = first; slot < first + BLOCK; slot++) {
        at(t, slot)->ticket = slot;
        at(t, slot)->next_free = slot + 1 < first + BLOCK ? slot + 1 : NONE;
    }
    t->free = first;
    return 0;
}

struct fxs_pending *fxs_pending_new(struct fxs_pendings *t, struct fxs_engine *engine)
{
    if (t->free == NONE && grow(t) != 0)
        return NULL;
    struct fxs_pending *p = at(t, t->free);
    t->free = p->next_free;
    t->count++;
    p->ticket += (uint64_t)1 << 32;
    p->engine = engine;
    p->has_id = p->hello = false;
    zmq_msg_init(&p->route);
    return p;
}

struct fxs_pending *fxs_pending_find(struct fxs_pendings *t, uint64_t ticket)
{
    uint32_t slot = (uint32_t)ticket;
    if (slot >= t->nblocks * BLOCK)
        return NULL;
    struct fxs_pending *p = at(t, slot);
    return p->engine && p->ticket == ticket ? p : NULL;
}

void fxs_pending_done(struct fxs_pendings *t, struct fxs_pending *p)
{
    uint32_t slot = (uint32_t)p->ticket;
    zmq_msg_close(&p->route);
    p->engine = NULL;
    p->next_free = t->free;
    t->free = slot;
    t->count--;
}

struct fxs_pending *fxs_pending_next(struct fxs_pendings *t, const struct fxs_engine *engine,
                                     uint32_t *cursor)
{
    while (*cursor < t->nblocks * BLOCK) {
        struct fxs_pending *p = at(t, (*cursor)++);
        if (p->engine == engine)
            return p;
    }
    return NULL;
}
