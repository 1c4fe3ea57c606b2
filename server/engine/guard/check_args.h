/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by check.c (scalars and objects) and check_arrays.c. */
#ifndef FXE_CHECK_ARGS_H
#define FXE_CHECK_ARGS_H

#include <stdio.h>
#include <string.h>

#include "server/engine/run/request.h"

static inline int refuse(struct fxe_req *r, const char *why)
{
    return fxe_fail(r, "argument", "%s: %s", r->fn->name, why);
}

static inline int param(const struct fxe_req *r, const char *name)
{
    for (int i = 0; i < r->fn->nparams; i++)
        if (strcmp(r->fn->params[i].name, name) == 0)
            return i;
    return -1;
}

static inline int64_t scalar(const struct fxe_req *r, const char *name)
{
    int i = param(r, name);
    return i < 0 ? 0 : r->v[i].i;
}

/* Returns the number of vectors that the call is about; 0 if the table does not say. */
static inline int64_t rows(const struct fxe_req *r)
{
    return r->fn->rows < 0 ? 0 : r->v[r->fn->rows].i;
}

/* Returns whether the server's FAISS is 1.`minor` or newer. */
static inline int since(int minor)
{
    int major = 0, have = 0;
    sscanf(fxe_engine.lib.version, "%d.%d", &major, &have);
    return major > 1 || have >= minor;
}

/* Whether the index is of this class; false if the library lacks the cast that tells. */
#define IS(Class, index) (fxe_api()->Class##_cast && fxe_api()->Class##_cast(index))

int fxe_is_fast_scan(FaissIndex *index);

/* Whether the index is an IndexFlat that keeps its vectors one after another, and searches them in
 * IndexFlat's way. */
int fxe_is_plain_flat(FaissIndex *index);

/* In parts.c.  What a call does with the index within another one.  fxe_check_parts: refuses it if
 * FAISS would read beyond one of them, or abort, because the part was changed without the whole;
 * returns 0, or -1 with the reply set. */
enum fxe_use { FXE_USE_SEARCH, FXE_USE_RECONSTRUCT, FXE_USE_CHANGE };
int fxe_check_parts(struct fxe_req *r, enum fxe_use use);
/* The same of argument i, with every release of FAISS. */
int fxe_check_parts_of(struct fxe_req *r, int i, enum fxe_use use);

/* Refuses the call if the quantizer of an IVF that argument 0 is, or contains, can return lists
 * that the IVF does not have; returns 0, or -1 with the reply set. */
int fxe_check_quantizers(struct fxe_req *r);

/* Refuses a search if a FastScan IVF that argument 0 is, or contains, would look at more lists than
 * there are; returns 0, or -1 with the reply set. */
int fxe_check_probes(struct fxe_req *r);

/* Returns the index within transforms and IDMaps. */
FaissIndex *fxe_innermost(FaissIndex *index);

/* Is it an IDMap that has not as many vectors or ids as there are vectors in the index in it? */
bool fxe_is_uneven(const struct fxe_obj *o);

/* In check_arrays.c.  fxe_own_ids: whether the index has ids of its own, so that its keys are not
 * positions.  fxe_check_keys: refuses keys first to first + n - 1 if they must be positions and are
 * not; returns 0, or -1 with the reply set. */
int fxe_own_ids(FaissIndex *index);
int fxe_check_keys(struct fxe_req *r, int64_t first, int64_t n);

#endif
