/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/export.h"
#include "shim/faissx.h"
#include "shim/real.h"
#include "shim/thread.h"

/* The real library's last error of this thread, if the library is loaded. */
static const char *real_error(void)
{
    const struct fx_library *lib = fx_real_if_loaded();
    return lib && lib->api.get_last_error ? lib->api.get_last_error() : NULL;
}

void fx_set_error(int error, int code, const char *text, size_t len)
{
    struct fx_thread *t = fx_self();
    if (!t)
        return;
    t->failures++;
    t->last.error = error;
    t->last.code = code;
    t->last.real_error = real_error();
    char *copy = malloc(len + 1);
    if (!copy)
        return; /* the old text stays */
    memcpy(copy, text, len);
    copy[len] = '\0';
    free(t->last.text);
    t->last.text = copy;
}

static int vfail(int error, int code, const char *fmt, va_list ap)
{
    char text[1024] = "faissx: ";
    vsnprintf(text + 8, sizeof text - 8, fmt, ap);
    fx_set_error(error, code, text, strlen(text));
    return -1;
}

int fx_fail(int error, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfail(error, STD_EXCEPT, fmt, ap);
    va_end(ap);
    return -1;
}

int fx_fail_code(int error, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfail(error, code, fmt, ap);
    va_end(ap);
    return -1;
}

void fx_error_append(const char *more)
{
    struct fx_thread *self = fx_self_if_any();
    char *text = NULL;
    if (!self || !self->last.text || asprintf(&text, "%s%s", self->last.text, more) < 0)
        return;
    free(self->last.text);
    self->last.text = text;
}

void fx_error_name_file(const char *name)
{
    static const char what[] = "read error in ";
    struct fx_thread *self = fx_self_if_any();
    const char *at = self && self->last.text ? strstr(self->last.text, what) : NULL;
    char *text = NULL;
    if (!at || at[sizeof what - 1] != ':')
        return;
    at += sizeof what - 1;
    if (asprintf(&text, "%.*s%s%s", (int)(at - self->last.text), self->last.text, name, at) < 0)
        return;
    free(self->last.text);
    self->last.text = text;
}

int fx_error_kind(void)
{
    const struct fx_thread *self = fx_self_if_any();
    return self ? self->last.error : FAISSX_OK;
}

unsigned fx_error_count(void)
{
    const struct fx_thread *self = fx_self_if_any();
    return self ? self->failures : 0;
}

void fx_error_note_call(int failed)
{
    struct fx_thread *self = fx_self_if_any();
    int code = failed ? faissx_last_error_code() : FAISSX_OK;
    if (self)
        self->call = failed && code == FAISSX_OK ? FAISSX_E_FAISS : code;
}

int fx_abi_code(int rc)
{
    const struct fx_thread *self = fx_self_if_any();
    if (rc == 0)
        return OK;
    /* Without a thread's state, memory is out. */
    return self && self->last.code != OK ? self->last.code : STD_EXCEPT;
}

void fx_error_save(struct fx_error *e)
{
    struct fx_thread *self = fx_self_if_any();
    *e = (struct fx_error){0};
    if (!self)
        return;
    *e = self->last;
    self->last.text = NULL;
}

void fx_error_restore(struct fx_error *e)
{
    struct fx_thread *self = fx_self_if_any();
    if (!self)
        return;
    free(self->last.text);
    self->last = *e;
}

/* Returns the shim's own last error, or NULL if the real library has had one since.  A newer
 * exception is another object, so its text is at another address; an even newer one may be where
 * the first was, so the own text is forgotten. */
static const char *own_error(struct fx_thread *self, const char *real)
{
    if (self && self->last.text && real != self->last.real_error) {
        free(self->last.text);
        self->last.text = NULL;
        self->last.error = FAISSX_E_FAISS;
    }
    return self ? self->last.text : NULL;
}

const char *fx_last_error(void)
{
    const char *real = real_error(), *own = own_error(fx_self_if_any(), real);
    return own ? own : real;
}

FX_EXPORT int faissx_last_error_code(void)
{
    struct fx_thread *self = fx_self_if_any();
    const char *real = real_error();
    if (own_error(self, real))
        return self->last.error;
    return real ? FAISSX_E_FAISS : FAISSX_OK;
}

FX_EXPORT int faissx_last_call(void)
{
    const struct fx_thread *self = fx_self_if_any();
    return self ? self->call : FAISSX_OK;
}
