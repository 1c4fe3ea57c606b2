/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that executes commands, one per line, from its arguments or else from its standard
 * input, and answers each with a line: the command and its result.  A failure is shown as FAISS's
 * code and text.
 *
 *     new I DESCRIPTION    a new index, number I (0 to 9)
 *     add I N              add N vectors
 *     total I
 *     search I             search it, and print a checksum of the results
 *     slow I N             add 100000 vectors, then search for N: some thousands take a second
 *     train I N            k-means on it, N times; with N = 1000000000 it never ends
 *     busy I SECONDS       the same, for about that time
 *     threads N            call faiss_set_omp_threads, which only forks of FAISS have
 *     learn I N            train it with N vectors
 *     drop I N             remove the vectors 0 to N - 1
 *     probe I N            set nprobe, through a ParameterSpace
 *     part I N             set nprobe of an IVF index through its own function
 *     over I J             a new index, number I, that passes all on to J
 *     shards I             a new IndexShards, number I
 *     shard I J            J becomes a shard of I
 *     inner I J            number I is the index in the IDMap J
 *     merge I J            move the vectors of the IVF index J into I
 *     write I PATH         faiss_write_index_fname
 *     read I PATH          faiss_read_index_fname
 *     free I
 *     publish I NAME, open I NAME
 *     events               from now on, print events of the connection to stderr
 *     maps PATTERN         print the mapped files whose names match
 *     abort                end without saying bye
 */
#include <dlfcn.h>
#include <signal.h>

#include "client.h"

enum { D = 16, INDEXES = 10, POINTS = 2000, CLUSTERS = 32 };

static FaissIndex *indexes[INDEXES];

static void result(int rc)
{
    if (rc)
        printf("%d %s\n", rc, last_error());
    else
        printf("ok\n");
}

static int add(FaissIndex *index, size_t n, uint32_t seed)
{
    float *x = random_vectors(n, D, seed);
    int rc = faiss_Index_add(index, (idx_t)n, x);
    free(x);
    return rc;
}

static int learn(FaissIndex *index, size_t n)
{
    float *x = random_vectors(n, D, 3);
    int rc = faiss_Index_train(index, (idx_t)n, x);
    free(x);
    return rc;
}

static int drop(FaissIndex *index, int n)
{
    FaissIDSelectorRange *sel = NULL;
    size_t removed = 0;
    int rc = faiss_IDSelectorRange_new(&sel, 0, n);
    if (!rc)
        rc = faiss_Index_remove_ids(index, (FaissIDSelector *)sel, &removed);
    faiss_IDSelector_free((FaissIDSelector *)sel);
    return rc ? rc : removed == (size_t)n ? 0 : 1;
}

static int probe(FaissIndex *index, int n)
{
    FaissParameterSpace *space = NULL;
    int rc = faiss_ParameterSpace_new(&space);
    if (!rc)
        rc = faiss_ParameterSpace_set_index_parameter(space, index, "nprobe", n);
    faiss_ParameterSpace_free(space);
    return rc;
}

static void search(FaissIndex *index, size_t n, size_t k)
{
    float *x = random_vectors(n, D, 7), *distances = calloc(n * k, sizeof *distances);
    idx_t *labels = calloc(n * k, sizeof *labels);
    if (!distances || !labels)
        abort();
    int rc = faiss_Index_search(index, (idx_t)n, x, (idx_t)k, distances, labels);
    if (rc)
        result(rc);
    else
        printf("found %llx\n", (unsigned long long)(checksum(distances, n * k * sizeof *distances) ^
                                                    checksum(labels, n * k * sizeof *labels)));
    free(x);
    free(distances);
    free(labels);
}

/* Repeats k-means instead of raising its iterations, since it may stop once it has converged. */
static int train(FaissIndex *index, int n)
{
    FaissClusteringParameters p;
    FaissClustering *c = NULL;
    faiss_ClusteringParameters_init(&p);
    p.nredo = n;
    int rc = faiss_Clustering_new_with_params(&c, D, CLUSTERS, &p);
    if (rc)
        return rc;
    float *x = random_vectors(POINTS, D, 1);
    rc = faiss_Clustering_train(c, POINTS, x, index);
    free(x);
    faiss_Clustering_free(c);
    return rc;
}

static int busy(FaissIndex *index, double seconds)
{
    struct timespec a, b;
    double took = 0;
    int rc = train(index, 10);           /* the first one also starts threads */
    for (int i = 0; i < 3 && !rc; i++) { /* the fastest counts: others may have been held up */
        clock_gettime(CLOCK_MONOTONIC, &a);
        rc = train(index, 10);
        clock_gettime(CLOCK_MONOTONIC, &b);
        double t = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
        took = i == 0 || t < took ? t : took;
    }
    return rc ? rc : train(index, (int)(10 * seconds / took));
}

static void maps(const char *pattern)
{
    char line[4096], last[4096] = "";
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *path = strchr(line, '/');
        if (!path || !strstr(strrchr(path, '/'), pattern) || strcmp(path, last) == 0)
            continue;
        strcpy(last, path);
        path[strcspn(path, "\n")] = '\0';
        printf("%s ", path);
    }
    if (f)
        fclose(f);
    printf(".\n");
}

