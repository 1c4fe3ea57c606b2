/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FaissClusteringParameters as FAISS had it before v1.7.2: 36 bytes instead of 48.  Clients and
 * the wire have the long one always.
 *
 * Threads: keeps no state.
 */
#ifndef FXE_SHORT_PARAMS_H
#define FXE_SHORT_PARAMS_H

struct fxe_req;

/* Call a function that takes the structure, with the short one where the library has that.
 * Returns 1, with the result in the request, or 0: it is another function or library. */
int fxe_short_params_call(struct fxe_req *r);

#endif
