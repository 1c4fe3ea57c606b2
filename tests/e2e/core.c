/* SPDX-License-Identifier: Apache-2.0 */
/* Uses the part of the API that all releases have, and prints every result to the last bit, so that
 * two runs can be compared: core FOLDER */
#include <unistd.h>

#include "client.h"

enum { D = 24, N = 700, NQ = 7, K = 5 };

static float *xb, *xq;

static void code(const char *what, int rc)
{
    printf("%s: %d", what, rc);
    if (rc)
        printf(" %s", last_error());
    printf("\n");
}
#define RUN(call) code(#call, call)

/* Prints the error of a call about a file, without the position in FAISS's source with which FAISS
 * begins its texts: if FAISS is on a server, the client makes the text, without it. */
static void file_code(const char *what, int rc)
{
    const char *text = last_error(), *from = strstr(text, "could not");
    printf("%s: %d %s\n", what, rc, from ? from : text);
}

static void floats(const char *what, const float *x, size_t n)
{
    printf("%s: %016llx", what, (unsigned long long)checksum(x, n * sizeof *x));
    for (size_t i = 0; i < n && i < 4; i++)
        printf(" %a", (double)x[i]);
    printf("\n");
}

static void ids(const char *what, const idx_t *x, size_t n)
{
    printf("%s: %016llx", what, (unsigned long long)checksum(x, n * sizeof *x));
    for (size_t i = 0; i < n && i < 6; i++)
        printf(" %lld", (long long)x[i]);
    printf("\n");
}

static void about(const char *what, FaissIndex *index)
{
    printf("%s: d %d trained %d ntotal %lld metric %d verbose %d\n", what, faiss_Index_d(index),
           faiss_Index_is_trained(index), (long long)faiss_Index_ntotal(index),
           (int)faiss_Index_metric_type(index), faiss_Index_verbose(index));
}

static void search(FaissIndex *index)
{
    float distances[NQ * K];
    idx_t labels[NQ * K];
    RUN(faiss_Index_search(index, NQ, xq, K, distances, labels));
    floats("distances", distances, NQ * K);
    ids("labels", labels, NQ * K);
    RUN(faiss_Index_assign(index, NQ, xq, labels, 2));
    ids("assigned", labels, NQ * 2);
}

static void range_search(FaissIndex *index, float radius)
{
    FaissRangeSearchResult *result;
    size_t *lims = NULL;
    idx_t *labels = NULL;
    float *distances = NULL;
    MUST(faiss_RangeSearchResult_new(&result, NQ));
    RUN(faiss_Index_range_search(index, NQ, xq, radius, result));
    faiss_RangeSearchResult_lims(result, &lims);
    faiss_RangeSearchResult_labels(result, &labels, &distances);
    printf("nq %zu buffer %zu lims", faiss_RangeSearchResult_nq(result),
           faiss_RangeSearchResult_buffer_size(result));
    for (int i = 0; i <= NQ; i++)
        printf(" %zu", lims[i]);
    printf("\n");
    ids("in range", labels, lims[NQ]);
    floats("at", distances, lims[NQ]);
    faiss_RangeSearchResult_free(result);
}

static void reconstruct(FaissIndex *index)
{
    float *x = calloc(N * D, sizeof *x);
    RUN(faiss_Index_reconstruct(index, 3, x));
    floats("vector 3", x, D);
    RUN(faiss_Index_reconstruct_n(index, 10, 20, x));
    floats("vectors 10 to 29", x, 20 * D);
    free(x);
}

