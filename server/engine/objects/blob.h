/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large arrays in transfer: uploads that are incomplete or not used yet (upload.h), and files that
 * the client has not fetched yet (download.h).  They belong to a session.
 *
 * Clients choose the ids of uploads, the engine those of downloads; the top bit separates them.
 */
#ifndef FXE_BLOB_H
#define FXE_BLOB_H

#include <uthash.h>

#include "proto/wire.h"
#include "server/engine/engine.h"

struct fxe_operation;
struct fxe_place;
struct fxe_req;

/* Guarded by engine.lock, but for the bytes. */
struct fxe_blob {
    uint64_t id;
    bool upload;
    bool gone; /* removed from the session; the last user frees it */
    int users; /* requests that are copying from it or to it, places, and who is making it */
    struct fx_buffer data;

    /* of an upload.  Pieces may arrive in any order, and twice if a connection broke, so `seen`
     * notes each one.  All have FX_PIECE bytes except the last; an array sent in one message is not
     * divided. */
    size_t npieces, have;
    uint8_t *seen;            /* for each piece: it is there, or has a place */
    struct fxe_place *places; /* pieces that are being received */

    /* of a download */
    bool named;              /* the client knows of it, and frees it */
    size_t made;             /* bytes of data that are there; less than all: it is being made */
    struct fxe_req *waiting; /* for more of them; through `next` */
    int code;                /* of the error that ended the making, if `why` is set */
    const char *kind;
    char *why;

    struct fxe_blob *next; /* of those that are freed later */
    UT_hash_handle hh;
};

/* Returns a new id for what `release` ends: a download, or a load from a stream. */
uint64_t fxe_blob_id(void);

/* The session's upload or download with that id, or NULL; `s` may be NULL.  The caller holds
 * engine.lock. */
struct fxe_blob *fxe_blob_find(struct fxe_session *s, uint64_t id, bool upload);
/* Makes it the session's.  The caller holds engine.lock. */
void fxe_blob_add(struct fxe_session *s, struct fxe_blob *b);
/* Takes it from the session.  Returns it if the caller has to free it, without engine.lock:
 * returning much memory to the kernel takes long.  Otherwise, or if it is NULL, returns NULL.  The
 * caller holds engine.lock. */
struct fxe_blob *fxe_blob_remove(struct fxe_session *s, struct fxe_blob *b);
/* The same for one who has used it. */
struct fxe_blob *fxe_blob_leave(struct fxe_blob *b);
/* Frees a blob that nobody else knows of; `b` may be NULL. */
void fxe_blob_free(struct fxe_blob *b);

/* A request no longer uses the blob.  The caller does not hold engine.lock. */
void fxe_blob_done(struct fxe_blob *b);

/* Reads a number of the request's header.  Returns 0, or -1 with the reply set if it lacks it. */
int fxe_blob_key(struct fxe_req *r, const char *key, uint64_t *out);

/* The session ends: the housekeeper frees its blobs, by fxe_blobs_free_left().  The caller of the
 * first function holds engine.lock, of the second it does not: much memory takes long to free. */
void fxe_blobs_leave(struct fxe_session *s);
void fxe_blobs_free_left(void);
/* One that was removed is freed so.  `b` may be NULL.  The caller holds engine.lock. */
void fxe_blob_free_later(struct fxe_blob *b);

extern const struct fxe_operation fxe_release_operation;

#endif
