/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for tests that count its requests on the server.
 *
 *     trips ROUNDS      in each round: getters whose results do not change, a search, a removal
 *     trips pieces      create, train, add a thousand vectors one by one, ten searches, free
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faiss_c_compat.h"

static void check(int rc)
{
    if (rc != 0) {
        fprintf(stderr, "%s\n", faiss_get_last_error());
        exit(1);
    }
}

static int pieces(void)
{
    FaissIndex *index = NULL;
    float x[1000 * 8], dis[5];
    idx_t ids[5];
    for (int i = 0; i < 8000; i++)
        x[i] = (float)(i * 37 % 101);
    check(faiss_index_factory(&index, 8, "IVF2,Flat", METRIC_L2));
    check(faiss_Index_train(index, 1000, x));
    for (long i = 0; i < 1000; i++)
        check(faiss_Index_add(index, 1, x + i * 8));
    for (long i = 0; i < 10; i++)
        check(faiss_Index_search(index, 1, x + i * 8, 5, dis, ids));
    faiss_Index_free(index);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "pieces") == 0)
        return pieces();
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    FaissIndex *index = NULL;
    FaissIDSelectorRange *sel = NULL;
    float x[100 * 8], dis[5];
    idx_t ids[5];
    size_t removed;
    for (int i = 0; i < 800; i++)
        x[i] = (float)(i * 37 % 101);
    check(faiss_index_factory(&index, 8, "IVF2,Flat", METRIC_L2));
    check(faiss_Index_train(index, 100, x));
    check(faiss_Index_add(index, 100, x));
    check(faiss_IDSelectorRange_new(&sel, 1000, 2000));
    if (!faiss_IndexIVF_cast(index) || faiss_IndexFlat_cast(index) ||
        faiss_IndexIVF_nlist(index) != 2)
        return 1;
    for (int i = 0; i < rounds; i++) {
        /* No request: known since the index was created, or from an earlier call. */
        if (faiss_Index_d(index) != 8 || faiss_Index_metric_type(index) != METRIC_L2 ||
            !faiss_IndexIVF_cast(index) || faiss_IndexFlat_cast(index) ||
            faiss_IndexIVF_nlist(index) != 2 || faiss_IDSelectorRange_imin(sel) != 1000)
            return 1;
        check(faiss_Index_search(index, 1, x, 5, dis, ids));                    /* one request */
        check(faiss_Index_remove_ids(index, (FaissIDSelector *)sel, &removed)); /* one request */
    }
    faiss_IDSelectorRange_free(sel);
    faiss_Index_free(index);
    return 0;
}
