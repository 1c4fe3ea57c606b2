/* SPDX-License-Identifier: Apache-2.0 */
/* What the source files of the front share.  Used by its only thread. */
#ifndef FXS_STATE_H
#define FXS_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include <msgpack.h>

#include "server/event.h"
#include "server/front/engines.h"
#include "server/front/guest.h"
#include "server/options.h"

/* A name in --bind may have several addresses; one more is for `near`. */
enum { FXS_LISTENERS_MAX = 4 * FXS_BINDS_MAX + 1 };

/* A listening socket. */
struct fxs_listener {
    struct fxs_event source; /* first: epoll's pointer is both */
    bool tcp;
    char path[108]; /* the file of a Unix socket, removed at the end; or "" */
};

struct fxs_front {
    const struct fxs_options *options;
    struct fxs_auth *auth;     /* NULL: no authentication */
    struct fxs_secure *secure; /* keys of CURVE; NULL: it is not offered */
    int epoll;
    struct fxs_event signals;
    struct fxs_listener listeners[FXS_LISTENERS_MAX];
    int nlisteners;
    char near[FX_NEAR_SIZE]; /* endpoint for clients on this host that connect over TCP, or "" */
    char near_dir[100];      /* its directory, or "" */
    struct fxs_engines engines;
    struct fxs_guests guests;
    int most_waiting; /* guests that may wait for one engine */
    int64_t now; /* monotonic clock of this round of the loop, ms; so are the following times */
    int64_t started;
    int64_t resume;  /* when paused listeners accept again; 0: they are not paused */
    int64_t give_up; /* while stopping: when to kill engines that still run */
    int64_t budget;  /* when to divide the memory next */
    int data_lock;   /* descriptor that holds the lock of the data directory, or -1 */
    bool stopping;
    uint64_t accepted, refused; /* connections */
};

static inline int fxs_watch(struct fxs_front *f, struct fxs_event *s, int op, uint32_t events)
{
    return fxs_event_watch(f->epoll, s, op, events);
}

/* --- listen.c --- */

/* Listens on all endpoints, and on the one for clients on this host.  Returns 0, or logs why it
 * cannot and returns -1. */
int fxs_listen(struct fxs_front *f);
/* Accepts waiting connections, up to a limit, so that other events have their turn. */
void fxs_accept(struct fxs_front *f, struct fxs_listener *l);
/* Stops accepting for PAUSE_MS, because this process is out of descriptors or memory. */
void fxs_listen_pause(struct fxs_front *f);
void fxs_listen_resume(struct fxs_front *f);
/* Closes the listeners and removes the socket files. */
void fxs_listen_end(struct fxs_front *f);
/* Connects to a socket and closes the connection.  Returns 0, or the errno of connect(2). */
int fxs_connect_error(const struct sockaddr_un *addr);

/* --- near.c --- */

enum { FXS_NEAR_MODE = 0711 };

/* Makes f->near_dir and sets f->near, and removes the folders that killed servers have left.
 * Returns 0, or -1 if it cannot. */
int fxs_near_name(struct fxs_front *f);

/* --- guest.c --- */

/* Makes a guest of an accepted connection.  Takes fd. */
void fxs_guest_new(struct fxs_front *f, int fd, bool tcp, bool near, const char *peer);
/* Closes the connection; `why` is for the log. */
void fxs_guest_close(struct fxs_front *f, struct fxs_guest *g, const char *why);
/* Counts it among the refused, once. */
void fxs_guest_count(struct fxs_front *f, struct fxs_guest *g);
/* Removes a guest that has been handed over to an engine; sends nothing. */
void fxs_guest_left(struct fxs_front *f, struct fxs_guest *g);
/* Sends bytes, all at once: nothing is queued.  Returns 0, or -1 if not all could be sent. */
int fxs_guest_send(const struct fxs_guest *g, const void *data, size_t n);
/* Drops n bytes at the beginning of the guest's buffer. */
void fxs_guest_consume(struct fxs_guest *g, size_t n);
/* Ends our side of the connection, and drops what the peer still sends. */
void fxs_guest_drain(struct fxs_front *f, struct fxs_guest *g);
/* Sends an error, and closes the guest when it has ended its side. */
void fxs_guest_refuse(struct fxs_front *f, struct fxs_guest *g, const char *kind, const char *why);
/* Closes guests whose deadline has passed.  Returns the next deadline, or INT64_MAX. */
int64_t fxs_guests_expire(struct fxs_front *f);
/* Frees guests that are gone.  Called after each round of events, which may still point to them. */
void fxs_guests_bury(struct fxs_front *f);

/* --- answer.c: each returns 0, or -1 if the reply could not be sent --- */

/* Replies with an error; "faissx: " is put before `text`. */
__attribute__((format(printf, 4, 5))) int fxs_answer_error(struct fxs_front *f, struct fxs_guest *g,
                                                           const char *kind, const char *text, ...);
/* Sends a message of one frame, and frees `buf`. */
int fxs_answer_send(struct fxs_guest *g, msgpack_sbuffer *buf);
int fxs_answer_ok(struct fxs_front *f, struct fxs_guest *g);
int fxs_answer_health(struct fxs_front *f, struct fxs_guest *g);

/* --- data_dir.c --- */

/* Creates the data directory if need be, and locks it, so that only one server uses it.  Returns 0,
 * or logs why it cannot and returns -1. */
int fxs_data_dir_open(struct fxs_front *f);
/* Creates the directory of a tenant's store and writes its path; "" if nothing is kept.  Returns 0,
 * or -1 with errno set. */
int fxs_data_dir_of(const struct fxs_front *f, const char *tenant, char *path, size_t len);

/* --- budget.c --- */

/* Sets the memory limit of each engine. */
void fxs_budget_divide(struct fxs_front *f);

#endif
