/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FAISSX_ABI=legacy: for programs that were compiled with the headers of a FAISS before v1.7.2, in
 * which two structures were smaller.  Functions that take them convert, and call what the table
 * held before.
 */
#ifndef FX_LEGACY_H
#define FX_LEGACY_H

#include "proto/api.h"

/* Wrap these functions of a table that is about to be installed, if the environment asks for it.
 * `short_params`: the functions in the table take the old FaissClusteringParameters themselves.
 * Called with the lock under which tables are installed. */
void fx_legacy(struct fx_api *table, int short_params);

#endif
