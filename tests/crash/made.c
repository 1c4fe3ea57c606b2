/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes made by constructors of the C API because the factory has no name for them, such as
 * scalar quantizers whose type is given by number. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash.h"

enum { NLIST = 8, QTYPES = 29, FAR = 40, NAMES = 512 };

static const char *const parts[] = {
    "Flat",      "HNSW8",    "SQ8",          "PQ4x4np",      "PQ4x4fs",    "LSH",
    "IVF8,Flat", "IVF8,SQ8", "IVF8,PQ4x4np", "IVF8,PQ4x4fs", "IVF8,RQ4x4", "RaBitQ",
    "HNSW8,SQ8", "NSG8",     "IDMap2,Flat",  "PCA8,Flat",    NULL};
static const char *const wholes[] = {"Shards",   "ShardsT",   "Replicas", "ReplicasT", "RefineFlat",
                                     "NewIDMap", "NewIDMap2", "Pre",      "Shards0",   NULL};

static char *names[NAMES];
static int count;

static void put(const char *format, const char *a, const char *b, int number)
{
    if (count == NAMES || asprintf(&names[count++], format, a, b, number) < 0)
        abort();
}

int made_count(void)
{
    if (count)
        return count;
    for (int i = 0; i < QTYPES; i++) {
        if (i > 9 && i < 18) /* the factory has names for these */
            continue;
        put("%s%sSQ:%d", "", "", i);
        put("%s%sIVFSQ:%d", "", "", i);
        if (i < 10)
            put("%s%sIVFSQ0:%d", "", "", i); /* residuals are not encoded */
    }
    put("%s%sSQ:%d", "", "", FAR);
    put("%s%sIVFSQ:%d", "", "", FAR);
    put("%s%sNewFlat:%d", "", "", 0);
    put("%s%sNewIVFFlat:%d", "", "", 0);
    for (int i = 0; parts[i]; i++)
        put("%s%sIVFFlatOver:%d", "", "", i);
    for (int w = 0; wholes[w]; w++)
        for (int p = 0; parts[p]; p++)
            put("%s(%s)", wholes[w], parts[p], 0);
    return count;
}

const char *made_name(int i)
{
    return names[i];
}

static int part(const char *name, int d, int metric, FaissIndex **out)
{
    return api.index_factory(out, d, name, (FaissMetricType)metric);
}

static int ivf_sq(int d, int metric, int type, int residual, FaissIndex **out)
{
    FaissIndex *q;
    if (!api.IndexIVFScalarQuantizer_new_with_metric)
        return -99;
    int rc = part("Flat", d, metric, &q);
    return rc ? rc
              : api.IndexIVFScalarQuantizer_new_with_metric(
                    (FaissIndexIVFScalarQuantizer **)out, q, (size_t)d, NLIST,
                    (FaissQuantizerType)type, (FaissMetricType)metric, residual);
}

static int ivf_flat(int d, int metric, const char *quantizer, FaissIndex **out)
{
    FaissIndex *q;
    int rc = part(quantizer, d, metric, &q);
    return rc ? rc
              : api.IndexIVFFlat_new_with_metric((FaissIndexIVFFlat **)out, q, (size_t)d, NLIST,
                                                 (FaissMetricType)metric);
}

static int shards(int d, int metric, const char *p, int threaded, int successive, FaissIndex **out)
{
    int rc = api.IndexShards_new_with_options((FaissIndexShards **)out, d, threaded, successive);
    for (int i = 0; i < 2 && rc == 0; i++) {
        FaissIndex *sub;
        if ((rc = part(p, d, metric, &sub)) == 0)
            rc = api.IndexShards_add_shard((FaissIndexShards *)*out, sub);
    }
    return rc;
}

static int replicas(int d, int metric, const char *p, int threaded, FaissIndex **out)
{
    int rc = api.IndexReplicas_new_with_options((FaissIndexReplicas **)out, d, threaded);
    for (int i = 0; i < 2 && rc == 0; i++) {
        FaissIndex *sub;
        if ((rc = part(p, d, metric, &sub)) == 0)
            rc = api.IndexReplicas_add_replica((FaissIndexReplicas *)*out, sub);
    }
    return rc;
}

static int whole(const char *name, const char *p, int d, int metric, FaissIndex **out)
{
    FaissIndex *sub;
    int rc;
    if (strncmp(name, "Shards", 6) == 0)
        return shards(d, metric, p, strcmp(name, "ShardsT") == 0, strcmp(name, "Shards0") != 0,
                      out);
    if (strncmp(name, "Replicas", 8) == 0)
        return replicas(d, metric, p, strcmp(name, "ReplicasT") == 0, out);
    if ((rc = part(p, d, metric, &sub)) != 0)
        return rc;
    if (strcmp(name, "RefineFlat") == 0)
        return api.IndexRefineFlat_new((FaissIndexRefineFlat **)out, sub);
    if (strcmp(name, "NewIDMap") == 0)
        return api.IndexIDMap_new((FaissIndexIDMap **)out, sub);
    if (strcmp(name, "NewIDMap2") == 0)
        return api.IndexIDMap2_new((FaissIndexIDMap2 **)out, sub);
    FaissRandomRotationMatrix *rotation;
    if ((rc = api.RandomRotationMatrix_new_with(&rotation, d, d)) != 0)
        return rc;
    return api.IndexPreTransform_new_with_transform((FaissIndexPreTransform **)out,
                                                    (FaissVectorTransform *)rotation, sub);
}

int made_create(const char *name, int d, int metric, FaissIndex **out)
{
    const char *colon = strchr(name, ':'), *open = strchr(name, '(');
    char first[32], second[64];
    if (open) {
        snprintf(first, sizeof first, "%.*s", (int)(open - name), name);
        snprintf(second, sizeof second, "%.*s", (int)strlen(open) - 2, open + 1);
        return whole(first, second, d, metric, out);
    }
    int number = atoi(colon + 1);
    if (strncmp(name, "SQ:", 3) == 0)
        return api.IndexScalarQuantizer_new_with((FaissIndexScalarQuantizer **)out, d,
                                                 (FaissQuantizerType)number,
                                                 (FaissMetricType)metric);
    if (strncmp(name, "IVFSQ:", 6) == 0)
        return ivf_sq(d, metric, number, 1, out);
    if (strncmp(name, "IVFSQ0:", 7) == 0)
        return ivf_sq(d, metric, number, 0, out);
    if (strncmp(name, "NewFlat:", 8) == 0)
        return api.IndexFlat_new_with((FaissIndexFlat **)out, d, (FaissMetricType)metric);
    if (strncmp(name, "NewIVFFlat:", 11) == 0)
        return ivf_flat(d, metric, "Flat", out);
    return ivf_flat(d, metric, parts[number], out);
}

FaissIndex *made_part(const char *name, FaissIndex *index)
{
    return strncmp(name, "Shards", 6) == 0 ? api.IndexShards_at((FaissIndexShards *)index, 0)
           : strncmp(name, "Replicas", 8) == 0
               ? api.IndexReplicas_at((FaissIndexReplicas *)index, 0)
               : NULL;
}
