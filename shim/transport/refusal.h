/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error replies of the server, turned into this thread's last error.  proto/wire.md lists the kinds
 * of error.  No state; any thread.
 */
#ifndef FX_REFUSAL_H
#define FX_REFUSAL_H

#include "proto/wire.h"

/* Set the error as the reply says.  `other` is the FAISSX_* for a reply without a kind, or of a
 * kind that this version does not know.  Returns -1. */
int fx_refusal(const struct fx_header *reply, int other);

#endif
