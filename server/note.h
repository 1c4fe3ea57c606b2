/* SPDX-License-Identifier: Apache-2.0 */
/* The note that the store keeps beside each index: what clients are told without the index being
 * read.  The store does not look into it. */
#ifndef FXS_NOTE_H
#define FXS_NOTE_H

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

struct fxs_note {
    int64_t d, metric, ntotal;
    int odd; /* fxe_obj.odd */
};

void fxs_note_write(const struct fxs_note *n, msgpack_sbuffer *b);
/* Reads a note.  What it does not have stays as it is. */
void fxs_note_read(struct fxs_note *n, const void *data, size_t size);

#endif
