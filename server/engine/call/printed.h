/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What FAISS prints: warnings, progress of verbose indexes, and the results of functions that
 * print.
 *
 * FAISS prints to stdout and stderr, from any thread.  An engine replaces both with unbuffered
 * streams that send the text to the log and to the listener of the calling thread, if it has one.
 * Output of OpenMP helper threads goes to the log only; FAISS reports progress from the thread that
 * runs the call.
 */
#ifndef FXE_PRINTED_H
#define FXE_PRINTED_H

#include <stddef.h>

/* A listener: collects what the calling thread prints between fxe_printed_begin and
 * fxe_printed_end.  A thread can have one of each kind at a time.  Zero-initialise. */
struct fxe_printed {
    char *text; /* the owner frees it; not NUL-terminated */
    size_t size, room;
    size_t limit; /* bytes to keep; 0: all */
    size_t lost;  /* bytes not kept: over the limit, or out of memory */
};

enum fxe_printed_what {
    FXE_PRINTED_RESULT, /* stdout, for functions that print: not logged */
    FXE_PRINTED_ALL     /* everything that is logged */
};

/* Replaces stdout and stderr.  Call it before any thread is started. */
void fxe_printed_init(void);

void fxe_printed_begin(enum fxe_printed_what what, struct fxe_printed *p);
void fxe_printed_end(enum fxe_printed_what what);

#endif
