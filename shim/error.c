/* SPDX-License-Identifier: Apache-2.0 */
/* State of a thread: its connection and its last error. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <time.h>
#include <utlist.h>

#include "proto/client/conn.h"
#include "shim/shim.h"

enum { EXIT_MS = 10 };

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
    fx_session_give_back(&t->channel);
    msgpack_sbuffer_destroy(&t->header);
    free(t->text);
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
    if (t) {
        msgpack_sbuffer_init(&t->header);
        pthread_setspecific(key, t);
        self = t;
        pthread_mutex_lock(&threads.lock);
        DL_APPEND(threads.list, t);
        pthread_mutex_unlock(&threads.lock);
    }
    return t;
}

int fx_thread_engage(struct fx_thread *t)
{
    int idle = FX_IDLE;
    if (t->calls++ > 0 || __atomic_compare_exchange_n(&t->engaged, &idle, FX_ENGAGED, 0,
                                                      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return 0;
    t->calls--;
    fx_fail(FAISSX_E_SESSION, "this process is ending, and has ended its session");
    return -1;
}

void fx_thread_disengage(struct fx_thread *t)
{
    if (--t->calls == 0)
        __atomic_store_n(&t->engaged, FX_IDLE, __ATOMIC_RELEASE);
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
        int idle = FX_IDLE;
        if (!__atomic_compare_exchange_n(&t->engaged, &idle, FX_TAKEN, 0, __ATOMIC_ACQUIRE,
                                         __ATOMIC_RELAXED))
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
        if (self)
            DL_APPEND(threads.list, self);
    }
    pthread_mutex_unlock(&threads.lock);
}

/* The real library's last error of this thread, without loading a library. */
static const char *real_error(void)
{
    const struct fx_library *lib = fx_real_if_loaded();
    return lib && lib->api.get_last_error ? lib->api.get_last_error() : NULL;
}

void fx_set_error(int error, const char *text, size_t len)
{
    struct fx_thread *t = fx_self();
    if (!t)
        return;
    t->failures++;
    char *copy = malloc(len + 1);
    if (!copy)
        return;
    memcpy(copy, text, len);
    copy[len] = '\0';
    free(t->text);
    t->text = copy;
    t->error = error;
    t->real_error = real_error();
}

void fx_error_append(const char *more)
{
    char *text = NULL;
    if (!self || !self->text || asprintf(&text, "%s%s", self->text, more) < 0)
        return;
    free(self->text);
    self->text = text;
}

void fx_error_save(struct fx_error *e)
{
    *e = (struct fx_error){0};
    if (!self)
        return;
    *e = (struct fx_error){self->error, self->text, self->real_error};
    self->text = NULL;
}

void fx_error_restore(struct fx_error *e)
{
    if (!self)
        return;
    free(self->text);
    self->error = e->error;
    self->text = e->text;
    self->real_error = e->real_error;
}

int fx_fail(int error, const char *fmt, ...)
{
    char text[1024] = "faissx: ";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + 8, sizeof text - 8, fmt, ap);
    va_end(ap);
    fx_set_error(error, text, strlen(text));
    return -4;
}

/* FAISS keeps the last exception of a thread.  The shim's errors join that series: the
 * newer of the two is the last error.  A newer exception of the real library is another
 * object, so its text stands at another address. */
const char *fx_last_error(void)
{
    const char *real = real_error();
    if (self && self->text) {
        if (real == self->real_error)
            return self->text;
        self->error = FAISSX_E_FAISS;
    }
    return real;
}

FX_EXPORT int faissx_last_error_code(void)
{
    const char *real = real_error();
    if (self && self->text && real == self->real_error)
        return self->error;
    return real ? FAISSX_E_FAISS : FAISSX_OK;
}
