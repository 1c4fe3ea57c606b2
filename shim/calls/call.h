/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A remote call of a function of the C API, as the table describes it: call.c makes the request,
 * call_reply.c reads the reply.
 *
 * A struct fx_call lives on the stack of the thread that makes the call, and holds the objects that
 * it names.  Results go straight into the caller's memory where they can.
 */
#ifndef FX_CALL_H
#define FX_CALL_H

#include "proto/api.h"
#include "shim/calls/array.h"
#include "shim/object.h"
#include "shim/transport/repeat.h"
#include "shim/values/range_result.h"

struct fx_call {
    int op;
    const struct fx_fn *fn;
    union fx_val *v;                   /* arguments, and behind them the result */
    struct fx_obj *obj[FX_PARAMS_MAX]; /* of remote handles, held */
    uint64_t elems[FX_PARAMS_MAX];     /* of arrays */
    int unsent;                        /* large arrays are not sent: FAISS may not look at them */
    struct fx_obj *first;              /* the object that the call is about */
    int waits;                         /* it waited for its training when the call began */
    struct fx_rpc rpc;
    struct fx_arrays_later later;
    struct fx_range_result_in result; /* of a range search */
};

/* Make a call: marshal, send, wait, unmarshal.  The result has the member that the function's
 * return kind says; after a failure it is the failure value, and the error is set. */
union fx_val fx_remote_call(int op, union fx_val *v);

/* Read all of a reply.  What is not in it stays for fx_call_finish(), which is to
 * be called when the call has ended. */
int fx_call_reply(struct fx_call *c);

/* Fetch the large arrays, and complete the caller's results; `rc` is what the call returned so far,
 * and after a failure the results are dropped.  Returns 0, or -1 with the error set. */
int fx_call_finish(struct fx_call *c, int rc);

#endif
