/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine processes: one for each tenant, started when it is first needed and again
 * after it died.
 *
 * A record of a tenant stays for the life of the server, so that sessions and pending
 * requests can point to it.  Used by the front's only thread; nothing here waits for a
 * process but fxs_engines_kill.  Times are monotonic milliseconds.
 */
#ifndef FX_ENGINES_H
#define FX_ENGINES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

#include "auth.h"
#include "link_front.h"
#include "options.h"

enum fxs_engine_state {
    FXS_DOWN,    /* no process */
    FXS_RUNNING, /* a process and a link */
    FXS_DYING    /* its link is closed, the process not yet reaped */
};

struct fxs_engine {
    char tenant[FXS_TENANT_MAX + 1];
    enum fxs_engine_state state;
    pid_t pid;
    struct fxs_link link;
    bool polled;     /* POLLOUT is asked for */
    bool later;      /* the queue waits for memory: flush it at the next tick */
    bool answered;   /* this process has sent a reply */
    int64_t started; /* when this process was */
    int64_t not_yet; /* no new start before this time */
    size_t pending;  /* requests that this tenant waits for */
    size_t held;     /* and their bytes */
    char death[128]; /* how the last process ended: "signal 11, Segmentation fault" */
    UT_hash_handle hh;
};

struct fxs_engines {
    struct fxs_engine *by_tenant;
    const struct fxs_options *options;
    int epoll; /* links are registered here, data.ptr is the engine */
};

void fxs_engines_init(struct fxs_engines *t, const struct fxs_options *options, int epoll);
/* Forget all tenants; their processes must be gone. */
void fxs_engines_free(struct fxs_engines *t);

/* The record of a tenant, new if need be; NULL without memory. */
struct fxs_engine *fxs_engine_of(struct fxs_engines *t, const char *tenant);

/* Make sure that it runs.  Returns 0, or -1 and why not. */
int fxs_engine_need(struct fxs_engines *t, struct fxs_engine *e, int64_t now, char *why,
                    size_t len);

/* Send or queue; see fxs_link_send.  The engine must be running.  That it has just died
 * is no error: its death is noticed soon, and deals with all that is pending. */
void fxs_engine_send(struct fxs_engines *t, struct fxs_engine *e, struct fx_link_head *head,
                     zmq_msg_t *frames);
void fxs_engine_flush(struct fxs_engines *t, struct fxs_engine *e);

/* Its link is broken or senseless: close it, and end the process.  `why` is logged. */
void fxs_engine_cut(struct fxs_engines *t, struct fxs_engine *e, const char *why);

/* Reap what has ended.  For each, died(ctx, e) is called with e->death filled and the
 * link still open when it was: its last replies are there to be read. */
void fxs_engines_reap(struct fxs_engines *t, int64_t now,
                      void (*died)(void *ctx, struct fxs_engine *e), void *ctx);

/* How many processes there are. */
size_t fxs_engines_running(const struct fxs_engines *t);

/* SIGKILL for all. */
void fxs_engines_kill(struct fxs_engines *t);

#endif
