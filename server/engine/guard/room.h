/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much memory the engine may still take.  What does not fit is refused before FAISS is
 * called: FAISS allocates within OpenMP regions, where std::bad_alloc ends the process, and
 * where the kernel promises more than it has, it ends a process of its own choice.
 */
#ifndef FXE_ROOM_H
#define FXE_ROOM_H

#include <stddef.h>

/* Open what tells; before the sandbox. */
void fxe_room_init(void);

/* Bytes: the least that the engine's limit, its control group and the machine leave. */
size_t fxe_room(void);
/* The same, some milliseconds ago at most; cheap. */
size_t fxe_room_lately(void);

#endif
