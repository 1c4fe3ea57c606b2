/* SPDX-License-Identifier: Apache-2.0 */
/* Types of index by factory string.  If a release of FAISS does not know one, it fails with the
 * same text on both sides. */
#include "life.h"

struct type {
    const char *name; /* of the life, if the factory string does not identify it */
    const char *factory;
    FaissMetricType metric;
    unsigned flags;
    int d; /* 16, unless given */
};

static const struct type types[] = {
    {"Flat", "Flat", METRIC_L2, 0, 0},
    {"Flat d=33", "Flat", METRIC_L2, 0, 33},
    {"Flat IP", "Flat", METRIC_INNER_PRODUCT, 0, 0},
    {"Flat IP d=1", "Flat", METRIC_INNER_PRODUCT, 0, 1},
    {"Flat L1", "Flat", METRIC_L1, 0, 0},
    {"Flat Linf", "Flat", METRIC_Linf, 0, 0},
    {"Flat Lp", "Flat", METRIC_Lp, 0, 0},
    {"Flat Canberra", "Flat", METRIC_Canberra, 0, 0},
    {"Flat BrayCurtis", "Flat", METRIC_BrayCurtis, 0, 0},
    {"Flat JensenShannon", "Flat", METRIC_JensenShannon, 0, 0},
    {0, "IVF16,Flat", METRIC_L2, ANY_IDS | LISTS, 0},
    {"IVF16,Flat IP", "IVF16,Flat", METRIC_INNER_PRODUCT, ANY_IDS | LISTS, 0},
    {0, "IVF16,FlatDedup", METRIC_L2, ANY_IDS, 0},
    {0, "IVF16_HNSW8,Flat", METRIC_L2, ANY_IDS | LISTS, 0},
    {0, "IMI2x3,Flat", METRIC_L2, ANY_IDS | LISTS, 0},
    {0, "IVF16,PQ8np", METRIC_L2, ANY_IDS | LISTS, 0},
    {0, "IVF16,PQ2x4", METRIC_L2, ANY_IDS | LISTS, 0},
    {0, "IVF16,PQ8+8", METRIC_L2, ANY_IDS | LISTS | NO_EMPTY, 0},
    {0, "IVF16,SQ8", METRIC_L2, ANY_IDS | LISTS, 0},
    {"IVF16,SQ8 IP", "IVF16,SQ8", METRIC_INNER_PRODUCT, ANY_IDS | LISTS, 0},
    {0, "SQ8", METRIC_L2, 0, 0},
    {0, "SQ4", METRIC_L2, 0, 0},
    {0, "SQ6", METRIC_L2, 0, 0},
    {0, "SQfp16", METRIC_L2, 0, 0},
    {0, "SQbf16", METRIC_L2, 0, 0},
    {0, "PQ8np", METRIC_L2, 0, 0},
    {0, "PQ2x4", METRIC_L2, 0, 0},
    {0, "LSH", METRIC_L2, 0, 0},
    {0, "LSHrt", METRIC_L2, 0, 0},
    {0, "HNSW8", METRIC_L2, 0, 0},
    {"HNSW8 IP", "HNSW8", METRIC_INNER_PRODUCT, 0, 0},
    {0, "HNSW8,Flat", METRIC_L2, 0, 0},
    {0, "HNSW8,SQ8", METRIC_L2, 0, 0},
    {0, "HNSW8,PQ4np", METRIC_L2, 0, 0},
    {0, "HNSW8_2+PQ4np", METRIC_L2, 0, 0},
    {0, "NSG8,Flat", METRIC_L2, FEW | NO_EMPTY, 0},
    {0, "PCA8,Flat", METRIC_L2, 0, 0},
    {0, "PCAR8,IVF16,Flat", METRIC_L2, ANY_IDS | LISTS, 0},
    {0, "PCAW8,Flat", METRIC_L2, 0, 0},
    {0, "OPQ4,PQ4np", METRIC_L2, 0, 0},
    {0, "OPQ4_8,IVF16,PQ4np", METRIC_L2, ANY_IDS | LISTS, 0},
    {0, "RR8,Flat", METRIC_L2, 0, 0},
    {0, "Pad32,Flat", METRIC_L2, 0, 0},
    {0, "L2norm,Flat", METRIC_L2, 0, 0},
    {0, "ITQ8,LSH", METRIC_L2, 0, 0},
    {0, "IDMap,Flat", METRIC_L2, WITH_IDS, 0},
    {0, "IDMap2,Flat", METRIC_L2, WITH_IDS, 0},
    {0, "Flat,IDMap2", METRIC_L2, WITH_IDS, 0},
    {0, "IDMap,IVF16,Flat", METRIC_L2, WITH_IDS | NO_REMOVE, 0},
    {0, "IDMap2,PCA8,HNSW8,SQ8", METRIC_L2, WITH_IDS, 0},
    {0, "PQ8np,RFlat", METRIC_L2, 0, 0},
    {0, "IVF16,PQ4np,RFlat", METRIC_L2, 0, 0},
    {0, "IVF16,PQ4np,Refine(SQ8)", METRIC_L2, 0, 0},
    {0, "PQ4x4fs", METRIC_L2, NO_EMPTY, 0},
    {0, "PQ4x4fs,RFlat", METRIC_L2, NO_EMPTY, 0},
    {0, "IVF16,PQ4x4fs", METRIC_L2, ANY_IDS | WHOLE | NO_REMOVE, 0},
    {0, "IVF16,PQ4x4fsr", METRIC_L2, ANY_IDS | WHOLE | NO_REMOVE, 0},
    {0, "RQ4x4", METRIC_L2, 0, 0},
    {0, "RQ4x4_Nqint8", METRIC_L2, 0, 0},
    {0, "LSQ4x4", METRIC_L2, 0, 0},
    {0, "PRQ2x2x4", METRIC_L2, 0, 0},
    {0, "PLSQ2x2x4", METRIC_L2, 0, 0},
    {0, "IVF16,RQ4x4", METRIC_L2, ANY_IDS, 0},
    {0, "RQ4x4fs_32_Nrq2x4", METRIC_L2, NO_EMPTY, 0},
    {0, "ZnLattice2x6_4", METRIC_L2, 0, 0},
    {0, "RaBitQ", METRIC_L2, 0, 0},
    {0, "IVF16,RaBitQ", METRIC_L2, ANY_IDS, 0},
};

enum { NTYPES = sizeof types / sizeof *types };

const char *type_name(int i)
{
    return i >= NTYPES ? NULL : types[i].name ? types[i].name : types[i].factory;
}

void type_run(int i)
{
    const struct type *t = &types[i];
    struct subject s = {.d = t->d ? t->d : 16, .flags = t->flags};
    s.first = t->flags & WITH_IDS ? 100 : 0;
    s.step = t->flags & WITH_IDS ? 3 : 1;
    if (RC(index_factory, &s.index, s.d, t->factory, t->metric) != 0)
        return;
    life(&s);
    DO(Index_free, s.index);
}
