/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that the table cannot describe and that are not about values or files: the version,
 * statistics, and what cannot be done remotely. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/calls/array.h"
#include "shim/calls/handle.h"
#include "shim/faissx.h"
#include "shim/remote_table.h"
#include "shim/transport/repeat.h"
#include "shim/transport/session.h"

const char *fx_remote_get_last_error(void)
{
    return fx_last_error();
}

/* --- version --- */

struct version {
    struct version *next;
    char text[FX_VERSION_SIZE];
};

/* Programs keep the pointer as long as they like, so the text of every version that a server of
 * this process has had stays. */
static const char *keep_version(const char *text)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct version *versions;
    pthread_mutex_lock(&lock);
    struct version *v = versions;
    while (v && strcmp(v->text, text) != 0)
        v = v->next;
    if (!v && (v = calloc(1, sizeof *v))) {
        snprintf(v->text, sizeof v->text, "%s", text);
        v->next = versions;
        versions = v;
    }
    pthread_mutex_unlock(&lock);
    return v ? v->text : "";
}

/* "" after a failure: programs print or compare it, and do not check for NULL. */
const char *fx_remote_get_version(void)
{
    char text[FX_VERSION_SIZE];
    if (fx_session_open() != 0)
        return "";
    snprintf(text, sizeof text, "%s", fx_session_server_version());
    return keep_version(text);
}

/* --- what needs no server --- */

/* One bit for each number, the first in the lowest bit: 1 if the number is greater than 0. */
void fx_remote_real_to_binary(size_t n, size_t d, const float *x_in, uint8_t *x_out)
{
    if (d % 8 != 0 || (n && d && (!x_in || !x_out))) {
        fx_fail(FAISSX_E_ARGUMENT,
                "faiss_real_to_binary: d is %zu, x_in %p, x_out %p; d must be a multiple of 8 and "
                "the arrays must not be NULL",
                d, (const void *)x_in, (void *)x_out);
        return;
    }
    for (size_t i = 0; i < n * (d / 8); i++) {
        x_out[i] = 0;
        for (int bit = 0; bit < 8; bit++)
            x_out[i] |= (uint8_t)((x_in[8 * i + (size_t)bit] > 0) << bit);
    }
}

/* --- IndexIVFStats --- */

_Static_assert(sizeof(FaissIndexIVFStats) == 48, "as FAISS has it since v1.7.2");

static FaissIndexIVFStats ivf_stats; /* what get_indexIVF_stats returns */

/* A call that names no object, has `nargs` arguments that are pointers, and whose reply has an
 * array of `size` bytes, unless that is 0. */
struct stats_call {
    const char *operation;
    uint32_t nargs;
    void *data;
    size_t size;
};

static int take_stats(struct fx_rpc *r, void *ctx)
{
    const struct stats_call *c = ctx;
    struct fx_array_in a;
    if (c->size == 0)
        return 0;
    if (fx_array_next(r, &a) != 0)
        return -1;
    if (a.blob || a.size != c->size)
        return fx_rpc_malformed(r, "the statistics in the reply have the wrong size");
    return fx_rpc_read(r, c->data, a.size);
}

static int pack_stats(struct fx_rpc *r, void *ctx)
{
    const struct stats_call *c = ctx;
    fx_pack_str(&r->pk, "args");
    msgpack_pack_array(&r->pk, c->nargs);
    for (uint32_t i = 0; i < c->nargs; i++)
        msgpack_pack_true(&r->pk);
    return 0;
}

static int make_stats_call(struct stats_call *c)
{
    struct fx_rpc r;
    struct fx_request q = {
        .operation = c->operation, .keys = 1, .pack = pack_stats, .take = take_stats, .ctx = c};
    return fx_rpc_call(&r, &q);
}

FaissIndexIVFStats *fx_remote_get_indexIVF_stats(void)
{
    FaissIndexIVFStats fresh;
    struct stats_call c = {"faiss_get_indexIVF_stats", 0, &fresh, sizeof fresh};
    if (make_stats_call(&c) == 0)
        ivf_stats = fresh;
    return &ivf_stats;
}

void fx_remote_IndexIVFStats_reset(FaissIndexIVFStats *stats)
{
    if (!stats) {
        fx_fail(FAISSX_E_ARGUMENT, "faiss_IndexIVFStats_reset: stats is NULL");
        return;
    }
    struct stats_call c = {"faiss_IndexIVFStats_reset", 1, NULL, 0};
    if (stats == &ivf_stats)
        make_stats_call(&c);
    memset(stats, 0, sizeof *stats);
}

