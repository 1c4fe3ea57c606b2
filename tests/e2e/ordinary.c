/* SPDX-License-Identifier: Apache-2.0 */
/* Ordinary arguments with which some releases of FAISS crash or never return. */
#include <unistd.h>

#include "cases.h"

enum { D = 16, NT = 400, NB = 200, K = 5 };

static float *x, distances[32 * K];
static idx_t labels[32 * K];

static FaissIndex *of(const char *description, FaissMetricType metric)
{
    FaissIndex *index = NULL;
    about = description;
    CODE(ENDS, F(index_factory)(&index, D, description, metric));
    return index;
}

static void train_add_search(FaissIndex *index)
{
    if (!index)
        return;
    CODE(ENDS, F(Index_train)(index, NT, x));
    CODE(ENDS, F(Index_add)(index, NB, x));
    CODE(ENDS, F(Index_search)(index, 1, x, K, distances, labels));
    CODE(ENDS, F(Index_search)(index, 32, x, K, distances, labels));
    CODE(ENDS, F(Index_assign)(index, 3, x, labels, 2));
}

static void metrics(void)
{
    static const char *const kinds[] = {
        "IVF8,Flat",   "IVF8,SQ8", "HNSW8,SQ8",   "IVF8,PQ4x4",    "RaBitQ",
        "IVF8,RaBitQ", "NSG8",     "IDMap2,NSG8", "PCA8,IVF8,SQ8", "IVF8,PQ4x4,RFlat"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int metric = METRIC_L2; metric <= METRIC_Lp; metric++) {
            FaissIndex *index = of(kinds[i], (FaissMetricType)metric);
            train_add_search(index);
            if (index)
                F(Index_free)(index);
        }
}

static void scalar_quantizers(void)
{
    about = "IndexScalarQuantizer";
    for (int type = 0; type <= 41; type++) {
        FaissIndexScalarQuantizer *index = NULL;
        CODE(ENDS,
             F(IndexScalarQuantizer_new_with)(&index, D, (FaissQuantizerType)type, METRIC_L2));
        train_add_search(index);
        F(Index_free)(index);
    }
}

static void selectors(void)
{
    static const char *const kinds[] = {"IVF8,RQ4x4", "IVF8,LSQ4x4", "IVF8,PRQ2x2x4",
                                        "IVF8,RQ4x4_Nqint8"};
    FaissIDSelectorRange *range = NULL;
    FaissSearchParametersIVF *params = NULL;
    MUST(F(IDSelectorRange_new)(&range, 10, 150));
    CODE(ENDS, F(SearchParametersIVF_new_with)(&params, (FaissIDSelector *)range, 4, 0));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && params; i++) {
        FaissIndex *index = of(kinds[i], METRIC_L2);
        if (!index)
            continue;
        CODE(ENDS, F(Index_train)(index, NT, x));
        CODE(ENDS, F(Index_add)(index, NB, x));
        CODE(ENDS, F(Index_search_with_params)(index, 3, x, K, (FaissSearchParameters *)params,
                                               distances, labels));
        F(Index_free)(index);
    }
    if (params)
        F(SearchParametersIVF_free)(params);
    F(IDSelectorRange_free)(range);
}

static void lattice(void)
{
    FaissIndex *index = of("ZnLattice2x6_4", METRIC_L2);
    train_add_search(index);
    F(Index_free)(index);
}

/* k far above the number of vectors gives the same results as in process, or an error if there is
 * not enough memory. */
