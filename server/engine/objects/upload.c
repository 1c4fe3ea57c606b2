/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/objects/upload.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <utlist.h>

#include "proto/content.h"
#include "server/engine/guard/room.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/again.h"
#include "server/engine/objects/blob.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/request.h"
#include "server/engine/run/wide.h"

enum { LARGE = 16 << 20 }; /* bytes: indexes are unloaded to make room for such an upload */

/* A piece that is being received into its upload.  Belongs to the message that it comes with. */
struct fxe_place {
    struct fxe_blob *blob; /* NULL: the piece is there, or has come over another connection */
    size_t piece;
    struct fxe_conn *conn;
    struct fxe_place *prev, *next;
};

/* Bytes of memory-mapped uploads, which RLIMIT_DATA does not count. */
static size_t mapped; /* guarded by engine.lock */

/* Returns the engine's current share of memory, in bytes; the front changes it at run time. */
static size_t memory_limit(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
               ? (size_t)limit.rlim_cur
               : SIZE_MAX;
}

static size_t mapped_bytes(const struct fxe_blob *b)
{
    return b->data.mapped ? b->data.size : 0;
}

void fxe_upload_leaves(const struct fxe_blob *b)
{
    mapped -= mapped_bytes(b);
}

int fxe_upload_take(struct fxe_session *s, uint64_t id, struct fx_buffer *out)
{
    fxe_lock();
    struct fxe_blob *b = fxe_blob_find(s, id, true);
    if (b && (b->have < b->npieces || b->users))
        b = NULL;
    if (b) {
        *out = b->data;
        fxe_blob_remove(s, b);
        b->data = (struct fx_buffer){0};
    }
    fxe_unlock();
    int rc = b ? 0 : -1;
    fxe_blob_free(b);
    return rc;
}

/* Nothing is received there any more.  Returns what fxe_blob_leave does.  The caller holds
 * engine.lock.
 */
static struct fxe_blob *end_place(struct fxe_place *p, bool arrived)
{
    struct fxe_blob *b = p->blob;
    if (!b)
        return NULL;
    p->blob = NULL;
    DL_DELETE(b->places, p);
    b->seen[p->piece] = arrived;
    b->have += arrived;
    return fxe_blob_leave(b);
}

static void end_place_now(struct fxe_place *p, bool arrived)
{
    fxe_lock();
    struct fxe_blob *doomed = end_place(p, arrived);
    fxe_unlock();
    fxe_blob_free(doomed);
}

void fxe_place_end(struct fxe_place *p)
{
    end_place_now(p, false);
}

void fxe_place_free(struct fxe_place *p)
{
    fxe_place_end(p);
    free(p);
}

/* Returns a new upload that takes over `whole` or, if that is NULL, is assembled from pieces; or
 * NULL if memory is out.  The caller does not hold engine.lock. */
static struct fxe_blob *new_upload(uint64_t id, size_t size, struct fx_buffer *whole)
{
    struct fxe_blob *b = size <= PTRDIFF_MAX ? calloc(1, sizeof *b) : NULL;
    if (b && whole) {
        b->data = *whole;
        *whole = (struct fx_buffer){0};
    } else if (b) {
        b->npieces = (size + FX_PIECE - 1) / FX_PIECE;
        b->data = (struct fx_buffer){fxe_room_realloc(NULL, size ? size : 1), size, 0};
        b->seen = calloc(b->npieces + 1, 1);
    }
    if (!b || !b->data.data || (!whole && !b->seen)) {
        fxe_blob_free(b);
        return NULL;
    }
    b->id = id;
    b->upload = true;
    return b;
}

static int no_memory(struct fxe_req *r, size_t size)
{
    return fxe_fail(r, "limit", "the server has no memory for an array of %zu bytes", size);
}

/* Makes it the session's.  Returns -1 with the reply set if too much is mapped.  The caller holds
 * engine.lock. */
static int add_upload(struct fxe_req *r, struct fxe_blob *b)
{
    if (b->data.mapped && mapped + b->data.size > memory_limit())
        return no_memory(r, b->data.size);
    mapped += mapped_bytes(b);
    fxe_blob_add(r->session, b);
    return 0;
}

static struct fxe_place *place_of(const struct fxe_blob *b, size_t piece)
{
    struct fxe_place *p;
    DL_SEARCH_SCALAR(b->places, p, piece, piece);
    return p;
}

