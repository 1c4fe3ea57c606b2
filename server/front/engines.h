/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine processes: one for each tenant, started when it is first needed and again
 * after it died.
 *
 * A record of a tenant stays for the life of the server.  Used by the front's only thread;
 * nothing here waits for a process.
 */
#ifndef FXS_ENGINES_H
#define FXS_ENGINES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

#include "proto/limits.h"
#include "server/event.h"
#include "server/front/auth.h"

struct fxs_front;
struct fxs_guest;

enum fxs_engine_state {
    FXS_DOWN,     /* no process */
    FXS_STARTING, /* a process that loads the library */
    FXS_RUNNING,  /* it takes connections */
    FXS_DYING     /* its link is closed, the process not yet reaped */
};

struct fxs_engine {
    struct fxs_event link; /* first: epoll's pointer is both */
    char tenant[FXS_TENANT_MAX + 1];
    enum fxs_engine_state state;
    pid_t pid;
    bool was_ready;               /* this process has said that it is */
    bool full;                    /* the link takes no more at present: EPOLLOUT is asked for */
    struct fxs_guest *waiting;    /* connections to be handed over, in order */
    int64_t started;              /* when this process was */
    int64_t not_yet;              /* no new start before this time */
    uint64_t used;                /* bytes of memory, as budget.c last saw it */
    char death[FX_PREVIOUS_SIZE]; /* how the last process ended: "signal 11, Segmentation fault" */
    UT_hash_handle hh;
};

struct fxs_engines {
    struct fxs_engine *by_tenant;
};

/* The record of a tenant, new if need be; NULL without memory. */
struct fxs_engine *fxs_engine_of(struct fxs_engines *t, const char *tenant);

/* Make sure that it runs or starts.  Returns 0, or -1 and why not. */
int fxs_engine_need(struct fxs_front *f, struct fxs_engine *e, char *why, size_t len);

/* Hand the connection over, now or when the engine is ready; it waits in e->waiting until
 * then. */
void fxs_engine_take(struct fxs_front *f, struct fxs_engine *e, struct fxs_guest *g);
/* It does not wait any more. */
void fxs_engine_forget(struct fxs_engine *e, struct fxs_guest *g);

/* Tell all to finish what is under way and to exit. */
void fxs_engines_stop(struct fxs_front *f);

/* Reap what has ended, and start again what connections wait for. */
void fxs_engines_reap(struct fxs_front *f);

/* How many processes there are. */
size_t fxs_engines_running(const struct fxs_engines *t);

/* SIGKILL for all. */
void fxs_engines_kill(struct fxs_engines *t);
/* Forget all tenants; their processes must be gone. */
void fxs_engines_free(struct fxs_engines *t);

#endif
