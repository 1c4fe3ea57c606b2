/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several small adds to one index, joined in one request.  The header's `calls` lists the number of
 * vectors of each; FAISS is called once for each, in order, until one fails.
 */
#ifndef FXE_JOINED_H
#define FXE_JOINED_H

#include "server/engine/run/request.h"

/* Does the request carry joined adds? */
int fxe_is_joined(const struct fxe_req *r);

/* Returns 1 if it made the calls: the last result is in v[], or the reply is set.  Returns 0 if the
 * request is not joined. */
int fxe_joined_call(struct fxe_req *r);

#endif
