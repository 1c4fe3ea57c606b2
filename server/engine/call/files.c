/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/memfd.h"
#include "server/engine/call/loaded.h"
#include "server/engine/guard/guard.h"
#include "server/engine/guard/room.h"
#include "server/engine/objects/shared.h"
#include "server/engine/run/request.h"

int fxe_io_flags(struct fxe_req *r)
{
    int64_t flags = 0;
    fx_header_int(&r->header, "flags", &flags);
    return (int)flags;
}

/* FAISS's flags that map a file: the inverted lists, or whatever is an array in memory. */
enum { IO_MAP_LISTS = 0x646f0008, IO_MAP = 1 << 9 };

int fxe_read_flags(struct fxe_req *r)
{
    int flags = fxe_io_flags(r) & ~IO_MAP;
    return (flags & IO_MAP_LISTS) == IO_MAP_LISTS ? flags & ~IO_MAP_LISTS : flags;
}

int fxe_asked_class(struct fxe_req *r)
{
    static const int known[] = {FX_CLASS_Index, FX_CLASS_IndexBinary, FX_CLASS_VectorTransform};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (fx_header_is(&r->header, "class", fx_classes[known[i]].name))
            return known[i];
    fxe_fail(r, "protocol", "class must be Index, IndexBinary or VectorTransform");
    return -1;
}

/* Loads from a memfd by its name in /proc: FAISS reads a VectorTransform only by file name. */
static int load_transform(struct fxe_req *r, const void *data, size_t size, void **out)
{
    char name[64];
    int rc, fd;
    if (fxe_require(r, FX_OP_read_VectorTransform_fname) != 0)
        return -1;
    fd = fx_memfd_make(data, size);
    if (fd < 0)
        return fxe_fail(r, "limit", "the server has no memory for the file");
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    rc = fxe_api()->read_VectorTransform_fname(name, (FaissVectorTransform **)out);
    close(fd);
    return rc;
}

/* The C API has no casts for transforms, so take the class from the first four bytes. */
static int transform_class(const void *data, size_t size)
{
    static const struct {
        char name[5];
        int cls;
    } known[] = {{"rrot", FX_CLASS_RandomRotationMatrix},
                 {"PCAm", FX_CLASS_PCAMatrix},
                 {"PcAm", FX_CLASS_PCAMatrix},
                 {"Pcam", FX_CLASS_PCAMatrix},
                 {"Viqm", FX_CLASS_ITQMatrix},
                 {"LTra", FX_CLASS_LinearTransform},
                 {"RmDT", FX_CLASS_RemapDimensionsTransform},
                 {"VNrm", FX_CLASS_NormalizationTransform},
                 {"VCnt", FX_CLASS_CenteringTransform},
                 {"Viqt", FX_CLASS_ITQTransform}};
    for (size_t i = 0; i < sizeof known / sizeof *known && size >= 4; i++)
        if (memcmp(data, known[i].name, 4) == 0)
            return known[i].cls;
    return FX_CLASS_VectorTransform;
}

static int load_file(int cls, FILE *f, int flags, void **out)
{
    return cls == FX_CLASS_Index ? fxe_api()->read_index(f, flags, (FaissIndex **)out)
                                 : fxe_api()->read_index_binary(f, flags, (FaissIndexBinary **)out);
}

struct memory {
    const char *data;
    size_t left;
    struct fx_digest *digest; /* or NULL */
};

/* In pieces, which are still in the cache when they are hashed. */
static size_t read_memory(void *ctx, void *buf, size_t n)
{
    enum { PIECE = 1 << 17 };
    struct memory *m = ctx;
    if (n > m->left)
        n = m->left;
    for (size_t done = 0, piece; done < n; done += piece) { /* buf may be NULL if n is 0 */
        piece = n - done < PIECE ? n - done : PIECE;
        memcpy((char *)buf + done, m->data + done, piece);
        fx_digest_add(m->digest, m->data + done, piece);
    }
    m->data += n;
    m->left -= n;
    return n;
}

struct loading {
    int cls, flags;
    struct memory bytes; /* used by load_bytes only, */
    size_t left;         /* as this, which FAISS has not read */
    void *ptr;
    int rc;
};

static void load_through(fxe_read_fn read, void *ctx, void *arg)
{
    struct loading *l = arg;
    FILE *f = fxe_source_open(read, ctx);
    l->rc = f ? load_file(l->cls, f, l->flags, &l->ptr) : STD_EXCEPT;
    if (f)
        fxe_source_close(f);
}

