/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes made of several: shards and replicas. */
#include "life.h"

enum { D = 16, PARTS = 3 };

static FaissIndex *part(const char *factory, int d)
{
    FaissIndex *x = NULL;
    RC(index_factory, &x, d, factory, METRIC_L2);
    return x;
}

static void shards_of(const char *factory, int threaded, int successive, unsigned flags)
{
    FaissIndex *x = NULL, *parts[PARTS];
    struct subject s = {.d = D, .step = 1, .flags = flags | NO_EMPTY};
    say("%s threaded=%d successive=%d", factory, threaded, successive);
    if (RC(IndexShards_new_with_options, &x, D, threaded, successive) != 0)
        return;
    s.index = x;
    s.first = flags & WITH_IDS ? 100 : 0;
    s.step = flags & WITH_IDS ? 3 : 1;
    GET(IndexShards_successive_ids, x);
    DO(IndexShards_set_successive_ids, x, !successive);
    GET(IndexShards_successive_ids, x);
    DO(IndexShards_set_successive_ids, x, successive);
    GET(IndexShards_own_fields, x);
    GET(IndexShards_own_indices, x);
    for (int i = 0; i < PARTS; i++) {
        parts[i] = part(factory, D);
        RC(IndexShards_add_shard, x, parts[i]);
        same("at", ASK(IndexShards_at, x, i), parts[i]);
    }
    life(&s);
    for (int i = 0; i < PARTS; i++)
        GET(Index_ntotal, parts[i]);
    RC(IndexShards_remove_shard, x, parts[1]);
    RC(IndexShards_remove_shard, x, parts[1]);
    GET(Index_ntotal, x);
    search(&s, 7, 5);
    FaissIndex *wrong = part(factory, D + 4);
    RC(IndexShards_add_shard, x, wrong);
    DO(Index_free, wrong);
    DO(IndexShards_free, x);
    for (int i = 0; i < PARTS; i++)
        DO(Index_free, parts[i]);
}

static void shards(void)
{
    FaissIndex *x = NULL;
    shards_of("Flat", 0, 1, 0);
    shards_of("Flat", 1, 1, 0);
    shards_of("IDMap,Flat", 0, 0, WITH_IDS);
    shards_of("IVF8,Flat", 0, 0, ANY_IDS);
    shards_of("IVF8,SQ8", 1, 0, WITH_IDS);
    /* d comes from the first shard.  The index owns its shards if the library can set that. */
    if (RC(IndexShards_new, &x, 0) != 0)
        return;
    FaissIndex *a = part("Flat", D);
    GET(Index_d, x);
    RC(IndexShards_add_shard, x, a);
    GET(Index_d, x);
    DO(IndexShards_set_own_fields, x, 1);
    DO(IndexShards_set_own_indices, x, 1);
    GET(IndexShards_own_fields, x);
    GET(IndexShards_own_indices, x);
    RC(Index_add, x, 10, floats(10 * D, 1));
    GET(Index_ntotal, a);
    int own = api.IndexShards_set_own_fields || api.IndexShards_set_own_indices;
    DO(IndexShards_free, x);
    if (!own)
        DO(Index_free, a);
}

/* Not with IDMap: replicas do not accept ids, and FAISS crashes in a search of empty ones. */
static void replicas_of(const char *factory, int threaded, unsigned flags)
{
    FaissIndex *x = NULL, *parts[PARTS];
    struct subject s = {.d = D, .step = 1, .flags = flags | NO_EMPTY, .least = PARTS};
    say("%s threaded=%d", factory, threaded);
    if (RC(IndexReplicas_new_with_options, &x, D, threaded) != 0)
        return;
    s.index = x;
    s.first = flags & WITH_IDS ? 100 : 0;
    s.step = flags & WITH_IDS ? 3 : 1;
    GET(IndexReplicas_own_fields, x);
    GET(IndexReplicas_own_indices, x);
    for (int i = 0; i < PARTS; i++) {
        parts[i] = part(factory, D);
        RC(IndexReplicas_add_replica, x, parts[i]);
        same("at", ASK(IndexReplicas_at, x, i), parts[i]);
    }
    life(&s);
    for (int i = 0; i < PARTS; i++)
        GET(Index_ntotal, parts[i]);
    RC(IndexReplicas_remove_replica, x, parts[1]);
    RC(IndexReplicas_remove_replica, x, parts[1]);
    GET(Index_ntotal, x);
    search(&s, 7, 5);
    FaissIndex *empty = part(factory, D);
    RC(IndexReplicas_add_replica, x, empty); /* its ntotal differs */
    DO(IndexReplicas_free, x);
    DO(Index_free, empty);
    for (int i = 0; i < PARTS; i++)
        DO(Index_free, parts[i]);
}

static void replicas(void)
{
    FaissIndex *x = NULL;
    replicas_of("Flat", 0, 0);
    replicas_of("Flat", 1, 0);
    replicas_of("IVF8,Flat", 0, ANY_IDS);
    if (RC(IndexReplicas_new, &x, D) != 0)
        return;
    FaissIndex *a = part("SQ8", D);
    RC(IndexReplicas_add_replica, x, a);
    DO(IndexReplicas_set_own_fields, x, 1);
    GET(IndexReplicas_own_fields, x);
    DO(IndexReplicas_set_own_indices, x, 1);
    GET(IndexReplicas_own_indices, x);
    int own = api.IndexReplicas_set_own_fields || api.IndexReplicas_set_own_indices;
    DO(IndexReplicas_free, x);
    if (!own)
        DO(Index_free, a);
}

const struct life many_lives[] = {{"shards", shards}, {"replicas", replicas}, {0}};
