/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/copy.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/call/files.h"
#include "server/engine/guard/guard.h"
#include "server/engine/run/request.h"

enum { STACK = 1 << 20, BUFFER = 1 << 16 };

/* Bytes go from the memory that FAISS writes them from to the memory that it reads them to. */
struct passage {
    const struct fxe_obj *from;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *data; /* the `left` bytes that wait to be read */
    size_t left;
    bool written, abandoned; /* the writer, or the reader, has ended */
    int rc;                  /* of the writer */
    char why[FXE_COPY_WHY];
};

static ssize_t put(void *ctx, const char *data, size_t n)
{
    struct passage *p = ctx;
    pthread_mutex_lock(&p->lock);
    p->data = data;
    p->left = n;
    pthread_cond_signal(&p->changed);
    while (p->left && !p->abandoned)
        pthread_cond_wait(&p->changed, &p->lock);
    ssize_t done = p->left ? 0 : (ssize_t)n;
    p->left = 0;
    pthread_mutex_unlock(&p->lock);
    return done;
}

static size_t take(void *ctx, void *to, size_t want)
{
    struct passage *p = ctx;
    size_t got = 0;
    pthread_mutex_lock(&p->lock);
    while (got < want) {
        while (!p->left && !p->written)
            pthread_cond_wait(&p->changed, &p->lock);
        size_t n = p->left < want - got ? p->left : want - got;
        if (n == 0)
            break;
        memcpy((char *)to + got, p->data, n);
        p->data += n;
        p->left -= n;
        got += n;
        if (!p->left)
            pthread_cond_signal(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return got;
}

/* Any other error than FAISS's own is a lack of memory: nothing else is used. */
static void explain(int rc, char why[FXE_COPY_WHY])
{
    const char *text = rc == FAISS_EXCEPT ? fxe_api()->get_last_error() : NULL;
    snprintf(why, FXE_COPY_WHY, "%s", text ? text : "");
}

static void *write_index(void *arg)
{
    struct passage *p = arg;
    void *index = p->from->ptr;
    FILE *f = fopencookie(p, "w", (cookie_io_functions_t){.write = put});
    p->rc = STD_EXCEPT;
    if (fxe_engine.omp_set_num_threads)
        fxe_engine.omp_set_num_threads(1);
    if (f) {
        setvbuf(f, NULL, _IOFBF, BUFFER);
        p->rc = fx_root(p->from->cls) == FX_CLASS_IndexBinary
                    ? fxe_api()->write_index_binary(index, f)
                    : fxe_api()->write_index(index, f);
        explain(p->rc, p->why);
        if (fclose(f) != 0 && p->rc == 0)
            p->rc = STD_EXCEPT;
    }
    pthread_mutex_lock(&p->lock);
    p->written = true;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static int start(pthread_t *t, struct passage *p)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    int rc = pthread_create(t, &attr, write_index, p);
    pthread_attr_destroy(&attr);
    return rc;
}

/* Some releases end the process when they write some indexes. */
static int may_write(struct fxe_obj *o, char *why)
{
    struct fxe_req probe = {.operation = &fxe_save_operation};
    int rc = fxe_guard_save(&probe, o);
    if (rc != 0)
        snprintf(why, FXE_COPY_WHY, "%s", probe.message ? probe.message : "it cannot be written");
    free(probe.message);
    return rc;
}

int fxe_copy_index(struct fxe_obj *o, int flags, void **copy, char why[FXE_COPY_WHY])
{
    struct passage p = {
        .from = o, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    pthread_t writer;
    *why = '\0';
    *copy = NULL;
    if (may_write(o, why) != 0 || start(&writer, &p) != 0)
        return -1;
    int rc = fxe_load_through(fx_root(o->cls), flags, take, &p, copy);
    pthread_mutex_lock(&p.lock);
    p.abandoned = true;
    pthread_cond_signal(&p.changed);
    pthread_mutex_unlock(&p.lock);
    explain(rc, why);
    pthread_join(writer, NULL);
    pthread_mutex_destroy(&p.lock);
    pthread_cond_destroy(&p.changed);
    if (rc == 0 && p.rc != 0) {
        snprintf(why, FXE_COPY_WHY, "%s", p.why);
        fxe_obj_free_faiss(fx_root(o->cls), *copy);
        *copy = NULL;
    }
    return rc == 0 && p.rc == 0 ? 0 : -1;
}
