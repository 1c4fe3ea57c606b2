/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests: connections that have not yet shown a valid key.
 *
 * A guest costs one of a limited number of places, one fixed buffer, and a limited time,
 * whatever it sends.  When all places are taken the oldest guest is closed.  A guest whose first
 * message names a valid key is handed to its tenant's engine and forgotten here.
 *
 * Used by the front's only thread.
 */
#ifndef FXS_GUEST_H
#define FXS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "server/event.h"
#include "server/handover.h"

enum {
    FXS_GUEST_MS = 10000,         /* from accept to the first valid message */
    FXS_GUEST_WAIT_MS = 30000,    /* with a valid key: for its engine to start */
    FXS_GUEST_READ_MAX = 32 << 10 /* bytes that are read of one, in all */
};

struct fxs_engine;

struct fxs_guest {
    struct fxs_event source;       /* first: epoll's pointer is both */
    struct fxs_guest *prev, *next; /* by age */
    struct fxs_engine *engine;     /* that it waits for, or NULL */
    struct fxs_guest *prev_waiting, *next_waiting;
    int64_t deadline;
    enum fxs_guest_state {
        FXS_GUEST_GREETING, /* its greeting is awaited */
        FXS_GUEST_READY,    /* READY */
        FXS_GUEST_MESSAGE,  /* its first message */
        FXS_GUEST_WAITING,  /* it has a key, and its engine starts */
        FXS_GUEST_REFUSED,  /* it has been told so; what it still sends is dropped */
        FXS_GUEST_GONE      /* closed or handed over; freed after this round of events */
    } state;
    bool has_id;                /* the request has an id */
    uint64_t id;                /* request_id */
    size_t total;               /* bytes read, in all */
    struct fxs_handover record; /* what has been read of it, and what the engine is told */
};

struct fxs_guests {
    struct fxs_guest *oldest; /* by age (utlist, doubly linked) */
    struct fxs_guest *gone;
    int n;
};

_Static_assert(sizeof(struct fxs_guest) <= 8 << 10, "what a connection without a key may cost");

#endif
