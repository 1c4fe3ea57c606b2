/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes that are read: from a file or memory all at once, from a stream or a callback
 * just the bytes that FAISS asks for, so that it is left right behind the index. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/fd.h"
#include "shim/files/named.h"
#include "shim/remote_table.h"
#include "shim/transport/rpc.h"

struct reader {
    struct fx_value head;
    size_t (*func)(void *ptr, size_t size, size_t nitems);
};

/* What is to be read, and where its handle goes. */
struct wanted {
    int cls, flags;
    void **p_out;
    const char *function;
};

/* --- IOReader --- */

static void reader_free(struct fx_value *v)
{
    free(v);
}

int fx_remote_CustomIOReader_new(FaissCustomIOReader **p_out,
                                 size_t (*func_in)(void *ptr, size_t size, size_t nitems))
{
    static const char name[] = "faiss_CustomIOReader_new";
    if (!func_in)
        return fx_fail(FAISSX_E_ARGUMENT, "%s: func_in is NULL", name);
    struct reader *r =
        fx_value_new(FX_CLASS_CustomIOReader, sizeof *r, reader_free, (void **)p_out, name);
    if (!r)
        return -4;
    r->func = func_in;
    return 0;
}

void fx_remote_CustomIOReader_free(FaissCustomIOReader *obj)
{
    fx_value_end(obj, FX_CLASS_CustomIOReader, "faiss_CustomIOReader_free");
}

void fx_remote_IOReader_free(FaissIOReader *obj)
{
    fx_value_end(obj, FX_CLASS_IOReader, "faiss_IOReader_free");
}

/* --- requests --- */

static int failure(const struct fx_rpc *r)
{
    return r->code ? r->code : -4;
}

/* A request that the server knows no session for can simply be made in a new one. */
static int again(int rc, int attempt)
{
    return rc != 0 && attempt == 0 && fx_self()->error == FAISSX_E_SESSION;
}

static void pack_wanted(struct fx_rpc *r, const struct wanted *w)
{
    fx_pack_str(&r->pk, "class");
    fx_pack_str(&r->pk, fx_classes[w->cls].name);
    fx_pack_str(&r->pk, "flags");
    msgpack_pack_int(&r->pk, w->flags);
}

/* The reply names the new object. */
static int take_object(struct fx_rpc *r, const struct wanted *w)
{
    const msgpack_object *out = fx_header_get(&r->reply, "out");
    unsigned before = r->self->failures;
    if (!out || out->type != MSGPACK_OBJECT_ARRAY || out->via.array.size != 1)
        return fx_rpc_nonsense(r, "the reply lacks a handle");
    void *h = fx_take_handle(out->via.array.ptr, w->cls, NULL, w->function);
    if (!h)
        return r->self->failures != before ? -1 : fx_rpc_nonsense(r, "the reply lacks a handle");
    *w->p_out = h;
    return 0;
}

/* --- all at once --- */

static int load_once(const void *data, size_t size, const struct wanted *w)
{
    struct fx_rpc r;
    uint64_t blob = 0;
    int rc = -4;
    if (size > FX_PIECE && !(blob = fx_upload(data, size)))
        return -4;
    if (fx_rpc_begin(&r, "load", 3) != 0)
        return -4;
    pack_wanted(&r, w);
    fx_pack_str(&r.pk, "data");
    if (blob) {
        msgpack_pack_array(&r.pk, 2);
        fx_pack_str(&r.pk, "upload");
        msgpack_pack_uint64(&r.pk, blob);
    } else {
        fx_payload_pack(&r.pk, &r.payload, data, size);
    }
    if (fx_rpc_send(&r) == 0 && fx_rpc_recv(&r) == 0)
        rc = take_object(&r, w) == 0 ? 0 : -4;
    else
        rc = failure(&r);
    fx_rpc_end(&r);
    return rc;
}

static int load(const void *data, size_t size, const struct wanted *w)
{
    int rc = load_once(data, size, w);
    return again(rc, 0) ? load_once(data, size, w) : rc;
}

/* --- as much as FAISS asks for --- */

