/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named indexes, through the file functions of the C API.
 *
 *   named publish PATH    make an index of 10 vectors and write it to PATH
 *   named add PATH        open it, add 5 vectors, print how many there are
 *   named search PATH     open it twice, free it twice, search, print the nearest
 *   named over PATH       publish two indexes as PATH, one after the other, and use the first
 *   named hollow PATH     publish an index without a quantizer, open it and search
 *   named ivf PATH        publish an index with a part
 *   named part PATH       open it, get that part, print how many vectors the part has
 *   named shards PATH     publish shards, open them, print how many vectors shard 1 has, and ask
 * for shards that there are not
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faiss_c_compat.h"

#define TRY(call)                                          \
    do {                                                   \
        int rc = (call);                                   \
        if (rc != 0) {                                     \
            printf("%d %s\n", rc, faiss_get_last_error()); \
            exit(1);                                       \
        }                                                  \
    } while (0)

int main(int argc, char **argv)
{
    FaissIndex *index = NULL, *again = NULL;
    float x[10 * 4], dis[1];
    idx_t ids[1];
    if (argc != 3)
        return 2;
    for (int i = 0; i < 40; i++)
        x[i] = (float)(i / 4);
    if (strcmp(argv[1], "publish") == 0) {
        TRY(faiss_index_factory(&index, 4, "Flat", METRIC_L2));
        TRY(faiss_Index_add(index, 10, x));
        TRY(faiss_write_index_fname(index, argv[2]));
        faiss_Index_free(index); /* the index belongs to the tenant and stays */
    } else if (strcmp(argv[1], "add") == 0) {
        TRY(faiss_read_index_fname(argv[2], 0, &index));
        TRY(faiss_Index_add(index, 5, x));
        printf("%lld\n", (long long)faiss_Index_ntotal(index));
    } else if (strcmp(argv[1], "over") == 0) {
        TRY(faiss_index_factory(&index, 4, "IDMap,Flat", METRIC_L2));
        TRY(faiss_index_factory(&again, 4, "Flat", METRIC_L2));
        TRY(faiss_Index_add_with_ids(index, 2, x, (idx_t[]){7, 8}));
        TRY(faiss_write_index_fname(index, argv[2]));
        TRY(faiss_write_index_fname(again, argv[2]));
        TRY(faiss_Index_add_with_ids(index, 1, x, (idx_t[]){9}));
        TRY(faiss_Index_search(index, 1, x + 4, 1, dis, ids));
        printf("%lld %lld\n", (long long)faiss_Index_ntotal(index), (long long)ids[0]);
        faiss_Index_free(index);
        faiss_Index_free(again);
    } else if (strcmp(argv[1], "hollow") == 0) {
        FaissIndexIVFFlat *ivf = NULL;
        TRY(faiss_IndexIVFFlat_new(&ivf));
        TRY(faiss_write_index_fname((FaissIndex *)ivf, argv[2]));
        TRY(faiss_read_index_fname(argv[2], 0, &index));
        TRY(faiss_Index_search(index, 1, x, 1, dis, ids));
    } else if (strcmp(argv[1], "ivf") == 0) {
        TRY(faiss_index_factory(&index, 4, "IVF2,Flat", METRIC_L2));
        TRY(faiss_Index_train(index, 10, x));
        TRY(faiss_Index_add(index, 10, x));
        TRY(faiss_write_index_fname(index, argv[2]));
    } else if (strcmp(argv[1], "part") == 0) {
        TRY(faiss_read_index_fname(argv[2], 0, &index));
        FaissIndex *part = faiss_IndexIVF_quantizer(faiss_IndexIVF_cast(index));
        printf("%lld\n", (long long)faiss_Index_ntotal(part));
    } else if (strcmp(argv[1], "shards") == 0) {
        FaissIndexShards *shards = NULL;
        TRY(faiss_IndexShards_new(&shards, 4));
        TRY(faiss_write_index_fname((FaissIndex *)shards, argv[2]));
        TRY(faiss_read_index_fname(argv[2], 0, &index));
        printf("%d ", faiss_IndexShards_at((FaissIndexShards *)index, 0) != NULL);
        for (int i = 0; i < 2; i++) {
            TRY(faiss_index_factory(&again, 4, "Flat", METRIC_L2));
            TRY(faiss_Index_add(again, i + 2, x));
            TRY(faiss_IndexShards_add_shard(shards, again));
        }
        again = faiss_IndexShards_at((FaissIndexShards *)index, 1);
        printf("%lld ", again ? (long long)faiss_Index_ntotal(again) : -1);
        printf("%d\n", faiss_IndexShards_at((FaissIndexShards *)index, 2) != NULL);
    } else {
        TRY(faiss_read_index_fname(argv[2], 0, &index));
        TRY(faiss_read_index_fname(argv[2], 0, &again));
        faiss_Index_free(again);
        TRY(faiss_Index_search(index, 1, x + 12, 1, dis, ids));
        printf("%lld\n", (long long)ids[0]);
        faiss_Index_free(index);
    }
    return 0;
}
