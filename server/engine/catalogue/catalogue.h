/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue: operations on named indexes, for clients that do not speak the C API
 * (proto/wire.md, "The catalogue").
 *
 * Most are one function of the C API: such a request is turned into a call of that function before
 * it takes its locks (calls.c, search.c), and from then on is one, with the same records, batches,
 * guards and answers.  The others make several calls with the locks that they have taken (part.h).
 *
 * An index is the same whether a client made or opened it here or with the C API.
 */
#ifndef FXE_CATALOGUE_H
#define FXE_CATALOGUE_H

#include "server/engine/run/request.h"

struct fxe_index_operation {
    struct fxe_operation base; /* first */
    int fop;      /* the C API's function that the request becomes, or 0; a binary index has another
                     one (fxe_index_call) */
    bool changes; /* not a function, and its answer is kept for a client that asks again */
};

/* Returns the operation of this name, or NULL; sets r->op and r->fn if it becomes a call. */
const struct fxe_operation *fxe_catalogue_find(struct fxe_req *r, const char *name, size_t len);
/* Is its answer kept, although it is no function of the C API? */
bool fxe_catalogue_changes(const struct fxe_operation *op);

/* An operation that is no function: does it leave the index as it is? */
bool fxe_catalogue_only_reads(const struct fxe_operation *op);

/* The tables of operations, by file. */
extern const struct fxe_index_operation fxe_index_calls[], fxe_index_searches[], fxe_index_names[],
    fxe_index_vectors[], fxe_index_facts[], fxe_index_copies[], fxe_index_wraps[],
    fxe_index_clusters[], fxe_index_reclusters[];

/* --- for prepare; the caller holds engine.lock --- */

/* Returns the index that the request names with `key`, held until the request ends; or NULL with
 * the reply set. */
struct fxe_obj *fxe_index_of_key(struct fxe_req *r, const char *key);
/* The same, for an operation of its own, which also gets the lock.  It becomes r->obj[i]. */
int fxe_index_lock(struct fxe_req *r, const char *key, int i, bool write);
/* Returns the index's dimension, or 0 if it is not known. */
int64_t fxe_index_d(const struct fxe_obj *o);

/* The request becomes a call of `fop`, or of `bop` if `o` is binary (0: not with a binary index).
 * Returns its arguments, to be filled in; or NULL with the reply set. */
msgpack_object *fxe_index_call(struct fxe_req *r, const struct fxe_obj *o, int fop, int bop);

/* --- joined with the machinery of calls --- */

/* An add to an index that may not be trained: trains it first, with the same vectors.  Returns 0,
 * or -1 with the reply set. */
int fxe_train_first(struct fxe_req *r);

/* The two below are called when all arguments are in place.  They return 0 if FAISS's function is
 * to be called now; 1 if all is done; or -1 with the reply set. */

/* faiss_Index_add_with_ids that replaces: takes away the vectors that have these ids first. */
int fxe_replace_first(struct fxe_req *r);

/* faiss_Index_remove_ids that keeps the ids of an IDMap right (removal.h). */
int fxe_remove_first(struct fxe_req *r);

/* index_search, for others that begin with it. */
int fxe_prepare_search(struct fxe_req *r);
void fxe_run_search(struct fxe_req *r);

/* Returns whether the index has inverted lists, and their nprobe.  It is locked. */
bool fxe_nprobe_of(const struct fxe_obj *o, int64_t *nprobe);

/* The one gets the nprobe of the other, if both have inverted lists.  Both are locked. */
void fxe_nprobe_copy(const struct fxe_obj *from, const struct fxe_obj *to);

/* The name of an index's class, without its namespace. */
void fxe_index_type(const void *faiss, const char **type, size_t *len);

/* The request has ended: counts it for the index that it is about (index_stats). */
void fxe_index_count(const struct fxe_req *r);

/* Sets r->nprobe for the time of the call, and puts the index's own back.  The index is locked for
 * writing.  fxe_nprobe_begin returns 0, or -1 with the reply set. */
int fxe_nprobe_begin(struct fxe_req *r);
void fxe_nprobe_end(struct fxe_req *r);

#endif
