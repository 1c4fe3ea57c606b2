/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine: the process that runs FAISS for one tenant.
 *
 * run/       connections, worker threads, threads for wide work, requests and their locks
 * objects/   handles, sessions, published indexes, large arrays in transfer
 * catalogue/ operations on named indexes that are made of calls to the C API
 * training/  indexes that take vectors before they are trained
 * dialect/   the dialect of FAISSx's Python client, translated to the catalogue
 * call/      calls to the C API: arguments, the call, results; index files; FAISS's output
 * search/    searches run in batches, or split among the cores
 * keep/      published indexes on disk
 * guard/     refuses calls that would crash or exhaust memory; the process's sandbox
 *
 * One mutex, engine.lock, guards the tables of objects, sessions, blobs and names, and the queues.
 * No thread holds it while it calls FAISS or uses a socket.  Lock order: a connection's lock, then
 * engine.lock.
 */
#ifndef FXE_ENGINE_H
#define FXE_ENGINE_H

#include <pthread.h>
#include <uthash.h>

#include "proto/library.h"
#include "proto/memfd.h"
#include "proto/wire.h"
#include "server/options.h"

struct fxe_req;
struct fxe_obj;
struct fxe_blob;
struct fxe_stream;
struct fxe_session;

struct fxe_engine {
    pthread_mutex_t lock;
    struct fx_library lib;
    struct fxs_options options;
    int cores;          /* OpenMP threads for wide work; see fxe_session_width */
    size_t max_pending; /* limit on the bytes of requests and replies in transit */
    void (*omp_set_num_threads)(int);
    void (*delete_array)(void *); /* frees arrays that FAISS allocated with new[] */
    uint64_t instance;            /* random: distinguishes this process from its predecessor */
    int64_t started_ms;
};

extern struct fxe_engine fxe_engine;

/* The functions of the loaded libfaiss_c. */
static inline const struct fx_api *fxe_api(void)
{
    return &fxe_engine.lib.api;
}

static inline void fxe_lock(void)
{
    pthread_mutex_lock(&fxe_engine.lock);
}
static inline void fxe_unlock(void)
{
    pthread_mutex_unlock(&fxe_engine.lock);
}

/* The main function of `faissx-server engine ...`, which the front starts. */
int fxe_main(int argc, char **argv);

int64_t fxe_now_ms(void); /* monotonic */

#endif
