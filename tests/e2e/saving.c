/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index of several pieces is saved, and when the first of them arrives, something happens to it,
 * as saving.t asks:
 *
 *     saving adds    another thread adds vectors
 *     saving frees   another thread frees the index
 *     saving stops   the file cannot be written any further
 *     saving stalls  nothing is read for longer than a dead client has (FX_TCP_DEAD_S)
 *     saving dies    the program is killed
 *
 * Prints whether the bytes are those of a save before it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

enum { D = 128, N = 60000, MORE = 1000 };

static FaissIndex *index_;
static float *x;

struct file {
    char *data;
    size_t size, room;
    const char *how; /* what happens at the first bytes; NULL: it has happened */
    bool full;
    pthread_t thread;
};

static void *add(void *arg)
{
    (void)arg;
    MUST(faiss_Index_add(index_, MORE, x));
    return NULL;
}

static void *free_index(void *arg)
{
    (void)arg;
    faiss_Index_free(index_);
    return NULL;
}

static void happen(struct file *f)
{
    const char *how = f->how;
    f->how = NULL;
    if (strcmp(how, "adds") == 0)
        pthread_create(&f->thread, NULL, add, NULL);
    else if (strcmp(how, "frees") == 0)
        pthread_create(&f->thread, NULL, free_index, NULL);
    else if (strcmp(how, "stops") == 0)
        f->full = true;
    else if (strcmp(how, "stalls") == 0)
        sleep(75);
    else if (strcmp(how, "dies") == 0)
        raise(SIGKILL);
}

static ssize_t take(void *ctx, const char *data, size_t n)
{
    struct file *f = ctx;
    if (f->how)
        happen(f);
    if (f->full || n > f->room - f->size)
        return 0;
    memcpy(f->data + f->size, data, n);
    f->size += n;
    return (ssize_t)n;
}

static int save(struct file *f)
{
    FILE *stream = fopencookie(f, "w", (cookie_io_functions_t){.write = take});
    f->room = (size_t)(N + MORE) * D * sizeof(float) + 4096;
    f->data = malloc(f->room);
    int rc = faiss_write_index(index_, stream);
    fclose(stream);
    return rc;
}

int main(int argc, char **argv)
{
    struct file before = {0}, f = {.how = argc > 1 ? argv[1] : "adds"};
    x = random_vectors(N, D, 1);
    MUST(faiss_index_factory(&index_, D, "Flat", METRIC_L2));
    MUST(faiss_Index_add(index_, N, x));
    MUST(save(&before));
    int rc = save(&f);
    if (f.thread)
        pthread_join(f.thread, NULL);
    bool same = f.size == before.size && memcmp(f.data, before.data, f.size) == 0;
    printf("%s", rc != 0 ? "error" : same ? "same" : "other bytes");
    if (argc > 1 && strcmp(argv[1], "frees") != 0) {
        free(f.data);
        f = (struct file){0};
        MUST(save(&f));
        printf(", then %zu", (f.size - before.size) / D / sizeof(float));
        faiss_Index_free(index_);
    }
    printf("\n");
    free(before.data);
    free(f.data);
    free(x);
    return 0;
}
