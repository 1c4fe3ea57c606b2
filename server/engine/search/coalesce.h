/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches that wait for the same index with the same k, done together.
 *
 *     exact   (the default) only where each caller gets the bits it would have got alone:
 *             Flat indexes, by flat.c
 *     fast    Flat indexes by kernels whose sums differ in the last bits; also other indexes,
 *             by one call of FAISS for all of them, which may then use BLAS
 *     off     never
 *
 * Nobody waits for company: a batch is what has arrived while the workers were busy, and
 * a worker leaves those that are idle their share.
 */
#ifndef FXE_COALESCE_H
#define FXE_COALESCE_H

#include "server/engine/run/request.h"

/* Is it exhaustive search over vectors as they are, by L2 or inner product? */
int fxe_is_flat(struct fxe_obj *o);

/* Could `r` be part of a batch?  With engine.lock. */
int fxe_may_coalesce(struct fxe_req *r);

/* And together with `other`? */
int fxe_same_batch(const struct fxe_req *r, const struct fxe_req *other);

/* Run and finish them all. */
void fxe_coalesce_run(struct fxe_req **batch, int n);

#endif
