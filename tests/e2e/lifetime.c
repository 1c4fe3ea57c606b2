/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that are freed too early, twice, or by two owners, that are of the wrong class, or that
 * were created empty.  Also every function, whose names are read from stdin, with NULL for all
 * arguments and with objects of each wrong class. */
#include <unistd.h>

#include "cases.h"

enum { D = 8, N = 200, BITS = 64 };

static float *x, out[N * D];
static idx_t ids[N];

static FaissIndex *flat(void)
{
    FaissIndex *index = make(D, "Flat");
    return index ? index : canary;
}

static FaissIndex *shards(void)
{
    FaissIndexShards *s;
    MUST(F(IndexShards_new)(&s, D));
    return s;
}

static void freed(void)
{
    FaissIndex *a = flat();
    CALL(WORKS, F(Index_free)(a));
    CALL(ENDS, F(Index_free)(a));
    CALL(FAILS, F(Index_ntotal)(a));
    CODE(FAILS, F(Index_search)(a, 1, x, 1, out, ids));
    CODE(FAILS, F(Index_add)(a, 1, x));
    CALL(ENDS, F(Index_free)((FaissIndex *)&a));
    CALL(FAILS, F(Index_d)(NULL));
}

static void quantizers(int own, int quantizer_first)
{
    FaissIndex *quantizer = flat();
    FaissIndexIVFFlat *ivf;
    MUST(F(IndexIVFFlat_new_with)(&ivf, quantizer, D, 4));
    CALL(WORKS, F(IndexIVFFlat_set_own_fields)(ivf, own));
    if (quantizer_first)
        CALL(WORKS, F(Index_free)(quantizer));
    CODE(WORKS, F(Index_train)(ivf, N, x));
    CODE(WORKS, F(Index_add)(ivf, N, x));
    CODE(WORKS, F(Index_search)(ivf, 3, x, 2, out, ids));
    FaissIndex *lent = F(IndexIVF_quantizer)(ivf);
    CALL(ENDS, F(Index_free)(lent));
    CODE(WORKS, F(Index_search)(ivf, 3, x, 2, out, ids));
    CALL(WORKS, F(Index_free)(ivf));
    CALL(ENDS, F(Index_search)(quantizer, 1, x, 1, out, ids));
    CALL(ENDS, F(Index_free)(quantizer));
    CALL(FAILS, F(Index_ntotal)(ivf));
}

static void parts_of_made(void)
{
    FaissIndex *ivf = make(D, "IVF4,Flat");
    MUST(F(Index_train)(ivf, N, x));
    FaissIndex *q = F(IndexIVF_quantizer)(ivf);
    CALL(WORKS, F(IndexIVF_set_own_fields)(ivf, 0));
    CALL(WORKS, F(Index_free)(ivf));
    CODE(ENDS, F(Index_search)(q, 1, x, 1, out, ids));
    CALL(ENDS, F(Index_free)(q));
    CALL(FAILS, F(Index_ntotal)(q));
    ivf = make(D, "IVF4,Flat");
    q = F(IndexIVF_quantizer)(ivf);
    CALL(WORKS, F(Index_free)(ivf));
    CALL(FAILS, F(Index_ntotal)(q));
    CALL(ENDS, F(Index_free)(q));
}

static void two_owners(void)
{
    FaissIndex *child = flat();
    FaissIndexIDMap *a = NULL, *b = NULL;
    CODE(WORKS, F(IndexIDMap_new)(&a, child));
    CODE(ENDS, F(IndexIDMap_new)(&b, child));
    CALL(WORKS, F(IndexIDMap_set_own_fields)(a, 1));
    CALL(ENDS, F(IndexIDMap_set_own_fields)(b, 1));
    CALL(WORKS, F(Index_free)(a));
    CODE(ENDS, F(Index_add_with_ids)(b, 1, x, ids));
    CALL(WORKS, F(Index_free)(b));
    CALL(ENDS, F(Index_free)(child));
}