static void remove_some(FaissIndex *index)
{
    FaissIDSelectorRange *range;
    FaissIDSelectorBatch *batch;
    const idx_t which[] = {100, 7, 101, 5000, 7};
    size_t removed = 0;
    MUST(faiss_IDSelectorRange_new(&range, 20, 50));
    printf("range %lld %lld\n", (long long)faiss_IDSelectorRange_imin(range),
           (long long)faiss_IDSelectorRange_imax(range));
    RUN(faiss_Index_remove_ids(index, (FaissIDSelector *)range, &removed));
    printf("removed %zu\n", removed);
    faiss_IDSelectorRange_free(range);
    MUST(faiss_IDSelectorBatch_new(&batch, 5, which));
    printf("member %d %d\n", faiss_IDSelector_is_member((FaissIDSelector *)batch, 101),
           faiss_IDSelector_is_member((FaissIDSelector *)batch, 102));
    removed = 0;
    RUN(faiss_Index_remove_ids(index, (FaissIDSelector *)batch, &removed));
    printf("removed %zu\n", removed);
    faiss_IDSelector_free((FaissIDSelector *)batch);
}

static void parameters(FaissIndex *index)
{
    FaissParameterSpace *space;
    MUST(faiss_ParameterSpace_new(&space));
    RUN(faiss_ParameterSpace_set_index_parameter(space, index, "nprobe", 6));
    search(index);
    RUN(faiss_ParameterSpace_set_index_parameters(space, index, "nprobe=3"));
    search(index);
    RUN(faiss_ParameterSpace_set_index_parameter(space, index, "no_such_parameter", 6));
    RUN(faiss_ParameterSpace_set_index_parameters(space, index, "nprobe"));
    faiss_ParameterSpace_free(space);
}

static void files(FaissIndex *index, const char *name)
{
    FaissIndex *again = NULL;
    RUN(faiss_write_index_fname(index, name));
    RUN(faiss_read_index_fname(name, 0, &again));
    about("read", again);
    search(again);
    faiss_Index_free(again);
    RUN(faiss_clone_index(index, &again));
    about("clone", again);
    search(again);
    RUN(faiss_Index_reset(again));
    about("clone, reset", again);
    about("original", index);
    faiss_Index_free(again);
    file_code("read", faiss_read_index_fname("no/such/folder/x", 0, &again));
    file_code("write", faiss_write_index_fname(index, "no/such/folder/x"));
}

/* The life of an index of any kind.  Unsupported calls must fail with the same text. */
static void factory(const char *description, FaissMetricType metric)
{
    /* FAISS crashes instead of refusing faiss_Index_reconstruct_n for these. */
    int can_reconstruct = !strstr(description, "IDMap") && !strstr(description, "PCA");
    FaissIndex *index = NULL;
    idx_t keys[N];
    char name[64];
    printf("--- %s, metric %d\n", description, (int)metric);
    for (int i = 0; i < N; i++)
        keys[i] = 3 * i;
    RUN(faiss_index_factory(&index, D, description, metric));
    about("new", index);
    if (!faiss_Index_is_trained(index))
        RUN(faiss_Index_add(index, N, xb));
    RUN(faiss_Index_train(index, N, xb));
    about("trained", index);
    RUN(faiss_Index_add(index, N / 2, xb));
    RUN(faiss_Index_add_with_ids(index, N / 2, xb + N / 2 * D, keys));
    about("filled", index);
    search(index);
    range_search(index, metric == METRIC_L2 ? 2.0f : 6.5f);
    if (can_reconstruct)
        reconstruct(index);
    parameters(index);
    snprintf(name, sizeof name, "%.8s-%d.index", description, (int)metric);
    files(index, name);
    remove_some(index);
    about("after removal", index);
    search(index);
    RUN(faiss_Index_reset(index));
    about("reset", index);
    search(index);
    faiss_Index_free(index);
}

