/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user of the C API that has an index open by its name while it gets the training that it has
 * waited for, and has asked for more than the handle before.
 *
 *     trained cast PATH      a Flat index that becomes an IndexPQ: what the handle was cast to
 *     trained search PATH    the same, searched by several threads while it becomes that
 *     trained part PATH      an IDMap: threads search its sub-index
 *     trained within PATH    another index contains it
 *     trained held PATH      the same, while it is trained by itself: prints "held", and waits for
 * a line before that index is freed trained facts PATH     inverted lists: their number, and their
 * class
 *
 * Each asks for the training with N vectors, but for `held`.  Ends with 0 if all is as it should
 * be.
 */
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "client.h"

/* 1.7.1 does not have these. */
#pragma weak faiss_IndexIDMap_cast
#pragma weak faiss_IndexIDMap_sub_index

enum { D = 16, N = 1000, THREADS = 4 };

static int wrong;
static bool done;

static void check(const char *what, bool is)
{
    printf("%s: %s\n", what, is ? "yes" : "NO");
    wrong += !is;
}

static FaissIndex *open_index(const char *path)
{
    FaissIndex *index = NULL;
    MUST(faiss_read_index_fname(path, 0, &index));
    return index;
}

static int train(FaissIndex *index)
{
    float *x = random_vectors(N, D, 3);
    int rc = faiss_Index_train(index, N, x);
    free(x);
    return rc;
}

static size_t floats_of(FaissIndexFlat *flat)
{
    float *x = NULL;
    size_t n = 0;
    faiss_IndexFlat_xb(flat, &x, &n);
    return n;
}

static void cast(FaissIndex *index)
{
    FaissIndexFlat *flat = faiss_IndexFlat_cast(index);
    check("it is Flat", flat && floats_of(flat) == (size_t)N * D);
    MUST(train(index));
    check("its vectors cannot be read as those of a Flat any more", floats_of(flat) == 0);
    check("that is an error", strstr(last_error(), "is a FaissIndex, not a FaissIndexFlat"));
    check("it is not Flat", !faiss_IndexFlat_cast(index));
}

static void *searcher(void *arg)
{
    float x[D], distance;
    idx_t label;
    fill(x, D, 7);
    while (!__atomic_load_n(&done, __ATOMIC_RELAXED))
        faiss_Index_search(arg, 1, x, 1, &distance, &label);
    return NULL;
}

static void search_while_trained(FaissIndex *index, FaissIndex *searched)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, searcher, searched) != 0)
            abort();
    usleep(100000);
    MUST(train(index));
    usleep(100000);
    __atomic_store_n(&done, true, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check("it has all vectors", faiss_Index_ntotal(index) == N);
}

static void part(FaissIndex *index)
{
    FaissIndexIDMap *map = faiss_IndexIDMap_cast(index);
    FaissIndex *inner = map ? faiss_IndexIDMap_sub_index(map) : NULL;
    check("it is an IDMap", inner);
    search_while_trained(index, inner);
    check("what was in it has ended", faiss_Index_ntotal(inner) != N);
}

static FaissIndexShards *shards_of(FaissIndex *index)
{
    FaissIndexShards *shards = NULL;
    MUST(faiss_IndexShards_new(&shards, D));
    MUST(faiss_IndexShards_add_shard(shards, index));
    return shards;
}

static void search_shards(FaissIndexShards *shards)
{
    float x[D], distance;
    idx_t label = -1;
    fill(x, D, 7);
    MUST(faiss_Index_search(shards, 1, x, 1, &distance, &label));
    check("the index that contains it finds a vector", label >= 0);
}

static void within(FaissIndex *index)
{
    FaissIndexShards *shards = shards_of(index);
    check("it is not trained while another index contains it", train(index) != 0);
    check("and that is why", strstr(last_error(), "contains the index"));
    search_shards(shards);
    faiss_Index_free(shards);
    MUST(train(index));
    check("it is trained when that is freed", faiss_Index_is_trained(index));
}

static void held(FaissIndex *index)
{
    char line[16];
    FaissIndexShards *shards = shards_of(index);
    puts("held");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(1);
    search_shards(shards);
    check("it is not trained", !faiss_Index_is_trained(index));
    faiss_Index_free(shards);
}

static void facts(FaissIndex *index)
{
    FaissIndexIVF *lists = faiss_IndexIVF_cast(index);
    check("it has one list", lists && faiss_IndexIVF_nlist(lists) == 1);
    check("of what is not encoded", !faiss_IndexIVFScalarQuantizer_cast(index));
    MUST(train(index));
    lists = faiss_IndexIVF_cast(index);
    check("it has more", lists && faiss_IndexIVF_nlist(lists) == 8);
    check("of codes", faiss_IndexIVFScalarQuantizer_cast(index));
}

int main(int argc, char **argv)
{
    const char *what = argc == 3 ? argv[1] : "";
    if (argc != 3)
        return 2;
    FaissIndex *index = open_index(argv[2]);
    if (strcmp(what, "cast") == 0)
        cast(index);
    else if (strcmp(what, "search") == 0)
        search_while_trained(index, index);
    else if (strcmp(what, "part") == 0)
        part(index);
    else if (strcmp(what, "within") == 0)
        within(index);
    else if (strcmp(what, "held") == 0)
        held(index);
    else if (strcmp(what, "facts") == 0)
        facts(index);
    else
        return 2;
    faiss_Index_free(index);
    return wrong != 0;
}
