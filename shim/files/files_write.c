/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes that are written: the server makes the bytes, and this process writes them into a file, a
 * stream, a callback or memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/fd.h"
#include "shim/calls/array.h"
#include "shim/calls/blob.h"
#include "shim/calls/handle.h"
#include "shim/export.h"
#include "shim/faissx.h"
#include "shim/files/named.h"
#include "shim/remote_table.h"
#include "shim/transport/repeat.h"
#include "shim/values/values.h"

struct writer {
    struct fx_value head;
    size_t (*func)(const void *ptr, size_t size, size_t nitems);
};

/* --- IOWriter --- */

static void writer_free(struct fx_value *v)
{
    free(v);
}

int fx_remote_CustomIOWriter_new(FaissCustomIOWriter **p_out,
                                 size_t (*func_in)(const void *ptr, size_t size, size_t nitems))
{
    static const char name[] = "faiss_CustomIOWriter_new";
    if (!func_in)
        return fx_abi_code(fx_fail(FAISSX_E_ARGUMENT, "%s: func_in is NULL", name));
    struct writer *w =
        fx_value_new(FX_CLASS_CustomIOWriter, sizeof *w, writer_free, (void **)p_out, name);
    if (!w)
        return fx_abi_code(-1);
    w->func = func_in;
    return 0;
}

void fx_remote_CustomIOWriter_free(FaissCustomIOWriter *obj)
{
    fx_value_end(obj, FX_CLASS_CustomIOWriter, "faiss_CustomIOWriter_free");
}

void fx_remote_IOWriter_free(FaissIOWriter *obj)
{
    fx_value_end(obj, FX_CLASS_IOWriter, "faiss_IOWriter_free");
}

/* --- from the server --- */

/* An index's bytes: here, or in a blob that is still on the server. */
struct saved {
    char *data;
    size_t size;
    uint64_t blob;
};

/* A call of `save`. */
struct save {
    struct saved *b;
    struct fx_obj *o;
    int flags;
    unsigned head; /* only so many bytes of it; 0: all */
    const char *function;
};

static int index_ready(void *ctx, int running)
{
    const struct save *s = ctx;
    return fx_object_ready(s->o, "the index", s->function, running);
}

static int pack_save(struct fx_rpc *r, void *ctx)
{
    const struct save *s = ctx;
    fx_pack_str(&r->pk, "handle");
    msgpack_pack_uint64(&r->pk, fx_obj_id(s->o));
    fx_pack_str(&r->pk, "flags");
    msgpack_pack_int(&r->pk, s->flags);
    if (s->head) {
        fx_pack_str(&r->pk, "head");
        msgpack_pack_unsigned_int(&r->pk, s->head);
    }
    return 0;
}

static int take_saved(struct fx_rpc *r, void *ctx)
{
    const struct save *s = ctx;
    struct saved *b = s->b;
    struct fx_array_in a;
    free(b->data);
    b->data = NULL;
    if (fx_array_next(r, &a) != 0)
        return -1;
    b->size = a.size;
    b->blob = a.blob;
    if (a.blob)
        return 0;
    b->data = malloc(a.size ? a.size : 1);
    if (!b->data)
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", s->function);
    return fx_rpc_read(r, b->data, a.size);
}

static int fetch(struct save *s)
{
    struct fx_rpc r;
    struct fx_request q = {.operation = "save",
                           .keys = s->head ? 3 : 2,
                           .ready = index_ready,
                           .pack = pack_save,
                           .take = take_saved,
                           .ctx = s};
    int rc = s->o ? fx_rpc_call(&r, &q) : -1;
    fx_obj_release(s->o);
    return rc;
}

/* The caller frees b->data, also after a failure. */
static int fetch_index(const void *handle, int cls, int flags, struct saved *b,
                       const char *function)
{
    struct save s = {b, fx_server_object(handle, cls, function), flags, 0, function};
    return fetch(&s);
}

