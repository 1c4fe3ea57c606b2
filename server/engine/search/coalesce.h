/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs queued single-query searches of the same index, with the same k, as one batch.  Modes:
 *
 *     exact   (the default) only if each result has the same bits as a search alone: Flat
 *             indexes, with flat.c
 *     fast    Flat indexes with kernels whose results differ in the last bits; other indexes
 *             with one FAISS call for the whole batch, which may use BLAS
 *     off     never
 *
 * No search waits for a batch to fill: a batch consists of the searches that arrived while all
 * workers were busy, and a worker leaves a fair share of them to idle workers.
 */
#ifndef FXE_COALESCE_H
#define FXE_COALESCE_H

#include "server/engine/run/request.h"

/* Is it an IndexFlat (not of a class derived from it) with metric L2 or inner product? */
int fxe_is_flat(struct fxe_obj *o);

/* Can `r` be part of a batch?  The caller holds engine.lock. */
int fxe_may_coalesce(struct fxe_req *r);

/* Can `other` be in the same batch as `r`?  The caller holds engine.lock. */
int fxe_same_batch(const struct fxe_req *r, const struct fxe_req *other);

/* Runs and finishes the n requests; n is at most FXE_FLAT_MAX. */
void fxe_coalesce_run(struct fxe_req **batch, int n);

#endif
