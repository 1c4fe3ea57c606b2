/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of index that FAISS's index_factory accepts, and what they can be nested in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash.h"

enum { ROOM = 1 << 14 };

static struct kind *kinds;
static int count;

static void put(enum family family, enum depth depth, const char *format, const char *a,
                const char *b)
{
    struct kind *k = &kinds[count];
    if (count == ROOM)
        abort();
    k->depth = depth;
    k->family = family;
    if (snprintf(k->name, sizeof k->name, format, a, b) >= (int)sizeof k->name)
        abort();
    for (int i = 0; i < count; i++)
        if (strcmp(kinds[i].name, k->name) == 0 && kinds[i].family == family)
            return;
    count++;
}

/* --- codecs --- */

static const char *const scalar[] = {
    "SQ8",        "SQ4",   "SQ6",      "SQfp16",   "SQbf16",   "SQ8_direct_signed",
    "SQ8_direct", "SQ0",   "SQtqmse1", "SQtqmse2", "SQtqmse3", "SQtqmse4",
    "SQtqmse8",   "SQtq2", "SQtq3",    "SQtq4",    "SQtq5",    NULL};

static const char *const norms[] = {"",         "_Nnone",   "_Nfloat",  "_Nqint8", "_Nqint4",
                                    "_Ncqint8", "_Ncqint4", "_Nlsq2x4", "_Nrq2x4", NULL};

static const char *const few_norms[] = {"", "_Nqint8", "_Ncqint8", "_Nrq2x4", NULL};

/* The first with every norm, the others with a few. */
static const char *const additive[] = {"RQ2x4", "RQ2x4fs", NULL};
static const char *const additive_few[] = {"LSQ2x3",     "PRQ2x1x4",    "PLSQ2x1x3", "LSQ2x4fs",
                                           "PRQ2x1x4fs", "PLSQ2x1x4fs", NULL};
static const char *const additive_lists[] = {"RQ2x4fsr",   "LSQ2x4fsr",    "PRQ2x1x4fsr",
                                             "RQ2x4fs_64", "PLSQ2x1x4fsr", NULL};

/* Both alone and in inverted lists. */
static const char *const both[] = {"Flat",     "PQ4x4np",    "PQ4np",       "PQ2x6np", "PQ2x9np",
                                   "PQ4x4fs",  "PQ4x4fs_64", "RaBitQ",      "RaBitQ2", "RaBitQ4",
                                   "RaBitQ9",  "EDEN",       "EDEN4",       "EDEN8",   "EDENBIASED",
                                   "RaBitQfs", "RaBitQfs4",  "RaBitQfs_64", NULL};

static const char *const alone[] = {"FlatL2Panorama4",
                                    "FlatIPPanorama4",
                                    "FlatL2Panorama4_64",
                                    "LSH",
                                    "LSHr",
                                    "LSHt",
                                    "LSHrt",
                                    "LSH8",
                                    "LSH32r",
                                    "ZnLattice2x6_4",
                                    "ZnLattice4x10_4",
                                    "RCQ2x3",
                                    "RCQ1x3",
                                    "RQ2x3_2x2",
                                    "HNSW8",
                                    "HNSW8,Flat",
                                    "HNSW8,FlatPanorama4",
                                    "HNSW8,PQ4np",
                                    "HNSW8,PQ4x4np",

                                    "NSG8",
                                    "NSG8,Flat",
                                    "NSG32",
                                    "NSG8,PQ4np",
                                    "NSG8,PQ4x4np",
                                    "Residual8,PQ4x4",
                                    "Residual2x2,PQ4x4",
                                    NULL};

static const char *const slow[] = {"PQ2x3",         "HNSW",       "IVF8,PQ2x3", "HNSW8_8+PQ4",
                                   "HNSW8_2x2+PQ4", "IVF8,PQ4x4", "LSCQ2x4",    NULL};

static const char *const in_lists[] = {
    "FlatDedup",  "FlatPanorama4", "FlatPanorama4_64", "PQ4+4",        "PQ2+4",
    "PQ4x4fsr",   "PQ4x4fsr_64",   "ITQ16,SH",         "ITQ8,SH-1e10", "PCA8,SH2",
    "PCA8,SH-1g", "PCAR8,SH-1c",   "ITQ,SH-1m",        "RQ2x3_2x2",    NULL};

