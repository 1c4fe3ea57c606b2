/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that an engine has not answered yet, by ticket.
 *
 * A ticket is a slot and the number of times it was used: looking one up is an array
 * access, and an old ticket finds nothing.  Entries never move.  The table owns them;
 * used by the front's only thread.
 */
#ifndef FX_PENDING_H
#define FX_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "wire.h"

enum { FXS_PENDING_MAX = 1 << 20, FXS_OPERATION_MAX = 63 };

struct fxs_engine;

struct fxs_pending {
    uint64_t ticket;
    struct fxs_engine *engine; /* NULL: the slot is free */
    zmq_msg_t route;           /* the ROUTER identity, as libzmq gave it */
    bool has_id, hello;
    uint64_t id; /* request_id */
    size_t bytes;
    uint8_t token[FX_TOKEN_SIZE];
    char operation[FXS_OPERATION_MAX + 1];
    uint32_t next_free;
};

struct fxs_pendings {
    struct fxs_pending **blocks;
    uint32_t nblocks, free, count;
};

void fxs_pendings_init(struct fxs_pendings *t);
void fxs_pendings_free(struct fxs_pendings *t);

/* A new entry with its ticket and an empty route, or NULL: too many, or no memory. */
struct fxs_pending *fxs_pending_new(struct fxs_pendings *t, struct fxs_engine *engine);
struct fxs_pending *fxs_pending_find(struct fxs_pendings *t, uint64_t ticket);
void fxs_pending_done(struct fxs_pendings *t, struct fxs_pending *p);

/* The next entry of that engine at *cursor or behind it, or NULL; begin with 0. */
struct fxs_pending *fxs_pending_next(struct fxs_pendings *t, const struct fxs_engine *engine,
                                     uint32_t *cursor);

#endif
