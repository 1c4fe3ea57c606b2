/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside an engine: the process that runs FAISS for one tenant.
 *
 *     pool.c      the workers: they wait for requests, read and run them
 *     wide.c      threads for calls that are worth several cores; split.c: searches divided
 *     house.c     the main thread: connections from the front, leases, what workers cannot do
 *                 while all of them compute
 *     conn.c      connections: reading; conn_send.c: replies
 *     session.c   sessions and their leases
 *     request.c   one request, from its header to its reply
 *     call.c      functions of the C API: arguments, the call, results
 *     coalesce.c  waiting searches done together; flat.c, flat_fast.c, flat_kernel.c: how
 *     joined.c    small adds that the client has put together
 *     object.c    handles: who owns what, who uses what, when it is freed
 *     lock.c      readers and writers of objects
 *     named.c     indexes that are published
 *     values.c    selectors, parameters and results, rebuilt for a call
 *     blob.c      large arrays in pieces
 *     files.c     saving and loading indexes; source.c: what FAISS reads from
 *     special.c   functions that the table cannot describe
 *     check.c     arguments that FAISS must not see
 *                 and check_arrays.c; code_size.c: one that FAISS forgets to tell
 *     guard.c     calls that end FAISS though their arguments are right: by the table of
 *                 refusal.c, for a shape of shape.c, or tried in a child by trial.c
 *     room.c      calls for which there is not enough memory; far.c: that need far too much
 *     overdue.c   calls that take too long
 *     catch.c     C++ exceptions
 *     extras.c    functions of forks, made of others; short_params.c: of old releases
 *     printed.c   what FAISS prints
 *     sandbox.c   the engine without a file system; syscalls.c: without sockets
 *     stats.c     counters
 *
 * One mutex, engine.lock, guards the tables of objects, sessions, blobs and queues, and
 * is never held while FAISS runs or a socket is read or written.  Lock order: a connection's
 * lock, then engine.lock.
 */
#ifndef FXE_ENGINE_H
#define FXE_ENGINE_H

#include <pthread.h>
#include <uthash.h>

#include "library.h"
#include "memfd.h"
#include "wire.h"

#ifndef FAISSX_VERSION
#define FAISSX_VERSION "0.1.0"
#endif

enum { FXE_MAX_PARAMS = 12 };

struct fxe_req;
struct fxe_obj;
struct fxe_blob;
struct fxe_stream;
struct fxe_session;

struct fxe_engine {
    pthread_mutex_t lock;
    struct fx_library lib;
    const char *tenant;
    int threads;        /* of the pool */
    int cores;          /* for wide work, see fxe_session_width */
    int coalesce;       /* enum fxe_coalesce */
    int call_limit;     /* seconds after which a call's caller gets an error; 0: never */
    int lease;          /* seconds that a session lives without a connection */
    size_t max_pending; /* bytes of requests and replies on their way */
    void (*omp_set_num_threads)(int);
    void (*delete_array)(void *); /* of what FAISS made with new[] */
    const char *near;             /* the front's endpoint for clients of this host, or "" */
    const char *previous;         /* how the engine before this one ended, or "" */
    uint64_t instance;            /* a number that no other engine has */
    int64_t started_ms;
};

extern struct fxe_engine fxe_engine;

static inline void fxe_lock(void)
{
    pthread_mutex_lock(&fxe_engine.lock);
}
static inline void fxe_unlock(void)
{
    pthread_mutex_unlock(&fxe_engine.lock);
}

/* The process: `faissx-server engine ...`, started by the front. */
int fx_engine_main(int argc, char **argv);

int64_t fxe_now_ms(void); /* monotonic */

#endif
