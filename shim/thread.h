/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shim keeps for each thread that calls it: its connection, the request that it is
 * making, and its last error.
 *
 * A thread owns its struct fx_thread, which is freed when the thread ends.  No other thread touches
 * it, except that a thread which ends the process may take the connection of one that has no call
 * under way (fx_threads_take).
 */
#ifndef FX_THREAD_H
#define FX_THREAD_H

#include <msgpack.h>
#include <pthread.h>

#include "shim/error.h"
#include "shim/event.h"
#include "shim/transport/session.h"

enum { FX_CALLER_SIZE = 16 };

enum fx_thread_state {
    FX_THREAD_IDLE,    /* it has no call under way */
    FX_THREAD_CALLING, /* it has */
    FX_THREAD_ENDED    /* its connection was taken: it cannot make calls any more */
};

/* The call within which others are made: an upload before a request that names it, or opening an
 * index by its name again. */
struct fx_outer {
    uint64_t id;      /* of a request whose answer is still wanted; 0: there is none */
    int64_t deadline; /* for all of it */
};

struct fx_thread {
    struct fx_thread *prev, *next; /* of all threads; with threads.lock */
    struct fx_channel channel;
    uint8_t caller[FX_CALLER_SIZE]; /* who makes its requests; see fx_thread_caller */
    int has_caller;
    uint64_t last_request; /* id of the newest; the first is random: no thread takes a reply to
                              another one's request for its own */
    struct fx_outer outer;
    struct fx_seen seen;    /* see shim/event.h */
    int calls;              /* under way: sending a large array takes calls within the call */
    int cancel;             /* whether the program lets the thread be cancelled */
    int state;              /* enum fx_thread_state; atomic */
    int joining;            /* it is sending joined adds, see join.h */
    msgpack_sbuffer header; /* of the request being made; its memory is reused */
    struct fx_error last;
    unsigned failures; /* see fx_error_count() */
    int call;          /* FAISSX_*, of the last call */
};

/* The calling thread's; NULL when it has none and memory is out. */
struct fx_thread *fx_self(void);

/* The same, but NULL when it has none yet. */
struct fx_thread *fx_self_if_any(void);

/* 16 random bytes that name the thread in its requests, for as long as it lives.  A forked child
 * has others. */
const uint8_t *fx_thread_caller(struct fx_thread *t);

/* A number below `n` for this thread's next wait; n > 0. */
uint64_t fx_thread_random(struct fx_thread *t, uint64_t n);

/* A call begins, or ends.  Beginning one fails when the process is ending.  In between the thread
 * cannot be cancelled: it would leave locks held, and a reply unread.  *cancel is what it was
 * before. */
int fx_thread_engage(struct fx_thread *t, int *cancel);
void fx_thread_disengage(struct fx_thread *t, int cancel);

/* The program's own code is about to run within a call, and has run.  Its time does not count, and
 * if it leaves by longjmp(), later calls have time limits of their own.  fx_thread_back returns how
 * many milliseconds it took. */
struct fx_away {
    int64_t began, deadline;
};
struct fx_away fx_thread_leave(struct fx_thread *t);
int64_t fx_thread_back(struct fx_thread *t, struct fx_away a);

/* For the end of the process: the connection of a thread that has no call under way, made in
 * `epoch`.  Threads that were looked at can make no more calls.  NULL when there is none. */
struct fx_conn *fx_threads_take(unsigned epoch);

/* Take a lock that nobody holds for long unless something is wrong.  Fails after a few
 * milliseconds, without an error: for the end of the process, which must not wait. */
int fx_lock_soon(pthread_mutex_t *lock);

void fx_threads_fork_prepare(void);
void fx_threads_fork_done(int in_child);

#endif
