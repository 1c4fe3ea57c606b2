/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/clustering.h"

#include "server/engine/guard/catch.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/trial.h"
#include "server/engine/run/wide.h"

enum { INDEX = 3 }; /* the argument of faiss_Clustering_train */

/* Returns whether the index finds a neighbour for every vector once it has one.  An IVF does not
 * if the lists that it looks at are empty. */
static bool finds_always(const struct fxe_obj *o)
{
    static const char *const those[] = {"IndexFlat", "HNSW", "IndexScalarQuantizer", "IndexPQ",
                                        "GpuIndex"}; /* a process with a GPU cannot be copied */
    const char *name = fxe_class_name(fxe_innermost(o->ptr));
    bool is = false;
    if (fxe_has_parts(o)) {
        for (int i = 0; i < o->nkeeps; i++)
            if (!finds_always(fxe_obj_target(o->keeps[i])))
                return false;
        return true;
    }
    for (size_t i = 0; i < sizeof those / sizeof *those; i++)
        is |= strstr(name, those[i]) != NULL;
    return is && (!strstr(name, "IVF") || fxe_is_gpu(o));
}

/* k-means outside of an index's train: with numbers that are not finite, or huge, it may split
 * clusters for ever; and where its index finds nothing, FAISS ends the process.  What a shape would
 * tell does not hold: the index gets other vectors each time. */
int fxe_guard_clustering(struct fxe_req *r)
{
    char why[FXE_WHY];
    bool mine = r->op == FX_OP_Clustering_train;
    if (!mine && r->op != FX_OP_kmeans_clustering && r->op != FX_OP_VectorTransform_train)
        return 0;
    bool odd = fxe_has_odd(r, true), finds = true;
    if (mine && fxe_has_classes() && r->v[INDEX].p)
        finds = finds_always(fxe_obj_target(r->obj[INDEX]));
    if (!odd && finds)
        return 0;
    double seconds =
        odd ? FXE_HANG_SECONDS + FXE_HANG_SECONDS_EACH * (double)rows(r) : FXE_TRIAL_SECONDS;
    switch (fxe_trial(fxe_call_faiss, r, seconds, why, sizeof why)) {
    case FXE_TRIAL_ENDED:
        fxe_wide_alone(r); /* as in the trial */
        return 0;
    case FXE_TRIAL_UNKNOWN:
        return fxe_fail(r, "limit",
                        "%s: FAISS may never return from this call, or end the process, and the "
                        "engine could not try it in a copy of itself",
                        r->fn->name);
    default:
        return fxe_fail(r, "argument", "%s: %s; a trial in a copy of the engine %s%s", r->fn->name,
                        odd ? "the vectors have numbers that are not finite, or huge"
                            : "the index may find no neighbour for a vector",
                        *why ? "ended with: " : "did not end", why);
    }
}
