/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much more memory the engine may take.  Calls that would not fit are refused before FAISS is
 * called: FAISS allocates inside OpenMP regions, where std::bad_alloc ends the process, and where
 * the kernel overcommits memory, it kills a process of its own choice.
 */
#ifndef FXE_ROOM_H
#define FXE_ROOM_H

#include <stdbool.h>
#include <stddef.h>

/* Opens the files that fxe_room reads.  Call before fxe_sandbox. */
void fxe_room_init(void);

/* Returns bytes: the least that the engine's limit, its control group and the machine leave. */
size_t fxe_room(void);
/* The same, but up to some milliseconds old, and cheap. */
size_t fxe_room_lately(void);
/* The same, after dropping what can be had again without trouble (objects/again.h) if there are not
 * `bytes`.  Call it before refusing something. */
size_t fxe_room_for(size_t bytes);
/* realloc, which is tried again after the same. */
void *fxe_room_realloc(void *old, size_t size);
/* Bytes as of fxe_room, without memory that was freed, but not returned to the kernel: it may be in
 * pieces. `fresh`: not some milliseconds old. */
size_t fxe_room_unused(bool fresh);

#endif
