/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FAISS's BufferList: (id, distance) pairs in a growing list of buffers of one size.
 *
 * The list owns its buffers.  One thread at a time, as in FAISS.
 */
#ifndef FX_BUFFER_LIST_H
#define FX_BUFFER_LIST_H

#include <stddef.h>

#include "faiss_c_compat.h"

struct fx_buffer_list {
    size_t buffer_size, wp; /* wp: pairs in the last buffer */
    size_t nbuffers;
    struct fx_pairs {
        idx_t *ids;
        float *dis;
    } * buffers;
};

void fx_buffer_list_init(struct fx_buffer_list *l, size_t buffer_size);
void fx_buffer_list_clear(struct fx_buffer_list *l);
int fx_buffer_list_append_buffer(struct fx_buffer_list *l); /* 0, or -1 when memory is out */
int fx_buffer_list_add(struct fx_buffer_list *l, idx_t id, float dis);
/* Copy pairs ofs .. ofs+n-1.  Returns 0, or -1 when they are not all there. */
int fx_buffer_list_copy(const struct fx_buffer_list *l, size_t ofs, size_t n, idx_t *ids,
                        float *dis);

#endif