static void shard_rings(void)
{
    FaissIndex *a = shards(), *b = shards(), *c = flat();
    CODE(FAILS, F(IndexShards_add_shard)(a, a));
    CODE(ENDS, F(IndexShards_add_shard)(a, b));
    CODE(FAILS, F(IndexShards_add_shard)(b, a));
    CODE(ENDS, F(Index_search)(a, 1, x, 1, out, ids));
    CODE(ENDS, F(IndexShards_add_shard)(b, c));
    CODE(ENDS, F(IndexShards_add_shard)(b, c));
    CODE(ENDS, F(Index_add)(b, 4, x));
    CODE(ENDS, F(Index_search)(a, 1, x, 1, out, ids));
    CALL(FAILS, F(IndexShards_at)(a, -1));
    CALL(FAILS, F(IndexShards_at)(a, 99));
    CALL(ENDS, F(Index_free)(c));
    CODE(ENDS, F(Index_search)(b, 1, x, 1, out, ids));
    CALL(WORKS, F(Index_free)(b));
    CODE(ENDS, F(IndexShards_remove_shard)(a, b));
    CODE(ENDS, F(IndexShards_remove_shard)(a, canary));
    CODE(ENDS, F(Index_search)(a, 1, x, 1, out, ids));
    CALL(WORKS, F(Index_free)(a));
}

static void replicas(void)
{
    FaissIndexReplicas *r;
    FaissIndex *a = flat(), *b = flat();
    before();
    int rc = F(IndexReplicas_new)(&r, D);
    after("IndexReplicas_new", WORKS, rc); /* came with v1.7.2 */
    if (rc != 0) {
        F(Index_free)(a);
        F(Index_free)(b);
        return;
    }
    CODE(ENDS, F(Index_search)(r, 1, x, 1, out, ids));
    CODE(ENDS, F(Index_reconstruct)(r, 0, out));
    CODE(WORKS, F(IndexReplicas_add_replica)(r, a));
    CODE(ENDS, F(IndexReplicas_add_replica)(r, a));
    CODE(ENDS, F(IndexReplicas_add_replica)(r, r));
    CODE(ENDS, F(IndexReplicas_add_replica)(r, b));
    CODE(WORKS, F(Index_add)(a, 5, x));
    CODE(ENDS, F(Index_search)(r, 4, x, 3, out, ids));
    CODE(ENDS, F(Index_reconstruct_n)(r, -3, 5, out));
    CALL(FAILS, F(IndexReplicas_at)(r, 7));
    CALL(WORKS, F(Index_free)(a));
    CODE(ENDS, F(IndexReplicas_remove_replica)(r, a));
    CODE(WORKS, F(IndexReplicas_remove_replica)(r, b));
    CALL(WORKS, F(Index_free)(r));
}

/* Searches an index of 10 vectors with labels from `first`, and must not get others. */
static void finds_its_own(FaissIndex *whole, idx_t first)
{
    idx_t got[4];
    int strange = 0;
    before();
    int rc = F(Index_search)(whole, 1, x + 99 * D, 4, out, got);
    for (int i = 0; rc == 0 && i < 4; i++)
        strange |= got[i] != -1 && (got[i] < first || got[i] >= first + 10);
    after("a search finds what is in the whole, if it works", strange ? FAILS : ENDS, rc);
}

