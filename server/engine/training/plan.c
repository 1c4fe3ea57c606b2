/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/part.h"
#include "server/engine/catalogue/vectors.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/guard.h"
#include "server/engine/training/training.h"

/*
 * FAISS's rule is that of its clustering (ClusteringParameters): it refuses fewer vectors than
 * centroids, warns if there are fewer than 39 for each centroid (min_points_per_centroid), and uses
 * no more than 256 (max_points_per_centroid).  A product quantizer of b bits has 2^b centroids.  It
 * has no rule for other kinds: transforms get as many vectors as dimensions, and a scalar
 * quantizer, which learns the range of the numbers, 256 vectors.
 */
enum {
    CENTROID_MIN = 39,
    CENTROID_MAX = 256,
    OTHER = 256,
    SAMPLE = 65536,     /* what FAISS's OPQ takes; more than any other of these transforms */
    SENSIBLE = 1000000, /* vectors: waiting for more would take too much memory */
    BITS_MAX = 24,
    LINKS_MAX = 1 << 16,
    GRAPHS = 3,    /* while vectors of links grow, and for the levels above the lowest */
    MOST = 1 << 30 /* of any number: FAISS's factory refuses larger ones */
};

static bool follows(const char **at, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0)
        return false;
    *at += n;
    return true;
}

static int64_t number(const char **at, int64_t dflt)
{
    char *end;
    if (!isdigit((unsigned char)**at))
        return dflt;
    long long n = strtoll(*at, &end, 10);
    *at = end;
    return n < MOST ? n : MOST;
}

/* The centroids of the clustering that is named at `at`; 0: there is none. */
static int64_t centroids_at(const char *at)
{
    /* Words of FAISS's factory, each with the number of its parts and of their bits, 8 if none is
     * given.  The coarse quantizer IMI is a product quantizer, and so is what OPQ trains with. */
    static const char *const quantizers[] = {"PQ", "LSQ", "RQ", "Residual", "IMI"};
    if (follows(&at, "IVF"))
        return number(&at, 0);
    for (size_t i = 0; i < sizeof quantizers / sizeof *quantizers; i++) {
        if (!follows(&at, quantizers[i]))
            continue;
        number(&at, 0);
        int64_t bits = follows(&at, "x") ? number(&at, 8) : 8;
        return (int64_t)1 << (bits > 0 && bits < BITS_MAX ? bits : 8);
    }
    return 0;
}

static int64_t most_centroids(const char *description)
{
    int64_t most = 0;
    for (const char *at = description; *at; at++) {
        int64_t n = centroids_at(at);
        most = n > most ? n : most;
    }
    return most;
}

static bool has_transform(const char *description)
{
    return strstr(description, "PCA") || strstr(description, "ITQ");
}

int64_t fxe_training_least(const char *description, int64_t d)
{
    int64_t least = most_centroids(description);
    if (has_transform(description) && d > least)
        least = d;
    return least > 1 ? least : 1;
}

int64_t fxe_training_enough(const char *description, int64_t d)
{
    int64_t least = fxe_training_least(description, d),
            want = CENTROID_MIN * most_centroids(description);
    want = want < SENSIBLE ? want : SENSIBLE;
    want = want > OTHER ? want : OTHER;
    return want > least ? want : least;
}

int64_t fxe_training_most(const char *description)
{
    int64_t most = CENTROID_MAX * most_centroids(description);
    return most > SAMPLE ? most : SAMPLE;
}

size_t fxe_training_links(const char *description)
{
    static const char *const graphs[] = {"HNSW", "NSG"};
    size_t most = 0;
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
        const char *at = strstr(description, graphs[i]);
        if (!at)
            continue;
        at += strlen(graphs[i]);
        int64_t n = number(&at, 32);
        most = n > 0 && n < LINKS_MAX ? GRAPHS * 2 * sizeof(int32_t) * (size_t)n : most;
    }
    return most;
}

/* --- making --- */

void *fxe_training_make(struct fxe_req *r, int cls, int64_t d, int64_t metric,
                        const char *description)
{
    struct fxe_part p;
    bool binary = cls == FX_CLASS_IndexBinary;
    msgpack_object *a =
        fxe_part_begin(&p, r, binary ? FX_OP_index_binary_factory : FX_OP_index_factory);
    a[0] = fxe_true();
    a[1] = fxe_int(d);
    a[2] = fxe_text(description, strlen(description));
    if (!binary)
        a[3] = fxe_int(metric);
    void *ptr = fxe_part_call(&p) == 0 ? p.r.lent[0] : NULL;
    fxe_part_end(&p);
    return ptr;
}

