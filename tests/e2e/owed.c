/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that ends while the server still owes it replies.  The next thread gets the replies to
 * its own requests, as owed.t asks:
 *
 *     owed cancel   it is cancelled in a slow search
 *     owed exit     it ends in a signal handler in a slow search
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

enum { D = 4, N = 100, SLOW = 7654325 };

static FaissIndex *index_;
static float *x;

static void *slow_search(void *arg)
{
    const float slow[D] = {SLOW, 0, 0, 0};
    float distance;
    idx_t label;
    (void)arg;
    faiss_Index_search(index_, 1, slow, 1, &distance, &label);
    pthread_testcancel();
    return NULL;
}

static void *search(void *arg)
{
    float distance;
    idx_t label = -2;
    (void)arg;
    int rc = faiss_Index_search(index_, 1, x + (size_t)7 * D, 1, &distance, &label);
    printf("%d, vector %lld\n", rc, (long long)label);
    return NULL;
}

static void end_thread(int sig)
{
    (void)sig;
    pthread_exit(NULL);
}

static void run(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    pthread_create(&t, NULL, fn, arg);
    pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    pthread_t t;
    x = random_vectors(N, D, 1);
    MUST(faiss_index_factory(&index_, D, "HNSW8", METRIC_L2));
    MUST(faiss_Index_add(index_, N, x));
    signal(SIGUSR1, end_thread);
    pthread_create(&t, NULL, slow_search, NULL);
    sleep(1);
    if (strcmp(how, "cancel") == 0)
        pthread_cancel(t);
    else
        pthread_kill(t, SIGUSR1);
    pthread_join(t, NULL);
    run(search, NULL);
    return 0;
}