/* The index within another is changed without the whole. */
static void uneven(void)
{
    idx_t all[N], got[4];
    FaissIDSelectorRange *range;
    MUST(F(IDSelectorRange_new)(&range, 0, 5));
    for (int i = 0; i < N; i++)
        all[i] = 1000 + i;
    for (int refined = 0; refined < 2; refined++) {
        FaissIndex *sub = flat(), *whole = NULL;
        if (refined) {
            MUST(F(IndexRefineFlat_new)((FaissIndexRefineFlat **)&whole, sub));
            MUST(F(Index_add)(whole, 10, x));
        } else {
            MUST(F(IndexIDMap_new)((FaissIndexIDMap **)&whole, sub));
            MUST(F(Index_add_with_ids)(whole, 10, x, all));
        }
        CODE(WORKS, F(Index_search)(whole, 1, x, 4, out, got));
        for (int i = 0; i < 20; i++)
            MUST(F(Index_add)(sub, N, x));
        finds_its_own(whole, refined ? 0 : 1000);
        CODE(FAILS, F(Index_remove_ids)(whole, (FaissIDSelector *)range, NULL));
        CODE(FAILS, refined ? F(Index_add)(whole, 1, x) /* it would look even after that */
                            : F(Index_add_with_ids)(whole, 1, x, all));
        finds_its_own(whole, refined ? 0 : 1000);
        CODE(FAILS, F(Index_remove_ids)(whole, (FaissIDSelector *)range, NULL));
        FaissIndex *shard = shards();
        MUST(F(IndexShards_add_shard)(shard, whole));
        finds_its_own(shard, refined ? 0 : 1000);
        F(Index_free)(shard);
        F(Index_free)(whole);
        F(Index_free)(sub);
    }
    FaissIndex *sub = flat(), *whole = NULL;
    MUST(F(IndexIDMap2_new)((FaissIndexIDMap2 **)&whole, sub));
    MUST(F(Index_add_with_ids)(whole, 10, x, all));
    CODE(ENDS, F(Index_reconstruct)(whole, 1003, out));
    CODE(WORKS, F(Index_reset)(sub));
    CODE(FAILS, F(Index_reconstruct)(whole, 1003, out));
    CODE(FAILS, F(Index_compute_residual)(whole, x, out, 1003));
    CODE(ENDS, F(Index_search)(whole, 1, x, 4, out, got));
    CODE(FAILS, F(Index_add_with_ids)(whole, 2, x, all + 10));
    CODE(FAILS, F(Index_reconstruct)(whole, 1009, out));
    for (int i = 0; i < 20; i++)
        MUST(F(Index_add)(sub, N, x));
    CODE(FAILS, F(Index_add_with_ids)(whole, 1, x, all));
    finds_its_own(whole, 1000);
    FaissIndex *into = make(D, "IDMap2,Flat");
    CODE(FAILS, F(Index_merge_from)(into, whole, 0));
    CODE(FAILS, F(Index_merge_from)(whole, into, 0));
    F(Index_free)(into);
    CODE(WORKS, F(Index_reset)(whole));
    CODE(WORKS, F(Index_add_with_ids)(whole, 10, x, all));
    CODE(WORKS, F(Index_search)(whole, 1, x, 4, out, got));
    CODE(WORKS, F(Index_remove_ids)(whole, (FaissIDSelector *)range, NULL));
    F(Index_free)(whole);
    F(Index_free)(sub);
    F(IDSelectorRange_free)(range);
}

/* The header of a binary index in a file. */
static void binary_header(FILE *f, const char *word, int64_t ntotal)
{
    struct __attribute__((packed)) {
        char word[4];
        int d, code_size;
        int64_t ntotal;
        uint8_t is_trained;
        int metric;
    } h = {"", BITS, BITS / 8, ntotal, 1, 1};
    memcpy(h.word, word, sizeof h.word);
    fwrite(&h, sizeof h, 1, f);
}

/* An IDMap2 over a Flat index with the ids N - 1 to 0.  The C API has no other way to make one. */
static FaissIndexBinary *binary_map(const uint8_t *bits)
{
    FaissIndexBinary *index = NULL;
    char name[] = "/tmp/lifetime-XXXXXX";
    size_t n = N, bytes = N * BITS / 8;
    FILE *f = fdopen(mkstemp(name), "w");
    binary_header(f, "IBM2", N);
    binary_header(f, "IBxF", N);
    fwrite(&bytes, sizeof bytes, 1, f);
    fwrite(bits, 1, bytes, f);
    fwrite(&n, sizeof n, 1, f);
    for (idx_t id = N - 1; id >= 0; id--)
        fwrite(&id, sizeof id, 1, f);
    fclose(f);
    F(read_index_binary_fname)(name, 0, &index);
    unlink(name);
    return index;
}

