/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries a load from a stream in a child process first.  The stream can be read only once, so the
 * tape keeps what the child reads for the real load.
 *
 * Used by one thread.
 */
#ifndef FXE_TAPE_H
#define FXE_TAPE_H

#include "server/engine/call/source.h"
#include "server/engine/guard/trial.h"

struct fxe_tape {
    fxe_read_fn read; /* reads the stream */
    void *ctx;
    char *data;      /* the `size` bytes read; freed by fxe_tape_free */
    size_t size, at; /* at: where fxe_tape_read continues */
};

/* An fxe_read_fn: reads the kept bytes, then the stream. */
size_t fxe_tape_read(void *tape, void *to, size_t n);

/* Tries load(read, ctx, arg) in a child; `load` must read the stream through `read`. */
enum fxe_trial fxe_tape_try(struct fxe_tape *t, void (*load)(fxe_read_fn, void *, void *),
                            void *arg, char *why, size_t len);

void fxe_tape_free(struct fxe_tape *t);

#endif