static int save_to(const void *handle, int cls, int flags, fx_sink_fn sink, void *ctx,
                   const char *function)
{
    struct saved b = {0};
    int rc = fetch_index(handle, cls, flags, &b, function);
    if (rc == 0 && b.blob)
        rc = fx_download_to(b.blob, b.size, sink, ctx);
    else if (rc == 0)
        rc = sink(ctx, b.data, b.size);
    free(b.data);
    return rc;
}

/* As FAISS reports it. */
static int short_write(const char *name, size_t done, size_t n)
{
    return fx_fail_code(FAISSX_E_FAISS, FAISS_EXCEPT, "write error in %s: %zu != %zu (%s)", name,
                        done, n, strerror(errno));
}

/* --- into a stream --- */

static int to_stream(void *ctx, const void *buf, size_t n)
{
    errno = 0;
    size_t done = fwrite(buf, 1, n, ctx);
    return done == n ? 0 : short_write("the stream", done, n);
}

static int write_stream(const void *idx, int cls, FILE *f, const char *function)
{
    if (!f)
        return fx_abi_code(fx_fail(FAISSX_E_ARGUMENT, "%s: f is NULL", function));
    return fx_abi_code(save_to(idx, cls, 0, to_stream, f, function));
}

int fx_remote_write_index(const FaissIndex *idx, FILE *f)
{
    return write_stream(idx, FX_CLASS_Index, f, "faiss_write_index");
}

int fx_remote_write_index_binary(const FaissIndexBinary *idx, FILE *f)
{
    return write_stream(idx, FX_CLASS_IndexBinary, f, "faiss_write_index_binary");
}

/* --- into a callback --- */

static int to_callback(void *ctx, const void *buf, size_t n)
{
    const struct writer *w = ctx;
    struct fx_thread *self = fx_self();
    /* The callback may call FAISS itself, or leave by longjmp(), while pieces are on their way to
     * this thread.  So its calls get a connection of their own, and it may be cancelled. */
    struct fx_channel channel = self->channel;
    int before;
    self->channel = (struct fx_channel){0};
    pthread_setcancelstate(self->cancel, &before);
    errno = 0;
    size_t done = w->func(buf, 1, n);
    int error = errno;
    pthread_setcancelstate(before, NULL);
    fx_session_give_back(&self->channel, 0);
    self->channel = channel;
    errno = error;
    return done == n ? 0 : short_write("the callback", done, n);
}

static int write_to_callback(const void *idx, int cls, FaissIOWriter *io_writer, int io_flags,
                             const char *function)
{
    struct fx_obj *o;
    struct writer *w = fx_value_get(io_writer, FX_CLASS_IOWriter, function, &o);
    int rc = w ? save_to(idx, cls, io_flags, to_callback, w, function) : -1;
    fx_obj_release(o);
    return fx_abi_code(rc);
}

int fx_remote_write_index_custom(const FaissIndex *idx, FaissIOWriter *io_writer, int io_flags)
{
    return write_to_callback(idx, FX_CLASS_Index, io_writer, io_flags, "faiss_write_index_custom");
}

int fx_remote_write_index_binary_custom(const FaissIndexBinary *idx, FaissIOWriter *io_writer)
{
    return write_to_callback(idx, FX_CLASS_IndexBinary, io_writer, 0,
                             "faiss_write_index_binary_custom");
}

/* --- the beginning --- */