/* After a reset, ids from before it are not found, although few vectors were added since. */
static void reset(void)
{
    static uint8_t bits[N * BITS / 8];
    idx_t all[N], one = 7;
    for (int i = 0; i < N; i++)
        all[i] = 1000 + i;
    for (int kind = 0; kind < 3; kind++) {
        FaissIndex *sub = flat(), *map = NULL, *whole = NULL;
        MUST(F(IndexIDMap2_new)((FaissIndexIDMap2 **)&map, sub));
        MUST(F(Index_add_with_ids)(map, N, x, all));
        if (kind == 1)
            MUST(F(IndexPreTransform_new_with)((FaissIndexPreTransform **)&whole, map));
        if (kind == 2) {
            whole = shards();
            MUST(F(IndexShards_add_shard)(whole, map));
        }
        /* (FAISS before v1.7.2 cannot tell that it is an IDMap2.) */
        CODE(ENDS, F(Index_reconstruct)(map, 1000 + N - 1, out));
        CODE(WORKS, F(Index_reset)(whole ? whole : map));
        MUST(F(Index_add_with_ids)(map, 1, x, &one));
        CODE(ENDS, F(Index_reconstruct)(map, one, out));
        CODE(FAILS, F(Index_reconstruct)(map, 1000 + N - 1, out));
        F(Index_free)(whole);
        F(Index_free)(map);
        F(Index_free)(sub);
    }
    FaissIndexBinary *map = binary_map(bits);
    if (!map) /* before FAISS v1.7.3 */
        return;
    CODE(WORKS, F(IndexBinary_reconstruct)(map, 1, bits));
    CODE(WORKS, F(IndexBinary_reset)(map));
    MUST(F(IndexBinary_add_with_ids)(map, 3, bits, all));
    CODE(FAILS, F(IndexBinary_reconstruct)(map, 1, bits)); /* below the number of vectors */
    F(IndexBinary_free)(map);
}

/* The index within another must not get another dimension. */
static void resized(void)
{
    enum { LARGE = 1000000 };
    idx_t id = 7;
    FaissIndex *sub = flat(), *mid = NULL, *whole = NULL, *shard;
    FaissVectorTransform *large = NULL, *same = NULL;
    MUST(F(IndexPreTransform_new_with)((FaissIndexPreTransform **)&mid, sub));
    MUST(F(IndexIDMap2_new)((FaissIndexIDMap2 **)&whole, mid));
    MUST(F(Index_add_with_ids)(whole, 1, x, &id));
    MUST(F(RemapDimensionsTransform_new_with)(&large, LARGE, D, 0));
    MUST(F(RemapDimensionsTransform_new_with)(&same, D, D, 0));
    CODE(FAILS, F(IndexPreTransform_prepend_transform)(mid, large));
    CODE(WORKS, F(IndexPreTransform_prepend_transform)(mid, same));
    CODE(ENDS, F(Index_reconstruct)(whole, id, out));
    CALL(WORKS, F(Index_free)(whole));
    CODE(WORKS, F(IndexPreTransform_prepend_transform)(mid, large)); /* nothing contains it now */
    F(Index_free)(mid);
    F(Index_free)(sub);
    F(VectorTransform_free)(large);
    F(VectorTransform_free)(same);
    sub = flat();
    MUST(F(IndexShards_new)((FaissIndexShards **)&shard, 0));
    MUST(F(IndexIDMap_new)((FaissIndexIDMap **)&whole, shard));
    CODE(FAILS, F(IndexShards_add_shard)(shard, sub));
    F(Index_free)(whole);
    CODE(WORKS, F(IndexShards_add_shard)(shard, sub));
    F(Index_free)(shard);
    F(Index_free)(sub);
}

static void hollow(void)
{
    FaissIndex *all[3] = {NULL};
    CODE(WORKS, F(IndexIVFFlat_new)(&all[0]));
    CODE(WORKS, F(IndexPreTransform_new)(&all[1]));
    CODE(WORKS, F(IndexScalarQuantizer_new)(&all[2]));
    for (int i = 0; i < 3; i++) {
        FaissIndex *copy = NULL;
        CODE(ENDS, F(Index_train)(all[i], 3, x));
        CODE(ENDS, F(Index_add)(all[i], 3, x));
        CODE(ENDS, F(Index_search)(all[i], 1, x, 1, out, ids));
        CODE(ENDS, F(Index_reset)(all[i]));
        CODE(ENDS, F(clone_index)(all[i], &copy));
        CODE(ENDS, F(write_index_fname)(all[i], "/dev/null"));
        CALL(ENDS, F(Index_free)(all[i]));
    }
}

