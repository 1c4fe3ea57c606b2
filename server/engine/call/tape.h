/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load from a stream that is tried in a child first: what the child reads is kept, and
 * read again by the real load.  The stream itself can be read only once.
 *
 * Used by one thread.
 */
#ifndef FXE_TAPE_H
#define FXE_TAPE_H

#include "server/engine/call/source.h"
#include "server/engine/guard/trial.h"

struct fxe_tape {
    fxe_read_fn read; /* of the stream */
    void *ctx;
    char *data; /* what was read; freed by fxe_tape_free */
    size_t size, at;
};

/* Reads what is kept, then the stream: an fxe_read_fn. */
size_t fxe_tape_read(void *tape, void *to, size_t n);

/* load(read, ctx, arg) reads through `read`.  Try it. */
enum fxe_trial fxe_tape_try(struct fxe_tape *t, void (*load)(fxe_read_fn, void *, void *),
                            void *arg, char *why, size_t len);

void fxe_tape_free(struct fxe_tape *t);

#endif