/* The one list of a holder has any centroid. */
static int train_list(struct fxe_req *r, struct fxe_obj *o)
{
    struct fxe_part p;
    bool binary = fxe_is_binary(o);
    size_t d = (size_t)fxe_index_d(o), each = binary ? d / 8 : d * sizeof(float);
    char *x = calloc(CENTROID_MIN, each);
    if (!x)
        return fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name);
    for (size_t i = 0; i < CENTROID_MIN && !binary; i++)
        memcpy(x + i * each, &(float){1}, sizeof(float));
    msgpack_object *a = fxe_part_begin(&p, r, binary ? FX_OP_IndexBinary_train : FX_OP_Index_train);
    p.r.obj[0] = o;
    a[1] = fxe_int(CENTROID_MIN);
    a[2] = fxe_part_array(&p, x, CENTROID_MIN * each);
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    free(x);
    return rc;
}

/* Only L2 and the inner product are also those of an index with inverted lists. */
static int check_metric(struct fxe_req *r, int64_t metric)
{
    if (metric == METRIC_L2 || metric == METRIC_INNER_PRODUCT)
        return 0;
    return fxe_fail(r, "argument",
                    "%s: training is given, which needs the metric L2 or inner_product, but "
                    "metric is %lld",
                    r->operation->name, (long long)metric);
}

/* An inner product is a cosine if vectors get the length 1 first, before training as after it. */
static bool normalizes(const char *description)
{
    return strstr(description, "L2norm") || strstr(description, "L2Norm");
}

static void *make_holder(struct fxe_req *r, const struct fxe_obj *target, int64_t metric,
                         const char *description)
{
    FaissIndexIDMap *map = fxe_id_map_of(target);
    bool binary = fxe_is_binary(target), list = binary || (!map && fxe_own_ids(target->ptr));
    char what[32];
    snprintf(what, sizeof what, "%s%s%s",
             !map                           ? ""
             : IS(IndexIDMap2, target->ptr) ? "IDMap2,"
                                            : "IDMap,",
             normalizes(description) ? "L2norm," : "",
             binary ? "BIVF1"
             : list ? "IVF1,Flat"
                    : "Flat");
    struct fxe_obj o = {.cls = target->cls};
    o.ptr = fxe_training_make(r, target->cls, fxe_index_d(target), metric, what);
    int rc = o.ptr && list ? train_list(r, &o) : 0;
    fxe_guard_forget(&o);
    if (rc != 0) {
        fxe_obj_free_faiss(o.cls, o.ptr);
        return NULL;
    }
    return o.ptr;
}

static void copy_type(const void *faiss, char *to, size_t size)
{
    const char *at;
    size_t n;
    fxe_index_type(faiss, &at, &n);
    snprintf(to, size, "%.*s", (int)n, at);
}

static void *begin(struct fxe_req *r, const struct fxe_obj *o, const char *description,
                   struct fxs_plan *plan)
{
    FaissIndexIDMap *map = fxe_id_map_of(o);
    int64_t metric = fxe_is_binary(o) ? METRIC_L2 : (int64_t)fxe_api()->Index_metric_type(o->ptr),
            least = fxe_training_least(description, fxe_index_d(o));
    if (strlen(description) >= sizeof plan->description) {
        fxe_fail(r, "argument", "%s: with training, a description has at most %zu bytes, not %zu",
                 r->operation->name, sizeof plan->description - 1, strlen(description));
        return NULL;
    }
    if (check_metric(r, metric) != 0)
        return NULL;
    strcpy(plan->description, description);
    copy_type(o->ptr, plan->type, sizeof plan->type);
    if (map)
        copy_type(fxe_api()->IndexIDMap_sub_index(map), plan->inner, sizeof plan->inner);
    if (plan->enough < least)
        plan->enough = plan->enough ? least : fxe_training_enough(description, fxe_index_d(o));
    return make_holder(r, o, metric, description);
}

void *fxe_training_begin(struct fxe_req *r, int cls, void *target, const char *description,
                         int64_t enough, bool asked, struct fxs_plan *plan)
{
    struct fxe_obj o = {.cls = cls, .ptr = target};
    bool binary = fxe_is_binary(&o);
    *plan = (struct fxs_plan){.enough = enough, .asked = asked};
    if (binary ? fxe_api()->IndexBinary_is_trained(target) : fxe_api()->Index_is_trained(target))
        return target;
    void *holder = begin(r, &o, description, plan);
    fxe_guard_forget(&o);
    fxe_obj_free_faiss(cls, target);
    return holder;
}
