/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value objects: what lives in the client and travels with the call that uses it.
 * Selectors and search parameters (values_select.c), results of range searches
 * (values_result.c), buffers (values_buffer.c), readers and writers (files.c).
 *
 * Ownership is FAISS's: a selector keeps pointers to its parts, which the caller must
 * keep alive; here a part that was freed is noticed, and the call that would use it fails.
 */
#ifndef FX_VALUES_H
#define FX_VALUES_H

#include "shim.h"

/* What every kind of value begins with. */
struct fx_value {
    void (*free)(struct fx_value *);
};

void fx_value_free(struct fx_value *v);

/* The value behind `handle` if it is a `cls`, held until fx_obj_release(*o); else NULL,
 * with the error set in the name of `function`. */
void *fx_value_get(const void *handle, int cls, const char *function, struct fx_obj **o);

/* A payload being collected for a request. */
struct fx_payload {
    struct fx_frame frames[FX_FRAMES_MAX];
    int n;
};

/* Add an array to the payload: its frame number, or -1 with the error set. */
int fx_payload_add(struct fx_payload *p, const void *data, size_t size);

/* Pack a value object (or NULL) as an argument.  Returns 0, or -1 with the error set. */
int fx_value_pack(msgpack_packer *pk, struct fx_payload *payload, const void *handle, int cls,
                  const char *function);

/* min(nprobe) that search parameters ask for; -1 when they are NULL or of no such kind. */
int64_t fx_params_nprobe(const void *params);

/* A range search's result arrives: the three arrays become the object's (malloc'd). */
int fx_result_set(const void *handle, size_t *lims, size_t nlims, idx_t *labels, float *distances);

#endif