static void many_neighbours(void)
{
    static const struct {
        const char *kind;
        idx_t k;
    } tried[] = {{"Flat", 80000000}, {"IVF8,Flat", 80000000}, {"HNSW8", 2000000}, {"SQ8", 2000000}};
    enum { N = 1000 };
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        idx_t k = tried[i].k, found = 0, rest = 0;
        FaissIndex *index = of(tried[i].kind, METRIC_L2);
        float *dis = calloc((size_t)k, sizeof *dis);
        idx_t *ids = calloc((size_t)k, sizeof *ids);
        float *many = random_vectors(N, D, 7);
        if (!dis || !ids)
            exit(1);
        CODE(WORKS, F(Index_train)(index, N, many));
        CODE(WORKS, F(Index_add)(index, N, many));
        if (F(IndexIVF_cast)(index))
            F(IndexIVF_set_nprobe)(index, 8);
        before();
        int rc = F(Index_search)(index, 1, many, k, dis, ids);
        after("a search for millions of neighbours", ENDS, rc);
        for (idx_t j = 0; j < k && rc == 0; j++) {
            found += j < N && ids[j] >= 0;
            rest += j >= N && ids[j] == -1;
        }
        printf("%s: k=%lld: %s, %lld found and %lld not\n", tried[i].kind, (long long)k,
               rc ? last_error() : "ok", (long long)found, (long long)rest);
        if (rc == 0 && (found < (i == 2 ? 1 : N * 9 / 10) || rest != k - N)) {
            printf("wrong: %s\n", tried[i].kind);
            bad++;
        }
        F(Index_free)(index);
        free(dis);
        free(ids);
        free(many);
    }
}

/* The results have the same bits as in process, although the engine asks FAISS for fewer. */
static void far(void)
{
    static const char *const kinds[] = {"Flat",        "IVF8,Flat", "HNSW8",     "SQ8",
                                        "PQ4x4",       "LSH",       "PCA8,Flat", "IVF8,PQ4x4,RFlat",
                                        "IDMap2,Flat", "IVF8,SQ8",  "Flat,RFlat"};
    enum { N = 1000, Q = 32, FAR = 70000 };
    float *many = random_vectors(N, D, 7), *dis = calloc((size_t)Q * FAR, sizeof *dis);
    idx_t *ids = calloc((size_t)Q * FAR, sizeof *ids), keys[N];
    if (!dis || !ids)
        exit(1);
    for (int i = 0; i < N; i++)
        keys[i] = 3 * i;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int metric = METRIC_INNER_PRODUCT; metric <= METRIC_L2; metric++) {
            FaissIndex *index = NULL;
            if (F(index_factory)(&index, D, kinds[i], (FaissMetricType)metric) != 0)
                continue;
            MUST(F(Index_train)(index, N, many));
            if (strncmp(kinds[i], "IDMap", 5) == 0)
                MUST(F(Index_add_with_ids)(index, N, many, keys));
            else
                MUST(F(Index_add)(index, N, many));
            for (idx_t n = 1; n <= Q; n += Q - 1) {
                int rc = F(Index_search)(index, n, many, FAR, dis, ids);
                printf("far: %s %d: n=%d: %d %016llx %016llx\n", kinds[i], metric, (int)n, rc,
                       (unsigned long long)checksum(dis, (size_t)(n * FAR) * sizeof *dis),
                       (unsigned long long)checksum(ids, (size_t)(n * FAR) * sizeof *ids));
                rc = F(Index_assign)(index, n, many, ids, FAR);
                printf("far: %s %d: n=%d: %d %016llx\n", kinds[i], metric, (int)n, rc,
                       (unsigned long long)checksum(ids, (size_t)(n * FAR) * sizeof *ids));
            }
            F(Index_free)(index);
        }
    free(many);
    free(dis);
    free(ids);
}

static void everything_in_range(idx_t queries, idx_t vectors)
{
    enum { DIM = 2 };
    FaissIndex *index = NULL;
    FaissRangeSearchResult *result = NULL;
    size_t *lims = NULL;
    about = "range";
    float *xb = random_vectors((size_t)vectors, DIM, 3);
    MUST(F(index_factory)(&index, DIM, "Flat", METRIC_L2));
    MUST(F(Index_add)(index, vectors, xb));
    MUST(F(RangeSearchResult_new)(&result, queries));
    before();
    int rc = F(Index_range_search)(index, queries, xb, 1e30f, result);
    after("a range search that finds everything", ENDS, rc);
    if (rc == 0)
        F(RangeSearchResult_lims)(result, &lims);
    printf("range: %lld queries, %lld vectors: %s, %zu found\n", (long long)queries,
           (long long)vectors, rc ? last_error() : "ok", lims ? lims[queries] : 0);
    if (rc == 0 && lims[queries] != (size_t)(queries * vectors)) {
        printf("wrong: %zu results\n", lims[queries]);
        bad++;
    }
    F(RangeSearchResult_free)(result);
    F(Index_free)(index);
    free(xb);
}

