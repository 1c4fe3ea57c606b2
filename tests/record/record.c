/* SPDX-License-Identifier: Apache-2.0 */
/* Entry points of the recording library: each logs the call and either fails or answers. */
#include "record.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void rec_lock(void)
{
    pthread_mutex_lock(&lock);
}

void rec_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* Value objects are written with their contents, so that a copy that the server rebuilt reads the
 * same. */
static void describe(struct text *t, const void *p, int cls)
{
    struct obj *o = rec_find(p);
    (void)cls;
    if (!p)
        text_add(t, "nil");
    else if (!o)
        text_add(t, "?");
    else if (fx_classes[o->cls].value)
        rec_describe_value(t, o);
    else
        text_add(t, "%s", o->name);
}

static void answer(const struct fn_call *c, union fx_val *ret)
{
    *ret = (union fx_val){.i = 0};
    if (!rec_value(c, ret) && !rec_file(c, ret))
        rec_answer(c, ret);
}

/* Calls a function that the size of an array depends on.  The client did not make this call, so it
 * is not logged. */
static int ask(void *ctx, int op, union fx_val *v)
{
    struct fn_call c = {.op = op, .fn = &fx_fns[op], .v = v};
    (void)ctx;
    if (!rec_find(v[0].p))
        return -1;
    answer(&c, &v[c.fn->nparams]);
    return 0;
}

static const struct describe how = {describe, ask};

static struct text notes;

void rec_note(const char *fmt, ...)
{
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    text_add(&notes, "\n%s", line);
}

static void append(struct text *t)
{
    if (notes.s) {
        text_add(t, "%s", notes.s);
        text_free(&notes);
        notes = (struct text){0};
    }
    static int fd = -2;
    if (fd == -2) {
        const char *path = getenv("RECORD_LOG");
        fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
    }
    text_add(t, "\n");
    /* One write for each line, so that the line is there even if the process dies next. */
    if (fd >= 0 && write(fd, t->s, t->len) != (ssize_t)t->len)
        abort();
}

static int named(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return 1;
    return 0;
}

static int must_fail(const struct fx_fn *fn)
{
    const char *list = getenv("RECORD_FAIL");
    if (!list || fn->ret.kind != FX_ERR)
        return 0;
    if (strcmp(list, "*") == 0)
        return rec_int(NULL, "distance_compute_blas_threshold") == -1;
    return named(list, fn->name);
}

static union fx_val call(int op, union fx_val *v)
{
    struct text t = {0};
    rec_lock();
    struct fn_call c = text_call(&how, op, v);
    union fx_val *ret = &v[c.fn->nparams];
    text_args(&t, &how, &c);
    if (must_fail(c.fn))
        ret->i = rec_fail("recorded failure of %s", c.fn->name);
    else
        answer(&c, ret);
    text_results(&t, &how, &c);
    append(&t);
    text_free(&t);
    rec_unlock();
    return *ret;
}

#define FX_STUB_STORAGE __attribute__((visibility("default")))
#define FX_STUB(name) faiss_##name
#define FX_STUB_CALL(op, v) call(op, v)
#include "stubs.h"
