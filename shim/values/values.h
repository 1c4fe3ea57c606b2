/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value objects: objects that live in the client and travel with the call that uses them.
 * Selectors (selector.c), search parameters (search_params.c), results of range searches
 * (range_result.c, partial_result.c), buffers (buffer_list.c), readers and writers (files/).
 *
 * The handle's object owns the value; it is freed with the handle.  As in FAISS, a value that is
 * made of others keeps pointers to them, and the program must keep them alive.  Here a part that
 * was freed is noticed, and the call that would use it fails.
 *
 * As in FAISS, a program may use a value object in one thread at a time.
 */
#ifndef FX_VALUES_H
#define FX_VALUES_H

#include <msgpack.h>
#include <stddef.h>

#include "shim/object.h"

struct fx_payload;

/* What every kind of value begins with. */
struct fx_value {
    void (*free)(struct fx_value *);
};

void fx_value_free(struct fx_value *v); /* NULL is ignored */

/* The value behind `handle` if it is a `cls`.  Its object is held until fx_obj_release(*o).  NULL
 * with the error set, in the name of `function`, if it is not; *o is NULL then, and also when an
 * object of the server is meant, which has no value. */
void *fx_value_get(const void *handle, int cls, const char *function, struct fx_obj **o);

/* Make a value of `size` zeroed bytes, and its handle in *p_out.  NULL with the error set. */
void *fx_value_new(int cls, size_t size, void (*destroy)(struct fx_value *), void **p_out,
                   const char *function);

/* Free the value behind `handle`; NULL is ignored. */
void fx_value_end(const void *handle, int cls, const char *function);

/* Pack a value object, or NULL, as an argument.  Returns 0, or -1 with the error set. */
int fx_value_pack(msgpack_packer *pk, struct fx_payload *payload, const void *handle, int cls,
                  const char *function);

#endif
