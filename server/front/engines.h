/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine processes: one for each tenant, started when it is first needed, and again when it is
 * needed after it has died.
 *
 * The record of a tenant stays until the server exits.  Used by the front's only thread; no
 * function here waits for a process.
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
    FXS_STARTING, /* the process loads the library */
    FXS_RUNNING,  /* it takes connections */
    FXS_DYING     /* it ends, or its link is closed, and the process is not reaped yet */
};

struct fxs_engine {
    struct fxs_event link; /* first: epoll's pointer is both */
    char tenant[FXS_TENANT_MAX + 1];
    enum fxs_engine_state state;
    pid_t pid;                    /* 0: none, or reaped */
    bool was_ready;               /* this process has sent FXS_READY */
    uint32_t handed;              /* connections that this process was handed */
    bool full;                    /* the link is full: epoll reports when it has room */
    struct fxs_guest *waiting;    /* connections to be handed over, in order, */
    int nwaiting;                 /* so many */
    int64_t started;              /* when this process was started, ms */
    int64_t not_yet;              /* when the next start is allowed, ms */
    uint64_t used;                /* bytes of memory when budget.c last looked */
    char death[FX_PREVIOUS_SIZE]; /* how the last process ended: "signal 11, Segmentation fault" */
    UT_hash_handle hh;
};

struct fxs_engines {
    struct fxs_engine *by_tenant;
};

/* Returns the record of a tenant, and makes it if necessary; NULL if memory is out. */
struct fxs_engine *fxs_engine_of(struct fxs_engines *t, const char *tenant);

/* Starts the engine unless it has a process.  Returns 0, or -1 and the reason in `why`. */
int fxs_engine_need(struct fxs_front *f, struct fxs_engine *e, char *why, size_t len);

/* Hands the connection over, now or when the engine is ready; until then it waits in e->waiting. */
void fxs_engine_take(struct fxs_front *f, struct fxs_engine *e, struct fxs_guest *g);
/* Takes the guest out of e->waiting. */
void fxs_engine_forget(struct fxs_engine *e, struct fxs_guest *g);

/* Tells all engines to finish their requests and exit. */
void fxs_engines_stop(struct fxs_front *f);

/* Reaps engines that have ended, and restarts those that connections wait for. */
void fxs_engines_reap(struct fxs_front *f);

/* Returns the number of engine processes. */
size_t fxs_engines_running(const struct fxs_engines *t);

/* Sends SIGKILL to all engines. */
void fxs_engines_kill(struct fxs_engines *t);
/* Frees all records; the processes must have ended. */
void fxs_engines_free(struct fxs_engines *t);

#endif
