/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of indexes.  FAISS writes the index, and reads what it writes at the same time: unlike
 * FAISS's own copies, which in some releases share parts with the original (docs/crashes.md), the
 * result is what reading the file again would give.
 */
#ifndef FXE_COPY_H
#define FXE_COPY_H

struct fxe_obj;

enum { FXE_COPY_WHY = 600 };

/* Copies an index, which nobody may change meanwhile; it is read with these io_flags.  Returns 0;
 * or -1 with `why`, which may be "": no memory.  The caller holds no lock of the engine's. */
int fxe_copy_index(struct fxe_obj *o, int flags, void **copy, char why[FXE_COPY_WHY]);

#endif
