/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several small adds to one index in one request: `calls` says how many vectors each call
 * has, and FAISS is called for each in turn, as if they had come one by one.  The first that
 * fails ends it.
 */
#ifndef FXE_JOINED_H
#define FXE_JOINED_H

#include "server/engine/run/request.h"

int fxe_is_joined(const struct fxe_req *r);

/* Make the calls; 0 when the request is not of that kind. */
int fxe_joined_call(struct fxe_req *r);

#endif
