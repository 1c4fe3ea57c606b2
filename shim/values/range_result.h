/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results of range searches.  See values.h for ownership and threads.
 */
#ifndef FX_RANGE_RESULT_H
#define FX_RANGE_RESULT_H

#include "shim/calls/array.h"
#include "shim/values/values.h"

struct fx_range_result {
    struct fx_value head;
    size_t nq, buffer_size;
    size_t *lims; /* nq + 1, or NULL */
    idx_t *labels;
    float *distances;
};

/* The result behind `handle`, as fx_value_get. */
struct fx_range_result *fx_range_result_get(const void *handle, const char *function,
                                            struct fx_obj **o);

/* Turn the counts in lims into offsets, and allocate labels and distances, as FAISS does.  Returns
 * 0, or -1 with the error set. */
int fx_range_result_allocate(struct fx_range_result *r, const char *function);

/* Pack it as an argument.  Returns 0, or -1 with the error set. */
int fx_range_result_pack(msgpack_packer *pk, const void *handle, const char *function);

/* A result that is arriving; zero-initialise.  It owns the arrays until the caller's object gets
 * them, and holds that object. */
struct fx_range_result_in {
    struct fx_obj *o;
    void *data[3]; /* lims, labels, distances */
    size_t size[3];
};

/* Read the next three arrays of a reply.  Returns 0, or -1 with the error set. */
int fx_range_result_read(struct fx_rpc *r, const void *handle, const char *function,
                         struct fx_range_result_in *in, struct fx_arrays_later *later);

/* When all arrays are there, and `rc` is 0: give them to the caller's object.  Else drop them.
 * Does nothing when none was read. */
void fx_range_result_finish(struct fx_range_result_in *in, int rc);

#endif