/* One of each kind, to be nested in other indexes. */
static const char *const some[] = {"Flat",
                                   "SQ8",
                                   "SQfp16",
                                   "PQ4x4np",
                                   "PQ4x4fs",
                                   "RQ2x4",
                                   "LSQ2x3",
                                   "PRQ2x1x4",
                                   "RQ2x4fs",
                                   "RaBitQ",
                                   "EDEN4",
                                   "RaBitQfs",
                                   "LSH",
                                   "ZnLattice2x6_4",
                                   "HNSW8",
                                   "HNSW8,SQ8",
                                   "HNSW8,PQ4np",
                                   "HNSW8_8+PQ4",
                                   "NSG8",
                                   "NSG8,SQ8",
                                   "IVF8,Flat",
                                   "IVF8,SQ8",
                                   "IVF8,PQ4x4np",
                                   "IVF8,PQ4x4fs",
                                   "IVF8,PQ4x4fsr",
                                   "IVF8,RQ2x4",
                                   "IVF8,LSQ2x3",
                                   "IVF8,RaBitQ",
                                   "IVF8,RaBitQfs",
                                   "IVF8,EDEN4",
                                   "IVF8,FlatDedup",
                                   "IVF8,PQ4+4",
                                   "IVF8,ITQ16,SH",
                                   "IVF8_HNSW8,Flat",
                                   "IMI2x2,Flat",
                                   "IMI2x2,PQ4x4np",
                                   "RCQ2x3",
                                   "LSCQ2x4",
                                   "Residual8,PQ4x4",
                                   "MinMax,SQ8",
                                   "IDMap,Flat",
                                   "FlatL2Panorama4",
                                   NULL};

static const char *const coarse[] = {"IVF8",
                                     "IMI2x2",
                                     "IVF8_HNSW8",
                                     "IVF8_NSG8",
                                     "IVF8(Flat)",
                                     "IVF8(SQ8)",
                                     "IVF8(PQ4x4np)",
                                     "IVF8(PQ4x4fs)",
                                     "IVF8(HNSW8,SQ8)",
                                     "IVF8(HNSW8,PQ4np)",
                                     "IVF8(NSG8,SQ8)",
                                     "IVF8(RCQ1x3)",
                                     "IVF8(LSCQ1x3)",
                                     "IVF8(RQ2x4)",
                                     "IVF8(IVF4,Flat)",
                                     "IVF8(IVF4,SQ8)",
                                     "IVF8(LSH)",
                                     "IVF8(RaBitQ)",
                                     "IVF8(ZnLattice2x6_4)",
                                     "IVF8(PCA8,Flat)",
                                     "IVF8(IDMap,Flat)",
                                     "IVF8(Flat,RFlat)",
                                     "IVF8(SQ8,Refine(Flat))",
                                     "IVF8(FlatL2Panorama4)",
                                     NULL};

static const char *const coarse_codecs[] = {"Flat",    "SQ8",      "PQ4x4np", "PQ4x4fs", "PQ4x4fsr",
                                            "RQ2x4",   "PQ4+4",    "RaBitQ",  "EDEN4",   "RaBitQfs",
                                            "RQ2x4fs", "ITQ16,SH", NULL};

/* Prefixes and suffixes for all kinds, and for those in `some`. */
static const char *const around_all[] = {"IDMap2,%s", "PCA8,%s", NULL};
static const char *const around_some[] = {"IDMap,%s",
                                          "%s,Refine(SQ8)",
                                          "MinMax,%s",
                                          "MinMaxFP16,%s",
                                          "L2norm,%s",
                                          "RR,%s",
                                          "RR8,%s",
                                          "HR,%s",
                                          "ITQ,%s",
                                          "ITQ8,%s",
                                          "OPQ4,%s",
                                          "OPQ4_8,%s",
                                          "Pad24,%s",
                                          "PCAR8,%s",
                                          "PCAW8,%s",
                                          "PCAWR8,%s",
                                          "%s,IDMap",
                                          "%s,IDMap2",
                                          "%s,Refine(Flat)",
                                          "%s,Refine(PQ4x4np)",
                                          "%s,Refine(PQ4x4fs)",
                                          "%s,RefinePanorama(FlatL2Panorama4)",
                                          "%s,Refine(HNSW8)",
                                          "%s,Refine(IVF8,Flat)",
                                          "%s,Refine(SQ4)",
                                          "%s,Refine(RQ2x4)",
                                          "%s,Refine(LSH)",
                                          "IDMap,PCA8,%s",
                                          "IDMap2,%s,RFlat",
                                          "PCA8,%s,RFlat",
                                          "L2norm,PCA8,%s",
                                          "IDMap,IDMap2,%s",
                                          "%s,RFlat,Refine(SQ8)",
                                          "IDMap,MinMax,%s",
                                          NULL};

