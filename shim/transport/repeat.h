/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that are repeated when the connection breaks: all but those that take their arguments from
 * a callback or a stream.
 *
 * A call that broke reconnects, at most FAISSX_RETRIES times and until its deadline, and waits
 * before each time: a random time of up to 20 ms, 40 ms, ... 2 s.  Then
 *
 *     in the same session   the request is sent again, with the same id.  The server runs one that
 *                           only reads again; of one that changes something it knows whether it was
 *                           made, and gives the same answer (`caller` in proto/wire.md);
 *     in a new session      the request is packed again.  Indexes that were opened by their names
 * are opened again; a call that names anything else fails.
 *
 * A change that was sent to an engine that is gone, and that nobody knows the outcome of, is not
 * repeated: the error says so.
 */
#ifndef FX_REPEAT_H
#define FX_REPEAT_H

#include "shim/transport/rpc.h"

/* A call of one request.  The functions return 0, or -1 with the error set, and may be called
 * several times. */
struct fx_request {
    const char *operation;
    uint32_t keys; /* that `pack` packs */

    /* Do the objects that it names belong to the present session?  `running`: the request was sent
     * before.  NULL: it names none. */
    int (*ready)(void *ctx, int running);

    int (*pack)(struct fx_rpc *r, void *ctx); /* keys and payload */
    int (*take)(struct fx_rpc *r, void *ctx); /* a reply that is not an error, or NULL */
    void *ctx;

    /* Frees the arrays that the request names.  The server takes them when it makes the call, and
     * makes a call that only reads again, with arrays that are sent again.  NULL: it answers the
     * second request as the first. */
    void (*drop)(struct fx_payload *p);

    int changes; /* an object of the server: an error says whether it was made */
    int brief;   /* it is not worth waiting long for a server: freeing */
};

/* Make the call.  `r` is uninitialised before, and has ended afterwards. */
int fx_rpc_call(struct fx_rpc *r, const struct fx_request *q);

/* For calls of several requests: after a failure, connect again if that may help.  Returns 0 if the
 * thread has a connection again, perhaps in another session; or -1 with the error set. */
int fx_rpc_recover(struct fx_rpc *r);

#endif