static void descriptions(void)
{
    enum { LONG = 60000, TIMES = 3000 };
    static char text[LONG + 1];
    FaissIndex *index = NULL;
    about = "description";
    memset(text, 'x', LONG);
    CODE(FAILS, F(index_factory)(&index, D, text, METRIC_L2));
    printf("%s\n", last_error());
    memset(text, '(', LONG);
    CODE(FAILS, F(index_factory)(&index, D, text, METRIC_L2));
    text[0] = '\0';
    for (int i = 0; i < TIMES; i++)
        memcpy(text + (size_t)i * 6, "IDMap,", 7);
    memcpy(text + (size_t)TIMES * 6, "Flat", 5);
    CODE(FAILS, F(index_factory)(&index, D, text, METRIC_L2));
    printf("%s\n", last_error());
    static const char *const no_links[] = {"HNSW1", "HNSW0,Flat", "IVF8_HNSW1,Flat", "NSG1",
                                           "PCA8,NSG1"};
    for (size_t i = 0; i < sizeof no_links / sizeof *no_links; i++)
        CODE(FAILS, F(index_factory)(&index, D, no_links[i], METRIC_L2));
    printf("%s\n", last_error());
    F(Index_free)(make(D, "HNSW16"));
    /* (FAISS before v1.7.2 cannot nest them and does not know IDMap2.) */
    FaissIndex *id_map2 = make(D, "IDMap2,Flat");
    int nests = id_map2 != NULL;
    F(Index_free)(id_map2);
    CODE(WORKS, F(index_factory)(&index, D,
                                 nests ? "IDMap,IDMap2,IDMap,PCA8,Flat,RFlat" : "IDMap,PCA8,Flat",
                                 METRIC_L2));
    F(Index_free)(index);
}

/* An index without vectors has no nearest one. */
static void empty(void)
{
    static const char *const kinds[] = {"Flat",           "IDMap,Flat",       "IDMap2,Flat",
                                        "Flat,RFlat",     "IDMap,Flat,RFlat", "IDMap,HNSW8",
                                        "IDMap,IVF4,Flat"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int metric = METRIC_INNER_PRODUCT; metric <= METRIC_L1; metric++) {
            FaissIndex *index = of(kinds[i], (FaissMetricType)metric);
            for (int k = 1; index && k <= 2; k++) {
                labels[0] = -1;
                CODE(ENDS, F(Index_search)(index, 1, x, k, distances, labels));
                CODE(ENDS, F(Index_search)(index, 30, x, k, distances, labels));
                CODE(ENDS, F(Index_assign)(index, 1, x, labels, k));
            }
            if (index)
                F(Index_free)(index);
        }
}

/* A copy can be used, or is refused.  FAISS 1.12.0 copies MinMax without what is in it. */
static void copies(void)
{
    static const char *const kinds[] = {
        "MinMax,SQ8",  "IDMap,MinMax,SQ8",    "PCA8,MinMaxFP16,SQ8",   "IVF8,Flat",
        "IDMap,HNSW8", "PCA8,IVF8,SQ8,RFlat", "IVF16_HNSW8,Flat,RFlat"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int trained = 0; trained < 2; trained++) {
            FaissIndex *index = of(kinds[i], METRIC_L2), *copy = NULL;
            if (!index)
                continue;
            if (trained)
                train_add_search(index);
            CODE(ENDS, F(clone_index)(index, &copy));
            train_add_search(copy);
            F(Index_free)(copy);
            F(Index_free)(index);
        }
}

