/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs in which FAISS prints.
 *
 *     warning POINTS [TIMES]   trains with so few points that FAISS warns
 *     verbose NREDO            verbose training, which fails in the end if NREDO is 0
 *     display                  a function whose purpose is to print
 */
#include "client.h"

enum { D = 8, NLIST = 16, MANY = 2000 };

static void warning(idx_t points, int times)
{
    FaissIndex *index;
    float *x = random_vectors((size_t)points, D, 1);
    for (int i = 0; i < times; i++) {
        MUST(faiss_index_factory(&index, D, "IVF16,Flat", METRIC_L2));
        MUST(faiss_Index_train(index, points, x));
        faiss_Index_free(index);
    }
    free(x);
}

static void verbose_training(int nredo)
{
    FaissClustering *c = NULL;
    FaissClusteringParameters p;
    FaissIndex *index;
    float *x = random_vectors(MANY, D, 1);
    MUST(faiss_index_factory(&index, D, nredo ? "Flat" : "IVF16,Flat", METRIC_L2));
    if (nredo == 0) {
        faiss_Index_set_verbose(index, 1);
        int rc = faiss_Index_train(index, NLIST / 2, x);
        printf("%d %d\n", rc, strstr(last_error(), "Number of training points") != NULL);
        return;
    }
    faiss_ClusteringParameters_init(&p);
    p.nredo = nredo;
    p.verbose = 1;
    MUST(faiss_Clustering_new_with_params(&c, D, NLIST, &p));
    MUST(faiss_Clustering_train(c, MANY, x, index));
    printf("trained\n");
    free(x);
}

static void display(void)
{
    FaissParameterSpace *space;
    MUST(faiss_ParameterSpace_new(&space));
    faiss_ParameterSpace_display(space);
    faiss_ParameterSpace_free(space);
}

int main(int argc, char **argv)
{
    int n = argc > 2 ? atoi(argv[2]) : 1;
    if (argc > 1 && strcmp(argv[1], "warning") == 0)
        warning(n, argc > 3 ? atoi(argv[3]) : 1);
    else if (argc > 1 && strcmp(argv[1], "verbose") == 0)
        verbose_training(n);
    else
        display();
    return 0;
}
