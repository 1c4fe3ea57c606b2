/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the front share.  One thread. */
#ifndef FXS_STATE_H
#define FXS_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/event.h"
#include "server/front/engines.h"
#include "server/front/guest.h"
#include "server/options.h"

/* A socket that connections are accepted from. */
struct fxs_listener {
    struct fxs_event source; /* first: epoll's pointer is both */
    bool tcp;
    char path[108]; /* of a Unix socket, to be removed at the end; or "" */
};

struct fxs_front {
    const struct fxs_options *options;
    struct fxs_auth *auth; /* NULL: no authentication */
    int epoll;
    struct fxs_event signals;
    struct fxs_listener listeners[FXS_BINDS_MAX + 1]; /* the last: clients of this host */
    int nlisteners;
    char near[FX_NEAR_SIZE]; /* endpoint for clients of this host that come by TCP, or "" */
    char near_dir[100];      /* its directory, or "" */
    struct fxs_engines engines;
    struct fxs_guests guests;
    int64_t now; /* monotonic milliseconds, of this round of the loop */
    int64_t started;
    int64_t resume;  /* when paused listeners accept again; 0: they do */
    int64_t give_up; /* when stopping: time to kill what still runs */
    int64_t budget;  /* when the memory is next divided */
    bool stopping;
    uint64_t accepted, refused;
};

static inline int fxs_watch(struct fxs_front *f, struct fxs_event *s, int op, uint32_t events)
{
    return fxs_event_watch(f->epoll, s, op, events);
}

/* --- listen.c --- */

/* Bind all endpoints, and the one for clients of this host.  Returns 0, or -1 after it has said
 * why in the log. */
int fxs_listen(struct fxs_front *f);
/* Accepts connections that wait, up to a limit: other events have their turn. */
void fxs_accept(struct fxs_front *f, struct fxs_listener *l);
/* Stops accepting for PAUSE_MS: this process is out of descriptors. */
void fxs_listen_pause(struct fxs_front *f);
void fxs_listen_resume(struct fxs_front *f);
/* Close the listeners and remove the socket files. */
void fxs_listen_end(struct fxs_front *f);

/* --- guest.c --- */

/* A connection has been accepted.  Takes fd. */
void fxs_guest_new(struct fxs_front *f, int fd, bool near, const char *peer);
/* Closes the connection; `why` is for the log. */
void fxs_guest_close(struct fxs_front *f, struct fxs_guest *g, const char *why);
/* The connection has been handed over to an engine: forgets it and sends nothing. */
void fxs_guest_left(struct fxs_front *f, struct fxs_guest *g);
/* Its engine cannot be started: sends the error. */
void fxs_guest_refuse(struct fxs_front *f, struct fxs_guest *g, const char *kind, const char *why);
/* Closes those whose deadline has passed.  Returns the next deadline, or INT64_MAX. */
int64_t fxs_guests_expire(struct fxs_front *f);
/* Frees those that are gone.  Called after the events of a round, which may still name them. */
void fxs_guests_bury(struct fxs_front *f);

/* --- answer.c: what the front says itself; each returns 0, or -1 when it could not be sent --- */

/* `text` follows "faissx: ". */
__attribute__((format(printf, 4, 5))) int fxs_answer_error(struct fxs_front *f, struct fxs_guest *g,
                                                           const char *kind, const char *text, ...);
int fxs_answer_ok(struct fxs_front *f, struct fxs_guest *g);
int fxs_answer_health(struct fxs_front *f, struct fxs_guest *g);

/* --- budget.c --- */

/* Divides the memory among the engines. */
void fxs_budget_divide(struct fxs_front *f);

#endif
