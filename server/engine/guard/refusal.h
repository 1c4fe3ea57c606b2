/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table in refusals.h: which acts on which indexes end the process, by release.
 *
 * A row holds for indexes whose shape (shape.h) has the words of its pattern, in that order; words
 * joined by a comma must be next to each other.  A word is NAME, NAME:METRIC or NAME:METRIC:TYPE,
 * where METRIC may be * (any metric), + (those that the C API names, except L2 and inner product)
 * or # (those that it does not name).
 */
#ifndef FXE_REFUSAL_H
#define FXE_REFUSAL_H

#include <stddef.h>

#include "server/engine/guard/acts.h"

enum fxe_verdict {
    FXE_REFUSE,  /* always ends the process */
    FXE_TRY,     /* sometimes ends it */
    FXE_HANGS,   /* never returns */
    FXE_MAY_HANG /* sometimes never returns */
};

struct fxe_refusal {
    unsigned releases; /* in which this was found: a bit for each, the oldest is the lowest */
    enum fxe_verdict verdict;
    enum fxe_act act;
    unsigned with, without; /* circumstances that must hold, and must not */
    const char *pattern;
};

/* Returns the row for an act on an index of that shape, or NULL.  If release `version` was not
 * tested, the newest tested one before it is used; *exact tells whether it was. */
const struct fxe_refusal *fxe_refusal_find(const char *version, enum fxe_act act, unsigned given,
                                           const char *shape, int *exact);

/* Returns whether the run with exactly this release tried every word of the shape, and nesting as
 * deep as this.  Then an act without a row works. */
int fxe_refusal_knows(const char *version, const char *shape);

/* Returns the first tested release after `version` that has no row for this, or NULL. */
const char *fxe_refusal_until(const char *version, enum fxe_act act, unsigned given,
                              const char *shape);

/* Returns whether the shape fits the pattern. */
int fxe_shape_matches(const char *shape, const char *pattern);

/* Writes the name of what fits the first word of the row's pattern: "an IndexHNSWSQ with
 * METRIC_L1". */
void fxe_refusal_name(const struct fxe_refusal *row, const char *shape, char *text, size_t len);

#endif