/* Lists of whole blocks: FAISS writes beyond them. */
static void merges(void)
{
    enum { N = 1 << 15 };
    float *many = random_vectors(N, D, 3);
    about = "IVF1,PQ4x4fs";
    for (int n = N - 1; n <= N; n++) {
        FaissIndex *into = of(about, METRIC_L2), *from = of(about, METRIC_L2);
        CODE(WORKS, F(Index_train)(into, N, many));
        CODE(WORKS, F(Index_train)(from, N, many));
        CODE(WORKS, F(Index_add)(into, n, many));
        CODE(WORKS, F(Index_add)(from, 100, many));
        CODE(n == N ? FAILS : ENDS,
             F(IndexIVF_merge_from)((FaissIndexIVF *)into, (FaissIndexIVF *)from, n));
        CODE(ENDS, F(Index_search)(into, 3, many, K, distances, labels));
        F(Index_free)(from);
        F(Index_free)(into);
    }
    free(many);
}

/* Far more lists than there are.  FAISS's FastScan classes make room for all of them. */
static void probes(void)
{
    static const char *const kinds[] = {"IVF4,PQ8x4fs", "PCA8,IVF4,PQ4x4fs", "IVF4,Flat"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        FaissIndex *index = of(kinds[i], METRIC_L2), *part = index;
        FaissSearchParametersIVF *params = NULL;
        CODE(WORKS, F(Index_train)(index, NT, x));
        CODE(WORKS, F(Index_add)(index, NB, x));
        CODE(ENDS, F(SearchParametersIVF_new_with)(&params, NULL, 2147483647, 0));
        if (params) {
            CODE(ENDS, F(Index_search_with_params)(index, 2, x, K, (FaissSearchParameters *)params,
                                                   distances, labels));
            F(SearchParametersIVF_free)(params);
        }
        if (strncmp(kinds[i], "PCA", 3) == 0)
            part = F(IndexPreTransform_index)(F(IndexPreTransform_cast)(index));
        F(IndexIVF_set_nprobe)(F(IndexIVF_cast)(part), 2000000000);
        CODE(ENDS, F(Index_search)(index, 2, x, K, distances, labels));
        F(Index_free)(index);
    }
}

/* Makes an IVF; encoded: one that asks the quantizer for its vectors, too. */
static FaissIndex *ivf_of(FaissIndex *quantizer, size_t lists, int encoded)
{
    FaissIndexIVFFlat *flat = NULL;
    FaissIndexIVFScalarQuantizer *sq = NULL;
    if (encoded) {
        CODE(WORKS, F(IndexIVFScalarQuantizer_new_with_metric)(&sq, quantizer, D, lists, QT_8bit,
                                                               METRIC_L2, 1));
        F(IndexIVFScalarQuantizer_set_own_fields)(sq, 0);
        return (FaissIndex *)sq;
    }
    CODE(WORKS, F(IndexIVFFlat_new_with)(&flat, quantizer, D, lists));
    F(IndexIVFFlat_set_own_fields)(flat, 0);
    return (FaissIndex *)flat;
}

