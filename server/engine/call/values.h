/* SPDX-License-Identifier: Apache-2.0 */
/* Value objects of the client, rebuilt with the real library for the time of a call. */
#ifndef FXE_VALUES_H
#define FXE_VALUES_H

#include <msgpack.h>

#include "proto/library.h"

struct fxe_req;

enum { FXE_MAX_VALUES = 64 };

struct fxe_values {
    struct {
        void *ptr;
        int free_op;
    } made[FXE_MAX_VALUES];
    int n;
};

/* Build what `o` describes (wire.md, "Value objects") as a `cls`; NULL for nil.  Returns 0
 * and the object in *out, or -1 with the reply set. */
int fxe_value_build(struct fxe_req *r, const msgpack_object *o, int cls, void **out);

/* Put the three arrays of a range search's result into the reply. */
int fxe_result_reply(struct fxe_req *r, void *result);

/* Free all that was built, wholes first. */
void fxe_values_free(struct fxe_values *v);

#endif
