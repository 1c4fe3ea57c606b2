/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <unistd.h>

#include "client.h"

static volatile int stop;

static void on_term(int number)
{
    (void)number;
    stop = 1;
}

static const char *setting(const char *name)
{
    const char *text = getenv(name);
    if (text)
        return text;
    fprintf(stderr, "%s is not set\n", name);
    exit(9);
}

/* Work until SIGTERM; ends with status 3 if the server cannot be reached. */
static int work(void)
{
    static struct work w;
    w.dir = setting("TORTURE_DIR");
    w.cli = setting("TORTURE_CLI");
    w.client = atoi(setting("TORTURE_CLIENT"));
    w.clients = atoi(setting("TORTURE_CLIENTS"));
    w.random = strtoull(setting("TORTURE_SEED"), NULL, 10);
    w.stop = &stop;
    signal(SIGTERM, on_term);
    work_resume(&w);
    while (!stop && w.errors < 400) {
        int errors = w.errors;
        struct place *p = &w.place[work_random(&w, PLACES)];
        uint32_t what = work_random(&w, 100);
        if (what < 60)
            change_something(&w);
        else if (what < 90)
            search_something(&w, p);
        else
            reconstruct_something(&w, p);
        if (w.errors > errors)
            usleep(20000);
    }
    return stop ? 0 : 3;
}

static int make(const char *name, const char *description)
{
    FaissIndex *index = NULL;
    if (faiss_index_factory(&index, D, description, METRIC_L2) == 0 &&
        faiss_write_index_fname(index, path_of(name)) == 0)
        return 0;
    fprintf(stderr, "make %s: %s\n", name, last_error());
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "make") == 0)
        return make(argv[2], argv[3]);
    if (argc >= 3 && strcmp(argv[1], "dump") == 0)
        return dump_indexes(argv[2], argv + 3, argc - 3);
    if (argc == 2 && strcmp(argv[1], "work") == 0)
        return work();
    fprintf(stderr, "usage: see client.h\n");
    return 9;
}
