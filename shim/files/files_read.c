/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes that are read.  A file or memory is sent as a whole.  Of a stream or a callback, only the
 * bytes that FAISS asks for are read and sent, so that it is left right after the index. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/fd.h"
#include "shim/calls/array.h"
#include "shim/calls/blob.h"
#include "shim/calls/handle.h"
#include "shim/faissx.h"
#include "shim/files/named.h"
#include "shim/files/share.h"
#include "shim/remote_table.h"
#include "shim/transport/repeat.h"
#include "shim/values/values.h"

struct reader {
    struct fx_value head;
    size_t (*func)(void *ptr, size_t size, size_t nitems);
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
        return fx_abi_code(fx_fail(FAISSX_E_ARGUMENT, "%s: func_in is NULL", name));
    struct reader *r =
        fx_value_new(FX_CLASS_CustomIOReader, sizeof *r, reader_free, (void **)p_out, name);
    if (!r)
        return fx_abi_code(-1);
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

static int take_object(struct fx_rpc *r, const struct fx_wanted *w)
{
    return fx_take_out_handle(r, w->cls, w->p_out, w->function);
}

/* --- all at once --- */

struct load {
    const struct fx_wanted *w;
    const void *data;
    size_t size;
    int file; /* that data maps, or -1 */
};

static int pack_load(struct fx_rpc *r, void *ctx)
{
    const struct load *l = ctx;
    fx_wanted_pack(r, l->w);
    fx_pack_str(&r->pk, "data");
    return l->file < 0 ? fx_array_pack(&r->pk, &r->payload, l->data, l->size)
                       : fx_upload_pack(&r->pk, &r->payload, l->data, l->size, l->file);
}

static int take_loaded(struct fx_rpc *r, void *ctx)
{
    const struct load *l = ctx;
    return take_object(r, l->w);
}

static int load_whole(const void *data, size_t size, int file, const struct fx_wanted *w)
{
    struct fx_rpc r;
    struct load l = {w, data, size, file};
    struct fx_request q = {
        .operation = "load", .keys = 3, .pack = pack_load, .take = take_loaded, .ctx = &l};
    int rc = fx_rpc_call(&r, &q);
    if (rc != 0)
        fx_uploads_drop(&r.payload);
    return rc;
}

/* --- as much as FAISS asks for --- */

/* A stream of the server, which FAISS reads from. */
struct feeding {
    const struct fx_wanted *w;
    uint64_t id;
    uint64_t need; /* bytes that FAISS asks for; 0: the object is complete */
};

/* The reply is the object, or asks for more bytes. */
static int take_need(struct fx_rpc *r, struct feeding *s)
{
    s->need = 0;
    if (fx_header_get(&r->reply, "out"))
        return take_object(r, s->w);
    if (!fx_header_uint(&r->reply, "stream", &s->id) ||
        !fx_header_uint(&r->reply, "need", &s->need) || s->need == 0 || s->need > FX_PIECE)
        return fx_rpc_malformed(r, "the reply to a part of an index is malformed");
    return 0;
}

static int pack_stream(struct fx_rpc *r, void *ctx)
{
    const struct feeding *s = ctx;
    fx_wanted_pack(r, s->w);
    return 0;
}

static int take_stream(struct fx_rpc *r, void *ctx)
{
    return take_need(r, ctx);
}

/* Nothing was read of the source yet, so this can be repeated.  A stream that was begun in vain
 * ends with the session. */
static int begin_stream(struct feeding *s)
{
    struct fx_rpc r;
    struct fx_request q = {
        .operation = "load_stream", .keys = 2, .pack = pack_stream, .take = take_stream, .ctx = s};
    return fx_rpc_call(&r, &q);
}

static int feed(struct feeding *s, const void *data, size_t size)
{
    struct fx_rpc r;
    uint64_t asked = s->need;
    if (fx_rpc_begin(&r, "feed", 1) != 0)
        return -1;
    fx_pack_str(&r.pk, "stream");
    msgpack_pack_uint64(&r.pk, s->id);
    r.payload.frames[r.payload.n++] = (struct fx_frame){data, size};
    int rc = fx_rpc_send(&r) == 0 && fx_rpc_recv(&r) == 0 ? take_need(&r, s) : -1;
    if (rc == 0 && s->need && size < asked)
        rc = fx_rpc_malformed(&r, "the server asks for more of an index that has ended");
    fx_rpc_end(&r);
    return rc;
}

/* Reads at most n bytes; returns how many, 0 at the end. */
typedef size_t (*source_fn)(void *ctx, void *buf, size_t n);

/* A source that gives fewer bytes than it was asked for has ended: FAISS then reports the error. */
static int load_stream(source_fn source, void *ctx, const struct fx_wanted *w)
{
    struct feeding s = {.w = w};
    size_t room = 0;
    char *buf = NULL;
    fx_blobs_release_left();
    int rc = begin_stream(&s);
    while (rc == 0 && s.need) {
        if (s.need > room) {
            free(buf);
            room = (size_t)s.need;
            buf = malloc(room);
        }
        struct fx_away away = fx_thread_leave(fx_self()); /* the server is waited for, not this */
        size_t got = buf ? source(ctx, buf, (size_t)s.need) : 0;
        fx_thread_back(fx_self(), away);
        rc = feed(&s, buf, got); /* also without memory, so that the server ends the stream */
        if (!buf)
            rc = fx_fail(FAISSX_E_MEMORY, "%s: out of memory", w->function);
    }
    free(buf);
    if (rc != 0 && s.id) /* the server would wait for the rest of it */
        fx_blob_drop(s.id);
    if (rc != 0 && fx_error_kind() == FAISSX_E_CONNECT)
        fx_error_append("; an index that is read from a stream cannot be sent again");
    return rc;
}

/* --- sources --- */

static size_t from_stream(void *ctx, void *buf, size_t n)
{
    return fread(buf, 1, n, ctx);
}

/* A callback that gives less than it was asked for is called again, which FAISS would not do: it
 * is asked for other amounts here than by FAISS. */
static size_t from_callback(void *ctx, void *buf, size_t n)
{
    const struct reader *r = ctx;
    size_t got = 0;
    while (got < n) {
        size_t k = r->func((char *)buf + got, 1, n - got);
        if (k == 0 || k > n - got)
            break;
        got += k;
    }
    return got;
}

static int wants(const struct fx_wanted *w, const void *from, const char *parameter)
{
    if (from && w->p_out)
        return 0;
    return fx_fail(FAISSX_E_ARGUMENT, "%s: %s is NULL", w->function, from ? "p_out" : parameter);
}

/* A stream that is not read stands where it would stand if it had been. */
static int read_stream(FILE *f, const struct fx_wanted *w)
{
    struct fx_source s;
    if (wants(w, f, "f") != 0)
        return -1;
    int is_file = fx_source_of_stream(&s, f), rc = is_file ? fx_share_ask(&s, w) : 0;
    off_t end = (off_t)(s.from + s.size);
    if (rc == 1)
        return fseeko(f, end, SEEK_SET) == 0
                   ? 0
                   : fx_fail(FAISSX_E_FAISS, "%s: f cannot be positioned", w->function);
    if (rc == 0)
        rc = load_stream(from_stream, f, w);
    if (rc == 0 && is_file)
        fx_share_sent(&s, w, ftello(f) == end);
    return rc;
}

static int read_custom(FaissIOReader *io_reader, const struct fx_wanted *w)
{
    struct fx_obj *o;
    if (wants(w, io_reader, "io_reader") != 0)
        return -1;
    struct reader *r = fx_value_get(io_reader, FX_CLASS_IOReader, w->function, &o);
    int rc = r ? load_stream(from_callback, r, w) : -1;
    fx_obj_release(o);
    return rc;
}

static int read_buf(const uint8_t *buf, size_t limit, const struct fx_wanted *w)
{
    struct fx_source s = {.fd = -1, .data = buf, .size = limit};
    if (wants(w, buf, "buf") != 0)
        return -1;
    int rc = fx_share_ask(&s, w);
    return rc == 0 ? load_whole(buf, limit, -1, w) : rc == 1 ? 0 : -1;
}

static int cannot_open(const char *fname, int error)
{
    return fx_fail_code(FAISSX_E_FAISS, FAISS_EXCEPT, "could not open %s for reading: %s", fname,
                        strerror(error));
}

/* Everything that is left in `f`. */
static int load_rest(FILE *f, const struct fx_wanted *w)
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
    int rc = load_whole(buf, size, -1, w);
    free(buf);
    return rc;
}

