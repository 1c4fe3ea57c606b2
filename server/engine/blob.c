/* SPDX-License-Identifier: Apache-2.0 */
#include "blob.h"

#include <stdlib.h>
#include <string.h>

#include "request.h"

/* Pieces may come in any order, and one may be sent twice after a broken connection, so
 * each piece is counted once: they all have the same size but for the last. */
struct fxe_blob {
    uint64_t id;
    int upload;
    char *data;
    size_t size, npieces, have;
    uint8_t *seen; /* of uploads, one for each piece */
    int users;     /* requests that copy right now */
    int gone;
    UT_hash_handle hh;
};

static void blob_free(struct fxe_blob *b)
{
    free(b->data);
    free(b->seen);
    free(b);
}

static void remove_blob(struct fxe_session *s, struct fxe_blob *b)
{
    HASH_DELETE(hh, s->blobs, b);
    b->gone = 1;
    if (!b->users)
        blob_free(b);
}

void fxe_blobs_free(struct fxe_session *s)
{
    while (s->blobs)
        remove_blob(s, s->blobs);
}

/* Uploads are named by the client, downloads here; the two must not meet. */
static uint64_t download_id(void)
{
    static uint64_t last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED) | (uint64_t)1 << 63;
}

uint64_t fxe_blob_put(struct fxe_session *s, void *data, size_t size)
{
    struct fxe_blob *b = s ? calloc(1, sizeof *b) : NULL;
    if (!b)
        return 0;
    b->id = download_id();
    b->data = data;
    b->size = size;
    fxe_lock();
    HASH_ADD(hh, s->blobs, id, sizeof b->id, b);
    fxe_unlock();
    return b->id;
}

static struct fxe_blob *find(struct fxe_session *s, uint64_t id, int upload)
{
    struct fxe_blob *b;
    HASH_FIND(hh, s->blobs, &id, sizeof id, b);
    return b && b->upload == upload ? b : NULL;
}

void *fxe_blob_take(struct fxe_session *s, uint64_t id, size_t *size)
{
    void *data = NULL;
    fxe_lock();
    struct fxe_blob *b = find(s, id, 1);
    if (b && b->have == b->npieces && !b->users) {
        data = b->data;
        *size = b->size;
        b->data = NULL;
        remove_blob(s, b);
    }
    fxe_unlock();
    return data;
}

static int get(struct fxe_req *r, const char *key, uint64_t *out)
{
    if (fx_header_uint(&r->header, key, out))
        return 0;
    return fxe_fail(r, "protocol", "%s without '%s'", r->operation->name, key);
}

static struct fxe_blob *new_upload(struct fxe_req *r, uint64_t id, uint64_t size)
{
    struct fxe_blob *b = calloc(1, sizeof *b);
    if (!b || size > PTRDIFF_MAX)
        goto fail;
    b->id = id;
    b->upload = 1;
    b->size = size;
    b->npieces = (size + FX_PIECE - 1) / FX_PIECE;
    b->data = malloc(size ? size : 1);
    b->seen = calloc(b->npieces + 1, 1);
    if (!b->data || !b->seen)
        goto fail;
    HASH_ADD(hh, r->session->blobs, id, sizeof b->id, b);
    return b;
fail:
    if (b)
        blob_free(b);
    fxe_fail(r, "limit", "the server has no memory for an array of %llu bytes",
             (unsigned long long)size);
    return NULL;
}

static void run_upload(struct fxe_req *r)
{
    uint64_t id, size, offset;
    if (get(r, "id", &id) || get(r, "size", &size) || get(r, "offset", &offset))
        return;
    size_t n = r->msg.head.nframes == 2 ? r->msg.frames[1].size : 0;
    size_t want = size - offset < FX_PIECE ? size - offset : FX_PIECE;
    if (id >> 63 || offset >= size || offset % FX_PIECE || n != want) {
        fxe_fail(r, "protocol", "a piece of %zu bytes at %llu of %llu", n,
                 (unsigned long long)offset, (unsigned long long)size);
        return;
    }
    fxe_lock();
    struct fxe_blob *b = find(r->session, id, 1);
    if (!b)
        b = new_upload(r, id, size);
    else if (b->size != size)
        b = NULL, fxe_fail(r, "protocol", "the pieces of an upload disagree on its size");
    size_t piece = offset / FX_PIECE;
    int copy = b && !b->seen[piece];
    if (copy) {
        b->seen[piece] = 1;
        b->users++;
    }
    fxe_unlock();
    if (!copy)
        return;
    memcpy(b->data + offset, r->msg.frames[1].data, n);
    fxe_lock();
    b->have++;
    if (--b->users == 0 && b->gone)
        blob_free(b);
    fxe_unlock();
}

static void run_download(struct fxe_req *r)
{
    uint64_t id, size, offset;
    if (get(r, "id", &id) || get(r, "size", &size) || get(r, "offset", &offset))
        return;
    fxe_lock();
    struct fxe_blob *b = find(r->session, id, 0);
    if (b && (offset > b->size || size > b->size - offset || size > FX_FRAME_MAX))
        b = NULL;
    if (b)
        b->users++;
    fxe_unlock();
    if (!b) {
        fxe_fail(r, "argument", "no %llu bytes at %llu of that download", (unsigned long long)size,
                 (unsigned long long)offset);
        return;
    }
    void *copy = malloc(size ? size : 1);
    if (copy) {
        memcpy(copy, b->data + offset, size);
        fxe_reply_array(r, copy, size);
    } else {
        fxe_fail(r, "limit", "the server is out of memory");
    }
    fxe_lock();
    if (--b->users == 0 && b->gone)
        blob_free(b);
    fxe_unlock();
}

static void run_release(struct fxe_req *r)
{
    uint64_t id;
    if (get(r, "id", &id))
        return;
    fxe_lock();
    struct fxe_blob *b = NULL;
    HASH_FIND(hh, r->session->blobs, &id, sizeof id, b);
    if (b)
        remove_blob(r->session, b);
    fxe_unlock();
}

const struct fxe_operation fxe_upload = {"upload", 1, NULL, run_upload, NULL};
const struct fxe_operation fxe_download = {"download", 1, NULL, run_download, NULL};
const struct fxe_operation fxe_release_blob = {"release", 1, NULL, run_release, NULL};
