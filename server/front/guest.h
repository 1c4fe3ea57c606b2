/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests: connections that have not yet shown a valid key.
 *
 * Whatever it sends, a guest costs one of a limited number of places, one fixed buffer, and a
 * limited time.  When all places are taken, the oldest guest is closed.  A guest whose first
 * message has a valid key gives its place back.  It is handed to its tenant's engine, as soon as
 * that runs, and freed here.
 *
 * Used by the front's only thread.
 */
#ifndef FXS_GUEST_H
#define FXS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/curve_shake.h"
#include "server/event.h"
#include "server/handover.h"

enum {
    FXS_GUEST_MS = 10000,         /* from accept to the first valid message */
    FXS_GUEST_WAIT_MS = 30000,    /* with a valid key: until its engine has started */
    FXS_GUESTS_WAITING = 4096,    /* such connections of one tenant, at most */
    FXS_GUEST_READ_MAX = 32 << 10 /* bytes to read from a guest, in total */
};

struct fxs_engine;
struct fxs_client;

struct fxs_guest {
    struct fxs_event source;       /* first: epoll's pointer is both */
    struct fxs_guest *prev, *next; /* of one of the lists */
    struct fxs_engine *engine;     /* the engine that it waits for, or NULL */
    struct fxs_guest *prev_waiting, *next_waiting;
    int64_t deadline;
    enum fxs_guest_state {
        FXS_GUEST_GREETING, /* the front waits for its greeting, */
        FXS_GUEST_HELLO,    /* under CURVE: for its HELLO, */
        FXS_GUEST_INITIATE, /* and its INITIATE; */
        FXS_GUEST_READY,    /* else: for its READY, */
        FXS_GUEST_MESSAGE,  /* for its first message */
        FXS_GUEST_WAITING,  /* its key is valid, and it waits for its engine */
        FXS_GUEST_REFUSED,  /* the error has been sent; what the guest still sends is dropped */
        FXS_GUEST_GONE      /* closed or handed over; freed after this round of events */
    } state;
    bool has_key;                    /* it waits, and does not count as unauthenticated */
    bool answered;                   /* a request of it succeeded, */
    bool refused;                    /* or it was refused, and counted */
    bool tcp;                        /* it came by TCP, not by a Unix socket */
    struct fx_curve_shake shake;     /* in a handshake with CURVE */
    const struct fxs_client *client; /* whose CURVE key it has, if that is known; or NULL */
    bool has_id;                     /* the request has a request_id, */
    uint64_t id;                     /* this one */
    size_t total;                    /* bytes read, in total */
    struct fxs_handover record;      /* the bytes read, and what the engine will be told */
};

struct fxs_guests {
    struct fxs_guest *oldest;  /* without has_key: in order of deadlines (utlist, doubly linked), */
    int n;                     /* so many */
    struct fxs_guest *waiting; /* with has_key: the same */
    struct fxs_guest *gone;    /* to be freed by fxs_guests_bury (through next) */
};

_Static_assert(sizeof(struct fxs_guest) <= 8 << 10, "what a connection without a key may cost");

#endif
