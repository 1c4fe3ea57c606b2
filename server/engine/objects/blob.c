/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/objects/blob.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "server/engine/call/files.h"
#include "server/engine/objects/again.h"
#include "server/engine/objects/session.h"
#include "server/engine/objects/upload.h"
#include "server/engine/run/house.h"
#include "server/engine/run/request.h"

/* Of sessions that have ended; guarded by engine.lock. */
static struct fxe_blob *left;

void fxe_blob_free(struct fxe_blob *b)
{
    if (!b)
        return;
    fx_buffer_free(&b->data);
    free(b->seen);
    free(b->why);
    free(b);
}

void fxe_blob_add(struct fxe_session *s, struct fxe_blob *b)
{
    HASH_ADD(hh, s->blobs, id, sizeof b->id, b);
}

struct fxe_blob *fxe_blob_remove(struct fxe_session *s, struct fxe_blob *b)
{
    if (!b)
        return NULL;
    fxe_upload_leaves(b);
    HASH_DELETE(hh, s->blobs, b);
    b->gone = true;
    return b->users ? NULL : b;
}

struct fxe_blob *fxe_blob_leave(struct fxe_blob *b)
{
    return --b->users == 0 && b->gone ? b : NULL;
}

struct fxe_blob *fxe_blob_find(struct fxe_session *s, uint64_t id, bool upload)
{
    struct fxe_blob *b = NULL;
    if (s)
        HASH_FIND(hh, s->blobs, &id, sizeof id, b);
    return b && b->upload == upload ? b : NULL;
}

void fxe_blobs_leave(struct fxe_session *s)
{
    while (s->blobs)
        fxe_blob_free_later(fxe_blob_remove(s, s->blobs));
    fxe_again_leave(s);
}

void fxe_blob_free_later(struct fxe_blob *b)
{
    if (!b)
        return;
    LL_PREPEND(left, b);
    fxe_house_wake();
}

void fxe_blobs_free_left(void)
{
    fxe_lock();
    struct fxe_blob *b = left;
    left = NULL;
    fxe_unlock();
    while (b) {
        struct fxe_blob *next = b->next;
        fxe_blob_free(b);
        b = next;
    }
}

uint64_t fxe_blob_id(void)
{
    static uint64_t last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED) | (uint64_t)1 << 63;
}

void fxe_blob_done(struct fxe_blob *b)
{
    fxe_lock();
    struct fxe_blob *doomed = fxe_blob_leave(b);
    fxe_unlock();
    fxe_blob_free(doomed);
}

int fxe_blob_key(struct fxe_req *r, const char *key, uint64_t *out)
{
    if (fx_header_uint(&r->header, key, out))
        return 0;
    return fxe_fail(r, "protocol", "%s without '%s'", r->operation->name, key);
}

static void run_release(struct fxe_req *r)
{
    uint64_t id;
    if (fxe_blob_key(r, "id", &id))
        return;
    fxe_lock();
    struct fxe_blob *b = NULL;
    HASH_FIND(hh, r->session->blobs, &id, sizeof id, b);
    if (!b)
        fxe_stream_abort(r->session, id);
    b = fxe_blob_remove(r->session, b);
    fxe_unlock();
    fxe_blob_free(b);
}

const struct fxe_operation fxe_release_operation = {"release", 1, NULL, run_release, NULL};