static void flat(void)
{
    FaissIndexFlat *index = NULL, *empty = NULL;
    FaissIndexFlatIP *ip = NULL;
    FaissIndexFlatL2 *l2 = NULL;
    FaissIndexFlat1D *line = NULL;
    FaissIndex *ivf = NULL;
    float *x = NULL, distances[NQ * 3];
    idx_t labels[NQ * 3];
    size_t size = 0;
    printf("--- flat\n");
    RUN(faiss_IndexFlat_new(&empty));
    about("empty", empty);
    faiss_IndexFlat_free(empty);
    RUN(faiss_IndexFlat_new_with(&index, D, METRIC_L1));
    faiss_Index_set_verbose(index, 1);
    about("L1", index);
    faiss_Index_set_verbose(index, 0);
    RUN(faiss_Index_add(index, 50, xb));
    search(index);
    faiss_IndexFlat_xb(index, &x, &size);
    floats("xb", x, size);
    printf("cast %d %d\n", faiss_IndexFlat_cast(index) == index,
           faiss_IndexIVF_cast(index) == NULL);
    for (int i = 0; i < NQ * 3; i++)
        labels[i] = (i * 11) % 50;
    RUN(faiss_IndexFlat_compute_distance_subset(index, NQ, xq, 3, distances, labels));
    floats("subset", distances, NQ * 3);
    RUN(faiss_Index_search(index, 1, xq, 0, distances, labels));
    faiss_IndexFlat_free(index);

    RUN(faiss_IndexFlatIP_new_with(&ip, D));
    RUN(faiss_Index_add(ip, N, xb));
    search(ip);
    printf("cast %d %d\n", faiss_IndexFlat_cast(ip) == ip, faiss_IndexIVF_cast(ip) == NULL);
    faiss_Index_free(ip);

    RUN(faiss_IndexFlatL2_new_with(&l2, D));
    RUN(faiss_Index_add(l2, N, xb));
    /* Large enough to be sent in pieces. */
    float *many = random_vectors(60000, D, 3);
    RUN(faiss_Index_add(l2, 60000, many));
    faiss_IndexFlat_xb(l2, &x, &size);
    floats("large xb", x, size);
    about("large", l2);
    search(l2);
    free(many);
    faiss_Index_free(l2);

    RUN(faiss_IndexFlat1D_new(&line));
    RUN(faiss_Index_add(line, N, xb));
    search(line);
    faiss_Index_free(line);
    RUN(faiss_IndexFlat1D_new_with(&line, 0));
    RUN(faiss_Index_add(line, N, xb));
    RUN(faiss_Index_search(line, 2, xq, 2, distances, labels));
    RUN(faiss_IndexFlat1D_update_permutation(line));
    search(line);
    faiss_Index_free(line);

    RUN(faiss_index_factory(&ivf, D, "IVF3,Flat", METRIC_L2));
    printf("cast %d %d\n", faiss_IndexFlat_cast(ivf) == NULL, faiss_IndexIVF_cast(ivf) == ivf);
    faiss_Index_free(ivf);
}

int main(int argc, char **argv)
{
    static const char *const wrong[] = {"NoSuchIndex", "", "IVF", "Flat,Flat", "PQ5"};
    FaissIndex *index = NULL;
    if (argc != 2 || chdir(argv[1]) != 0)
        return 2;
    xb = random_vectors(N, D, 1);
    xq = random_vectors(NQ, D, 2);
    printf("error at first: %s\n", last_error());
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        RUN(faiss_index_factory(&index, D, wrong[i], METRIC_L2));
    printf("nothing made: %d\n", index == NULL);
    factory("Flat", METRIC_L2);
    factory("Flat", METRIC_INNER_PRODUCT);
    factory("IVF8,Flat", METRIC_L2);
    factory("IVF8,PQ6x4", METRIC_L2);
    factory("IDMap,Flat", METRIC_INNER_PRODUCT);
    factory("PCA12,SQ8", METRIC_L2);
    factory("LSH", METRIC_L2);
    flat();
    faiss_Index_free(NULL);
    faiss_IDSelector_free(NULL);
    faiss_ParameterSpace_free(NULL);
    printf("error at last: %s\n", last_error());
    free(xb);
    free(xq);
    return 0;
}
