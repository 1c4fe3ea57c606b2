/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the front share; for front*.c only.  One thread. */
#ifndef FX_FRONT_STATE_H
#define FX_FRONT_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

#include "engines.h"
#include "options.h"
#include "pending.h"
#include "session.h"
#include "wire.h"

struct fxs_front {
    const struct fxs_options *options;
    void *zmq, *router;
    int epoll, signals;
    struct fxs_engines engines;
    struct fxs_sessions sessions;
    struct fxs_pendings pendings;
    int64_t now; /* monotonic milliseconds, of this round of the loop */
    int64_t started, tick;
    int64_t give_up; /* when stopping: time to kill what still runs */
    bool stopping;
    int bound; /* how many of options->binds are */
    uint64_t requests;
    uint64_t dropped; /* replies whose client was gone or took none */
};

/* To whom an answer goes. */
struct fxs_caller {
    zmq_msg_t *route; /* taken by the answer */
    bool has_id;
    uint64_t id;
};

/* front_request.c: read one message of the ROUTER and deal with it.  Returns false
 * when there is none. */
bool fxs_front_request(struct fxs_front *f);

/* front_reply.c */

/* A reply from an engine. */
void fxs_front_reply(struct fxs_front *f, struct fxs_engine *e, struct fxs_link_msg *m);

/* Answer with an error; `text` follows "faissx: ". */
__attribute__((format(printf, 4, 5))) void fxs_front_error(struct fxs_front *f,
                                                           struct fxs_caller *to, const char *kind,
                                                           const char *format, ...);
void fxs_front_ok(struct fxs_front *f, struct fxs_caller *to);
void fxs_front_health(struct fxs_front *f, struct fxs_caller *to);

/* Send something that answers nothing.  Returns false when the route is gone. */
bool fxs_front_probe(struct fxs_front *f, const void *route, size_t size);

/* Answer everything that an engine has not: its process ended. */
void fxs_front_bury(struct fxs_front *f, struct fxs_engine *e);

/* Tell the engine of a session that it is over. */
void fxs_front_end_session(struct fxs_front *f, struct fxs_session *s);

/* listen.c: bind all endpoints.  Returns 0, or -1 after it has said why. */
int fxs_listen(struct fxs_front *f);
/* Remove the socket files, which libzmq leaves behind.  Before zmq_close(): afterwards
 * they may be another server's. */
void fxs_listen_cleanup(struct fxs_front *f);

#endif
