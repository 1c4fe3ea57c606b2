/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside an engine: the process that runs FAISS for one tenant.
 *
 * run/: connections, workers, threads for wide work, requests and what they lock.
 * objects/: handles, sessions, named indexes, large arrays that are being transferred.
 * call/: a function of the C API: its arguments, the call, its results; files; FAISS's output.
 * search/: searches that are done together, or divided among cores.
 * guard/: what must not be called, what the process must not reach, what does not fit into memory.
 *
 * One mutex, engine.lock, guards the tables of objects, sessions, blobs and names, and the queues.
 * It is never held while FAISS runs or a socket is read or written.  Lock order: a connection's
 * lock, then engine.lock.
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
    int cores;          /* for wide work, see fxe_session_width */
    size_t max_pending; /* bytes of requests and replies on their way */
    void (*omp_set_num_threads)(int);
    void (*delete_array)(void *); /* of what FAISS made with new[] */
    uint64_t instance;            /* random: tells this process from the one before */
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

/* The process: `faissx-server engine ...`, started by the front. */
int fxe_main(int argc, char **argv);

int64_t fxe_now_ms(void); /* monotonic */

#endif
