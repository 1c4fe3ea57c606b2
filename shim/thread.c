/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <utlist.h>

#include "proto/client/conn.h"
#include "shim/faissx.h"

enum { EXIT_MS = 100 };

static _Thread_local struct fx_thread *self;
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static struct {
    pthread_mutex_t lock;
    struct fx_thread *list;
} threads = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void thread_end(void *arg)
{
    struct fx_thread *t = arg;
    pthread_mutex_lock(&threads.lock);
    DL_DELETE(threads.list, t);
    pthread_mutex_unlock(&threads.lock);
    fx_session_give_back(&t->channel, t->calls > 0);
    msgpack_sbuffer_destroy(&t->header);
    free(t->last.text);
    free(t);
    self = NULL;
}

static void make_key(void)
{
    pthread_key_create(&key, thread_end);
}

struct fx_thread *fx_self(void)
{
    if (self)
        return self;
    pthread_once(&key_once, make_key);
    struct fx_thread *t = calloc(1, sizeof *t);
    uint32_t first;
    if (t) {
        if (getrandom(&first, sizeof first, 0) == (ssize_t)sizeof first)
            t->last_request = first;
        msgpack_sbuffer_init(&t->header);
        pthread_setspecific(key, t);
        self = t;
        pthread_mutex_lock(&threads.lock);
        DL_APPEND(threads.list, t);
        pthread_mutex_unlock(&threads.lock);
    }
    return t;
}

struct fx_thread *fx_self_if_any(void)
{
    return self;
}

const uint8_t *fx_thread_caller(struct fx_thread *t)
{
    size_t done = 0;
    while (!t->has_caller && done < sizeof t->caller) {
        ssize_t n = getrandom(t->caller + done, sizeof t->caller - done, 0);
        if (n < 0 && errno != EINTR)
            break; /* no kernel that this runs on does that; the session's token is random, too */
        if (n > 0)
            done += (size_t)n;
    }
    t->has_caller = 1;
    return t->caller;
}

uint64_t fx_thread_random(struct fx_thread *t, uint64_t n)
{
    uint64_t x;
    struct timespec now;
    memcpy(&x, fx_thread_caller(t), sizeof x);
    clock_gettime(CLOCK_MONOTONIC, &now);
    x ^= (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u;
    x ^= x >> 31;
    x *= 0xbf58476d1ce4e5b9u;
    return (x ^ x >> 29) % n;
}

static int change_state(struct fx_thread *t, int from, int to)
{
    return __atomic_compare_exchange_n(&t->state, &from, to, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

struct fx_away fx_thread_leave(struct fx_thread *t)
{
    struct fx_away a = {fx_now_ms(), t->outer.deadline};
    t->outer.deadline = 0;
    return a;
}

int64_t fx_thread_back(struct fx_thread *t, struct fx_away a)
{
    int64_t spent = fx_now_ms() - a.began;
    t->outer.deadline = a.deadline ? a.deadline + spent : 0;
    return spent;
}

int fx_thread_engage(struct fx_thread *t, int *cancel)
{
    if (t->calls > 0 || change_state(t, FX_THREAD_IDLE, FX_THREAD_CALLING)) {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, cancel);
        if (t->calls++ == 0)
            t->cancel = *cancel;
        return 0;
    }
    return fx_fail(FAISSX_E_SESSION, "this process is ending, and has ended its session");
}

void fx_thread_disengage(struct fx_thread *t, int cancel)
{
    if (--t->calls == 0)
        __atomic_store_n(&t->state, FX_THREAD_IDLE, __ATOMIC_RELEASE);
    pthread_setcancelstate(cancel, NULL);
}

int fx_lock_soon(pthread_mutex_t *lock)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += EXIT_MS * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return pthread_mutex_timedlock(lock, &t) == 0 ? 0 : -1;
}

struct fx_conn *fx_threads_take(unsigned epoch)
{
    struct fx_conn *found = NULL;
    if (fx_lock_soon(&threads.lock) != 0)
        return NULL;
    for (struct fx_thread *t = threads.list; t && !found; t = t->next) {
        if (!change_state(t, FX_THREAD_IDLE, FX_THREAD_ENDED))
            continue;
        if (t->channel.conn && t->channel.epoch == epoch && !fx_conn_is_dead(t->channel.conn))
            found = t->channel.conn;
    }
    pthread_mutex_unlock(&threads.lock);
    return found;
}

void fx_threads_fork_prepare(void)
{
    pthread_mutex_lock(&threads.lock);
}

/* A child has one thread: the one that forked. */
void fx_threads_fork_done(int in_child)
{
    if (in_child) {
        threads.list = NULL;
        if (self) {
            self->has_caller = 0;
            DL_APPEND(threads.list, self);
        }
    }
    pthread_mutex_unlock(&threads.lock);
}
