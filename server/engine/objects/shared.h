/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indexes that were read from files: all sessions that read the same content share one object.
 *
 * The object belongs to the tenant.  Each reader has a second handle of it, with a lock of its own,
 * because nobody changes the object while it is shared.  A request that has locked such a handle
 * for writing gets a copy first (fxe_shared_own), or the object itself if nobody else uses it; the
 * handle is an ordinary object from then on.
 *
 * With --keep sessions nothing is shared: each handle is then an entry of its own in the store.
 */
#ifndef FXE_SHARED_H
#define FXE_SHARED_H

#include "proto/content.h"
#include "server/engine/objects/object.h"

struct fxe_content;
struct fxe_req;

/* What was read, how, and as what. */
struct fxe_reading {
    struct fx_content content;
    int cls, flags;
    bool whole; /* FAISS has read all of it */
};

/* How a client names content that it has not sent. */
struct fxe_claim {
    uint8_t name[FX_FILE_SIZE]; /* its hash and then zeros, or its file */
    int cls, flags;
    bool whole; /* only if FAISS has read all of it */
};

bool fxe_shared_is_on(void);

/* Is it a handle of a shared object? */
static inline bool fxe_is_shared(const struct fxe_obj *o)
{
    return o->alias && o->keeps[0]->content;
}

/* The caller of these holds engine.lock. */

/* Returns a new handle of the object that was read in this way, or NULL if there is none, or if
 * memory is out. */
struct fxe_obj *fxe_shared_find(struct fxe_session *s, const struct fxe_reading *reading);
/* Is there one with the same size and pages, whatever its hash is? */
bool fxe_shared_has_pages(const struct fxe_reading *reading);
/* FAISS has read `ptr`: returns a new handle of it.  If another object with this content was added
 * meanwhile, returns a handle of that one, and *unused is ptr.  NULL if memory is out. */
struct fxe_obj *fxe_shared_add(struct fxe_session *s, const struct fxe_reading *reading, void *ptr,
                               void **unused);
/* The object is about to be removed from the table, or to be changed. */
void fxe_shared_forget(struct fxe_obj *o);

/* Returns a handle as fxe_shared_find.  If there is none, the session is expected to send the
 * content, unless another session that is expected to do so may still be at it: then *wait is how
 * many milliseconds later to ask again, else 0. */
struct fxe_obj *fxe_shared_claim(struct fxe_session *s, const struct fxe_claim *c, int *wait);
/* The session has sent something, or failed: others need not wait for its claims; `all`: also not
 * for those of files. */
void fxe_shared_unclaim(const struct fxe_session *s, bool all);
/* The file has the content of the object that `o` is a handle of.  Does nothing if its pages are
 * others, or if memory is out. */
void fxe_shared_remember(const struct fxe_obj *o, const uint8_t file[FX_FILE_SIZE]);

/* How many objects are shared at present, and how many handles they have; since the engine started:
 * how many were had without sending them, and how many were copied to be changed. */
struct fxe_shared_stats {
    uint64_t objects, handles, known, copies;
};
struct fxe_shared_stats fxe_shared_stats(void);

/* --- the caller holds no lock of the engine's --- */

/* With its locks, before it is run: handles that the request has locked for writing become objects
 * of their own.  Returns 0, or -1 with the reply set. */
int fxe_shared_own(struct fxe_req *r);

#endif