static void transforms(void)
{
    FaissVectorTransform *all[7] = {NULL};
    CODE(WORKS, F(PCAMatrix_new_with)(&all[0], D, 4, 0, 0));
    CODE(WORKS, F(OPQMatrix_new_with)(&all[1], D, 2, D));
    CODE(WORKS, F(ITQMatrix_new_with)(&all[2], D));
    CODE(WORKS, F(CenteringTransform_new_with)(&all[3], D));
    CODE(WORKS, F(RemapDimensionsTransform_new_with)(&all[4], D, 4, 1));
    CODE(WORKS, F(RandomRotationMatrix_new_with)(&all[5], D, 4));
    CODE(WORKS, F(NormalizationTransform_new_with)(&all[6], D, 2));
    for (int i = 0; i < 7; i++) {
        FaissVectorTransform *t = all[i];
        CALL(ENDS, F(LinearTransform_set_is_orthonormal)(t));
        CALL(ENDS, F(LinearTransform_transform_transpose)(t, 2, x, out));
        CALL(ENDS, free(F(VectorTransform_apply)(t, 2, x)));
        CALL(ENDS, F(VectorTransform_apply_noalloc)(t, 2, x, out));
        CALL(ENDS, F(VectorTransform_reverse_transform)(t, 2, x, out));
        CODE(ENDS, F(VectorTransform_train)(t, 0, NULL));
        CODE(ENDS, F(VectorTransform_train)(t, 1, x));
        CALL(ENDS, F(VectorTransform_reverse_transform)(t, 2, x, out));
        CALL(ENDS, free(F(VectorTransform_apply)(t, 2, x)));
        FaissIndexPreTransform *p = NULL;
        FaissIndex *sub = flat();
        CODE(ENDS, F(IndexPreTransform_new_with_transform)(&p, t, sub));
        CODE(ENDS, F(IndexPreTransform_prepend_transform)(p, t));
        CALL(ENDS, F(IndexPreTransform_set_own_fields)(p, 1));
        CALL(WORKS, F(VectorTransform_free)(t));
        CODE(ENDS, F(Index_add)(p, 2, x));
        CALL(ENDS, F(Index_free)(p));
        CALL(ENDS, F(Index_free)(sub));
    }
}

static void nonsensical_transforms(void)
{
    FaissVectorTransform *t = NULL;
    CODE(FAILS, F(OPQMatrix_new_with)(&t, D, 0, D));
    CODE(FAILS, F(OPQMatrix_new_with)(&t, D, -2, D));
    CODE(FAILS, F(RemapDimensionsTransform_new_with)(&t, 60000, 70000, 1));
    CODE(FAILS, F(RemapDimensionsTransform_new_with)(&t, 0, 4, 1));
    CODE(FAILS, F(RemapDimensionsTransform_new_with)(&t, 4, -1, 0));
    CODE(WORKS, F(RemapDimensionsTransform_new_with)(&t, 60000, 70000, 0));
    CALL(WORKS, F(VectorTransform_free)(t));
}

/* Numbers for which k-means may never end, and parameters for which it has no vectors. */
static void clusterings(void)
{
    FaissClusteringParameters params;
    FaissClustering *c = NULL;
    FaissIndex *index = flat();
    float huge[N * D], error;
    for (int i = 0; i < N * D; i++)
        huge[i] = x[i] * 3e38f;
    F(ClusteringParameters_init)(&params);
    params.max_points_per_centroid = 0;
    MUST(F(Clustering_new_with_params)(&c, D, 4, &params));
    CODE(FAILS, F(Clustering_train)(c, N, x, index));
    F(Clustering_free)(c);
    MUST(F(Clustering_new)(&c, D, 4));
    CODE(WORKS, F(Clustering_train)(c, N, x, index));
    CODE(ENDS, F(Clustering_train)(c, N, huge, index));
    F(Clustering_free)(c);
    CODE(WORKS, F(kmeans_clustering)(D, N, 4, x, out, &error));
    CODE(ENDS, F(kmeans_clustering)(D, N, 4, huge, out, &error));
    FaissVectorTransform *t = NULL;
    MUST(F(OPQMatrix_new_with)(&t, D, 2, D));
    CODE(ENDS, F(VectorTransform_train)(t, N, huge));
    F(VectorTransform_free)(t);
    F(Index_free)(index);
}