/* A server that does not know `head` sends more, or keeps it. */
static int fetch_fourcc(const void *index, char fourcc[4])
{
    static const char name[] = "faissx_index_fourcc";
    struct saved b = {0};
    struct fx_obj *o = fx_obj_get(index);
    int cls = o && fx_root(fx_obj_class(o)) == FX_CLASS_IndexBinary ? FX_CLASS_IndexBinary
                                                                    : FX_CLASS_Index;
    fx_obj_release(o);
    if (!fourcc)
        return fx_fail(FAISSX_E_ARGUMENT, "%s: fourcc is NULL", name);
    struct save s = {&b, fx_server_object(index, cls, name), 0, 4, name};
    int rc = fetch(&s);
    if (rc == 0 && b.blob) {
        fx_blob_release(b.blob);
        rc = fx_fail(FAISSX_E_MISSING, "%s: the server is too old for this", name);
    } else if (rc == 0 && b.size < 4) {
        rc = fx_fail(FAISSX_E_PROTOCOL, "%s: the server sent %zu bytes", name, b.size);
    } else if (rc == 0) {
        memcpy(fourcc, b.data, 4);
    }
    free(b.data);
    return rc;
}

FX_EXPORT int faissx_index_fourcc(const void *index, char fourcc[4])
{
    return fx_abi_code(fetch_fourcc(index, fourcc));
}

/* --- into memory --- */

static int download_saved(struct saved *b, const char *function)
{
    b->data = malloc(b->size);
    if (b->data)
        return fx_download(b->blob, b->data, b->size);
    fx_blob_release(b->blob);
    return fx_fail(FAISSX_E_MEMORY, "%s: no memory for %zu bytes", function, b->size);
}

static int write_buf(const void *idx, int cls, size_t *buf_size, uint8_t **buf,
                     const char *function)
{
    struct saved b = {0};
    if (!buf_size || !buf)
        return fx_abi_code(
            fx_fail(FAISSX_E_ARGUMENT, "%s: %s is NULL", function, buf ? "buf_size" : "buf"));
    int rc = fetch_index(idx, cls, 0, &b, function);
    if (rc == 0 && b.blob)
        rc = download_saved(&b, function);
    if (rc != 0) {
        free(b.data);
        return fx_abi_code(rc);
    }
    *buf_size = b.size;
    *buf = (uint8_t *)b.data;
    return OK;
}

int fx_remote_write_index_buf(const FaissIndex *idx, size_t *buf_size, uint8_t **buf)
{
    return write_buf(idx, FX_CLASS_Index, buf_size, buf, "faiss_write_index_buf");
}

int fx_remote_write_index_binary_buf(const FaissIndexBinary *idx, size_t *buf_size, uint8_t **buf)
{
    return write_buf(idx, FX_CLASS_IndexBinary, buf_size, buf, "faiss_write_index_binary_buf");
}

void fx_remote_free_buf(uint8_t **buf)
{
    if (!buf)
        return;
    free(*buf);
    *buf = NULL;
}

/* --- into a file --- */

/*
 * The file becomes complete, or does not change at all: a new one is written next to it and
 * renamed.  What renaming would not preserve is written in place: devices, pipes, and files with
 * other names or another owner.
 */
struct target {
    const char *name; /* as the caller gave it, for messages */
    int fd;
    char *path, *temporary; /* NULL: in place */
    int truncate;           /* in place: cut it when the first bytes have arrived */
};

static int cannot_open(const char *name)
{
    return fx_fail_code(FAISSX_E_FAISS, FAISS_EXCEPT, "could not open %s for writing: %s", name,
                        strerror(errno));
}

