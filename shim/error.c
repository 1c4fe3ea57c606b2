/* SPDX-License-Identifier: Apache-2.0 */
/* State of a thread: its connection and its last error. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "shim.h"

static _Thread_local struct fx_thread *self;
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void thread_end(void *arg)
{
    struct fx_thread *t = arg;
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
    }
    return t;
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
