/* SPDX-License-Identifier: Apache-2.0 */
/* The note that the store keeps beside each index: what clients are told without the index being
 * read.  The store does not look into it. */
#ifndef FXS_NOTE_H
#define FXS_NOTE_H

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

/* What an index is to become when it has enough vectors (server/engine/training/). */
struct fxs_plan {
    char description[256];    /* for FAISS's factory; "": it does not wait for training */
    char type[48], inner[48]; /* FAISS's class of it, and of what is in it if it is an IDMap */
    int64_t enough;           /* vectors */
    int asked;                /* only a request trains it */
};

struct fxs_note {
    int64_t d, metric, ntotal;
    int odd, planned; /* of fxe_obj */
    struct fxs_plan plan;
};

void fxs_note_write(const struct fxs_note *n, msgpack_sbuffer *b);
/* Reads a note.  What it does not have stays as it is. */
void fxs_note_read(struct fxs_note *n, const void *data, size_t size);

#endif