void fx_remote_IndexIVFStats_init(FaissIndexIVFStats *stats)
{
    fx_remote_IndexIVFStats_reset(stats);
}

/* --- ClusteringIterationStats --- */

/* FAISS's structure, which is opaque in C.  The server sends an array of them. */
struct iteration {
    float obj;
    double time, time_search, imbalance_factor;
    int nsplit;
};

_Static_assert(sizeof(struct iteration) == 40, "as FAISS has it since v1.6.3");

static const char iteration_stats_name[] = "faiss_Clustering_iteration_stats";

struct iterations_call {
    struct fx_obj *o;
    void *data;
    size_t size;
    struct fx_arrays_later later;
};

static int clustering_ready(void *ctx, int running)
{
    const struct iterations_call *c = ctx;
    return fx_object_ready(c->o, "clustering", iteration_stats_name, running);
}

static int pack_iterations(struct fx_rpc *r, void *ctx)
{
    const struct iterations_call *c = ctx;
    fx_pack_str(&r->pk, "args");
    msgpack_pack_array(&r->pk, 3);
    msgpack_pack_uint64(&r->pk, fx_obj_id(c->o));
    msgpack_pack_true(&r->pk);
    msgpack_pack_true(&r->pk);
    return 0;
}

static int take_iterations(struct fx_rpc *r, void *ctx)
{
    struct iterations_call *c = ctx;
    struct fx_array_in a;
    c->later.n = 0;
    if (fx_array_next(r, &a) != 0)
        return -1;
    if (a.size % sizeof(struct iteration))
        return fx_rpc_malformed(r, "the statistics of a clustering have an unknown layout");
    c->size = a.size;
    c->data = fx_obj_lend(c->o, FX_OP_Clustering_iteration_stats, 1, a.size);
    if (!c->data)
        return fx_fail(FAISSX_E_MEMORY, "%s: out of memory", iteration_stats_name);
    return fx_array_read(r, &a, c->data, &c->later);
}

void fx_remote_Clustering_iteration_stats(FaissClustering *clustering,
                                          FaissClusteringIterationStats **iteration_stats,
                                          size_t *size)
{
    struct fx_rpc r;
    struct iterations_call c = {0};
    struct fx_request q = {.operation = iteration_stats_name,
                           .keys = 1,
                           .ready = clustering_ready,
                           .pack = pack_iterations,
                           .take = take_iterations,
                           .ctx = &c};
    c.o = fx_server_object(clustering, FX_CLASS_Clustering, iteration_stats_name);
    int rc = c.o ? fx_rpc_call(&r, &q) : -1;
    if (rc == 0)
        rc = fx_arrays_fetch(&c.later);
    fx_obj_release(c.o);
    /* The function returns no code, so a failure gives an empty list. */
    if (iteration_stats)
        *iteration_stats = rc == 0 && c.size ? c.data : NULL;
    if (size)
        *size = rc == 0 ? c.size / sizeof(struct iteration) : 0;
}

#define ITERATION_GETTER(type, name)                                                         \
    type fx_remote_ClusteringIterationStats_##name(const FaissClusteringIterationStats *obj) \
    {                                                                                        \
        if (obj && !fx_obj_is_ours(obj)) /* a handle is not memory */                        \
            return ((const struct iteration *)obj)->name;                                    \
        fx_fail(FAISSX_E_ARGUMENT, "faiss_ClusteringIterationStats_" #name                   \
                                   ": obj is not a FaissClusteringIterationStats");          \
        return 0;                                                                            \
    }
ITERATION_GETTER(float, obj)
ITERATION_GETTER(double, time)
ITERATION_GETTER(double, time_search)
ITERATION_GETTER(double, imbalance_factor)
ITERATION_GETTER(int, nsplit)

/* --- not possible remotely --- */

void fx_remote_IndexShards_shard_indexes(FaissIndexShards *index, FaissIndex **p_shard_indexes,
                                         size_t *p_size)
{
    (void)index;
    fx_fail(FAISSX_E_UNSUPPORTED,
            "faiss_IndexShards_shard_indexes returns a pointer into a C++ vector, which only FAISS "
            "before v1.5.3 has; use faiss_IndexShards_at");
    if (p_shard_indexes)
        *p_shard_indexes = NULL;
    if (p_size)
        *p_size = 0;
}