/* Create a file in the folder of t->path.  Returns its descriptor, or -1 and errno. */
static int open_beside(struct target *t, mode_t mode)
{
    static unsigned counter;
    const char *slash = strrchr(t->path, '/');
    int dir = slash ? (int)(slash - t->path) + 1 : 0, fd = -1;
    for (int attempt = 0; attempt < 100; attempt++) {
        unsigned n = __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
        if (asprintf(&t->temporary, "%.*s.faissx-%ld-%u", dir, t->path, (long)getpid(), n) < 0) {
            t->temporary = NULL;
            errno = ENOMEM;
            return -1;
        }
        fd = fx_fd_high(open(t->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        if (fd >= 0)
            return fd;
        int error = errno;
        free(t->temporary);
        t->temporary = NULL;
        errno = error;
        if (error != EEXIST)
            break;
    }
    return -1;
}

/* The file exists, and t->fd can write it. */
static void replace_file(struct target *t, const struct stat *st)
{
    struct stat real;
    int fd;
    t->truncate = 1;
    t->path = realpath(t->name, NULL);
    if (!t->path || stat(t->path, &real) != 0 || real.st_ino != st->st_ino ||
        real.st_dev != st->st_dev || st->st_nlink != 1 || (fd = open_beside(t, 0600)) < 0)
        return;
    int same_owner = st->st_uid == geteuid() && st->st_gid == getegid();
    if ((same_owner || fchown(fd, st->st_uid, st->st_gid) == 0) &&
        fchmod(fd, st->st_mode & 07777) == 0) {
        close(t->fd);
        t->fd = fd;
        return;
    }
    close(fd);
    unlink(t->temporary);
    free(t->temporary);
    t->temporary = NULL;
}

static int open_new(struct target *t)
{
    struct stat st;
    size_t len = strlen(t->name);
    if (lstat(t->name, &st) == 0) { /* a symbolic link to a file that does not exist yet */
        t->fd = fx_fd_high(open(t->name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
        return t->fd < 0 ? cannot_open(t->name) : 0;
    }
    if (len == 0 || t->name[len - 1] == '/') {
        errno = len ? EISDIR : ENOENT;
        return cannot_open(t->name);
    }
    t->path = strdup(t->name);
    if (!t->path)
        errno = ENOMEM;
    else
        t->fd = open_beside(t, 0666);
    return t->fd < 0 ? cannot_open(t->name) : 0;
}

static int open_target(struct target *t)
{
    struct stat st;
    t->fd = fx_fd_high(open(t->name, O_WRONLY | O_CLOEXEC));
    if (t->fd < 0)
        return errno == ENOENT ? open_new(t) : cannot_open(t->name);
    if (fstat(t->fd, &st) == 0 && S_ISREG(st.st_mode))
        replace_file(t, &st);
    return 0;
}

static int to_file(void *ctx, const void *buf, size_t n)
{
    struct target *t = ctx;
    size_t done = 0;
    if (!t->temporary && t->truncate && ftruncate(t->fd, 0) != 0)
        return short_write(t->name, 0, n);
    t->truncate = 0;
    while (done < n) {
        ssize_t k = write(t->fd, (const char *)buf + done, n - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return short_write(t->name, done, n);
        done += (size_t)k;
    }
    return 0;
}

static int close_target(struct target *t, int rc)
{
    if (t->fd >= 0 && close(t->fd) != 0 && rc == 0)
        rc = fx_fail_code(FAISSX_E_FAISS, FAISS_EXCEPT, "file %s close error: %s", t->name,
                          strerror(errno));
    if (t->temporary && rc == 0 && rename(t->temporary, t->path) != 0)
        rc = cannot_open(t->name);
    if (t->temporary && rc != 0)
        unlink(t->temporary);
    free(t->temporary);
    free(t->path);
    return rc;
}

static int write_fname(const void *idx, int cls, const char *fname, const char *function)
{
    struct target t = {.name = fname, .fd = -1};
    if (!fname)
        return fx_abi_code(fx_fail(FAISSX_E_ARGUMENT, "%s: fname is NULL", function));
    char buf[512];
    const char *name = fx_named(fname, buf, sizeof buf);
    if (name)
        return fx_abi_code(fx_named_write(idx, cls, name, function));
    int rc = open_target(&t);
    if (rc == 0)
        rc = save_to(idx, cls, 0, to_file, &t, function);
    return fx_abi_code(close_target(&t, rc));
}

int fx_remote_write_index_fname(const FaissIndex *idx, const char *fname)
{
    return write_fname(idx, FX_CLASS_Index, fname, "faiss_write_index_fname");
}

int fx_remote_write_index_binary_fname(const FaissIndexBinary *idx, const char *fname)
{
    return write_fname(idx, FX_CLASS_IndexBinary, fname, "faiss_write_index_binary_fname");
}