/* A made index gets a part while it does not own its parts. */
static void owned_again(void)
{
    FaissVectorTransform *t = NULL;
    FaissIndexPreTransform *p = make(D, "PCA4,Flat");
    MUST(F(RemapDimensionsTransform_new_with)(&t, D, D, 0));
    CALL(WORKS, F(IndexPreTransform_set_own_fields)(p, 0));
    CALL(WORKS, F(IndexPreTransform_set_own_fields)(p, 1));
    CALL(WORKS, F(IndexPreTransform_set_own_fields)(p, 0));
    before();
    int rc = F(IndexPreTransform_prepend_transform)(p, t);
    after("prepend_transform", WORKS, rc); /* came with v1.7.2 */
    CALL(rc ? WORKS : FAILS, F(IndexPreTransform_set_own_fields)(p, 1));
    CALL(WORKS, F(Index_free)(p));
    CALL(WORKS, F(VectorTransform_is_trained)(t));
    CALL(WORKS, F(VectorTransform_free)(t));
}

static void spaces(void)
{
    FaissParameterSpace *space;
    FaissParameterRange *one = NULL, *two = NULL;
    char text[4];
    MUST(F(ParameterSpace_new)(&space));
    CODE(ENDS, F(ParameterSpace_set_index_parameters_cno)(space, canary, 5));
    CODE(WORKS, F(ParameterSpace_add_range)(space, "nprobe", &one));
    CODE(WORKS, F(ParameterSpace_add_range)(space, "efSearch", &two));
    CALL(FAILS, F(ParameterRange_name)(one));
    CODE(FAILS, F(ParameterSpace_combination_name)(space, 0, text, sizeof text));
    CODE(FAILS, F(ParameterSpace_set_index_parameters_cno)(space, canary, 1));
    CALL(ENDS, F(ParameterSpace_n_combinations)(space));
    F(ParameterSpace_free)(space);
    CALL(FAILS, F(ParameterRange_name)(two));
}

/* Calls each function with zeros: integers and pointers are passed in the same registers.  A double
 * gets an undefined value. */
static void each_function(void)
{
    typedef void *(*any)(void *, void *, void *, void *, void *, void *, void *, void *, void *,
                         void *);
    char name[128];
    FaissVectorTransform *vt;
    FaissClustering *clustering;
    FaissParameterSpace *space;
    FaissIDSelectorRange *range;
    FaissRangeSearchResult *result;
    FaissIndexPreTransform *pre;
    MUST(F(CenteringTransform_new_with)(&vt, D));
    MUST(F(Clustering_new)(&clustering, D, 4));
    MUST(F(ParameterSpace_new)(&space));
    MUST(F(IDSelectorRange_new)(&range, 0, 10));
    MUST(F(RangeSearchResult_new)(&result, 3));
    MUST(F(IndexPreTransform_new)(&pre));
    void *wrong[] = {NULL, canary, vt, clustering, space, range, result, pre, name};
    while (fgets(name, sizeof name, stdin)) {
        name[strcspn(name, "\n")] = '\0';
        size_t len = strlen(name);
        if ((len > 5 && strcmp(name + len - 5, "_free") == 0) ||
            strcmp(name, "faiss_Index_reset") == 0) /* would empty the canary */
            continue;
        any f = (any)(uintptr_t)symbol(name);
        /* The first argument of these is memory, not an object. */
        int memory = name[6] >= 'a' || strstr(name, "_new") || strstr(name, "_init") ||
                     strstr(name, "IVFStats_");
        for (size_t i = 0; i < (memory ? 1 : sizeof wrong / sizeof *wrong); i++) {
            about = name;
            before();
            f(wrong[i], NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
            after("with zeros", ENDS, 0);
            wrong[1] = canary;
        }
    }
}

int main(int argc, char **argv)
{
    begin_cases(argc, argv);
    x = random_vectors(N, D, 1);
    freed();
    for (int i = 0; i < 4; i++)
        quantizers(i & 1, i >> 1);
    parts_of_made();
    two_owners();
    shard_rings();
    replicas();
    uneven();
    reset();
    resized();
    hollow();
    transforms();
    nonsensical_transforms();
    clusterings();
    owned_again();
    spaces();
    each_function();
    free(x);
    return end_cases();
}