static void load_bytes(void *arg)
{
    struct loading *l = arg;
    struct memory m = l->bytes;
    load_through(read_memory, &m, l);
    fx_digest_add(m.digest, m.data, m.left);
    l->left = m.left;
}

int fxe_load_through(int cls, int flags, fxe_read_fn read, void *ctx, void **ptr)
{
    struct loading l = {.cls = cls, .flags = flags};
    load_through(read, ctx, &l);
    *ptr = l.ptr;
    return l.rc;
}

int fxe_load_bytes(int cls, const void *data, size_t size, void **ptr)
{
    struct loading l = {.cls = cls, .bytes = {data, size, NULL}};
    load_bytes(&l);
    *ptr = l.ptr;
    return l.rc;
}

int fxe_load_mapped(int cls, int fd, void **ptr)
{
    FILE *f = fdopen(fd, "r");
    if (!f) {
        close(fd);
        return STD_EXCEPT;
    }
    int rc = load_file(cls, f, IO_MAP, ptr);
    fclose(f);
    return rc;
}

static void load_and_reply_transform(struct fxe_req *r, const void *data, size_t size)
{
    void *ptr = NULL;
    int rc = load_transform(r, data, size, &ptr);
    if (rc == 0)
        fxe_reply_new(r, transform_class(data, size), ptr);
    else if (!r->failed)
        fxe_fail_faiss(r, rc);
}

static int page_of(void *bytes, void *page, uint64_t offset)
{
    const struct memory *m = bytes;
    memcpy(page, m->data + offset, FX_PAGE);
    return 0;
}

/* Returns whether others have read the same bytes: then a handle of that is the reply.  Only bytes
 * whose pages are known are hashed for that; others are hashed while FAISS reads them. */
static bool reply_known(struct fxe_req *r, const struct loading *l)
{
    struct memory m = l->bytes;
    struct fxe_reading reading = {.cls = l->cls, .flags = l->flags};
    struct fxe_obj *o = NULL;
    fx_content_pages(page_of, &m, m.left, reading.content.pages);
    reading.content.size = m.left;
    fxe_lock();
    bool may_be = fxe_shared_has_pages(&reading);
    fxe_unlock();
    struct fx_digest *d = may_be ? fx_digest_new() : NULL;
    fx_digest_add(d, m.data, m.left);
    if (!fxe_loaded_describe(d, l->cls, l->flags, &reading))
        return false;
    fxe_lock();
    o = fxe_shared_find(r->session, &reading);
    fxe_unlock();
    if (o)
        fxe_reply_object(r, o);
    return o != NULL;
}

static void load_and_reply_index(struct fxe_req *r, int cls, const void *data, size_t size)
{
    struct loading l = {.cls = cls, .flags = fxe_read_flags(r), .bytes = {data, size, NULL}};
    struct fxe_reading reading;
    bool may_share = size >= FX_CONTENT_MIN && fxe_shared_is_on();
    if ((may_share && reply_known(r, &l)) || fxe_guard_load(r, load_bytes, &l) != 0)
        return;
    l.bytes.digest = may_share ? fx_digest_new() : NULL;
    load_bytes(&l);
    bool to_share = fxe_loaded_describe(l.bytes.digest, cls, l.flags, &reading);
    reading.whole = l.left == 0;
    if (l.rc != 0)
        fxe_fail_faiss(r, l.rc);
    else if (to_share)
        fxe_reply_shared(r, &reading, l.ptr);
    else
        fxe_reply_new(r, cls, l.ptr);
}

static void run_load(struct fxe_req *r)
{
    const msgpack_object *o = fx_header_get(&r->header, "data");
    const void *data;
    size_t size;
    int cls = fxe_asked_class(r);
    if (cls >= 0 && (cls != FX_CLASS_IndexBinary || fxe_require(r, FX_OP_read_index_binary) == 0)) {
        if (!o)
            fxe_fail(r, "protocol", "load without 'data'");
        else if (fxe_req_bytes(r, o, "data", &data, &size) == 0) {
            if (cls == FX_CLASS_VectorTransform)
                load_and_reply_transform(r, data, size);
            else
                load_and_reply_index(r, cls, data, size);
        }
    }
    fxe_loaded(r);
}

const struct fxe_operation fxe_load_operation = {"load", 1, NULL, run_load, NULL};
