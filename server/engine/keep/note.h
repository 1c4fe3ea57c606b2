/* SPDX-License-Identifier: Apache-2.0 */
/* What the store keeps of an index beside its file: see struct fxe_note. */
#ifndef FXE_NOTE_H
#define FXE_NOTE_H

#include <msgpack.h>

#include "server/engine/keep/keep.h"

/* Fills the note from the index, which is not absent. */
void fxe_note_take(struct fxe_note *n, const struct fxe_obj *o);
void fxe_note_write(const struct fxe_note *n, msgpack_sbuffer *b);
/* Reads a note.  What it does not have stays 0. */
void fxe_note_read(struct fxe_note *n, const void *data, size_t size);

#endif
