/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call of the C API that is part of a catalogue request: made with the request's locks, and with
 * the checks and guards of any other call.
 *
 *     struct fxe_part p;
 *     msgpack_object *a = fxe_part_begin(&p, r, FX_OP_Index_reconstruct_n);
 *     p.r.obj[0] = o;
 *     a[1] = fxe_int(0); ...
 *     if (fxe_part_call(&p) == 0)
 *         ... p.r.out[0] is the first array that the call wrote ...
 *     fxe_part_end(&p);
 *
 * Called by the thread that runs the request, which holds no lock of the engine's but those of the
 * request's indexes.
 */
#ifndef FXE_CATALOGUE_PART_H
#define FXE_CATALOGUE_PART_H

#include "server/engine/run/request.h"

struct fxe_part {
    struct fxe_req r, *of;
    struct fxe_msg msg;
    msgpack_object args[FX_PARAMS_MAX + 1];
};

/* Returns the arguments, all of them nil. */
msgpack_object *fxe_part_begin(struct fxe_part *p, struct fxe_req *of, int op);
/* An array that the call reads, and that stays with the caller. */
msgpack_object fxe_part_array(struct fxe_part *p, const void *data, size_t size);
/* Makes the call.  Returns 0; or -1, and the error is the request's reply. */
int fxe_part_call(struct fxe_part *p);
/* Array i that the call wrote becomes the next one of the request's reply.  Returns 0, or -1 with
 * the reply set. */
int fxe_part_give(struct fxe_part *p, int i);
void fxe_part_end(struct fxe_part *p);

#endif