/* The reply is the object, returns 0; or asks for *need bytes, returns 1. */
static int take_need(struct fx_rpc *r, const struct wanted *w, uint64_t *stream, uint64_t *need)
{
    if (fx_header_get(&r->reply, "out"))
        return take_object(r, w) == 0 ? 0 : -4;
    if (!fx_header_uint(&r->reply, "stream", stream) || !fx_header_uint(&r->reply, "need", need) ||
        *need == 0 || *need > FX_PIECE) {
        fx_rpc_nonsense(r, "the reply to a part of an index makes no sense");
        return -4;
    }
    return 1;
}

static int begin_stream(const struct wanted *w, uint64_t *stream, uint64_t *need)
{
    struct fx_rpc r;
    if (fx_rpc_begin(&r, "load_stream", 2) != 0)
        return -4;
    pack_wanted(&r, w);
    int rc =
        fx_rpc_send(&r) == 0 && fx_rpc_recv(&r) == 0 ? take_need(&r, w, stream, need) : failure(&r);
    fx_rpc_end(&r);
    return rc;
}

static int feed(const struct wanted *w, uint64_t *stream, const void *data, size_t size,
                uint64_t *need)
{
    struct fx_rpc r;
    uint64_t asked = *need;
    if (fx_rpc_begin(&r, "feed", 1) != 0)
        return -4;
    fx_pack_str(&r.pk, "stream");
    msgpack_pack_uint64(&r.pk, *stream);
    r.payload.frames[r.payload.n++] = (struct fx_frame){data, size};
    int rc =
        fx_rpc_send(&r) == 0 && fx_rpc_recv(&r) == 0 ? take_need(&r, w, stream, need) : failure(&r);
    if (rc == 1 && size < asked) {
        fx_rpc_nonsense(&r, "the server asks for more of an index that has ended");
        rc = -4;
    }
    fx_rpc_end(&r);
    return rc;
}

/* A source that gives fewer bytes than it was asked for has ended: FAISS says so then. */
static int load_stream(fx_source_fn source, void *ctx, const struct wanted *w)
{
    uint64_t stream = 0, need = 0;
    size_t room = 0;
    char *buf = NULL;
    int rc = begin_stream(w, &stream, &need);
    if (again(rc, 0))
        rc = begin_stream(w, &stream, &need);
    while (rc == 1) {
        if (need > room) {
            free(buf);
            room = (size_t)need;
            buf = malloc(room);
        }
        int64_t got = buf ? source(ctx, buf, (size_t)need) : 0;
        rc = feed(w, &stream, buf, (size_t)got, &need);
        if (!buf)
            rc = fx_fail(FAISSX_E_MEMORY, "%s: out of memory", w->function);
    }
    free(buf);
    return rc;
}

/* --- sources --- */

static int64_t from_stream(void *ctx, void *buf, size_t n)
{
    return (int64_t)fread(buf, 1, n, ctx);
}

/* More patient than FAISS: a callback that gives less than it was asked for is called
 * again, since it is asked for other amounts than FAISS would ask for. */
static int64_t from_callback(void *ctx, void *buf, size_t n)
{
    const struct reader *r = ctx;
    size_t got = 0;
    while (got < n) {
        size_t k = r->func((char *)buf + got, 1, n - got);
        if (k == 0 || k > n - got)
            break;
        got += k;
    }
    return (int64_t)got;
}

static int wants(const struct wanted *w, const void *from, const char *parameter)
{
    if (from && w->p_out)
        return 0;
    return fx_fail(FAISSX_E_ARGUMENT, "%s: %s is NULL", w->function, from ? "p_out" : parameter);
}

static int read_stream(FILE *f, const struct wanted *w)
{
    return wants(w, f, "f") == 0 ? load_stream(from_stream, f, w) : -4;
}

static int read_custom(FaissIOReader *io_reader, const struct wanted *w)
{
    struct fx_obj *o;
    if (wants(w, io_reader, "io_reader") != 0)
        return -4;
    struct reader *r = fx_value_get(io_reader, FX_CLASS_IOReader, w->function, &o);
    int rc = r ? load_stream(from_callback, r, w) : -4;
    fx_obj_release(o);
    return rc;
}