/* What cannot be mapped, such as a pipe, is read as a stream.  A transform is always sent as a
 * whole: FAISS has no function that reads one from a stream. */
static int read_descriptor(int fd, const char *fname, const struct fx_wanted *w)
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

static int load_small(int fd, size_t size, const struct fx_wanted *w)
{
    char *buf = malloc(size);
    size_t got = 0;
    if (!buf)
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", w->function);
    for (ssize_t n; got < size && (n = pread(fd, buf + got, size - got, (off_t)got)) > 0;)
        got += (size_t)n;
    int rc = load_whole(buf, got, -1, w);
    free(buf);
    return rc;
}

/* Only the kernel reads the mapping, to copy it for an engine on this host: if the file is cut
 * short meanwhile, that is an error and not a signal.  What goes through a socket may have to be
 * encrypted first, and is read piece by piece. */
static int load_mapped(int fd, void *data, size_t size, const struct fx_wanted *w)
{
    int rc = load_whole(data, size, fd, w);
    munmap(data, size);
    return rc;
}

static int send_file(int fd, const char *fname, const struct stat *st, const struct fx_wanted *w)
{
    struct fx_source s;
    size_t size = (size_t)st->st_size;
    fx_source_of_file(&s, fd, st);
    int rc = fx_share_ask(&s, w);
    if (rc != 0) {
        close(fd);
        return rc == 1 ? 0 : -1;
    }
    void *data = size > FX_PIECE ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (data == MAP_FAILED)
        return read_descriptor(fd, fname, w);
    rc = data ? load_mapped(fd, data, size, w) : load_small(fd, size, w);
    if (rc == 0)
        fx_share_sent(&s, w, 1);
    close(fd);
    return rc;
}

