/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FaissClusteringParameters of FAISS before v1.7.2, which has 36 bytes instead of 48.  Clients and
 * the wire always use the long one.
 *
 * Threads: keeps no state.
 */
#ifndef FXE_SHORT_PARAMS_H
#define FXE_SHORT_PARAMS_H

struct fxe_req;

/* Returns 1 if it made the call with the short structure: the result is in the request.  Returns 0
 * if the library has the long structure, or the function does not take it. */
int fxe_short_params_call(struct fxe_req *r);

#endif