static const char *const binary[] = {"BFlat",
                                     "BIVF8",
                                     "BIVF8_HNSW8",
                                     "BHNSW8",
                                     "BHash8",
                                     "BHash4x8",
                                     "BHash1",
                                     "BHash32",
                                     "IDMap,BFlat",
                                     "IDMap2,BFlat",
                                     "IDMap,BIVF8",
                                     "IDMap2,BIVF8",
                                     "IDMap2,BHNSW8",
                                     "BHNSW8,IDMap",
                                     "BHash8,IDMap2",
                                     "IDMap,BIVF8_HNSW8",
                                     NULL};

/* Numbers that are invalid, or need more memory than most machines have. */
static const char *const numbers[] = {"PQ0",
                                      "PQ0x4",
                                      "PQ4x0",
                                      "PQ4x1",
                                      "PQ3",
                                      "PQ17",
                                      "PQ4x25np",
                                      "PQ0x4fs",
                                      "PQ3x4fs",
                                      "PQ4x4fs_0",
                                      "PQ4x4fs_33",
                                      "IVF0,Flat",
                                      "IVF1,Flat",
                                      "IVF0,PQ4x4fs",
                                      "IVF8,PQ0",
                                      "IVF8,PQ4x0",
                                      "IVF8,PQ0+0",
                                      "IVF8,PQ4x4fs_0",
                                      "IVF8,PQ3x4fs",
                                      "HNSW0",
                                      "HNSW1",
                                      "HNSW0,SQ8",
                                      "HNSW8,PQ0",
                                      "HNSW8_0+PQ4",
                                      "IVF8_HNSW0,Flat",
                                      "IVF8_NSG0,Flat",
                                      "NSG0",
                                      "NSG1",
                                      "NSG0,SQ8",
                                      "LSH0",
                                      "LSH1",
                                      "RQ0x4",
                                      "RQ4x0",
                                      "RQ1x1",
                                      "LSQ0x4",
                                      "LSQ4x0",
                                      "PRQ0x1x4",
                                      "PRQ2x0x4",
                                      "PRQ3x1x4",
                                      "PLSQ0x1x4",
                                      "RQ0x4fs",
                                      "RQ2x4fs_0",
                                      "RCQ0x3",
                                      "RCQ3x0",
                                      "LSCQ0x3",
                                      "IMI2x0,Flat",
                                      "IVF8,RQ0x4",
                                      "IVF8,LSQ0x4",
                                      "Residual0,PQ4",
                                      "Residual0x0,PQ4",
                                      "Residual0x2,PQ4",
                                      "ZnLattice0x6_4",
                                      "ZnLattice2x0_4",
                                      "ZnLattice2x6_0",
                                      "ZnLattice3x6_4",
                                      "ZnLattice16x6_4",
                                      "ZnLattice2x7_4",
                                      "ZnLattice2x6_40",
                                      "PCA0,Flat",
                                      "PCA17,Flat",
                                      "PCAR0,Flat",
                                      "PCAW17,Flat",
                                      "OPQ0,Flat",
                                      "OPQ3,Flat",
                                      "OPQ4_0,Flat",
                                      "OPQ4_3,Flat",
                                      "OPQ17,Flat",
                                      "OPQ4_64,Flat",
                                      "RR0,Flat",
                                      "RR40,Flat",
                                      "ITQ0,Flat",
                                      "ITQ40,LSH",
                                      "Pad0,Flat",
                                      "Pad4,Flat",
                                      "IVF8,ITQ0,SH",
                                      "IVF8,ITQ40,SH",
                                      "IVF8,PCA0,SH",
                                      "IVF8,PCA8,SH0",
                                      "IVF8,ITQ16,SH0.0",
                                      "FlatL2Panorama0",
                                      "FlatL2Panorama17",
                                      "FlatL2Panorama4_0",
                                      "IVF8,FlatPanorama0",
                                      "IVF8,FlatPanorama4_0",
                                      "HNSW8,FlatPanorama0",
                                      "RaBitQfs_0",
                                      "IVF8,RaBitQfs_0",
                                      "IVF8,RaBitQfs_33",
                                      "IVF8(),Flat",
                                      "IVF8(Index0),Flat",
                                      "IVF8(IVF0,Flat),Flat",
                                      "IVF8(IVF8),Flat",
                                      "(Flat)",
                                      "Flat,Refine()",
                                      "Flat,Refine(Index0)",
                                      "IDMap,",
                                      ",IDMap",
                                      "PCA8,",
                                      "IVF8,",
                                      "HNSW8,",
                                      "MinMax,",
                                      ",",
                                      "",
                                      "IVF8(Flat)(Flat),Flat",
                                      "IVF8(Flat),PQ4x4(Flat)",
                                      NULL};