static void set_threads(int n)
{
    /* Use dlsym(): the library that this program is linked with lacks it. */
    __typeof__(&faiss_set_omp_threads) set = NULL;
    *(void **)&set = dlsym(RTLD_DEFAULT, "faiss_set_omp_threads");
    if (set)
        set((unsigned)n);
    printf(set ? "done\n" : "no such function\n");
}

static void on_event(int event, const char *text, void *user)
{
    (void)user;
    fprintf(stderr, "event %d: %s\n", event, text);
}

/* Use dlsym(): FAISS 1.7.1 does not have it. */
static FaissIndex *inner_of(FaissIndex *map)
{
    FaissIndex *(*inner)(FaissIndex *);
    *(void **)&inner = dlsym(RTLD_DEFAULT, "faiss_IndexIDMap_sub_index");
    return inner(map);
}

/* Use dlsym(): FAISS does not have it. */
static void print_events(void)
{
    void (*on)(void (*)(int, const char *, void *), void *) = NULL;
    *(void **)&on = dlsym(RTLD_DEFAULT, "faissx_on_event");
    if (on)
        on(on_event, NULL);
    printf(on ? "ok\n" : "no such function\n");
}

/* Runs one command, given its first word, its number and the rest of its text. */
static void run(const char *what, int i, const char *rest)
{
    FaissIndex **index = &indexes[i];
    if (strcmp(what, "new") == 0) {
        result(faiss_index_factory(index, D, rest, METRIC_L2));
    } else if (strcmp(what, "add") == 0) {
        result(add(*index, strtoul(rest, NULL, 10), 5));
    } else if (strcmp(what, "publish") == 0 || strcmp(what, "open") == 0) {
        char name[300];
        snprintf(name, sizeof name, "faissx://%s", rest);
        result(what[0] == 'p' ? faiss_write_index_fname(*index, name)
                              : faiss_read_index_fname(name, 0, index));
    } else if (strcmp(what, "total") == 0) {
        printf("%lld\n", (long long)faiss_Index_ntotal(*index));
    } else if (strcmp(what, "search") == 0) {
        search(*index, 10, 5);
    } else if (strcmp(what, "slow") == 0) {
        int rc = add(*index, 100000, 5);
        if (rc)
            result(rc);
        else
            search(*index, strtoul(rest, NULL, 10), 1);
    } else if (strcmp(what, "train") == 0) {
        result(train(*index, atoi(rest)));
    } else if (strcmp(what, "busy") == 0) {
        result(busy(*index, atof(rest)));
    } else if (strcmp(what, "learn") == 0) {
        result(learn(*index, strtoul(rest, NULL, 10)));
    } else if (strcmp(what, "drop") == 0) {
        result(drop(*index, atoi(rest)));
    } else if (strcmp(what, "probe") == 0) {
        result(probe(*index, atoi(rest)));
    } else if (strcmp(what, "part") == 0) {
        faiss_IndexIVF_set_nprobe(faiss_IndexIVF_cast(*index), strtoul(rest, NULL, 10));
        printf("done\n");
    } else if (strcmp(what, "over") == 0) {
        result(faiss_IndexPreTransform_new_with((FaissIndexPreTransform **)index,
                                                indexes[atoi(rest) % INDEXES]));
    } else if (strcmp(what, "shards") == 0) {
        result(faiss_IndexShards_new((FaissIndexShards **)index, D));
    } else if (strcmp(what, "shard") == 0) {
        result(
            faiss_IndexShards_add_shard((FaissIndexShards *)*index, indexes[atoi(rest) % INDEXES]));
    } else if (strcmp(what, "inner") == 0) {
        *index = inner_of(indexes[atoi(rest) % INDEXES]);
        printf("done\n");
    } else if (strcmp(what, "merge") == 0) {
        result(faiss_IndexIVF_merge_from(faiss_IndexIVF_cast(*index),
                                         faiss_IndexIVF_cast(indexes[atoi(rest) % INDEXES]), 0));
    } else if (strcmp(what, "reset") == 0) {
        result(faiss_Index_reset(*index));
    } else if (strcmp(what, "write") == 0) {
        result(faiss_write_index_fname(*index, rest));
    } else if (strcmp(what, "read") == 0) {
        result(faiss_read_index_fname(rest, 0, index));
    } else if (strcmp(what, "free") == 0) {
        faiss_Index_free(*index);
        printf("done\n");
    } else {
        printf("no such command\n");
    }
}

static void command(const char *line)
{
    char what[16] = "", rest[256] = "";
    int i = 0;
    sscanf(line, "%15s %255[^\n]", what, rest);
    printf("%s: ", line);
    if (strcmp(what, "maps") == 0) {
        maps(rest);
    } else if (strcmp(what, "threads") == 0) {
        set_threads(atoi(rest));
    } else if (strcmp(what, "events") == 0) {
        print_events();
    } else if (strcmp(what, "abort") == 0) {
        raise(SIGKILL);
    } else {
        rest[0] = '\0';
        sscanf(line, "%*s %d %255[^\n]", &i, rest);
        run(what, i >= 0 && i < INDEXES ? i : 0, rest);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[512];
    for (int i = 1; i < argc; i++)
        command(argv[i]);
    while (argc == 1 && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        command(line);
    }
    return 0;
}
