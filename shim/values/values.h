/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value objects: what lives in the client and travels with the call that uses it.
 * Selectors and search parameters (values_select.c), results of range searches
 * (values_result.c), buffers (buffer_list.c), readers and writers (files_read.c, files_write.c).
 *
 * Ownership is FAISS's: a selector keeps pointers to its parts, which the caller must
 * keep alive; here a part that was freed is noticed, and the call that would use it fails.
 */
#ifndef FX_VALUES_H
#define FX_VALUES_H

#include "shim/shim.h"

/* What every kind of value begins with. */
struct fx_value {
    void (*free)(struct fx_value *);
};

void fx_value_free(struct fx_value *v);

/* The value behind `handle` if it is a `cls`, held until fx_obj_release(*o); else NULL,
 * with the error set in the name of `function`. */
void *fx_value_get(const void *handle, int cls, const char *function, struct fx_obj **o);

/* Make a value of `size` zeroed bytes and its handle, which is written to *p_out; or NULL
 * with the error set. */
void *fx_value_new(int cls, size_t size, void (*destroy)(struct fx_value *), void **p_out,
                   const char *function);

/* Free the value behind `handle`; NULL is fine. */
void fx_value_end(const void *handle, int cls, const char *function);

/* A payload being collected for a request. */
struct fx_payload {
    struct fx_frame frames[FX_FRAMES_MAX];
    int n;
};

/* Pack an array as an argument: a payload frame, or if it is large an upload, which is
 * made at once.  `data` must stay until the request is sent.  Returns 0, or -1 with the
 * error set. */
int fx_payload_pack(msgpack_packer *pk, struct fx_payload *p, const void *data, size_t size);

/* Pack a value object (or NULL) as an argument.  Returns 0, or -1 with the error set. */
int fx_value_pack(msgpack_packer *pk, struct fx_payload *payload, const void *handle, int cls,
                  const char *function);

int fx_result_pack(msgpack_packer *pk, const void *handle, const char *function);

struct fx_rpc;

/* A range search's result arrives as the next three frames of the reply. */
int fx_result_take(struct fx_rpc *r, const void *handle, const char *function);

#endif
