/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What FAISS prints: warnings, what it reports when an index is verbose, and what some functions
 * are for.
 *
 * FAISS prints with the C library's stdout and stderr, from all threads.  In an engine both are
 * streams made here, which pass on what is printed at once, and know by the thread for which call
 * it is.  It goes to the log, and to the call's listener, if it has one; what helper threads of
 * OpenMP print goes to the log only.  (FAISS lets the thread that runs the call report.)
 */
#ifndef FXE_PRINTED_H
#define FXE_PRINTED_H

#include <stddef.h>

/* What the calling thread prints between fxe_printed_begin and fxe_printed_end.  One for stdout
 * alone, and one for all that is printed, can be there at once.  Zero-initialise. */
struct fxe_printed {
    char *text; /* malloc'd, the owner's; not NUL terminated */
    size_t size, room;
    size_t limit; /* bytes to keep; 0: all */
    size_t lost;  /* bytes that were not kept: beyond the limit, or memory was out */
};

enum fxe_printed_what {
    FXE_PRINTED_RESULT, /* stdout, for functions that print: kept from the log */
    FXE_PRINTED_ALL     /* what goes to the log */
};

/* Before there are threads. */
void fxe_printed_init(void);

void fxe_printed_begin(enum fxe_printed_what what, struct fxe_printed *p);
void fxe_printed_end(enum fxe_printed_what what);

#endif
