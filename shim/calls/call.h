/* SPDX-License-Identifier: Apache-2.0 */
/* A remote call of a C API function: what call.c and call_reply.c share. */
#ifndef FX_CALL_H
#define FX_CALL_H

#include "shim/transport/rpc.h"

struct call {
    int op;
    const struct fx_fn *fn;
    union fx_val *v;
    struct fx_obj *obj[FX_PARAMS_MAX]; /* of remote handles, held */
    uint64_t elems[FX_PARAMS_MAX];     /* of arrays */
    struct fx_obj *first;              /* the object that the call is about */
    struct fx_rpc rpc;
};

/* Wait for the reply and put its results into the caller's memory.  Returns 0, or -1 with the
 * error set. */
int fx_call_reply(struct call *c);

#endif