static int read_file(const char *fname, const struct fx_wanted *w)
{
    struct stat st;
    int fd = fx_fd_high(open(fname, O_RDONLY | O_CLOEXEC));
    if (fd < 0)
        return cannot_open(fname, errno);
    if (fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        close(fd);
        return cannot_open(fname, EISDIR);
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return read_descriptor(fd, fname, w);
    return send_file(fd, fname, &st, w);
}

static int read_fname(const char *fname, const struct fx_wanted *w)
{
    char buf[512];
    if (wants(w, fname, "fname") != 0)
        return -1;
    const char *name = fx_named(fname, buf, sizeof buf);
    if (name)
        return fx_named_read(name, w->cls, w->p_out, w->function);
    int rc = read_file(fname, w);
    if (rc != 0 && fx_error_kind() == FAISSX_E_FAISS)
        fx_error_name_file(fname);
    return rc;
}

/* --- the functions --- */

#define READ(name, Class)                                                                    \
    int fx_remote_read_##name(FILE *f, int io_flags, Faiss##Class **p_out)                   \
    {                                                                                        \
        return fx_abi_code(read_stream(f, WANTED(name, Class, io_flags)));                   \
    }                                                                                        \
    int fx_remote_read_##name##_custom(FaissIOReader *io_reader, int io_flags,               \
                                       Faiss##Class **p_out)                                 \
    {                                                                                        \
        return fx_abi_code(read_custom(io_reader, WANTED(name##_custom, Class, io_flags)));  \
    }                                                                                        \
    int fx_remote_read_##name##_fname(const char *fname, int io_flags, Faiss##Class **p_out) \
    {                                                                                        \
        return fx_abi_code(read_fname(fname, WANTED(name##_fname, Class, io_flags)));        \
    }                                                                                        \
    int fx_remote_read_##name##_buf(const uint8_t *buf, size_t limit, int io_flags,          \
                                    Faiss##Class **p_out)                                    \
    {                                                                                        \
        return fx_abi_code(read_buf(buf, limit, WANTED(name##_buf, Class, io_flags)));       \
    }
#define WANTED(name, Class, flags)                                   \
    &(struct fx_wanted)                                              \
    {                                                                \
        FX_CLASS_##Class, flags, (void **)p_out, "faiss_read_" #name \
    }
READ(index, Index)
READ(index_binary, IndexBinary)

int fx_remote_read_VectorTransform_fname(const char *fname, FaissVectorTransform **p_out)
{
    return fx_abi_code(read_fname(fname, WANTED(VectorTransform_fname, VectorTransform, 0)));
}
