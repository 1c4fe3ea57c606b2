/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that close and reuse descriptors.  They write errors, or "ok" at the end, to the file
 * named by the first argument.
 *
 *     FILE standard      run with 0, 1 and 2 closed: prints between its calls
 *     FILE reuse KIND    closes all descriptors after its first calls, and opens others (sockets,
 *                        files or pipes) in their places
 *     FILE under-way     the same, while another thread waits for a reply
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

enum { D = 16, MANY = 200000, REPORT = 900, PLACES = 40 };

static FaissIndex *index_;

static void report(const char *text)
{
    if (write(REPORT, text, strlen(text)) < 0 || write(REPORT, "\n", 1) < 0)
        abort();
}

static void expect(int rc, const char *what)
{
    if (rc == 0)
        return;
    report(what);
    report(last_error());
    _exit(1);
}

static void add(idx_t n)
{
    float *x = random_vectors((size_t)n, D, 5);
    expect(faiss_Index_add(index_, n, x), "add");
    free(x);
}

static void standard(void)
{
    char text[2 * BUFSIZ];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 3; i++) {
        expect(faiss_index_factory(&index_, D, "Flat", METRIC_L2), "index_factory");
        fwrite(text, 1, sizeof text, stdout);
        fwrite(text, 1, sizeof text, stderr);
        add(3);
        add(MANY); /* sent as a memfd if possible */
        expect(faiss_write_index_fname(index_, "/dev/null"), "write_index");
        expect(faiss_Index_ntotal(index_) != MANY + 3, "ntotal");
        faiss_Index_free(index_);
    }
    for (int fd = 0; fd < 3; fd++)
        expect(fcntl(fd, F_GETFD) != -1, "a standard descriptor was opened");
}

/* --- descriptors with the numbers that the shim's had --- */

static int mine[PLACES], other[PLACES];

static void close_all(void)
{
    for (int fd = 3; fd < REPORT; fd++)
        close(fd);
}

static void reopen(const char *kind)
{
    for (int i = 0; i < PLACES; i++) {
        int ends[2];
        if (strcmp(kind, "sockets") == 0 ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends)
                                         : pipe2(ends, O_CLOEXEC))
            abort();
        if (strcmp(kind, "files") == 0) {
            close(ends[1]);
            ends[1] = open("/tmp", O_TMPFILE | O_RDWR, 0600);
        }
        mine[i] = ends[0];
        other[i] = ends[1];
        if (write(other[i], "mine", 4) != 4)
            abort();
    }
}

/* They are open, and hold exactly what was written to them. */
static void check_all(const char *kind)
{
    char buf[64];
    for (int i = 0; i < PLACES; i++) {
        int fd = mine[i];
        if (strcmp(kind, "files") == 0) {
            fd = other[i];
            lseek(fd, 0, SEEK_SET);
        }
        fcntl(mine[i], F_SETFL, O_NONBLOCK);
        expect(read(fd, buf, sizeof buf) != 4 || memcmp(buf, "mine", 4) != 0,
               "a descriptor of the program was read from, written to, or closed");
        if (strcmp(kind, "sockets") == 0) {
            fcntl(other[i], F_SETFL, O_NONBLOCK);
            expect(read(other[i], buf, sizeof buf) != -1, "a socket of the program was written to");
        }
    }
}

static void reuse(const char *kind)
{
    expect(faiss_index_factory(&index_, D, "Flat", METRIC_L2), "index_factory");
    add(3);
    close_all();
    reopen(kind);
    expect(faiss_Index_ntotal(index_) != 3, "ntotal");
    add(MANY);
    expect(faiss_Index_ntotal(index_) != MANY + 3, "ntotal");
    check_all(kind);
}

static void *endless(void *arg)
{
    FaissClusteringParameters p;
    FaissClustering *c = NULL;
    float *x = random_vectors(2000, D, 1);
    (void)arg;
    faiss_ClusteringParameters_init(&p);
    p.nredo = 1000000000;
    expect(faiss_Clustering_new_with_params(&c, D, 32, &p), "Clustering_new");
    report("begins");
    expect(faiss_Clustering_train(c, 2000, x, index_) == 0, "training ended");
    report(last_error());
    free(x);
    return NULL;
}

/* The test writes a line to standard input once the call is in progress. */
static void under_way(void)
{
    pthread_t thread;
    expect(faiss_index_factory(&index_, D, "Flat", METRIC_L2), "index_factory");
    pthread_create(&thread, NULL, endless, NULL);
    if (getchar() == EOF)
        abort();
    close_all();
    reopen("sockets");
    pthread_join(thread, NULL);
    FaissIndex *next;
    expect(faiss_index_factory(&next, D, "Flat", METRIC_L2), "index_factory");
    check_all("sockets");
}

int main(int argc, char **argv)
{
    int fd = argc > 2 ? open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd < 0 || dup2(fd, REPORT) < 0)
        return 2;
    close(fd);
    if (strcmp(argv[2], "standard") == 0)
        standard();
    else if (strcmp(argv[2], "reuse") == 0)
        reuse(argv[3]);
    else
        under_way();
    report("ok");
    return 0;
}
