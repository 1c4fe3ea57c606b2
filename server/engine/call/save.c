/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes written in FAISS's own format. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "server/engine/call/files.h"
#include "server/engine/guard/guard.h"
#include "server/engine/guard/room.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/download.h"
#include "server/engine/run/pool.h"
#include "server/engine/run/request.h"

enum { SAVE_HEAD_MAX = 4096 };

static int prepare_save(struct fxe_req *r)
{
    uint64_t id;
    if (!fx_header_uint(&r->header, "handle", &id))
        return fxe_fail(r, "protocol", "save without 'handle'");
    if (fxe_req_object(r, id, "the index to save", &r->obj[0]) != 0)
        return -1;
    int root = fx_root(r->obj[0]->cls);
    if (root != FX_CLASS_Index && root != FX_CLASS_IndexBinary)
        return fxe_fail(r, "handle", "a Faiss%s cannot be saved", fx_classes[root].name);
    return fxe_needs_add(&r->needs, r->obj[0], false);
}

/* --- FAISS writes --- */

/* What FAISS writes.  It is counted before it is kept: a buffer that grew would be copied several
 * times, and would need memory for the old one and the new one together. */
struct bytes {
    char *data; /* NULL: counted only */
    size_t size, room;
    struct fxe_blob *download; /* or NULL; its client fetches the bytes that are there */
};

/* Returns how many bytes fit before the next piece that a client asks for is complete. */
static size_t to_next_piece(const struct bytes *b, size_t n)
{
    size_t left = FX_PIECE - b->size % FX_PIECE;
    return n < left ? n : left;
}

static ssize_t put(void *ctx, const char *data, size_t n)
{
    struct bytes *b = ctx;
    if (!b->data) {
        b->size += n;
        return (ssize_t)n;
    }
    if (n > b->room - b->size)
        return 0;
    for (size_t done = 0, part; done < n; done += part) {
        part = to_next_piece(b, n - done);
        memcpy(b->data + b->size, data + done, part);
        b->size += part;
        if (b->download && b->size % FX_PIECE == 0 && !fxe_download_grow(b->download, b->size))
            return 0;
    }
    return (ssize_t)n;
}

/* The callback of FAISS's custom writer has no user pointer. */
static _Thread_local FILE *custom_file;
static size_t write_through_custom(const void *p, size_t size, size_t n)
{
    return fwrite(p, size, n, custom_file);
}

static int write_with_flags(struct fxe_req *r, const struct fxe_obj *o, FILE *f, int flags)
{
    FaissCustomIOWriter *w = NULL;
    if (fxe_require(r, FX_OP_write_index_custom) != 0)
        return -1;
    custom_file = f;
    int rc = fxe_api()->CustomIOWriter_new(&w, write_through_custom);
    if (rc == 0)
        rc = fxe_api()->write_index_custom(o->ptr, (FaissIOWriter *)w, flags);
    if (w)
        fxe_api()->CustomIOWriter_free(w);
    return rc;
}

static int write_to(const struct fxe_obj *o, FILE *f)
{
    return fx_root(o->cls) == FX_CLASS_IndexBinary ? fxe_api()->write_index_binary(o->ptr, f)
                                                   : fxe_api()->write_index(o->ptr, f);
}

/* Returns 0, or -1 with the reply of `r` set. */
static int write_index(struct fxe_req *r, const struct fxe_obj *o, int flags, struct bytes *b)
{
    FILE *f = fopencookie(b, "w", (cookie_io_functions_t){.write = put});
    int rc;
    b->size = 0;
    if (!f)
        return fxe_fail(r, "limit", "the server is out of memory");
    if (flags && fx_root(o->cls) != FX_CLASS_IndexBinary)
        rc = write_with_flags(r, o, f, flags);
    else
        rc = write_to(o, f);
    if (rc != 0 && !r->failed)
        fxe_fail_faiss(r, rc);
    if (fclose(f) != 0 && !r->failed)
        fxe_fail_text(r, FAISS_EXCEPT, "the index was not written whole");
    return r->failed ? -1 : 0;
}

