/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/refusal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Oldest release first. */
static const struct {
    const char *name, *words; /* words: all that were tried */
} releases[] = {
#define RELEASE(name, words) {name, words},
#define ROW(...)
#include "server/engine/guard/refusals.h"
#undef RELEASE
#undef ROW
};

static const struct fxe_refusal rows[] = {
#define RELEASE(...)
#define ROW(releases, verdict, act, with, without, pattern) \
    {releases, FXE_##verdict, FXE_ACT_##act, with, without, pattern},
#include "server/engine/guard/refusals.h"
};

enum {
    NRELEASES = sizeof releases / sizeof *releases,
    NROWS = sizeof rows / sizeof *rows,
    DEEPEST = 4
};

/* --- patterns --- */

/* * fits any metric, + those that the C API names except L2 and inner product, # those that it does
 * not name. */
static int part_fits(const char *part, size_t n, const char *pattern, size_t pn)
{
    int metric = atoi(part);
    if (pn == 1 && *pattern == '*')
        return 1;
    if (pn == 1 && *pattern == '+')
        return metric > 1 && metric < 23;
    if (pn == 1 && *pattern == '#')
        return metric >= 23;
    return n == pn && memcmp(part, pattern, n) == 0;
}

/* Returns whether `word` (up to `end`) fits `pattern` (up to `pend`). */
static int word_fits(const char *word, const char *end, const char *pattern, const char *pend)
{
    while (pattern < pend) {
        size_t n = strcspn(word, ": "), pn = strcspn(pattern, ": ,");
        if (word >= end || !part_fits(word, n, pattern, pn))
            return 0;
        word += n + (word[n] == ':');
        pattern += pn + (pattern[pn] == ':');
    }
    return 1;
}

static size_t word_length(const char *word)
{
    return strcspn(word, " ,");
}

/* Fits the words of the pattern that are joined by commas to the first words of the shape.  Returns
 * the rest of the shape, or NULL if they do not fit. */
static const char *begins(const char *shape, const char *pattern)
{
    for (;;) {
        size_t n = word_length(shape), pn = word_length(pattern);
        if (n == 0 || !word_fits(shape, shape + n, pattern, pattern + pn))
            return NULL;
        shape += n + (shape[n] == ' ');
        if (pattern[pn] != ',')
            return shape;
        pattern += pn + 1;
    }
}

int fxe_shape_matches(const char *shape, const char *pattern)
{
    while (*pattern) {
        size_t words = strcspn(pattern, " ");
        const char *rest = NULL;
        while (*shape && !(rest = begins(shape, pattern))) {
            size_t n = word_length(shape);
            shape += n + (shape[n] == ' ');
        }
        if (!rest)
            return 0;
        shape = rest;
        pattern += words + (pattern[words] == ' ');
    }
    return 1;
}

/* --- rows --- */

static long number(const char *version)
{
    int a = 0, b = 0, c = 0;
    sscanf(version, "%d.%d.%d", &a, &b, &c);
    return a * 1000000L + b * 1000L + c;
}

/* Returns the number of release `version`, else of the next older one, else of the oldest.
 * *exact: whether it is `version` itself. */
static int release_of(const char *version, int *exact)
{
    int found = 0;
    *exact = 0;
    for (int i = 0; i < NRELEASES; i++)
        if (i == 0 || number(releases[i].name) <= number(version)) {
            found = i;
            *exact = number(releases[i].name) == number(version);
        }
    return found;
}

/* Returns the strictest fitting row of a release, or NULL. */
static const struct fxe_refusal *find_row(int release, enum fxe_act act, unsigned given,
                                          const char *shape)
{
    const struct fxe_refusal *best = NULL;
    for (int i = 0; i < NROWS; i++) {
        const struct fxe_refusal *row = &rows[i];
        if (row->act != act || !(row->releases & 1u << release) || (row->with & ~given) ||
            (row->without & given) || !fxe_shape_matches(shape, row->pattern))
            continue;
        if (row->verdict == FXE_REFUSE || row->verdict == FXE_HANGS)
            return row;
        if (!best || row->verdict == FXE_MAY_HANG)
            best = row;
    }
    return best;
}

const struct fxe_refusal *fxe_refusal_find(const char *version, enum fxe_act act, unsigned given,
                                           const char *shape, int *exact)
{
    return find_row(release_of(version, exact), act, given, shape);
}

int fxe_refusal_knows(const char *version, const char *shape)
{
    int exact, words = 0, release = release_of(version, &exact);
    while (exact && *shape) {
        size_t n = strcspn(shape, " ");
        const char *known = releases[release].words;
        int found = 0;
        while (*known && !found) {
            size_t kn = strcspn(known, " ");
            found = word_fits(shape, shape + n, known, known + kn);
            known += kn + (known[kn] == ' ');
        }
        if (!found || ++words > DEEPEST)
            return 0;
        shape += n + (shape[n] == ' ');
    }
    return exact && words > 0;
}

const char *fxe_refusal_until(const char *version, enum fxe_act act, unsigned given,
                              const char *shape)
{
    int exact;
    for (int i = release_of(version, &exact) + 1; i < NRELEASES; i++)
        if (!find_row(i, act, given, shape))
            return releases[i].name;
    return NULL;
}

/* --- names --- */

static const char *class_name_of(const char *word)
{
    static const char *const names[][2] = {
        {"IxF2", "IndexFlat"},
        {"IxFI", "IndexFlat"},
        {"IxFl", "IndexFlat"},
        {"IxFP", "IndexFlatPanorama"},
        {"IxFp", "IndexFlatPanorama"},
        {"IxHe", "IndexLSH"},
        {"IxPq", "IndexPQ"},
        {"IxRq", "IndexResidualQuantizer"},
        {"IxRQ", "IndexResidualQuantizer"},
        {"IxLS", "IndexLocalSearchQuantizer"},
        {"IxPR", "IndexProductResidualQuantizer"},
        {"IxPL", "IndexProductLocalSearchQuantizer"},
        {"ILfs", "IndexLocalSearchQuantizerFastScan"},
        {"IRfs", "IndexResidualQuantizerFastScan"},
        {"IPLf", "IndexProductLocalSearchQuantizerFastScan"},
        {"IPRf", "IndexProductResidualQuantizerFastScan"},
        {"IVLf", "IndexIVFLocalSearchQuantizerFastScan"},
        {"IVRf", "IndexIVFResidualQuantizerFastScan"},
        {"NPLf", "IndexIVFProductLocalSearchQuantizerFastScan"},
        {"NPRf", "IndexIVFProductResidualQuantizerFastScan"},
        {"ImRQ", "ResidualCoarseQuantizer"},
        {"Ix2L", "Index2Layer"},
        {"IxSQ", "IndexScalarQuantizer"},
        {"IxLa", "IndexLattice"},
        {"IwFd", "IndexIVFFlatDedup"},
        {"IwPn", "IndexIVFFlatPanorama"},
        {"IwP2", "IndexIVFFlatPanorama"},
        {"IwFl", "IndexIVFFlat"},
        {"IwSq", "IndexIVFScalarQuantizer"},
        {"IwLS", "IndexIVFLocalSearchQuantizer"},
        {"IwRQ", "IndexIVFResidualQuantizer"},
        {"IwPL", "IndexIVFProductLocalSearchQuantizer"},
        {"IwPR", "IndexIVFProductResidualQuantizer"},
        {"IwSh", "IndexIVFSpectralHash"},
        {"IwPQ", "IndexIVFPQ"},
        {"IwQR", "IndexIVFPQR"},
        {"IxPT", "IndexPreTransform"},
        {"Imiq", "MultiIndexQuantizer"},
        {"IxRF", "IndexRefine"},
        {"IxRP", "IndexRefinePanorama"},
        {"IxMp", "IndexIDMap"},
        {"IxM2", "IndexIDMap2"},
        {"IHfP", "IndexHNSWFlatPanorama"},
        {"IHNf", "IndexHNSWFlat"},
        {"IHNp", "IndexHNSWPQ"},
        {"IHNs", "IndexHNSWSQ"},
        {"IHN2", "IndexHNSW2Level"},
        {"INSf", "IndexNSGFlat"},
        {"INSp", "IndexNSGPQ"},
        {"INSs", "IndexNSGSQ"},
        {"INNf", "IndexNNDescentFlat"},
        {"IPfs", "IndexPQFastScan"},
        {"IwPf", "IndexIVFPQFastScan"},
        {"IRMf", "IndexRowwiseMinMax"},
        {"IRMh", "IndexRowwiseMinMaxFP16"},
        {"IxEe", "IndexEDEN"},
        {"IwEe", "IndexIVFEDEN"},
        {"Irfn", "IndexRaBitQFastScan"},
        {"Iwrn", "IndexIVFRaBitQFastScan"},
        {"Ixrq", "IndexRaBitQ"},
        {"Ixrr", "IndexRaBitQ"},
        {"Iwrq", "IndexIVFRaBitQ"},
        {"Iwrr", "IndexIVFRaBitQ"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(word, names[i][0], 4) == 0)
            return names[i][1];
    return NULL;
}

static const char *metric_of(int metric)
{
    static const char *const names[] = {[0] = "METRIC_INNER_PRODUCT",
                                        [1] = "METRIC_L2",
                                        [2] = "METRIC_L1",
                                        [3] = "METRIC_Linf",
                                        [4] = "METRIC_Lp",
                                        [20] = "METRIC_Canberra",
                                        [21] = "METRIC_BrayCurtis",
                                        [22] = "METRIC_JensenShannon"};
    return metric >= 0 && metric < (int)(sizeof names / sizeof *names) ? names[metric] : NULL;
}

void fxe_refusal_name(const struct fxe_refusal *row, const char *shape, char *text, size_t len)
{
    size_t pn = word_length(row->pattern);
    const char *word = shape;
    while (*word) {
        size_t n = strcspn(word, " ");
        if (word_fits(word, word + n, row->pattern, row->pattern + pn))
            break;
        word += n + (word[n] == ' ');
    }
    const char *class = class_name_of(word);
    int metric = -1, type = -1;
    if (*word)
        sscanf(word, "%*[^: ]:%d:%d", &metric, &type);
    const char *name = metric_of(metric);
    char of[64] = "";
    if (type >= 0 && (strncmp(word, "IxSQ", 4) == 0 || strncmp(word, "IwSq", 4) == 0))
        snprintf(of, sizeof of, " of type %d", type);
    if (!class)
        snprintf(text, len, "an index of this kind");
    else if (name)
        snprintf(text, len, "an %s%s with %s", class, of, name);
    else if (metric >= 0)
        snprintf(text, len, "an %s%s with metric %d", class, of, metric);
    else
        snprintf(text, len, "an %s%s", class, of);
}
