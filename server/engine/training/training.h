/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indexes that take vectors before they are trained.
 *
 * Such an index, made by index_create with `training`, is at first another one, its holder, which
 * keeps the vectors as they are, with their ids, and is searched exactly.  When it has enough, or a
 * request asks for it, a thread of its own makes the index that it is to become from a copy of the
 * vectors, carries over what has changed meanwhile, writes it to disk, and puts it in the holder's
 * place; searches go on until that moment.  Until then all records, snapshots and calls are about
 * the holder, which behaves as the other one would:
 *
 *     Flat         where ids are positions
 *     IDMap,Flat   (or IDMap2) where it is an IDMap
 *     IVF1,Flat    where it has inverted lists: one list, all of which any search looks at
 *
 *     plan.c       what an index is to become, its holder, how many vectors are enough
 *     training.c   when it is due, and the requests that ask for it
 *     trainer.c    the thread
 *     job.c        what it does for one index
 *     held.c       the vectors of a holder
 *
 * The plan is in the note that the store keeps beside the index (server/note.h).  If training fails
 * the index goes on as it is, with the error, until a request or the next engine tries again; only
 * a request does if it was the end of an engine.
 *
 * The exchange ends the handles of parts of the holder.  It waits while other objects of FAISS
 * contain the holder or a part of it (fxe_obj_is_within_others).
 */
#ifndef FXE_TRAINING_H
#define FXE_TRAINING_H

#include "server/engine/run/request.h"
#include "server/note.h"

/* engine.lock guards what may change. */
struct fxe_training {
    struct fxs_plan plan;  /* never changes */
    bool due;              /* in the queue of the thread, */
    bool runs;             /* or the thread is at it */
    struct fxe_obj *next;  /* in it */
    struct fxe_req *asked; /* requests that ask for training, through `next` */
    uint64_t changes;      /* other than more vectors; with the index's lock for writing */
    char why[400];         /* it failed when it had enough vectors; or "" */
};

/* --- plan.c --- */

/* FAISS's index `target`, which is empty, was made from this description.  If it has to be trained,
 * frees it, fills in the plan, and returns its holder; otherwise returns it as it is.  NULL: the
 * reply is set, and it is freed.  `enough`: 0: as FAISS would have it. */
void *fxe_training_begin(struct fxe_req *r, int cls, void *target, const char *description,
                         int64_t enough, bool asked, struct fxs_plan *plan);
/* Makes an index from a description; returns NULL with the reply set. */
void *fxe_training_make(struct fxe_req *r, int cls, int64_t d, int64_t metric,
                        const char *description);
/* How many vectors FAISS needs at least, to train what the description says. */
int64_t fxe_training_least(const char *description, int64_t d);
/* And how many it wants without a warning. */
int64_t fxe_training_enough(const char *description, int64_t d);
/* FAISS takes no more than these, of any number of vectors. */
int64_t fxe_training_most(const char *description);
/* Bytes that a graph has for each vector beside it, at most; 0 if it is none. */
size_t fxe_training_links(const char *description);

/* --- training.c --- */

/* Returns what the index that the handle is of waits for, or NULL. */
struct fxe_training *fxe_training_of(const struct fxe_obj *o);
/* The new index waits.  Returns 0, or -1 if memory is out.  Nobody knows the index yet. */
int fxe_training_set(struct fxe_obj *o, const struct fxs_plan *plan);

/* Has it failed by itself?  Only a request that says so tries again. */
bool fxe_training_has_failed(const struct fxe_obj *o);

/* The functions below: the caller holds engine.lock. */

/* A faiss_Index_train of an index that waits becomes a request to the thread.  Returns 0, or -1
 * with the reply set if the call cannot be made before it has been trained: of what it sets, only
 * nprobe goes on to the trained index. */
int fxe_training_prepare(struct fxe_req *r);
/* The same of a request for training without vectors, whatever the index is. */
void fxe_training_ask(struct fxe_req *r);
/* The request has its locks still: notes what it has changed. */
void fxe_training_changed(const struct fxe_req *r);
/* Is it trained by itself, and has enough vectors?  Then it is due.  The index is in memory, and
 * locked. */
void fxe_training_look(struct fxe_obj *o);

/* It is due, but waits until no other object of FAISS contains it, which would have a pointer to
 * what it was.  Nobody has asked for it. */
bool fxe_training_is_held(const struct fxe_obj *o);
/* With its locks: does the request train an index that has been trained in this way, and has
 * vectors already?  Training it again would change what their codes mean. */
bool fxe_training_is_over(const struct fxe_req *r);

/* The operation that such a request becomes. */
bool fxe_training_is(const struct fxe_operation *op);

/* --- trainer.c --- */

/* The index is to be trained.  Returns false if there is no memory for the thread.  The caller
 * holds engine.lock. */
bool fxe_trainer_add(struct fxe_obj *o);
/* Is it training, or about to?  The caller holds engine.lock. */
bool fxe_trainer_works(void);

/* --- job.c --- */

/* Trains an index that waits, and answers the requests that have asked for it.  Called by the
 * thread, which has no lock.  Returns true if it is to be trained later, when no other object
 * contains it. */
bool fxe_training_run(struct fxe_obj *o, struct fxe_req *asked);
/* No index becomes another one any more.  The caller holds no lock of the engine's. */
void fxe_trainer_stop(void);

#endif
