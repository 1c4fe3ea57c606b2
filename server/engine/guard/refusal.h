/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of refusals.h: which acts on which indexes end the process, by release.
 *
 * A row holds for indexes whose shape (shape.h) has the words of its pattern, in that order,
 * and next to each other if there is a comma between them.  A word of a pattern is NAME,
 * NAME:METRIC or NAME:METRIC:TYPE, where METRIC may be * for any, + for those that the C API has
 * names for but L2 and inner product, and # for those that it has none for.
 */
#ifndef FXE_REFUSAL_H
#define FXE_REFUSAL_H

#include <stddef.h>

#include "server/engine/guard/acts.h"

enum fxe_verdict {
    FXE_REFUSE, /* always ends the process */
    FXE_TRY,    /* sometimes does */
    FXE_HANGS,  /* never ends, always */
    FXE_MAY_HANG
};

struct fxe_refusal {
    const char *release; /* that this was found with */
    enum fxe_verdict verdict;
    enum fxe_act act;
    unsigned with, without; /* circumstances that must be given, and must not */
    const char *pattern;    /* of the row that begins a release: all words that were tried */
};

/* The row for an act on an index of that shape, or NULL.  Release `version` is taken for the
 * nearest tested one that is not newer; *exact tells whether that is itself. */
const struct fxe_refusal *fxe_refusal_find(const char *version, enum fxe_act act, unsigned given,
                                           const char *shape, int *exact);

/* Is every word of the shape one that the run with this very release has tried, and is the
 * nesting not deeper than what it tried?  Then an act without a row works. */
int fxe_refusal_knows(const char *version, const char *shape);

/* The first tested release after `row`'s that has no such row: NULL if all have. */
const char *fxe_refusal_until(const struct fxe_refusal *row, unsigned given, const char *shape);

/* Has the shape the words of the pattern? */
int fxe_shape_matches(const char *shape, const char *pattern);

/* "an IndexHNSWSQ with METRIC_L1", for the first word of the row's pattern. */
void fxe_refusal_name(const struct fxe_refusal *row, const char *shape, char *text, size_t len);

#endif
