/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transforms of an index.  FAISS's C API cannot reach them, but they are at the beginning of
 * the index's file (transforms.h).  FAISS writes until the last transform is complete, and what
 * follows is not read.
 */
#ifndef FXE_CATALOGUE_CHAIN_H
#define FXE_CATALOGUE_CHAIN_H

#include "server/engine/catalogue/transforms.h"
#include "server/engine/run/request.h"

struct fxe_chain {
    struct fxe_transforms t;
    unsigned char *bytes; /* malloc: the transforms as in the file */
    size_t size;
};

/* The dimensions of what the transforms make. */
static inline int fxe_chain_d_out(const struct fxe_chain *c)
{
    return c->t.n ? c->t.part[c->t.n - 1].d_out : c->t.d;
}

/* Reads the transforms of an IndexPreTransform, which is locked; of one that waits for its
 * training, those that it is to have.  Returns 0, or -1 with the reply set.  Free them with
 * fxe_chain_free in both cases. */
int fxe_chain_read(struct fxe_req *r, struct fxe_obj *o, struct fxe_chain *c);
void fxe_chain_free(struct fxe_chain *c);

/* Makes an IndexPreTransform of these transforms and an empty flat index.  Returns FAISS's object,
 * or NULL with the reply set. */
void *fxe_chain_over_flat(struct fxe_req *r, const struct fxe_chain *c);

#endif
