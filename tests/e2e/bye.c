/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that end in all kinds of ways, each with an index on the server.
 *
 *     return        from main
 *     exit          in a thread, while main waits
 *     spare         after the thread that used FAISS has ended
 *     idle          while the threads that used FAISS exist but do nothing
 *     busy          while those threads are in calls that take seconds
 *     calls         while those threads make one call after another
 *     save FILE     writes its index to FILE at exit
 *     signal        calls exit() in a signal handler, in the middle of a call
 *     fork          a child ends before its parent, which then uses the index
 *     daemon FILE   the parent ends before its child, which then writes its findings to FILE
 *     _exit, abort, kill, exec
 */
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

enum { D = 16, N = 1000, THREADS = 4 };

static FaissIndex *index_;
static const char *file;
static pthread_barrier_t begun;

static void make(void)
{
    float *x = random_vectors(N, D, 1);
    MUST(faiss_index_factory(&index_, D, "Flat", METRIC_L2));
    MUST(faiss_Index_add(index_, N, x));
    free(x);
}

static void *make_and_exit(void *arg)
{
    make();
    if (arg)
        exit(0);
    return NULL;
}

static void *use_and_wait(void *arg)
{
    (void)arg;
    if (faiss_Index_ntotal(index_) != N)
        abort();
    pthread_barrier_wait(&begun);
    pause();
    return NULL;
}

static void *long_call(void *arg)
{
    FaissClustering *c = NULL;
    FaissClusteringParameters p;
    float *x = random_vectors(N, D, 1);
    (void)arg;
    faiss_ClusteringParameters_init(&p);
    p.nredo = 200;
    MUST(faiss_Clustering_new_with_params(&c, D, 20, &p));
    pthread_barrier_wait(&begun);
    faiss_Clustering_train(c, N, x, index_);
    pause();
    return NULL;
}

static void *many_calls(void *arg)
{
    float *x = random_vectors(N, D, 1), distances[10];
    idx_t labels[10];
    (void)arg;
    pthread_barrier_wait(&begun);
    for (int i = 0; i >= 0; i = (i + 1) % 10) {
        faiss_Index_ntotal(index_);
        faiss_Index_search(index_, 1, x, 10, distances, labels);
        if (i == 0)
            faiss_Index_add(index_, N, x);
    }
    return NULL;
}

static void with_threads(void *(*body)(void *))
{
    pthread_t t;
    pthread_barrier_init(&begun, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t, NULL, body, NULL);
    pthread_barrier_wait(&begun);
}

static void save(void)
{
    MUST(faiss_write_index_fname(index_, file));
}

static void on_alarm(int sig)
{
    (void)sig;
    exit(0);
}

static void end_by_signal(void)
{
    struct itimerval t = {.it_value = {.tv_usec = 50000}};
    float *x = random_vectors(N, D, 1);
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &t, NULL);
    for (;;) { /* the signal comes somewhere in here */
        faiss_Index_ntotal(index_);
        faiss_Index_add(index_, N / 10, x);
    }
}

static void child_first(void)
{
    pid_t pid = fork();
    int status;
    if (pid == 0)
        exit(faiss_Index_ntotal(index_) != N);
    waitpid(pid, &status, 0);
    printf("%d %lld\n", status, (long long)faiss_Index_ntotal(index_));
}

static void parent_first(void)
{
    int ends[2];
    char byte;
    if (pipe(ends) != 0 || fork() > 0)
        return;
    close(ends[1]);
    if (read(ends[0], &byte, 1) != 0) /* wait until the parent has ended */
        abort();
    FILE *f = fopen(file, "w");
    fprintf(f, "%lld %s\n", (long long)faiss_Index_ntotal(index_), last_error());
    fclose(f);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    pthread_t t;
    file = argc > 2 ? argv[2] : "";
    if (strcmp(how, "save") == 0)
        atexit(save);
    if (strcmp(how, "exit") == 0 || strcmp(how, "spare") == 0) {
        pthread_create(&t, NULL, make_and_exit, *how == 'e' ? &t : NULL);
        pthread_join(t, NULL);
        return 0;
    }
    if (strcmp(how, "idle") == 0) { /* main itself has made no call */
        pthread_create(&t, NULL, make_and_exit, NULL);
        pthread_join(t, NULL);
        with_threads(use_and_wait);
        return 0;
    }
    make();
    if (strcmp(how, "busy") == 0)
        with_threads(long_call);
    else if (strcmp(how, "calls") == 0)
        with_threads(many_calls);
    else if (strcmp(how, "signal") == 0)
        end_by_signal();
    else if (strcmp(how, "fork") == 0)
        child_first();
    else if (strcmp(how, "daemon") == 0)
        parent_first();
    else if (strcmp(how, "_exit") == 0)
        _exit(0);
    else if (strcmp(how, "abort") == 0)
        abort();
    else if (strcmp(how, "kill") == 0)
        raise(SIGKILL);
    else if (strcmp(how, "exec") == 0)
        execl("/bin/true", "true", NULL);
    return 0;
}