static int read_buf(const uint8_t *buf, size_t limit, const struct wanted *w)
{
    return wants(w, buf, "buf") == 0 ? load(buf, limit, w) : -4;
}

static int cannot_open(const char *fname, int error)
{
    fx_fail(FAISSX_E_FAISS, "could not open %s for reading: %s", fname, strerror(error));
    return -2;
}

/* Everything that is left in `f`. */
static int load_rest(FILE *f, const struct wanted *w)
{
    char *buf = NULL, *more;
    size_t size = 0, room = 0;
    do {
        if (size == room) {
            room = room ? 2 * room : 1 << 16;
            if (!(more = realloc(buf, room))) {
                free(buf);
                return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", w->function);
            }
            buf = more;
        }
        size += fread(buf + size, 1, room - size, f);
    } while (size == room);
    int rc = load(buf, size, w);
    free(buf);
    return rc;
}

/* What cannot be mapped, such as a pipe, is read as a stream.  The server takes transforms
 * only as a whole: FAISS has no function that reads one from a stream. */
static int read_descriptor(int fd, const char *fname, const struct wanted *w)
{
    FILE *f = fdopen(fd, "rb");
    if (!f) {
        int error = errno;
        close(fd);
        return cannot_open(fname, error);
    }
    int rc = w->cls == FX_CLASS_VectorTransform ? load_rest(f, w) : load_stream(from_stream, f, w);
    fclose(f);
    return rc;
}

/* The mapping is only ever read by the kernel, which sends it: a file that is cut short
 * meanwhile is an error, not a signal. */
static int read_fname(const char *fname, const struct wanted *w)
{
    struct stat st;
    char buf[512];
    if (wants(w, fname, "fname") != 0)
        return -4;
    const char *name = fx_named(fname, buf, sizeof buf);
    if (name)
        return fx_named_read(name, w->cls, w->p_out, w->function);
    int fd = fx_fd_high(open(fname, O_RDONLY | O_CLOEXEC));
    if (fd < 0)
        return cannot_open(fname, errno);
    if (fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        close(fd);
        return cannot_open(fname, EISDIR);
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return read_descriptor(fd, fname, w);
    size_t size = (size_t)st.st_size;
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return read_descriptor(fd, fname, w);
    close(fd);
    int rc = load(data, size, w);
    munmap(data, size);
    return rc;
}

/* --- the functions --- */

#define READ(name, Class)                                                                    \
    int fx_remote_read_##name(FILE *f, int io_flags, Faiss##Class **p_out)                   \
    {                                                                                        \
        return read_stream(f, WANTED(name, Class, io_flags));                                \
    }                                                                                        \
    int fx_remote_read_##name##_custom(FaissIOReader *io_reader, int io_flags,               \
                                       Faiss##Class **p_out)                                 \
    {                                                                                        \
        return read_custom(io_reader, WANTED(name##_custom, Class, io_flags));               \
    }                                                                                        \
    int fx_remote_read_##name##_fname(const char *fname, int io_flags, Faiss##Class **p_out) \
    {                                                                                        \
        return read_fname(fname, WANTED(name##_fname, Class, io_flags));                     \
    }                                                                                        \
    int fx_remote_read_##name##_buf(const uint8_t *buf, size_t limit, int io_flags,          \
                                    Faiss##Class **p_out)                                    \
    {                                                                                        \
        return read_buf(buf, limit, WANTED(name##_buf, Class, io_flags));                    \
    }
#define WANTED(name, Class, flags)                                   \
    &(struct wanted)                                                 \
    {                                                                \
        FX_CLASS_##Class, flags, (void **)p_out, "faiss_read_" #name \
    }
READ(index, Index)
READ(index_binary, IndexBinary)

int fx_remote_read_VectorTransform_fname(const char *fname, FaissVectorTransform **p_out)
{
    return read_fname(fname, WANTED(VectorTransform_fname, VectorTransform, 0));
}