/* Quantizers whose vectors have ids of the caller's, which FAISS takes for lists. */
static void quantizers(void)
{
    enum { LISTS = 4 };
    static const char *const kinds[] = {"Flat", "Flat,IDMap2", "IVF2,Flat"};
    static const idx_t ids[][LISTS] = {{0, 1, 2, 3}, {3, 2, 1, 1000000007}, {0, 1, -7, 4}};
    for (size_t i = 0; i < 6; i++)
        for (size_t wrong = 0; wrong < 3; wrong++) {
            FaissIndex *quantizer = of(kinds[i / 2], METRIC_L2), *whole = quantizer, *ivf;
            int encoded = (int)i % 2;
            if (!quantizer)
                continue;
            CODE(WORKS, F(Index_train)(quantizer, NT, x));
            if (i < 2) {
                FaissIndexIDMap *map = NULL;
                CODE(WORKS, F(IndexIDMap_new)(&map, quantizer));
                whole = (FaissIndex *)map;
            }
            CODE(WORKS, F(Index_add_with_ids)(whole, LISTS, x, ids[wrong]));
            ivf = ivf_of(whole, LISTS, encoded);
            F(IndexIVF_set_nprobe)((FaissIndexIVF *)ivf, LISTS);
            CODE(encoded ? ENDS : WORKS, F(Index_train)(ivf, NT, x));
            CODE(wrong ? FAILS : encoded ? ENDS : WORKS, F(Index_add)(ivf, NB, x));
            CODE(wrong || encoded ? ENDS : WORKS, F(Index_search)(ivf, 1, x, K, distances, labels));
            F(Index_free)(ivf);
            F(Index_free)(whole);
            if (i < 2)
                F(Index_free)(quantizer);
        }
}

/* k-means with an index that finds nothing for most vectors: its lists were made for others. */
static void clusters(void)
{
    enum { CENTROIDS = 4 };
    static const char *const kinds[] = {"Flat", "IVF16,Flat", "PCA8,IVF16,Flat", "HNSW8"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        FaissIndex *index = of(kinds[i], METRIC_L2);
        FaissClustering *c = NULL;
        if (!index)
            continue;
        CODE(WORKS, F(Index_train)(index, NT, x));
        CODE(WORKS, F(Clustering_new)(&c, D, CENTROIDS));
        CODE(strstr(kinds[i], "IVF") ? ENDS : WORKS, F(Clustering_train)(c, NT, x, index));
        F(Clustering_free)(c);
        F(Index_free)(index);
    }
}

/* A refined index that was saved after the index in it was changed alone. */
static void refined(void)
{
    char name[] = "/tmp/faissx-ordinary-XXXXXX";
    FaissIndex *base = of("Flat", METRIC_L2), *index = NULL;
    FaissIndexRefineFlat *whole = NULL;
    close(mkstemp(name));
    CODE(WORKS, F(IndexRefineFlat_new)(&whole, base));
    CODE(WORKS, F(Index_add)((FaissIndex *)whole, 3, x));
    for (int i = 0; i < 300; i++)
        CODE(WORKS, F(Index_add)(base, NB, x));
    CODE(ENDS, F(write_index_fname)((FaissIndex *)whole, name));
    F(Index_free)((FaissIndex *)whole);
    F(Index_free)(base);
    CODE(ENDS, F(read_index_fname)(name, 0, &index));
    if (index) {
        CODE(FAILS, F(Index_search)(index, 20, x, 1, distances, labels));
        CODE(FAILS, F(Index_search)(index, 20, x + 5 * D, 1, distances, labels));
        CODE(WORKS, F(Index_reset)(index));
        F(Index_free)(index);
    }
    unlink(name);
}

/* The same where the IVF is within another index. */
static void probes_within(void)
{
    FaissIndex *refined = of("IVF4,PQ8x4fs,RFlat", METRIC_L2),
               *part = of("IVF4,PQ8x4fs", METRIC_L2);
    FaissIndexShards *shards = NULL;
    FaissParameterSpace *space = NULL;
    CODE(WORKS, F(IndexShards_new)(&shards, D));
    CODE(WORKS, F(Index_train)(part, NT, x));
    CODE(WORKS, F(IndexShards_add_shard)(shards, part));
    CODE(WORKS, F(ParameterSpace_new)(&space));
    FaissIndex *both[] = {refined, (FaissIndex *)shards};
    for (size_t i = 0; i < 2 && refined; i++) {
        if (i == 0)
            CODE(WORKS, F(Index_train)(both[i], NT, x));
        CODE(WORKS, F(Index_add)(both[i], NB, x));
        CODE(WORKS, F(Index_search)(both[i], 2, x, K, distances, labels));
        if (i == 0)
            CODE(WORKS, F(ParameterSpace_set_index_parameter)(space, both[i], "nprobe", 2e9));
        else
            F(IndexIVF_set_nprobe)(F(IndexIVF_cast)(part), 2000000000);
        CODE(ENDS, F(Index_search)(both[i], 2, x, K, distances, labels));
        F(Index_free)(both[i]);
    }
    F(ParameterSpace_free)(space);
    F(Index_free)(part);
}