/* --- the beginning --- */

/* FAISS's write is stopped after the first bytes, by an error that is not the client's. */
static ssize_t put_head(void *ctx, const char *data, size_t n)
{
    struct bytes *b = ctx;
    size_t fits = n < b->room - b->size ? n : b->room - b->size;
    memcpy(b->data + b->size, data, fits);
    b->size += fits;
    return b->size < b->room ? (ssize_t)n : 0;
}

static void reply_head(struct fxe_req *r, uint64_t head)
{
    if (head == 0 || head > SAVE_HEAD_MAX) {
        fxe_fail(r, "protocol", "head is %" PRIu64 ", must be 1 to %d", head, SAVE_HEAD_MAX);
        return;
    }
    if (fxe_guard_save(r, r->obj[0]) != 0)
        return;
    struct bytes b = {.data = malloc(head), .room = head};
    FILE *f = fopencookie(&b, "w", (cookie_io_functions_t){.write = put_head});
    if (!b.data || !f) {
        free(b.data);
        if (f)
            fclose(f);
        fxe_fail(r, "limit", "the server is out of memory");
        return;
    }
    int rc = write_to(r->obj[0], f);
    fclose(f);
    if (rc != 0 && b.size < b.room) {
        free(b.data);
        fxe_fail_faiss(r, rc);
    } else {
        fxe_reply_array(r, b.data, b.size);
    }
}

/* --- all of it --- */

/* Counts the bytes, and makes room for them.  Returns 0, or -1 with the reply set. */
static int make_room(struct fxe_req *r, struct bytes *b)
{
    if (fxe_guard_save(r, r->obj[0]) != 0 || write_index(r, r->obj[0], fxe_io_flags(r), b) != 0)
        return -1;
    b->room = b->size;
    b->data = fxe_room_realloc(NULL, b->room ? b->room : 1);
    if (!b->data)
        fxe_fail(r, "limit", "the server has no memory for the %zu bytes of the index", b->room);
    return b->data ? 0 : -1;
}

static void reply_whole(struct fxe_req *r, struct bytes *b)
{
    if (write_index(r, r->obj[0], fxe_io_flags(r), b) != 0)
        free(b->data);
    else
        fxe_reply_array(r, b->data, b->size);
}

static void run_save(struct fxe_req *r)
{
    struct bytes b = {0};
    uint64_t head;
    if (fx_header_uint(&r->header, "head", &head))
        reply_head(r, head);
    else if (make_room(r, &b) == 0)
        reply_whole(r, &b);
}

/* A large index is sent while FAISS writes it: the reply says where it will be, and comes first.
 * Until it is written, nobody changes the index. */
static int start_save(struct fxe_req *r)
{
    struct bytes b = {0};
    uint64_t head, id;
    if (fx_header_uint(&r->header, "head", &head)) {
        reply_head(r, head);
        return 0;
    }
    if (make_room(r, &b) != 0)
        return 0;
    struct fxe_req *hold = NULL;
    bool unwanted = __atomic_load_n(&r->given_up, __ATOMIC_RELAXED);
    if (b.room > FX_PIECE && !unwanted && (hold = fxe_hold_from(r)))
        b.download = fxe_download_begin(r->session, b.data, b.room, &id);
    if (!b.download) {
        reply_whole(r, &b);
        if (hold)
            fxe_hold_end(hold);
        return 0;
    }
    const struct fxe_obj *o = r->obj[0];
    int flags = fxe_io_flags(r);
    fxe_reply_download(r, id, b.room);
    fxe_req_finish(r);
    fxe_pool_let_go();
    if (write_index(hold, o, flags, &b) == 0 && b.size == b.room)
        fxe_download_grow(b.download, b.size);
    else if (!hold->failed)
        fxe_fail_text(hold, FAISS_EXCEPT, "the index was not written whole");
    fxe_download_end(b.download, hold);
    fxe_hold_end(hold);
    return 1;
}

const struct fxe_operation fxe_save_operation = {"save", 1, prepare_save, run_save, start_save};
