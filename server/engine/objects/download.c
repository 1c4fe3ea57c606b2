/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/objects/download.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "server/engine/objects/blob.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/ready.h"
#include "server/engine/run/request.h"
#include "server/engine/run/watch.h"

static struct fxe_blob *put(struct fxe_session *s, void *data, size_t size, bool making)
{
    struct fxe_blob *b = s ? calloc(1, sizeof *b) : NULL;
    if (!b)
        return NULL;
    b->id = fxe_blob_id();
    b->data = (struct fx_buffer){data, size, 0};
    b->made = making ? 0 : size;
    b->users = making;
    fxe_lock();
    fxe_blob_add(s, b);
    fxe_unlock();
    return b;
}

uint64_t fxe_download_put(struct fxe_session *s, void *data, size_t size)
{
    struct fxe_blob *b = put(s, data, size, false);
    return b ? b->id : 0; /* its client cannot have released it yet */
}

struct fxe_blob *fxe_download_begin(struct fxe_session *s, void *data, size_t size, uint64_t *id)
{
    struct fxe_blob *b = put(s, data, size, true);
    if (b)
        *id = b->id;
    return b;
}

/* Has those run that have waited.  The caller holds engine.lock. */
static void wake(struct fxe_blob *b)
{
    struct fxe_req *r = b->waiting;
    b->waiting = NULL;
    while (r) {
        struct fxe_req *next = r->next;
        fxe_ready_add(r); /* it waits again if it has to */
        fxe_watch_wake();
        r = next;
    }
}

bool fxe_download_grow(struct fxe_blob *b, size_t made)
{
    fxe_lock();
    b->made = made;
    bool wanted = !b->gone;
    wake(b);
    fxe_unlock();
    return wanted;
}

void fxe_download_end(struct fxe_blob *b, const struct fxe_req *r)
{
    fxe_lock();
    if (b->made < b->data.size) {
        b->code = r->code;
        b->kind = r->kind;
        b->why = strdup(r->message ? r->message : "");
        b->made = b->data.size; /* so that nobody waits */
    }
    wake(b);
    b = fxe_blob_leave(b);
    fxe_unlock();
    fxe_blob_free(b);
}

void fxe_download_forget(const uint8_t token[FX_TOKEN_SIZE], uint64_t id)
{
    struct fxe_session *s = fxe_session_find(token);
    struct fxe_blob *b = fxe_blob_find(s, id, false);
    if (b && !b->named)
        fxe_blob_free_later(fxe_blob_remove(s, b));
}

/* Returns 1 if the request waits: it is run again. */
static int start_download(struct fxe_req *r)
{
    uint64_t id, size, offset;
    if (fxe_blob_key(r, "id", &id) || fxe_blob_key(r, "size", &size) ||
        fxe_blob_key(r, "offset", &offset))
        return 0;
    fxe_lock();
    struct fxe_blob *b = fxe_blob_find(r->session, id, false);
    if (b)
        b->named = true;
    if (b && (offset > b->data.size || size > b->data.size - offset || size > FX_FRAME_MAX))
        b = NULL;
    if (b && offset + size > b->made) {
        LL_APPEND(b->waiting, r);
        fxe_unlock();
        return 1;
    }
    if (b && b->why) {
        fxe_fail_text(r, b->code, b->why);
        r->kind = b->kind;
    } else if (b) {
        b->users++;
    }
    fxe_unlock();
    if (!b) {
        fxe_fail(r, "argument", "the download does not have %llu bytes at offset %llu",
                 (unsigned long long)size, (unsigned long long)offset);
    } else if (!r->failed) {
        r->piece_of = b;
        fxe_reply_array(r, (char *)b->data.data + offset, size);
    }
    return 0;
}

const struct fxe_operation fxe_download_operation = {"download", 1, NULL, NULL, start_download};