static const char *const binary_numbers[] = {
    "BIVF0",    "BIVF1",     "BHNSW0",      "BHNSW1",  "BHash0", "BHash65", "BHash0x8",
    "BHash4x0", "BHash4x65", "BIVF8_HNSW0", "BHash-1", "BIVF-1", "BHNSW-1", NULL};

static void each(const char *const *list, enum depth depth, const char *format)
{
    for (; *list; list++)
        put(FACTORY, depth, format, *list, "");
}

static void with_norms(const char *const *list, const char *const *with, const char *format)
{
    char name[64];
    for (; *list; list++)
        for (const char *const *norm = with; *norm; norm++) {
            snprintf(name, sizeof name, "%s%s", *list, *norm);
            put(FACTORY, SLOW, format, name, "");
        }
}

static void singles(void)
{
    each(both, FULL, "%s");
    each(scalar, FULL, "%s");
    each(alone, FULL, "%s");
    each(slow, SLOW, "%s");
    with_norms(additive, norms, "%s");
    with_norms(additive_few, few_norms, "%s");
    each(scalar, FULL, "HNSW8,%s");
    each(scalar, FULL, "NSG8,%s");
    each(both, FULL, "IVF8,%s");
    each(scalar, FULL, "IVF8,%s");
    each(in_lists, FULL, "IVF8,%s");
    with_norms(additive, norms, "IVF8,%s");
    with_norms(additive_few, few_norms, "IVF8,%s");
    with_norms(additive_lists, few_norms, "IVF8,%s");
    for (int i = 0; coarse[i]; i++)
        for (int k = 0; coarse_codecs[k]; k++)
            put(FACTORY, SLOW, "%s,%s", coarse[i], coarse_codecs[k]);
    for (int i = 0; binary[i]; i++)
        put(BINARY, FULL, "%s%s", binary[i], "");
    for (int i = 0; i < made_count(); i++)
        put(MADE, strchr(made_name(i), ':') ? SLOW : NESTED, "%s%s", made_name(i), "");
}

const struct kind *grammar(int *n)
{
    if (!kinds) {
        kinds = calloc(ROOM, sizeof *kinds);
        if (!kinds)
            abort();
        singles();
        int single = count; /* the kinds that follow nest one of these */
        for (int i = 0; around_all[i]; i++)
            for (int k = 0; k < single; k++)
                if (kinds[k].family == FACTORY)
                    put(FACTORY, NESTED, around_all[i], kinds[k].name, "");
        for (int i = 0; around_some[i]; i++)
            each(some, NESTED, around_some[i]);
        each(numbers, NUMBERS, "%s");
        for (int i = 0; binary_numbers[i]; i++)
            put(BINARY, NUMBERS, "%s%s", binary_numbers[i], "");
    }
    *n = count;
    return kinds;
}