/* Many queries for shards without vectors, and few vectors for each of several graphs. */
static void shards(void)
{
    enum { MANY = 25 };
    static const char *const kinds[] = {"IDMap2,Flat", "NSG8"};
    float found[MANY * K];
    idx_t at[MANY * K];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        FaissMetricType metric = i ? METRIC_L1 : METRIC_INNER_PRODUCT;
        FaissIndex *parts[2] = {of(kinds[i], metric), of(kinds[i], metric)};
        FaissIndexShards *whole = NULL;
        CODE(WORKS, F(IndexShards_new_with_options)(&whole, D, 1, 1));
        for (int part = 0; part < 2 && parts[part]; part++)
            CODE(WORKS, F(IndexShards_add_shard)(whole, parts[part]));
        CODE(ENDS, F(Index_search)((FaissIndex *)whole, MANY, x, K, found, at));
        CODE(ENDS, F(Index_train)((FaissIndex *)whole, NT, x));
        CODE(ENDS, F(Index_add)((FaissIndex *)whole, NB, x));
        CODE(ENDS, F(Index_search)((FaissIndex *)whole, MANY, x, K, found, at));
        F(Index_free)((FaissIndex *)whole);
        for (int part = 0; part < 2; part++)
            F(Index_free)(parts[part]);
    }
}

/* Vectors of an index from a file.  FAISS 1.10 and later lack what decodes them. */
static void decoders(void)
{
    static const char *const kinds[] = {"IVF8,PQ8x4fs", "IVF8,PQ8x4fsr", "PCA8,IVF8,PQ4x4fs"};
    char name[] = "/tmp/faissx-ordinary-XXXXXX";
    close(mkstemp(name));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        FaissIndex *index = of(kinds[i], METRIC_L2), *part = NULL;
        float one[D], some[5 * D];
        CODE(WORKS, F(Index_train)(index, NT, x));
        CODE(WORKS, F(Index_add)(index, NB, x));
        CODE(WORKS, F(write_index_fname)(index, name));
        F(Index_free)(index);
        CODE(WORKS, F(read_index_fname)(name, 0, &index));
        if (strncmp(kinds[i], "PCA", 3) == 0)
            part = F(IndexPreTransform_index)(F(IndexPreTransform_cast)(index));
        CODE(WORKS, F(IndexIVF_make_direct_map)(F(IndexIVF_cast)(part ? part : index), 1));
        CODE(ENDS, F(Index_reconstruct)(index, 3, one));
        CODE(ENDS, F(Index_reconstruct_n)(index, 0, 5, some));
        CODE(WORKS, F(Index_search)(index, 1, x, K, distances, labels));
        F(Index_free)(index);
    }
    unlink(name);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } groups[] = {{"metrics", metrics},
                  {"types", scalar_quantizers},
                  {"selectors", selectors},
                  {"lattice", lattice},
                  {"many", many_neighbours},
                  {"descriptions", descriptions},
                  {"far", far},
                  {"empty", empty},
                  {"copies", copies},
                  {"merges", merges},
                  {"quantizers", quantizers},
                  {"clusters", clusters},
                  {"refined", refined},
                  {"decoders", decoders},
                  {"shards", shards},
                  {"probes", probes},
                  {"probes-within", probes_within}};
    int n = begin_cases(argc, argv);
    x = random_vectors(NT, D, 1);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (n < 2 || strcmp(argv[1], groups[i].name) == 0)
            groups[i].run();
    if (n < 2 || strcmp(argv[1], "range") == 0)
        everything_in_range(400, 262144);
    free(x);
    return end_cases();
}
