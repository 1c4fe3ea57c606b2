/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside an engine: the process that runs FAISS for one tenant.
 *
 *     pool.c      threads: read the link, run requests, one wide lane
 *     direct.c    connections that do not pass through the front
 *     request.c   one request, from its header to its reply
 *     call.c      functions of the C API: arguments, the call, results
 *     coalesce.c  waiting searches done together; flat.c, flat_kernel.c: how
 *     object.c    handles: who owns what, who uses what, when it is freed
 *     lock.c      readers and writers of objects
 *     values.c    selectors, parameters and results, rebuilt for a call
 *     blob.c      large arrays in pieces
 *     files.c     saving and loading indexes; source.c: what FAISS reads from
 *     special.c   functions that the table cannot describe
 *     check.c     arguments that FAISS must not see
 *                 and check_arrays.c; code_size.c: one that FAISS forgets to tell
 *     extras.c    functions of forks, made of others
 *     sandbox.c   the engine without a file system
 *     stats.c     counters
 *
 * One mutex, engine.lock, guards the tables of objects, sessions, blobs and queues, and
 * is never held while FAISS runs or the link is written.
 */
#ifndef FXE_ENGINE_H
#define FXE_ENGINE_H

#include <pthread.h>
#include <uthash.h>

#include "library.h"
#include "link.h"

#ifndef FAISSX_VERSION
#define FAISSX_VERSION "0.1.0"
#endif

enum { FXE_MAX_PARAMS = 12 };

struct fxe_req;
struct fxe_obj;
struct fxe_blob;
struct fxe_stream;

struct fxe_session {
    uint8_t token[FX_TOKEN_SIZE];
    struct fxe_obj *objects; /* list, through obj.next_in_session */
    struct fxe_blob *blobs;  /* by id */
    struct fxe_stream *streams;
    int busy; /* requests under way */
    int ended;
    UT_hash_handle hh;
};

struct fxe_engine {
    pthread_mutex_t lock;
    struct fx_link link;
    struct fx_library lib;
    const char *tenant;
    int threads;   /* of the pool */
    int cores;     /* of the wide lane */
    int coalesce;  /* enum fxe_coalesce */
    int lease;     /* seconds, as the front keeps it */
    size_t memory; /* bytes that uploads may take; 0: any */
    void (*omp_set_num_threads)(int);
    void (*delete_array)(void *); /* of what FAISS made with new[] */
    char direct[128];             /* endpoint for clients of this host, or "" */
    const char *previous;         /* how the engine before this one ended, or NULL */
    uint64_t instance;            /* a number that no other engine has */
    struct fxe_session *sessions;
    uint64_t started_ms;
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

/* pool.c: read requests and run them, until the link ends or a stop is asked for. */
void fxe_pool_run(void);
struct fxe_conn;
/* A request of the direct connection has been answered: look for the next one. */
void fxe_pool_answered(struct fxe_conn *c);
/* Requests read and not answered; with engine.lock. */
int fxe_pool_under_way(void);
/* The request has its locks now (lock.c calls this, engine.lock held). */
void fxe_pool_ready(struct fxe_req *r);

#endif
