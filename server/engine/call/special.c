/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/special.h"

#include <stdlib.h>
#include <string.h>

#include "server/engine/run/request.h"

enum { ITERATION_STATS_SIZE = 40 }; /* of FAISS's C++ struct, opaque in C */

static void run_ivf_stats(struct fxe_req *r)
{
    if (fxe_require(r, FX_OP_get_indexIVF_stats) == 0)
        fxe_reply_copy(r, fxe_engine.lib.api.get_indexIVF_stats(), sizeof(FaissIndexIVFStats));
}

static void run_ivf_stats_reset(struct fxe_req *r)
{
    if (fxe_require(r, FX_OP_get_indexIVF_stats) == 0 &&
        fxe_require(r, FX_OP_IndexIVFStats_reset) == 0)
        fxe_engine.lib.api.IndexIVFStats_reset(fxe_engine.lib.api.get_indexIVF_stats());
}

static int prepare_iteration_stats(struct fxe_req *r)
{
    const msgpack_object *args = fx_header_get(&r->header, "args");
    if (!args || args->type != MSGPACK_OBJECT_ARRAY || args->via.array.size != 3 ||
        args->via.array.ptr[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return fxe_fail(r, "protocol", "%s takes 3 arguments", r->operation->name);
    if (fxe_require(r, FX_OP_Clustering_iteration_stats) != 0 ||
        fxe_req_object(r, args->via.array.ptr[0].via.u64, r->operation->name, &r->obj[0]) != 0)
        return -1;
    if (!fxe_obj_is(r->obj[0], FX_CLASS_Clustering))
        return fxe_fail(r, "handle", "%s: not a FaissClustering", r->operation->name);
    return fxe_needs_add(&r->needs, r->obj[0], false);
}

static void run_iteration_stats(struct fxe_req *r)
{
    FaissClusteringIterationStats *stats = NULL;
    size_t n = 0;
    fxe_engine.lib.api.Clustering_iteration_stats(r->obj[0]->ptr, &stats, &n);
    fxe_reply_copy(r, stats, n * ITERATION_STATS_SIZE);
}

/* fxe_special_NAME handles faiss_NAME. */
#define SPECIAL(name, prepare, run) \
    const struct fxe_operation fxe_special_##name = {"faiss_" #name, 1, prepare, run, NULL}

SPECIAL(get_indexIVF_stats, NULL, run_ivf_stats);
SPECIAL(IndexIVFStats_reset, NULL, run_ivf_stats_reset);
SPECIAL(Clustering_iteration_stats, prepare_iteration_stats, run_iteration_stats);

/* handlers.h lists the functions flagged `server`: one without a SPECIAL above does not link. */
#define FX_FN(name) extern const struct fxe_operation fxe_special_##name;
#include "handlers.h"
#undef FX_FN

const struct fxe_operation *fxe_special(int op)
{
    switch (op) {
#define FX_FN(name)    \
    case FX_OP_##name: \
        return &fxe_special_##name;
#include "handlers.h"
#undef FX_FN
    default:
        return NULL;
    }
}
