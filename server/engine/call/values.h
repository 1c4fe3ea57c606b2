/* SPDX-License-Identifier: Apache-2.0 */
/* The client's value objects (selectors, search parameters, range results), rebuilt with the real
 * library for the duration of a call. */
#ifndef FXE_VALUES_H
#define FXE_VALUES_H

#include <msgpack.h>

#include "proto/library.h"

struct fxe_req;

enum { FXE_MAX_VALUES = 64 };

/* The objects built for a call, parts before the objects that contain them. */
struct fxe_values {
    struct {
        void *ptr;
        int free_op;
    } made[FXE_MAX_VALUES];
    int n;
};

/* Builds the object that `o` describes (wire.md, "Value objects") as a `cls`.  Returns 0 with the
 * object in *out, NULL for nil; or -1 with the reply set.  The request owns the object. */
int fxe_value_build(struct fxe_req *r, const msgpack_object *o, int cls, void **out);

/* Adds the three arrays of a range search's result to the reply.  Returns 0, or -1 with the
 * reply set. */
int fxe_result_reply(struct fxe_req *r, void *result);

/* Frees everything that was built, in reverse order. */
void fxe_values_free(struct fxe_values *v);

#endif
