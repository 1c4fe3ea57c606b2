/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes a published index so that crashing.c ends the engine, or fails.  Prints what each call
 * says.
 *
 *     aside NAME COMMAND...
 *
 * with the commands new, add N (vectors), always, first, memory, refused, halfway, slow,
 * endless (one vector, see crashing.c), total, search, shard (puts it into an IndexShards),
 * sharded (searches that), publish NAME, pause (0.5 s: what was answered is on disk, too).
 */
#include <unistd.h>

#include "tests/e2e/client.h"

enum { D = 4 };

static const struct {
    const char *name;
    float first;
} special[] = {
    {"always", 1234567},  {"first", 7654321}, {"memory", 7654322},  {"refused", 7654323},
    {"halfway", 7654324}, {"slow", 7654325},  {"endless", 1111111},
};
enum { SPECIAL = sizeof special / sizeof *special };

static float *vectors(size_t n, float first)
{
    float *x = random_vectors(n, D, 5);
    if (first != 0)
        x[0] = first;
    return x;
}

static void say_result(const char *what, int rc)
{
    if (rc)
        printf("%s: %d %s\n", what, rc, last_error());
    else
        printf("%s: ok\n", what);
    fflush(stdout);
}

static int add(FaissIndex *index, size_t n, float first)
{
    float *x = vectors(n, first);
    int rc = faiss_Index_add(index, (idx_t)n, x);
    free(x);
    return rc;
}

static int search(FaissIndex *index)
{
    float x[D] = {0}, distance;
    idx_t label;
    return faiss_Index_search(index, 1, x, 1, &distance, &label);
}

int main(int argc, char **argv)
{
    FaissIndex *index = NULL;
    FaissIndexShards *shards = NULL;
    for (int i = 2; i < argc; i++) {
        const char *what = argv[i];
        if (strcmp(what, "new") == 0) {
            MUST(faiss_index_factory(&index, D, "Flat", METRIC_L2));
            MUST(faiss_write_index_fname(index, argv[1]));
            faiss_Index_free(index);
            index = NULL;
        }
        if (!index)
            MUST(faiss_read_index_fname(argv[1], 0, &index));
        if (strcmp(what, "add") == 0)
            say_result(what, add(index, strtoul(argv[++i], NULL, 10), 0));
        else if (strcmp(what, "search") == 0)
            say_result(what, search(index));
        else if (strcmp(what, "shard") == 0)
            say_result(what, faiss_IndexShards_new(&shards, D) ||
                                 faiss_IndexShards_add_shard(shards, index));
        else if (strcmp(what, "sharded") == 0)
            say_result(what, search((FaissIndex *)shards));
        else if (strcmp(what, "total") == 0)
            printf("total: %lld\n", (long long)faiss_Index_ntotal(index));
        else if (strcmp(what, "publish") == 0)
            say_result(what, faiss_write_index_fname(index, argv[++i]));
        else if (strcmp(what, "pause") == 0)
            usleep(500000);
        for (int j = 0; j < SPECIAL; j++)
            if (strcmp(what, special[j].name) == 0)
                say_result(what, add(index, 1, special[j].first));
    }
    return 0;
}