/* A piece that is being received over one connection has come over another: the client has given
 * up the first one, which is broken, but not known to be.  The caller holds engine.lock, which is
 * released meanwhile: then the piece may have got another place, over a connection that still
 * writes to it. */
static void give_up_place(struct fxe_blob *b, size_t piece)
{
    struct fxe_place *p;
    while ((p = place_of(b, piece))) { /* the caller is a user, so the upload stays */
        struct fxe_conn *c = p->conn;
        if (!fxe_conn_try_ref(c)) { /* nothing reads from it any more */
            end_place(p, false);
            continue;
        }
        fxe_unlock();
        fxe_conn_kill(c); /* from now on nothing is read from it */
        fxe_lock();
        p = place_of(b, piece);
        if (p && p->conn == c)
            end_place(p, false);
        fxe_unlock();
        fxe_conn_unref(c);
        fxe_lock();
    }
}

/* Returns the upload to copy the request's piece to, and counts the request as a user.  If the
 * session has none, it is *fresh, which becomes NULL then.  Returns NULL if there is nothing to
 * copy, or with the reply set.  The caller holds engine.lock. */
static struct fxe_blob *upload_of(struct fxe_req *r, uint64_t id, size_t size, size_t offset,
                                  struct fxe_blob **fresh)
{
    struct fxe_blob *b = fxe_blob_find(r->session, id, true);
    if (b && b->data.size != size) {
        fxe_fail(r, "protocol", "the pieces of an upload disagree on its size");
        return NULL;
    }
    if (!b && *fresh && add_upload(r, *fresh) == 0) {
        b = *fresh;
        *fresh = NULL;
    }
    if (!b || b->have == b->npieces)
        return NULL;
    size_t piece = offset / FX_PIECE;
    b->users++;
    if (b->seen[piece])
        give_up_place(b, piece);
    if (b->seen[piece] || b->gone) {
        struct fxe_blob *doomed = fxe_blob_leave(b);
        if (doomed) {
            fxe_unlock();
            fxe_blob_free(doomed);
            fxe_lock();
        }
        return NULL;
    }
    b->seen[piece] = 1;
    return b;
}

static bool is_whole(size_t n, uint64_t size, uint64_t offset)
{
    return offset == 0 && n == size;
}

/* May `n` bytes at `offset` be a piece of an upload? */
static bool is_piece(size_t n, uint64_t id, uint64_t size, uint64_t offset)
{
    if (id >> 63 || offset >= size || offset % FX_PIECE)
        return false;
    return n == (size - offset < FX_PIECE ? size - offset : FX_PIECE) || is_whole(n, size, offset);
}

struct fxe_place *fxe_place_find(struct fxe_conn *c, const struct fx_buffer *header, size_t n,
                                 void **to)
{
    struct fx_header h = {0};
    struct fxe_place *p = NULL;
    uint64_t id, size, offset;
    const char *token, *why;
    size_t len;
    if (fx_header_read(&h, header->data, header->size, &why) == 0 &&
        fx_header_is(&h, "operation", "upload") && fx_header_uint(&h, "id", &id) &&
        fx_header_uint(&h, "size", &size) && fx_header_uint(&h, "offset", &offset) &&
        n <= FX_PIECE && is_piece(n, id, size, offset) &&
        fx_header_str(&h, "session", &token, &len) && len == FX_TOKEN_SIZE &&
        (p = calloc(1, sizeof *p))) {
        fxe_lock();
        struct fxe_session *s = fxe_session_find((const uint8_t *)token);
        struct fxe_blob *b = s && !s->ended ? fxe_blob_find(s, id, true) : NULL;
        p->piece = offset / FX_PIECE;
        p->conn = c;
        if (b && b->data.size == size && b->npieces && !b->seen[p->piece]) {
            p->blob = b;
            b->users++;
            b->seen[p->piece] = 1;
            DL_APPEND(b->places, p);
            *to = (char *)b->data.data + offset;
        }
        fxe_unlock();
        if (!p->blob) {
            free(p);
            p = NULL;
        }
    }
    fx_header_free(&h);
    return p;
}

/* An array that the session has sent before, if it is still here and the client has the same. */
static void run_upload_again(struct fxe_req *r, uint64_t id, size_t size)
{
    const char *secret, *hash;
    size_t nsecret, nhash;
    struct fx_buffer data = {0};
    uint64_t same;
    if (fxe_blob_key(r, "same", &same))
        return;
    if (!fx_header_str(&r->header, "secret", &secret, &nsecret) || nsecret != FX_SECRET_SIZE ||
        !fx_header_str(&r->header, "hash", &hash, &nhash) || nhash != FX_HASH_SIZE || id >> 63) {
        fxe_fail(r, "protocol",
                 "an upload of the same array as before takes a secret of %d bytes, "
                 "and a hash of %d",
                 FX_SECRET_SIZE, FX_HASH_SIZE);
        return;
    }
    bool had = fxe_again_has(r->session, same, size) &&
               fxe_again_take(r->session, same, size, secret, hash, &data);
    struct fxe_blob *b, *fresh = had ? new_upload(id, size, &data) : NULL;
    fxe_lock();
    if ((b = fxe_blob_find(r->session, id,
                           true))) { /* it was asked before, and the answer is lost */
        had = b->have == b->npieces && b->data.size == size;
    } else {
        had = fresh && add_upload(r, fresh) == 0;
        fresh = had ? NULL : fresh;
    }
    fxe_unlock();
    fxe_blob_free(fresh);
    fx_buffer_free(&data);
    if (!r->failed) {
        msgpack_packer pk = fxe_reply_key(r, "had");
        msgpack_pack_uint64(&pk, had);
    }
}

/* Hashing takes long enough to be kept off the workers, if a lane is free: others may be busy for
 * longer than sending the array takes. */
static int prepare_upload(struct fxe_req *r)
{
    uint64_t same, size;
    r->lane = fx_header_uint(&r->header, "same", &same) &&
                      fx_header_uint(&r->header, "size", &size) && fxe_wide_is_free() &&
                      fxe_again_has(r->session, same, size)
                  ? FXE_WIDE
                  : FXE_SMALL;
    return 0;
}

/* A piece that was received elsewhere: the first of its upload, or all of it. */
static void copy_piece(struct fxe_req *r, uint64_t id, size_t size, size_t offset,
                       struct fx_buffer *frame)
{
    size_t n = frame->size;
    const void *piece = frame->data;
    fxe_lock();
    bool known = fxe_blob_find(r->session, id, true) != NULL;
    fxe_unlock();
    struct fxe_blob *fresh = known ? NULL : new_upload(id, size, n == size ? frame : NULL);
    bool lacks = !known && !fresh;
    fxe_lock();
    struct fxe_blob *b = upload_of(r, id, size, offset, &fresh);
    lacks =
        lacks && !fxe_blob_find(r->session, id, true); /* it may be another connection's by now */
    fxe_unlock();
    if (lacks && !r->failed)
        no_memory(r, size);
    if (b) {
        memcpy((char *)b->data.data + offset, piece, n < FX_PIECE ? n : FX_PIECE);
        fxe_lock();
        b->have++;
        fxe_unlock();
        fxe_blob_done(b);
    }
    fxe_blob_free(fresh);
}

static void run_upload(struct fxe_req *r)
{
    uint64_t id, size, offset;
    if (fxe_blob_key(r, "id", &id) || fxe_blob_key(r, "size", &size))
        return;
    if (fx_header_get(&r->header, "same")) {
        run_upload_again(r, id, size);
        return;
    }
    if (fxe_blob_key(r, "offset", &offset))
        return;
    if (r->msg->nframes != 2) {
        fxe_fail(r, "protocol",
                 "an upload takes one payload frame, or one sealed memfd without holes");
        return;
    }
    struct fx_buffer *frame = fxe_req_frame(r, 0, "upload");
    if (!frame)
        return;
    size_t n = frame->size;
    if (!is_piece(n, id, size, offset)) {
        fxe_fail(r, "protocol",
                 "a piece of %zu bytes at offset %llu does not fit an upload of %llu bytes", n,
                 (unsigned long long)offset, (unsigned long long)size);
        return;
    }
    if (r->msg->place) {
        end_place_now(r->msg->place, true);
        return;
    }
    fxe_again_drop(r->session);
    if (offset == 0 && size >= LARGE)
        fxe_unload_for(size);
    copy_piece(r, id, size, offset, frame);
}

const struct fxe_operation fxe_upload_operation = {"upload", 1, prepare_upload, run_upload, NULL};
